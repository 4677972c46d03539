/**
 * A pattern through `assembly/blocks.ts`: transforms, comparison and sums with as few ways through memory as possible. What it does not take
 * (other sides, stored waves, slices, near detectors, a background) goes step by step; the results are the same up to rounding.
 */
import type { PassRequest } from '../wavePasses.js';
import { type Kept, residueAt } from './keptBatch.js';
import { blockBytes, fitsBlocks, type Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';

/** Rules of `changeColumns`. */
const RULES: Readonly<Partial<Record<PassRequest['wave'], number>>> = { measure: 0, amplitude: 1, poisson: 2 };

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
    const plain = (sizes.slices ?? 1) === 1 && !transfers.detector && sizes.background === undefined;
    return plain && fitsBlocks(sizes.N) && RULES[wave] !== undefined && !(weighted && keep && beam);
  }

  /** One pattern, from the points of its way; it is at hand, and so are the ramps of the points. */
  pass(views: readonly Kept[], request: PassRequest): void {
    const { kernels } = this;
    const { fields, scratch, sizes, floor } = this.setup;
    const { N, modes, width } = sizes;
    const { plan, fft } = scratch;
    const size = blockBytes(N);
    const mode = 2 * this.#plane;
    for (const [v, { at, probe }] of views.entries()) {
      const [oRe, oIm] = [fields.object.re + at, fields.object.im + at];
      for (let m = 0; m < modes; m++) {
        const [p, blocks] = [probe + m * mode, scratch.blocks + (v * modes + m) * size];
        kernels.waveRows(oRe, oIm, width, p, p + this.#plane, N, plan, blocks, fft);
      }
    }
    const rule = RULES[request.wave] ?? 0;
    // The inverse transform is not normalised either, so that N² goes into the factor.
    const [intensity, change] = [1 / this.#pixels, (request.strength ?? 1) / this.#pixels];
    const { blocks, sums, pattern } = scratch;
    const all = views.length * modes;
    kernels.changeColumns(blocks, all, size, pattern, rule, intensity, change, floor, sums, N, plan, fft);
    if (request.wave === 'measure') return;
    for (let w = 0; w < all; w++) this.#sum(views, w, request);
  }

  /** χ of a mode from one of the points, and what is added up of it. @param w modes of the first point, then of the next */
  #sum(views: readonly Kept[], w: number, request: PassRequest): void {
    const { kernels } = this;
    const { fields, scratch, sizes } = this.setup;
    const { N, width, modes } = sizes;
    const view = views[Math.floor(w / modes)];
    const m = w % modes;
    const { sums } = scratch.fields;
    const { plan, fft } = scratch;
    const mode = 2 * this.#plane;
    const blocks = scratch.blocks + w * blockBytes(N);
    const [chi, p] = [view.waves + m * mode, view.probe + m * mode];
    const to = (plane: number) => (request.object ? plane + view.at : 0);
    // The mean over several points is taken elsewhere.
    const light = request.probe && m === 0 && views.length === 1 ? sums.objectIntensity + view.own * this.#plane : 0;
    kernels.changeRows(
      blocks,
      chi,
      chi + this.#plane,
      p,
      p + this.#plane,
      fields.object.re + view.at,
      fields.object.im + view.at,
      width,
      to(sums.object.re),
      to(sums.object.im),
      to(sums.illumination),
      request.weighted ? 1 : 0,
      request.probe ? 1 : 0,
      light,
      N,
      plan,
      fft,
    );
    if (!request.probe) return;
    const kept = m === 0 && request.keep && request.beam ? residueAt(this.setup, view.waves) : 0;
    const sum = scratch.probeSpectra + (view.own * modes + m) * mode;
    const keptIm = kept && kept + this.#plane;
    kernels.spectrumColumns(blocks, view.ramps, sum, sum + this.#plane, kept, keptIm, N, plan, fft);
  }
}
