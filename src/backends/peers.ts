/**
 * Several engines of one kind for work that can be shared out: as many as `devices` says. The first of them is a backend like any other;
 * who can share work out finds the others as its `peers`.
 *
 * @example
 * const backend = await startEngines({ backend: 'onnx', execution: { accelerator: 'cpu', threads: 4, devices: 2 } });
 * backend.peers?.length; // 1: two engines of two threads each
 */
import { availableParallelism } from 'node:os';
import type { ExecutionConfig } from '../config/schema.js';
import { askedDevices } from '../config/schemas/execution.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import { counted } from '../core/words.js';
import type { Backend, BackendInfo } from './backend.js';
import { type BackendChoice, deviceName, selectBackend } from './select.js';

/** A backend, and how many of it: `accelerator` may name several devices. */
export interface PeersChoice {
  readonly backend: string;
  readonly execution: BackendChoice['execution'] & Partial<Pick<ExecutionConfig, 'devices'>>;
}

/**
 * Starts the backend that a configuration names, as often as its `devices` says, and on every device that `accelerator` names; these share
 * its threads. `train` shares every batch out among them and averages their gradients, predictions take them in turn.
 *
 * @example
 * import { train } from 'ptychopinn';
 * const backend = await startEngines({ backend: 'onnx', execution: { accelerator: 'cpu', threads: 2, devices: 2 } });
 * const model = await train({ nepochs: 20 }, 'scan.npz', { backend });
 * await backend.dispose(); // ends all of them
 *
 * @throws PtychoError as `selectBackend`; CONFIG_INVALID for several of a backend that cannot share work, or fewer than there are devices
 */
export async function startEngines({ backend, execution }: PeersChoice, logger?: Logger): Promise<Backend> {
  const workers = workersOf(execution);
  if (workers === 1) return selectBackend({ backend, execution }, logger);
  requireThreads(execution.threads);
  const all = execution.threads ?? availableParallelism();
  const threads = Math.max(1, Math.floor(all / workers));
  const engines: Backend[] = [];
  try {
    while (engines.length < workers) {
      const [first] = engines;
      const own = { ...execution, threads, accelerator: placeOf(engines.length, execution.accelerator, first?.info) };
      // What one has to say the others would repeat.
      engines.push(await selectBackend({ backend, execution: own }, first ? undefined : logger));
      if (!engines[0].addUp) throw cannotShare(backend, workers);
    }
  } catch (error) {
    await Promise.allSettled(engines.map((engine) => engine.dispose()));
    throw error;
  }
  if (engines[0].info.device === 'cpu' && workers > all) {
    logger?.warn(
      `${counted(workers, 'worker')} on ${counted(all, 'thread')} take turns: more than one for each thread gains nothing.`,
    );
  }
  return withPeers(engines);
}

/** How many engines a configuration asks for. @throws PtychoError CONFIG_INVALID */
export function workersOf({ accelerator, devices = 1 }: PeersChoice['execution']): number {
  const named = askedDevices(accelerator).length;
  if (devices === 'auto' || devices === 1) return named;
  if (devices >= named) return devices;
  throw new PtychoError(
    'CONFIG_INVALID',
    `accelerator names ${named} devices (${accelerator}), but there are ${devices} workers (devices); give ${named}, or name fewer devices.`,
    { key: 'devices', found: devices, expected: named },
  );
}

/**
 * Where a worker computes: on the devices that are named, in turn; where a kind of device is named, or was found, on those of this kind by
 * their number, so that none is used twice.
 */
function placeOf(worker: number, accelerator: string, first: BackendInfo | undefined): string {
  const asked = accelerator.split(',');
  const place = asked[worker % asked.length];
  if (place.includes(':') || place === 'cpu') return place;
  if (place !== 'auto') return `${place}:${worker}`;
  if (!first) return place;
  return first.device === 'cpu' ? 'cpu' : `${first.device}:${worker}`;
}

/** @throws PtychoError CONFIG_INVALID where a running engine is alone and more are asked for */
export function requirePeers(running: Backend, execution: PeersChoice['execution']): void {
  const [found, workers] = [1 + (running.peers?.length ?? 0), workersOf(execution)];
  if (workers === 1 || workers === found) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${workers} workers (devices) are asked for, but the engine that is running was started ${found === 1 ? 'alone' : `as ${found}`}; start it with startEngines, or leave devices out.`,
    { key: 'devices', found: workers, expected: found },
  );
}

function cannotShare(backend: string, workers: number): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `${workers} workers (devices) are asked for, but backend ${backend} cannot share its work with others; use backend onnx or tensorflow, or leave devices out.`,
    { key: 'devices', found: workers, backend },
  );
}

function infoOf(engines: readonly Backend[]): BackendInfo {
  const [{ info }] = engines;
  const devices = engines.map((engine) => deviceName(engine.info));
  const differ = new Set(devices).size > 1;
  return { ...info, workers: engines.length, ...(differ ? { devices } : {}) };
}

/** The first engine, which knows of the others and ends them with itself. */
export function withPeers([first, ...peers]: readonly Backend[]): Backend {
  if (peers.length === 0) return first;
  return {
    info: infoOf([first, ...peers]),
    peers,
    compile: (program, options) => first.compile(program, options),
    createState: (values) => first.createState(values),
    ...(first.transfers && { transfers: () => first.transfers!() }),
    ...(first.addUp && { addUp: (sum) => first.addUp!(sum) }),
    dispose: async () => {
      await Promise.all([first, ...peers].map((engine) => engine.dispose()));
    },
  };
}
