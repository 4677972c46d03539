/**
 * How frames of a detector become square patterns with zero frequency at N/2: shifted, cut, surrounded, added up, in that order.
 *
 * Object pixels follow from what is left: λ·distance/(side·pitch) with the side before pixels are added up, because adding up
 * makes fewer pixels of a larger pitch. A crop thus makes object pixels larger, padding makes them smaller, rebinning leaves
 * them and makes the field of view of a pattern smaller.
 *
 * @example
 * const layout = frameLayout(file.patterns, { crop_px: 250, pad_to: 256, rebin: 2 }, false);
 * layout.N; // 128
 */

import { invalidOption } from '../../core/errors.js';
import { requireMemory } from '../../core/memoryBudget.js';
import { nameOf, npyError } from '../../formats/npyHeader.js';
import type { MeasurementDomain } from '../opening/measurementDomain.js';
import type { OpenDatasetOptions } from '../options.js';
import type { StoredPatterns } from '../scanFile.js';

/** What is done to each frame. */
export interface FrameLayout {
  /** Zero frequency lies at index (0, 0) and is moved to the middle. */
  readonly shift: boolean;
  /** What is cut out; undefined: the whole frame. */
  readonly window?: CropWindow;
  /** Side after padding: that of the cut frame where nothing is padded. */
  readonly padded: number;
  /** Pixels that are added up, each way. */
  readonly rebin: number;
  /** Side of the finished pattern. */
  readonly N: number;
}

/** The options that shape frames. */
export interface LayoutOptions extends Pick<OpenDatasetOptions, 'crop_px' | 'pad_to' | 'rebin'> {
  /** Row and column of the pixel that becomes the zero frequency, index N/2; the middle of the frame when left out. */
  readonly crop_center_px?: readonly [number, number] | null;
}

/**
 * The layout that options ask for.
 * @throws PtychoError DATASET_SHAPE for frames that are not square and neither cut nor padded; CONFIG_INVALID for sides that do
 * not fit.
 */
export function frameLayout(frames: StoredPatterns, options: LayoutOptions, shift: boolean): FrameLayout {
  const { height, width, origin } = frames;
  const rebin = options.rebin ?? 1;
  const padTo = options.pad_to ?? undefined;
  const invalid = (key: string, message: string, found: unknown) =>
    invalidOption(key, message, found, { path: origin.path });
  let window: CropWindow | undefined;
  let side: number;
  const oblong = height !== width && !options.crop_px;
  if (oblong && padTo !== undefined) {
    // Padding makes a square of an oblong frame: the shorter axis is padded more.
    side = Math.max(height, width);
  } else {
    window = cropWindow(frames, options);
    side = window?.side ?? width;
  }
  if (padTo !== undefined && padTo < side) {
    throw invalid(
      'pad_to',
      `pad_to is ${padTo}, but the patterns of ${nameOf(origin)} have ${side} pixels already; give a larger side, or cut them with crop_px.`,
      padTo,
    );
  }
  const padded = padTo ?? side;
  // A pattern, a probe and what they are made of.
  requireMemory(16 * padded ** 2, `Patterns of ${padded}×${padded} pixels`, { remedy: 'take smaller ones (--pad_to)' });
  if (!(Number.isInteger(rebin) && rebin >= 1) || padded % rebin !== 0) {
    throw invalid(
      'rebin',
      `rebin ${rebin} does not divide the side of ${padded} pixels; choose another, or cut the patterns to a multiple with crop_px ${Math.floor(padded / (2 * rebin)) * 2 * rebin}.`,
      rebin,
    );
  }
  const N = padded / rebin;
  if (rebin > 1 && N % 2 !== 0) {
    throw invalid('rebin', `rebin ${rebin} makes patterns of ${N} pixels, but sides must be even.`, rebin);
  }
  return { shift, window, padded, rebin, N };
}

/** True when the layout is no more than a cut, which is done while patterns are read. */
export function isPlainCut({ shift, window, padded, rebin }: FrameLayout, { height, width }: StoredPatterns): boolean {
  if (shift || rebin > 1) return false;
  if (window === undefined) return height === width && padded === width;
  return padded === window.side && !leaves(window, height, width);
}

/**
 * Frames in the layout, (n, N, N), read on demand. Pixels that are added up are summed as intensities: amplitudes become the
 * root of the sum of their squares.
 * @param domain what the values are
 */
export function layFrames(
  frames: StoredPatterns,
  layout: FrameLayout,
  domain: () => MeasurementDomain,
): StoredPatterns {
  const { height, width } = frames;
  const [frame, pattern] = [height * width, layout.N ** 2];
  return {
    ...frames,
    height: layout.N,
    width: layout.N,
    // Sums leave small types, and with them their tables of roots.
    dtype: layout.rebin > 1 ? 'float32' : frames.dtype,
    async readRowsInto(rows, out) {
      const step = Math.max(1, Math.min(rows.length, Math.floor(CHUNK_PIXELS / frame)));
      const buffer = new Float32Array(step * frame);
      const scratch = new Float32Array(layout.padded ** 2);
      for (let from = 0; from < rows.length; from += step) {
        const part = Array.from({ length: Math.min(step, rows.length - from) }, (_, i) => rows[from + i]);
        const pixels = buffer.subarray(0, part.length * frame);
        await frames.readRowsInto(part, pixels);
        for (let i = 0; i < part.length; i++) {
          layOne(
            pixels.subarray(i * frame, (i + 1) * frame),
            [height, width],
            layout,
            domain() !== 'count_intensity',
            scratch,
            out.subarray((from + i) * pattern, (from + i + 1) * pattern),
          );
        }
      }
    },
  };
}

/**
 * A mask of whole frames, (height, width), in the layout: a pixel is bad when any of those that it adds up is, and where a moved
 * frame does not reach.
 */
export function layMask(
  mask: Uint8Array | undefined,
  size: readonly [number, number],
  layout: FrameLayout,
): Uint8Array {
  const [height, width] = size;
  const scratch = new Float32Array(layout.padded ** 2);
  const lay = (values: Float32Array) => {
    const out = new Float32Array(layout.N ** 2);
    layOne(values, size, layout, false, scratch, out);
    return out;
  };
  const bad = mask ? lay(Float32Array.from(mask)) : new Float32Array(layout.N ** 2);
  const { window } = layout;
  if (window && leaves(window, height, width)) {
    const covered = lay(new Float32Array(height * width).fill(1));
    const whole = wholeWindow(layout, window.side);
    for (let p = 0; p < bad.length; p++) if (covered[p] < whole[p]) bad[p] = 1;
  }
  return Uint8Array.from(bad, (v) => (v > 0 ? 1 : 0));
}

/** How many pixels of a window that is covered whole each finished pixel adds up. */
function wholeWindow(layout: FrameLayout, side: number): Float32Array {
  const out = new Float32Array(layout.N ** 2);
  const whole = { ...layout, shift: false, window: { row: 0, column: 0, side } };
  layOne(new Float32Array(side * side).fill(1), [side, side], whole, false, new Float32Array(layout.padded ** 2), out);
  return out;
}

function leaves({ row, column, side }: CropWindow, height: number, width: number): boolean {
  return row < 0 || column < 0 || row + side > height || column + side > width;
}

/** Pixels of whole frames that are read in one go. */
const CHUNK_PIXELS = 1 << 22;

function layOne(
  frame: Float32Array,
  [height, width]: readonly [number, number],
  { shift, window, padded, rebin, N }: FrameLayout,
  amplitudes: boolean,
  scratch: Float32Array,
  out: Float32Array,
): void {
  const whole = shift ? shifted(frame, height, width) : frame;
  const target = rebin === 1 ? out : scratch;
  const [top, left] = window ? [window.row, window.column] : [0, 0];
  const [rows, columns] = window ? [window.side, window.side] : [height, width];
  target.fill(0);
  // Zero frequency goes from the middle of the cut, ⌊n/2⌋, to the middle of the padded square.
  const down = Math.floor(padded / 2) - Math.floor(rows / 2);
  const right = Math.floor(padded / 2) - Math.floor(columns / 2);
  const [first, last] = [Math.max(0, left), Math.min(width, left + columns)];
  for (let r = Math.max(0, -top); r < Math.min(rows, height - top); r++) {
    const from = (top + r) * width;
    target.set(whole.subarray(from + first, from + last), (down + r) * padded + right + first - left);
  }
  if (rebin > 1) addUp(scratch, padded, rebin, N, amplitudes, out);
}

/**
 * Sums of `rebin`² pixels around those that become pixels: the old middle falls into the new one, N/2; of an even number of
 * pixels it is the first behind the middle, so that blocks begin at 0.
 */
function addUp(
  from: Float32Array,
  side: number,
  rebin: number,
  N: number,
  amplitudes: boolean,
  out: Float32Array,
): void {
  const before = Math.floor((rebin - 1) / 2);
  for (let r = 0; r < N; r++) {
    for (let c = 0; c < N; c++) {
      let sum = 0;
      for (let i = 0; i < rebin; i++) {
        const row = r * rebin + i - before;
        for (let j = 0; j < rebin; j++) {
          const column = c * rebin + j - before;
          if (row < 0 || column < 0 || row >= side || column >= side) continue;
          const v = from[row * side + column];
          sum += amplitudes ? v * v : v;
        }
      }
      out[r * N + c] = amplitudes ? Math.sqrt(sum) : sum;
    }
  }
}

/** Moves index (0, 0) to (⌊h/2⌋, ⌊w/2⌋), as `numpy.fft.fftshift` does. */
export function shifted<A extends Float32Array | Float64Array>(frame: A, height: number, width: number): A {
  const out = frame.slice() as A;
  const [down, right] = [Math.floor(height / 2), Math.floor(width / 2)];
  for (let r = 0; r < height; r++) {
    const to = ((r + down) % height) * width;
    out.set(frame.subarray(r * width, r * width + width - right), to + right);
    out.set(frame.subarray(r * width + width - right, (r + 1) * width), to);
  }
  return out;
}

/** A square of a frame: its first row and column, and its side. */
export interface CropWindow {
  readonly row: number;
  readonly column: number;
  readonly side: number;
}

/**
 * The window that options ask for; undefined when the frame stays as it is. With a centre and no side the frame keeps its side
 * and is moved; the window then leaves it at one edge.
 * @throws PtychoError DATASET_SHAPE for frames that are not square and not cropped; CONFIG_INVALID for a window that does
 * not fit into the frame, or a centre that is no pixel.
 */
export function cropWindow(
  { count, height, width, origin }: StoredPatterns,
  { crop_px: side, crop_center_px: center }: LayoutOptions,
): CropWindow | undefined {
  if (side === undefined || side === null) {
    // Moved without a cut: the window reaches beyond the frame, and what it does not cover is bad.
    if (center && height === width) {
      const [row, column] = center.map((v) => Math.round(v) - Math.floor(height / 2));
      return row === 0 && column === 0 ? undefined : { row, column, side: height };
    }
    if (height !== width) {
      throw npyError(
        'DATASET_SHAPE',
        origin,
        `has ${count} patterns of ${height}×${width} pixels, (${count}, ${height}, ${width}), but they must be square; cut them with crop_px, such as --crop_px ${2 * Math.floor(Math.min(height, width) / 2)} (and crop_center_px ROW,COLUMN where the beam is not in the middle), or surround them with pad_to.`,
        { found: [height, width] },
      );
    }
    return undefined;
  }
  const invalid = (key: string, message: string, found: unknown) =>
    invalidOption(key, message, found, { path: origin.path });
  if (!(Number.isInteger(side) && side > 0)) {
    throw invalid('crop_px', `crop_px must be a positive whole number, got ${side}.`, side);
  }
  if (side > height || side > width) {
    throw invalid(
      'crop_px',
      `crop_px is ${side}, but the patterns of ${nameOf(origin)} have only ${height}×${width} pixels; choose a smaller side.`,
      side,
    );
  }
  const [row, column] = center ?? [Math.floor(height / 2), Math.floor(width / 2)];
  if (!(Number.isInteger(row) && Number.isInteger(column))) {
    throw invalid('crop_center_px', `crop_center_px must be a row and a column, got ${row},${column}.`, center);
  }
  const half = Math.floor(side / 2);
  const window = { row: row - half, column: column - half, side };
  if (window.row < 0 || window.column < 0 || window.row + side > height || window.column + side > width) {
    const range = (length: number) => `${half} to ${length - side + half}`;
    throw invalid(
      'crop_center_px',
      `A window of ${side}×${side} around row ${row}, column ${column} leaves the ${height}×${width} pixels of ${nameOf(origin)}; with this crop_px rows ${range(height)} and columns ${range(width)} can be the centre.`,
      center,
    );
  }
  return side === height && side === width ? undefined : window;
}

/**
 * Copies the window of a frame (all of it without a window), rows and columns exchanged when `transpose` is set.
 * @param frame (height, width), C order; `out` holds the N×N result.
 */
export function copyWindow(
  frame: ArrayLike<number>,
  width: number,
  { row, column, side }: CropWindow,
  transpose: boolean,
  out: Float32Array | Uint8Array,
): void {
  for (let r = 0; r < side; r++) {
    const from = (row + r) * width + column;
    for (let c = 0; c < side; c++) out[transpose ? c * side + r : r * side + c] = frame[from + c];
  }
}
