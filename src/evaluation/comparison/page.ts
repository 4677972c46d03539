/** The page of a comparison, one HTML file with everything in it, and its pictures: every image in the gauge of the truth, and its errors. */

import { repeatCommand, shownSettings } from '../../config/flags.js';
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { meanOf } from '../../core/numbers.js';
import type { ComplexImage } from '../../core/tensor.js';
import { createdBy } from '../../core/version.js';
import { counted } from '../../core/words.js';
import { VIRIDIS } from '../../report/colormaps.js';
import { correlationChart } from '../../report/correlation.js';
import { displayPhase } from '../../report/displayPhase.js';
import { AMONG_OTHERS, figure, imagePanel, type Panel } from '../../report/figure.js';
import { type Picture, renderValues } from '../../report/image.js';
import {
  type PageContent,
  type PagePicture,
  type PageSection,
  type PageTable,
  pagePicture,
  renderPage,
} from '../../report/page.js';
import type { Drawing } from '../../report/renderer.js';
import { alignComplex } from '../align.js';
import { wrap } from '../phase.js';
import { METRIC_NAMES } from '../reference.js';
import type { Comparison, Measured, PlacedImage } from './measure.js';

/** A number in a table: NaN is shown. */
function number(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  return value === 0 ? '0' : String(Number(value.toPrecision(4)));
}

const pair = (of: { readonly amplitude: number; readonly phase: number } | undefined): string =>
  of ? `${number(of.amplitude)} | ${number(of.phase)}` : 'NaN | NaN';

/** The HTML document. */
export async function comparisonPage(comparison: Comparison, { images, errors }: ComparisonPanels): Promise<string> {
  const { raw, models, region, sampleIndices, warnings } = comparison;
  const columns = models.length + (comparison.reference ? 1 : 0);
  const pictures = async (title: string, panels: readonly Panel[]): Promise<PagePicture> =>
    pagePicture(figure(panels, { title, columns }));
  const pixel = raw.geometry.objectPixel_m;
  const content: PageContent = {
    title: `Comparison of ${models.map(({ name }) => name).join(', ')}`,
    summary: `${counted(sampleIndices.length, 'pattern')} of ${raw.source}, compared on ${region.height} × ${region.width} pixels from row ${region.originYxPx[0]}, column ${region.originYxPx[1]} of the object.`,
    warnings,
    sections: [
      {
        title: 'Images',
        pictures: [await pictures('Phase', images.phase), await pictures('Amplitude', images.amplitude)],
      },
      ...(errors
        ? [{ title: 'Errors', pictures: [await pictures('Error of the phase', errors.phase), await pictures('Error of the amplitude', errors.amplitude)] }] // biome-ignore format: one section
        : []),
      {
        title: 'Scores',
        tables: [
          ...(comparison.reference ? [standardTable(comparison), referenceTable(comparison)] : []),
          imageTable(models),
        ],
      },
      ...(await curves(comparison)),
    ],
    facts: [
      { name: 'scan', value: raw.source },
      { name: 'pixel of the object', value: pixel ? `${number(pixel.x * 1e9)} nm` : 'not known' },
      { name: 'written by', value: `${createdBy.package} ${createdBy.version}, Node ${process.version}` },
    ],
    configuration: shownSettings(comparison.provenance),
    command: repeatCommand('compare', comparison.provenance),
  };
  return renderPage(content);
}

function referenceTable({ models, floors }: Comparison): PageTable {
  return {
    title: 'Reference metrics',
    note: 'As the published tools define them, for comparison with numbers in print: PSNR about 255, MS-SSIM and FRC of their own kind. Amplitude | phase.',
    head: ['metric', ...models.map(({ name }) => name), ...floors.map(({ name }) => `floor: ${name}`)],
    rows: METRIC_NAMES.map((metric) => [
      metric,
      ...models.map(({ reference }) => pair(reference?.[metric])),
      ...floors.map(({ reference }) => pair(reference?.[metric])),
    ]),
  };
}

function standardTable({ models, floors, truthKnown: known }: Comparison): PageTable {
  // Against an image that somebody made, a curve says how far the two agree, and not what was resolved.
  const word = known ? 'resolution' : 'agreement';
  const all = [...models, ...floors];
  const cells = (of: (one: (typeof all)[number]) => string) => all.map(of);
  return {
    title: 'Standard metrics',
    note: `As the literature defines them, after one complex factor and one phase ramp; ranges are those of the ${known ? 'truth' : 'reference'}. A floor is what an image without any reconstruction scores. Amplitude | phase; ${known ? 'resolutions are half periods' : 'agreement is given in half periods and is no resolution'}.`,
    head: ['metric', ...models.map(({ name }) => name), ...floors.map(({ name }) => `floor: ${name}`)],
    rows: [
      ['complex error', ...cells(({ standard }) => number(standard?.complex_error ?? Number.NaN))],
      ...METRIC_NAMES.map((metric) => [metric, ...cells(({ standard }) => pair(standard?.[metric]))]),
      [`${word} at 1/2, complex`, ...cells(({ standard }) => resolution(standard?.resolution.complex.frc50, known))],
      [
        `${word} at half a bit, complex`,
        ...cells(({ standard }) => resolution(standard?.resolution.complex.half_bit, known)),
      ],
    ],
  };
}

function resolution(
  of: { readonly px: number; readonly m?: number; readonly beyond_nyquist: boolean } | undefined,
  known: boolean,
): string {
  if (!of) return 'NaN';
  const length = of.m === undefined ? `${number(of.px)} px` : `${number(of.px)} px, ${number(of.m * 1e9)} nm`;
  if (!of.beyond_nyquist) return length;
  return known ? `${length} or finer` : 'to Nyquist';
}

function imageTable(models: readonly Measured[]): PageTable {
  return {
    title: 'Images',
    head: ['name', 'what', 'file', 'coverage', 'shift (down, right)', 'confidence', 'R-factor', 'time'],
    rows: models.map(({ name, what, path, coverage, registration, rFactor, seconds }) => [
      name,
      what,
      path,
      `${(100 * coverage).toFixed(1)} %`,
      registration === undefined
        ? 'not looked for'
        : registration.succeeded
          ? registration.shiftYxPx.map((v) => v.toFixed(2)).join(', ')
          : 'failed',
      registration === undefined ? '' : registration.confidence.toFixed(2),
      rFactor ? rFactorWords(rFactor) : '',
      Number.isNaN(seconds) ? 'not known' : `${seconds.toFixed(1)} s`,
    ]),
  };
}

/** `0.148 (constant 0.403) on 64 patterns, probe of the scan`. */
const rFactorWords = ({ image, constant, patterns, probe }: NonNullable<Measured['rFactor']>): string =>
  `${image.toPrecision(3)} (constant ${constant.toPrecision(3)}) on ${counted(patterns, 'pattern')}, probe of the ${probe}`;

async function curves({ models, truthKnown, raw }: Comparison): Promise<PageSection[]> {
  const side_px = models.find(({ standard }) => standard)?.standard?.frc.side_px;
  if (side_px === undefined) return [];
  const drawings = (['phase', 'amplitude'] as const).map((kind) =>
    correlationChart(
      models.flatMap(({ name, standard }) => (standard ? [{ name, values: standard.frc[kind] }] : [])),
      { side_px, title: kind === 'phase' ? 'Phase' : 'Amplitude', pixelSize_m: raw.geometry.objectPixel_m?.x },
    ),
  );
  const pictures = await Promise.all(drawings.map((drawing) => pagePicture(drawing)));
  return [{ title: `Fourier ring correlation with the ${truthKnown ? 'truth' : 'reference'}`, pictures }];
}

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
export const truthName = ({ truthKnown }: Pick<Comparison, 'truthKnown'>): string =>
  truthKnown ? 'Ground truth' : 'Reference';

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

/** Images and errors as panels, by what they show. */
export interface ComparisonPanels {
  readonly images: { readonly phase: readonly Panel[]; readonly amplitude: readonly Panel[] };
  readonly errors?: { readonly phase: readonly Panel[]; readonly amplitude: readonly Panel[] };
}

/** A column an image, the truth last. */
export function comparisonPanels(
  shownNow: Shown,
  colours: Colours,
  place: { readonly pixelSize_m?: number; readonly originYxPx?: readonly [number, number] },
): ComparisonPanels {
  const images = imagePictures(shownNow, colours);
  const errors = errorPictures(shownNow);
  const panels = (of: readonly { name: string; picture: Picture }[], quantity: string, note?: string) =>
    of.map(({ name, picture }) =>
      imagePanel(picture, { title: name, note, quantity, side_px: AMONG_OTHERS, ...place }),
    );
  const kind = (of: typeof images, which: 'phase' | 'amplitude') =>
    of.map((one) => ({ name: one.name, picture: one[which] }));
  const gauge = shownNow.truth ? 'in the gauge of the truth' : 'plane and offset removed for display';
  return {
    images: {
      phase: panels(kind(images, 'phase'), 'phase / rad', gauge),
      amplitude: panels(kind(images, 'amplitude'), 'amplitude, relative'),
    },
    ...(errors.length > 0 && {
      errors: {
        phase: panels(kind(errors, 'phase'), '|error| / rad'),
        amplitude: panels(kind(errors, 'amplitude'), '|error|, relative'),
      },
    }),
  };
}

/** `comparison_plot.png`: phases above amplitudes. */
export function comparisonPlot({ images: { phase, amplitude } }: ComparisonPanels): Drawing {
  return figure([...phase, ...amplitude], { columns: phase.length, title: 'Phase above, amplitude below' });
}
