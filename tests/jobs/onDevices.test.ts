/** The jobs of a plan on several devices. No GPU is here: another program stands in for this one, and writes down what it was asked. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { requireDevices, runOnDevices } from '../../src/jobs/onDevices.js';
import { plannedJob } from '../../src/jobs/plan.js';
import { runJob } from '../../src/jobs/runJob.js';

let root: string;
const at = (...names: string[]) => path.join(root, ...names);
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'ptychopinn-devices-'));
  mkdirSync(at('left'));
  mkdirSync(at('said'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Takes one of the files in `left` each time that it is started; with `wait` it does nothing until it is stopped. */
const STANDIN = `
const { readdirSync, renameSync, writeFileSync } = require('node:fs');
const [root, mode, ...words] = process.argv.slice(2);
writeFileSync(root + '/said/' + process.pid, JSON.stringify(words));
if (mode === 'wait') {
  process.once('SIGTERM', () => process.exit(130));
  setInterval(() => {}, 1000);
} else if (mode === 'work') {
  for (const name of readdirSync(root + '/left')) {
    try { renameSync(root + '/left/' + name, root + '/' + name); break; } catch { /* the other took it */ }
  }
}`;

function standin(mode: string, jobs: number) {
  writeFileSync(at('standin.cjs'), STANDIN);
  for (let i = 0; i < jobs; i++) writeFileSync(at('left', `job-${i}`), '');
  return {
    ...{ plan: 'beamtime', devices: ['cuda:0', 'cuda:1'] },
    program: [process.execPath, at('standin.cjs'), root, mode],
    left: async () => readdirSync(at('left')).length,
  };
}
const said = () =>
  readdirSync(at('said')).map((file) => JSON.parse(readFileSync(at('said', file), 'utf8')) as string[]);

it('starts a process for each, again while that helps', async () => {
  await runOnDevices(standin('work', 3));
  expect(readdirSync(at('left'))).toEqual([]);
  const asked = said();
  // Two of three in the first round, the last one in the second.
  expect(asked.map((words) => words.at(-1)).sort()).toEqual(['cuda:0', 'cuda:0', 'cuda:1', 'cuda:1']);
  expect(asked[0].slice(0, -1)).toEqual(['jobs', 'run', 'beamtime', '--console_level', 'WARNING', '--accelerator']);
});

it('ends where nothing more can be done', async () => {
  await runOnDevices(standin('nothing', 2));
  expect(said().length).toBe(2);
});

it('stops them when it is stopped', async () => {
  const stop = new AbortController();
  const run = runOnDevices({ ...standin('wait', 2), services: { signal: stop.signal } });
  while (readdirSync(at('said')).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  stop.abort();
  await run;
  expect(said().length).toBe(2);
});

it('a job computes where it is told to, and is the same job', async () => {
  const job = plannedJob({
    ...{ id: 'one', verb: 'solve', after: [], inputs: [], output_dir: at('one') },
    config: { test_data_file: 'scan.npz', accelerator: 'cuda' },
    provenance: { accelerator: { value: 'cuda', source: 'flag' } },
    estimate: { processor_seconds: 1, memory_bytes: 1 },
  });
  const seen: unknown[] = [];
  const run = (accelerator: string | null) =>
    runJob({
      ...{ root, job, accelerator },
      work: async (_, config, { provenance }) => {
        seen.push([
          (config as { execution: { accelerator: string } }).execution.accelerator,
          provenance?.accelerator.value,
        ]);
        mkdirSync(at('one'), { recursive: true });
        writeFileSync(at('one', 'reconstruction.npz'), 'an image');
        return { cancelled: false, files: [], figures: {} };
      },
    });
  expect(await run('cuda:1')).toMatchObject({ end: 'done', reused: false });
  expect(await run(null)).toMatchObject({ end: 'done', reused: true });
  expect(seen).toEqual([['cuda:1', 'cuda:1']]);
});

it('refuses devices that are not there before any job is begun', async () => {
  await expect(requireDevices('cuda:98,cuda:99')).rejects.toMatchObject({ code: 'ACCELERATOR_MISSING' });
  await expect(requireDevices('gpu9')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
