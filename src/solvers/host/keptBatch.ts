/** The batch whose waves a thread kept, and what is asked of it after a pass. */
import type { Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';
import type { ShiftedProbes } from './shiftedProbes.js';

/** A pattern whose P and χ are kept: where its patch begins, what is left of its position, the factor of its beam, where P lies. */
export interface Kept {
  readonly at: number;
  readonly y: number;
  readonly x: number;
  readonly factor: number;
  readonly probe: number;
}

export class KeptBatch {
  /** In the order of the waves. */
  patterns: readonly Kept[] = [];
  readonly #kernels: Kernels;
  readonly #setup: PassSetup;
  readonly #probes: ShiftedProbes;
  readonly #sixSums: Float64Array;

  constructor(kernels: Kernels, setup: PassSetup, probes: ShiftedProbes) {
    this.#kernels = kernels;
    this.#setup = setup;
    this.#probes = probes;
    this.#sixSums = new Float64Array(setup.memory.buffer, setup.scratch.sums + 64, 8);
  }

  /** See `WavePasses.products`; `object` and `probe` are the directions. */
  products(): Float64Array {
    const { kernels, fields, scratch, modes, width } = this.#short();
    const { N } = this.#setup.sizes;
    const out = new Float64Array(6 * this.patterns.length);
    const directions = fields.sums;
    if (this.patterns.length > 0) this.#probes.spectra(directions.probe, scratch.spectra, modes);
    this.patterns.forEach(({ at, y, x, factor, probe }, i) => {
      this.#probes.rampsOf(y, x, factor);
      const direction = this.#probes.probeAt(y, x, scratch.direction, directions.probe, { factor });
      this.#sixSums.fill(0);
      for (let m = 0; m < modes; m++) {
        const chi = scratch.waves + (i * modes + m) * this.#probes.mode;
        const p = probe + m * this.#probes.mode;
        const d = direction + m * this.#probes.mode;
        kernels.stepProducts(
          directions.object.re + at,
          directions.object.im + at,
          fields.object.re + at,
          fields.object.im + at,
          width,
          p,
          p + this.#probes.plane,
          d,
          d + this.#probes.plane,
          chi,
          chi + this.#probes.plane,
          scratch.sums + 64,
          N,
        );
      }
      out.set(this.#sixSums.subarray(0, 6), 6 * i);
    });
    return out;
  }

  /** See `WavePasses.moves`. */
  moves(): Float64Array {
    const { kernels, fields, scratch, modes, width } = this.#short();
    const out = new Float64Array(5 * this.patterns.length);
    this.patterns.forEach(({ at, probe }, i) => {
      this.#sixSums.fill(0);
      for (let m = 0; m < modes; m++) {
        const chi = scratch.waves + (i * modes + m) * this.#probes.mode;
        const p = probe + m * this.#probes.mode;
        kernels.positionProducts(
          fields.object.re + at,
          fields.object.im + at,
          width,
          p,
          p + this.#probes.plane,
          chi,
          chi + this.#probes.plane,
          scratch.sums + 64,
          this.#setup.sizes.N,
        );
      }
      out.set(this.#sixSums.subarray(0, 5), 5 * i);
    });
    return out;
  }

  /** See `WavePasses.beamProducts`. */
  beamProducts(): Float64Array {
    const { kernels, fields, scratch, width } = this.#short();
    const { coherent } = this.#probes;
    const out = new Float64Array(3 * coherent * this.patterns.length);
    if (this.patterns.length > 0) this.#probes.spectra(fields.variation, scratch.variationSpectra, coherent);
    this.patterns.forEach(({ at, y, x, factor }, i) => {
      this.#probes.rampsOf(y, x, factor);
      const residue = scratch.residues + i * this.#probes.mode;
      for (let j = 0; j < coherent; j++) {
        const spectrum = scratch.variationSpectra + j * this.#probes.mode;
        this.#sixSums.fill(0);
        kernels.fieldProducts(
          spectrum,
          spectrum + this.#probes.plane,
          scratch.ramps,
          residue,
          residue + this.#probes.plane,
          fields.variation.re + j * this.#probes.plane,
          fields.variation.im + j * this.#probes.plane,
          fields.object.re + at,
          fields.object.im + at,
          width,
          scratch.sums + 64,
          this.#setup.sizes.N,
        );
        const [re, im, light] = this.#sixSums;
        out.set([re, im, factor * factor * light], 3 * (i * coherent + j));
      }
    });
    return out;
  }

  /** See `WavePasses.beamSums`; `weights` are those of this thread's patterns. */
  beamSums(weights: Float64Array): void {
    const { kernels, scratch } = this.#short();
    const { N } = this.#setup.sizes;
    const { coherent } = this.#probes;
    new Float32Array(this.#setup.memory.buffer, scratch.variationSums, coherent * 2 * this.#probes.pixels).fill(0);
    this.patterns.forEach(({ y, x, factor }, i) => {
      const residue = scratch.residues + i * this.#probes.mode;
      for (let j = 0; j < coherent; j++) {
        this.#probes.rampsOf(y, x, factor * weights[i * coherent + j]);
        const sum = scratch.variationSums + j * this.#probes.mode;
        kernels.addShiftedBack(residue, residue + this.#probes.plane, scratch.ramps, sum, sum + this.#probes.plane, N);
      }
    });
    this.#probes.backFromSpectra(scratch.variationSums, scratch.fields.sums.variation, coherent, 0);
  }

  #short() {
    const { fields, scratch, sizes } = this.#setup;
    return { kernels: this.#kernels, fields, scratch, modes: sizes.modes, width: sizes.width };
  }
}
