/**
 * Frames and masks on the way from the file to patterns: the valid range, corrections, the mask that is given and the pixels that
 * were found, each where it belongs.
 */
import { type FoundMask, readBadPixels } from '../opening/badPixels.js';
import type { OpenDatasetOptions } from '../opening/openDatasetOptions.js';
import type { PatternView } from '../patternSource.js';
import type { ScanFile, StoredPatterns } from '../scanFile.js';
import { type Correction, correctFrames } from './corrections.js';
import { type FrameLayout, layMask } from './frameLayout.js';
import { addTo, judgePixels } from './pixels.js';
import type { Sample } from './sample.js';
import { framesInRange, type ValidRange } from './validRange.js';

/** The frames as they are used: within the valid range, then corrected. */
export function prepareFrames(
  frames: StoredPatterns,
  { correction, validRange, masked }: { correction?: Correction; validRange?: ValidRange; masked?: Uint8Array },
  onOutside: (row: number, values: number) => void,
): StoredPatterns {
  const none = () => new Uint8Array(frames.height * frames.width);
  const valid = validRange ? framesInRange(frames, validRange, masked ?? none(), onOutside) : frames;
  return correction ? correctFrames(valid, correction) : valid;
}

/** The mask that is given, or the file's. */
export async function findMask(file: ScanFile, options: OpenDatasetOptions): Promise<FoundMask | undefined> {
  const found = options.bad_pixels
    ? await readBadPixels(options.bad_pixels, options.allow_links)
    : file.badPixels && { mask: file.badPixels, origin: { path: file.path, member: 'bad_pixels' } };
  if (!found || !options.invert_mask) return found;
  const { data, shape } = found.mask;
  return { mask: { data: data.map((bad) => (bad ? 0 : 1)), shape }, origin: found.origin };
}

/** Masks of whole frames as one. */
export function maskOf(
  { path, patterns: { height, width } }: ScanFile,
  masks: readonly (Uint8Array | undefined)[],
): FoundMask | undefined {
  const some = masks.filter((mask) => mask !== undefined);
  if (some.length === 0) return undefined;
  const data = new Uint8Array(height * width);
  for (const mask of some) addTo(data, mask);
  return { mask: { data, shape: [height, width] }, origin: { path } };
}

/** The patterns looked at before pixels are added up: only then do their numbers say what they are. */
export async function unbinned(
  sample: Sample,
  layout: FrameLayout,
  view: PatternView,
  noData: Uint8Array | undefined,
): Promise<Float32Array> {
  const fine = { ...layout, rebin: 1, N: layout.padded };
  const { pixels } = await sample.as(fine, () => 'count_intensity', { ...view, window: undefined });
  const { height, width } = sample.frames;
  const square = layMask(noData, [height, width], fine);
  judgePixels(pixels, fine.N, { given: view.transpose ? transposed(square, fine.N) : square, dtype: 'float32' });
  return pixels;
}

function transposed(mask: Uint8Array, side: number): Uint8Array {
  return mask.map((_, p) => mask[(p % side) * side + Math.floor(p / side)]);
}

/** A mask of whole frames goes through what they go through; pixels that a moved frame does not reach are bad. */
export function laidMask(
  found: FoundMask | undefined,
  { height, width }: StoredPatterns,
  layout: FrameLayout,
): FoundMask {
  const ofFrames = found && found.mask.shape[0] === height && found.mask.shape[1] === width;
  if (found && !ofFrames) return found;
  const data = layMask(found?.mask.data, [height, width], layout);
  return { mask: { data, shape: [layout.N, layout.N] }, origin: found?.origin ?? { path: 'crop_center_px' } };
}
