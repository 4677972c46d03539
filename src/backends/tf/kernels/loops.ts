/**
 * Loops over plain arrays, for engines whose tensors lie in memory that we can reach (wasm and cpu). They move and add
 * values; products are the engine's. Images are [B, H, W, C], kernels [k, k, in, out]; `out` holds anything at first.
 */
import type { Shape } from '../../../core/tensor.js';
import type { Reduction } from './kernels.js';

type Values = Float32Array;

/** Copies `length` values; short runs are faster without a call. */
function copy(from: Values, at: number, to: Values, toAt: number, length: number): void {
  if (length < 32) for (let i = 0; i < length; i++) to[toAt + i] = from[at + i];
  else to.set(from.subarray(at, at + length), toAt);
}

/** rows × columns → columns × rows, in blocks that fit the cache. */
export function transposeMatrix(x: Values, rows: number, columns: number, out: Values): void {
  const block = 16;
  for (let r0 = 0; r0 < rows; r0 += block) {
    const r1 = Math.min(rows, r0 + block);
    for (let c0 = 0; c0 < columns; c0 += block) {
      const c1 = Math.min(columns, c0 + block);
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) out[c * rows + r] = x[r * columns + c];
    }
  }
}

/** The block of x that begins at `start`. */
export function sliceBlock(x: Values, shape: Shape, start: Shape, size: Shape, out: Values): void {
  // Trailing axes that are taken whole are one run.
  let axis = shape.length - 1;
  let run = 1;
  while (axis >= 0 && size[axis] === shape[axis]) run *= shape[axis--];
  const strides = new Array<number>(shape.length);
  for (let i = shape.length - 1, n = 1; i >= 0; i--) {
    strides[i] = n;
    n *= shape[i];
  }
  if (axis < 0) {
    copy(x, 0, out, 0, run);
    return;
  }
  const length = run * size[axis];
  let at = 0;
  const visit = (i: number, from: number): void => {
    const first = from + start[i] * strides[i];
    if (i === axis) {
      copy(x, first, out, at, length);
      at += length;
    } else for (let k = 0; k < size[i]; k++) visit(i + 1, first + k * strides[i]);
  };
  visit(0, 0);
}

/**
 * Images `from` … `to` channel by channel, each as one line: zeros, then its rows with `gap` zeros after each, then zeros.
 * out [C, length]; the first pixel of the first image is at `first`. The images follow each other with `gap` rows of zeros.
 */
export function channelLines(
  x: Values,
  [, h, w, c]: Shape,
  from: number,
  to: number,
  { gap, first, length }: { readonly gap: number; readonly first: number; readonly length: number },
  out: Values,
): void {
  out.fill(0);
  const block = 16;
  for (let n = from; n < to; n++)
    for (let u = 0; u < h; u++) {
      const line = first + ((n - from) * (h + gap) + u) * (w + gap);
      const row = (n * h + u) * w * c;
      for (let v0 = 0; v0 < w; v0 += block) {
        const v1 = Math.min(w, v0 + block);
        for (let k = 0; k < c; k++) {
          const at = k * length + line;
          for (let v = v0, p = row + v0 * c + k; v < v1; v++, p += c) out[at + v] = x[p];
        }
      }
    }
}

/** Images `from` … `to` with `gap` zero pixels after every row and `gap` zero rows after every image: out [pixels, C]. */
export function gappedPixels(x: Values, [, h, w, c]: Shape, from: number, to: number, gap: number, out: Values): void {
  const row = (w + gap) * c;
  let at = 0;
  for (let n = from; n < to; n++) {
    for (let u = 0; u < h; u++, at += row) {
      copy(x, (n * h + u) * w * c, out, at, w * c);
      out.fill(0, at + w * c, at + row);
    }
    out.fill(0, at, at + gap * row);
    at += gap * row;
  }
}

/** Each of the lines x [lines, length] once for every shift: out [shifts, lines, size], beginning at the shift. */
export function shiftedLines(x: Values, length: number, shifts: readonly number[], size: number, out: Values): void {
  let at = 0;
  for (const shift of shifts)
    for (let line = 0; line < x.length; line += length) {
      copy(x, line + shift, out, at, size);
      at += size;
    }
}

/** Adds x to out. */
export function accumulate(x: Values, out: Values): void {
  for (let i = 0; i < out.length; i++) out[i] += x[i];
}

/** The kernel turned by 180° with its channels swapped: [k, k, out, in]. */
export function turned(w: Values, [k, , ci, co]: Shape, out: Values): void {
  const area = k * k;
  for (let q = 0; q < area; q++) {
    transposeMatrix(w.subarray(q * ci * co, (q + 1) * ci * co), ci, co, out.subarray((area - 1 - q) * ci * co));
  }
}

/** Which rows (or columns) of a 3×3 kernel meet row `tap` of a 2×2 window for the half `half` of a doubled image's blocks. */
const taps: readonly (readonly (readonly number[])[])[] = [
  [[0, 1], [0]],
  [[2], [1, 2]],
];

/**
 * Doubling pixels and then convolving with w [3, 3, Ci, Co] is one 2×2 convolution of the framed image with 4·Co channels
 * (row half, column half, Co) whose blocks, put side by side, are the result in a frame of one pixel. Exact, and 16
 * multiplications a pixel of the small image instead of 36. out [2, 2, Ci, 2·2·Co].
 */
export function boxKernel(w: Values, [, , ci, co]: Shape, out: Values): void {
  out.fill(0);
  forEachBox((q, box, half) => {
    for (let c = 0; c < ci; c++) {
      const from = (q * ci + c) * co;
      const to = ((box * ci + c) * 4 + half) * co;
      for (let o = 0; o < co; o++) out[to + o] += w[from + o];
    }
  });
}

/** As {@link boxKernel}, turned by 180° with its channels swapped: [2, 2, 2·2·Co, Ci], for the gradient of the image. */
export function turnedBoxKernel(w: Values, [, , ci, co]: Shape, out: Values): void {
  out.fill(0);
  forEachBox((q, box, half) => {
    for (let c = 0; c < ci; c++) {
      const from = (q * ci + c) * co;
      const to = ((3 - box) * 4 + half) * co * ci + c;
      for (let o = 0; o < co; o++) out[to + o * ci] += w[from + o];
    }
  });
}

/** The adjoint of {@link boxKernel}: dBox [box turned by 180°, half, Co, Ci] → dw [3, 3, Ci, Co]. */
export function boxKernelAdjoint(dBox: Values, [, , ci, co]: Shape, out: Values): void {
  out.fill(0);
  forEachBox((q, box, half) => {
    for (let c = 0; c < ci; c++) {
      const to = (q * ci + c) * co;
      const from = ((3 - box) * 4 + half) * co * ci + c;
      for (let o = 0; o < co; o++) out[to + o] += dBox[from + o * ci];
    }
  });
}

function forEachBox(visit: (entry: number, box: number, half: number) => void): void {
  for (const r of [0, 1])
    for (const c of [0, 1])
      for (const a of [0, 1])
        for (const b of [0, 1])
          for (const i of taps[r][a]) for (const j of taps[c][b]) visit(3 * i + j, 2 * r + c, 2 * a + b);
}

/** Blocks side by side, without the frame: x [B, h+1, w+1, 2·2·C] → [B, 2h, 2w, C]. */
export function unframeBlocks(x: Values, [b, h1, w1, c4]: Shape, out: Values): void {
  const c = c4 / 4;
  const [height, width] = [2 * h1 - 2, 2 * w1 - 2];
  let at = 0;
  for (let n = 0; n < b; n++)
    for (let y = 1; y <= height; y++)
      for (let v = 1; v <= width; v++) {
        const block = (n * h1 + (y >> 1)) * w1 + (v >> 1);
        copy(x, (block * 4 + 2 * (y & 1) + (v & 1)) * c, out, at, c);
        at += c;
      }
}

/** The adjoint: x [B, 2h, 2w, C] in a frame of zeros, as blocks [B, h+1, w+1, 2·2·C]. */
export function frameBlocks(x: Values, [b, height, width, c]: Shape, out: Values): void {
  const [h1, w1] = [height / 2 + 1, width / 2 + 1];
  let at = 0;
  for (let n = 0; n < b; n++)
    for (let r = 0; r < h1; r++)
      for (let s = 0; s < w1; s++)
        for (let half = 0; half < 4; half++) {
          const [y, v] = [2 * r + (half >> 1) - 1, 2 * s + (half & 1) - 1];
          if (y < 0 || y >= height || v < 0 || v >= width) out.fill(0, at, at + c);
          else copy(x, ((n * height + y) * width + v) * c, out, at, c);
          at += c;
        }
}

/** Every pixel of [B, h, w, C] as a 2×2 block. */
export function doubled(x: Values, [b, h, w, c]: Shape, out: Values): void {
  const row = 2 * w * c;
  for (let r = 0; r < b * h; r++) {
    const first = 2 * r * row;
    for (let v = 0; v < w; v++) {
      const from = (r * w + v) * c;
      copy(x, from, out, first + 2 * v * c, c);
      copy(x, from, out, first + (2 * v + 1) * c, c);
    }
    out.copyWithin(first + row, first, first + row);
  }
}

/** The gradient of a block is divided evenly among its tied maxima; written without branches, which would be guessed wrong. */
export function maxPoolGradient(x: Values, y: Values, dy: Values, [b, h, w, c]: Shape, out: Values): void {
  const row = w * c;
  let block = 0;
  for (let r = 0; r < (b * h) / 2; r++)
    for (let v = 0; v < w / 2; v++) {
      let p = 2 * r * row + 2 * v * c;
      for (const end = p + c; p < end; p++, block++) {
        const top = y[block];
        const m0 = x[p] === top ? 1 : 0;
        const m1 = x[p + c] === top ? 1 : 0;
        const m2 = x[p + row] === top ? 1 : 0;
        const m3 = x[p + row + c] === top ? 1 : 0;
        const share = dy[block] / (m0 + m1 + m2 + m3);
        out[p] = m0 * share;
        out[p + c] = m1 * share;
        out[p + row] = m2 * share;
        out[p + row + c] = m3 * share;
      }
    }
}

/** x [outer, n, inner] → [outer, inner]. Sums are kept in double precision. */
export function reduceMiddle(kind: Reduction, x: Values, outer: number, n: number, inner: number, out: Values): void {
  const sums = new Float64Array(inner);
  for (let o = 0; o < outer; o++) {
    sums.fill(kind === 'max' ? Number.NEGATIVE_INFINITY : 0);
    let at = o * n * inner;
    if (kind === 'max') {
      for (let k = 0; k < n; k++) for (let i = 0; i < inner; i++, at++) sums[i] = Math.max(sums[i], x[at]);
    } else {
      let k = 0;
      // Four at a time: half the time is spent on the sums themselves.
      for (; k + 4 <= n; k += 4, at += 4 * inner) {
        const [b, c, d] = [at + inner, at + 2 * inner, at + 3 * inner];
        for (let i = 0; i < inner; i++) sums[i] += x[at + i] + x[b + i] + x[c + i] + x[d + i];
      }
      for (; k < n; k++) for (let i = 0; i < inner; i++, at++) sums[i] += x[at];
    }
    const scale = kind === 'mean' ? 1 / n : 1;
    for (let i = 0; i < inner; i++) out[o * inner + i] = sums[i] * scale;
  }
}

/**
 * The kernel w [4, 4, Co, Ci] of a transposed convolution of stride 2 as that of a 2×2 convolution of the framed image, whose channels
 * are the blocks of the result in a frame. out [2, 2, Ci, 2·2·Co].
 */
export function blockKernel(w: Values, [, , co, ci]: Shape, out: Values): void {
  const area = co * ci;
  eachEntry((row, column, a, b, r, s) => {
    const from = (4 * row + column) * area;
    // The window's first pixel is the one before the block, which reaches it with its last entries.
    const to = (2 * (1 - a) + 1 - b) * 4 * area + (2 * r + s) * co;
    for (let i = 0; i < ci; i++) for (let o = 0; o < co; o++) out[to + i * 4 * co + o] = w[from + o * ci + i];
  });
}

/** Entries [4, 4, Co, Ci] in the order of blocks: out [2, 2, 2·2·Co, Ci]. */
export function rowsToBlocks(w: Values, [, , co, ci]: Shape, out: Values): void {
  const area = co * ci;
  eachEntry((row, column, a, b, r, s) =>
    copy(w, (4 * row + column) * area, out, ((2 * a + b) * 4 + 2 * r + s) * area, area),
  );
}

/** The reverse of {@link rowsToBlocks}: out [4, 4, Co, Ci]. */
export function blocksToRows(w: Values, [, , co, ci]: Shape, out: Values): void {
  const area = co * ci;
  eachEntry((row, column, a, b, r, s) =>
    copy(w, ((2 * a + b) * 4 + 2 * r + s) * area, out, (4 * row + column) * area, area),
  );
}

/** Row and column of a 4×4 kernel, each as half and place in the half. */
function eachEntry(visit: (row: number, column: number, a: number, b: number, r: number, s: number) => void): void {
  for (let row = 0; row < 4; row++)
    for (let column = 0; column < 4; column++) visit(row, column, row >> 1, column >> 1, row & 1, column & 1);
}

/** f(x) of every value. */
export function mapped(x: Values, f: (value: number) => number, out: Values): void {
  for (let i = 0; i < x.length; i++) out[i] = f(x[i]);
}

/** x·Φ(x). */
export function gelu(x: Values, out: Values): void {
  for (let i = 0; i < x.length; i++) out[i] = x[i] * phi(x[i], Math.exp(-0.5 * x[i] * x[i]));
}

/** dy·(Φ(x) + x·Φ′(x)). */
export function geluGrad(dy: Values, x: Values, out: Values): void {
  const scale = 1 / Math.sqrt(2 * Math.PI);
  for (let i = 0; i < x.length; i++) {
    const bell = Math.exp(-0.5 * x[i] * x[i]);
    out[i] = dy[i] * (phi(x[i], bell) + x[i] * scale * bell);
  }
}

/**
 * Φ(x) to 7.5e-8, with `bell` = exp(−x²/2).
 * Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.2.17.
 */
function phi(x: number, bell: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (bell / Math.sqrt(2 * Math.PI)) * series;
  return x > 0 ? 1 - tail : tail;
}
