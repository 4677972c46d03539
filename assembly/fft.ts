/**
 * Fourier transforms of square images of any even side in place, four lines at a time.
 *
 * A line is transformed by Stockham's algorithm (W. T. Cochran et al., Proc. IEEE 55, 1664, 1967; decimation in frequency), which
 * needs no reordering at its end: radix 2, 3, 4 and 5, and for other prime factors plain sums. Four neighbouring lines lie in the four
 * lanes of a vector, so that no butterfly crosses lanes. Where the side is no multiple of 4, the last four lines begin two lines
 * earlier, among those that are done already; these are transformed again and thrown away.
 *
 * A plan, written by the caller: the number of stages, then for each stage its radix and the address of its factors
 * e^{−2πi·j·p/L}, p outermost, j = 1 … radix − 1, as pairs of floats (L: the length that the stage starts with). Before the factors
 * of a radix above 5 stand e^{−2πi·j/radix}, j = 0 … radix − 1.
 */
import { from, lastStrip, to } from './rows';

/** One lane-vector of complex numbers: 16 bytes real, 16 bytes imaginary. */
const ELEMENT: usize = 32;

/** Lines that are transformed together along columns: whole cache lines are read then. */
const GROUPS: i32 = 4;

/** Bytes between groups of lines in scratch: not a multiple of 4096, or loads would wait for stores that only look alike. */
// @ts-expect-error: decorator
@inline
function groupBytes(n: i32): usize {
  return <usize>n * ELEMENT + 192;
}

/**
 * F[k,l] = Σ f[r,c] e^{−2πi(kr + lc)/n}, not normalised; with `re` and `im` exchanged it is n² times the inverse.
 * @param n even, at least 4
 * @param scratch 2·GROUPS·(32n + 192) bytes
 */
export function fft2(re: usize, im: usize, n: i32, plan: usize, scratch: usize): void {
  alongRows(re, im, n, plan, scratch);
  alongColumns(re, im, n, plan, scratch);
}

function alongRows(re: usize, im: usize, n: i32, plan: usize, scratch: usize): void {
  const other = scratch + groupBytes(n);
  const row = <usize>n << 2;
  const whole = n & ~3;
  for (let r = 0; r < whole; r += 4) {
    const top = re + <usize>r * row;
    const topIm = im + <usize>r * row;
    lanesFromRows(top, row, n, scratch);
    lanesFromRows(topIm, row, n, scratch + 16);
    const out = line(n, plan, scratch, other);
    rowsFromLanes(top, row, n, out);
    rowsFromLanes(topIm, row, n, out + 16);
  }
  if (whole == n) return;
  const top = re + <usize>(n - 4) * row;
  const topIm = im + <usize>(n - 4) * row;
  lanesFromRows(top, row, n, scratch);
  lanesFromRows(topIm, row, n, scratch + 16);
  const out = line(n, plan, scratch, other);
  lastRowsFromLanes(top + 2 * row, row, n, out);
  lastRowsFromLanes(topIm + 2 * row, row, n, out + 16);
}

function alongColumns(re: usize, im: usize, n: i32, plan: usize, scratch: usize): void {
  const size = groupBytes(n);
  const row = <usize>n << 2;
  const other = scratch + size * GROUPS;
  const whole = n & ~3;
  for (let c = 0; c < whole; c += 4 * GROUPS) {
    const groups = min(GROUPS, (whole - c) >> 2);
    const left = re + (<usize>c << 2);
    const leftIm = im + (<usize>c << 2);
    for (let r = 0; r < n; r++) {
      const a = left + <usize>r * row;
      const b = leftIm + <usize>r * row;
      let o = scratch + <usize>r * ELEMENT;
      for (let g = 0; g < groups; g++, o += size) {
        v128.store(o, v128.load(a + (<usize>g << 4)));
        v128.store(o, v128.load(b + (<usize>g << 4)), 16);
      }
    }
    // Every group ends on the same side of the exchange.
    let offset: usize = 0;
    for (let g = 0; g < groups; g++) {
      const x = scratch + <usize>g * size;
      offset = line(n, plan, x, other + <usize>g * size) - x;
    }
    for (let r = 0; r < n; r++) {
      const a = left + <usize>r * row;
      const b = leftIm + <usize>r * row;
      let o = scratch + offset + <usize>r * ELEMENT;
      for (let g = 0; g < groups; g++, o += size) {
        v128.store(a + (<usize>g << 4), v128.load(o));
        v128.store(b + (<usize>g << 4), v128.load(o, 16));
      }
    }
  }
  if (whole == n) return;
  const left = re + row - 16;
  const leftIm = im + row - 16;
  for (let r = 0; r < n; r++) {
    const o = scratch + <usize>r * ELEMENT;
    v128.store(o, v128.load(left + <usize>r * row));
    v128.store(o, v128.load(leftIm + <usize>r * row), 16);
  }
  const out = line(n, plan, scratch, other);
  for (let r = 0; r < n; r++) {
    const o = out + <usize>r * ELEMENT;
    v128.store64_lane(left + 8 + <usize>r * row, v128.load(o), 1);
    v128.store64_lane(leftIm + 8 + <usize>r * row, v128.load(o, 16), 1);
  }
}

/** Transforms n elements at `a`, with `b` as the other side; answers where the result is. */
function line(n: i32, plan: usize, a: usize, b: usize): usize {
  const stages = load<i32>(plan);
  let x = a;
  let y = b;
  let length = n;
  let stride = 1;
  for (let k = 0; k < stages; k++) {
    const radix = load<i32>(plan + 4 + <usize>k * 8);
    const factors = <usize>load<i32>(plan + 8 + <usize>k * 8);
    const m = length / radix;
    if (radix == 4) stage4(m, stride, x, y, factors);
    else if (radix == 2) stage2(m, stride, x, y, factors);
    else if (radix == 3) stage3(m, stride, x, y, factors);
    else if (radix == 5) stage5(m, stride, x, y, factors);
    else stageOf(radix, m, stride, x, y, factors);
    const t = x;
    x = y;
    y = t;
    length = m;
    stride *= radix;
  }
  return x;
}

function stage2(m: i32, s: i32, x: usize, y: usize, factors: usize): void {
  const half = <usize>(m * s) * ELEMENT;
  const step = <usize>s * ELEMENT;
  for (let p = 0; p < m; p++) {
    const wr = v128.load32_splat(factors);
    const wi = v128.load32_splat(factors, 4);
    factors += 8;
    let i = x + <usize>(p * s) * ELEMENT;
    let o = y + <usize>(2 * p * s) * ELEMENT;
    for (let q = 0; q < s; q++, i += ELEMENT, o += ELEMENT) {
      const ar = v128.load(i);
      const ai = v128.load(i, 16);
      const br = v128.load(i + half);
      const bi = v128.load(i + half, 16);
      v128.store(o, f32x4.add(ar, br));
      v128.store(o, f32x4.add(ai, bi), 16);
      put(o + step, f32x4.sub(ar, br), f32x4.sub(ai, bi), wr, wi);
    }
  }
}

function stage3(m: i32, s: i32, x: usize, y: usize, factors: usize): void {
  const d1 = <usize>(m * s) * ELEMENT;
  const d2 = d1 * 2;
  const step = <usize>s * ELEMENT;
  const half = f32x4.splat(0.5);
  const sine = f32x4.splat(0.8660254037844386);
  for (let p = 0; p < m; p++) {
    const w1r = v128.load32_splat(factors);
    const w1i = v128.load32_splat(factors, 4);
    const w2r = v128.load32_splat(factors, 8);
    const w2i = v128.load32_splat(factors, 12);
    factors += 16;
    let i = x + <usize>(p * s) * ELEMENT;
    let o = y + <usize>(3 * p * s) * ELEMENT;
    for (let q = 0; q < s; q++, i += ELEMENT, o += ELEMENT) {
      const ar = v128.load(i);
      const ai = v128.load(i, 16);
      const br = v128.load(i + d1);
      const bi = v128.load(i + d1, 16);
      const cr = v128.load(i + d2);
      const ci = v128.load(i + d2, 16);
      const sr = f32x4.add(br, cr);
      const si = f32x4.add(bi, ci);
      const dr = f32x4.mul(sine, f32x4.sub(br, cr));
      const di = f32x4.mul(sine, f32x4.sub(bi, ci));
      const tr = f32x4.sub(ar, f32x4.mul(half, sr));
      const ti = f32x4.sub(ai, f32x4.mul(half, si));
      v128.store(o, f32x4.add(ar, sr));
      v128.store(o, f32x4.add(ai, si), 16);
      put(o + step, f32x4.add(tr, di), f32x4.sub(ti, dr), w1r, w1i);
      put(o + 2 * step, f32x4.sub(tr, di), f32x4.add(ti, dr), w2r, w2i);
    }
  }
}

function stage4(m: i32, s: i32, x: usize, y: usize, factors: usize): void {
  const d1 = <usize>(m * s) * ELEMENT;
  const d2 = d1 * 2;
  const d3 = d1 * 3;
  const step = <usize>s * ELEMENT;
  for (let p = 0; p < m; p++) {
    const w1r = v128.load32_splat(factors);
    const w1i = v128.load32_splat(factors, 4);
    const w2r = v128.load32_splat(factors, 8);
    const w2i = v128.load32_splat(factors, 12);
    const w3r = v128.load32_splat(factors, 16);
    const w3i = v128.load32_splat(factors, 20);
    factors += 24;
    let i = x + <usize>(p * s) * ELEMENT;
    let o = y + <usize>(4 * p * s) * ELEMENT;
    for (let q = 0; q < s; q++, i += ELEMENT, o += ELEMENT) {
      const ar = v128.load(i);
      const ai = v128.load(i, 16);
      const br = v128.load(i + d1);
      const bi = v128.load(i + d1, 16);
      const cr = v128.load(i + d2);
      const ci = v128.load(i + d2, 16);
      const dr = v128.load(i + d3);
      const di = v128.load(i + d3, 16);
      const sr = f32x4.add(ar, cr);
      const si = f32x4.add(ai, ci);
      const tr = f32x4.sub(ar, cr);
      const ti = f32x4.sub(ai, ci);
      const ur = f32x4.add(br, dr);
      const ui = f32x4.add(bi, di);
      const vr = f32x4.sub(br, dr);
      const vi = f32x4.sub(bi, di);
      v128.store(o, f32x4.add(sr, ur));
      v128.store(o, f32x4.add(si, ui), 16);
      put(o + step, f32x4.add(tr, vi), f32x4.sub(ti, vr), w1r, w1i);
      put(o + 2 * step, f32x4.sub(sr, ur), f32x4.sub(si, ui), w2r, w2i);
      put(o + 3 * step, f32x4.sub(tr, vi), f32x4.add(ti, vr), w3r, w3i);
    }
  }
}

function stage5(m: i32, s: i32, x: usize, y: usize, factors: usize): void {
  const d1 = <usize>(m * s) * ELEMENT;
  const step = <usize>s * ELEMENT;
  const c1 = f32x4.splat(0.30901699437494745);
  const c2 = f32x4.splat(-0.8090169943749475);
  const s1 = f32x4.splat(0.9510565162951535);
  const s2 = f32x4.splat(0.5877852522924731);
  for (let p = 0; p < m; p++) {
    let i = x + <usize>(p * s) * ELEMENT;
    let o = y + <usize>(5 * p * s) * ELEMENT;
    for (let q = 0; q < s; q++, i += ELEMENT, o += ELEMENT) {
      const ar = v128.load(i);
      const ai = v128.load(i, 16);
      const br = v128.load(i + d1);
      const bi = v128.load(i + d1, 16);
      const cr = v128.load(i + 2 * d1);
      const ci = v128.load(i + 2 * d1, 16);
      const dr = v128.load(i + 3 * d1);
      const di = v128.load(i + 3 * d1, 16);
      const er = v128.load(i + 4 * d1);
      const ei = v128.load(i + 4 * d1, 16);
      // Sums and differences of the outer and of the inner pair.
      const or = f32x4.add(br, er);
      const oi = f32x4.add(bi, ei);
      const pr = f32x4.sub(br, er);
      const pi = f32x4.sub(bi, ei);
      const ir = f32x4.add(cr, dr);
      const ii = f32x4.add(ci, di);
      const jr = f32x4.sub(cr, dr);
      const ji = f32x4.sub(ci, di);
      v128.store(o, f32x4.add(ar, f32x4.add(or, ir)));
      v128.store(o, f32x4.add(ai, f32x4.add(oi, ii)), 16);
      const xr = f32x4.add(ar, f32x4.add(f32x4.mul(c1, or), f32x4.mul(c2, ir)));
      const xi = f32x4.add(ai, f32x4.add(f32x4.mul(c1, oi), f32x4.mul(c2, ii)));
      const yr = f32x4.add(f32x4.mul(s1, pr), f32x4.mul(s2, jr));
      const yi = f32x4.add(f32x4.mul(s1, pi), f32x4.mul(s2, ji));
      const ur = f32x4.add(ar, f32x4.add(f32x4.mul(c2, or), f32x4.mul(c1, ir)));
      const ui = f32x4.add(ai, f32x4.add(f32x4.mul(c2, oi), f32x4.mul(c1, ii)));
      const vr = f32x4.sub(f32x4.mul(s2, pr), f32x4.mul(s1, jr));
      const vi = f32x4.sub(f32x4.mul(s2, pi), f32x4.mul(s1, ji));
      put(o + step, f32x4.add(xr, yi), f32x4.sub(xi, yr), v128.load32_splat(factors), v128.load32_splat(factors, 4));
      put(o + 2 * step, f32x4.add(ur, vi), f32x4.sub(ui, vr), v128.load32_splat(factors, 8), v128.load32_splat(factors, 12));
      put(o + 3 * step, f32x4.sub(ur, vi), f32x4.add(ui, vr), v128.load32_splat(factors, 16), v128.load32_splat(factors, 20));
      put(o + 4 * step, f32x4.sub(xr, yi), f32x4.add(xi, yr), v128.load32_splat(factors, 24), v128.load32_splat(factors, 28));
    }
    factors += 32;
  }
}

/**
 * Any odd radix, by sums of radix terms: x_j and x_{−j} make their sum times a cosine and their difference times a sine, of which the
 * outputs k and −k have the same.
 */
function stageOf(radix: i32, m: i32, s: i32, x: usize, y: usize, roots: usize): void {
  const d1 = <usize>(m * s) * ELEMENT;
  const step = <usize>s * ELEMENT;
  const half = (radix - 1) >> 1;
  let factors = roots + (<usize>radix << 3);
  for (let p = 0; p < m; p++) {
    let i = x + <usize>(p * s) * ELEMENT;
    let o = y + <usize>(radix * p * s) * ELEMENT;
    for (let q = 0; q < s; q++, i += ELEMENT, o += ELEMENT) {
      const zr = v128.load(i);
      const zi = v128.load(i, 16);
      let allR = zr;
      let allI = zi;
      for (let j = 1, at = i + d1; j < radix; j++, at += d1) {
        allR = f32x4.add(allR, v128.load(at));
        allI = f32x4.add(allI, v128.load(at, 16));
      }
      v128.store(o, allR);
      v128.store(o, allI, 16);
      for (let k = 1; k <= half; k++) {
        let tr = zr;
        let ti = zi;
        let ur = f32x4.splat(0);
        let ui = ur;
        let turn = 0;
        for (let j = 1; j <= half; j++) {
          turn += k;
          if (turn >= radix) turn -= radix;
          const c = v128.load32_splat(roots + (<usize>turn << 3));
          const sine = v128.load32_splat(roots + (<usize>turn << 3), 4);
          const a = i + <usize>j * d1;
          const b = i + <usize>(radix - j) * d1;
          const ar = v128.load(a);
          const ai = v128.load(a, 16);
          const br = v128.load(b);
          const bi = v128.load(b, 16);
          tr = f32x4.add(tr, f32x4.mul(c, f32x4.add(ar, br)));
          ti = f32x4.add(ti, f32x4.mul(c, f32x4.add(ai, bi)));
          ur = f32x4.add(ur, f32x4.mul(sine, f32x4.sub(ai, bi)));
          ui = f32x4.add(ui, f32x4.mul(sine, f32x4.sub(ar, br)));
        }
        const w = factors + (<usize>(k - 1) << 3);
        const v = factors + (<usize>(radix - k - 1) << 3);
        const wr = v128.load32_splat(w);
        const wi = v128.load32_splat(w, 4);
        put(o + <usize>k * step, f32x4.sub(tr, ur), f32x4.add(ti, ui), wr, wi);
        const vr = v128.load32_splat(v);
        const vi = v128.load32_splat(v, 4);
        put(o + <usize>(radix - k) * step, f32x4.add(tr, ur), f32x4.sub(ti, ui), vr, vi);
      }
    }
    factors += <usize>(radix - 1) << 3;
  }
}

/** Stores a·w. */
// @ts-expect-error: decorator
@inline
function put(at: usize, ar: v128, ai: v128, wr: v128, wi: v128): void {
  v128.store(at, f32x4.sub(f32x4.mul(ar, wr), f32x4.mul(ai, wi)));
  v128.store(at, f32x4.add(f32x4.mul(ar, wi), f32x4.mul(ai, wr)), 16);
}

/** Four rows of n floats, `row` bytes apart, into the lanes of every second vector at `lanes`. */
// @ts-expect-error: decorator
@inline
function lanesFromRows(base: usize, row: usize, n: i32, lanes: usize): void {
  for (let strip = 0; strip <= lastStrip(row); strip++) {
    const end = to(strip, row);
    for (let c = from(strip, row); c < end; c += 16) {
      const p = base + c;
      const a = v128.load(p);
      const b = v128.load(p + row);
      const d = v128.load(p + 2 * row);
      const e = v128.load(p + 3 * row);
      const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const de0 = v128.shuffle<f32>(d, e, 0, 4, 1, 5);
      const de1 = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
      const o = lanes + (c >> 2) * ELEMENT;
      v128.store(o, v128.shuffle<f32>(ab0, de0, 0, 1, 4, 5));
      v128.store(o, v128.shuffle<f32>(ab0, de0, 2, 3, 6, 7), 32);
      v128.store(o, v128.shuffle<f32>(ab1, de1, 0, 1, 4, 5), 64);
      v128.store(o, v128.shuffle<f32>(ab1, de1, 2, 3, 6, 7), 96);
    }
  }
}

/** The reverse of {@link lanesFromRows}. */
// @ts-expect-error: decorator
@inline
function rowsFromLanes(base: usize, row: usize, n: i32, lanes: usize): void {
  for (let strip = 0; strip <= lastStrip(row); strip++) {
    const end = to(strip, row);
    for (let c = from(strip, row); c < end; c += 16) {
      const o = lanes + (c >> 2) * ELEMENT;
      const a = v128.load(o);
      const b = v128.load(o, 32);
      const d = v128.load(o, 64);
      const e = v128.load(o, 96);
      const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const de0 = v128.shuffle<f32>(d, e, 0, 4, 1, 5);
      const de1 = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
      const p = base + c;
      v128.store(p, v128.shuffle<f32>(ab0, de0, 0, 1, 4, 5));
      v128.store(p + row, v128.shuffle<f32>(ab0, de0, 2, 3, 6, 7));
      v128.store(p + 2 * row, v128.shuffle<f32>(ab1, de1, 0, 1, 4, 5));
      v128.store(p + 3 * row, v128.shuffle<f32>(ab1, de1, 2, 3, 6, 7));
    }
  }
}

/** Lanes 2 and 3 of every second vector at `lanes` into two rows. */
function lastRowsFromLanes(base: usize, row: usize, n: i32, lanes: usize): void {
  for (let c = 0; c < n; c++) {
    const v = v128.load(lanes + <usize>c * ELEMENT);
    v128.store32_lane(base + (<usize>c << 2), v, 2);
    v128.store32_lane(base + row + (<usize>c << 2), v, 3);
  }
}
