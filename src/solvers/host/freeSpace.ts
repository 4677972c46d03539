/** Waves of a thread on their way through empty space: to the detector, near or far, and from slice to slice; and back. */
import { type FieldMemory, type PlanesAt, planesAt } from '../fieldMemory.js';
import type { Propagation, Transfer } from '../propagation.js';
import type { Kernels } from './kernels.js';
import type { PassSetup, TransfersAt } from './passSetup.js';
import { writeRamps } from './shiftedProbes.js';

/** Lays transfer functions down. */
export function takeTransfers(memory: FieldMemory, { detector, slices = [] }: Propagation = {}): TransfersAt {
  const laid = ({ re, im }: Transfer): PlanesAt => {
    const planes = memory.planes(re.length);
    for (let i = 0; i < re.length; i++) {
      planes.re[i] = re[i] / re.length;
      planes.im[i] = im[i] / re.length;
    }
    return planesAt(planes);
  };
  return { detector: detector && laid(detector), slices: slices.map(laid) };
}

export class FreeSpace {
  readonly #near: PlanesAt | undefined;
  readonly #slices: readonly PlanesAt[];
  readonly #ramps: Float32Array;
  readonly #plane: number;

  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
  ) {
    const { memory, scratch, sizes, transfers } = setup;
    this.#near = transfers.detector;
    this.#slices = transfers.slices;
    this.#ramps = new Float32Array(memory.buffer, scratch.detectorRamps, 4 * sizes.N);
    this.#plane = 4 * sizes.N ** 2;
  }

  /** What |Ψ|² and the way back there are divided by: transforms are not normalised. */
  get norm(): number {
    return this.#near ? 1 : this.setup.sizes.N ** 2;
  }

  /** The next pattern is this far from its whole pixels. */
  at(y: number, x: number): void {
    if (this.#near) writeRamps(this.#ramps, this.setup.sizes.N, y, x);
  }

  /** Exit wave → what the detector sees, in place. */
  toDetector(wave: number): void {
    if (this.#near) this.#through(wave, this.#near, this.setup.scratch.detectorRamps, 0);
    else this.#forward(wave);
  }

  /** The way back, in place. */
  fromDetector(wave: number): void {
    if (this.#near) this.#through(wave, this.#near, this.setup.scratch.detectorRamps, 1);
    else this.#inverse(wave);
  }

  /** From behind slice `s` to before the next one, in place. */
  toNext(wave: number, s: number): void {
    this.#through(wave, this.#slices[s], 0, 0);
  }

  /** The way back, in place. */
  fromNext(wave: number, s: number): void {
    this.#through(wave, this.#slices[s], 0, 1);
  }

  #through(wave: number, { re, im }: PlanesAt, ramps: number, back: 0 | 1): void {
    this.#forward(wave);
    this.kernels.transfer(wave, wave + this.#plane, re, im, ramps, back, this.setup.sizes.N);
    this.#inverse(wave);
  }

  #forward(wave: number): void {
    const { scratch, sizes } = this.setup;
    this.kernels.fft2(wave, wave + this.#plane, sizes.N, scratch.plan, scratch.fft);
  }

  /** Real and imaginary part exchanged: the inverse. */
  #inverse(wave: number): void {
    const { scratch, sizes } = this.setup;
    this.kernels.fft2(wave + this.#plane, wave, sizes.N, scratch.plan, scratch.fft);
  }
}
