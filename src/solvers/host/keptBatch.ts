/** The batch whose waves a thread kept, and what is asked of it after a pass. */
import type { FreeSpace } from './freeSpace.js';
import type { Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';
import type { ShiftedProbes } from './shiftedProbes.js';

/**
 * A point of the way of a pattern whose P and χ are kept: where its patch begins, what is left of its position, the factor of its beam,
 * which probe it saw, where P and χ lie (of every slice), and the ramps of its shift.
 */
export interface Kept {
  readonly at: number;
  readonly y: number;
  readonly x: number;
  readonly factor: number;
  readonly own: number;
  readonly probe: number;
  readonly waves: number;
  readonly ramps: number;
}

/** Where δP of a point is kept whose waves begin at `waves`. */
export const residueAt = ({ scratch, sizes }: PassSetup, waves: number): number =>
  scratch.residues + (waves - scratch.waves) / (sizes.modes * (sizes.slices ?? 1));

export class KeptBatch {
  /** The points of each pattern, one where it stood still. */
  patterns: readonly (readonly Kept[])[] = [];
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
    const { kernels, fields, scratch, modes, slices, width, N } = this.#short();
    const { mode, plane, allModes } = this.#probes;
    const { object, sums } = fields;
    if (this.patterns.length > 0) this.#probes.spectra(sums.probe, scratch.spectra, allModes);
    return this.#sumsOf(6, ({ at, y, x, factor, own, probe, waves }) => {
      const ramps = this.#probes.rampsOf({ y, x }, factor);
      const direction = this.#probes.probeAt({ y, x }, scratch.direction, sums.probe, { probe: own, factor, ramps });
      for (let m = 0; m < modes; m++) {
        const [p, d, chi] = [probe + m * mode, direction + m * mode, waves + ((slices - 1) * modes + m) * mode];
        if (slices > 1) {
          this.#productsBehind(at, p, d, chi);
          continue;
        }
        kernels.stepProducts(
          sums.object.re + at,
          sums.object.im + at,
          object.re + at,
          object.im + at,
          width,
          p,
          p + plane,
          d,
          d + plane,
          chi,
          chi + plane,
          scratch.sums + 64,
          N,
        );
      }
    });
  }

  /** See `WavePasses.moves`. */
  moves(): Float64Array {
    const { kernels, fields, scratch, modes, slices, width, height, N } = this.#short();
    const { mode, plane } = this.#probes;
    const middle = Math.floor(slices / 2);
    return this.#sumsOf(5, ({ at, probe, waves }) => {
      const patch = at + 4 * middle * height * width;
      const { re, im } = fields.object;
      for (let m = 0; m < modes; m++) {
        const [p, chi] = [probe, waves].map((from) => from + (middle * modes + m) * mode);
        const to = scratch.sums + 64;
        kernels.positionProducts(re + patch, im + patch, width, p, p + plane, chi, chi + plane, to, N);
      }
    });
  }

  /** See `WavePasses.beamProducts`. */
  beamProducts(): Float64Array {
    const { kernels, fields, scratch, width, N } = this.#short();
    const { coherent, mode, plane } = this.#probes;
    const { object, variation } = fields;
    const out = new Float64Array(3 * coherent * this.patterns.length);
    if (this.patterns.length > 0) this.#probes.spectra(variation, scratch.variationSpectra, coherent);
    for (let j = 0; j < coherent; j++) {
      const spectrum = scratch.variationSpectra + j * mode;
      const rows = this.#sumsOf(3, ({ at, y, x, factor, waves }) => {
        const ramps = this.#probes.rampsOf({ y, x }, factor);
        const residue = residueAt(this.#setup, waves);
        const before = this.#sixSums[2];
        kernels.fieldProducts(
          spectrum,
          spectrum + plane,
          ramps,
          residue,
          residue + plane,
          variation.re + j * plane,
          variation.im + j * plane,
          object.re + at,
          object.im + at,
          width,
          scratch.sums + 64,
          N,
        );
        this.#sixSums[2] = before + factor * factor * (this.#sixSums[2] - before);
      });
      for (let i = 0; i < this.patterns.length; i++) {
        out.set(rows.subarray(3 * i, 3 * i + 3), 3 * (i * coherent + j));
      }
    }
    return out;
  }

  /** See `WavePasses.beamSums`; `weights` are those of this thread's patterns. */
  beamSums(weights: Float64Array): void {
    const { kernels, scratch, N } = this.#short();
    const { coherent, mode, plane, pixels } = this.#probes;
    kernels.clear(scratch.variationSums, coherent * 2 * pixels);
    for (const [i, views] of this.patterns.entries()) {
      for (const { y, x, factor, waves } of views) {
        const residue = residueAt(this.#setup, waves);
        for (let j = 0; j < coherent; j++) {
          const ramps = this.#probes.rampsOf({ y, x }, factor * weights[i * coherent + j]);
          const sum = scratch.variationSums + j * mode;
          kernels.addShiftedBack(residue, residue + plane, ramps, sum, sum + plane, N);
        }
      }
    }
    this.#probes.backFromSpectra(scratch.variationSums, scratch.fields.sums.variation, coherent, 0);
  }

  #short() {
    const { fields, scratch, sizes } = this.#setup;
    const { modes, width, height, N, slices = 1 } = sizes;
    return { kernels: this.#kernels, fields, scratch, modes, slices, width, height, N };
  }

  /** (patterns, columns): what `add` adds to the six sums, over the points of each pattern. */
  #sumsOf(columns: number, add: (view: Kept) => void): Float64Array {
    const out = new Float64Array(columns * this.patterns.length);
    for (const [i, views] of this.patterns.entries()) {
      this.#sixSums.fill(0);
      for (const view of views) add(view);
      out.set(this.#sixSums.subarray(0, columns), columns * i);
    }
    return out;
  }

  /**
   * Adds the six products of a mode whose light goes through several slices: A and B begin as δO·P and O·δP at the first slice, go from slice
   * to slice as the wave does, and A takes up what each slice changes, δO·(the wave that comes in).
   */
  #productsBehind(at: number, probe: number, direction: number, chi: number): void {
    const { kernels, fields, scratch, modes, slices, width, height, N } = this.#short();
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
