/** Probes of a thread, shifted to where patterns are and back again, by their spectra. */
import type { PlanesAt } from '../fieldMemory.js';
import { fitsBlocks, type Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';

/** Fractions of a pixel below this are no shift. */
const UNMOVED = 1e-6;

export class ShiftedProbes {
  /** Pixels of a pattern. */
  readonly pixels: number;
  /** Bytes of a plane, and of a complex mode. */
  readonly plane: number;
  readonly mode: number;
  readonly #ramps: Float32Array;

  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
  ) {
    const { N } = setup.sizes;
    this.pixels = N * N;
    this.plane = 4 * this.pixels;
    this.mode = 2 * this.plane;
    this.#ramps = new Float32Array(setup.memory.buffer, setup.scratch.ramps, 4 * N * this.points);
  }

  /** Points of the way of each pattern. */
  get points(): number {
    return this.setup.sizes.points ?? 1;
  }

  /** Which probe pattern k saw. */
  probeOf(k: number): number {
    return this.setup.scan.probeOf?.[k] ?? 0;
  }

  /** Modes of all probes. */
  get allModes(): number {
    return (this.setup.sizes.probes ?? 1) * this.setup.sizes.modes;
  }

  /** What the probe has beside object and shift in the exit waves of pattern k: its flux, and its share of the way. */
  factorOf(k: number): number {
    const a = this.setup.scan.beam?.flux[k] ?? 1;
    return this.points === 1 ? a : a / Math.sqrt(this.points);
  }

  /** Coherent modes by which the first one varies. */
  get coherent(): number {
    return this.setup.sizes.coherent ?? 0;
  }

  /** The spectrum of the first mode as pattern k saw it. */
  mix(k: number): number {
    const { kernels, coherent } = this;
    const { scratch } = this.setup;
    const own = scratch.spectra + this.probeOf(k) * this.setup.sizes.modes * this.mode;
    if (coherent === 0) return own;
    this.copy(own, scratch.mixed, 1);
    const { weights } = this.setup.scan.beam!;
    for (let j = 0; j < coherent; j++) {
      const from = scratch.variationSpectra + j * this.mode;
      kernels.addScaled(from, weights[k * coherent + j], scratch.mixed, 2 * this.pixels);
    }
    return scratch.mixed;
  }

  copy(from: number, to: number, modes: number): void {
    this.kernels.copyPlane(from, to, modes * 2 * this.pixels);
  }

  /** Transforms of `modes` fields at `to`, divided by N². */
  spectra({ re, im }: PlanesAt, to: number, modes: number): void {
    const { kernels } = this;
    const { scratch } = this.setup;
    for (let m = 0; m < modes; m++) {
      const at = to + m * this.mode;
      kernels.blend(re + m * this.plane, 1 / this.pixels, at, 0, this.pixels);
      kernels.blend(im + m * this.plane, 1 / this.pixels, at + this.plane, 0, this.pixels);
      kernels.fft2(at, at + this.plane, this.setup.sizes.N, scratch.plan, scratch.fft);
    }
  }

  /**
   * The modes of one of the probes of `source`, shifted by ramps, at `to`; answers `to`.
   * @param spectra of all its modes, those at hand where left out
   * @param first spectrum of the probe's first mode, where it is another
   */
  probeAt(
    { y, x }: { readonly y: number; readonly x: number },
    to: number,
    source: PlanesAt,
    how: {
      readonly probe: number;
      readonly factor: number;
      readonly ramps: number;
      readonly spectra?: number;
      readonly first?: number;
    },
  ): number {
    const { kernels } = this;
    const { scratch, sizes } = this.setup;
    const { N, modes } = sizes;
    const { factor, ramps } = how;
    const own = (how.spectra ?? scratch.spectra) + how.probe * modes * this.mode;
    const { first = own } = how;
    const same = factor === 1 && first === own;
    const unmoved = same && Math.abs(y) < UNMOVED && Math.abs(x) < UNMOVED;
    for (let m = 0; m < modes; m++) {
      const out = to + m * this.mode;
      if (unmoved) {
        const from = (how.probe * modes + m) * this.plane;
        kernels.copyPlane(source.re + from, out, this.pixels);
        kernels.copyPlane(source.im + from, out + this.plane, this.pixels);
        continue;
      }
      const spectrum = m === 0 ? first : own + m * this.mode;
      if (fitsBlocks(N)) {
        const { plan, blocks, fft } = scratch;
        kernels.shiftedField(spectrum, spectrum + this.plane, ramps, out, out + this.plane, N, plan, blocks, fft);
        continue;
      }
      kernels.shift(spectrum, spectrum + this.plane, ramps, out, out + this.plane, N);
      kernels.fft2(out + this.plane, out, N, scratch.plan, scratch.fft);
    }
    return to;
  }

  /** The ramps of a shift by (y, x); answers where they are. @param point of the way, each of which has ramps of its own */
  rampsOf({ y, x }: { readonly y: number; readonly x: number }, factor: number, point = 0): number {
    const { N } = this.setup.sizes;
    writeRamps(point === 0 ? this.#ramps : this.#ramps.subarray(4 * N * point), N, y, x, factor);
    return this.setup.scratch.ramps + 16 * N * point;
  }

  /** Spectra at `from`, which are overwritten, to fields at `to`. @param keep factor of what these were before */
  backFromSpectra(from: number, to: PlanesAt, modes: number, keep: 0 | 1): void {
    const { kernels } = this;
    const { scratch } = this.setup;
    for (let m = 0; m < modes; m++) {
      const at = from + m * this.mode;
      kernels.fft2(at + this.plane, at, this.setup.sizes.N, scratch.plan, scratch.fft);
      kernels.blend(at, 1 / this.pixels, to.re + m * this.plane, keep, this.pixels);
      kernels.blend(at + this.plane, 1 / this.pixels, to.im + m * this.plane, keep, this.pixels);
    }
  }
}

/** factor·e^{−2πi·k·d/N} along rows and columns, the factor once; the Nyquist frequency takes its real part, which keeps real probes real. */
export function writeRamps(ramps: Float32Array, N: number, y: number, x: number, factor = 1): void {
  writeRamp(ramps, 0, N, y, factor);
  writeRamp(ramps, 2 * N, N, x, 1);
}

function writeRamp(ramps: Float32Array, re: number, N: number, distance: number, size: number): void {
  const im = re + N;
  ramps[re] = size;
  ramps[im] = 0;
  for (let k = 1; 2 * k <= N; k++) {
    const angle = (-2 * Math.PI * k * distance) / N;
    const cos = size * Math.cos(angle);
    const sin = 2 * k === N ? 0 : size * Math.sin(angle);
    ramps[re + k] = cos;
    ramps[im + k] = sin;
    ramps[re + N - k] = cos;
    ramps[im + N - k] = -sin;
  }
}
