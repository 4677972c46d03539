/** Programs for batches of any size: as few as possible, because every one has to be compiled. */
import type { Backend } from '../backends/backend.js';
import { ProgramCache } from '../backends/programs.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { PtychoNetwork } from '../model/network.js';

/**
 * Predicts batches, on all engines in turn where the backend has peers. Full batches have a program of their own; smaller ones run in a program for the next power of two, filled
 * up with zeros, so that a scan in progress, whose batches have any size, needs few of them.
 */
export class Predictor {
  /** Of each engine. */
  readonly #programs: readonly ProgramCache<number>[];
  #asked = 0;

  constructor(
    private readonly network: Pick<PtychoNetwork, 'predict'>,
    weights: Readonly<Record<string, Tensor>>,
    backend: Backend,
    /** Groups in a full batch. */
    private readonly batchSize: number,
  ) {
    const engines = [backend, ...(backend.peers ?? [])];
    this.#programs = engines.map((engine) => new ProgramCache(engine, { constants: weights }));
  }

  /** Batches that may be under way at the same time without waiting for an engine. */
  get engines(): number {
    return this.#programs.length;
  }

  /**
   * Object patches [B, C, N, N] of diffraction [B, C, N, N] (normalised) and positions [B, C, 1, 2].
   * @throws PtychoError from the engine
   */
  async patches(diffraction: Tensor, positions: Tensor): Promise<ComplexTensor> {
    const groups = diffraction.shape[0];
    const size = Math.max(groups, Math.min(this.batchSize, 2 ** Math.ceil(Math.log2(groups))));
    const programs = this.#programs[this.#asked++ % this.#programs.length];
    const { compiled } = await programs.get(size, () => this.network.predict(size));
    const outputs = await compiled.run({
      input: filledUp(diffraction, size),
      input_positions: filledUp(positions, size),
    });
    const { object_real: re, object_imag: im } = outputs;
    const shape = [groups, ...re.shape.slice(1)];
    const length = (re.data.length / re.shape[0]) * groups;
    return { re: re.data.subarray(0, length), im: im.data.subarray(0, length), shape };
  }

  async dispose(): Promise<void> {
    for (const programs of this.#programs) await programs.dispose();
  }
}

function filledUp({ data, shape }: Tensor, groups: number): Tensor {
  if (shape[0] === groups) return { data, shape };
  const whole = new Float32Array((data.length / shape[0]) * groups);
  whole.set(data);
  return { data: whole, shape: [groups, ...shape.slice(1)] };
}
