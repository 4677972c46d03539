/**
 * What the jobs of a plan came to, in one place: a table in CSV and a page with every image.
 *
 * @example
 * const files = await collectJobs('beamtime', await statesOf('beamtime', jobs));
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { createdBy } from '../core/version.js';
import { counted, formatBytes } from '../core/words.js';
import { writeAtomically } from '../formats/outputFiles.js';
import { encodeCsv } from '../formats/textTable.js';
import { imagePanels } from '../reconstruction/pictures.js';
import { readReconstruction } from '../reconstruction/reconstructionFile.js';
import { AMONG_OTHERS, figure } from '../report/figure.js';
import { type PagePicture, pagePicture, renderPage } from '../report/page.js';
import type { JobState, JobStatus } from './record.js';

/** What is written to the folder of the plan. */
export const COLLECTED = { table: 'jobs.csv', page: 'index.html' } as const;
/** A page with more pictures is too large to open; the table has all. */
const MAX_PICTURES = 200;

/** How many jobs are in each state. */
export type JobCounts = Readonly<Record<JobState, number>>;

/** Counts them. */
export function countsOf(states: readonly JobStatus[]): JobCounts {
  const counts = { waiting: 0, running: 0, lost: 0, again: 0, done: 0, failed: 0 };
  for (const { state } of states) counts[state]++;
  return counts;
}

/** `3 done, 1 failed`: what there is, in words. */
export function countsText(counts: JobCounts): string {
  const words: Readonly<Record<JobState, string>> = { done: 'done', running: 'running', again: 'stopped, to go on', lost: 'lost, to go on', waiting: 'waiting', failed: 'failed' }; // biome-ignore format: one line
  const parts = (Object.keys(words) as JobState[]).filter((state) => counts[state] > 0);
  return parts.map((state) => `${counts[state]} ${words[state]}`).join(', ') || 'no jobs';
}

/**
 * Writes the table and the page.
 * @returns names of the files, below the folder
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function collectJobs(
  root: string,
  states: readonly JobStatus[],
  logger: Logger = silentLogger,
): Promise<string[]> {
  const figures = [...new Set(states.flatMap(({ record }) => Object.keys(record?.figures ?? {})))];
  const swept = sweptFields(states);
  const head = ['id', 'verb', 'state', 'attempts', 'seconds', 'processor_seconds', 'memory_bytes', 'estimated_processor_seconds', 'estimated_memory_bytes', ...swept, ...figures, 'output_dir', 'message']; // biome-ignore format: one line
  const rows = states.map(({ job, state, record }) => [
    ...[job.id, job.verb, state, record?.attempts, record?.seconds, record?.processor_seconds, record?.memory_bytes],
    ...[job.estimate?.processor_seconds, job.estimate?.memory_bytes],
    ...swept.map((name) => (name in job.config ? JSON.stringify(job.config[name]) : undefined)),
    ...figures.map((name) => record?.figures[name]),
    ...[path.relative(root, job.output_dir), record?.message],
  ]);
  await writeAtomically(path.join(root, COLLECTED.table), encodeCsv([head, ...rows]));
  const pictures = await picturesOf(states, logger);
  const failed = states.filter(({ state }) => state === 'failed');
  const html = renderPage({
    title: `${counted(states.length, 'job')} of ${path.basename(path.resolve(root))}`,
    summary: `${countsText(countsOf(states))}.`,
    warnings: failed.map(({ job, record }) => `${job.id} failed: ${record?.message ?? 'it does not say why'}`),
    pictures,
    sections: [
      {
        title: 'Jobs',
        tables: [
          {
            title: 'What each came to',
            head: ['job', 'verb', 'state', ...figures, 'seconds', 'memory'],
            rows: states.map(({ job, state, record }) => [
              ...[job.id, job.verb, state],
              ...figures.map((name) => record?.figures[name]?.toPrecision(4) ?? '–'),
              ...[record?.seconds.toFixed(1) ?? '–', record ? formatBytes(record.memory_bytes) : '–'],
            ]),
          },
        ],
      },
    ],
    facts: [{ name: 'written by', value: `${createdBy.package} ${createdBy.version}, Node ${process.version}` }],
    files: [
      COLLECTED.table,
      ...states.map(({ job }) => path.relative(root, path.join(job.output_dir, 'index.html'))),
    ].filter((name) => existsSync(path.join(root, name))),
  });
  await writeAtomically(path.join(root, COLLECTED.page), html);
  return [COLLECTED.page, COLLECTED.table];
}

/** Fields that are not the same for all jobs, but for those that name the scan. */
function sweptFields(states: readonly JobStatus[]): string[] {
  const names = new Set(states.flatMap(({ job }) => Object.keys(job.config)));
  const differ = (name: string) => new Set(states.map(({ job }) => JSON.stringify(job.config[name]))).size > 1;
  return [...names].filter((name) => differ(name));
}

/** Amplitude and phase of every job that has an image. */
async function picturesOf(states: readonly JobStatus[], logger: Logger): Promise<PagePicture[]> {
  const pictures: PagePicture[] = [];
  for (const { job, state, record } of states) {
    const file = path.join(job.output_dir, 'reconstruction.npz');
    if (state !== 'done' || !existsSync(file)) continue;
    if (pictures.length === MAX_PICTURES) {
      logger.warn(`The page shows the first ${MAX_PICTURES} images; ${COLLECTED.table} has all jobs.`);
      break;
    }
    try {
      const { image, originYxPx = [0, 0], overlapCount } = await readReconstruction(file);
      const weight = overlapCount
        ? { shape: image.shape, data: Float64Array.from(overlapCount.data as ArrayLike<number>) }
        : { shape: image.shape, data: new Float64Array(image.re.length).fill(1) };
      const [height, width] = image.shape;
      const frame = { originYxPx, height, width };
      const panels = imagePanels({ image, frame, weight } as never, {}, { side_px: AMONG_OTHERS });
      const two = [panels.reconstructed_amplitude, panels.reconstructed_phase].flatMap((panel) => panel ?? []);
      const r = record?.figures.r_factor;
      const drawing = figure(two, { title: job.id });
      pictures.push(await pagePicture(drawing, r === undefined ? undefined : `R ${r.toFixed(3)}`));
    } catch (error) {
      logger.warn(`${file} cannot be shown: ${messageOf(error)}`);
    }
  }
  return pictures;
}
