/** One thread's share of a pass: pattern after pattern through the inner loops. */
import { fitOf, type PassRequest, type PassSums, PEDESTAL, patternAt, pointsOf } from '../wavePasses.js';
import { BackgroundOfThread } from './backgroundOfThread.js';
import { Bends } from './bends.js';
import { BlockPatterns } from './blockPatterns.js';
import { FreeSpace } from './freeSpace.js';
import { type Kept, KeptBatch, residueAt } from './keptBatch.js';
import { KeptMoments } from './keptMoments.js';
import { type Kernels, writePlan } from './kernels.js';
import type { PassSetup } from './passSetup.js';
import type { Range } from './planeSteps.js';
import type { ThreadCalls } from './seat.js';
import { ShiftedProbes } from './shiftedProbes.js';

export class Passes {
  /** The batch that was kept. */
  readonly kept: KeptBatch;
  readonly bends: Bends;
  readonly moments: KeptMoments;
  readonly #kernels: Kernels;
  readonly #setup: PassSetup;
  readonly #probes: ShiftedProbes;
  readonly #patterns: BlockPatterns;
  readonly #space: FreeSpace;
  readonly #background: BackgroundOfThread;
  readonly #pattern: Float32Array;
  readonly #sums: Float64Array;

  constructor(kernels: Kernels, setup: PassSetup) {
    this.#kernels = kernels;
    this.#setup = setup;
    const { scratch, sizes, memory } = setup;
    this.#pattern = new Float32Array(memory.buffer, scratch.pattern, sizes.N ** 2);
    this.#sums = new Float64Array(memory.buffer, scratch.sums, 8);
    writePlan(memory, scratch.plan, sizes.N);
    this.#probes = new ShiftedProbes(kernels, setup);
    this.#patterns = new BlockPatterns(kernels, setup);
    this.#space = new FreeSpace(kernels, setup);
    this.#background = new BackgroundOfThread(kernels, setup);
    this.kept = new KeptBatch(kernels, setup, this.#probes, this.#space);
    this.moments = new KeptMoments(kernels, setup, this.kept);
    this.bends = new Bends(kernels, setup, this.#probes, this.#space, this.#background);
  }

  /** Works on `part`; the sums that are asked for begin at 0. @param rows of the object in which the part lies: its sums hold nothing elsewhere */
  pass(part: Int32Array, request: PassRequest, rows: Range): PassSums {
    const { fields, scratch } = this.#setup;
    const probes = this.#probes;
    this.#clear(request, rows);
    if (part.length > 0) {
      probes.spectra(fields.probe, scratch.spectra, probes.allModes);
      probes.spectra(fields.variation, scratch.variationSpectra, probes.coherent);
    }
    this.#sums.fill(0);
    const kept: Kept[][] = [];
    for (let i = 0; i < part.length; i++) {
      const views = this.#views(part[i], request.keep ? i : 0);
      if (this.#patterns.take(request)) {
        this.#readPattern(part[i]);
        this.#withFits(part[i], () => this.#patterns.pass(views, request));
        if (request.wave === 'measure') continue;
        if (request.probe && views.length > 1) this.#addObjectLight(views);
        if (request.keep) kept.push(views);
        continue;
      }
      if (request.wave === 'stored') this.#load(part[i], views);
      else this.#change(part[i], views, request);
      if (request.wave === 'measure' || request.wave === 'store') continue;
      for (const view of views) {
        if (request.object) this.#addToObject(view, request);
        if (request.probe) this.#addToProbe(view, request);
      }
      if (request.probe) this.#addObjectLight(views);
      if (request.keep) kept.push(views);
    }
    if (request.probe) this.#probeSums(request.accumulate ? 1 : 0);
    this.kept.patterns = kept;
    const [square, absolute, amplitude, counts, modelled, change] = this.#sums;
    return { square, absolute, amplitude, counts, modelled, change };
  }

  /** The probe at the points of pattern k. @param room where waves of the pattern are put */
  #views(k: number, room: number): Kept[] {
    const { fields, scratch, sizes, scan } = this.#setup;
    const { slices = 1 } = sizes;
    const probes = this.#probes;
    const factor = probes.factorOf(k);
    const own = probes.probeOf(k);
    const first = probes.mix(k);
    return pointsOf(scan, k, sizes.width).map(({ at, y, x }, point) => {
      const place = (room * probes.points + point) * slices * sizes.modes * probes.mode;
      const ramps = probes.rampsOf({ y, x }, factor, point);
      const to = scratch.shifted + place;
      const probe = probes.probeAt({ y, x }, to, fields.probe, { probe: own, factor, first, ramps });
      return { at: 4 * at, y, x, factor, own, probe, waves: scratch.waves + place, ramps };
    });
  }

  #short() {
    const { fields, scratch, sizes } = this.#setup;
    const { modes, width, height, N, slices = 1 } = sizes;
    return { kernels: this.#kernels, fields, scratch, modes, slices, width, height, N };
  }

  /** To the sums of every slice; the waves of a mode are `modes` apart from slice to slice. */
  #addToObject({ at, probe, waves }: Kept, { weighted }: PassRequest): void {
    const { kernels, scratch, modes, slices, width, height, N } = this.#short();
    const { mode, plane } = this.#probes;
    const { object, illumination } = scratch.fields.sums;
    for (let m = 0; m < slices * modes; m++) {
      const [p, w] = [probe + m * mode, waves + m * mode];
      const to = at + 4 * Math.floor(m / modes) * height * width;
      kernels.addObject(p, p + plane, w, w + plane, weighted ? 1 : 0, object.re + to, object.im + to, width, N);
      kernels.addIllumination(p, p + plane, illumination + to, width, N);
    }
  }

  #addToProbe(view: Kept, request: PassRequest): void {
    const { kernels, fields, scratch, modes, width, N } = this.#short();
    const { mode, plane } = this.#probes;
    const { object } = fields;
    const { at, own, ramps } = view;
    const weighted = request.weighted ? 1 : 0;
    const out = scratch.product;
    for (let m = 0; m < modes; m++) {
      const w = view.waves + m * mode;
      kernels.probeProduct(object.re + at, object.im + at, width, w, w + plane, weighted, out, out + plane, N);
      kernels.fft2(out, out + plane, N, scratch.plan, scratch.fft);
      if (m === 0 && request.keep && request.beam) this.#keepResidue(view, weighted);
      const sum = scratch.probeSpectra + (own * modes + m) * mode;
      kernels.addShiftedBack(out, out + plane, ramps, sum, sum + plane, N);
    }
  }

  /** |O|² of a pattern: the mean over its points. */
  #addObjectLight(views: readonly Kept[]): void {
    const { kernels, fields, scratch, width, N } = this.#short();
    const { object } = fields;
    const { plane, pixels } = this.#probes;
    const sum = scratch.fields.sums.objectIntensity + views[0].own * plane;
    const to = views.length === 1 ? sum : scratch.product;
    if (views.length > 1) kernels.clear(to, pixels);
    for (const { at } of views) kernels.addObjectIntensity(object.re + at, object.im + at, width, to, N);
    if (views.length > 1) kernels.addScaled(to, 1 / views.length, sum, pixels);
  }

  /** Object patch · what comes in, through all slices: what comes into each further one is laid behind the probe, what leaves the last at `out`. */
  #exitWave(at: number, probe: number, out: number): void {
    const { kernels, fields, modes, slices, width, height, N } = this.#short();
    const { plane, mode } = this.#probes;
    for (let s = 0; s < slices; s++) {
      const from = probe + s * modes * mode;
      const to = s === slices - 1 ? out : from + modes * mode;
      const patch = at + 4 * s * height * width;
      const { re, im } = fields.object;
      kernels.exitWave(re + patch, im + patch, width, from, from + plane, to, to + plane, N);
      if (s < slices - 1) this.#space.toNext(to, s);
    }
  }

  /** χ behind every slice but the last, from that one: conj(O)χ, brought back. */
  #carryBack({ at, waves }: Kept): void {
    const { kernels, fields, modes, slices, width, height, N } = this.#short();
    const { plane, mode } = this.#probes;
    for (let s = slices - 1; s > 0; s--) {
      const patch = at + 4 * s * height * width;
      const { re, im } = fields.object;
      for (let m = 0; m < modes; m++) {
        const from = waves + (s * modes + m) * mode;
        const to = from - modes * mode;
        kernels.probeProduct(re + patch, im + patch, width, from, from + plane, 0, to, to + plane, N);
        this.#space.fromNext(to, s - 1);
      }
    }
  }

  /** χ of pattern k (or the moved stored wave) at the waves of its views, of every slice. */
  #change(k: number, views: readonly Kept[], request: PassRequest): void {
    const { kernels, scratch, modes, N } = this.#short();
    const { mode, plane } = this.#probes;
    const { wave, strength = 1 } = request;
    const difference = wave === 'difference';
    // Of each view and mode: the wave behind the last slice, and that which is stored.
    const each = views.flatMap((view, v) =>
      Array.from({ length: modes }, (_, m) => ({
        view,
        m,
        w: this.#last(view) + m * mode,
        from: (v * modes + m) * mode,
      })),
    );
    if (difference) this.#storedAt(scratch.stored).set(this.#storedWave(k));
    for (const { view, m, w, from } of each) {
      const q = difference ? scratch.projected + from : w;
      this.#exitWave(view.at, view.probe + m * mode, q);
      if (difference) {
        const s = scratch.stored + from;
        kernels.reflect(q, q + plane, s, s + plane, w, w + plane, N);
      }
      if (wave === 'store') continue;
      this.#space.at(view.y, view.x);
      this.#space.toDetector(w);
    }
    if (wave === 'store') {
      this.#store(k, views);
      return;
    }
    const { model } = scratch;
    this.#model(views, model);
    this.#background.addTo(k, model);
    this.#readPattern(k);
    this.#withFits(k, () => kernels.compare(model, scratch.pattern, scratch.sums, N));
    if (request.background) this.#background.ask(k, model);
    if (wave === 'measure') return;
    const gain = strength / this.#space.norm;
    if (wave === 'likelihood') {
      kernels.likelihoodChange(model, scratch.pattern, gain, PEDESTAL, N);
    } else {
      const change = wave === 'poisson' ? kernels.poissonChange : kernels.amplitudeChange;
      change(model, scratch.pattern, gain, this.#setup.floor, N);
      if (request.damp) this.#background.damp(model, gain);
    }
    for (const { view, w, from } of each) {
      kernels.scaleBy(w, w + plane, model, N);
      this.#space.at(view.y, view.x);
      this.#space.fromDetector(w);
      if (!difference) continue;
      const [s, q] = [scratch.stored + from, scratch.projected + from];
      this.#sums[5] += kernels.differenceStep(s, s + plane, q, q + plane, w, w + plane, N);
    }
    if (difference) {
      this.#storedWave(k).set(this.#storedAt(scratch.stored));
      this.#load(k, views);
    } else {
      for (const view of views) this.#carryBack(view);
    }
  }

  /** Σ|Ψ|² over modes and views. */
  #model(views: readonly Kept[], model: number): void {
    const { kernels, scratch, modes, N } = this.#short();
    const { mode, pixels } = this.#probes;
    views.forEach((view, v) => {
      const to = v === 0 ? model : scratch.product;
      kernels.intensity(this.#last(view), modes, mode, 1 / this.#space.norm, to, N);
      if (v > 0) kernels.addPlane(to, model, pixels);
    });
  }

  /** Notes what the comparison of pattern k says of its flux. */
  #withFits(k: number, compare: () => void): void {
    const { beam } = this.#setup.scan;
    const before = beam && this.#sums.slice();
    compare();
    if (!beam || !before) return;
    const [square, , , counts, modelled] = this.#sums.map((v, i) => v - before[i]);
    beam.fits[k] = fitOf(square, counts, modelled);
    beam.modelled[k] = modelled;
  }

  /** Where the waves behind the last slice are. */
  #last({ waves }: Kept): number {
    const { modes, slices } = this.#short();
    return waves + (slices - 1) * modes * this.#probes.mode;
  }

  #load(k: number, views: readonly Kept[]): void {
    const { modes } = this.#short();
    const stored = this.#storedWave(k);
    const floats = modes * 2 * this.#probes.pixels;
    views.forEach((view, v) => {
      this.#floats(this.#last(view), floats).set(stored.subarray(v * floats, (v + 1) * floats));
    });
  }

  #store(k: number, views: readonly Kept[]): void {
    const { modes } = this.#short();
    const stored = this.#storedWave(k);
    const floats = modes * 2 * this.#probes.pixels;
    views.forEach((view, v) => {
      stored.set(this.#floats(this.#last(view), floats), v * floats);
    });
  }

  #floats(at: number, length: number): Float32Array {
    return new Float32Array(this.#setup.memory.buffer, at, length);
  }

  /** Waves of a pattern that lie one after the other. */
  #storedAt(at: number): Float32Array {
    return this.#floats(at, this.#waveFloats);
  }

  /** Floats of the waves of a pattern. */
  get #waveFloats(): number {
    return this.#probes.points * this.#setup.sizes.modes * 2 * this.#probes.pixels;
  }

  #storedWave(k: number): Float32Array {
    return this.#setup.waves.subarray(k * this.#waveFloats, (k + 1) * this.#waveFloats);
  }

  #readPattern(k: number): void {
    this.#pattern.set(patternAt(this.#setup.scan, k));
  }

  /** The spectrum of conj(O)χ, which is at hand where the products were not weighted. */
  #keepResidue({ at, waves }: Kept, weighted: number): void {
    const { kernels, fields, scratch, width, N } = this.#short();
    const { plane } = this.#probes;
    const { object } = fields;
    const to = residueAt(this.#setup, waves);
    if (!weighted) {
      this.#probes.copy(scratch.product, to, 1);
      return;
    }
    kernels.probeProduct(object.re + at, object.im + at, width, waves, waves + plane, 0, to, to + plane, N);
    kernels.fft2(to, to + plane, N, scratch.plan, scratch.fft);
  }

  #clear(request: PassRequest, { from, end }: Range): void {
    const { scratch, sizes } = this.#setup;
    const { height, width } = sizes;
    const { probes = 1, slices = 1 } = sizes;
    const { pixels, allModes } = this.#probes;
    if (request.object && !request.accumulate) {
      const { sums } = scratch.fields;
      for (let s = 0; s < slices; s++) {
        const first = 4 * (s * height + from) * width;
        for (const plane of [sums.object.re, sums.object.im, sums.illumination]) {
          this.#kernels.clear(plane + first, (end - from) * width);
        }
      }
    }
    if (request.probe) {
      if (!request.accumulate) this.#kernels.clear(scratch.fields.sums.objectIntensity, probes * pixels);
      this.#kernels.clear(scratch.probeSpectra, allModes * 2 * pixels);
    }
    if (request.background) this.#background.clear();
  }

  /** The sums of the probe were taken in Fourier space. @param keep factor of what they were before */
  #probeSums(keep: 0 | 1): void {
    const { scratch } = this.#setup;
    this.#probes.backFromSpectra(scratch.probeSpectra, scratch.fields.sums.probe, this.#probes.allModes, keep);
  }
}

/** What a thread is asked of its passes. */
export const callsOf = (passes: Passes): ThreadCalls => ({
  pass: (part, request, rows) => passes.pass(part, request, rows),
  products: () => passes.kept.products(),
  moves: () => passes.kept.moves(),
  correlations: () => passes.moments.correlations(),
  stretches: () => passes.moments.stretches(),
  curvatures: (part, along, statistics) => passes.bends.along(part, along, statistics),
  deviances: (part, raised) => passes.bends.deviances(part, raised),
  beamProducts: () => passes.kept.beamProducts(),
  beamSums: (weights) => passes.kept.beamSums(weights),
});
