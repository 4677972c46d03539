/**
 * One line of a Fourier transform, four at a time.
 *
 * A line is transformed by Stockham's algorithm (W. T. Cochran et al., Proc. IEEE 55, 1664, 1967; decimation in frequency), which
 * needs no reordering at its end: radix 2, 3, 4, 5 and 8, and for other prime factors plain sums. Four neighbouring lines lie in the four
 * lanes of a vector, so that no butterfly crosses lanes.
 *
 * A plan, written by the caller: the number of stages, then for each stage its radix and the address of its factors
 * e^{−2πi·j·p/L}, p outermost, j = 1 … radix − 1, as pairs of floats (L: the length that the stage starts with). Before the factors
 * of a radix without code of its own stand e^{−2πi·j/radix}, j = 0 … radix − 1.
 */

/** One lane-vector of complex numbers: 16 bytes real, 16 bytes imaginary. */
export const ELEMENT: usize = 32;

/** Bytes between groups of lines: not a multiple of 4096, or loads would wait for stores that only look alike. */
// @ts-expect-error: decorator
@inline
export function groupBytes(n: i32): usize {
  return <usize>n * ELEMENT + 192;
}

/** Transforms n elements at `a`, with `b` as the other side; answers where the result is. */
export function line(n: i32, plan: usize, a: usize, b: usize): usize {
  const stages = load<i32>(plan);
  let x = a;
  let y = b;
  let length = n;
  let stride = 1;
  for (let k = 0; k < stages; k++) {
    const radix = load<i32>(plan + 4 + <usize>k * 8);
    const factors = <usize>load<i32>(plan + 8 + <usize>k * 8);
    const m = length / radix;
    if (radix == 8) m == 1 ? last8(stride, x, y) : stage8(m, stride, x, y, factors);
    else if (radix == 4) m == 1 ? last4(stride, x, y) : stride == 1 ? first4(m, x, y, factors) : stage4(m, stride, x, y, factors);
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
  const step = <usize>s * ELEMENT;
  const all = step << 2;
  for (let p = 0; p < m; p++, factors += 24, y += all) {
    for (let q: usize = 0; q < step; q += ELEMENT, x += ELEMENT) {
      four(
        v128.load(x),
        v128.load(x, 16),
        v128.load(x + d1),
        v128.load(x + d1, 16),
        v128.load(x + 2 * d1),
        v128.load(x + 2 * d1, 16),
        v128.load(x + 3 * d1),
        v128.load(x + 3 * d1, 16),
        y + q,
        step,
        factors,
        0,
        1,
        true,
      );
    }
  }
}

/** The first stage, whose elements lie one after the other. */
function first4(m: i32, x: usize, y: usize, factors: usize): void {
  const d1 = <usize>m * ELEMENT;
  for (const end = x + d1; x < end; x += ELEMENT, factors += 24, y += 4 * ELEMENT) {
    four(
      v128.load(x),
      v128.load(x, 16),
      v128.load(x + d1),
      v128.load(x + d1, 16),
      v128.load(x + 2 * d1),
      v128.load(x + 2 * d1, 16),
      v128.load(x + 3 * d1),
      v128.load(x + 3 * d1, 16),
      y,
      ELEMENT,
      factors,
      0,
      1,
      true,
    );
  }
}

/** √½, by which factors of the eighth roots of unity go. */
const ROOT: f32 = 0.7071067811865476;

/** Each element is loaded twice, for the even outputs and for the odd ones: more at a time would not fit into registers. */
function stage8(m: i32, s: i32, x: usize, y: usize, factors: usize): void {
  const d1 = <usize>(m * s) * ELEMENT;
  const step = <usize>s * ELEMENT;
  for (let p = 0; p < m; p++) {
    let i = x + <usize>(p * s) * ELEMENT;
    let o = y + <usize>(8 * p * s) * ELEMENT;
    for (let q = 0; q < s; q++, i += ELEMENT, o += ELEMENT) {
      even8(i, d1, o, step, factors, true);
      odd8(i, d1, o, step, factors, true);
    }
    factors += 56;
  }
}

/** The last stage, whose factors are all 1. */
function last8(s: i32, x: usize, y: usize): void {
  const step = <usize>s * ELEMENT;
  for (let q = 0; q < s; q++, x += ELEMENT, y += ELEMENT) {
    even8(x, step, y, step, 0, false);
    odd8(x, step, y, step, 0, false);
  }
}

// @ts-expect-error: decorator
@inline
function factorPut(at: usize, ar: v128, ai: v128, factors: usize, j: i32, turned: boolean): void {
  if (turned) put(at, ar, ai, v128.load32_splat(factors + (<usize>(j - 1) << 3)), v128.load32_splat(factors + (<usize>(j - 1) << 3), 4));
  else {
    v128.store(at, ar);
    v128.store(at, ai, 16);
  }
}

// @ts-expect-error: decorator
@inline
function even8(i: usize, d: usize, o: usize, step: usize, factors: usize, turned: boolean): void {
  const i4 = i + 4 * d;
  const ar = f32x4.add(v128.load(i), v128.load(i4));
  const ai = f32x4.add(v128.load(i, 16), v128.load(i4, 16));
  const cr = f32x4.add(v128.load(i + 2 * d), v128.load(i4 + 2 * d));
  const ci = f32x4.add(v128.load(i + 2 * d, 16), v128.load(i4 + 2 * d, 16));
  const br = f32x4.add(v128.load(i + d), v128.load(i4 + d));
  const bi = f32x4.add(v128.load(i + d, 16), v128.load(i4 + d, 16));
  const er = f32x4.add(v128.load(i + 3 * d), v128.load(i4 + 3 * d));
  const ei = f32x4.add(v128.load(i + 3 * d, 16), v128.load(i4 + 3 * d, 16));
  four(ar, ai, br, bi, cr, ci, er, ei, o, step, factors, 0, 2, turned);
}

// @ts-expect-error: decorator
@inline
function odd8(i: usize, d: usize, o: usize, step: usize, factors: usize, turned: boolean): void {
  const i4 = i + 4 * d;
  const root = f32x4.splat(ROOT);
  const ar = f32x4.sub(v128.load(i), v128.load(i4));
  const ai = f32x4.sub(v128.load(i, 16), v128.load(i4, 16));
  // Times −i.
  const ci = f32x4.sub(v128.load(i4 + 2 * d), v128.load(i + 2 * d));
  const cr = f32x4.sub(v128.load(i + 2 * d, 16), v128.load(i4 + 2 * d, 16));
  // Times (1 − i)/√2.
  let tr = f32x4.sub(v128.load(i + d), v128.load(i4 + d));
  let ti = f32x4.sub(v128.load(i + d, 16), v128.load(i4 + d, 16));
  const br = f32x4.mul(root, f32x4.add(ti, tr));
  const bi = f32x4.mul(root, f32x4.sub(ti, tr));
  // Times (−1 − i)/√2; of which the imaginary part is kept with the other sign.
  tr = f32x4.sub(v128.load(i + 3 * d), v128.load(i4 + 3 * d));
  ti = f32x4.sub(v128.load(i + 3 * d, 16), v128.load(i4 + 3 * d, 16));
  const er = f32x4.mul(root, f32x4.sub(ti, tr));
  const ei = f32x4.mul(f32x4.splat(-ROOT), f32x4.add(ti, tr));
  four(ar, ai, br, bi, cr, ci, er, ei, o, step, factors, 1, 2, turned);
}

/** The transform of four numbers, to the outputs `first`, `first` + `gap` … */
// @ts-expect-error: decorator
@inline
function four(
  ar: v128,
  ai: v128,
  br: v128,
  bi: v128,
  cr: v128,
  ci: v128,
  dr: v128,
  di: v128,
  o: usize,
  step: usize,
  factors: usize,
  first: i32,
  gap: i32,
  turned: boolean,
): void {
  const sr = f32x4.add(ar, cr);
  const si = f32x4.add(ai, ci);
  const tr = f32x4.sub(ar, cr);
  const ti = f32x4.sub(ai, ci);
  const ur = f32x4.add(br, dr);
  const ui = f32x4.add(bi, di);
  const vr = f32x4.sub(br, dr);
  const vi = f32x4.sub(bi, di);
  factorPut(o + <usize>first * step, f32x4.add(sr, ur), f32x4.add(si, ui), factors, first, turned && first != 0);
  factorPut(o + <usize>(first + 1 * gap) * step, f32x4.add(tr, vi), f32x4.sub(ti, vr), factors, first + 1 * gap, turned);
  factorPut(o + <usize>(first + 2 * gap) * step, f32x4.sub(sr, ur), f32x4.sub(si, ui), factors, first + 2 * gap, turned);
  factorPut(o + <usize>(first + 3 * gap) * step, f32x4.sub(tr, vi), f32x4.add(ti, vr), factors, first + 3 * gap, turned);
}

function last4(s: i32, x: usize, y: usize): void {
  const step = <usize>s * ELEMENT;
  for (let q = 0; q < s; q++, x += ELEMENT, y += ELEMENT) {
    four(
      v128.load(x),
      v128.load(x, 16),
      v128.load(x + step),
      v128.load(x + step, 16),
      v128.load(x + 2 * step),
      v128.load(x + 2 * step, 16),
      v128.load(x + 3 * step),
      v128.load(x + 3 * step, 16),
      y,
      step,
      0,
      0,
      1,
      false,
    );
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
