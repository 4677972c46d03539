/** Teams of threads that are killed (`dyingThread.cjs`): what they are asked, and what has to come of it. */
import { createRequire } from 'node:module';
import type { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { isPtychoError } from '../../src/core/errors.js';
import { integers } from '../../src/core/numbers.js';
import { solverProblem } from './solverProblem.js';
import { begin } from './solverRequests.js';

// Before anything that starts threads is loaded.
const require = createRequire(import.meta.url);
require('./dyingThread.cjs');
const { Worker: Watched } = require('node:worker_threads') as { Worker: { all: Worker[]; restart(): void } };
const { HostPasses } = await import('../../src/solvers/host/hostPasses.js');

const all = { wave: 'amplitude', object: true, probe: true } as const;

export async function openTeam(threads: number) {
  const problem = solverProblem(16, 1, 7);
  const passes = await HostPasses.open({ ...problem, threads, keep: 0, storeWaves: false });
  begin(problem, passes);
  const { memory } = passes;
  const [part, sum] = [memory.plane(300_000), memory.plane(300_000)];
  return { passes, pass: () => passes.pass(integers(7), all), steps: () => memory.addTo(part, sum) };
}

/** What went wrong: a typed error, with a sentence that names the thread and the way on. */
export async function fault(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (!isPtychoError(error, 'ENGINE_FAILURE')) throw error;
    return error.message;
  }
  throw new Error('nothing failed');
}

/** Nothing hangs: what is asked after a loss fails at once, threads are ended, and closing ends. */
export async function expectGone({ passes, pass, steps }: Awaited<ReturnType<typeof openTeam>>): Promise<void> {
  const again = await fault(pass);
  expect(await fault(steps)).toBe(again);
  await passes.close();
  expect(Watched.all.map(({ threadId }) => threadId).every((id) => id === -1)).toBe(true);
  // Closed, the memory still computes, alone.
  steps();
}

/** The threads that were started since. */
export function watched(): readonly Worker[] {
  return Watched.all;
}

/** Lets the next team's thread die: see `dyingThread.cjs`. @param which counts the threads besides the caller's own */
export function lethal(way: string, place: string, calls = 0, which = 1): void {
  Watched.restart();
  process.env.PTYCHOPINN_THREAD_FAULT = `${way} ${place} ${calls} ${which}`;
}

/** Nothing dies by itself any more. */
export function unharmed(): void {
  Watched.restart();
  delete process.env.PTYCHOPINN_THREAD_FAULT;
}
