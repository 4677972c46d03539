/**
 * Fourier transforms of square images of any even side in place, four lines at a time (`lines.ts`). Where the side is no multiple of 4,
 * the last four lines begin two lines earlier, among those that are done already; these are transformed again and thrown away.
 */
import { ELEMENT, groupBytes, line } from './lines';
import { from, lastStrip, to } from './rows';

/** Lines that are transformed together along columns: whole cache lines are read then. */
const GROUPS: i32 = 4;

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
