/** The pictures of a comparison: every image in the gauge of the truth, and what separates it from the truth. */
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { meanOf } from '../../core/numbers.js';
import type { ComplexImage } from '../../core/tensor.js';
import { isSimulation } from '../../data/labels.js';
import type { RawData } from '../../data/rawData.js';
import { VIRIDIS } from '../../report/colormaps.js';
import { figure, inColumns } from '../../report/figure.js';
import { type Picture, renderValues } from '../../report/image.js';
import { displayPhase } from '../../report/phase.js';
import type { Pixels } from '../../report/png.js';
import { alignComplex } from '../align.js';
import { wrap } from '../phase.js';
import type { PlacedImage } from './region.js';

/** Amplitude and phase (radians) of an image as it is shown; NaN where it has nothing. */
export interface ShownImage {
  readonly name: string;
  readonly shape: readonly number[];
  readonly amplitude: Float64Array;
  readonly phase: Float64Array;
}

/** What is shown of a comparison. */
export interface Shown {
  readonly models: readonly ShownImage[];
  readonly truth?: ShownImage;
}

/** Names of the last column: the object of a simulation is true, that of a measurement is what somebody made of it. */
export const truthName = ({ metadata }: Pick<RawData, 'metadata'>): string =>
  isSimulation(metadata) ? 'Ground truth' : 'Reference';

type Colours = Pick<
  ComparisonConfig,
  'p_min' | 'p_max' | 'pinn_phase_vmin' | 'pinn_phase_vmax' | 'baseline_phase_vmin' | 'baseline_phase_vmax'
>;

/**
 * The images as they are shown. With a truth each is turned by the constant phase and the phase ramp, and scaled to the mean
 * amplitude, that bring it nearest, since these mean nothing; without one its own plane is taken out of the phase.
 */
export function shownImages(
  models: readonly PlacedImage[],
  truth: ComplexImage | undefined,
  nameOfTruth: string,
): Shown {
  if (!truth) {
    return { models: models.map(({ name, placed, covered }) => shown(name, placed, covered, undefined)) };
  }
  const turn = meanTurn(truth);
  const reference = shown(nameOfTruth, truth, undefined, turn);
  const level = meanOf(reference.amplitude);
  return {
    truth: reference,
    models: models.map(({ name, placed, covered }) => {
      const { aligned } = alignComplex(placed, truth, covered);
      const one = shown(name, aligned, covered, turn);
      const covers = one.amplitude.filter((v) => !Number.isNaN(v));
      const own = covers.length > 0 ? meanOf(covers) : 0;
      return own > 0 ? { ...one, amplitude: one.amplitude.map((v) => (v * level) / own) } : one;
    }),
  };
}

function shown(
  name: string,
  image: ComplexImage<Float32Array | Float64Array>,
  covered: Uint8Array | undefined,
  turn: readonly [number, number] | undefined,
): ShownImage {
  const { re, im, shape } = image;
  const at = (i: number, value: number) => (covered && !covered[i] ? Number.NaN : value);
  const amplitude = Float64Array.from(re, (v, i) => at(i, Math.hypot(v, im[i])));
  const single = { re: Float32Array.from(re), im: Float32Array.from(im), shape };
  const phase = turn
    ? Float64Array.from(re, (v, i) => at(i, Math.atan2(im[i] * turn[0] - v * turn[1], v * turn[0] + im[i] * turn[1])))
    : displayPhase(single, { removePlane: true, mask: covered });
  return { name, shape, amplitude, phase };
}

/** The mean direction of an image, which its phase is shown about. */
function meanTurn({ re, im }: ComplexImage): readonly [number, number] {
  const [x, y] = [meanOf(re), meanOf(im)];
  const size = Math.hypot(x, y);
  return size > 0 ? [x / size, y / size] : [1, 0];
}

/** An amplitude and a phase picture of every image, the truth last, in common colours where there is a truth. */
export function imagePictures(
  { models, truth }: Shown,
  colours: Colours,
): readonly { readonly name: string; readonly amplitude: Picture; readonly phase: Picture }[] {
  const { p_min: low, p_max: high } = colours;
  const limits = (kind: 'amplitude' | 'phase', own: ShownImage): readonly [number, number] => {
    const of = truth ?? own;
    const found = renderValues(of[kind], of.shape, { low, high });
    if (kind === 'amplitude') return [found.low, found.high];
    const [vmin, vmax] =
      own.name === 'PtychoPINN'
        ? [colours.pinn_phase_vmin, colours.pinn_phase_vmax]
        : own.name === 'Baseline'
          ? [colours.baseline_phase_vmin, colours.baseline_phase_vmax]
          : [null, null];
    const ends = [vmin ?? found.low, vmax ?? found.high] as const;
    // The end that was given holds; the other gives way.
    return ends[0] < ends[1] ? ends : vmin === null ? [ends[1] - 1e-6, ends[1]] : [ends[0], ends[0] + 1e-6];
  };
  const picture = (one: ShownImage, kind: 'amplitude' | 'phase') =>
    renderValues(one[kind], one.shape, {
      limits: limits(kind, one),
      colormap: VIRIDIS,
      unit: kind === 'phase' ? 'rad' : '',
    });
  return [...models, ...(truth ? [truth] : [])].map((one) => ({
    name: one.name,
    amplitude: picture(one, 'amplitude'),
    phase: picture(one, 'phase'),
  }));
}

/** What separates every image from the truth: |difference| of amplitude and phase, in common colours; empty without a truth. */
export function errorPictures({
  models,
  truth,
}: Shown): readonly { readonly name: string; readonly amplitude: Picture; readonly phase: Picture }[] {
  if (!truth) return [];
  const errors = models.map((one) => ({
    name: one.name,
    amplitude: one.amplitude.map((v, i) => Math.abs(v - truth.amplitude[i])),
    phase: one.phase.map((v, i) => Math.abs(wrap(v - truth.phase[i]))),
  }));
  const highest = (kind: 'amplitude' | 'phase') => {
    const all = errors.flatMap((error) => Array.from(error[kind]));
    return renderValues(all, [1, all.length], { high: 99 }).high;
  };
  const [amplitude, phase] = [highest('amplitude'), highest('phase')];
  const picture = (values: Float64Array, high: number, unit: string) =>
    renderValues(values, truth.shape, { limits: [0, high], colormap: VIRIDIS, unit });
  return errors.map((error) => ({
    name: error.name,
    amplitude: picture(error.amplitude, amplitude, ''),
    phase: picture(error.phase, phase, 'rad'),
  }));
}

/** `comparison_plot.png`: phases above amplitudes, a column an image, the truth last. */
export function comparisonPlot(shownNow: Shown, colours: Colours, pixelSize_m?: number): Pixels {
  const pictures = imagePictures(shownNow, colours);
  const figures = (kind: 'phase' | 'amplitude') =>
    pictures.map((one) => figure(one[kind], { title: `${one.name}, ${kind}`, pixelSize_m }));
  return inColumns([...figures('phase'), ...figures('amplitude')], pictures.length);
}
