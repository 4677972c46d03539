/**
 * Workers of a queue on Redis and on PostgreSQL, killed in the middle of their jobs: no job is lost, none is done twice, and every image is that of a run
 * which nobody stopped. Needs Debian's redis-server and postgresql, and `npm run build`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openQueue } from '../../src/jobs/queues/openQueue.js';
import type { JobStatus } from '../../src/jobs/record.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { lacking, type QueueServer, startPostgres, startRedis } from '../support/queueServers.js';
import { writeTinyScan } from '../support/tinyRun.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
const cli = path.resolve('dist/cli/main.js');
const [SCANS, KILLS] = sample ? [3, 1] : [8, 6];
const EPOCHS = 1500;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-queue-'));
  for (let k = 1; k <= SCANS; k++) await writeTinyScan(at(`scan${k}.npz`), k);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (name: string) => path.join(folder, name);
const scans = Array.from({ length: SCANS }, (_, k) => `scan${k + 1}.npz`);
async function ptychopinn(...words: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [cli, ...words], { cwd: folder })).stdout;
}
const states = async (plan: string) => JSON.parse(await ptychopinn('jobs', 'status', plan, '--json')) as JobStatus[];
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/**
 * Holds a worker at a moment when it is in the middle of a job, however fast the machine is: it has saved a state, and not written its result.
 * @returns the worker, which is stopped (SIGSTOP), and the name of its job
 */
async function stopInMidJob(
  plan: string,
  workers: readonly ChildProcess[],
  ids: readonly string[],
): Promise<readonly [ChildProcess, string]> {
  for (;;) {
    for (const id of ids) {
      const child = workers.find(({ pid, exitCode }) => exitCode === null && pid === ownerPid(plan, id));
      if (!child) continue;
      child.kill('SIGSTOP');
      // It may have gone on until it was stopped.
      const inTheMiddle =
        ownerPid(plan, id) === child.pid &&
        existsSync(at(`${plan}/${id}/solver_state.npz`)) &&
        !existsSync(at(`${plan}/${id}/reconstruction.npz`));
      if (inTheMiddle) return [child, id];
      child.kill('SIGCONT');
    }
    if (workers.every(({ exitCode }) => exitCode !== null)) throw new Error('all jobs are done, and none was caught');
    await pause(20);
  }
}

/** The process that works at a job, as the lock of its folder has it. */
function ownerPid(plan: string, id: string): number | undefined {
  try {
    const owner = JSON.parse(readFileSync(at(`${plan}/jobs/${id}/.ptychopinn.owner.json`), 'utf8')) as { pid: number };
    return owner.pid;
  } catch {
    return undefined;
  }
}

const servers = [
  ['redis', startRedis],
  ['postgres', startPostgres],
] as const;

for (const [kind, start] of servers) {
  const reason = lacking[kind];
  // The sample leaves out the second server.
  describe.skipIf(reason !== undefined || (sample && kind === 'postgres'))(
    `workers of ${kind}${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      let server: QueueServer;
      beforeAll(async () => {
        server = await start(folder);
      });
      afterAll(() => server?.stop());

      it('that are killed lose no job and do none twice', async () => {
        const options = ['--epochs', String(EPOCHS), '--save_every', '50', '--threads', '1'];
        await ptychopinn('jobs', 'plan', ...scans, '--verb', 'solve', '--output_root', kind, ...options);
        const said = await ptychopinn('jobs', 'submit', kind, `--${kind}`, server.url);
        expect(said).toContain(`${SCANS} jobs not done, ${SCANS} of them new in the queue`);
        expect(await ptychopinn('jobs', 'submit', kind, `--${kind}`, server.url)).toContain('0 of them new');
        const worker = () => spawn(process.execPath, [cli, 'jobs', 'work', kind, `--${kind}`, server.url, '--until_done'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }); // biome-ignore format: one call
        const ids = (await states(kind)).map(({ job }) => job.id);
        const workers: ChildProcess[] = [worker(), worker()];
        const killed: string[] = [];
        for (let k = 0; k < KILLS; k++) {
          // One dies at once, the next is asked to stop.
          const signal = k % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
          const [child, id] = await stopInMidJob(kind, workers, ids);
          if (signal === 'SIGKILL') killed.push(id);
          workers.splice(workers.indexOf(child), 1, worker());
          child.kill(signal);
          child.kill('SIGCONT');
        }
        const ends = workers.map((child) => new Promise((done) => child.once('close', done)));
        await Promise.all(ends);
        const found = await states(kind);
        expect(found.map(({ state }) => state)).toEqual(scans.map(() => 'done'));
        for (const [k, { job }] of found.entries()) {
          if (!existsSync(at(`alone${k}`))) {
            await ptychopinn(
              'solve',
              scans[k],
              '--output_dir',
              `alone${k}`,
              '--epochs',
              String(EPOCHS),
              '--threads',
              '1',
              '--quiet',
            );
          }
          const expected = await readReconstruction(at(`alone${k}/reconstruction.npz`));
          const { image } = await readReconstruction(path.join(job.output_dir, 'reconstruction.npz'));
          expect(image.re).toEqual(expected.image.re);
          const log = readFileSync(path.join(job.output_dir, 'logs/debug.log'), 'utf8');
          expect(log.match(/Written to|rPIE on \d+ patterns/g)?.length).toBeGreaterThan(0);
        }
        // Somebody died in the middle, and somebody went on.
        expect(killed.length).toBeGreaterThan(0);
        for (const id of killed) {
          const { record } = found.find(({ job }) => job.id === id) as JobStatus;
          expect(record?.attempts, id).toBeGreaterThan(1);
          expect(readFileSync(at(`${kind}/${id}/logs/debug.log`), 'utf8')).toContain('Resuming after epoch');
        }
      });

      it('refuse plans that they were not started for', async () => {
        await ptychopinn(
          'jobs',
          'plan',
          'scan1.npz',
          '--verb',
          'solve',
          '--output_root',
          `${kind}-mine`,
          '--epochs',
          '2',
        );
        await ptychopinn(
          'jobs',
          'plan',
          'scan1.npz',
          '--verb',
          'solve',
          '--output_root',
          `${kind}-other`,
          '--epochs',
          '2',
        );
        await ptychopinn('jobs', 'submit', `${kind}-other`, `--${kind}`, server.url);
        await ptychopinn('jobs', 'submit', `${kind}-mine`, `--${kind}`, server.url);
        const queue = await openQueue({ redis: null, postgres: null, [kind]: server.url, queue: 'ptychopinn' });
        await queue.add([{ root: folder, id: '../../evil', seconds: 1 }]);
        await queue.close();
        await ptychopinn('jobs', 'work', `${kind}-mine`, `--${kind}`, server.url, '--until_done');
        expect((await states(`${kind}-other`))[0].state).toBe('waiting');
        expect((await states(`${kind}-mine`))[0].state).toBe('done');
      });

      it('stop at a job that is cancelled', async () => {
        const plan = `${kind}-cancel`;
        await ptychopinn(
          'jobs',
          'plan',
          'scan1.npz',
          '--verb',
          'solve',
          '--output_root',
          plan,
          '--epochs',
          '1000000',
          '--threads',
          '1',
        );
        await ptychopinn('jobs', 'submit', plan, `--${kind}`, server.url);
        const working = ptychopinn('jobs', 'work', plan, `--${kind}`, server.url, '--until_done');
        while ((await states(plan))[0].progress === undefined) await pause(300);
        expect(await ptychopinn('jobs', 'cancel', plan)).toBe('Cancelled: 0001-scan1.\n');
        expect(await working).toBe('0 done, 0 given back, 1 failed.\n');
        expect((await states(plan))[0].record).toMatchObject({ state: 'failed', code: 'CANCELLED' });
      });
    },
  );
}

it('says what is wrong with a server', async () => {
  await expect(openQueue({ redis: 'redis://:secret@127.0.0.1:1', postgres: null, queue: 'q' })).rejects.toThrow(/^The server 127\.0\.0\.1:1 of the queue does not answer/); // biome-ignore format: one call
  await expect(openQueue({ redis: null, postgres: 'postgres://u:secret@127.0.0.1:1/d', queue: 'q' })).rejects.toThrow(/^The server 127\.0\.0\.1:1 of the queue does not answer/); // biome-ignore format: one call
  await expect(openQueue({ redis: null, postgres: null, queue: 'q' })).rejects.toThrow(/Name one server of a queue/);
  await expect(openQueue({ redis: 'nowhere', postgres: null, queue: 'q' })).rejects.toThrow(
    /"nowhere" is no address of a server/,
  );
});
