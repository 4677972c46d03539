/** `ptychopinn evaluate`: scores an image against the truth, or two halves of a scan against each other. */

import { evaluationDefinition } from '../../config/commands.js';
import type { EvaluationReport, HalvesReport } from '../../evaluation/evaluationReport.js';
import type { Resolution, Resolutions } from '../../evaluation/frc.js';
import type { METRIC_NAMES } from '../../evaluation/reference.js';
import { EXIT_FAILURE } from '../exit.js';
import { commandOf } from '../run.js';
import { formatCount, formatTable } from '../terminal.js';
import { rFactorWords, verdictExit, warnOfR } from '../verdict.js';

const EXAMPLE = `
Examples:
  ptychopinn evaluate simulated.npz --reconstruction inference_outputs/reconstruction.npz --output_dir scores
  ptychopinn evaluate --reconstruction recon.npz --truth object.npz:objectGuess --no-register
  ptychopinn evaluate measured.npz --halves --model_path run

What each number means is in docs/evaluation.md.`;

/** What an image that is not at the noise may lack. */
const MORE = ['more epochs', 'another --probe', '"ptychopinn solve" from this image (--init)'];

/** The metrics of both families, in the order of the tables. */
const METRICS: typeof METRIC_NAMES = ['mae', 'mse', 'psnr', 'ssim', 'ms_ssim', 'frc50', 'frc1over7'];

export const command = commandOf({
  definition: evaluationDefinition,
  help: EXAMPLE,
  interrupted: 'stopping; nothing is written',
  work: async ({ config, services }) => {
    const { evaluateHalvesWorkflow, evaluateWorkflow } = await import('../../workflows/evaluate.js');
    if (config.halves) {
      return {
        text: halvesText(await evaluateHalvesWorkflow(config, services), config.output_dir),
        usable: true,
        rFactor: undefined,
      };
    }
    const report = await evaluateWorkflow(config, services);
    warnOfR(report.rFactor, { scan: config.test_data_file, more: MORE }, services.logger);
    return {
      text: evaluationText(report, config.output_dir),
      usable: report.check.usable,
      rFactor: report.rFactor,
    };
  },
  text: ({ text }) => text,
  always: true,
  // Scripts must not go on with numbers of an image that has none.
  exit: ({ usable, rFactor }, config) => (usable ? verdictExit(rFactor, config) : EXIT_FAILURE),
});

/** The tables of both families, floors beside every number, and what was found before. */
export function evaluationText(report: EvaluationReport, folder: string | null): string {
  const { check, floors, metrics, frame, registration } = report;
  const [y, x] = frame.originYxPx;
  const lines = [
    `${report.reconstruction} against ${report.truth}: ${frame.height}×${frame.width} pixels from y ${y}, x ${x}; coverage ${(100 * check.coverage).toFixed(1)} %.`,
    ...check.problems.map(({ message, fatal }) => `${fatal ? 'Not scored' : 'Note'}: ${message}`),
  ];
  if (registration && report.moved) {
    const [dy, dx] = registration.shiftYxPx;
    lines.push(
      `Moved by ${dy.toFixed(3)} down, ${dx.toFixed(3)} to the right (confidence ${registration.confidence.toFixed(2)}).`,
    );
  }
  for (const family of ['reference', 'standard'] as const) {
    const of = (scores: typeof metrics, name: (typeof METRICS)[number], what: 'amplitude' | 'phase') =>
      scores === undefined ? 'NaN' : number(scores[family][name][what]);
    const rows = METRICS.map((name) => [
      name,
      ...(['amplitude', 'phase'] as const).flatMap((what) => [
        of(metrics, name, what),
        of(floors.constant, name, what),
        ...(floors.scan ? [of(floors.scan, name, what)] : []),
      ]),
    ]);
    const floor = floors.scan ? ['constant', 'scan'] : ['constant'];
    lines.push('', formatTable([family, 'amplitude', ...floor, 'phase', ...floor], rows));
  }
  const { standard } = metrics ?? {};
  lines.push(
    '',
    `complex error ${number(standard?.complex_error ?? Number.NaN)} (constant ${number(floors.constant.standard.complex_error)}${floors.scan ? `, scan ${number(floors.scan.standard.complex_error)}` : ''}); 0 is perfect.`,
  );
  if (standard && report.truthKnown) {
    lines.push(`resolution of the complex image: ${resolutionText(standard.resolution.complex)}.`);
  } else if (standard) {
    lines.push(
      `${report.truth} is a reference, not a known truth (the object of a measurement was itself reconstructed): the numbers say how well the images agree; they give no resolution.`,
    );
  }
  if (report.rFactor) lines.push(`Amplitude R-factor ${rFactorWords(report.rFactor)}.`);
  lines.push(...report.notes.map((note) => `Note: ${note}`), ...written(folder, report.files));
  return `${lines.join('\n')}\n`;
}

/** What two halves of a scan say. */
export function halvesText({ source, halves, files }: HalvesReport, folder: string | null): string {
  const { frame, patterns, resolution, coverage } = halves;
  const rows = (['amplitude', 'phase', 'complex'] as const).map((what) => [
    what,
    ...(['frc50', 'frc1over7', 'half_bit'] as const).map((threshold) => oneResolution(resolution[what][threshold])),
  ]);
  const lines = [
    `Halves of ${source}: ${patterns.map(formatCount).join(' and ')} patterns, ${frame.height}×${frame.width} pixels, ${(100 * coverage).toFixed(1)} % in both.`,
    formatTable(['resolution', 'at 1/2', 'at 1/7', 'half bit'], rows),
    'The network is the same for both halves: what it adds by itself counts as agreement, so this bounds the noise, not the truth.',
    ...written(folder, files),
  ];
  return `${lines.join('\n')}\n`;
}

const written = (folder: string | null, files: readonly string[]): string[] =>
  folder === null ? [] : [`Written to ${folder}: ${files.join(', ')}.`];

function resolutionText({ frc50, frc1over7, half_bit }: Resolutions): string {
  return `${oneResolution(frc50)} at 1/2, ${oneResolution(frc1over7)} at 1/7, ${oneResolution(half_bit)} at half a bit`;
}

/** Half a period. */
function oneResolution({ px, m, beyond_nyquist }: Resolution): string {
  if (!Number.isFinite(px)) return Number.isNaN(px) ? 'NaN' : 'none';
  const bound = beyond_nyquist ? '≤ ' : '';
  return `${bound}${px.toFixed(2)} px${m === undefined ? '' : ` (${bound}${(1e9 * m).toPrecision(3)} nm)`}`;
}

function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  return Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4 ? value.toExponential(3) : value.toFixed(4);
}
