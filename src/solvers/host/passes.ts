/** One thread's share of a pass: pattern after pattern through the inner loops. */
import { fitOf, type PassRequest, type PassSums } from '../wavePasses.js';
import { Bends } from './bends.js';
import { BlockPatterns } from './blockPatterns.js';
import { FreeSpace } from './freeSpace.js';
import { type Kept, KeptBatch } from './keptBatch.js';
import { type Kernels, writePlan } from './kernels.js';
import { type PassSetup, placeOf } from './passSetup.js';
import type { ThreadCalls } from './seat.js';
import { ShiftedProbes } from './shiftedProbes.js';

export class Passes {
  /** The batch that was kept. */
  readonly kept: KeptBatch;
  readonly bends: Bends;
  readonly #kernels: Kernels;
  readonly #setup: PassSetup;
  readonly #probes: ShiftedProbes;
  readonly #patterns: BlockPatterns;
  readonly #space: FreeSpace;
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
    this.kept = new KeptBatch(kernels, setup, this.#probes, this.#space);
    this.bends = new Bends(kernels, setup, this.#probes, this.#space);
  }

  /** Works on `part`; the sums that are asked for begin at 0. */
  pass(part: Int32Array, request: PassRequest): PassSums {
    const { kernels, fields, scratch, modes, slices, width } = this.#short();
    this.#clear(request);
    if (part.length > 0) {
      this.#probes.spectra(fields.probe, scratch.spectra, modes);
      this.#probes.spectra(fields.variation, scratch.variationSpectra, this.#probes.coherent);
    }
    this.#sums.fill(0);
    const kept: Kept[] = [];
    for (let i = 0; i < part.length; i++) {
      const k = part[i];
      const { at, y, x } = placeOf(this.#setup, k);
      const room = request.keep ? i : 0;
      const waves = scratch.waves + room * slices * modes * this.#probes.mode;
      const factor = this.#setup.beam?.flux[k] ?? 1;
      this.#probes.rampsOf(y, x, factor);
      const first = this.#probes.mix(k);
      const shifted = scratch.shifted + room * slices * modes * this.#probes.mode;
      const probe = this.#probes.probeAt(y, x, shifted, fields.probe, { factor, first });
      this.#space.at(y, x);
      if (this.#patterns.take(request)) {
        this.#readPattern(k);
        this.#withFits(k, () => this.#patterns.pass({ at, probe, waves, residue: i }, request));
        if (request.keep && request.wave !== 'measure') kept.push({ at, y, x, factor, probe });
        continue;
      }
      if (request.wave === 'stored') this.#load(k, waves);
      else this.#change(k, at, probe, waves, request);
      if (request.wave === 'measure' || request.wave === 'store') continue;
      for (let m = 0; m < modes; m++) {
        const [pRe, wRe] = [probe + m * this.#probes.mode, waves + m * this.#probes.mode];
        const wIm = wRe + this.#probes.plane;
        const N = this.#setup.sizes.N;
        const weighted = request.weighted ? 1 : 0;
        if (request.object) this.#addObject(at, pRe, wRe, weighted);
        if (request.probe) {
          const { object } = fields;
          const out = scratch.product;
          const outIm = out + this.#probes.plane;
          kernels.probeProduct(object.re + at, object.im + at, width, wRe, wIm, weighted, out, outIm, N);
          kernels.fft2(out, outIm, N, scratch.plan, scratch.fft);
          if (m === 0 && request.keep && request.beam) this.#keepResidue(i, at, wRe, weighted);
          const sum = scratch.probeSpectra + m * this.#probes.mode;
          kernels.addShiftedBack(out, outIm, scratch.ramps, sum, sum + this.#probes.plane, N);
        }
      }
      if (request.probe) {
        const { object } = fields;
        const { sums } = scratch.fields;
        kernels.addObjectIntensity(object.re + at, object.im + at, width, sums.objectIntensity, this.#setup.sizes.N);
      }
      if (request.keep) kept.push({ at, y, x, factor, probe });
    }
    if (request.probe) this.#probeSums(request.accumulate ? 1 : 0);
    this.kept.patterns = kept;
    const [square, absolute, amplitude, counts, modelled, change] = this.#sums;
    return { square, absolute, amplitude, counts, modelled, change };
  }

  #short() {
    const { fields, scratch, sizes } = this.#setup;
    const { modes, width, slices = 1 } = sizes;
    return { kernels: this.#kernels, fields, scratch, modes, slices, width };
  }

  /** To the sums of every slice; the waves of a mode are `modes` apart from slice to slice. */
  #addObject(at: number, incoming: number, change: number, weighted: 0 | 1): void {
    const { kernels, scratch, modes, slices, width } = this.#short();
    const { N, height } = this.#setup.sizes;
    const { plane, mode } = this.#probes;
    const { object, illumination } = scratch.fields.sums;
    for (let s = 0; s < slices; s++) {
      const [p, w] = [incoming + s * modes * mode, change + s * modes * mode];
      const to = at + 4 * s * height * width;
      kernels.addObject(p, p + plane, w, w + plane, weighted, object.re + to, object.im + to, width, N);
      kernels.addIllumination(p, p + plane, illumination + to, width, N);
    }
  }

  /** Object patch · what comes in, through all slices: what comes into each further one is laid behind the probe, what leaves the last at `out`. */
  #exitWave(at: number, probe: number, out: number): void {
    const { kernels, fields, modes, slices, width } = this.#short();
    const { N, height } = this.#setup.sizes;
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
  #carryBack(at: number, waves: number): void {
    const { kernels, fields, modes, slices, width } = this.#short();
    const { N, height } = this.#setup.sizes;
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

  /** χ of pattern k (or the moved stored wave) at `waves`, of every slice. */
  #change(k: number, at: number, probe: number, all: number, request: PassRequest): void {
    const { kernels, scratch, modes, slices } = this.#short();
    const { N } = this.#setup.sizes;
    // Those behind the last slice.
    const waves = all + (slices - 1) * modes * this.#probes.mode;
    const { floor } = this.#setup;
    const { wave, strength = 1 } = request;
    const difference = wave === 'difference';
    if (difference) this.#load(k, scratch.stored);
    for (let m = 0; m < modes; m++) {
      const p = probe + m * this.#probes.mode;
      const w = waves + m * this.#probes.mode;
      const q = difference ? scratch.projected + m * this.#probes.mode : w;
      this.#exitWave(at, p, q);
      if (difference) {
        const s = scratch.stored + m * this.#probes.mode;
        kernels.reflect(q, q + this.#probes.plane, s, s + this.#probes.plane, w, w + this.#probes.plane, N);
      }
      if (wave !== 'store') this.#space.toDetector(w);
    }
    if (wave === 'store') {
      this.#store(k, waves);
      return;
    }
    const { model } = scratch;
    kernels.intensity(waves, modes, this.#probes.mode, 1 / this.#space.norm, model, N);
    this.#readPattern(k);
    this.#withFits(k, () => kernels.compare(model, scratch.pattern, scratch.sums, N));
    if (wave === 'measure') return;
    const change = wave === 'poisson' ? kernels.poissonChange : kernels.amplitudeChange;
    change(model, scratch.pattern, strength / this.#space.norm, floor, N);
    for (let m = 0; m < modes; m++) {
      const w = waves + m * this.#probes.mode;
      kernels.scaleBy(w, w + this.#probes.plane, model, N);
      this.#space.fromDetector(w);
      if (!difference) continue;
      const s = scratch.stored + m * this.#probes.mode;
      const q = scratch.projected + m * this.#probes.mode;
      this.#sums[5] += kernels.differenceStep(
        s,
        s + this.#probes.plane,
        q,
        q + this.#probes.plane,
        w,
        w + this.#probes.plane,
        N,
      );
    }
    if (!difference) {
      this.#carryBack(at, all);
      return;
    }
    this.#store(k, scratch.stored);
    this.#load(k, waves);
  }

  /** Notes what the comparison of pattern k says of its flux. */
  #withFits(k: number, compare: () => void): void {
    const { beam } = this.#setup;
    const before = beam && this.#sums.slice();
    compare();
    if (!beam || !before) return;
    const [square, , , counts, modelled] = this.#sums.map((v, i) => v - before[i]);
    beam.fits[k] = fitOf(square, counts, modelled);
  }

  #load(k: number, to: number): void {
    this.#inMemory(to).set(this.#storedWave(k));
  }

  #store(k: number, from: number): void {
    this.#storedWave(k).set(this.#inMemory(from));
  }

  #inMemory(at: number): Float32Array {
    return new Float32Array(this.#setup.memory.buffer, at, this.#setup.sizes.modes * 2 * this.#probes.pixels);
  }

  #storedWave(k: number): Float32Array {
    const pixels = this.#setup.sizes.modes * 2 * this.#probes.pixels;
    return this.#setup.waves.subarray(k * pixels, (k + 1) * pixels);
  }

  #readPattern(k: number): void {
    this.#pattern.set(this.#setup.amplitudes.subarray(k * this.#probes.pixels, (k + 1) * this.#probes.pixels));
  }

  /** The spectrum of conj(O)χ, which is at hand where the products were not weighted. */
  #keepResidue(i: number, at: number, chi: number, weighted: number): void {
    const { kernels, fields, scratch, width } = this.#short();
    const { N } = this.#setup.sizes;
    const { object } = fields;
    const to = scratch.residues + i * this.#probes.mode;
    if (!weighted) {
      this.#probes.copy(scratch.product, to, 1);
      return;
    }
    kernels.probeProduct(
      object.re + at,
      object.im + at,
      width,
      chi,
      chi + this.#probes.plane,
      0,
      to,
      to + this.#probes.plane,
      N,
    );
    kernels.fft2(to, to + this.#probes.plane, N, scratch.plan, scratch.fft);
  }

  #clear(request: PassRequest): void {
    const { kernels, scratch, slices } = this.#short();
    const { height, width, modes } = this.#setup.sizes;
    const { sums } = scratch.fields;
    if (request.object && !request.accumulate) {
      const pixels = slices * height * width;
      for (const plane of [sums.object.re, sums.object.im, sums.illumination]) kernels.clear(plane, pixels);
    }
    if (request.probe) {
      if (!request.accumulate) kernels.clear(sums.objectIntensity, this.#probes.pixels);
      kernels.clear(scratch.probeSpectra, modes * 2 * this.#probes.pixels);
    }
  }

  /** The sums of the probe were taken in Fourier space. @param keep factor of what they were before */
  #probeSums(keep: 0 | 1): void {
    const { scratch, modes } = this.#short();
    this.#probes.backFromSpectra(scratch.probeSpectra, scratch.fields.sums.probe, modes, keep);
  }
}

/** What a thread is asked of its passes. */
export const callsOf = (passes: Passes): ThreadCalls => ({
  pass: (part, request) => passes.pass(part, request),
  products: () => passes.kept.products(),
  moves: () => passes.kept.moves(),
  curvatures: (part, along) => passes.bends.along(part, along),
  beamProducts: () => passes.kept.beamProducts(),
  beamSums: (weights) => passes.kept.beamSums(weights),
});
