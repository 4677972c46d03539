/** The batch whose waves a thread kept, and what is asked of it after a pass. */
import type { FreeSpace } from './freeSpace.js';
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

  readonly #space: FreeSpace;

  constructor(kernels: Kernels, setup: PassSetup, probes: ShiftedProbes, space: FreeSpace) {
    this.#kernels = kernels;
    this.#setup = setup;
    this.#probes = probes;
    this.#space = space;
    this.#sixSums = new Float64Array(setup.memory.buffer, setup.scratch.sums + 64, 8);
  }

  /** See `WavePasses.products`; `object` and `probe` are the directions. */
  products(): Float64Array {
    const { kernels, fields, scratch, modes, slices, width } = this.#short();
    const { N } = this.#setup.sizes;
    const out = new Float64Array(6 * this.patterns.length);
    const directions = fields.sums;
    if (this.patterns.length > 0) this.#probes.spectra(directions.probe, scratch.spectra, modes);
    this.patterns.forEach(({ at, y, x, factor, probe }, i) => {
      this.#probes.rampsOf(y, x, factor);
      const direction = this.#probes.probeAt(y, x, scratch.direction, directions.probe, { factor });
      this.#sixSums.fill(0);
      for (let m = 0; m < modes; m++) {
        const chi = this.#waves(i, slices - 1, m);
        const p = probe + m * this.#probes.mode;
        const d = direction + m * this.#probes.mode;
        if (slices > 1) {
          this.#productsBehind(at, p, d, chi);
          continue;
        }
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
    const { kernels, fields, scratch, modes, slices, width } = this.#short();
    const middle = Math.floor(slices / 2);
    const slice = 4 * middle * this.#setup.sizes.height * width;
    const out = new Float64Array(5 * this.patterns.length);
    this.patterns.forEach(({ at, probe }, i) => {
      this.#sixSums.fill(0);
      for (let m = 0; m < modes; m++) {
        const chi = this.#waves(i, middle, m);
        const p = probe + (middle * modes + m) * this.#probes.mode;
        kernels.positionProducts(
          fields.object.re + slice + at,
          fields.object.im + slice + at,
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
    kernels.clear(scratch.variationSums, coherent * 2 * this.#probes.pixels);
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
    const { modes, width, slices = 1 } = sizes;
    return { kernels: this.#kernels, fields, scratch, modes, slices, width };
  }

  /** χ of kept pattern i behind slice s. */
  #waves(i: number, s: number, m: number): number {
    const { scratch, modes, slices } = this.#short();
    return scratch.waves + ((i * slices + s) * modes + m) * this.#probes.mode;
  }

  /**
   * Adds the six products of a mode whose light goes through several slices: A and B begin as δO·P and O·δP at the first slice, go from slice
   * to slice as the wave does, and A takes up what each slice changes, δO·(the wave that comes in).
   */
  #productsBehind(at: number, probe: number, direction: number, chi: number): void {
    const { kernels, fields, scratch, modes, slices, width } = this.#short();
    const { N, height } = this.#setup.sizes;
    const { plane, mode, pixels } = this.#probes;
    const a = scratch.tangents;
    const [b, beside] = [a + mode, a + 2 * mode];
    const { object: O, sums } = fields;
    const { object: dO } = sums;
    for (let s = 0; s < slices; s++) {
      const patch = at + 4 * s * height * width;
      const times = ({ re, im }: typeof O, wave: number, out: number) =>
        kernels.exitWave(re + patch, im + patch, width, wave, wave + plane, out, out + plane, N);
      const incoming = probe + s * modes * mode;
      if (s === 0) {
        times(dO, incoming, a);
        times(O, direction, b);
        continue;
      }
      this.#space.toNext(a, s - 1);
      this.#space.toNext(b, s - 1);
      times(O, a, beside);
      this.#probes.copy(beside, a, 1);
      times(dO, incoming, beside);
      kernels.addScaled(beside, 1, a, 2 * pixels);
      times(O, b, beside);
      this.#probes.copy(beside, b, 1);
    }
    kernels.waveProducts(a, a + plane, b, b + plane, chi, chi + plane, scratch.sums + 64, N);
  }
}
