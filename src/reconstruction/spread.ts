/**
 * How far overlapping patches disagree: weighted standard deviations of amplitude and phase, updated patch by patch, without
 * keeping any.
 *
 * West's update of mean and sum of squares (D. H. D. West, Commun. ACM 22, 532, 1979) in a form in which nothing cancels:
 * beside the means, Σ w(x − x̄)² and P = Σ_{i<j} w_i·w_j are accumulated, and the unbiased variance for weights that say how
 * much a value counts is Σ w(x − x̄)²·W/(2P), W = Σw. So single precision is enough for the planes. Phases go the same way as
 * unit vectors u = e^{iφ}: V = Σ w|u − ū|²·W/(2P) estimates 1 − |E u|², and σ_φ = √(−ln(1 − V)), the circular standard
 * deviation (Mardia & Jupp, Directional Statistics, 2000, §2.3).
 *
 * A patch's own global phase is not taken off first: the image is the mean of the patches as they are, so patches whose phases
 * drift apart do blur it, and the map has to say so.
 */
import type { Tensor } from '../core/tensor.js';
import type { ShiftedPatch } from './scatter.js';

/** Of phases that are practically random: the standard deviation of a phase that is uniform over the circle, π/√3. */
export const RANDOM_PHASE_STD = Math.PI / Math.sqrt(3);
/** V of that deviation. */
const RANDOM_V = 1 - Math.exp(-(RANDOM_PHASE_STD ** 2));

/** Maps of the same shape as the image; NaN where fewer than two patches lie, which cannot disagree. */
export interface Uncertainty {
  /** Standard deviation of |o| among the patches at a pixel, in the object's units. */
  readonly amplitude: Tensor;
  /** Circular standard deviation of arg o among them, radians, at most π/√3. */
  readonly phase: Tensor;
}

/** Planes of the running sums, in the layout of the stitcher's other planes. */
export class SpreadPlanes {
  private readonly patches: Uint32Array;
  private readonly weight: Float32Array;
  private readonly pairs: Float32Array;
  private readonly amplitude: Float32Array;
  private readonly amplitudeSquares: Float32Array;
  private readonly unitRe: Float32Array;
  private readonly unitIm: Float32Array;
  private readonly unitSquares: Float32Array;

  constructor(size: number) {
    this.patches = new Uint32Array(size);
    const plane = () => new Float32Array(size);
    this.weight = plane();
    this.pairs = plane();
    this.amplitude = plane();
    this.amplitudeSquares = plane();
    this.unitRe = plane();
    this.unitIm = plane();
    this.unitSquares = plane();
  }

  /** Every plane, always in the same order, so that they can be moved to a larger frame. */
  get planes(): readonly (Float32Array | Uint32Array)[] {
    const { patches, weight, pairs, amplitude, amplitudeSquares, unitRe, unitIm, unitSquares } = this;
    return [patches, weight, pairs, amplitude, amplitudeSquares, unitRe, unitIm, unitSquares];
  }

  /** Adds a patch whose first pixel lies at plane index `start`. */
  add(patch: ShiftedPatch, start: number, stride: number): void {
    const { side, re, im, weight } = patch;
    for (let r = 0, i = 0; r < side; r++) {
      for (let c = 0, d = start + r * stride; c < side; c++, d++, i++) {
        if (weight[i] > 0) this.addValue(d, re[i], im[i], weight[i]);
      }
    }
  }

  private addValue(d: number, re: number, im: number, w: number): void {
    const modulus = Math.sqrt(re * re + im * im);
    const before = this.weight[d];
    const total = before + w;
    const share = w / total;
    // w·before/total: what a deviation from the mean so far adds to the sum about the new mean; 0 for the first patch.
    const pull = share * before;
    const away = modulus - this.amplitude[d];
    this.amplitudeSquares[d] += pull * away * away;
    this.amplitude[d] += share * away;
    // A value of zero has no phase: its unit vector is zero, as if its phase were anything.
    const unit = modulus > 0 ? 1 / modulus : 0;
    const awayRe = re * unit - this.unitRe[d];
    const awayIm = im * unit - this.unitIm[d];
    this.unitSquares[d] += pull * (awayRe * awayRe + awayIm * awayIm);
    this.unitRe[d] += share * awayRe;
    this.unitIm[d] += share * awayIm;
    this.pairs[d] += before * w;
    this.weight[d] = total;
    this.patches[d]++;
  }

  /**
   * Adds what other planes hold at index `i` (T. F. Chan, G. H. Golub, R. J. LeVeque, Am. Stat. 37, 242, 1983): the same sums as if
   * their patches had been added here.
   * @param planes in the order of {@link planes}
   */
  addSums(d: number, planes: readonly (Float32Array | Uint32Array)[], i: number): void {
    const [patches, weight, pairs, amplitude, amplitudeSquares, unitRe, unitIm, unitSquares] = planes;
    const [here, there] = [this.weight[d], weight[i]];
    if (!(there > 0)) return;
    const total = here + there;
    const share = there / total;
    const pull = share * here;
    const away = amplitude[i] - this.amplitude[d];
    const [awayRe, awayIm] = [unitRe[i] - this.unitRe[d], unitIm[i] - this.unitIm[d]];
    this.amplitudeSquares[d] += amplitudeSquares[i] + pull * away * away;
    this.amplitude[d] += share * away;
    this.unitSquares[d] += unitSquares[i] + pull * (awayRe * awayRe + awayIm * awayIm);
    this.unitRe[d] += share * awayRe;
    this.unitIm[d] += share * awayIm;
    this.pairs[d] += pairs[i] + here * there;
    this.weight[d] = total;
    this.patches[d] += patches[i];
  }

  /** Both standard deviations at plane index `d`; NaN for fewer than two patches. */
  at(d: number): { amplitude: number; phase: number } {
    const pairs = this.pairs[d];
    if (this.patches[d] < 2 || !(pairs > 0)) return { amplitude: Number.NaN, phase: Number.NaN };
    const unbias = this.weight[d] / (2 * pairs);
    return {
      amplitude: Math.sqrt(this.amplitudeSquares[d] * unbias),
      phase: Math.sqrt(-Math.log1p(-Math.min(RANDOM_V, this.unitSquares[d] * unbias))),
    };
  }
}
