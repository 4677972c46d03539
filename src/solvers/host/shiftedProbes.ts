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
    this.#ramps = new Float32Array(setup.memory.buffer, setup.scratch.ramps, 4 * N);
  }

  /** Coherent modes by which the first one varies. */
  get coherent(): number {
    return this.setup.sizes.coherent ?? 0;
  }

  /** The spectrum of the first mode as pattern k saw it. */
  mix(k: number): number {
    const { kernels, coherent } = this;
    const { scratch } = this.setup;
    if (coherent === 0) return scratch.spectra;
    this.copy(scratch.spectra, scratch.mixed, 1);
    const { weights } = this.setup.beam!;
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
   * The modes of `source`, shifted by the ramps at hand, at `to`; answers `to`.
   * @param spectra of its modes, those at hand where left out
   * @param first spectrum of the first mode, where it is another
   */
  probeAt(
    y: number,
    x: number,
    to: number,
    source: PlanesAt,
    {
      factor,
      spectra = this.setup.scratch.spectra,
      first = spectra,
    }: { readonly factor: number; readonly spectra?: number; readonly first?: number },
  ): number {
    const { kernels } = this;
    const { scratch, sizes } = this.setup;
    const { N, modes } = sizes;
    const same = factor === 1 && first === spectra;
    const unmoved = same && Math.abs(y) < UNMOVED && Math.abs(x) < UNMOVED;
    for (let m = 0; m < modes; m++) {
      const out = to + m * this.mode;
      if (unmoved) {
        kernels.copyPlane(source.re + m * this.plane, out, this.pixels);
        kernels.copyPlane(source.im + m * this.plane, out + this.plane, this.pixels);
        continue;
      }
      const spectrum = m === 0 ? first : spectra + m * this.mode;
      if (fitsBlocks(N)) {
        const { ramps, plan, blocks, fft } = scratch;
        kernels.shiftedField(spectrum, spectrum + this.plane, ramps, out, out + this.plane, N, plan, blocks, fft);
        continue;
      }
      kernels.shift(spectrum, spectrum + this.plane, scratch.ramps, out, out + this.plane, N);
      kernels.fft2(out + this.plane, out, N, scratch.plan, scratch.fft);
    }
    return to;
  }

  /** The ramps of a shift by (y, x). */
  rampsOf(y: number, x: number, factor: number): void {
    writeRamps(this.#ramps, this.setup.sizes.N, y, x, factor);
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
  for (const [axis, distance] of [y, x].entries()) {
    const re = 2 * axis * N;
    const im = re + N;
    const size = axis === 0 ? factor : 1;
    ramps[re] = size;
    ramps[im] = 0;
    for (let k = 1; 2 * k <= N; k++) {
      const angle = (-2 * Math.PI * k * distance) / N;
      const [cos, sin] = [size * Math.cos(angle), 2 * k === N ? 0 : size * Math.sin(angle)];
      ramps[re + k] = cos;
      ramps[im + k] = sin;
      ramps[re + N - k] = cos;
      ramps[im + N - k] = -sin;
    }
  }
}
