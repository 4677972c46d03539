/** Light on its way through empty space, and products of waves behind it; see `fields.ts` for how fields lie. */
import { againstIm, againstRe, productIm, productRe, sumOf } from './complex';
import { fresh, from, lastStrip, to } from './rows';

/**
 * Spectrum ← spectrum·T, or spectrum·conj(T) on the way back, with T = H·conj(ramp): the transfer function of empty space, and the shift that
 * brings a wave back to where the detector is.
 * @param ramps see `shift`; 0: T = H
 */
export function transfer(re: usize, im: usize, hRe: usize, hIm: usize, ramps: usize, back: i32, n: i32): void {
  const bytes = <usize>n << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes) {
    let yr = f32x4.splat(1);
    let yi = f32x4.splat(0);
    if (ramps != 0) {
      yr = v128.load32_splat(ramps + (<usize>r << 2));
      yi = v128.load32_splat(ramps + bytes + (<usize>r << 2));
    }
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        let tr = v128.load(hRe + i);
        let ti = v128.load(hIm + i);
        if (ramps != 0) {
          const xr = v128.load(ramps + 2 * bytes + c);
          const xi = v128.load(ramps + 3 * bytes + c);
          const wr = productRe(yr, yi, xr, xi);
          const wi = productIm(yr, yi, xr, xi);
          const hr = tr;
          tr = againstRe(wr, wi, hr, ti);
          ti = againstIm(wr, wi, hr, ti);
        }
        const ar = v128.load(re + i);
        const ai = v128.load(im + i);
        // In place: lanes of the strip before are done.
        const nr = back ? againstRe(tr, ti, ar, ai) : productRe(tr, ti, ar, ai);
        const ni = back ? againstIm(tr, ti, ar, ai) : productIm(tr, ti, ar, ai);
        v128.store(re + i, v128.bitselect(nr, ar, own));
        v128.store(im + i, v128.bitselect(ni, ai, own));
      }
    }
  }
}

/**
 * Products of two changes of the wave that reaches the detector, A and B, with each other and with χ.
 * @param sums six float64 that are added to, as `stepProducts` has them
 */
export function waveProducts(
  aRe: usize,
  aIm: usize,
  bRe: usize,
  bIm: usize,
  cRe: usize,
  cIm: usize,
  sums: usize,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  let aa: f64 = 0;
  let bb: f64 = 0;
  let ab: f64 = 0;
  let abIm: f64 = 0;
  let ac: f64 = 0;
  let bc: f64 = 0;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let s4 = s0;
    let s5 = s0;
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const ar = v128.and(v128.load(aRe + i), own);
        const ai = v128.and(v128.load(aIm + i), own);
        const br = v128.and(v128.load(bRe + i), own);
        const bi = v128.and(v128.load(bIm + i), own);
        const xr = v128.load(cRe + i);
        const xi = v128.load(cIm + i);
        s0 = f32x4.add(s0, againstRe(ar, ai, ar, ai));
        s1 = f32x4.add(s1, againstRe(br, bi, br, bi));
        s2 = f32x4.add(s2, againstRe(br, bi, ar, ai));
        s3 = f32x4.add(s3, againstIm(br, bi, ar, ai));
        s4 = f32x4.add(s4, againstRe(ar, ai, xr, xi));
        s5 = f32x4.add(s5, againstRe(br, bi, xr, xi));
      }
    }
    aa += sumOf(s0);
    bb += sumOf(s1);
    ab += sumOf(s2);
    abIm += sumOf(s3);
    ac += sumOf(s4);
    bc += sumOf(s5);
  }
  store<f64>(sums, load<f64>(sums) + aa);
  store<f64>(sums, load<f64>(sums, 8) + bb, 8);
  store<f64>(sums, load<f64>(sums, 16) + ab, 16);
  store<f64>(sums, load<f64>(sums, 24) + abIm, 24);
  store<f64>(sums, load<f64>(sums, 32) + ac, 32);
  store<f64>(sums, load<f64>(sums, 40) + bc, 40);
}
