/** Whole planes of `length` floats, any length: sums of what threads found, updates of object and probe. */

/** sum += part. */
export function addPlane(part: usize, sum: usize, length: i32): void {
  const end = (<usize>(length & ~3)) << 2;
  let i: usize = 0;
  for (; i < end; i += 16) v128.store(sum + i, f32x4.add(v128.load(sum + i), v128.load(part + i)));
  for (const all = (<usize>length) << 2; i < all; i += 4) store<f32>(sum + i, load<f32>(sum + i) + load<f32>(part + i));
}

/** The largest value; 0 where all are negative. */
export function largest(plane: usize, length: i32): f32 {
  const end = (<usize>(length & ~3)) << 2;
  let most = f32x4.splat(0);
  let i: usize = 0;
  for (; i < end; i += 16) most = f32x4.pmax(most, v128.load(plane + i));
  let found = max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
  for (const all = (<usize>length) << 2; i < all; i += 4) found = max(found, load<f32>(plane + i));
  return found;
}

/**
 * step = gain·numerator/(a·denominator + b), written over the numerator, and added to `field` (0: not added). Where nothing is
 * divided by, nothing changes.
 */
export function divideStep(
  numeratorRe: usize,
  numeratorIm: usize,
  denominator: usize,
  a: f32,
  b: f32,
  gain: f32,
  fieldRe: usize,
  fieldIm: usize,
  length: i32,
): void {
  const tiny: f32 = 1e-30;
  const bytes = (<usize>length) << 2;
  const end = (<usize>(length & ~3)) << 2;
  const va = f32x4.splat(a);
  const vb = f32x4.splat(b + tiny);
  const vg = f32x4.splat(gain);
  let i: usize = 0;
  for (; i < end; i += 16) {
    const w = f32x4.div(vg, f32x4.add(f32x4.mul(va, v128.load(denominator + i)), vb));
    const sr = f32x4.mul(w, v128.load(numeratorRe + i));
    const si = f32x4.mul(w, v128.load(numeratorIm + i));
    v128.store(numeratorRe + i, sr);
    v128.store(numeratorIm + i, si);
    if (fieldRe != 0) {
      v128.store(fieldRe + i, f32x4.add(v128.load(fieldRe + i), sr));
      v128.store(fieldIm + i, f32x4.add(v128.load(fieldIm + i), si));
    }
  }
  for (; i < bytes; i += 4) {
    const w = gain / (a * load<f32>(denominator + i) + b + tiny);
    const sr = w * load<f32>(numeratorRe + i);
    const si = w * load<f32>(numeratorIm + i);
    store<f32>(numeratorRe + i, sr);
    store<f32>(numeratorIm + i, si);
    if (fieldRe != 0) {
      store<f32>(fieldRe + i, load<f32>(fieldRe + i) + sr);
      store<f32>(fieldIm + i, load<f32>(fieldIm + i) + si);
    }
  }
}

/** numerator ← numerator/√(denominator² + b²): the preconditioned direction of LSQ-ML. */
export function divideByRoot(numeratorRe: usize, numeratorIm: usize, denominator: usize, b: f32, length: i32): void {
  const bytes = (<usize>length) << 2;
  const end = (<usize>(length & ~3)) << 2;
  const square = f32x4.splat(b * b + 1e-30);
  let i: usize = 0;
  for (; i < end; i += 16) {
    const d = v128.load(denominator + i);
    const w = f32x4.sqrt(f32x4.add(f32x4.mul(d, d), square));
    v128.store(numeratorRe + i, f32x4.div(v128.load(numeratorRe + i), w));
    v128.store(numeratorIm + i, f32x4.div(v128.load(numeratorIm + i), w));
  }
  for (; i < bytes; i += 4) {
    const d = load<f32>(denominator + i);
    const w = sqrt<f32>(d * d + b * b + 1e-30);
    store<f32>(numeratorRe + i, load<f32>(numeratorRe + i) / w);
    store<f32>(numeratorIm + i, load<f32>(numeratorIm + i) / w);
  }
}

/** field += gain·step. */
export function addScaled(step: usize, gain: f32, field: usize, length: i32): void {
  const end = (<usize>(length & ~3)) << 2;
  const g = f32x4.splat(gain);
  let i: usize = 0;
  for (; i < end; i += 16) {
    v128.store(field + i, f32x4.add(v128.load(field + i), f32x4.mul(g, v128.load(step + i))));
  }
  for (const all = (<usize>length) << 2; i < all; i += 4) {
    store<f32>(field + i, load<f32>(field + i) + gain * load<f32>(step + i));
  }
}

/** All 0. */
export function clear(plane: usize, length: i32): void {
  memory.fill(plane, 0, <usize>length << 2);
}

/** to = from; they may overlap. */
export function copyPlane(source: usize, target: usize, length: i32): void {
  memory.copy(target, source, <usize>length << 2);
}

/** target = keep·target + gain·source. */
export function blend(source: usize, gain: f32, target: usize, keep: f32, length: i32): void {
  const end = (<usize>(length & ~3)) << 2;
  const g = f32x4.splat(gain);
  const k = f32x4.splat(keep);
  let i: usize = 0;
  // What is not kept may be anything.
  if (keep == 0) {
    for (; i < end; i += 16) v128.store(target + i, f32x4.mul(g, v128.load(source + i)));
    for (const all = (<usize>length) << 2; i < all; i += 4) store<f32>(target + i, gain * load<f32>(source + i));
    return;
  }
  for (; i < end; i += 16) {
    v128.store(target + i, f32x4.add(f32x4.mul(k, v128.load(target + i)), f32x4.mul(g, v128.load(source + i))));
  }
  for (const all = (<usize>length) << 2; i < all; i += 4) {
    store<f32>(target + i, keep * load<f32>(target + i) + gain * load<f32>(source + i));
  }
}
