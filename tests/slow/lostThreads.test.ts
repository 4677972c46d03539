/**
 * Threads of solvers that die, in every way and at every place: no wait goes on, and a run keeps the state after its last epoch. Needs
 * `npm run build`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectGone, fault, lethal, openTeam, unharmed, watched } from '../support/lostThreads.js';

const [major] = process.versions.node.split('.').map(Number);
/** Threads of later versions hang where their memory is at its end, and nobody can tell: that wait ends after two minutes. */
const ways = ['throw', 'exit', ...(major < 23 ? ['memory'] : [])];

beforeEach(unharmed);

describe.each(ways)('a thread that ends by %s', (way) => {
  it.each(['start', 'open'])('while threads are opened (%s)', async (place) => {
    lethal(way, place, 0, 2);
    expect(await fault(() => openTeam(3))).toMatch(
      /^The solver cannot (run: |start its threads \(killed by the test\))/,
    );
    expect(watched().map(({ threadId }) => threadId)).toEqual([-1, -1]);
  });

  it('in a pass', async () => {
    lethal(way, 'changeColumns', 1, 2);
    const team = await openTeam(3);
    expect(await fault(team.pass)).toMatch(/^Thread 3 of 3 of the solver failed \(.+\), and the run ends with it; /);
    await expectGone(team);
  });

  it('in steps over planes', async () => {
    lethal(way, 'addPlane', 0, 2);
    const team = await openTeam(3);
    expect(await fault(team.steps)).toMatch(/^Thread 3 of 3 of the solver failed \(.+\)/);
    await expectGone(team);
  });
});

describe('a thread that is ended from outside', () => {
  it.each(['pass', 'steps'] as const)('while it waits to be asked: %s', async (what) => {
    const team = await openTeam(3);
    await team.pass();
    team.steps();
    void watched()[1].terminate();
    expect(await fault(team[what])).toMatch(/^Thread 3 of 3 of the solver failed \(.+\)/);
    await expectGone(team);
  });

  it('at some moment', async () => {
    for (let i = 0; i < 10; i++) {
      unharmed();
      const team = await openTeam(2);
      setTimeout(() => void watched()[0].terminate(), 3 * i);
      const message = await fault(async () => {
        for (;;) {
          await team.pass();
          team.steps();
        }
      });
      expect(message).toMatch(/^Thread 2 of 2 of the solver failed \(.+\)/);
      await expectGone(team);
    }
  });
});

it('a thread of the wasm engine of TensorFlow.js: the call that waits for it is an error', () => {
  const script = `
    const at = (file) => import(new URL(file, process.argv[1]));
    const { createTensorflowBackend } = await at('backends/tf/backend.js');
    const op = await at('graph/ops.js');
    const { defineProgram } = await at('graph/program.js');
    const x = op.input('x', [1, 8, 128, 128]);
    const w = op.input('w', [8, 8, 3, 3]);
    const program = defineProgram({ name: 'endless', outputs: { y: op.conv2d(x, w) } });
    const wave = (n) => Float32Array.from({ length: n }, (_, i) => Math.sin(0.37 * i));
    const feeds = { x: { data: wave(131072), shape: x.shape }, w: { data: wave(576), shape: w.shape } };
    const backend = await createTensorflowBackend({ engine: 'wasm', threads: 2 });
    const compiled = await backend.compile(program);
    try {
      for (;;) {
        await compiled.run(feeds);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } catch (error) {
      console.log(error.code, error.message);
    }
    await backend.dispose();`;
  const preload = createRequire(import.meta.url).resolve('../support/dyingHelper.cjs');
  const dist = new URL('../../dist/', import.meta.url).href;
  const words = ['--require', preload, '--input-type=module', '-e', script, dist];
  expect(spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 60_000 })).toMatchObject({
    status: 0,
    signal: null,
    stdout:
      "ENGINE_FAILURE The TensorFlow.js backend cannot run: a thread that computes for the engine's worker stopped.\n",
  });
});

describe('a run of the command line', () => {
  const cli = path.resolve('dist/cli/main.js');
  const preload = createRequire(import.meta.url).resolve('../support/dyingThread.cjs');
  let folder: string;
  const run = (words: readonly string[], lethalFault?: string) => {
    const env = { ...process.env, NODE_OPTIONS: `--require=${preload}`, PTYCHOPINN_THREAD_FAULT: lethalFault ?? '' };
    const { status, signal, stderr } = spawnSync(process.execPath, [cli, ...words, '--quiet'], {
      cwd: folder,
      encoding: 'utf8',
      env,
      timeout: 60_000,
    });
    return { status, signal, stderr };
  };

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-lost-'));
    // Its object has more pixels than one thread does steps of alone.
    const scan = ['--object_side_px', '620', '--N', '64', '--step_px', '20', '--output_file', 'scan.npz'];
    expect(run(['simulate', ...scan])).toMatchObject({ status: 0, signal: null });
    expect(run([...SOLVE, '--output_dir', 'whole'])).toMatchObject({ status: 0, signal: null });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(['changeColumns 800', 'divideStep 60'])(
    'that loses a thread in an epoch (%s) goes on to the same bytes',
    async (place) => {
      const to = place.split(' ')[0];
      const { status, signal, stderr } = run([...SOLVE, '--output_dir', to], `exit ${place} 1`);
      expect(signal).toBeNull();
      expect(status).toBe(1);
      expect(stderr).toMatch(
        new RegExp(
          `Thread 2 of 2 of the solver failed \\(.+\\), and the run ends with it; .+\\. The state after epoch \\d remains: go on from it with --resume ${to}`,
        ),
      );
      expect(run([...SOLVE, '--resume', to, '--output_dir', to])).toMatchObject({ status: 0, signal: null });
      for (const file of ['history.csv', 'solver_state.npz']) {
        const [resumed, whole] = await Promise.all(
          [to, 'whole'].map((name) => readFile(path.join(folder, name, file))),
        );
        expect(resumed.equals(whole), file).toBe(true);
      }
    },
  );
});

const SOLVE = ['solve', 'scan.npz', '--algorithm', 'rpie', '--epochs', '4', '--threads', '2', '--passes', 'host'];
