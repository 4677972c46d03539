/** The tables of a comparison as CSV, in the published columns. */

import { type CsvCell, encodeCsv } from '../../formats/textTable.js';
import { METRIC_NAMES, type ReferenceMetrics } from '../reference.js';
import type { StandardMetrics } from '../standard.js';
import type { Measured } from './measure.js';

/** Numbers as `%.6f`; what is no number is shown as such. */
export function sixDecimals(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  // Rounding must not leave a zero with a sign.
  return value.toFixed(6).replace(/^-(0\.0*)$/, '$1');
}

/** A row of metrics: amplitude and phase, or all three, or the value alone. */
type Row = readonly [
  model: string,
  metric: string,
  values: readonly [amplitude: number, phase: number, value?: number] | number,
];

function cellsOf([model, metric, values]: Row): CsvCell[] {
  const [amplitude, phase, value] = typeof values === 'number' ? [undefined, undefined, values] : values;
  const cells = [amplitude, phase, value].map((v) => (v === undefined ? '' : sixDecimals(v)));
  return [model, metric, ...cells];
}

const COLUMNS = ['metric', 'amplitude', 'phase', 'value'];

const csv = (rows: readonly Row[]): string => encodeCsv([['model', ...COLUMNS], ...rows.map(cellsOf)]);

/**
 * `comparison_metrics.csv`: the reference metrics of every model, then its registration and its time. NaN is shown: no metric, no
 * registration, a time that nobody knows.
 */
export function metricsCsv(models: readonly Measured[]): string {
  return csv(
    models.flatMap((model): Row[] => {
      const { name, registration, seconds } = model;
      const [dy, dx] = registration?.succeeded ? registration.shiftYxPx : [Number.NaN, Number.NaN];
      return [
        ...referenceRows(model),
        [name, 'registration_offset_dy', dy],
        [name, 'registration_offset_dx', dx],
        [name, 'computation_time_s', seconds],
      ];
    }),
  );
}

/** What has metrics: a model, or a floor. */
interface Scored {
  readonly name: string;
  readonly reference?: ReferenceMetrics;
  readonly standard?: StandardMetrics;
}

const NONE = { amplitude: Number.NaN, phase: Number.NaN };

function referenceRows({ name, reference }: Scored): Row[] {
  return METRIC_NAMES.map((metric) => {
    const { amplitude, phase } = reference?.[metric] ?? NONE;
    return [name, metric, [amplitude, phase]];
  });
}

function standardRows({ name, standard }: Scored): Row[] {
  return [
    ...METRIC_NAMES.map((metric): Row => {
      const { amplitude, phase } = standard?.[metric] ?? NONE;
      return [name, metric, [amplitude, phase]];
    }),
    [name, 'complex_error', standard?.complex_error ?? Number.NaN],
    ...(['frc50', 'frc1over7', 'half_bit'] as const).map((threshold): Row => {
      const px = (of: 'amplitude' | 'phase' | 'complex') => standard?.resolution[of][threshold].px ?? Number.NaN;
      return [name, `resolution_${threshold}_px`, [px('amplitude'), px('phase'), px('complex')]];
    }),
  ];
}

/**
 * `comparison_metrics_standard.csv`: the standard metrics in the same columns; resolutions (of amplitude, phase and, as value, of
 * the complex image) are half periods in pixels.
 */
export function standardCsv(models: readonly Scored[]): string {
  return csv(models.flatMap(standardRows));
}

/** `comparison_floors.csv`: what images score that needed no reconstruction, both families. */
export function floorsCsv(floors: readonly Scored[]): string {
  const rows = floors.flatMap((floor) => [
    ...referenceRows(floor).map((row) => ['reference', row] as const),
    ...standardRows(floor).map((row) => ['standard', row] as const),
  ]);
  return encodeCsv([['family', 'floor', ...COLUMNS], ...rows.map(([family, row]) => [family, ...cellsOf(row)])]);
}

/** `…_frc_curves.csv`: the reference curves of one model, a ring a row. */
export function curvesCsv({ name, reference }: Measured): string {
  const { amplitude, phase } = reference?.frc ?? {};
  const rings = Math.max(amplitude?.length ?? 0, phase?.length ?? 0);
  const rows = Array.from({ length: rings }, (_, k) => [
    name,
    k,
    sixDecimals(amplitude?.[k] ?? Number.NaN),
    sixDecimals(phase?.[k] ?? Number.NaN),
  ]);
  return encodeCsv([['model', 'frequency_bin', 'amplitude_frc', 'phase_frc'], ...rows]);
}
