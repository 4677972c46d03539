/** One thread's share of a pass: pattern after pattern through the inner loops. */
import type { WorkerCalls } from '../../backends/worker/host.js';

import type { FieldAddresses, FieldSizes, PlanesAt, Scratch } from '../fieldMemory.js';
import { fitOf, type PassRequest, type PassSums, type VaryingBeam } from '../wavePasses.js';
import { type Kernels, type WasmMemory, type WasmModule, writePlan } from './kernels.js';

/** What a thread works with; everything lies in shared memory. */
export interface PassSetup {
  readonly memory: WasmMemory;
  readonly sizes: FieldSizes;
  readonly fields: FieldAddresses;
  readonly scratch: Scratch;
  readonly amplitudes: Float32Array<SharedArrayBuffer>;
  readonly ys: Float64Array<SharedArrayBuffer>;
  readonly xs: Float64Array<SharedArrayBuffer>;
  readonly beam?: VaryingBeam;
  /** (count, modes, 2, N, N) stored waves of the difference map; empty for other algorithms. */
  readonly waves: Float32Array<SharedArrayBuffer>;
  /** Kept out of divisions: a small part of the usual amplitude. */
  readonly floor: number;
}

/** Fractions of a pixel below this are no shift. */
const UNMOVED = 1e-6;

/** A pattern whose P and χ are kept: where its patch begins, what is left of its position, the factor of its beam, where P lies. */
interface Kept {
  readonly at: number;
  readonly y: number;
  readonly x: number;
  readonly factor: number;
  readonly probe: number;
}

export class Passes {
  readonly #kernels: Kernels;
  readonly #setup: PassSetup;
  readonly #pixels: number;
  /** Bytes of a plane, and of a complex mode. */
  readonly #plane: number;
  readonly #mode: number;
  readonly #pattern: Float32Array;
  readonly #ramps: Float32Array;
  readonly #sums: Float64Array;
  readonly #sixSums: Float64Array;
  #kept: readonly Kept[] = [];

  constructor(kernels: Kernels, setup: PassSetup) {
    this.#kernels = kernels;
    this.#setup = setup;
    const { N } = setup.sizes;
    const { buffer } = setup.memory;
    this.#pixels = N * N;
    this.#plane = 4 * N * N;
    this.#mode = 2 * this.#plane;
    const { scratch } = setup;
    this.#pattern = new Float32Array(buffer, scratch.pattern, this.#pixels);
    this.#ramps = new Float32Array(buffer, scratch.ramps, 4 * N);
    this.#sums = new Float64Array(buffer, scratch.sums, 8);
    this.#sixSums = new Float64Array(buffer, scratch.sums + 64, 8);
    writePlan(setup.memory, scratch.plan, N);
  }

  /** Works on `part`; the sums that are asked for begin at 0. */
  pass(part: Int32Array, request: PassRequest): PassSums {
    const { kernels, fields, scratch, modes, width } = this.#short();
    this.#clear(request);
    if (part.length > 0) {
      this.#spectra(fields.probe, scratch.spectra, modes);
      this.#spectra(fields.variation, scratch.variationSpectra, this.#coherent);
    }
    this.#sums.fill(0);
    const kept: Kept[] = [];
    for (let i = 0; i < part.length; i++) {
      const k = part[i];
      const { at, y, x } = this.#place(k);
      const room = request.keep ? i : 0;
      const waves = scratch.waves + room * modes * this.#mode;
      const factor = this.#setup.beam?.flux[k] ?? 1;
      this.#rampsOf(y, x, factor);
      const first = this.#mix(k);
      const probe = this.#probeAt(y, x, scratch.shifted + room * modes * this.#mode, fields.probe, { factor, first });
      if (request.wave === 'stored') this.#load(k, waves);
      else this.#change(k, at, probe, waves, request);
      if (request.wave === 'measure' || request.wave === 'store') continue;
      for (let m = 0; m < modes; m++) {
        const [pRe, wRe] = [probe + m * this.#mode, waves + m * this.#mode];
        const [pIm, wIm] = [pRe + this.#plane, wRe + this.#plane];
        const N = this.#setup.sizes.N;
        const weighted = request.weighted ? 1 : 0;
        if (request.object) {
          const { sums } = scratch.fields;
          kernels.addObject(pRe, pIm, wRe, wIm, weighted, sums.object.re + at, sums.object.im + at, width, N);
          kernels.addIllumination(pRe, pIm, sums.illumination + at, width, N);
        }
        if (request.probe) {
          const { object } = fields;
          const out = scratch.product;
          const outIm = out + this.#plane;
          kernels.probeProduct(object.re + at, object.im + at, width, wRe, wIm, weighted, out, outIm, N);
          kernels.fft2(out, outIm, N, scratch.plan, scratch.fft);
          if (m === 0 && request.keep && request.beam) this.#keepResidue(i, at, wRe, weighted);
          const sum = scratch.probeSpectra + m * this.#mode;
          kernels.addShiftedBack(out, outIm, scratch.ramps, sum, sum + this.#plane, N);
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
    this.#kept = kept;
    const [square, absolute, amplitude, counts, modelled, change] = this.#sums;
    return { square, absolute, amplitude, counts, modelled, change };
  }

  /** See `WavePasses.products`; `object` and `probe` are the directions. */
  products(): Float64Array {
    const { kernels, fields, scratch, modes, width } = this.#short();
    const { N } = this.#setup.sizes;
    const out = new Float64Array(6 * this.#kept.length);
    const directions = fields.sums;
    if (this.#kept.length > 0) this.#spectra(directions.probe, scratch.spectra, modes);
    this.#kept.forEach(({ at, y, x, factor, probe }, i) => {
      this.#rampsOf(y, x, factor);
      const direction = this.#probeAt(y, x, scratch.direction, directions.probe, { factor });
      this.#sixSums.fill(0);
      for (let m = 0; m < modes; m++) {
        const chi = scratch.waves + (i * modes + m) * this.#mode;
        const p = probe + m * this.#mode;
        const d = direction + m * this.#mode;
        kernels.stepProducts(
          directions.object.re + at,
          directions.object.im + at,
          fields.object.re + at,
          fields.object.im + at,
          width,
          p,
          p + this.#plane,
          d,
          d + this.#plane,
          chi,
          chi + this.#plane,
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
    const out = new Float64Array(5 * this.#kept.length);
    this.#kept.forEach(({ at, probe }, i) => {
      this.#sixSums.fill(0);
      for (let m = 0; m < modes; m++) {
        const chi = scratch.waves + (i * modes + m) * this.#mode;
        const p = probe + m * this.#mode;
        kernels.positionProducts(
          fields.object.re + at,
          fields.object.im + at,
          width,
          p,
          p + this.#plane,
          chi,
          chi + this.#plane,
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
    const coherent = this.#coherent;
    const out = new Float64Array(3 * coherent * this.#kept.length);
    if (this.#kept.length > 0) this.#spectra(fields.variation, scratch.variationSpectra, coherent);
    this.#kept.forEach(({ at, y, x, factor }, i) => {
      this.#rampsOf(y, x, factor);
      const residue = scratch.residues + i * this.#mode;
      for (let j = 0; j < coherent; j++) {
        const spectrum = scratch.variationSpectra + j * this.#mode;
        this.#sixSums.fill(0);
        kernels.fieldProducts(
          spectrum,
          spectrum + this.#plane,
          scratch.ramps,
          residue,
          residue + this.#plane,
          fields.variation.re + j * this.#plane,
          fields.variation.im + j * this.#plane,
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
    const coherent = this.#coherent;
    new Float32Array(this.#setup.memory.buffer, scratch.variationSums, coherent * 2 * this.#pixels).fill(0);
    this.#kept.forEach(({ y, x, factor }, i) => {
      const residue = scratch.residues + i * this.#mode;
      for (let j = 0; j < coherent; j++) {
        this.#rampsOf(y, x, factor * weights[i * coherent + j]);
        const sum = scratch.variationSums + j * this.#mode;
        kernels.addShiftedBack(residue, residue + this.#plane, scratch.ramps, sum, sum + this.#plane, N);
      }
    });
    this.#backFromSpectra(scratch.variationSums, scratch.fields.sums.variation, coherent, 0);
  }

  get #coherent(): number {
    return this.#setup.sizes.coherent ?? 0;
  }

  #short() {
    const { fields, scratch, sizes } = this.#setup;
    return { kernels: this.#kernels, fields, scratch, modes: sizes.modes, width: sizes.width };
  }

  /** χ of pattern k (or the moved stored wave) at `waves`. */
  #change(k: number, at: number, probe: number, waves: number, request: PassRequest): void {
    const { kernels, fields, scratch, modes, width } = this.#short();
    const { N } = this.#setup.sizes;
    const { floor } = this.#setup;
    const { wave, strength = 1 } = request;
    const difference = wave === 'difference';
    if (difference) this.#load(k, scratch.stored);
    for (let m = 0; m < modes; m++) {
      const p = probe + m * this.#mode;
      const w = waves + m * this.#mode;
      const q = difference ? scratch.projected + m * this.#mode : w;
      kernels.exitWave(fields.object.re + at, fields.object.im + at, width, p, p + this.#plane, q, q + this.#plane, N);
      if (difference) {
        const s = scratch.stored + m * this.#mode;
        kernels.reflect(q, q + this.#plane, s, s + this.#plane, w, w + this.#plane, N);
      }
      if (wave !== 'store') kernels.fft2(w, w + this.#plane, N, scratch.plan, scratch.fft);
    }
    if (wave === 'store') {
      this.#store(k, waves);
      return;
    }
    const { model } = scratch;
    kernels.intensity(waves, modes, this.#mode, 1 / this.#pixels, model, N);
    this.#readPattern(k);
    const { beam } = this.#setup;
    const before = beam && this.#sums.slice();
    kernels.compare(model, scratch.pattern, scratch.sums, N);
    if (beam && before) {
      const [square, , , counts, modelled] = this.#sums.map((v, i) => v - before[i]);
      beam.fits[k] = fitOf(square, counts, modelled);
    }
    if (wave === 'measure') return;
    // The inverse transform is not normalised either, so that N² goes into the factor.
    const change = wave === 'poisson' ? kernels.poissonChange : kernels.amplitudeChange;
    change(model, scratch.pattern, strength / this.#pixels, floor, N);
    for (let m = 0; m < modes; m++) {
      const w = waves + m * this.#mode;
      kernels.scaleBy(w, w + this.#plane, model, N);
      // Real and imaginary part exchanged: the inverse.
      kernels.fft2(w + this.#plane, w, N, scratch.plan, scratch.fft);
      if (!difference) continue;
      const s = scratch.stored + m * this.#mode;
      const q = scratch.projected + m * this.#mode;
      this.#sums[5] += kernels.differenceStep(s, s + this.#plane, q, q + this.#plane, w, w + this.#plane, N);
    }
    if (!difference) return;
    this.#store(k, scratch.stored);
    this.#load(k, waves);
  }

  #load(k: number, to: number): void {
    this.#inMemory(to).set(this.#storedWave(k));
  }

  #store(k: number, from: number): void {
    this.#storedWave(k).set(this.#inMemory(from));
  }

  #inMemory(at: number): Float32Array {
    return new Float32Array(this.#setup.memory.buffer, at, this.#setup.sizes.modes * 2 * this.#pixels);
  }

  #storedWave(k: number): Float32Array {
    const pixels = this.#setup.sizes.modes * 2 * this.#pixels;
    return this.#setup.waves.subarray(k * pixels, (k + 1) * pixels);
  }

  #readPattern(k: number): void {
    this.#pattern.set(this.#setup.amplitudes.subarray(k * this.#pixels, (k + 1) * this.#pixels));
  }

  /** Where the patch of pattern k begins, in bytes, and what is left of its position. */
  #place(k: number): { readonly at: number; readonly y: number; readonly x: number } {
    const { ys, xs, sizes } = this.#setup;
    const half = Math.floor(sizes.N / 2);
    const [row, column] = [Math.round(ys[k]), Math.round(xs[k])];
    return { at: 4 * ((row - half) * sizes.width + column - half), y: ys[k] - row, x: xs[k] - column };
  }

  /** The spectrum of conj(O)χ, which is at hand where the products were not weighted. */
  #keepResidue(i: number, at: number, chi: number, weighted: number): void {
    const { kernels, fields, scratch, width } = this.#short();
    const { N } = this.#setup.sizes;
    const { object } = fields;
    const to = scratch.residues + i * this.#mode;
    if (!weighted) {
      this.#copy(scratch.product, to, 1);
      return;
    }
    kernels.probeProduct(object.re + at, object.im + at, width, chi, chi + this.#plane, 0, to, to + this.#plane, N);
    kernels.fft2(to, to + this.#plane, N, scratch.plan, scratch.fft);
  }

  /** The spectrum of the first mode as pattern k saw it. */
  #mix(k: number): number {
    const { kernels, scratch } = this.#short();
    const coherent = this.#coherent;
    if (coherent === 0) return scratch.spectra;
    this.#copy(scratch.spectra, scratch.mixed, 1);
    const { weights } = this.#setup.beam!;
    for (let j = 0; j < coherent; j++) {
      const from = scratch.variationSpectra + j * this.#mode;
      kernels.addScaled(from, weights[k * coherent + j], scratch.mixed, 2 * this.#pixels);
    }
    return scratch.mixed;
  }

  #copy(from: number, to: number, modes: number): void {
    new Uint8Array(this.#setup.memory.buffer).copyWithin(to, from, from + modes * this.#mode);
  }

  /** Transforms of `modes` fields at `to`, divided by N². */
  #spectra({ re, im }: PlanesAt, to: number, modes: number): void {
    const { kernels, scratch } = this.#short();
    const { buffer } = this.#setup.memory;
    for (let m = 0; m < modes; m++) {
      const spectrum = new Float32Array(buffer, to + m * this.#mode, 2 * this.#pixels);
      spectrum.set(new Float32Array(buffer, re + m * this.#plane, this.#pixels));
      spectrum.set(new Float32Array(buffer, im + m * this.#plane, this.#pixels), this.#pixels);
      for (let i = 0; i < spectrum.length; i++) spectrum[i] /= this.#pixels;
      const at = to + m * this.#mode;
      kernels.fft2(at, at + this.#plane, this.#setup.sizes.N, scratch.plan, scratch.fft);
    }
  }

  /** The modes of `source` whose spectra are at hand, shifted by the ramps at hand, at `to`; answers `to`. @param first spectrum of the first */
  #probeAt(
    y: number,
    x: number,
    to: number,
    source: PlanesAt,
    { factor, first = this.#setup.scratch.spectra }: { readonly factor: number; readonly first?: number },
  ): number {
    const { kernels, scratch, modes } = this.#short();
    const { N } = this.#setup.sizes;
    const same = factor === 1 && first === scratch.spectra;
    const unmoved = same && Math.abs(y) < UNMOVED && Math.abs(x) < UNMOVED;
    for (let m = 0; m < modes; m++) {
      const out = to + m * this.#mode;
      if (unmoved) {
        const { buffer } = this.#setup.memory;
        new Uint8Array(buffer).copyWithin(out, source.re + m * this.#plane, source.re + (m + 1) * this.#plane);
        new Uint8Array(buffer).copyWithin(
          out + this.#plane,
          source.im + m * this.#plane,
          source.im + (m + 1) * this.#plane,
        );
        continue;
      }
      const spectrum = m === 0 ? first : scratch.spectra + m * this.#mode;
      kernels.shift(spectrum, spectrum + this.#plane, scratch.ramps, out, out + this.#plane, N);
      kernels.fft2(out + this.#plane, out, N, scratch.plan, scratch.fft);
    }
    return to;
  }

  /** factor·e^{−2πi·k·d/N} along rows and columns, the factor once; the Nyquist frequency takes its real part, which keeps real probes real. */
  #rampsOf(y: number, x: number, factor: number): void {
    const { N } = this.#setup.sizes;
    [y, x].forEach((distance, axis) => {
      const base = 2 * axis * N;
      const size = axis === 0 ? factor : 1;
      for (let k = 0; k < N; k++) {
        const angle = (-2 * Math.PI * (k < N / 2 ? k : k - N) * distance) / N;
        this.#ramps[base + k] = size * Math.cos(angle);
        this.#ramps[base + N + k] = 2 * k === N ? 0 : size * Math.sin(angle);
      }
    });
  }

  #clear(request: PassRequest): void {
    const { buffer } = this.#setup.memory;
    const { scratch, sizes } = this.#setup;
    const zero = (at: number, length: number) => new Float32Array(buffer, at, length).fill(0);
    if (request.object && !request.accumulate) {
      const { sums } = scratch.fields;
      const pixels = sizes.height * sizes.width;
      zero(sums.object.re, pixels);
      zero(sums.object.im, pixels);
      zero(sums.illumination, pixels);
    }
    if (request.probe) {
      if (!request.accumulate) zero(scratch.fields.sums.objectIntensity, this.#pixels);
      zero(scratch.probeSpectra, sizes.modes * 2 * this.#pixels);
    }
  }

  /** The sums of the probe were taken in Fourier space. @param keep factor of what they were before */
  #probeSums(keep: 0 | 1): void {
    const { scratch, modes } = this.#short();
    this.#backFromSpectra(scratch.probeSpectra, scratch.fields.sums.probe, modes, keep);
  }

  /** Spectra at `from`, which are overwritten, to fields at `to`. @param keep factor of what these were before */
  #backFromSpectra(from: number, to: PlanesAt, modes: number, keep: 0 | 1): void {
    const { kernels, scratch } = this.#short();
    const { buffer } = this.#setup.memory;
    for (let m = 0; m < modes; m++) {
      const at = from + m * this.#mode;
      kernels.fft2(at + this.#plane, at, this.#setup.sizes.N, scratch.plan, scratch.fft);
      for (const [source, target] of [
        [at, to.re + m * this.#plane],
        [at + this.#plane, to.im + m * this.#plane],
      ]) {
        const found = new Float32Array(buffer, source, this.#pixels);
        const sum = new Float32Array(buffer, target, this.#pixels);
        for (let i = 0; i < sum.length; i++) sum[i] = keep * sum[i] + found[i] / this.#pixels;
      }
    }
  }
}

/** What the solver's threads are asked. */
export interface SolverCalls extends WorkerCalls {
  open(module: WasmModule, setup: PassSetup): Promise<void>;
  pass(part: Int32Array, request: PassRequest): Promise<PassSums>;
  products(): Promise<Float64Array>;
  moves(): Promise<Float64Array>;
  beamProducts(): Promise<Float64Array>;
  beamSums(weights: Float64Array): Promise<void>;
}
