/** The last steps of a study: all comparisons together, as numbers and as texts that are made of these numbers alone. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { counted } from '../core/words.js';
import { METRIC_NAMES } from '../evaluation/reference.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import {
  ANALYSIS,
  COMPARISON_FILES,
  comparisonFolder,
  inventoryText,
  type Job,
  requiredArtifacts,
  type Study,
  stepId,
} from './layout.js';
import type { Step } from './steps.js';
import {
  collectSummary,
  comparisonManifest,
  type DeltaSummary,
  deltaSummary,
  type ExecutionResult,
  type MetricsSummary,
  modelsOf,
  numberOf,
  type Shown,
} from './summary.js';

/** Summary, manifest, deltas and highlights. */
export function aggregateStep(study: Study, results: readonly ExecutionResult[]): Step {
  const { summary, table, manifest, delta, highlights, preview, aggregate } = ANALYSIS;
  const succeeded = results.filter(({ status }) => status === 'success');
  const failed = results.filter(({ status }) => status === 'failed');
  const { splits, views, doses, iterative } = study.config;
  return {
    id: stepId.aggregate,
    title: `Analysis of ${counted(succeeded.length, 'comparison')}`,
    config: { results, splits, views: Object.keys(views), doses, iterative: iterative?.name ?? null },
    inputs: succeeded.flatMap((job) => COMPARISON_FILES.map((file) => `${comparisonFolder(job)}/${file}`)),
    outputs: [summary, table, manifest, delta, highlights, preview, aggregate],
    async run({ services }) {
      const generated_at = new Date().toISOString();
      await makeOutputFolder(path.join(study.folder, path.dirname(summary)));
      const write = (name: string, content: string) => writeAtomically(path.join(study.folder, name), content);
      const numbers = await collectSummary(study.folder, study.config, failed, generated_at);
      const deltas = deltaSummary(numbers, generated_at);
      await write(manifest, json(comparisonManifest(results, generated_at)));
      await write(summary, json(numbers));
      await write(table, summaryTable(numbers));
      await write(delta, json(deltas));
      await write(highlights, deltaHighlights(deltas));
      await write(preview, deltaHighlights(deltas));
      await write(aggregate, aggregateHighlights(numbers));
      services.logger.info(
        `${counted(numbers.n_jobs, 'comparison')}, averages over the ${numbers.aggregate_split} split:`,
      );
      for (const line of deltaHighlights(deltas).trim().split('\n')) services.logger.info(line);
      return { n_jobs: numbers.n_jobs };
    },
  };
}

/** Digest, SSIM grid and the list of required files. */
export function digestStep(study: Study, isSkipped: (job: Job) => boolean): Step {
  const { summary, delta, digest, ssimGrid: grid, inventory } = ANALYSIS;
  const text = inventoryText(requiredArtifacts(study.config, isSkipped));
  return {
    id: stepId.digest,
    title: 'Digest and inventory',
    config: { inventory: text },
    inputs: [summary, delta],
    outputs: [digest, grid, inventory],
    async run({ services }) {
      const read = async <T>(name: string) =>
        JSON.parse(await readTextInput(path.join(study.folder, name), { maxBytes: TABLE_BYTES })) as T;
      const numbers = await read<MetricsSummary>(summary);
      const write = (name: string, content: string) => writeAtomically(path.join(study.folder, name), content);
      await write(digest, metricsDigest(numbers, await read<DeltaSummary>(delta)));
      await write(grid, ssimGrid(numbers));
      await write(inventory, text);
      const listed = text.trim().split('\n');
      // The logs are written last.
      const lost = listed.filter((name) => !name.startsWith('cli/') && !existsSync(path.join(study.folder, name)));
      for (const name of lost) services.logger.warn(`${name} is not there.`);
      return { required: listed.length };
    },
  };
}

/** Digits behind the point. */
const DIGITS = { ms_ssim: 3, mae: 6 } as const;

/** A number with this many decimals; what is none is a word. */
function fixed(value: Shown | undefined, digits: number): string {
  const number = numberOf(value);
  if (!Number.isFinite(number)) return value === undefined ? 'NaN' : String(value);
  const text = Math.abs(number).toFixed(digits);
  return number < 0 && Number(text) !== 0 ? `-${text}` : text;
}

/** The same with its sign, + for zero. */
function signed(value: Shown | undefined, digits: number): string {
  const text = fixed(value, digits);
  return /^[0-9]/.test(text) ? `+${text}` : text;
}

const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join(
    '\n',
  );

/** `dose 1000, dense, test`. */
export const jobTitle = ({ dose, view, split }: Job): string => `dose ${dose}, ${view}, ${split}`;

/** The four phase deltas, by their published labels: `metrics_delta_highlights.txt` and its preview (PREVIEW-PHASE-001). */
export function deltaHighlights({ deltas }: DeltaSummary): string {
  const others = Object.keys(deltas);
  const lines = (['ms_ssim', 'mae'] as const).flatMap((metric) =>
    others.map((vs) => {
      const label = `${metric === 'ms_ssim' ? 'MS-SSIM' : 'MAE'} Δ (PtychoPINN - ${vs.replace(/^vs_/, '')})`;
      return `${label}: ${signed(deltas[vs][metric].phase, DIGITS[metric])}`;
    }),
  );
  return `${lines.join('\n')}\n`;
}

/** `aggregate_highlights.txt`: MS-SSIM and MAE of every model, averaged. */
export function aggregateHighlights({
  aggregate_metrics,
  aggregate_split,
  n_jobs,
  generated_at,
}: MetricsSummary): string {
  const lines = Object.entries(aggregate_metrics).flatMap(([model, metrics]) =>
    (['ms_ssim', 'mae'] as const).map((metric) => {
      const { amplitude, phase } = metrics[metric];
      const of = (value: Shown) => fixed(value, DIGITS[metric]);
      return `${model} ${metric}: amplitude ${of(amplitude.mean)} (best ${of(amplitude.best)}), phase ${of(phase.mean)} (best ${of(phase.best)}), of ${phase.n}`;
    }),
  );
  return `Means over the ${aggregate_split} split; ${counted(n_jobs, 'comparison')}; ${generated_at}\n${lines.join('\n')}\n`;
}

/** `metrics_summary.md`: every number of the summary that is not in a table of its own. */
export function summaryTable(summary: MetricsSummary): string {
  const parts = summary.jobs.map((job) => {
    const rows = modelsOf([job]).flatMap((model) =>
      (['reference', 'standard'] as const).flatMap((family) =>
        METRIC_NAMES.map((metric) => {
          const { amplitude, phase } = job[family][model]?.[metric] ?? {};
          return [model, family, metric, fixed(amplitude, 6), fixed(phase, 6)];
        }),
      ),
    );
    const floors = Object.entries(job.floors).flatMap(([floor, families]) =>
      Object.entries(families).flatMap(([family, scores]) =>
        METRIC_NAMES.map((metric) => {
          const { amplitude, phase } = scores[metric] ?? {};
          return [`floor: ${floor}`, family, metric, fixed(amplitude, 6), fixed(phase, 6)];
        }),
      ),
    );
    return `## ${jobTitle(job)}\n\n${markdownTable(['model', 'family', 'metric', 'amplitude', 'phase'], [...rows, ...floors])}\n`;
  });
  return `# Metrics of ${counted(summary.n_jobs, 'comparison')}\n\n${summary.generated_at}. Floors are what images score that needed no reconstruction.\n\n${parts.join('\n')}`;
}

/** `ssim_grid_summary.md`: SSIM and MS-SSIM of phases, a row a comparison. */
export function ssimGrid(summary: MetricsSummary): string {
  const models = modelsOf(summary.jobs);
  const grid = (metric: 'ssim' | 'ms_ssim') =>
    markdownTable(
      ['dose', 'view', 'split', ...models],
      summary.jobs.map(({ dose, view, split, reference }) => [
        String(dose),
        view,
        split,
        ...models.map((model) => (model in reference ? fixed(reference[model][metric]?.phase, 3) : '–')),
      ]),
    );
  return `# SSIM of phases\n\n## SSIM\n\n${grid('ssim')}\n\n## MS-SSIM\n\n${grid('ms_ssim')}\n`;
}

/** `metrics_digest.md`: deltas and averages on one page. */
export function metricsDigest(summary: MetricsSummary, delta: DeltaSummary): string {
  const rows = Object.entries(delta.deltas).flatMap(([vs, metrics]) =>
    (['ms_ssim', 'mae'] as const).map((metric) => [
      vs.replace(/^vs_/, ''),
      metric,
      signed(metrics[metric].amplitude, DIGITS[metric]),
      signed(metrics[metric].phase, DIGITS[metric]),
      String(delta.n_jobs[vs]),
    ]),
  );
  const means = Object.entries(summary.aggregate_metrics).map(([model, metrics]) => [
    model,
    ...(['ssim', 'ms_ssim', 'mae'] as const).flatMap((metric) =>
      (['amplitude', 'phase'] as const).map((quantity) =>
        fixed(metrics[metric][quantity].mean, metric === 'mae' ? 6 : 3),
      ),
    ),
  ]);
  const missing = Object.entries(delta.n_jobs).filter(([, n]) => n === 0);
  return [
    '# Digest',
    `Source: ${delta.source_metrics}, ${summary.generated_at}; split ${summary.aggregate_split}, reference family.`,
    '## PtychoPINN minus others',
    markdownTable(['other', 'metric', 'amplitude', 'phase', 'comparisons'], rows),
    ...missing.map(([vs]) => `No comparison has ${vs.replace(/^vs_/, '')}: its deltas are NaN.`),
    '## Means',
    markdownTable(
      ['model', 'SSIM amplitude', 'SSIM phase', 'MS-SSIM amplitude', 'MS-SSIM phase', 'MAE amplitude', 'MAE phase'],
      means,
    ),
    '',
  ].join('\n\n');
}
