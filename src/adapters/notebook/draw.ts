/** Anything that can be shown, as pixels. */
import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, formatShape, type NumericArray, type Tensor } from '../../core/tensor.js';
import type { HistoryRow } from '../../persistence/history.js';
import type { StitchedImage } from '../../reconstruction/patchStitcher.js';
import { uncertaintyPictures, wellCovered } from '../../reconstruction/reconstructionFile.js';
import { VIRIDIS } from '../../report/colormaps.js';
import { figure, inColumns, sideBySide } from '../../report/figure.js';
import { type Picture, renderAmplitude, renderPhase, renderValues } from '../../report/image.js';
import { renderLossChart } from '../../report/loss.js';
import type { Pixels } from '../../report/png.js';

/** An image with its frame, as stitching leaves it; the uncertainty may be missing. */
export type ShownImage = Pick<StitchedImage, 'image' | 'weight' | 'uncertainty'>;

/**
 * What {@link display} takes: a complex image (rows, columns); a stitched image; a reconstruction or a preview of one; a real
 * array (rows, columns), a diffraction pattern for instance; a model or its history; pixels that are drawn already.
 */
export type Displayable =
  | ComplexImage<Float32Array>
  | ComplexImage<Float64Array>
  | ShownImage
  | { readonly stitched: ShownImage }
  | Tensor<NumericArray>
  | { readonly bundle: { readonly history: readonly HistoryRow[]; readonly training?: { readonly bestEpoch: number } } }
  | readonly HistoryRow[]
  | Pixels;

/** How it is drawn; everything may be left out. */
export interface DrawOptions {
  readonly title?: string;
  /** Side of an object pixel in metres (of x, where given apart): the bar of known length is then in nm or µm. */
  readonly pixelSize_m?: number | { readonly x: number; readonly y: number };
  /** Amplitude and phase, or one of them. */
  readonly show?: 'both' | 'amplitude' | 'phase';
  /** Values at the first and last colour of an amplitude, or of a real array; from percentiles where not given. */
  readonly range?: readonly [number, number];
  /** `cycle`: the full turn in colours that close (where not given); `auto`: from percentiles, for weak phases; or two limits. */
  readonly phaseRange?: 'cycle' | 'auto' | readonly [number, number];
  /** Take off the phase slope that a measurement leaves undetermined. */
  readonly removePlane?: boolean;
  /** Non-zero where the image means something; what the scan covers well where the image knows that. */
  readonly mask?: ArrayLike<number>;
  /** Also the uncertainty of a stitched image, where it was measured. */
  readonly uncertainty?: boolean;
  /** A real array by the logarithm log10(1 + v): for diffraction patterns. */
  readonly log?: boolean;
  /** About how many screen pixels the longer side of an image gets; 300 where not given. */
  readonly size_px?: number;
}

/**
 * The pixels that {@link display} shows.
 * @throws PtychoError DATASET_SHAPE for an array that is not (rows, columns), USAGE for something that is no image,
 * DATASET_VALUE for a history without a loss
 */
export function drawFigure(what: Displayable, options: DrawOptions = {}): Pixels {
  if (Array.isArray(what)) return lossChart(what as readonly HistoryRow[], undefined, options);
  const given = what as Partial<Record<string, unknown>>;
  if (typeof what === 'object' && what !== null) {
    if ('stitched' in what) return stitchedFigure(what.stitched, options);
    if ('bundle' in what) return lossChart(what.bundle.history, what.bundle.training?.bestEpoch, options);
    if ('image' in what && 'weight' in what) return stitchedFigure(what, options);
    if ('re' in what && 'im' in what) return complexFigure(what as ComplexImage, options);
    if ('channels' in what) return what;
    if ('data' in what && 'shape' in what) return realFigure(what, options);
  }
  const found =
    typeof given === 'object' && given !== null ? `an object of ${Object.keys(given).join(', ')}` : typeof what;
  throw new PtychoError(
    'USAGE',
    `display shows complex images {re, im, shape}, arrays {data, shape}, reconstructions, models and histories, but was given ${found}.`,
    {},
  );
}

function stitchedFigure(stitched: ShownImage, options: DrawOptions): Pixels {
  const { mask = wellCovered(stitched.weight), uncertainty = false } = options;
  const figures = complexFigures(stitched.image, { ...options, mask });
  const spread = uncertainty ? uncertaintyPictures(stitched, Uint8Array.from(mask)) : undefined;
  if (uncertainty && !spread) {
    throw new PtychoError(
      'USAGE',
      'The uncertainty of this image was not measured; reconstruct with uncertainty: true to see it.',
      { key: 'uncertainty' },
    );
  }
  if (!spread) return sideBySide(figures);
  const { show = 'both' } = options;
  const below = { ...options, title: undefined };
  if (show !== 'phase') figures.push(framed(spread.amplitude, 'spread of amplitude', below));
  if (show !== 'amplitude') figures.push(framed(spread.phase, 'spread of phase', below));
  return inColumns(figures, figures.length / 2);
}

function complexFigure(image: ComplexImage, options: DrawOptions): Pixels {
  return sideBySide(complexFigures(image, options));
}

function complexFigures(image: ComplexImage, options: DrawOptions): Pixels[] {
  const { show = 'both', range, phaseRange = 'cycle', removePlane, mask } = options;
  const figures: Pixels[] = [];
  if (show !== 'phase') {
    const amplitude = renderAmplitude(image, { mask });
    figures.push(framed(range ? withLimits(image, range, mask) : amplitude, 'amplitude', options));
  }
  if (show !== 'amplitude') {
    figures.push(framed(renderPhase(image, { mask, removePlane, range: phaseRange }), 'phase', options));
  }
  return figures;
}

/** The amplitude between two values. */
function withLimits(
  { re, im, shape }: ComplexImage,
  limits: readonly [number, number],
  mask?: ArrayLike<number>,
): Picture {
  const covered = (i: number) => mask === undefined || mask[i] > 0;
  const values = Float64Array.from(re, (v, i) => (covered(i) ? Math.hypot(v, im[i]) : Number.NaN));
  return renderValues(values, shape, { limits, colormap: VIRIDIS });
}

function realFigure({ data, shape }: Tensor<NumericArray>, options: DrawOptions): Pixels {
  if (shape.length !== 2 || data.length !== shape[0] * shape[1] || data.length === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `display shows arrays of rows and columns, got shape ${formatShape(shape)}; take one of them: {data: data.subarray(…), shape: [rows, columns]}.`,
      { found: shape },
    );
  }
  const values = options.log ? Float64Array.from(data, (v) => Math.log10(1 + v)) : data;
  const mask = options.mask;
  const shown = mask ? Float64Array.from(values, (v, i) => (mask[i] > 0 ? v : Number.NaN)) : values;
  const picture = renderValues(shown, shape, { limits: options.range, colormap: VIRIDIS });
  return framed(picture, options.log ? 'log10(1 + v)' : undefined, options);
}

function framed(picture: Picture, kind: string | undefined, { title, pixelSize_m, size_px }: DrawOptions): Pixels {
  const side = typeof pixelSize_m === 'object' ? pixelSize_m.x : pixelSize_m;
  const titles = [title, kind].filter((part) => part !== undefined && part !== '');
  return figure(picture, { title: titles.length > 0 ? titles.join(': ') : undefined, pixelSize_m: side, size_px });
}

function lossChart(history: readonly HistoryRow[], bestEpoch: number | undefined, { title }: DrawOptions): Pixels {
  const series = [
    { name: 'training', values: history.map(({ loss }) => loss ?? null) },
    { name: 'validation', values: history.map(({ val_loss }) => val_loss ?? null) },
  ].filter(({ name, values }) => name === 'training' || values.some((v) => v !== null));
  return renderLossChart(series, { bestEpoch, title: title ?? 'Loss per epoch' });
}
