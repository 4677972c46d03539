/**
 * What iterative solvers do to fields besides transforming them. Fields are planes of float32, real and imaginary part apart;
 * patterns and their transforms are n×n with zero frequency at the corner; n is even, at least 4. Objects are larger: `stride` is the
 * length of their rows, `at` the element where a patch begins.
 */
import { againstIm, againstRe, productIm, productRe, sumOf } from './complex';
import { fresh, from, lastStrip, to } from './rows';

/**
 * out = source · ramp, ramp[r,c] = rows[r]·columns[c]: a shift in Fourier space.
 * @param ramps rowsRe (n), rowsIm (n), columnsRe (n), columnsIm (n)
 */
export function shift(re: usize, im: usize, ramps: usize, outRe: usize, outIm: usize, n: i32): void {
  const bytes = <usize>n << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes) {
    const yr = v128.load32_splat(ramps + (<usize>r << 2));
    const yi = v128.load32_splat(ramps + bytes + (<usize>r << 2));
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const xr = v128.load(ramps + 2 * bytes + c);
        const xi = v128.load(ramps + 3 * bytes + c);
        const wr = productRe(yr, yi, xr, xi);
        const wi = productIm(yr, yi, xr, xi);
        const ar = v128.load(re + i);
        const ai = v128.load(im + i);
        v128.store(outRe + i, productRe(wr, wi, ar, ai));
        v128.store(outIm + i, productIm(wr, wi, ar, ai));
      }
    }
  }
}

/** sum += source · conj(ramp): the adjoint of {@link shift}. */
export function addShiftedBack(re: usize, im: usize, ramps: usize, sumRe: usize, sumIm: usize, n: i32): void {
  const bytes = <usize>n << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes) {
    const yr = v128.load32_splat(ramps + (<usize>r << 2));
    const yi = v128.load32_splat(ramps + bytes + (<usize>r << 2));
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const xr = v128.load(ramps + 2 * bytes + c);
        const xi = v128.load(ramps + 3 * bytes + c);
        const wr = productRe(yr, yi, xr, xi);
        const wi = productIm(yr, yi, xr, xi);
        const ar = v128.and(v128.load(re + i), own);
        const ai = v128.and(v128.load(im + i), own);
        v128.store(sumRe + i, f32x4.add(v128.load(sumRe + i), againstRe(wr, wi, ar, ai)));
        v128.store(sumIm + i, f32x4.add(v128.load(sumIm + i), againstIm(wr, wi, ar, ai)));
      }
    }
  }
}

/** out = O·P. */
export function exitWave(oRe: usize, oIm: usize, stride: i32, pRe: usize, pIm: usize, outRe: usize, outIm: usize, n: i32): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, oRe += jump, oIm += jump) {
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const ar = v128.load(oRe + c);
        const ai = v128.load(oIm + c);
        const br = v128.load(pRe + i);
        const bi = v128.load(pIm + i);
        v128.store(outRe + i, productRe(ar, ai, br, bi));
        v128.store(outIm + i, productIm(ar, ai, br, bi));
      }
    }
  }
}

/**
 * intensity = scale·Σ|Ψ|² over `modes` waves that lie one after the other, `step` bytes apart, real plane then imaginary plane.
 */
export function intensity(waves: usize, modes: i32, step: usize, scale: f32, out: usize, n: i32): void {
  const plane = <usize>(n * n) << 2;
  const s = f32x4.splat(scale);
  for (let i: usize = 0; i < plane; i += 16) {
    let sum = f32x4.splat(0);
    for (let m = 0, at = waves + i; m < modes; m++, at += step) {
      const ar = v128.load(at);
      const ai = v128.load(at + plane);
      sum = f32x4.add(sum, f32x4.add(f32x4.mul(ar, ar), f32x4.mul(ai, ai)));
    }
    v128.store(out + i, f32x4.mul(s, sum));
  }
}

/**
 * Compares a model with a measurement. Measured amplitudes below 0 are bad pixels and count nowhere.
 * @param sums five float64 that are added to: Σ(√I − √J)², Σ|√I − √J|, Σ√I, ΣI, ΣJ (I measured, J modelled)
 */
export function compare(model: usize, measured: usize, sums: usize, n: i32): void {
  const zero = f32x4.splat(0);
  const bytes = <usize>n << 2;
  let square: f64 = 0;
  let absolute: f64 = 0;
  let amplitude: f64 = 0;
  let counts: f64 = 0;
  let modelled: f64 = 0;
  for (let r = 0; r < n; r++, model += bytes, measured += bytes) {
    let s0 = zero;
    let s1 = zero;
    let s2 = zero;
    let s3 = zero;
    let s4 = zero;
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const a = v128.load(measured + c);
        const good = v128.and(f32x4.ge(a, zero), own);
        const j = v128.and(v128.load(model + c), good);
        const root = v128.and(a, good);
        const d = f32x4.sub(root, f32x4.sqrt(j));
        s0 = f32x4.add(s0, f32x4.mul(d, d));
        s1 = f32x4.add(s1, f32x4.abs(d));
        s2 = f32x4.add(s2, root);
        s3 = f32x4.add(s3, f32x4.mul(root, root));
        s4 = f32x4.add(s4, j);
      }
    }
    square += sumOf(s0);
    absolute += sumOf(s1);
    amplitude += sumOf(s2);
    counts += sumOf(s3);
    modelled += sumOf(s4);
  }
  store<f64>(sums, load<f64>(sums) + square);
  store<f64>(sums, load<f64>(sums, 8) + absolute, 8);
  store<f64>(sums, load<f64>(sums, 16) + amplitude, 16);
  store<f64>(sums, load<f64>(sums, 24) + counts, 24);
  store<f64>(sums, load<f64>(sums, 32) + modelled, 32);
}

/**
 * model ← what every wave must be multiplied with to get its change: scale·(√I/√J − 1); 0 at bad pixels.
 * @param floor added to √J: no pixel is divided by nothing
 */
export function amplitudeChange(model: usize, measured: usize, scale: f32, floor: f32, n: i32): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const s = f32x4.splat(scale);
  const f = f32x4.splat(floor);
  const plane = <usize>(n * n) << 2;
  for (let i: usize = 0; i < plane; i += 16) {
    const a = v128.load(measured + i);
    const root = f32x4.add(f32x4.sqrt(v128.load(model + i)), f);
    const change = f32x4.mul(s, f32x4.sub(f32x4.div(a, root), one));
    v128.store(model + i, v128.and(change, f32x4.ge(a, zero)));
  }
}

/** What pulls waves of dark pixels towards 0: change −= scale·damp at good pixels. */
export function dampChange(change: usize, measured: usize, damp: usize, scale: f32, length: i32): void {
  const zero = f32x4.splat(0);
  const s = f32x4.splat(scale);
  const plane = <usize>length << 2;
  for (let i: usize = 0; i < plane; i += 16) {
    const pull = v128.and(f32x4.mul(s, v128.load(damp + i)), f32x4.ge(v128.load(measured + i), zero));
    v128.store(change + i, f32x4.sub(v128.load(change + i), pull));
  }
}

/**
 * The same for Poisson statistics: towards the amplitude z that is likeliest for the counts I while it stays near the model's,
 * minimum of z² − 2I·ln z + (z − √J)²: z = (√J + √(J + 8I))/4 (H. Chang, Y. Lou, Y. Duan, S. Marchesini, SIAM J. Imaging Sci. 11,
 * 24, 2018). Steps along the bare gradient, 1 − I/J, have no bound where the model is dark.
 */
export function poissonChange(model: usize, measured: usize, scale: f32, floor: f32, n: i32): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const eight = f32x4.splat(8);
  const quarter = f32x4.splat(0.25);
  const s = f32x4.splat(scale);
  const f = f32x4.splat(floor);
  const plane = <usize>(n * n) << 2;
  for (let i: usize = 0; i < plane; i += 16) {
    const a = v128.load(measured + i);
    const j = v128.load(model + i);
    const root = f32x4.sqrt(j);
    const counts = f32x4.mul(eight, f32x4.mul(a, a));
    const likely = f32x4.mul(quarter, f32x4.add(root, f32x4.sqrt(f32x4.add(j, counts))));
    const change = f32x4.mul(s, f32x4.sub(f32x4.div(likely, f32x4.add(root, f)), one));
    v128.store(model + i, v128.and(change, f32x4.ge(a, zero)));
  }
}

/**
 * Down the gradient of the likelihood of Poisson statistics, both sides raised by p counts: (I + p)/(J + p) − 1, whose mean over the noise is 0
 * where the model is right, however few the counts are.
 */
export function likelihoodChange(model: usize, measured: usize, scale: f32, pedestal: f32, n: i32): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const s = f32x4.splat(scale);
  const p = f32x4.splat(pedestal);
  const plane = <usize>(n * n) << 2;
  for (let i: usize = 0; i < plane; i += 16) {
    const a = v128.load(measured + i);
    const below = f32x4.add(v128.load(model + i), p);
    const ratio = f32x4.div(f32x4.add(f32x4.mul(a, a), p), below);
    const change = f32x4.mul(s, f32x4.sub(ratio, one));
    v128.store(model + i, v128.and(change, f32x4.ge(a, zero)));
  }
}

/** wave ← wave·factor, elementwise with a real plane. */
export function scaleBy(re: usize, im: usize, factor: usize, n: i32): void {
  const plane = <usize>(n * n) << 2;
  for (let i: usize = 0; i < plane; i += 16) {
    const f = v128.load(factor + i);
    v128.store(re + i, f32x4.mul(f, v128.load(re + i)));
    v128.store(im + i, f32x4.mul(f, v128.load(im + i)));
  }
}

/** out = 2·a − b. */
export function reflect(aRe: usize, aIm: usize, bRe: usize, bIm: usize, outRe: usize, outIm: usize, n: i32): void {
  const plane = <usize>(n * n) << 2;
  for (let i: usize = 0; i < plane; i += 16) {
    const ar = v128.load(aRe + i);
    const ai = v128.load(aIm + i);
    v128.store(outRe + i, f32x4.sub(f32x4.add(ar, ar), v128.load(bRe + i)));
    v128.store(outIm + i, f32x4.sub(f32x4.add(ai, ai), v128.load(bIm + i)));
  }
}

/** ψ ← q + d: the difference map's step; answers Σ|change|², which is 0 where it was done before. */
export function differenceStep(
  re: usize,
  im: usize,
  qRe: usize,
  qIm: usize,
  dRe: usize,
  dIm: usize,
  n: i32,
): f64 {
  const bytes = <usize>n << 2;
  let total: f64 = 0;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes) {
    let sum = f32x4.splat(0);
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const ar = v128.load(re + i);
        const ai = v128.load(im + i);
        const nr = f32x4.add(v128.load(qRe + i), v128.load(dRe + i));
        const ni = f32x4.add(v128.load(qIm + i), v128.load(dIm + i));
        const ur = f32x4.sub(nr, ar);
        const ui = f32x4.sub(ni, ai);
        v128.store(re + i, nr);
        v128.store(im + i, ni);
        sum = f32x4.add(sum, f32x4.add(f32x4.mul(ur, ur), f32x4.mul(ui, ui)));
      }
    }
    total += sumOf(sum);
  }
  return total;
}

/** sum += |P|ᵏ·conj(P)·χ at a patch of the object, k = 0 or 1 (`weighted`). */
export function addObject(
  pRe: usize,
  pIm: usize,
  cRe: usize,
  cIm: usize,
  weighted: i32,
  sumRe: usize,
  sumIm: usize,
  stride: i32,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, sumRe += jump, sumIm += jump) {
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const pr = v128.load(pRe + i);
        const pi = v128.load(pIm + i);
        let xr = v128.and(v128.load(cRe + i), own);
        let xi = v128.and(v128.load(cIm + i), own);
        if (weighted) {
          const w = f32x4.sqrt(againstRe(pr, pi, pr, pi));
          xr = f32x4.mul(w, xr);
          xi = f32x4.mul(w, xi);
        }
        v128.store(sumRe + c, f32x4.add(v128.load(sumRe + c), againstRe(pr, pi, xr, xi)));
        v128.store(sumIm + c, f32x4.add(v128.load(sumIm + c), againstIm(pr, pi, xr, xi)));
      }
    }
  }
}

/** sum += |P|² at a patch of the object. */
export function addIllumination(pRe: usize, pIm: usize, sum: usize, stride: i32, n: i32): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, sum += jump) {
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const pr = v128.load(pRe + i);
        const pi = v128.load(pIm + i);
        v128.store(sum + c, f32x4.add(v128.load(sum + c), v128.and(againstRe(pr, pi, pr, pi), own)));
      }
    }
  }
}

/** out = |O|ᵏ·conj(O)·χ, k = 0 or 1 (`weighted`). */
export function probeProduct(
  oRe: usize,
  oIm: usize,
  stride: i32,
  cRe: usize,
  cIm: usize,
  weighted: i32,
  outRe: usize,
  outIm: usize,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, oRe += jump, oIm += jump) {
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const or = v128.load(oRe + c);
        const oi = v128.load(oIm + c);
        let xr = v128.load(cRe + i);
        let xi = v128.load(cIm + i);
        if (weighted) {
          const w = f32x4.sqrt(againstRe(or, oi, or, oi));
          xr = f32x4.mul(w, xr);
          xi = f32x4.mul(w, xi);
        }
        v128.store(outRe + i, againstRe(or, oi, xr, xi));
        v128.store(outIm + i, againstIm(or, oi, xr, xi));
      }
    }
  }
}

/** sum += |O|² of a patch. */
export function addObjectIntensity(oRe: usize, oIm: usize, stride: i32, sum: usize, n: i32): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, oRe += jump, oIm += jump) {
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const or = v128.load(oRe + c);
        const oi = v128.load(oIm + c);
        v128.store(sum + i, f32x4.add(v128.load(sum + i), v128.and(againstRe(or, oi, or, oi), own)));
      }
    }
  }
}

/**
 * Products of two changes of the exit wave, A = δO·P and B = δP·O, with each other and with χ.
 * @param sums six float64 that are added to: Σ|A|², Σ|B|², Re ΣA·conj(B), Im ΣA·conj(B), Re Σconj(A)χ, Re Σconj(B)χ
 */
export function stepProducts(
  dRe: usize,
  dIm: usize,
  oRe: usize,
  oIm: usize,
  stride: i32,
  pRe: usize,
  pIm: usize,
  dpRe: usize,
  dpIm: usize,
  cRe: usize,
  cIm: usize,
  sums: usize,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  let aa: f64 = 0;
  let bb: f64 = 0;
  let ab: f64 = 0;
  let abIm: f64 = 0;
  let ac: f64 = 0;
  let bc: f64 = 0;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, dRe += jump, dIm += jump, oRe += jump, oIm += jump) {
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
        const dr = v128.load(dRe + c);
        const di = v128.load(dIm + c);
        const pr = v128.and(v128.load(pRe + i), own);
        const pi = v128.and(v128.load(pIm + i), own);
        const ar = productRe(dr, di, pr, pi);
        const ai = productIm(dr, di, pr, pi);
        const or = v128.load(oRe + c);
        const oi = v128.load(oIm + c);
        const qr = v128.and(v128.load(dpRe + i), own);
        const qi = v128.and(v128.load(dpIm + i), own);
        const br = productRe(or, oi, qr, qi);
        const bi = productIm(or, oi, qr, qi);
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

/**
 * How a move of the position changes the exit wave, Y = ∂O/∂y·P and X = ∂O/∂x·P (central differences), against χ. The patch needs a
 * margin of one pixel in the object.
 * @param sums five float64 that are added to: Σ|Y|², Σ|X|², Re ΣY·conj(X), Re Σconj(Y)χ, Re Σconj(X)χ
 */
export function positionProducts(
  oRe: usize,
  oIm: usize,
  stride: i32,
  pRe: usize,
  pIm: usize,
  cRe: usize,
  cIm: usize,
  sums: usize,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  const half = f32x4.splat(0.5);
  let yy: f64 = 0;
  let xx: f64 = 0;
  let yx: f64 = 0;
  let yc: f64 = 0;
  let xc: f64 = 0;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, oRe += jump, oIm += jump) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let s4 = s0;
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const pr = f32x4.mul(half, v128.and(v128.load(pRe + i), own));
        const pi = f32x4.mul(half, v128.and(v128.load(pIm + i), own));
        const ur = f32x4.sub(v128.load(oRe + c + jump), v128.load(oRe + c - jump));
        const ui = f32x4.sub(v128.load(oIm + c + jump), v128.load(oIm + c - jump));
        const vr = f32x4.sub(v128.load(oRe + c + 4), v128.load(oRe + c - 4));
        const vi = f32x4.sub(v128.load(oIm + c + 4), v128.load(oIm + c - 4));
        const yr = productRe(ur, ui, pr, pi);
        const yi = productIm(ur, ui, pr, pi);
        const wr = productRe(vr, vi, pr, pi);
        const wi = productIm(vr, vi, pr, pi);
        const kr = v128.load(cRe + i);
        const ki = v128.load(cIm + i);
        s0 = f32x4.add(s0, againstRe(yr, yi, yr, yi));
        s1 = f32x4.add(s1, againstRe(wr, wi, wr, wi));
        s2 = f32x4.add(s2, againstRe(wr, wi, yr, yi));
        s3 = f32x4.add(s3, againstRe(yr, yi, kr, ki));
        s4 = f32x4.add(s4, againstRe(wr, wi, kr, ki));
      }
    }
    yy += sumOf(s0);
    xx += sumOf(s1);
    yx += sumOf(s2);
    yc += sumOf(s3);
    xc += sumOf(s4);
  }
  store<f64>(sums, load<f64>(sums) + yy);
  store<f64>(sums, load<f64>(sums, 8) + xx, 8);
  store<f64>(sums, load<f64>(sums, 16) + yx, 16);
  store<f64>(sums, load<f64>(sums, 24) + yc, 24);
  store<f64>(sums, load<f64>(sums, 32) + xc, 32);
}

/**
 * Products in Fourier space of a field U that is shifted by a ramp with G, and of the lights of U and a patch of the object.
 * @param ramps see {@link shift}
 * @param sums three float64 that are added to: Re and Im of Σconj(U·ramp)·G, Σ|u|²|O|²
 * @param uRe,uIm the spectrum of the field; `fieldRe`, `fieldIm`: the field itself
 */
export function fieldProducts(
  uRe: usize,
  uIm: usize,
  ramps: usize,
  gRe: usize,
  gIm: usize,
  fieldRe: usize,
  fieldIm: usize,
  oRe: usize,
  oIm: usize,
  stride: i32,
  sums: usize,
  n: i32,
): void {
  const bytes = <usize>n << 2;
  const jump = <usize>stride << 2;
  let re: f64 = 0;
  let im: f64 = 0;
  let light: f64 = 0;
  for (let r = 0, row: usize = 0; r < n; r++, row += bytes, oRe += jump, oIm += jump) {
    const yr = v128.load32_splat(ramps + (<usize>r << 2));
    const yi = v128.load32_splat(ramps + bytes + (<usize>r << 2));
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    for (let strip = 0; strip <= lastStrip(bytes); strip++) {
      const own = fresh(strip);
      const end = to(strip, bytes);
      for (let c = from(strip, bytes); c < end; c += 16) {
        const i = row + c;
        const xr = v128.load(ramps + 2 * bytes + c);
        const xi = v128.load(ramps + 3 * bytes + c);
        const wr = productRe(yr, yi, xr, xi);
        const wi = productIm(yr, yi, xr, xi);
        const ur = v128.load(uRe + i);
        const ui = v128.load(uIm + i);
        const sr = productRe(wr, wi, ur, ui);
        const si = productIm(wr, wi, ur, ui);
        const gr = v128.and(v128.load(gRe + i), own);
        const gi = v128.and(v128.load(gIm + i), own);
        s0 = f32x4.add(s0, againstRe(sr, si, gr, gi));
        s1 = f32x4.add(s1, againstIm(sr, si, gr, gi));
        const fr = v128.load(fieldRe + i);
        const fi = v128.load(fieldIm + i);
        const or = v128.load(oRe + c);
        const oi = v128.load(oIm + c);
        const lit = f32x4.mul(againstRe(fr, fi, fr, fi), againstRe(or, oi, or, oi));
        s2 = f32x4.add(s2, v128.and(lit, own));
      }
    }
    re += sumOf(s0);
    im += sumOf(s1);
    light += sumOf(s2);
  }
  store<f64>(sums, load<f64>(sums) + re);
  store<f64>(sums, load<f64>(sums, 8) + im, 8);
  store<f64>(sums, load<f64>(sums, 16) + light, 16);
}
