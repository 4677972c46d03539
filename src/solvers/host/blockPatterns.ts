/**
 * A pattern through `assembly/blocks.ts`: transforms, comparison and sums with as few ways through memory as possible. What it does not take
 * (other sides, stored waves, slices, near detectors) goes step by step; the results are the same up to rounding.
 */
import type { PassRequest } from '../wavePasses.js';
import { blockBytes, fitsBlocks, type Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';

/** Rules of `changeColumns`. */
const RULES: Readonly<Partial<Record<PassRequest['wave'], number>>> = { measure: 0, amplitude: 1, poisson: 2 };

/** One pattern of a batch. */
export interface BlockPattern {
  /** Where its patch begins in the object, bytes. */
  readonly at: number;
  /** Where its probes lie, and where χ goes to. */
  readonly probe: number;
  readonly waves: number;
  /** Its number among those whose δP is kept. */
  readonly residue: number;
}

export class BlockPatterns {
  readonly #pixels: number;
  readonly #plane: number;

  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
  ) {
    this.#pixels = setup.sizes.N ** 2;
    this.#plane = 4 * this.#pixels;
  }

  take({ wave, weighted, keep, beam }: PassRequest): boolean {
    // Where δP is kept it is without weights.
    const { sizes, transfers } = this.setup;
    const plain = (sizes.slices ?? 1) === 1 && !transfers.detector;
    return plain && fitsBlocks(sizes.N) && RULES[wave] !== undefined && !(weighted && keep && beam);
  }

  /** The pattern and the ramps of its place are at hand. */
  pass(pattern: BlockPattern, request: PassRequest): void {
    const { kernels } = this;
    const { fields, scratch, sizes, floor } = this.setup;
    const { N, modes, width } = sizes;
    const { plan, fft } = scratch;
    const size = blockBytes(N);
    const mode = 2 * this.#plane;
    const [oRe, oIm] = [fields.object.re + pattern.at, fields.object.im + pattern.at];
    for (let m = 0; m < modes; m++) {
      const p = pattern.probe + m * mode;
      kernels.waveRows(oRe, oIm, width, p, p + this.#plane, N, plan, scratch.blocks + m * size, fft);
    }
    const rule = RULES[request.wave] ?? 0;
    // The inverse transform is not normalised either, so that N² goes into the factor.
    const [intensity, change] = [1 / this.#pixels, (request.strength ?? 1) / this.#pixels];
    const { blocks, sums } = scratch;
    kernels.changeColumns(blocks, modes, size, scratch.pattern, rule, intensity, change, floor, sums, N, plan, fft);
    if (request.wave === 'measure') return;
    for (let m = 0; m < modes; m++) this.#sum(pattern, request, m);
  }

  /** χ of a mode and what is added up of it. */
  #sum({ at, probe, waves, residue }: BlockPattern, request: PassRequest, m: number): void {
    const { kernels } = this;
    const { fields, scratch, sizes } = this.setup;
    const { N, width } = sizes;
    const { sums } = scratch.fields;
    const { plan, fft } = scratch;
    const mode = 2 * this.#plane;
    const blocks = scratch.blocks + m * blockBytes(N);
    const [w, p] = [waves + m * mode, probe + m * mode];
    const to = (plane: number) => (request.object ? plane + at : 0);
    kernels.changeRows(
      blocks,
      w,
      w + this.#plane,
      p,
      p + this.#plane,
      fields.object.re + at,
      fields.object.im + at,
      width,
      to(sums.object.re),
      to(sums.object.im),
      to(sums.illumination),
      request.weighted ? 1 : 0,
      request.probe ? 1 : 0,
      request.probe && m === 0 ? sums.objectIntensity : 0,
      N,
      plan,
      fft,
    );
    if (!request.probe) return;
    const kept = m === 0 && request.keep && request.beam ? scratch.residues + residue * mode : 0;
    const sum = scratch.probeSpectra + m * mode;
    const keptIm = kept && kept + this.#plane;
    kernels.spectrumColumns(blocks, scratch.ramps, sum, sum + this.#plane, kept, keptIm, N, plan, fft);
  }
}
