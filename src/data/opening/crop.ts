/**
 * Cutting detector frames to N×N. Fewer detector pixels of the same pitch mean larger object pixels: λ·distance/(N·pitch),
 * so positions that are in object pixels of the whole frame shrink by N/frame with it.
 *
 * @example
 * // Frames of 514×1030:
 * cropWindow(file.patterns, { crop_px: 256, crop_center_px: [260, 500] }); // { row: 132, column: 372, side: 256 }
 */
import { PtychoError } from '../../core/errors.js';
import { nameOf } from '../../formats/npyHeader.js';
import type { StoredPatterns } from '../scanFile.js';

/** A square of a frame: its first row and column, and its side. */
export interface CropWindow {
  readonly row: number;
  readonly column: number;
  readonly side: number;
}

/** The options that ask for a crop. */
export interface CropOptions {
  readonly crop_px?: number | null;
  /** Row and column of the pixel that becomes the zero frequency, index N/2; the middle of the frame when left out. */
  readonly crop_center_px?: readonly [number, number] | null;
}

/**
 * The window that options ask for; undefined when the frame stays as it is. With a centre and no side the frame keeps its side
 * and is moved; the window then leaves it at one edge.
 * @throws PtychoError DATASET_SHAPE for frames that are not square and not cropped; CONFIG_INVALID for a window that does
 * not fit into the frame, or a centre that is no pixel.
 */
export function cropWindow(
  { count, height, width, origin }: StoredPatterns,
  { crop_px: side, crop_center_px: center }: CropOptions,
): CropWindow | undefined {
  if (side === undefined || side === null) {
    // Moved without a cut: the window reaches beyond the frame, and what it does not cover is bad.
    if (center && height === width) {
      const [row, column] = center.map((v) => Math.round(v) - Math.floor(height / 2));
      return row === 0 && column === 0 ? undefined : { row, column, side: height };
    }
    if (height !== width) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${nameOf(origin)} has ${count} patterns of ${height}×${width} pixels, (${count}, ${height}, ${width}), but they must be square; cut them with crop_px, such as --crop_px ${2 * Math.floor(Math.min(height, width) / 2)} (and crop_center_px ROW,COLUMN where the beam is not in the middle), or surround them with pad_to.`,
        { path: origin.path, key: origin.member, found: [height, width] },
      );
    }
    return undefined;
  }
  const invalid = (key: string, message: string, found: unknown) =>
    new PtychoError('CONFIG_INVALID', message, { key, found, path: origin.path });
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
