/** `ptychopinn compare`: models and finished reconstructions on the same patterns, as tables, arrays, pictures and one page. */

import { comparisonDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import type { ComparisonSummary, ForwardSummary } from '../../workflows/compare.js';
import { commandOf, LOG_FILE } from '../run.js';
import { consoleLevelOf, formatCount, formatTable } from '../terminal.js';
import { warnOfR } from '../verdict.js';

const EXAMPLE = `
Examples:
  ptychopinn compare test.npz --pinn_dir pinn --baseline_dir baseline --output_dir compared
  ptychopinn compare test.npz --pinn_dir pinn --model PINN_gs2=pinn2 --arm PtyChi=recon.npz --output_dir compared
  ptychopinn compare test.npz --forward --model A=run1 --model B=run2 --output_dir parity`;

export const command = commandOf({
  definition: comparisonDefinition,
  others: 'run',
  help: EXAMPLE,
  level: (given, { debug }) => consoleLevelOf(given, debug),
  interrupted: 'stopping after this step; nothing is compared',
  work: async ({ config, services }) => {
    const { compareModels, forwardWorkflow } = await import('../../workflows/compare.js');
    if (config.forward) return forwardText(await forwardWorkflow(config, services));
    const summary = await compareModels(config, services);
    for (const { name, rFactor } of summary.models) {
      warnOfR(rFactor, { scan: config.test_data_file, more: MORE, name }, services.logger);
    }
    return summaryText(summary);
  },
  text: (text) => text,
});

/** What an image that is not at the noise may lack. */
const MORE = ['more epochs', 'another --probe', 'a solver from this image ("ptychopinn solve --init")'];

const short = (value: number | undefined): string => {
  if (value === undefined || Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? value.toPrecision(4) : String(value);
};

function summaryText({ models, sampleIndices, outputDir, files }: ComparisonSummary): string {
  const rows = models.map(({ name, standard, coverage, registration, rFactor }) => [
    name,
    rFactor === undefined ? '–' : rFactor.image.toPrecision(3),
    short(standard?.complex_error),
    short(standard?.ssim.amplitude),
    short(standard?.ssim.phase),
    `${(100 * coverage).toFixed(1)} %`,
    registration === undefined
      ? ''
      : registration.succeeded
        ? registration.shiftYxPx.map((v) => v.toFixed(2)).join(', ')
        : 'failed',
  ]);
  const head = [
    'model',
    'R-factor',
    'complex error',
    'SSIM amplitude',
    'SSIM phase',
    'coverage',
    'shift (down, right)',
  ];
  const floors = new Map(
    models.flatMap(({ rFactor }) => (rFactor ? [[floorWords(rFactor), rFactor.patterns] as const] : [])),
  );
  const floor = [...floors].map(
    ([words, patterns]) => `R-factors on ${formatCount(patterns)} ${noun(patterns, 'pattern')}, ${words}.\n`,
  );
  return `${formatTable(head, rows)}
${floor.join('')}Compared on ${formatCount(sampleIndices.length)} ${noun(sampleIndices.length, 'pattern')}, written to ${outputDir}: ${[...files, LOG_FILE].join(', ')}.
`;
}

/** What an R-factor is judged by; with the same probe it is the same. */
const floorWords = ({ constant, probe }: NonNullable<ComparisonSummary['models'][number]['rFactor']>): string =>
  `with the probe of the ${probe} a constant object has ${constant.toPrecision(3)}`;

function forwardText({ statistics, patterns, outputDir, files }: ForwardSummary): string {
  const rows = Object.entries(statistics.difference).map(([quantity, { mean_abs, rms, max_abs, pearson }]) => [
    quantity,
    short(mean_abs),
    short(rms),
    short(max_abs),
    short(pearson),
  ]);
  const head = ['difference', 'mean |.|', 'rms', 'max |.|', 'correlation'];
  return `${formatTable(head, rows)}
Compared on ${formatCount(patterns)} patches, written to ${outputDir}: ${[...files, LOG_FILE].join(', ')}.
`;
}
