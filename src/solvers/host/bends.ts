/** How the misfit of patterns changes along directions of object and probe; see `WavePasses.curvatures`. */

import { type Curvatures, devianceOf, PEDESTAL, patternAt, pointsOf, type Statistics } from '../wavePasses.js';
import type { BackgroundOfThread } from './backgroundOfThread.js';
import type { FreeSpace } from './freeSpace.js';
import type { Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';
import type { DirectionAt } from './seat.js';
import type { ShiftedProbes } from './shiftedProbes.js';

/** A point of the way of a pattern: where its patch begins, what is left of its position, and where P and the changes of P lie. */
interface BentView {
  readonly at: number;
  readonly y: number;
  readonly x: number;
  readonly probe: number;
  readonly shifted: readonly number[];
}

export class Bends {
  readonly #sums: Float64Array;
  readonly #pattern: Float32Array;

  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
    private readonly probes: ShiftedProbes,
    private readonly space: FreeSpace,
    private readonly background: BackgroundOfThread,
  ) {
    const { scratch, sizes, memory } = setup;
    this.#sums = new Float64Array(memory.buffer, scratch.sums + 64, 8);
    this.#pattern = new Float32Array(memory.buffer, scratch.pattern, sizes.N ** 2);
  }

  /** Of `part`, along one direction or two. */
  along(part: Int32Array, directions: readonly DirectionAt[], statistics: Statistics = 'gaussian'): Curvatures {
    const { probes, setup } = this;
    const { scratch, fields } = setup;
    const spectra = directions.map((_, d) => scratch.directions + d * probes.allModes * probes.mode);
    if (part.length > 0) {
      probes.spectra(fields.probe, scratch.spectra, probes.allModes);
      probes.spectra(fields.variation, scratch.variationSpectra, probes.coherent);
      directions.forEach(({ probe }, d) => {
        probes.spectra(probe, spectra[d], probes.allModes);
      });
    }
    this.#sums.fill(0);
    /** Re Σconj(χ)·δO·δP of the first twice, of both, of the second twice. */
    const mixed: [number, number, number] = [0, 0, 0];
    for (const k of part) {
      const views = this.#views(k, directions, spectra);
      this.#compare(k, views, directions, statistics);
      const of = (i: number, j: number) => this.#mixed(views, directions[i], j);
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

  /** See `WavePasses.deviances`. */
  deviances(part: Int32Array, raised = false): Float64Array {
    const { kernels, probes, setup, space } = this;
    const { scratch, fields, sizes, scan, floor } = setup;
    const { N, modes, width } = sizes;
    const { plane, pixels, mode } = probes;
    if (part.length > 0) {
      probes.spectra(fields.probe, scratch.spectra, probes.allModes);
      probes.spectra(fields.variation, scratch.variationSpectra, probes.coherent);
    }
    const model = new Float32Array(setup.memory.buffer, scratch.model, pixels);
    return Float64Array.from(part, (k) => {
      const views = this.#views(k, [], []);
      const { re, im } = fields.object;
      for (let i = 0; i < views.length * modes; i++) {
        const { at, y, x, probe } = views[Math.floor(i / modes)];
        const [p, w] = [probe + (i % modes) * mode, scratch.waves + i * mode];
        space.at(y, x);
        kernels.exitWave(re + at, im + at, width, p, p + plane, w, w + plane, N);
        space.toDetector(w);
      }
      kernels.intensity(scratch.waves, views.length * modes, mode, 1 / space.norm, scratch.model, N);
      this.background.addTo(k, scratch.model);
      return devianceOf(model, patternAt(scan, k), floor, raised);
    });
  }

  /** Probe and directions at the points of pattern k. */
  #views(k: number, directions: readonly DirectionAt[], spectra: readonly number[]): BentView[] {
    const { probes, setup } = this;
    const { scratch, fields, sizes, scan } = setup;
    const factor = probes.factorOf(k);
    const own = probes.probeOf(k);
    const first = probes.mix(k);
    const second = scratch.directions + 2 * probes.allModes * probes.mode;
    return pointsOf(scan, k, sizes.width).map(({ at, y, x }, point) => {
      const place = point * sizes.modes * probes.mode;
      const how = { probe: own, factor, ramps: probes.rampsOf({ y, x }, factor) };
      const probe = probes.probeAt({ y, x }, scratch.shifted + place, fields.probe, { ...how, first });
      const shifted = directions.map((direction, d) => {
        const to = (d === 0 ? scratch.direction : second) + place;
        return probes.probeAt({ y, x }, to, direction.probe, { ...how, spectra: spectra[d] });
      });
      return { at: 4 * at, y, x, probe, shifted };
    });
  }

  /** Adds the derivatives that are linear in the changes, and leaves χ where the waves are. */
  #compare(k: number, views: readonly BentView[], directions: readonly DirectionAt[], statistics: Statistics): void {
    const { kernels, setup, probes, space } = this;
    const { scratch, fields, sizes, scan, floor } = setup;
    const { N, modes, width } = sizes;
    const { object } = fields;
    const { plane, mode } = probes;
    const changed = [scratch.stored, scratch.projected].slice(0, directions.length);
    const all = views.length * modes;
    for (let i = 0; i < all; i++) {
      const { at, y, x, probe, shifted } = views[Math.floor(i / modes)];
      const m = i % modes;
      const [p, w] = [probe + m * mode, scratch.waves + i * mode];
      space.at(y, x);
      kernels.exitWave(object.re + at, object.im + at, width, p, p + plane, w, w + plane, N);
      space.toDetector(w);
      directions.forEach((direction, d) => {
        const [q, out] = [shifted[d] + m * mode, changed[d] + i * mode];
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
    kernels.intensity(waves, all, mode, 1 / space.norm, model, N);
    this.background.addTo(k, model);
    this.#pattern.set(patternAt(scan, k));
    const scale = 1 / space.norm;
    const likely = statistics === 'poisson';
    const pedestal = likely ? PEDESTAL : -1;
    kernels.curvature(waves, a, b, all, mode, model, pattern, scale, floor, pedestal, sums + 64, N);
    if (likely) kernels.likelihoodChange(model, pattern, scale, PEDESTAL, N);
    else kernels.amplitudeChange(model, pattern, scale, floor, N);
    for (let i = 0; i < all; i++) {
      const { y, x } = views[Math.floor(i / modes)];
      const w = waves + i * mode;
      kernels.scaleBy(w, w + plane, model, N);
      space.at(y, x);
      space.fromDetector(w);
    }
  }

  /** Re Σconj(χ)·δO·δP, the object of one direction and the probe of direction d. */
  #mixed(views: readonly BentView[], { object }: DirectionAt, d: number): number {
    const { scratch, sizes } = this.setup;
    const { plane, mode } = this.probes;
    let sum = 0;
    for (let i = 0; i < views.length * sizes.modes; i++) {
      const { at, shifted } = views[Math.floor(i / sizes.modes)];
      const [q, w] = [shifted[d] + (i % sizes.modes) * mode, scratch.waves + i * mode];
      sum += this.kernels.tripleProduct(
        ...([object.re + at, object.im + at, sizes.width, q, q + plane, w, w + plane, sizes.N] as const),
      );
    }
    return sum;
  }
}
