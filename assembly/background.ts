/** What detectors see beside the sample: see `BackgroundCorrection` in `src/solvers/corrections/background.ts`. */

/**
 * How far a model is from a measurement, d = I − J − (1 − b/J)·min(J, spread), 0 at bad pixels: excess ← d/(J + h), weight ← 1/(J + h), and,
 * with w = (h/(J + h))⁵, w·d and w are added to sums.
 * @param own b, what of the model is background
 * @param hold h
 * @param length of the planes, a multiple of 4
 */
export function backgroundTerms(
  model: usize,
  measured: usize,
  own: usize,
  hold: usize,
  spread: f32,
  excess: usize,
  weight: usize,
  excessSum: usize,
  weightSum: usize,
  length: i32,
): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const s = f32x4.splat(spread);
  const least = f32x4.splat(1e-30);
  const bytes = (<usize>length) << 2;
  for (let i: usize = 0; i < bytes; i += 16) {
    const a = v128.load(measured + i);
    const j = v128.load(model + i);
    const good = f32x4.ge(a, zero);
    const h = v128.load(hold + i);
    const v = v128.and(f32x4.div(one, f32x4.add(j, h)), good);
    const light = f32x4.max(zero, f32x4.sub(j, v128.load(own + i)));
    const low = f32x4.mul(light, f32x4.min(one, f32x4.div(s, f32x4.max(j, least))));
    const d = f32x4.sub(f32x4.sub(f32x4.mul(a, a), j), low);
    v128.store(excess + i, f32x4.mul(v, d));
    v128.store(weight + i, v);
    const share = f32x4.mul(h, v);
    const square = f32x4.mul(share, share);
    const w = f32x4.mul(f32x4.mul(square, square), share);
    v128.store(excessSum + i, f32x4.add(v128.load(excessSum + i), f32x4.mul(w, d)));
    v128.store(weightSum + i, f32x4.add(v128.load(weightSum + i), w));
  }
}

/** Σ a·b of planes of `length` floats, a multiple of 4. */
export function innerProduct(a: usize, b: usize, length: i32): f64 {
  const bytes = (<usize>length) << 2;
  let total: f64 = 0;
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    sum = f32x4.add(sum, f32x4.mul(v128.load(a + i), v128.load(b + i)));
    // Single precision adds up no more than a thousand values at a time.
    if ((i & 4095) == 4080 || i + 16 >= bytes) {
      total +=
        <f64>f32x4.extract_lane(sum, 0) +
        <f64>f32x4.extract_lane(sum, 1) +
        <f64>f32x4.extract_lane(sum, 2) +
        <f64>f32x4.extract_lane(sum, 3);
      sum = f32x4.splat(0);
    }
  }
  return total;
}
