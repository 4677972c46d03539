/** Where zero frequency lies in the frames of a file, and the layout that puts it at N/2. */
import type { ComplexTensor } from '../../core/tensor.js';
import { fourierCrop } from '../../physics/fourierCrop.js';
import { centreOfLight, lightInCorners } from '../findings/figures.js';
import { farField, lightShift } from '../findings/lightShift.js';
import { SMALLEST_PATTERN_PX } from '../findings/patternChecks.js';
import type { ScanFile } from '../scanFile.js';
import { type FrameLayout, frameLayout, type LayoutOptions, shifted } from './frameLayout.js';
import type { Sample } from './sample.js';

/** The options that shape frames, and those that leave it to the light. */
export interface LightOptions extends Omit<LayoutOptions, 'crop_center_px'> {
  readonly crop_center_px?: readonly [number, number] | 'auto' | null;
  readonly fftshift?: 'auto' | 'yes' | 'no' | null;
}

/** The probe that was given beside the scan, for patterns of so many pixels; undefined where there is none. */
export type ProbeFor = (N: number) => Promise<ComplexTensor | undefined>;

/** How many times more light the corners must hold than the middle, to be where zero frequency lies. */
const CLEARLY = 2;
/** Pixels below this part of the brightest say nothing about where the beam is. */
const DARK = 0.05;

/**
 * The layout that options ask for, once the light has answered what they leave to it.
 * @throws PtychoError as {@link frameLayout}
 */
export async function settleLayout(
  sample: Sample,
  file: Pick<ScanFile, 'path' | 'patterns' | 'probeGuess'>,
  options: LightOptions,
  note: (sentence: string) => void,
  givenProbe: ProbeFor = async () => undefined,
): Promise<FrameLayout> {
  const { height, width } = file.patterns;
  const light = sample.meanLight();
  const shift =
    options.fftshift === 'yes' ||
    (options.fftshift !== 'no' &&
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
  const given = asCut ? await givenProbe(side) : undefined;
  const centre = beamCentre(shift ? shifted(light, height, width) : light, height, width, given ?? file.probeGuess);
  if (!centre) return frameLayout(file.patterns, others, shift);
  note(`The beam of ${file.path} was found at row ${centre[0]}, column ${centre[1]}; zero frequency was put there.`);
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
