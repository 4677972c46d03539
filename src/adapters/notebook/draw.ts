/** Anything that can be shown, as a drawing. */
import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, formatShape, type NumericArray, type Tensor } from '../../core/tensor.js';
import type { HistoryRow } from '../../persistence/history.js';
import type { StitchedImage } from '../../reconstruction/patchStitcher.js';
import { PLANE_NOTE, uncertaintyPictures, wellCovered } from '../../reconstruction/pictures.js';
import { VIRIDIS } from '../../report/colormaps.js';
import { AMONG_OTHERS, figure, type ImagePanelOptions, imagePanel, type Panel } from '../../report/figure.js';
import { type Picture, renderAmplitude, renderPhase, renderValues } from '../../report/image.js';
import { lossChart } from '../../report/loss.js';
import type { Pixels } from '../../report/png.js';
import type { Drawing } from '../../report/renderer.js';

/** An image with its frame, as stitching leaves it; the uncertainty may be missing. */
export type ShownImage = Pick<StitchedImage, 'image' | 'weight' | 'uncertainty'>;

/**
 * What {@link display} takes: a complex image (rows, columns); a stitched image; a reconstruction or a preview of one; a real
 * array (rows, columns), a diffraction pattern for instance; a model or its history; a drawing, or pixels that are drawn already.
 */
export type Displayable =
  | ComplexImage<Float32Array>
  | ComplexImage<Float64Array>
  | ShownImage
  | { readonly stitched: ShownImage }
  | Tensor<NumericArray>
  | { readonly bundle: { readonly history: readonly HistoryRow[]; readonly training?: { readonly bestEpoch: number } } }
  | readonly HistoryRow[]
  | Drawing
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
  /** How many screen pixels the shorter side of an image gets at least (a PNG file has twice as many); 300 where not given. */
  readonly size_px?: number;
}

/**
 * What {@link display} draws; pixels that are drawn already stay what they are.
 * @throws PtychoError DATASET_SHAPE for an array that is not (rows, columns), USAGE for something that is no image,
 * DATASET_VALUE for a history without a loss
 */
export function drawFigure(what: Displayable, options: DrawOptions = {}): Drawing | Pixels {
  if (Array.isArray(what)) return lossOf(what as readonly HistoryRow[], undefined, options);
  const given = what as Partial<Record<string, unknown>>;
  if (typeof what === 'object' && what !== null) {
    if ('stitched' in what) return stitchedFigure(what.stitched, options);
    if ('bundle' in what) return lossOf(what.bundle.history, what.bundle.training?.bestEpoch, options);
    if ('image' in what && 'weight' in what) return stitchedFigure(what, options);
    if ('re' in what && 'im' in what) return inRow(complexPanels(what as ComplexImage, options), options);
    if ('channels' in what || 'spec' in what) return what;
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

const inRow = (panels: readonly Panel[], { title }: DrawOptions, columns = panels.length): Drawing =>
  figure(panels, { title, columns });

function stitchedFigure(stitched: ShownImage, options: DrawOptions): Drawing {
  const { mask = wellCovered(stitched.weight), uncertainty = false } = options;
  const panels = complexPanels(stitched.image, { ...options, mask });
  const spread = uncertainty ? uncertaintyPictures(stitched, Uint8Array.from(mask)) : undefined;
  if (uncertainty && !spread) {
    throw new PtychoError(
      'USAGE',
      'The uncertainty of this image was not measured; reconstruct with uncertainty: true to see it.',
      { key: 'uncertainty' },
    );
  }
  if (!spread) return inRow(panels, options);
  const { show = 'both' } = options;
  if (show !== 'phase')
    panels.push(panel(spread.amplitude, { title: 'spread of amplitude', quantity: AMPLITUDE }, options));
  if (show !== 'amplitude') panels.push(panel(spread.phase, { title: 'spread of phase', quantity: PHASE }, options));
  return inRow(panels, options, panels.length / 2);
}

const [AMPLITUDE, PHASE] = ['amplitude, relative', 'phase / rad'];

function complexPanels(image: ComplexImage, options: DrawOptions): Panel[] {
  const { show = 'both', range: limits, phaseRange = 'cycle', removePlane, mask } = options;
  const panels: Panel[] = [];
  if (show !== 'phase') {
    panels.push(panel(renderAmplitude(image, { mask, limits }), { title: 'amplitude', quantity: AMPLITUDE }, options));
  }
  if (show !== 'amplitude') {
    const picture = renderPhase(image, { mask, removePlane, range: phaseRange });
    const note = removePlane ? PLANE_NOTE : undefined;
    panels.push(panel(picture, { title: 'phase', note, quantity: PHASE }, options));
  }
  return panels;
}

function realFigure({ data, shape }: Tensor<NumericArray>, options: DrawOptions): Drawing {
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
  const quantity = options.log ? 'log₁₀(1 + v)' : undefined;
  return figure([panel(picture, { title: options.title, quantity }, options)]);
}

function panel(
  picture: Picture,
  labels: ImagePanelOptions,
  { pixelSize_m, size_px = AMONG_OTHERS }: DrawOptions,
): Panel {
  const side = typeof pixelSize_m === 'object' ? pixelSize_m.x : pixelSize_m;
  return imagePanel(picture, { ...labels, pixelSize_m: side, side_px: size_px });
}

function lossOf(history: readonly HistoryRow[], bestEpoch: number | undefined, { title }: DrawOptions): Drawing {
  const series = [
    { name: 'training', values: history.map(({ loss }) => loss ?? null) },
    { name: 'validation', values: history.map(({ val_loss }) => val_loss ?? null) },
  ].filter(({ name, values }) => name === 'training' || values.some((v) => v !== null));
  return lossChart(series, { bestEpoch, title });
}
