/** The page of a comparison: one HTML file with everything in it. */
import type { Provenance } from '../../core/services.js';
import { createdBy } from '../../core/version.js';
import { isSimulation } from '../../data/labels.js';
import { renderCorrelationCurves } from '../../report/correlationCurves.js';
import type { Picture } from '../../report/image.js';
import { type PageContent, type PagePicture, type PageTable, renderPage } from '../../report/page.js';
import { encodePng } from '../../report/png.js';
import { METRIC_NAMES } from '../reference.js';
import type { Measured } from './measure.js';
import { errorPictures, imagePictures, type Shown } from './pictures.js';
import type { Comparison } from './write.js';

/** A number in a table: NaN is shown. */
function number(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  return value === 0 ? '0' : String(Number(value.toPrecision(4)));
}

const pair = (of: { readonly amplitude: number; readonly phase: number } | undefined): string =>
  of ? `${number(of.amplitude)} | ${number(of.phase)}` : 'NaN | NaN';

/** The HTML document. */
export function comparisonPage(comparison: Comparison, shown: Shown): string {
  const { config, raw, models, region, sampleIndices, warnings } = comparison;
  const page = ({ name, picture }: { name: string; picture: Picture }): PagePicture => ({
    title: name,
    png: encodePng(picture),
    scale: picture,
  });
  const row = (title: string, pictures: readonly { name: string; picture: Picture }[]) => ({
    title,
    pictures: pictures.map(page),
  });
  const images = imagePictures(shown, config);
  const errors = errorPictures(shown);
  const content: PageContent = {
    title: `Comparison of ${models.map(({ name }) => name).join(', ')}`,
    summary: `${sampleIndices.length} patterns of ${raw.source}, compared on ${region.height} × ${region.width} pixels from row ${region.originYxPx[0]}, column ${region.originYxPx[1]} of the object.`,
    warnings,
    rows: [
      row(
        'Phase',
        images.map(({ name, phase: picture }) => ({ name, picture })),
      ),
      row(
        'Amplitude',
        images.map(({ name, amplitude: picture }) => ({ name, picture })),
      ),
      ...(errors.length > 0
        ? [
            row(
              'Error of the phase',
              errors.map(({ name, phase: picture }) => ({ name, picture })),
            ),
            row(
              'Error of the amplitude',
              errors.map(({ name, amplitude: picture }) => ({ name, picture })),
            ),
          ]
        : []),
    ],
    tables: [...(shown.truth ? [standardTable(comparison), referenceTable(comparison)] : []), imageTable(models)],
    curves: curves(models),
    curvesTitle: `Fourier ring correlation with the ${isSimulation(raw.metadata) ? 'truth' : 'reference'}`,
    facts: [
      { name: 'scan', value: raw.source },
      {
        name: 'pixel of the object',
        value: raw.geometry.objectPixel_m ? `${number(raw.geometry.objectPixel_m.x * 1e9)} nm` : 'not known',
      },
      { name: 'written by', value: `${createdBy.package} ${createdBy.version}, Node ${process.version}` },
    ],
    configuration: settings(comparison.provenance),
  };
  return renderPage(content);
}

/** What was given; defaults are in docs/comparison.md. */
function settings(provenance: Provenance | undefined): PageContent['configuration'] {
  return Object.entries(provenance ?? {})
    .filter(([, { source }]) => source !== 'default')
    .map(([name, { value, source, origin }]) => ({ name, value, source, origin }));
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

function standardTable({ models, floors, raw }: Comparison): PageTable {
  // Against an image that somebody made, a curve says how far the two agree, and not what was resolved.
  const known = isSimulation(raw.metadata);
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
      rFactor ? `${rFactor.image.toPrecision(3)} (constant ${rFactor.constant.toPrecision(3)})` : '',
      Number.isNaN(seconds) ? 'not known' : `${seconds.toFixed(1)} s`,
    ]),
  };
}

function curves(models: readonly Measured[]): string[] {
  const side_px = models.find(({ standard }) => standard)?.standard?.frc.side_px;
  if (side_px === undefined) return [];
  return (['phase', 'amplitude'] as const).map((kind) =>
    renderCorrelationCurves(
      models.flatMap(({ name, standard }) => (standard ? [{ name, values: standard.frc[kind] }] : [])),
      { side_px, title: kind === 'phase' ? 'Phase' : 'Amplitude' },
    ),
  );
}
