/**
 * The jobs of a plan on several devices: a process for each, which takes whatever job is free. Locks of the jobs keep two from doing the
 * same one.
 *
 * @example
 * await runOnDevices({ plan: 'beamtime', devices: ['cuda:0', 'cuda:1'], program: ['ptychopinn'], left: () => jobsLeft('beamtime') });
 */
import { spawn } from 'node:child_process';
import type { Logger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { startEngine } from '../reconstruction/inputs.js';
import { readPlan, rootOf } from './plan.js';
import { type JobStatus, statesOf } from './record.js';

/** A plan, and what it is done on. */
export interface DevicesRun {
  readonly plan: string;
  /** As `accelerator` names them. */
  readonly devices: readonly string[];
  /** The words that start this program. */
  readonly program: readonly string[];
  /** How many jobs are neither done nor failed. */
  readonly left: () => Promise<number>;
  readonly services?: Pick<Services, 'signal' | 'logger'>;
}

/** Works until nothing is left, or nothing more can be done: a job may wait for one that another process is at, so that all are asked again. */
export async function runOnDevices({ plan, devices, program, left, services = {} }: DevicesRun): Promise<void> {
  const { signal, logger } = services;
  let before = Number.POSITIVE_INFINITY;
  let open = await left();
  while (open > 0 && open < before && !signal?.aborted) {
    before = open;
    logger?.info(`${devices.join(', ')}: a process each.`);
    const words = [...program.slice(1), 'jobs', 'run', plan, '--console_level', 'WARNING', '--accelerator'];
    await Promise.all(devices.map((device) => ended(program[0], [...words, device], signal)));
    open = await left();
  }
}

/**
 * Does all jobs of a plan on several devices.
 * @param devices as `accelerator` names them
 * @param program the words that start this program
 * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT for a plan that is none
 */
export async function runPlanOnDevices(
  plan: string,
  devices: readonly string[],
  program: readonly string[],
  services: Services = {},
): Promise<readonly JobStatus[]> {
  const states = async () => statesOf(rootOf(plan), await readPlan(plan));
  const left = async () => (await states()).filter(({ state }) => state !== 'done' && state !== 'failed').length;
  await runOnDevices({ plan, devices, program, left, services });
  return states();
}

/**
 * Refuses devices that are not there, before a job is begun on them.
 * @throws PtychoError CONFIG_INVALID for what names no devices, ACCELERATOR_MISSING
 */
export async function requireDevices(accelerator: string, logger?: Logger): Promise<void> {
  const engines = await startEngine({ accelerator, threads: 1 }, logger);
  await engines.dispose();
}

/** How a process comes to its end is read from the records of its jobs. */
function ended(command: string, words: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const stop = () => void child.kill('SIGTERM');
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    child.once('error', reject);
    child.once('close', () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
  });
}
