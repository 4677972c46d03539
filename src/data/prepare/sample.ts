/**
 * Some frames of a scan, spread over it, read once when it is opened: from them is told where zero frequency lies, what the
 * numbers are, and what is wrong with them.
 *
 * @example
 * const sample = await readSample(file.patterns, rows, false);
 * sample.meanLight(); // (height, width), in single frames' units
 */

import { isPtychoError } from '../../core/errors.js';
import { integers, spreadIndices } from '../../core/numbers.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { fourierCrop } from '../../physics/fourierCrop.js';
import { farField, lightShift } from '../../physics/lightShift.js';
import { SMALLEST_PATTERN_PX } from '../findings/patternChecks.js';
import { centreOfLight, lightInCorners } from '../findings/patternFigures.js';
import type { MeasurementDomain } from '../opening/measurementDomain.js';
import { LOOKED_AT, LOOKED_AT_PIXELS, type OpenDatasetOptions } from '../options.js';
import { FramePatterns, framesInMemory, type LookedPatterns, type PatternView } from '../patternSource.js';
import type { ScanFile, StoredPatterns } from '../scanFile.js';
import { type FrameLayout, frameLayout, layFrames, shifted } from './frameLayout.js';

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
  async as(
    layout: FrameLayout | undefined,
    domain: () => MeasurementDomain,
    view: PatternView,
  ): Promise<LookedPatterns> {
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
    await source.readUnchecked(integers(indices.length), pixels);
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
  let indices = spreadIndices(rows.length, most);
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

/** How many times more light the corners must hold than the middle, to be where zero frequency lies. */
const CLEARLY = 2;
/** Pixels below this part of the brightest say nothing about where the beam is. */
const DARK = 0.05;

/**
 * The layout that options ask for, once the light has answered what they leave to it.
 * @param givenProbe the probe that was given beside the scan, for patterns of that side
 * @throws PtychoError as {@link frameLayout}
 */
export async function settleLayout(
  sample: Sample,
  file: Pick<ScanFile, 'path' | 'patterns' | 'probeGuess'>,
  options: OpenDatasetOptions & { readonly near?: boolean },
  note: (sentence: string) => void,
  givenProbe: (side: number) => Promise<ComplexTensor | undefined> = async () => undefined,
): Promise<FrameLayout> {
  const { height, width } = file.patterns;
  const light = sample.meanLight();
  const shift =
    options.fftshift === 'yes' ||
    (options.fftshift !== 'no' &&
      !options.near &&
      Math.min(height, width) >= SMALLEST_PATTERN_PX &&
      lightInCorners(light, height, width, CLEARLY));
  if (shift && options.fftshift !== 'yes') {
    note(
      `Zero frequency of ${file.path} lies in the corners of the frames and was moved to their middle; --fftshift no leaves them as they are.`,
    );
  }
  const { crop_center_px, ...others } = options;
  if (crop_center_px !== 'auto') return frameLayout(file.patterns, { ...others, crop_center_px }, shift);
  const side = options.crop_px ?? (height === width ? width : undefined);
  // Padding and rebinning change what a pixel of the probe's far field is.
  const asCut = side !== undefined && !options.pad_to && (options.rebin ?? 1) === 1;
  // The light of a near field lies as the probe itself does.
  const probe = options.near ? undefined : ((asCut ? await givenProbe(side) : undefined) ?? file.probeGuess);
  const centre = beamCentre(shift ? shifted(light, height, width) : light, height, width, probe);
  if (!centre) return frameLayout(file.patterns, others, shift);
  note(
    `The beam of ${file.path} was found at row ${centre[0]}, column ${centre[1]}; ${options.near ? 'the middle of the patterns' : 'zero frequency'} was put there.`,
  );
  return frameLayout(file.patterns, { ...others, crop_center_px: centre }, shift);
}

/**
 * Row and column of the beam: where the probe's far field agrees best with the light; without a probe, the middle of the light
 * that is not faint.
 */
export function beamCentre(
  light: Float64Array,
  height: number,
  width: number,
  probe: ComplexTensor | undefined,
): [number, number] | undefined {
  const side = Math.max(height, width);
  // On a square, so that one rule serves all frames.
  const square = new Float64Array(side * side);
  for (let r = 0; r < height; r++) square.set(light.subarray(r * width, (r + 1) * width), r * side);
  const brightest = square.reduce((most, v) => Math.max(most, v), 0);
  const clear = square.map((v) => (v > DARK * brightest ? v : 0));
  const middle = centreOfLight(clear, side);
  if (middle === undefined) return undefined;
  const rough: [number, number] = [Math.round(middle.row), Math.round(middle.column)];
  if (probe === undefined) return rough;
  const probeSide = probe.shape[probe.shape.length - 1];
  if (probe.shape[probe.shape.length - 2] !== probeSide) return rough;
  // A cut of the light around its middle, as large as the probe's own frames; where it leaves the frame there is no light.
  const cut = new Float64Array(probeSide * probeSide);
  const [top, left] = rough.map((v) => v - Math.floor(probeSide / 2));
  for (let r = 0; r < probeSide; r++) {
    for (let c = 0; c < probeSide; c++) {
      const [row, column] = [top + r, left + c];
      if (row >= 0 && column >= 0 && row < height && column < width)
        cut[r * probeSide + c] = light[row * width + column] ** 2;
    }
  }
  const found = lightShift(cut, farField(probe, probeSide), probeSide, probeSide);
  return found?.clear ? [rough[0] + found.rows, rough[1] + found.columns] : rough;
}

/**
 * The probe of whole frames of a near field as the layout makes it: cut and surrounded as the frames are; undefined where pixels are added
 * up, of which its phase knows nothing.
 */
export function layNearProbe({ re, im, shape }: ComplexTensor, layout: FrameLayout): ComplexTensor | undefined {
  const { padded, window, rebin } = layout;
  if (rebin > 1) return undefined;
  const side = shape[shape.length - 1];
  const modes = re.length / side ** 2;
  const own = { row: 0, column: 0, side, ...window };
  const shift = Math.floor(padded / 2) - Math.floor(own.side / 2);
  const cut = (values: Float32Array) => {
    const out = new Float32Array(modes * padded * padded);
    for (let m = 0; m < modes; m++) {
      for (let r = 0; r < own.side; r++) {
        for (let c = 0; c < own.side; c++) {
          const [row, column] = [own.row + r, own.column + c];
          if (row < 0 || column < 0 || row >= side || column >= side) continue;
          out[(m * padded + shift + r) * padded + shift + c] = values[(m * side + row) * side + column];
        }
      }
    }
    return out;
  };
  return { re: cut(re), im: cut(im), shape: [...shape.slice(0, -2), padded, padded] };
}

/** The probe of whole frames as the layout makes it. */
export function layProbe(probe: ComplexTensor, layout: FrameLayout): ComplexTensor {
  const side = layout.window?.side ?? probe.shape[probe.shape.length - 1];
  const cut = side === probe.shape[probe.shape.length - 1] ? probe : fourierCrop(probe, side);
  const padded = layout.padded === side ? cut : fourierCrop(cut, layout.padded);
  return layout.rebin === 1 ? padded : middleOf(padded, layout.padded, layout.N);
}

/** The middle of each mode: adding pixels up makes the field of view smaller and leaves object pixels as they are. */
function middleOf({ re, im, shape }: ComplexTensor, side: number, N: number): ComplexTensor {
  const modes = re.length / side ** 2;
  const from = Math.floor(side / 2) - Math.floor(N / 2);
  const cut = (values: Float32Array) => {
    const out = new Float32Array(modes * N * N);
    for (let m = 0; m < modes; m++) {
      for (let r = 0; r < N; r++) {
        const at = m * side * side + (from + r) * side + from;
        out.set(values.subarray(at, at + N), m * N * N + r * N);
      }
    }
    return out;
  };
  return { re: cut(re), im: cut(im), shape: [...shape.slice(0, -2), N, N] };
}
