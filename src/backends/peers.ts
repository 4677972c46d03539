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
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import { counted } from '../core/words.js';
import type { Backend } from './backend.js';
import { type BackendExecution, selectBackend } from './select.js';

/** A backend, and how many of it. */
export interface PeersChoice {
  readonly backend: string;
  readonly execution: BackendExecution & Partial<Pick<ExecutionConfig, 'devices'>>;
}

/**
 * Starts the backend that a configuration names, as often as its `devices` says; these share its threads. `train` shares every batch out
 * among them and averages their gradients.
 *
 * @example
 * const backend = await startEngines({ backend: 'onnx', execution: { accelerator: 'cpu', threads: 2, devices: 2 } });
 * const model = await train({ nepochs: 20 }, 'scan.npz', { backend });
 * await backend.dispose(); // ends all of them
 *
 * @throws PtychoError as `selectBackend`; CONFIG_INVALID for several of a backend that cannot share work
 */
export async function startEngines({ backend, execution }: PeersChoice, logger?: Logger): Promise<Backend> {
  const workers = workersOf(execution);
  if (workers === 1) return selectBackend({ backend, execution }, logger);
  requireThreads(execution.threads);
  const all = execution.threads ?? availableParallelism();
  const threads = Math.max(1, Math.floor(all / workers));
  if (workers > all) {
    logger?.warn(
      `${counted(workers, 'worker')} on ${counted(all, 'thread')} take turns: no more than one for each is faster.`,
    );
  }
  const engines: Backend[] = [];
  try {
    for (let i = 0; i < workers; i++) {
      // What one has to say the others would repeat.
      engines.push(
        await selectBackend({ backend, execution: { ...execution, threads } }, i === 0 ? logger : undefined),
      );
      if (!engines[0].addUp) throw cannotShare(backend, workers);
    }
  } catch (error) {
    await Promise.allSettled(engines.map((engine) => engine.dispose()));
    throw error;
  }
  return withPeers(engines);
}

/** How many engines a configuration asks for. */
function workersOf({ devices = 1 }: PeersChoice['execution']): number {
  return devices === 'auto' ? 1 : devices;
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

/** The first engine, which knows of the others and ends them with itself. */
export function withPeers([first, ...peers]: readonly Backend[]): Backend {
  if (peers.length === 0) return first;
  return {
    info: { ...first.info, workers: 1 + peers.length },
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
