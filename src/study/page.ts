/** `index.html` of a study: what its networks and iterative arms reached, comparison by comparison, and whether it is complete. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { repeatCommand } from '../config/flags.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { writeAtomically } from '../formats/outputFiles.js';
import { lineChart } from '../report/chart.js';
import { type PagePicture, type PageTable, pagePicture, renderPage } from '../report/page.js';
import { ANALYSIS, type Study, VERIFICATION } from './layout.js';
import {
  collectSummary,
  type DeltaSummary,
  deltaSummary,
  type ExecutionResult,
  type MetricsSummary,
  modelsOf,
  numberOf,
  type Shown,
} from './summary.js';
import { jobTitle } from './tables.js';
import type { VerificationReport } from './verify.js';

/** The page of a study. */
export const STUDY_PAGE = 'index.html';
const QUANTITIES = ['amplitude', 'phase'] as const;
const SHOWN = [
  { metric: 'ms_ssim', title: 'MS-SSIM', digits: 3 },
  { metric: 'mae', title: 'mean absolute error', digits: 4 },
] as const;

/**
 * Writes the page of a study whose steps are done, from the tables of its comparisons.
 * @throws PtychoError OUTPUT_UNWRITABLE, FILE_FORMAT for tables that are not as `compare` writes them
 */
export async function writeStudyPage(
  study: Study,
  results: readonly ExecutionResult[],
  verification: VerificationReport,
): Promise<void> {
  const { folder, config, origin } = study;
  const failed = results.filter(({ status }) => status === 'failed');
  const summary = await collectSummary(folder, config, failed, verification.generated_at);
  const { checks, n_passed, n_checks } = verification;
  const { doses, views } = config;
  const pages = results.map(({ output_dir }) => `${output_dir}/index.html`);
  const html = renderPage({
    title: 'Dose and overlap study',
    summary: `${counted(doses.length, 'dose')}, ${counted(Object.keys(views).length, 'view')}: ${counted(results.length, 'comparison')}, ${failed.length} failed; ${n_passed} of ${n_checks} checks passed at the end of this run.`,
    warnings: [
      ...failed.map((job) => `${jobTitle(job)} failed: ${job.error ?? 'it does not say why'}`),
      ...results.flatMap((job) => (job.iterative_skipped === undefined ? [] : [`${jobTitle(job)} has no iterative arm: ${job.iterative_skipped}`])), // biome-ignore format: one call
      ...checks.flatMap(({ name, problems }) => problems.map((problem) => `Check ${name}: ${problem}`)),
    ],
    pictures: await overDoses(summary),
    sections: [
      {
        title: 'Means',
        text: `Over the ${summary.aggregate_split} parts; reference family. Baselines are trained with known patches, networks without labels.`,
        tables: [meansTable(summary), deltaTable(deltaSummary(summary, verification.generated_at))],
      },
      { title: 'Comparisons', tables: SHOWN.map((shown) => comparisonTable(summary, shown)) },
      {
        title: 'Verification',
        tables: [
          {
            title: 'Checks of the files',
            head: ['check', 'result', 'first problem'],
            rows: checks.map(({ name, passed, problems }) => [name, passed ? 'passed' : 'FAILED', problems[0] ?? '']),
          },
        ],
      },
    ],
    command: repeatCommand('study', {}, ['dose-overlap', '--config', origin, '--output_dir', folder]),
    facts: [{ name: 'written by', value: `${createdBy.package} ${createdBy.version}, Node ${process.version}` }],
    configuration: Object.entries(config).map(([name, value]) => ({ name, value, source: 'study.json' })),
    files: [...Object.values(ANALYSIS), VERIFICATION, ...pages].filter((name) => existsSync(path.join(folder, name))),
  });
  await writeAtomically(path.join(folder, STUDY_PAGE), html);
}

const fixed = (value: Shown | undefined, digits: number): string => {
  const number = numberOf(value);
  return value === undefined ? '–' : Number.isFinite(number) ? number.toFixed(digits) : String(value);
};

/** MS-SSIM of amplitudes and phases over the dose, a curve for each model and view; nothing for a single dose. */
async function overDoses({ jobs, aggregate_split }: MetricsSummary): Promise<PagePicture[]> {
  const own = jobs.filter(({ split }) => split === aggregate_split);
  if (new Set(own.map(({ dose }) => dose)).size < 2) return [];
  const views = [...new Set(own.map(({ view }) => view))];
  const charts = QUANTITIES.map((quantity) =>
    lineChart({
      title: `MS-SSIM of the ${quantity}`,
      note: `${aggregate_split} parts`,
      below: 'log₁₀ of photons per pattern',
      beside: 'MS-SSIM',
      curves: modelsOf(own).flatMap((model) =>
        views.map((view) => ({
          name: views.length > 1 ? `${model}, ${view}` : model,
          dots: true,
          points: own
            .filter((job) => job.view === view && model in job.reference)
            .map(({ dose, reference }) => [Math.log10(dose), numberOf(reference[model].ms_ssim?.[quantity])] as const)
            .sort(([a], [b]) => a - b),
        })),
      ),
    }),
  );
  return Promise.all(charts.map((chart) => pagePicture(chart)));
}

function meansTable({ aggregate_metrics }: MetricsSummary): PageTable {
  return {
    title: 'Means of models',
    note: 'Amplitude | phase.',
    head: ['model', 'comparisons', ...SHOWN.map(({ title }) => title)],
    rows: Object.entries(aggregate_metrics).map(([model, metrics]) => [
      model,
      String(metrics.ms_ssim.phase.n),
      ...SHOWN.map(({ metric, digits }) => QUANTITIES.map((of) => fixed(metrics[metric][of].mean, digits)).join(' | ')),
    ]),
  };
}

function deltaTable({ deltas, n_jobs }: DeltaSummary): PageTable {
  return {
    title: 'PtychoPINN minus others',
    note: 'Amplitude | phase, over the comparisons that have both.',
    head: ['other', 'comparisons', ...SHOWN.map(({ title }) => title)],
    rows: Object.entries(deltas).map(([vs, metrics]) => [
      vs.replace(/^vs_/, ''),
      String(n_jobs[vs]),
      ...SHOWN.map(({ metric, digits }) => QUANTITIES.map((of) => fixed(metrics[metric][of], digits)).join(' | ')),
    ]),
  };
}

function comparisonTable(summary: MetricsSummary, { metric, title, digits }: (typeof SHOWN)[number]): PageTable {
  const models = modelsOf(summary.jobs);
  return {
    title: title[0].toUpperCase() + title.slice(1),
    note: 'Amplitude | phase.',
    head: ['comparison', ...models],
    rows: summary.jobs.map((job) => [
      jobTitle(job),
      ...models.map((model) => QUANTITIES.map((of) => fixed(job.reference[model]?.[metric]?.[of], digits)).join(' | ')),
    ]),
  };
}
