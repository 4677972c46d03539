/** A study as a plan: every step a job, each after those whose files it reads. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseStudy } from '../../src/config/schemas/study.js';
import { type PlannedJob, readPlan } from '../../src/jobs/plan.js';
import { allEnded, keyOf, writeJobRecord } from '../../src/jobs/record.js';
import { runJob } from '../../src/jobs/runJob.js';
import { slurmBatches } from '../../src/jobs/slurm.js';
import { runPlannedJob } from '../../src/workflows/jobs.js';
import { planStudy } from '../../src/workflows/study.js';

const CONFIG = {
  doses: [1e5],
  gridsizes: [1],
  views: { dense: {}, middle: { s_img: 0.8 }, sparse: { s_img: 0.6 } },
  splits: ['test'],
  simulation: { N: 32, object: 'lines', object_side_px: 90, n_patterns: 100, probe_diameter_px: 10 },
};

let folder: string;
let jobs: readonly PlannedJob[];
const root = () => path.join(folder, 'study/plan');
const named = (word: string) => {
  const found = jobs.find(({ id }) => id.endsWith(word));
  if (!found) throw new Error(word);
  return found;
};
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-study-plan-'));
  const study = { folder: path.join(folder, 'study'), config: parseStudy(CONFIG, 'x.yaml'), origin: 'x.yaml' };
  ({ jobs } = await planStudy(study));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A record as if the job had ended so. */
const end = (job: PlannedJob, state: 'done' | 'failed') =>
  writeJobRecord(root(), {
    ...{ id: job.id, key: keyOf(job), state, attempts: 1, started: '', finished: '', seconds: 0, processor_seconds: 0 },
    ...{ memory_bytes: 0, host: '', scheduler_job: null, code: null, message: 'it did', figures: {}, files: [] },
    ...{ result_sha256: null, version: '' },
  });

describe('a study as a plan', () => {
  it('has a job for each of its 24 steps, of which the last two are one', async () => {
    expect(await readPlan(root())).toEqual(jobs);
    expect(jobs).toHaveLength(23);
    const comesAfter = (word: string) => named(word).after.map((id) => id.slice(5));
    expect(comesAfter('simulate')).toEqual([]);
    expect(comesAfter('validate')).toEqual(['phase_c.dose_100000.simulate', 'phase_c.dose_100000.split']);
    expect(comesAfter('baseline.gs1')).toEqual(['phase_c.dose_100000.split']);
    expect(comesAfter('middle.gs1')).toEqual(['phase_d.dose_100000.middle.train']);
    expect(comesAfter('phase_g.dose_100000.dense.test').sort()).toEqual([
      'phase_d.dose_100000.dense.test',
      'phase_e.dose_100000.baseline.gs1',
      'phase_e.dose_100000.dense.gs1',
      'phase_f.dose_100000.dense.test',
    ]);
    const last = named('report');
    expect(last.after).toHaveLength(19);
    expect(last.after_ended).toEqual(['dense', 'middle', 'sparse'].map((view) => named(`phase_g.dose_100000.${view}.test`).id)); // biome-ignore format: one line
    // What can be done at the same time is one array.
    const options = { cpus: null, minutes: null, memory_mb: null, max_running: null, gpus: null, partition: null, account: null, slurm_options: [] }; // biome-ignore format: one line
    const batches = slurmBatches(jobs, { plan: root(), program: ['p'], options: options as never, done: new Set() });
    expect(batches.map((batch) => batch.jobs.length)).toEqual([1, 1, 11, 6, 3, 1]);
  });

  it('is worked at one step at a time, each not before its turn and not twice', async () => {
    const split = named('phase_c.dose_100000.split');
    expect((await runPlannedJob(root(), split.id)).end).toBe('again');
    const first = await runPlannedJob(root(), '1');
    expect(first).toMatchObject({ end: 'done', reused: false });
    expect(first.record?.files).toEqual(['phase_c/dose_100000/patched.npz']);
    expect(await runPlannedJob(root(), '1')).toMatchObject({ end: 'done', reused: true });
    expect((await runPlannedJob(root(), split.id)).end).toBe('done');
    // A record that somebody edits is no result, and the step knows what it wrote.
    const record = path.join(folder, 'study/steps/phase_c.dose_100000.split.json');
    const before = readFileSync(record, 'utf8');
    writeFileSync(record, 'nothing');
    expect(await runPlannedJob(root(), split.id)).toMatchObject({ end: 'done', reused: false });
    expect(JSON.parse(readFileSync(record, 'utf8'))).toMatchObject({
      key: (JSON.parse(before) as { key: string }).key,
    });
  });

  it('is reported with comparisons that failed, and with nothing else that did', async () => {
    const last = named('report');
    const report = async () => {
      let asked = false;
      const work = async () => {
        asked = true;
        return { cancelled: true, files: [], figures: {} };
      };
      const { end: how } = await runJob({ root: root(), job: last, work });
      return [asked, how];
    };
    for (const job of jobs) if (job !== last) await end(job, 'done');
    await end(named('phase_g.dose_100000.dense.test'), 'failed');
    expect(await report()).toEqual([true, 'again']);
    const known = new Set<string>();
    expect(await allEnded(root(), jobs, known)).toBe(false);
    expect(known.size).toBe(21);
    await end(named('middle.gs1'), 'failed');
    expect(await report()).toEqual([false, 'failed']);
    expect(await allEnded(root(), jobs, new Set())).toBe(true);
  });
});
