/** How the misfit bends along changes of the exit waves: what Newton's steps of all patterns at once are measured by. */
import { fresh, from, lastStrip, to } from './rows';
import { againstRe, productIm, productRe, sumOf } from './complex';

/** out = δO·P + O·δP. */
export function jointChange(
  dRe: usize,
  dIm: usize,
  oRe: usize,
  oIm: usize,
  stride: i32,
  pRe: usize,
  pIm: usize,
  dpRe: usize,
  dpIm: usize,
  outRe: usize,
  outIm: usize,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, dRe += jump, dIm += jump, oRe += jump, oIm += jump) {
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const dr = v128.load(dRe + c);
        const di = v128.load(dIm + c);
        const pr = v128.load(pRe + i);
        const pi = v128.load(pIm + i);
        const or = v128.load(oRe + c);
        const oi = v128.load(oIm + c);
        const qr = v128.load(dpRe + i);
        const qi = v128.load(dpIm + i);
        v128.store(outRe + i, f32x4.add(productRe(dr, di, pr, pi), productRe(or, oi, qr, qi)));
        v128.store(outIm + i, f32x4.add(productIm(dr, di, pr, pi), productIm(or, oi, qr, qi)));
      }
    }
  }
}

/** Re Σconj(c)·u·q, u a patch of a plane with rows of `stride`. */
export function tripleProduct(
  uRe: usize,
  uIm: usize,
  stride: i32,
  qRe: usize,
  qIm: usize,
  cRe: usize,
  cIm: usize,
  n: i32,
): f64 {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  let total: f64 = 0;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, uRe += jump, uIm += jump) {
    let sum = f32x4.splat(0);
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const ur = v128.load(uRe + c);
        const ui = v128.load(uIm + c);
        const qr = v128.and(v128.load(qRe + i), own);
        const qi = v128.and(v128.load(qIm + i), own);
        const mr = productRe(ur, ui, qr, qi);
        const mi = productIm(ur, ui, qr, qi);
        sum = f32x4.add(sum, againstRe(v128.load(cRe + i), v128.load(cIm + i), mr, mi));
      }
    }
    total += sumOf(sum);
  }
  return total;
}

/**
 * First and second derivatives of E = Σ(√J − A)² along changes A and B of the detector waves Ψ that are linear in the step.
 * With w = 1 − A/√J, Σ over modes of g = Re conj(Ψ)·D and n = Re conj(D)·D':
 *   E' = 2Σ w·g,  E'' = 2Σ (w·n + A/√J³·g·g').
 * Of E = Σ(J − (A² + p)·ln(J + p)), with a pedestal of p counts, they have w = 1 − r, r = (A² + p)/(J + p), and 2r/(J + p) for A/√J³.
 * Waves of a mode lie one after the other, `step` bytes apart, real plane then imaginary plane.
 * @param b 0: there is one change only
 * @param model J
 * @param measured A; below 0: bad pixels
 * @param scale of |Ψ|² in J
 * @param pedestal p; below 0: of Σ(√J − A)²
 * @param sums eight float64 that are added to: E' along a, along b, E'' along a twice, a and b, b twice, and 2Σn (4Σn) likewise
 */
export function curvature(
  waves: usize,
  a: usize,
  b: usize,
  modes: i32,
  step: usize,
  model: usize,
  measured: usize,
  scale: f32,
  floor: f32,
  pedestal: f32,
  sums: usize,
  n: i32,
): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const s = f32x4.splat(scale);
  const f = f32x4.splat(floor);
  const likely = pedestal >= 0;
  const p = f32x4.splat(pedestal);
  const plane = <usize>(n * n) << 2;
  const row: usize = 512;
  let sa: f64 = 0;
  let sb: f64 = 0;
  let aa: f64 = 0;
  let ab: f64 = 0;
  let bb: f64 = 0;
  let waa: f64 = 0;
  let wab: f64 = 0;
  let wbb: f64 = 0;
  for (let begin: usize = 0; begin < plane; begin += row) {
    const end = min(begin + row, plane);
    let s0 = zero;
    let s1 = zero;
    let s2 = zero;
    let s3 = zero;
    let s4 = zero;
    let s5 = zero;
    let s6 = zero;
    let s7 = zero;
    for (let i = begin; i < end; i += 16) {
      let ga = zero;
      let gb = zero;
      let naa = zero;
      let nab = zero;
      let nbb = zero;
      for (let m = 0, at = i; m < modes; m++, at += step) {
        const pr = v128.load(waves + at);
        const pi = v128.load(waves + at + plane);
        const ar = v128.load(a + at);
        const ai = v128.load(a + at + plane);
        ga = f32x4.add(ga, againstRe(pr, pi, ar, ai));
        naa = f32x4.add(naa, againstRe(ar, ai, ar, ai));
        if (b) {
          const br = v128.load(b + at);
          const bi = v128.load(b + at + plane);
          gb = f32x4.add(gb, againstRe(pr, pi, br, bi));
          nab = f32x4.add(nab, againstRe(ar, ai, br, bi));
          nbb = f32x4.add(nbb, againstRe(br, bi, br, bi));
        }
      }
      const amplitude = v128.load(measured + i);
      const good = f32x4.ge(amplitude, zero);
      const j = v128.load(model + i);
      let ratio: v128;
      let q: v128;
      if (likely) {
        const below = f32x4.add(j, p);
        ratio = f32x4.div(f32x4.add(f32x4.mul(amplitude, amplitude), p), below);
        q = f32x4.div(f32x4.mul(f32x4.add(s, s), ratio), below);
      } else {
        const root = f32x4.add(f32x4.sqrt(j), f);
        ratio = f32x4.div(amplitude, root);
        q = f32x4.div(f32x4.mul(s, ratio), f32x4.mul(root, root));
      }
      q = v128.and(q, good);
      const w = v128.and(f32x4.sub(one, ratio), good);
      s5 = f32x4.add(s5, v128.and(naa, good));
      s0 = f32x4.add(s0, f32x4.mul(w, ga));
      s2 = f32x4.add(s2, f32x4.add(f32x4.mul(w, naa), f32x4.mul(q, f32x4.mul(ga, ga))));
      if (b) {
        s6 = f32x4.add(s6, v128.and(nab, good));
        s7 = f32x4.add(s7, v128.and(nbb, good));
        s1 = f32x4.add(s1, f32x4.mul(w, gb));
        s3 = f32x4.add(s3, f32x4.add(f32x4.mul(w, nab), f32x4.mul(q, f32x4.mul(ga, gb))));
        s4 = f32x4.add(s4, f32x4.add(f32x4.mul(w, nbb), f32x4.mul(q, f32x4.mul(gb, gb))));
      }
    }
    sa += sumOf(s0);
    sb += sumOf(s1);
    aa += sumOf(s2);
    ab += sumOf(s3);
    bb += sumOf(s4);
    waa += sumOf(s5);
    wab += sumOf(s6);
    wbb += sumOf(s7);
  }
  const twice = 2 * <f64>scale;
  // The likelihood bends twice as much where the model is right.
  const wide = likely ? 2 * twice : twice;
  store<f64>(sums, load<f64>(sums) + twice * sa);
  store<f64>(sums, load<f64>(sums, 8) + twice * sb, 8);
  store<f64>(sums, load<f64>(sums, 16) + twice * aa, 16);
  store<f64>(sums, load<f64>(sums, 24) + twice * ab, 24);
  store<f64>(sums, load<f64>(sums, 32) + twice * bb, 32);
  store<f64>(sums, load<f64>(sums, 40) + wide * waa, 40);
  store<f64>(sums, load<f64>(sums, 48) + wide * wab, 48);
  store<f64>(sums, load<f64>(sums, 56) + wide * wbb, 56);
}
