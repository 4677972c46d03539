/** The background of a thread's patterns: see `Background`. */
import type { Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';

export class BackgroundOfThread {
  readonly #pixels: number;
  readonly #terms: number | undefined;

  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
  ) {
    this.#pixels = setup.sizes.N ** 2;
    this.#terms = setup.sizes.background;
  }

  /** model += B + Σ_l g_kl·φ_l, which stays at `own`. */
  addTo(k: number, model: number): void {
    if (this.#terms === undefined) return;
    const { kernels, setup } = this;
    const { pixels, terms } = setup.fields.background;
    kernels.copyPlane(pixels, this.#own, this.#pixels);
    const { weights } = setup.scan.background!;
    for (let l = 0; l < this.#terms; l++) {
      const weight = weights[k * this.#terms + l];
      if (weight > 0) kernels.addScaled(terms + 4 * l * this.#pixels, weight, this.#own, this.#pixels);
    }
    kernels.addPlane(this.#own, model, this.#pixels);
  }

  get #own(): number {
    return this.setup.scratch.stray;
  }

  /** What pattern k, which is at hand and was added to last, asks for; adds to the sums. */
  ask(k: number, model: number): void {
    if (this.#terms === undefined) return;
    const { kernels, setup } = this;
    const { scratch, fields } = setup;
    const { background } = scratch.fields.sums;
    const excess = scratch.product;
    const weight = excess + 4 * this.#pixels;
    const { hold, terms } = fields.background;
    const { pattern } = scratch;
    const { re, im } = background;
    const { asked, spread } = setup.scan.background!;
    kernels.backgroundTerms(model, pattern, this.#own, hold, spread, excess, weight, re, im, this.#pixels);
    for (let l = 0; l < this.#terms; l++) {
      const term = terms + 4 * l * this.#pixels;
      const at = 2 * (k * this.#terms + l);
      asked[at] = kernels.innerProduct(term, excess, this.#pixels);
      asked[at + 1] = kernels.innerProduct(term, weight, this.#pixels);
    }
  }

  /** Pulls waves towards 0 where next to nothing is expected of them. @param gain of the change */
  damp(change: number, gain: number): void {
    if (this.#terms === undefined) return;
    const { kernels, setup } = this;
    kernels.dampChange(change, setup.scratch.pattern, setup.fields.background.damp, gain, this.#pixels);
  }

  clear(): void {
    if (this.#terms === undefined) return;
    const { background } = this.setup.scratch.fields.sums;
    for (const plane of [background.re, background.im]) this.kernels.clear(plane, this.#pixels);
  }
}
