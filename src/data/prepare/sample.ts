/**
 * Some frames of a scan, spread over it, read once when it is opened: from them is told where zero frequency lies, what the
 * numbers are, and what is wrong with them.
 *
 * @example
 * const sample = await readSample(file.patterns, rows, false);
 * sample.meanLight(); // (height, width), in single frames' units
 */
import { isPtychoError } from '../../core/errors.js';
import { spreadIndices } from '../findings/figures.js';
import type { MeasurementDomain } from '../opening/measurementDomain.js';
import { LOOKED_AT, LOOKED_AT_PIXELS } from '../opening/openDatasetOptions.js';
import { FramePatterns, framesInMemory, type PatternView } from '../patternSource.js';
import type { StoredPatterns } from '../scanFile.js';
import { type FrameLayout, layFrames } from './frameLayout.js';

/** Patterns looked at, (count, N, N), as stored. */
export interface Looked {
  readonly pixels: Float32Array;
  /** Which patterns of the scan they are. */
  readonly indices: Int32Array;
}

/** Detectors mark pixels with the largest number of a type, of which this is the smallest. */
const SMALLEST_MARK = 254;

/** Whole frames in memory. */
export class Sample {
  constructor(
    readonly frames: StoredPatterns,
    /** (indices.length, height, width) */
    readonly data: Float32Array,
    /** Which patterns of the scan they are, and which rows of the file. */
    readonly indices: Int32Array,
    readonly fileRows: Int32Array,
  ) {}

  /**
   * Mean over the frames of the root of each pixel, (height, width): what is not finite, negative, or the same large number in
   * every frame (a mark of the detector) counts as dark.
   */
  meanLight(): Float64Array {
    const size = this.frames.height * this.frames.width;
    const count = this.indices.length;
    const light = new Float64Array(size);
    for (let p = 0; p < size; p++) {
      const first = this.data[p];
      let same = count > 1;
      let sum = 0;
      for (let at = p; at < this.data.length; at += size) {
        const v = this.data[at];
        if (v !== first) same = false;
        if (v > 0 && v < Number.POSITIVE_INFINITY) sum += Math.sqrt(v);
      }
      light[p] = same && first >= SMALLEST_MARK ? 0 : sum / count;
    }
    return light;
  }

  /** The patterns laid out, cut and transposed, and nothing else: marks, NaN and negative values are there. */
  async as(layout: FrameLayout | undefined, domain: () => MeasurementDomain, view: PatternView): Promise<Looked> {
    const { frames, data, indices, fileRows } = this;
    // Nothing to be done to them: no copy.
    if (!layout && !view.window && !view.transpose) return { pixels: data, indices };
    const { height, width, dtype, origin, count } = frames;
    const held = framesInMemory(data, [indices.length, height, width], dtype, origin);
    // Rows keep their numbers, by which messages name them.
    const placeOf = new Map(Array.from(fileRows, (row, i) => [row, i]));
    const byRow: StoredPatterns = {
      ...held,
      count,
      readRowsInto: (rows, out) =>
        held.readRowsInto(
          Array.from(rows, (row) => placeOf.get(row) as number),
          out,
        ),
    };
    const laid = layout ? layFrames(byRow, layout, domain) : byRow;
    const source = new FramePatterns(laid, 'normalized_amplitude', { ...view, rows: fileRows });
    const pixels = new Float32Array(indices.length * source.N ** 2);
    await source.readUnchecked(
      Int32Array.from(indices, (_, i) => i),
      pixels,
    );
    return { pixels, indices };
  }
}

/**
 * Reads up to 64 frames, fewer of large ones.
 * @param rows rows of the file that the scan consists of
 * @param skipUnreadable frames that cannot be read are passed over
 * @throws PtychoError reading errors
 */
export async function readSample(frames: StoredPatterns, rows: Int32Array, skipUnreadable: boolean): Promise<Sample> {
  const size = frames.height * frames.width;
  const most = Math.max(LOOKED_AT / 4, Math.min(LOOKED_AT, Math.floor(LOOKED_AT_PIXELS / size)));
  let indices = spreadIndices(Math.min(most, rows.length), rows.length);
  let fileRows = Int32Array.from(indices, (i) => rows[i]);
  let data = new Float32Array(indices.length * size);
  try {
    await frames.readRowsInto(fileRows, data);
  } catch (error) {
    if (!skipUnreadable || !isPtychoError(error)) throw error;
    const good: number[] = [];
    for (let i = 0; i < indices.length; i++) {
      try {
        await frames.readRowsInto([fileRows[i]], data.subarray(good.length * size, (good.length + 1) * size));
        good.push(i);
      } catch (inner) {
        if (!isPtychoError(inner)) throw inner;
      }
    }
    if (good.length === 0) throw error;
    indices = Int32Array.from(good, (i) => indices[i]);
    fileRows = Int32Array.from(good, (i) => fileRows[i]);
    data = data.subarray(0, good.length * size);
  }
  return new Sample(frames, data, indices, fileRows);
}
