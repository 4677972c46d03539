/** One thread's share of a pass: pattern after pattern through the inner loops. */
import type { WorkerCalls } from '../../backends/worker/host.js';

import type { FieldAddresses, FieldSizes, Scratch } from '../fieldMemory.js';
import type { PassRequest, PassSums } from '../wavePasses.js';
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
  /** (count, modes, 2, N, N) stored waves of the difference map; empty for other algorithms. */
  readonly waves: Float32Array<SharedArrayBuffer>;
  /** Kept out of divisions: a small part of the usual amplitude. */
  readonly floor: number;
}

/** Fractions of a pixel below this are no shift. */
const UNMOVED = 1e-6;

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
  #kept: readonly { readonly at: number; readonly y: number; readonly x: number; readonly probe: number }[] = [];

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
    if (part.length > 0) this.#spectra(fields.probe.re, fields.probe.im);
    this.#sums.fill(0);
    const kept = [];
    for (let i = 0; i < part.length; i++) {
      const k = part[i];
      const { at, y, x } = this.#place(k);
      const room = request.keep ? i : 0;
      const waves = scratch.waves + room * modes * this.#mode;
      this.#rampsOf(y, x);
      const probe = this.#probeAt(y, x, scratch.shifted + room * modes * this.#mode);
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
          const sum = scratch.probeSpectra + m * this.#mode;
          kernels.addShiftedBack(out, outIm, scratch.ramps, sum, sum + this.#plane, N);
        }
      }
      if (request.probe) {
        const { object } = fields;
        const { sums } = scratch.fields;
        kernels.addObjectIntensity(object.re + at, object.im + at, width, sums.objectIntensity, this.#setup.sizes.N);
      }
      if (request.keep) kept.push({ at, y, x, probe });
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
    if (this.#kept.length > 0) this.#spectra(directions.probe.re, directions.probe.im);
    this.#kept.forEach(({ at, y, x, probe }, i) => {
      this.#rampsOf(y, x);
      const direction = this.#probeAt(y, x, scratch.direction, directions.probe);
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
    kernels.compare(model, scratch.pattern, scratch.sums, N);
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

  /** Transforms of all modes, divided by N². */
  #spectra(re: number, im: number): void {
    const { kernels, scratch, modes } = this.#short();
    const { buffer } = this.#setup.memory;
    for (let m = 0; m < modes; m++) {
      const spectrum = new Float32Array(buffer, scratch.spectra + m * this.#mode, 2 * this.#pixels);
      spectrum.set(new Float32Array(buffer, re + m * this.#plane, this.#pixels));
      spectrum.set(new Float32Array(buffer, im + m * this.#plane, this.#pixels), this.#pixels);
      for (let i = 0; i < spectrum.length; i++) spectrum[i] /= this.#pixels;
      const at = scratch.spectra + m * this.#mode;
      kernels.fft2(at, at + this.#plane, this.#setup.sizes.N, scratch.plan, scratch.fft);
    }
  }

  /** The modes whose spectra are at hand, shifted by the ramps at hand, at `to`; answers `to`. */
  #probeAt(y: number, x: number, to: number, source = this.#setup.fields.probe): number {
    const { kernels, scratch, modes } = this.#short();
    const { N } = this.#setup.sizes;
    const unmoved = Math.abs(y) < UNMOVED && Math.abs(x) < UNMOVED;
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
      const spectrum = scratch.spectra + m * this.#mode;
      kernels.shift(spectrum, spectrum + this.#plane, scratch.ramps, out, out + this.#plane, N);
      kernels.fft2(out + this.#plane, out, N, scratch.plan, scratch.fft);
    }
    return to;
  }

  /** e^{−2πi·k·d/N} along rows and columns; the Nyquist frequency takes its real part, which keeps real probes real. */
  #rampsOf(y: number, x: number): void {
    const { N } = this.#setup.sizes;
    [y, x].forEach((distance, axis) => {
      const base = 2 * axis * N;
      for (let k = 0; k < N; k++) {
        const angle = (-2 * Math.PI * (k < N / 2 ? k : k - N) * distance) / N;
        this.#ramps[base + k] = Math.cos(angle);
        this.#ramps[base + N + k] = 2 * k === N ? 0 : Math.sin(angle);
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
    const { kernels, scratch, modes } = this.#short();
    const { buffer } = this.#setup.memory;
    const { sums } = scratch.fields;
    for (let m = 0; m < modes; m++) {
      const at = scratch.probeSpectra + m * this.#mode;
      kernels.fft2(at + this.#plane, at, this.#setup.sizes.N, scratch.plan, scratch.fft);
      for (const [from, to] of [
        [at, sums.probe.re + m * this.#plane],
        [at + this.#plane, sums.probe.im + m * this.#plane],
      ]) {
        const source = new Float32Array(buffer, from, this.#pixels);
        const target = new Float32Array(buffer, to, this.#pixels);
        for (let i = 0; i < target.length; i++) target[i] = keep * target[i] + source[i] / this.#pixels;
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
}
