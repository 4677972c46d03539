import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT_OF } from '../../src/config/schemas/jobs.js';
import { PtychoError } from '../../src/core/errors.js';
import { FolderLock } from '../../src/formats/folderLock.js';
import { collectJobs, countsOf, countsText } from '../../src/jobs/collect.js';
import { fingerprintOf } from '../../src/jobs/fingerprint.js';
import { type PlannedJob, plannedJob } from '../../src/jobs/plan.js';
import { readJobRecord, recordFolder, stateOf, statesOf, writeJobRecord } from '../../src/jobs/record.js';
import { retryJobs, runJob } from '../../src/jobs/runJob.js';
import type { JobOutcome, VerbRunner } from '../../src/jobs/verbs.js';

let root: string;
let job: PlannedJob;
beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'ptychopinn-jobs-'));
  writeFileSync(path.join(root, 'scan.npz'), 'a scan');
  job = await jobCalled('one');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function jobCalled(id: string, after: string[] = []): Promise<PlannedJob> {
  const scan = path.join(root, 'scan.npz');
  return plannedJob({
    ...{ id, verb: 'solve', after, inputs: [await fingerprintOf(scan)], output_dir: path.join(root, id) },
    config: { test_data_file: scan, epochs: 9 },
    provenance: { epochs: { value: 9, source: 'file', origin: 'run.yaml' } },
    estimate: { processor_seconds: 1, memory_bytes: 1 },
  });
}

/** Writes a result, as a verb does. */
const works: VerbRunner = async (_, config) => {
  const { output_dir } = config as { output_dir: string };
  mkdirSync(output_dir, { recursive: true });
  writeFileSync(path.join(output_dir, 'reconstruction.npz'), 'an image');
  return { cancelled: false, files: ['reconstruction.npz'], figures: { r_factor: 0.1 } };
};
const never: VerbRunner = () => Promise.reject(new Error('this must not run'));
const ends = (outcome: Partial<JobOutcome>): VerbRunner => async () => ({ cancelled: false, files: [], figures: {}, ...outcome }); // biome-ignore format: one line
const fails =
  (error: unknown): VerbRunner =>
  () =>
    Promise.reject(error instanceof Error ? error : new Error(String(error)));

describe('a job', () => {
  it('is done once, with the configuration of its plan and where it came from', async () => {
    let seen: unknown;
    const work: VerbRunner = (verb, config, services) => {
      const { epochs, output_dir, algorithm } = config as Record<string, unknown>;
      seen = { verb, epochs, output_dir, algorithm, from: services.provenance?.epochs };
      return works(verb, config, services);
    };
    const first = await runJob({ root, job, work });
    expect(seen).toEqual({ verb: 'solve', epochs: 9, output_dir: job.output_dir, algorithm: 'rpie', from: { value: 9, source: 'file', origin: 'run.yaml' } }); // biome-ignore format: one call
    expect(first).toMatchObject({
      end: 'done',
      reused: false,
      record: { state: 'done', attempts: 1, figures: { r_factor: 0.1 } },
    });
    expect(await runJob({ root, job, work: never })).toMatchObject({ end: 'done', reused: true });
    expect(EXIT_OF).toEqual({ done: 0, again: 75, failed: 1 });
  });

  it('is done again where its result was changed or lost', async () => {
    await runJob({ root, job, work: works });
    writeFileSync(path.join(job.output_dir, 'reconstruction.npz'), 'another');
    const config: unknown[] = [];
    const work: VerbRunner = (verb, given, services) => {
      config.push(given);
      return works(verb, given, services);
    };
    await runJob({ root, job, work });
    expect(config).toMatchObject([{ overwrite: true, resume: null }]);
    rmSync(job.output_dir, { recursive: true });
    expect(await runJob({ root, job, work: works })).toMatchObject({ end: 'done', reused: false });
  });

  it('goes on from the state of the attempt that was stopped', async () => {
    const stopped = await runJob({ root, job, work: ends({ cancelled: true }) });
    expect(stopped).toMatchObject({ end: 'again', record: { state: 'again', code: 'CANCELLED' } });
    mkdirSync(job.output_dir);
    writeFileSync(path.join(job.output_dir, 'solver_state.npz'), '');
    let resume: unknown;
    const work: VerbRunner = (verb, config, services) => {
      ({ resume } = config as { resume: unknown });
      return works(verb, config, services);
    };
    expect(await runJob({ root, job, work })).toMatchObject({ end: 'done', record: { attempts: 2 } });
    expect(resume).toBe(job.output_dir);
  });

  it.each([
    ['an error of the scan', new PtychoError('DATASET_VALUE', 'No scan.'), 'failed', 'DATASET_VALUE'],
    ['a folder that another run writes to', new PtychoError('OUTPUT_IN_USE', 'Taken.'), 'again', 'OUTPUT_IN_USE'],
    ['a stop', new PtychoError('CANCELLED', 'Stopped.'), 'again', 'CANCELLED'],
    [
      'a disk that is full',
      Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' }),
      'again',
      'ENOSPC',
    ],
    ['what nobody thought of', new TypeError('undefined'), 'failed', 'UNEXPECTED'],
  ])('%s: %s', async (_, error, end, code) => {
    expect(await runJob({ root, job, work: fails(error) })).toMatchObject({ end, record: { state: end, code } });
  });

  it('stays failed until it is retried', async () => {
    await runJob({ root, job, work: fails(new PtychoError('DATASET_VALUE', 'No scan.')) });
    expect(await runJob({ root, job, work: never })).toMatchObject({ end: 'failed', reused: true, message: expect.stringContaining('No scan.') }); // biome-ignore format: one call
    expect(await retryJobs(root, [job])).toEqual(['one']);
    expect(await runJob({ root, job, work: works })).toMatchObject({ end: 'done' });
    expect(await retryJobs(root, [job])).toEqual([]);
  });

  it('is not run on another scan than was planned', async () => {
    writeFileSync(path.join(root, 'scan.npz'), 'b scan');
    expect(await runJob({ root, job, work: never })).toMatchObject({ end: 'failed', message: expect.stringMatching(/scan\.npz is not the file that was planned: it has another content now; plan again/) }); // biome-ignore format: one call
    rmSync(path.join(root, 'scan.npz'));
    await retryJobs(root, [job]);
    expect(await runJob({ root, job, work: never })).toMatchObject({ end: 'failed', message: expect.stringMatching(/is not there any more; put it back/) }); // biome-ignore format: one call
  });

  it('is left alone while somebody works at it', async () => {
    mkdirSync(recordFolder(root, job.id), { recursive: true });
    const lock = await FolderLock.acquire(recordFolder(root, job.id), { command: 'jobs run' });
    expect(await runJob({ root, job, work: never })).toMatchObject({
      end: 'again',
      message: expect.stringContaining('somebody works at it'),
    });
    expect(await stateOf(root, job)).toMatchObject({
      state: 'running',
      owner: expect.stringContaining(`process ${process.pid}`),
    });
    await lock.release();
    expect(await stateOf(root, job)).toMatchObject({ state: 'waiting' });
  });

  it('waits for those before it, and does not begin where one failed', async () => {
    const second = await jobCalled('two', ['one']);
    expect(await runJob({ root, job: second, work: never })).toMatchObject({
      end: 'again',
      message: 'two comes after one, which is not done yet.',
    });
    await runJob({ root, job, work: fails(new PtychoError('DATASET_VALUE', 'No scan.')) });
    expect(await runJob({ root, job: second, work: never })).toMatchObject({
      end: 'failed',
      message: 'two comes after one, which failed: No scan.',
    });
    expect(await statesOf(root, [job, second])).toMatchObject([
      { state: 'failed' },
      { state: 'waiting', blockedBy: 'one' },
    ]);
    await retryJobs(root, [job]);
    await runJob({ root, job, work: works });
    expect(await runJob({ root, job: second, work: works })).toMatchObject({ end: 'done' });
  });

  it('that was running when its process died is lost, and begins again', async () => {
    await runJob({ root, job, work: works });
    const record = await readJobRecord(root, job.id);
    if (!record) throw new Error('no record');
    await writeJobRecord(root, { ...record, state: 'running' });
    expect(await stateOf(root, job)).toMatchObject({ state: 'lost' });
    expect(await runJob({ root, job, work: works })).toMatchObject({ end: 'done', record: { attempts: 2 } });
  });

  it('of a plan that was made anew is another one', async () => {
    await runJob({ root, job, work: works });
    const changed = { ...job, config: { ...job.config, epochs: 10 } };
    expect(await stateOf(root, changed)).toMatchObject({ state: 'waiting' });
    expect(await runJob({ root, job: changed, work: fails(new PtychoError('OUTPUT_EXISTS', 'There is one.')) })).toMatchObject({ end: 'failed', record: { code: 'OUTPUT_EXISTS', attempts: 1 } }); // biome-ignore format: one call
  });
});

it('collects what is there', async () => {
  const second = await jobCalled('two');
  await runJob({ root, job, work: works });
  await runJob({ root, job: second, work: fails(new PtychoError('DATASET_VALUE', 'No "scan", <none>.')) });
  const states = await statesOf(root, [job, second, await jobCalled('three')]);
  expect(countsText(countsOf(states))).toBe('1 done, 1 waiting, 1 failed');
  const warned: string[] = [];
  const files = await collectJobs(root, states, { info: () => {}, warn: (message) => warned.push(message) });
  expect(files.every((name) => existsSync(path.join(root, name)))).toBe(true);
  const [head, ...rows] = readFileSync(path.join(root, 'jobs.csv'), 'utf8').trim().split(/\r?\n/);
  expect(head).toContain('id,verb,state,attempts,');
  expect(rows.map((row) => row.split(',')[2])).toEqual(['done', 'failed', 'waiting']);
  expect(readFileSync(path.join(root, 'index.html'), 'utf8')).toContain(
    'two failed: No &quot;scan&quot;, &lt;none&gt;.',
  );
  // The image of this test is none.
  expect(warned).toEqual([expect.stringMatching(/reconstruction\.npz cannot be shown/)]);
});
