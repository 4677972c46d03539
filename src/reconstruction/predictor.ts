/** Programs for batches of any size: as few as possible, because every one has to be compiled. */
import type { Backend, Compiled } from '../backends/backend.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { PtychoNetwork } from '../model/network.js';

/**
 * Predicts batches. Full batches have a program of their own; smaller ones run in a program for the next power of two, filled
 * up with zeros, so that a scan in progress, whose batches have any size, needs few of them.
 */
export class Predictor {
  readonly #programs = new Map<number, Promise<Compiled>>();

  constructor(
    private readonly network: Pick<PtychoNetwork, 'predict'>,
    private readonly weights: Readonly<Record<string, Tensor>>,
    private readonly backend: Backend,
    /** Groups in a full batch. */
    private readonly batchSize: number,
  ) {}

  /**
   * Object patches [B, C, N, N] of diffraction [B, C, N, N] (normalised) and positions [B, C, 1, 2].
   * @throws PtychoError from the engine
   */
  async patches(diffraction: Tensor, positions: Tensor): Promise<ComplexTensor> {
    const groups = diffraction.shape[0];
    const size = Math.min(this.batchSize, 2 ** Math.ceil(Math.log2(groups)));
    const program = await this.program(Math.max(size, groups));
    const outputs = await program.run({
      input: filledUp(diffraction, Math.max(size, groups)),
      input_positions: filledUp(positions, Math.max(size, groups)),
    });
    const { object_real: re, object_imag: im } = outputs;
    const shape = [groups, ...re.shape.slice(1)];
    const length = (re.data.length / re.shape[0]) * groups;
    return { re: re.data.subarray(0, length), im: im.data.subarray(0, length), shape };
  }

  /** The program for batches of `size` groups, compiled once. */
  program(size: number): Promise<Compiled> {
    let program = this.#programs.get(size);
    if (program === undefined) {
      program = this.backend.compile(this.network.predict(size), { constants: this.weights });
      this.#programs.set(size, program);
    }
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of await Promise.allSettled(this.#programs.values())) {
      if (program.status === 'fulfilled') await program.value.dispose();
    }
    this.#programs.clear();
  }
}

function filledUp({ data, shape }: Tensor, groups: number): Tensor {
  if (shape[0] === groups) return { data, shape };
  const whole = new Float32Array((data.length / shape[0]) * groups);
  whole.set(data);
  return { data: whole, shape: [groups, ...shape.slice(1)] };
}
