/** Which engines work here: each is started and made to compute something whose result is known. */

import { throwIfCancelled } from '../core/cancel.js';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import type { ProgressSink } from '../core/log.js';
import { LegacyRng } from '../core/rng.js';
import type { Tensor } from '../core/tensor.js';
import * as op from '../graph/ops.js';
import { defineProgram, type Program } from '../graph/program.js';
import type { Backend, BackendInfo, Device } from './backend.js';
import { type Machine, thisMachine } from './gpus.js';
import { possibleAccelerators } from './onnx/accelerators.js';
import { type BackendExecution, selectBackend } from './select.js';

/** One engine that could run programs, and how it did. */
export interface EngineFinding {
  readonly backend: BackendInfo['name'];
  /** What was asked for: an accelerator, or the name of a TensorFlow.js engine. */
  readonly candidate: string;
  readonly works: boolean;
  /** Package, version, device and threads, where it works. */
  readonly info?: BackendInfo;
  /** Measured on a convolution, transfers included. */
  readonly gflops?: number;
  /** Why it does not work, and what to install. */
  readonly reason?: string;
}

/** How engines are tried. */
export interface TrialOptions {
  /** Measure speed as well; true by default. */
  readonly measure?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Starts an engine; another one in tests. */
  readonly start?: typeof selectBackend;
  /** Another machine than this one (tests). */
  readonly machine?: Machine;
}

interface Candidate {
  readonly backend: BackendInfo['name'];
  readonly candidate: string;
  readonly execution: Pick<BackendExecution, 'accelerator' | 'engine'>;
}

const tfjs = (engine: 'tfjs-node-gpu' | 'tfjs-node' | 'wasm' | 'cpu', accelerator: 'cuda' | 'cpu'): Candidate => ({
  backend: 'tensorflow',
  candidate: engine,
  execution: { engine, accelerator },
});
const onnx = (accelerator: Device): Candidate => ({
  backend: 'onnx',
  candidate: accelerator,
  execution: { accelerator },
});
const candidatesOn = (machine: Machine): readonly Candidate[] => [
  onnx('cpu'),
  ...possibleAccelerators(machine).map(onnx),
  tfjs('tfjs-node-gpu', 'cuda'),
  tfjs('tfjs-node', 'cpu'),
  tfjs('wasm', 'cpu'),
  tfjs('cpu', 'cpu'),
];

/**
 * Tries every engine: starts it, asks for its device and lets it compute something whose result is known. A broken engine is a finding,
 * not an error.
 * @throws PtychoError CANCELLED
 */
export async function tryEngines(options: TrialOptions = {}): Promise<EngineFinding[]> {
  const engines: EngineFinding[] = [];
  const candidates = candidatesOn(options.machine ?? thisMachine());
  for (const [i, candidate] of candidates.entries()) {
    throwIfCancelled(options.signal, 'The examination');
    options.onProgress?.({
      stage: 'examining',
      done: i,
      total: candidates.length,
      unit: 'engines',
      note: candidate.candidate,
    });
    engines.push(await tryEngine(candidate, options));
  }
  options.onProgress?.({ stage: 'examining', done: candidates.length, total: candidates.length, unit: 'engines' });
  return engines;
}

async function tryEngine(candidate: Candidate, options: TrialOptions): Promise<EngineFinding> {
  const { backend: name, candidate: asked } = candidate;
  let backend: Backend | undefined;
  try {
    // Warnings of a trial say what the finding says.
    backend = await (options.start ?? selectBackend)({
      backend: name,
      execution: { ...candidate.execution, threads: null },
    });
    const gflops = await selfTest(backend, options.measure ?? true);
    return { backend: name, candidate: asked, works: true, info: backend.info, ...(gflops ? { gflops } : {}) };
  } catch (error) {
    if (isPtychoError(error, 'CANCELLED')) throw error;
    return { backend: name, candidate: asked, works: false, reason: messageOf(error) };
  } finally {
    await backend?.dispose();
  }
}

const SIDE = 64;
const CHANNELS = 64;
const BATCH = 2;
/** Multiply-adds count two. */
const FLOP = 2 * BATCH * SIDE * SIDE * CHANNELS * CHANNELS * 9;
const SECONDS = 1.2;

/**
 * Convolves noise, compares some pixels with a plain sum, and measures.
 * @returns GFLOP/s; undefined when only the result was asked for.
 * @throws PtychoError ENGINE_FAILURE for a wrong result.
 */
async function selfTest(backend: Backend, measure: boolean): Promise<number | undefined> {
  const rng = new LegacyRng(1);
  const noise = (shape: number[]): Tensor => ({
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.uniform() - 0.5),
    shape,
  });
  const feeds = { x: noise([BATCH, CHANNELS, SIDE, SIDE]), w: noise([CHANNELS, CHANNELS, 3, 3]) };
  const compiled = await backend.compile(convolution());
  const { y } = await compiled.run(feeds);
  checkPixels(feeds.x, feeds.w, y, backend.info);
  if (!measure) return undefined;
  let best = Number.POSITIVE_INFINITY;
  const end = performance.now() + 1000 * SECONDS;
  do {
    const from = performance.now();
    await compiled.run(feeds);
    best = Math.min(best, performance.now() - from);
  } while (performance.now() < end);
  return FLOP / best / 1e6;
}

function convolution(): Program {
  const x = op.input('x', [BATCH, CHANNELS, SIDE, SIDE]);
  const w = op.input('w', [CHANNELS, CHANNELS, 3, 3]);
  return defineProgram({ name: 'self_test', inputs: [x, w], outputs: { y: op.conv2d(x, w) } });
}

function checkPixels(x: Tensor, w: Tensor, y: Tensor, info: BackendInfo): void {
  for (const [n, o, row, column] of [
    [0, 0, 0, 0],
    [1, 5, 31, 17],
    [0, 63, 63, 40],
  ]) {
    let expected = 0;
    for (let c = 0; c < CHANNELS; c++) {
      for (let k = 0; k < 9; k++) {
        const [r, s] = [row + Math.floor(k / 3) - 1, column + (k % 3) - 1];
        if (r < 0 || s < 0 || r >= SIDE || s >= SIDE) continue;
        expected += x.data[((n * CHANNELS + c) * SIDE + r) * SIDE + s] * w.data[(o * CHANNELS + c) * 9 + k];
      }
    }
    const found = y.data[((n * CHANNELS + o) * SIDE + row) * SIDE + column];
    if (Math.abs(found - expected) < 1e-4) continue;
    throw new PtychoError(
      'ENGINE_FAILURE',
      `${info.engine} on ${info.device} computed ${found} where ${expected} is right; do not use it, and install another version.`,
      { engine: info.engine, found, expected },
    );
  }
}
