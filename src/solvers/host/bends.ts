/** How the misfit of patterns changes along directions of object and probe; see `WavePasses.curvatures`. */
import type { Curvatures } from '../wavePasses.js';
import type { FreeSpace } from './freeSpace.js';
import type { Kernels } from './kernels.js';
import { type PassSetup, placeOf } from './passSetup.js';
import type { DirectionAt } from './seat.js';
import type { ShiftedProbes } from './shiftedProbes.js';

export class Bends {
  readonly #sums: Float64Array;
  readonly #pattern: Float32Array;

  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
    private readonly probes: ShiftedProbes,
    private readonly space: FreeSpace,
  ) {
    const { scratch, sizes, memory } = setup;
    this.#sums = new Float64Array(memory.buffer, scratch.sums + 64, 8);
    this.#pattern = new Float32Array(memory.buffer, scratch.pattern, sizes.N ** 2);
  }

  /** Of `part`, along one direction or two. */
  along(part: Int32Array, directions: readonly DirectionAt[]): Curvatures {
    const { probes, setup } = this;
    const { scratch, fields, sizes } = setup;
    const whole = sizes.modes * probes.mode;
    const spectra = directions.map((_, d) => scratch.directions + d * whole);
    if (part.length > 0) {
      probes.spectra(fields.probe, scratch.spectra, sizes.modes);
      probes.spectra(fields.variation, scratch.variationSpectra, probes.coherent);
      directions.forEach(({ probe }, d) => {
        probes.spectra(probe, spectra[d], sizes.modes);
      });
    }
    this.#sums.fill(0);
    /** Re Σconj(χ)·δO·δP of the first twice, of both, of the second twice. */
    const mixed: [number, number, number] = [0, 0, 0];
    for (const k of part) {
      const { at, y, x } = placeOf(setup, k);
      const factor = setup.beam?.flux[k] ?? 1;
      probes.rampsOf(y, x, factor);
      this.space.at(y, x);
      const probe = probes.probeAt(y, x, scratch.shifted, fields.probe, { factor, first: probes.mix(k) });
      const shifted = directions.map((direction, d) =>
        probes.probeAt(y, x, d === 0 ? scratch.direction : scratch.directions + 2 * whole, direction.probe, {
          factor,
          spectra: spectra[d],
        }),
      );
      this.#compare(k, at, probe, directions, shifted);
      const of = (i: number, j: number) => this.#mixed(at, directions[i], shifted[j]);
      mixed[0] += of(0, 0);
      if (directions.length === 1) continue;
      mixed[1] += 0.5 * (of(0, 1) + of(1, 0));
      mixed[2] += of(1, 1);
    }
    const [slopeA, slopeB, aa, ab, bb, ...widths] = this.#sums;
    return {
      slopes: [slopeA, slopeB],
      bends: [aa - 4 * mixed[0], ab - 4 * mixed[1], bb - 4 * mixed[2]],
      widths: [widths[0], widths[1], widths[2]],
    };
  }

  /** Adds the derivatives that are linear in the changes, and leaves χ where the waves are. */
  #compare(k: number, at: number, probe: number, directions: readonly DirectionAt[], shifted: readonly number[]): void {
    const { kernels, setup, probes, space } = this;
    const { scratch, fields, sizes, amplitudes, floor } = setup;
    const { N, modes, width } = sizes;
    const { object } = fields;
    const { plane, pixels, mode } = probes;
    const changed = [scratch.stored, scratch.projected].slice(0, directions.length);
    for (let m = 0; m < modes; m++) {
      const [p, w] = [probe + m * mode, scratch.waves + m * mode];
      kernels.exitWave(object.re + at, object.im + at, width, p, p + plane, w, w + plane, N);
      space.toDetector(w);
      directions.forEach((direction, d) => {
        const [q, out] = [shifted[d] + m * mode, changed[d] + m * mode];
        const { re, im } = direction.object;
        kernels.jointChange(
          ...([re + at, im + at, object.re + at, object.im + at, width] as const),
          ...([p, p + plane, q, q + plane, out, out + plane, N] as const),
        );
        space.toDetector(out);
      });
    }
    const [a, b = 0] = changed;
    const { waves, model, pattern, sums } = scratch;
    kernels.intensity(waves, modes, mode, 1 / space.norm, model, N);
    this.#pattern.set(amplitudes.subarray(k * pixels, (k + 1) * pixels));
    kernels.curvature(waves, a, b, modes, mode, model, pattern, 1 / space.norm, floor, sums + 64, N);
    kernels.amplitudeChange(model, pattern, 1 / space.norm, floor, N);
    for (let m = 0; m < modes; m++) {
      const w = waves + m * mode;
      kernels.scaleBy(w, w + plane, model, N);
      space.fromDetector(w);
    }
  }

  /** Re Σconj(χ)·δO·δP, the object of one direction and the probe of one. */
  #mixed(at: number, { object }: DirectionAt, probe: number): number {
    const { scratch, sizes } = this.setup;
    const { plane, mode } = this.probes;
    let sum = 0;
    for (let m = 0; m < sizes.modes; m++) {
      const [q, w] = [probe + m * mode, scratch.waves + m * mode];
      sum += this.kernels.tripleProduct(
        ...([object.re + at, object.im + at, sizes.width, q, q + plane, w, w + plane, sizes.N] as const),
      );
    }
    return sum;
  }
}
