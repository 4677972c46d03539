/**
 * What passes do to one pattern, with as few ways through memory as possible; for sides that are a multiple of 4.
 *
 * A transform has two halves, along rows and along columns, and what happens to a field before and after it can be done while its lines
 * are at hand: the exit wave is multiplied as its rows are loaded, compared and changed between the two column halves of forward and
 * inverse transform, and its sums are taken as its rows come back. Between the halves a field lies in blocks: four rows beside each other
 * in the lanes of vectors, {@link groupBytes} for each four rows, so that rows are transformed where they lie and columns are read by whole
 * cache lines. Of an inverse transform real and imaginary part are exchanged on the way in and on the way out.
 */
import { sumOf } from './complex';
import { ELEMENT, groupBytes, line } from './lines';

/** Groups of four columns that are worked on together: whole cache lines of other planes are read then. */
const GROUPS: i32 = 4;

/** Rows whose sums are taken in float32. */
const SHORT: i32 = 16;

/** Four vectors as the columns of those at `to`, every second one. */
// @ts-expect-error: decorator
@inline
function turned(a: v128, b: v128, c: v128, d: v128, to: usize): void {
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(ab0, cd0, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(ab0, cd0, 2, 3, 6, 7), 32);
  v128.store(to, v128.shuffle<f32>(ab1, cd1, 0, 1, 4, 5), 64);
  v128.store(to, v128.shuffle<f32>(ab1, cd1, 2, 3, 6, 7), 96);
}

/** 4×4 complex numbers, transposed. */
// @ts-expect-error: decorator
@inline
function turnBlock(at: usize, to: usize): void {
  turned(v128.load(at), v128.load(at, 32), v128.load(at, 64), v128.load(at, 96), to);
  turned(v128.load(at, 16), v128.load(at, 48), v128.load(at, 80), v128.load(at, 112), to + 16);
}

/** Where four columns of blocks go to as lines. */
// @ts-expect-error: decorator
@inline
function columnsFromBlocks(blocks: usize, c: i32, n: i32, lanes: usize): void {
  const size = groupBytes(n);
  let at = blocks + <usize>c * ELEMENT;
  for (let r = 0; r < n; r += 4, at += size, lanes += 128) turnBlock(at, lanes);
}

// @ts-expect-error: decorator
@inline
function blocksFromColumns(lanes: usize, blocks: usize, c: i32, n: i32): void {
  const size = groupBytes(n);
  let to = blocks + <usize>c * ELEMENT;
  for (let r = 0; r < n; r += 4, to += size, lanes += 128) turnBlock(lanes, to);
}

/** Where four rows must begin so that they end at `block`, with `scratch` as the other side. */
// @ts-expect-error: decorator
@inline
function beginning(block: usize, scratch: usize, plan: usize): usize {
  return load<i32>(plan) & 1 ? scratch : block;
}

/** Real (`offset` 0) or imaginary (16) parts of four rows' lanes into a plane. */
// @ts-expect-error: decorator
@inline
function planeFromLanes(lanes: usize, plane: usize, row: usize, n: i32): void {
  for (let c = 0; c < n; c += 4, lanes += 128, plane += 16) {
    const a = v128.load(lanes);
    const b = v128.load(lanes, 32);
    const d = v128.load(lanes, 64);
    const e = v128.load(lanes, 96);
    const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const de0 = v128.shuffle<f32>(d, e, 0, 4, 1, 5);
    const de1 = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
    v128.store(plane, v128.shuffle<f32>(ab0, de0, 0, 1, 4, 5));
    v128.store(plane + row, v128.shuffle<f32>(ab0, de0, 2, 3, 6, 7));
    v128.store(plane + 2 * row, v128.shuffle<f32>(ab1, de1, 0, 1, 4, 5));
    v128.store(plane + 3 * row, v128.shuffle<f32>(ab1, de1, 2, 3, 6, 7));
  }
}

/**
 * A field from its spectrum times a ramp: a shift.
 * @param ramps see `shift`
 * @param blocks n/4 groups @param scratch 2·GROUPS groups
 */
export function shiftedField(
  re: usize,
  im: usize,
  ramps: usize,
  outRe: usize,
  outIm: usize,
  n: i32,
  plan: usize,
  blocks: usize,
  scratch: usize,
): void {
  const size = groupBytes(n);
  const row = <usize>n << 2;
  for (let c = 0; c < n; c += 4 * GROUPS) {
    const groups = min(GROUPS, (n - c) >> 2);
    const first = <usize>c << 2;
    const columns = ramps + 2 * row + first;
    for (let r = 0; r < n; r++) {
      const yr = v128.load32_splat(ramps + (<usize>r << 2));
      const yi = v128.load32_splat(ramps + row + (<usize>r << 2));
      const at = <usize>r * row + first;
      let o = scratch + <usize>r * ELEMENT;
      for (let g = 0; g < groups; g++, o += size) {
        const i = <usize>g << 4;
        const xr = v128.load(columns + i);
        const xi = v128.load(columns + row + i);
        const wr = f32x4.sub(f32x4.mul(yr, xr), f32x4.mul(yi, xi));
        const wi = f32x4.add(f32x4.mul(yr, xi), f32x4.mul(yi, xr));
        const ar = v128.load(re + at + i);
        const ai = v128.load(im + at + i);
        v128.store(o, f32x4.add(f32x4.mul(wr, ai), f32x4.mul(wi, ar)));
        v128.store(o, f32x4.sub(f32x4.mul(wr, ar), f32x4.mul(wi, ai)), 16);
      }
    }
    for (let g = 0; g < groups; g++) {
      const x = scratch + <usize>g * size;
      blocksFromColumns(line(n, plan, x, x + <usize>GROUPS * size), blocks, c + 4 * g, n);
    }
  }
  for (let r = 0; r < n; r += 4, blocks += size) {
    const out = line(n, plan, blocks, scratch);
    const at = <usize>r * row;
    planeFromLanes(out, outIm + at, row, n);
    planeFromLanes(out + 16, outRe + at, row, n);
  }
}

/** The first half of the transform of O·P. */
export function waveRows(
  oRe: usize,
  oIm: usize,
  stride: i32,
  pRe: usize,
  pIm: usize,
  n: i32,
  plan: usize,
  blocks: usize,
  scratch: usize,
): void {
  const size = groupBytes(n);
  const row = <usize>n << 2;
  const jump = <usize>stride << 2;
  const begin = beginning(blocks, scratch, plan);
  const ahead = begin == blocks ? size : 0;
  let x = begin;
  for (let r = 0; r < n; r += 4, x += ahead, blocks += size) {
    productLanes(oRe, oIm, jump, pRe, pIm, row, n, x, PRODUCT);
    line(n, plan, x, x == blocks ? scratch : blocks);
    oRe += 4 * jump;
    oIm += 4 * jump;
    pRe += 4 * row;
    pIm += 4 * row;
  }
}

/** a·b, conj(a)·b, |a|·conj(a)·b. */
const PRODUCT: i32 = 0;
const AGAINST: i32 = 1;
const WEIGHTED: i32 = 2;

// @ts-expect-error: decorator
@inline
function modulus(re: v128, im: v128): v128 {
  return f32x4.sqrt(f32x4.add(f32x4.mul(re, re), f32x4.mul(im, im)));
}

/** O·P of four rows, or another {@link PRODUCT}, as lines. */
// @ts-expect-error: decorator
@inline
function productLanes(
  oRe: usize,
  oIm: usize,
  jump: usize,
  pRe: usize,
  pIm: usize,
  row: usize,
  n: i32,
  lanes: usize,
  kind: i32,
): void {
  for (let c = 0; c < n; c += 4, oRe += 16, oIm += 16, pRe += 16, pIm += 16, lanes += 128) {
    turned(
      partRe(oRe, oIm, pRe, pIm, kind),
      partRe(oRe + jump, oIm + jump, pRe + row, pIm + row, kind),
      partRe(oRe + 2 * jump, oIm + 2 * jump, pRe + 2 * row, pIm + 2 * row, kind),
      partRe(oRe + 3 * jump, oIm + 3 * jump, pRe + 3 * row, pIm + 3 * row, kind),
      lanes,
    );
    turned(
      partIm(oRe, oIm, pRe, pIm, kind),
      partIm(oRe + jump, oIm + jump, pRe + row, pIm + row, kind),
      partIm(oRe + 2 * jump, oIm + 2 * jump, pRe + 2 * row, pIm + 2 * row, kind),
      partIm(oRe + 3 * jump, oIm + 3 * jump, pRe + 3 * row, pIm + 3 * row, kind),
      lanes + 16,
    );
  }
}

// @ts-expect-error: decorator
@inline
function partRe(aRe: usize, aIm: usize, bRe: usize, bIm: usize, kind: i32): v128 {
  const ar = v128.load(aRe);
  const ai = v128.load(aIm);
  const x = f32x4.mul(ar, v128.load(bRe));
  const y = f32x4.mul(ai, v128.load(bIm));
  if (kind == PRODUCT) return f32x4.sub(x, y);
  return kind == AGAINST ? f32x4.add(x, y) : f32x4.mul(modulus(ar, ai), f32x4.add(x, y));
}

// @ts-expect-error: decorator
@inline
function partIm(aRe: usize, aIm: usize, bRe: usize, bIm: usize, kind: i32): v128 {
  const ar = v128.load(aRe);
  const ai = v128.load(aIm);
  const x = f32x4.mul(ar, v128.load(bIm));
  const y = f32x4.mul(ai, v128.load(bRe));
  if (kind == PRODUCT) return f32x4.add(x, y);
  return kind == AGAINST ? f32x4.sub(x, y) : f32x4.mul(modulus(ar, ai), f32x4.sub(x, y));
}

/**
 * Both column halves, of the transform and of its inverse, and between them the comparison with the measurement (`compare`) and the
 * change that it asks for (`amplitudeChange`, `poissonChange`).
 * @param modes that lie `step` bytes apart, each n/4 groups
 * @param rule 0: only compared, the blocks stay as they are; 1: amplitudes; 2: Poisson
 * @param intensityScale of |Ψ|² @param scale of the change
 * @param sums as for `compare`
 * @param scratch modes·2·GROUPS groups
 */
export function changeColumns(
  blocks: usize,
  modes: i32,
  step: usize,
  measured: usize,
  rule: i32,
  intensityScale: f32,
  scale: f32,
  floor: f32,
  sums: usize,
  n: i32,
  plan: usize,
  scratch: usize,
): void {
  const size = groupBytes(n);
  const ofMode: usize = size * 2 * <usize>GROUPS;
  // A transform ends on the side where it began, or on the other.
  const far: usize = load<i32>(plan) & 1 ? <usize>GROUPS * size : 0;
  for (let c = 0; c < n; c += 4 * GROUPS) {
    const groups = min(GROUPS, (n - c) >> 2);
    for (let m = 0; m < modes; m++) {
      for (let g = 0; g < groups; g++) {
        const x = scratch + <usize>m * ofMode + <usize>g * size;
        columnsFromBlocks(blocks + <usize>m * step, c + 4 * g, n, x);
        line(n, plan, x, x + <usize>GROUPS * size);
      }
    }
    const at = scratch + far;
    const pattern = measured + (<usize>c << 2);
    if (rule == 1) changeLanes(at, modes, ofMode, groups, pattern, intensityScale, scale, floor, sums, n, 1);
    else if (rule == 2) changeLanes(at, modes, ofMode, groups, pattern, intensityScale, scale, floor, sums, n, 2);
    else {
      changeLanes(at, modes, ofMode, groups, pattern, intensityScale, scale, floor, sums, n, 0);
      continue;
    }
    for (let m = 0; m < modes; m++) {
      for (let g = 0; g < groups; g++) {
        const x = scratch + <usize>m * ofMode + <usize>g * size;
        const out = line(n, plan, x + far, x + <usize>GROUPS * size - far);
        blocksFromColumns(out, blocks + <usize>m * step, c + 4 * g, n);
      }
    }
  }
}

// @ts-expect-error: decorator
@inline
function changeLanes(
  at: usize,
  modes: i32,
  ofMode: usize,
  groups: i32,
  pattern: usize,
  intensityScale: f32,
  scale: f32,
  floor: f32,
  sums: usize,
  n: i32,
  rule: i32,
): void {
  const size = groupBytes(n);
  const row = <usize>n << 2;
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const si = f32x4.splat(intensityScale);
  const sc = f32x4.splat(scale);
  const fl = f32x4.splat(floor);
  let square: f64 = 0;
  let absolute: f64 = 0;
  let amplitude: f64 = 0;
  let counts: f64 = 0;
  let modelled: f64 = 0;
  for (let from = 0; from < n; from += SHORT) {
    const end = min(n, from + SHORT);
    let s0 = zero;
    let s1 = zero;
    let s2 = zero;
    let s3 = zero;
    let s4 = zero;
    for (let r = from; r < end; r++) {
      const a0 = pattern + <usize>r * row;
      const x0 = at + <usize>r * ELEMENT;
      for (let g = 0; g < groups; g++) {
        const x = x0 + <usize>g * size;
        const a = v128.load(a0 + (<usize>g << 4));
        let j = zero;
        for (let m = 0, w = x; m < modes; m++, w += ofMode) {
          const wr = v128.load(w);
          const wi = v128.load(w, 16);
          j = f32x4.add(j, f32x4.add(f32x4.mul(wr, wr), f32x4.mul(wi, wi)));
        }
        j = f32x4.mul(si, j);
        const good = f32x4.ge(a, zero);
        const root = f32x4.sqrt(j);
        const b = v128.and(a, good);
        const d = f32x4.sub(b, v128.and(root, good));
        s0 = f32x4.add(s0, f32x4.mul(d, d));
        s1 = f32x4.add(s1, f32x4.abs(d));
        s2 = f32x4.add(s2, b);
        s3 = f32x4.add(s3, f32x4.mul(b, b));
        s4 = f32x4.add(s4, v128.and(j, good));
        if (rule == 0) continue;
        let aim = a;
        if (rule == 2) {
          const eight = f32x4.mul(f32x4.splat(8), f32x4.mul(a, a));
          aim = f32x4.mul(f32x4.splat(0.25), f32x4.add(root, f32x4.sqrt(f32x4.add(j, eight))));
        }
        const change = f32x4.mul(sc, f32x4.sub(f32x4.div(aim, f32x4.add(root, fl)), one));
        const factor = v128.and(change, good);
        // Exchanged: what follows is the inverse.
        for (let m = 0, w = x; m < modes; m++, w += ofMode) {
          const wr = v128.load(w);
          v128.store(w, f32x4.mul(factor, v128.load(w, 16)));
          v128.store(w, f32x4.mul(factor, wr), 16);
        }
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
 * The last half of an inverse transform, χ, and what is made of its rows while they are at hand.
 * @param sumRe,sumIm where conj(P)χ is added, and |P|² at `light`; 0: nowhere
 * @param weighted χ counts |P| (|O|) times in the sums
 * @param product conj(O)χ takes the place of the blocks, as the first half of its transform
 * @param intensity where |O|² is added; 0: nowhere
 */
export function changeRows(
  blocks: usize,
  outRe: usize,
  outIm: usize,
  pRe: usize,
  pIm: usize,
  oRe: usize,
  oIm: usize,
  stride: i32,
  sumRe: usize,
  sumIm: usize,
  light: usize,
  weighted: i32,
  product: i32,
  intensity: usize,
  n: i32,
  plan: usize,
  scratch: usize,
): void {
  const size = groupBytes(n);
  const row = <usize>n << 2;
  const jump = <usize>stride << 2;
  for (let r = 0; r < n; r += 4, blocks += size) {
    const out = line(n, plan, blocks, scratch);
    planeFromLanes(out, outIm, row, n);
    planeFromLanes(out + 16, outRe, row, n);
    if (sumRe) {
      for (let q = 0; q < 4; q++) {
        const i = <usize>q * row;
        const j = <usize>(r + q) * jump;
        if (weighted) addProducts(pRe + i, pIm + i, outRe + i, outIm + i, sumRe + j, sumIm + j, light + j, row, true);
        else addProducts(pRe + i, pIm + i, outRe + i, outIm + i, sumRe + j, sumIm + j, light + j, row, false);
      }
    }
    if (intensity) {
      for (let q = 0; q < 4; q++) {
        const j = <usize>q * jump;
        addSquares(oRe + j, oIm + j, intensity + <usize>(r + q) * row, row);
      }
    }
    if (product) {
      const x = beginning(blocks, scratch, plan);
      if (weighted) productLanes(oRe, oIm, jump, outRe, outIm, row, n, x, WEIGHTED);
      else productLanes(oRe, oIm, jump, outRe, outIm, row, n, x, AGAINST);
      line(n, plan, x, x == blocks ? scratch : blocks);
    }
    outRe += 4 * row;
    outIm += 4 * row;
    pRe += 4 * row;
    pIm += 4 * row;
    oRe += 4 * jump;
    oIm += 4 * jump;
  }
}

// @ts-expect-error: decorator
@inline
function addProducts(
  pRe: usize,
  pIm: usize,
  cRe: usize,
  cIm: usize,
  sumRe: usize,
  sumIm: usize,
  light: usize,
  bytes: usize,
  weighted: boolean,
): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const pr = v128.load(pRe + i);
    const pi = v128.load(pIm + i);
    let xr = v128.load(cRe + i);
    let xi = v128.load(cIm + i);
    const square = f32x4.add(f32x4.mul(pr, pr), f32x4.mul(pi, pi));
    if (weighted) {
      const w = f32x4.sqrt(square);
      xr = f32x4.mul(w, xr);
      xi = f32x4.mul(w, xi);
    }
    v128.store(sumRe + i, f32x4.add(v128.load(sumRe + i), f32x4.add(f32x4.mul(pr, xr), f32x4.mul(pi, xi))));
    v128.store(sumIm + i, f32x4.add(v128.load(sumIm + i), f32x4.sub(f32x4.mul(pr, xi), f32x4.mul(pi, xr))));
    v128.store(light + i, f32x4.add(v128.load(light + i), square));
  }
}

// @ts-expect-error: decorator
@inline
function addSquares(re: usize, im: usize, sum: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const r = v128.load(re + i);
    const m = v128.load(im + i);
    v128.store(sum + i, f32x4.add(v128.load(sum + i), f32x4.add(f32x4.mul(r, r), f32x4.mul(m, m))));
  }
}

/**
 * The last half of a transform; its result is shifted back and added to a sum of spectra.
 * @param keptRe,keptIm where it is also kept as it is; 0: nowhere
 */
export function spectrumColumns(
  blocks: usize,
  ramps: usize,
  sumRe: usize,
  sumIm: usize,
  keptRe: usize,
  keptIm: usize,
  n: i32,
  plan: usize,
  scratch: usize,
): void {
  const size = groupBytes(n);
  const row = <usize>n << 2;
  const far: usize = load<i32>(plan) & 1 ? <usize>GROUPS * size : 0;
  for (let c = 0; c < n; c += 4 * GROUPS) {
    const groups = min(GROUPS, (n - c) >> 2);
    const first = <usize>c << 2;
    for (let g = 0; g < groups; g++) {
      const x = scratch + <usize>g * size;
      columnsFromBlocks(blocks, c + 4 * g, n, x);
      line(n, plan, x, x + <usize>GROUPS * size);
    }
    const columns = ramps + 2 * row + first;
    for (let r = 0; r < n; r++) {
      const yr = v128.load32_splat(ramps + (<usize>r << 2));
      const yi = v128.load32_splat(ramps + row + (<usize>r << 2));
      const at = <usize>r * row + first;
      let x = scratch + far + <usize>r * ELEMENT;
      for (let g = 0; g < groups; g++, x += size) {
        const i = <usize>g << 4;
        const xr = v128.load(columns + i);
        const xi = v128.load(columns + row + i);
        const wr = f32x4.sub(f32x4.mul(yr, xr), f32x4.mul(yi, xi));
        const wi = f32x4.add(f32x4.mul(yr, xi), f32x4.mul(yi, xr));
        const ar = v128.load(x);
        const ai = v128.load(x, 16);
        const to = at + i;
        v128.store(
          sumRe + to,
          f32x4.add(v128.load(sumRe + to), f32x4.add(f32x4.mul(wr, ar), f32x4.mul(wi, ai))),
        );
        v128.store(
          sumIm + to,
          f32x4.add(v128.load(sumIm + to), f32x4.sub(f32x4.mul(wr, ai), f32x4.mul(wi, ar))),
        );
        if (keptRe) {
          v128.store(keptRe + to, ar);
          v128.store(keptIm + to, ai);
        }
      }
    }
  }
}
