/** The image beside the known object of a simulated scan: `comparison_plot.png`. */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import { type Frame, frameOfObject, intersectFrames, moveToFrame, scanBounds } from '../reconstruction/frame.js';
import type { StitchedImage } from '../reconstruction/patchStitcher.js';
import type { PhaseRange } from '../reconstruction/pictures.js';
import { VIRIDIS } from '../report/colormaps.js';
import { displayPhase } from '../report/displayPhase.js';
import { AMONG_OTHERS, figure, imagePanel } from '../report/figure.js';
import { type Picture, renderValues } from '../report/image.js';
import type { Drawing } from '../report/renderer.js';
import { alignComplex } from './align.js';
import { boundingBox } from './commonFrame.js';

/**
 * The object of a scan, to compare with.
 * @param who needs it
 * @throws PtychoError DATASET_KEY_MISSING where the scan has none
 */
export function knownObject(raw: RawData, who: 'comparison_plot' | 'calibrate' = 'comparison_plot'): ComplexImage {
  if (raw.objectGuess) return raw.objectGuess;
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${who} needs the true object, but ${raw.source} holds no objectGuess; ${who === 'calibrate' ? 'name' : 'leave comparison_plot out, or use'} a simulated scan.`,
    { key: 'objectGuess', path: raw.source },
  );
}

/** Fewer pixels along a side show nothing. */
const LEAST_SIDE = 8;

/**
 * Image and truth, amplitude above phase, in the rectangle that the scan positions span. The image is brought into the
 * truth's gauge (one complex factor, one phase ramp); a picture and its truth have the same colours.
 * @param options `window`: pixels that are left out along each edge
 * @throws PtychoError DATASET_SHAPE where image and truth share no pixel there
 */
export function imageBesideTruth(
  stitched: StitchedImage,
  truth: ComplexImage,
  positions: { readonly xcoords: Float64Array; readonly ycoords: Float64Array },
  range: PhaseRange,
  { pixelSize_m, window = 0 }: { readonly pixelSize_m?: number; readonly window?: number } = {},
): Drawing {
  const bounds = scanBounds(positions.xcoords, positions.ycoords);
  const truthFrame = frameOfObject(truth);
  const both = intersectFrames(stitched.frame, truthFrame);
  const scan = boundingBox(bounds);
  // A scan of one line, or of one point, spans no rectangle: then all that both have.
  const shared = both && scan.height > LEAST_SIDE && scan.width > LEAST_SIDE ? intersectFrames(both, scan) : both;
  const region = shared && within(shared, window);
  if (!region) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The image and the objectGuess of the scan share no pixel, so comparison_plot has nothing to show; check that xcoords and ycoords are pixels of objectGuess.`,
      { frame: stitched.frame, truth: truthFrame },
    );
  }
  const reference = moveToFrame(truth, truthFrame, region);
  const image = moveToFrame(stitched.image, stitched.frame, region);
  const weight = moveToFrame({ re: stitched.weight.data, im: stitched.weight.data, shape: stitched.weight.shape }, stitched.frame, region).re; // biome-ignore format: one call
  const mask = Uint8Array.from(weight, (w) => (w > 0 ? 1 : 0));
  const { aligned } = alignComplex(image, reference, mask);
  const ours = { re: Float32Array.from(aligned.re), im: Float32Array.from(aligned.im), shape: aligned.shape };
  const modulus = ({ re, im }: ComplexImage) => re.map((v, i) => (mask[i] ? Math.hypot(v, im[i]) : Number.NaN));
  const [ourPhase, truePhase] = [ours, reference].map((z) => displayPhase(z, { mask }));
  const amplitude = pair(modulus(ours), modulus(reference), ours.shape, {}, '');
  const phase = pair(ourPhase, truePhase, ours.shape, { low: range.phase_vmin, high: range.phase_vmax }, 'rad');
  const place = { side_px: AMONG_OTHERS, originYxPx: region.originYxPx, pixelSize_m };
  const strength = { ...place, quantity: 'amplitude, relative' };
  const angle = { ...place, quantity: 'phase / rad', note: 'about the same mean' };
  return figure(
    [
      imagePanel(amplitude[0], { ...strength, title: 'Amplitude' }),
      imagePanel(amplitude[1], { ...strength, title: 'True amplitude' }),
      imagePanel(phase[0], { ...angle, title: 'Phase' }),
      imagePanel(phase[1], { ...angle, title: 'True phase' }),
    ],
    { columns: 2, title: 'Image and truth', note: 'in the gauge of the truth: one complex factor and one phase ramp' },
  );
}

/** What is left of a frame without its edges, some of the middle in any case. */
function within({ originYxPx, height, width }: Frame, edge: number): Frame {
  const [y, x] = [height, width].map((side) => Math.min(edge, Math.max(0, Math.floor((side - LEAST_SIDE) / 2))));
  return { originYxPx: [originYxPx[0] + y, originYxPx[1] + x], height: height - 2 * y, width: width - 2 * x };
}

/** Two pictures with the colours of the second one's values, unless told otherwise. */
function pair(
  ours: Float32Array | Float64Array,
  truth: Float32Array | Float64Array,
  shape: readonly number[],
  given: { readonly low?: number | null; readonly high?: number | null },
  unit: string,
): readonly [Picture, Picture] {
  const own = renderValues(truth, shape, { low: 0.5, high: 99.5, unit });
  const [low, high] = [given.low ?? own.low, given.high ?? own.high];
  const options = { colormap: VIRIDIS, unit, limits: [low, high] as const };
  return [renderValues(ours, shape, options), renderValues(truth, shape, options)];
}
