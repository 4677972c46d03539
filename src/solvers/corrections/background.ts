/**
 * What the detector sees beside the sample (scatter of air, slits and windows, stray light), added to the model as another incoherent
 * mode would be: J_k = Σ|Ψ|² + b_k, b_k = B + Σ_l g_kl·φ_l with B ≥ 0 for every pixel and, for `pattern`, g_kl ≥ 0 for sixteen smooth φ_l.
 *
 * With d = I − J − (1 − b/J)·min(J, ¼) and h = 2 % of the mean counts of a pixel:
 *   g_kl ← max(0, g_kl + s·Σφ_l·d/(J + h)/Σφ_l/(J + h)) after each batch (φ add up to 1, so that all of them go no further together),
 *   B ← max(0, B + s·Σw·d/Σw), w = (h/(J + h))⁵, over the patterns of an epoch after it,
 * s = ½ where both are fitted: what patterns have in common is asked of both. Then the least g_kl over the scan goes into B.
 *
 * The weights w make it a matter of the darkest patterns of each pixel: elsewhere B takes up what the waves do not explain yet, and does not
 * give it back. (Without any scatter the object error became 2.1 times as large with equal weights, 1.9 with 1/(J + h), 1.4 with its
 * square, 1.2 with its fifth power.)
 *
 * Waves are fitted to amplitudes, and the root of a Poisson count varies by ¼: where the sample sends light, J comes out lower by that than
 * the mean of I, which is no background. Amplitudes that are no roots of counts have no such share. (To raise measurement and model by 3/8 of a
 * count instead, after Anscombe, makes the waves follow the noise of dark pixels: the object error was 1.3 times as large.)
 *
 * Where next to all that a pixel sees is background, waves would follow its noise. What they are expected to be, J̄ = mean I − b (means over
 * 5×5 pixels), holds them back: χ loses ρΨ, ρ = 0.03·½·b/(n·J̄·(J̄ + b)), at most ½, with n the number of patterns that see a place of the
 * object, after each epoch. Without the factor it is the most probable wave if waves are normally distributed about 0, J̄ is their
 * variance, b/(J̄ + b) the part of a pixel's noise that is the background's, and an object pixel is told n times.
 */
import type { SolverOptions } from '../../config/schemas/solver.js';
import type { NumericArray, Tensor } from '../../core/tensor.js';
import type { Plane } from '../fieldMemory.js';
import { SMOOTH_TERMS, smoothTerms } from '../smoothTerms.js';
import type { Background, SolverScan, WavePasses } from '../wavePasses.js';

/** A background as it was found, copied. */
export interface BackgroundFound {
  /** (N, N) counts that every pattern has in each pixel, zero frequency at N/2. */
  readonly pixels: Tensor;
  /** (count, 16) more of every pattern, counts in each pixel at the points of a grid of 4×4 over the detector, row by row; undefined where not fitted. */
  readonly weights?: Tensor<Float64Array>;
}

/** Smooth terms of every pattern; undefined where no background is fitted. */
export const backgroundTerms = ({ background }: Pick<SolverOptions, 'background'>): number | undefined =>
  ({ none: undefined, pixel: 0, pattern: SMOOTH_TERMS })[background];

/** Variance of the root of a Poisson count. */
const SPREAD = 0.25;

/** Shared memory for the backgrounds of a scan, without any. @param counted amplitudes are roots of counts */
export function noBackground(count: number, terms: number, counted: boolean): Background {
  const of = (length: number) => new Float64Array(new SharedArrayBuffer(8 * length));
  return { weights: of(count * terms), asked: of(2 * count * terms), spread: counted ? SPREAD : 0 };
}

/**
 * How much less waves are held back than their expected size asks for, and the strongest pull: with all of it, scans in which the sample's
 * fine structure is not that of a random one lose detail (3·10⁴ counts: object error 0.051 in place of 0.038), with this part they do not.
 */
const [CAUTION, STRONGEST] = [0.03, 0.5];

/** h as part of the mean counts of its pixel, and, where that has next to none, of all. */
const [SHARE, LEAST] = [0.02, 1e-3];

export class BackgroundCorrection {
  readonly #terms: number;
  readonly #step: number;
  /** Sums of an epoch. */
  readonly #excess: Plane;
  readonly #weight: Plane;
  readonly #measured: Measured;

  constructor(
    private readonly passes: WavePasses,
    private readonly scan: SolverScan,
    private readonly background: Background,
  ) {
    const { memory } = passes;
    const { N, background: terms = 0 } = memory.sizes;
    this.#terms = terms;
    this.#step = terms > 0 ? 0.5 : 1;
    this.#excess = memory.plane(N * N);
    this.#weight = memory.plane(N * N);
    this.#measured = measuredOf(scan);
    memory.background.hold.data.set(holdOf(this.#measured));
    if (terms > 0) memory.background.terms.data.set(smoothTerms(N));
  }

  /** Before the first batch of an epoch. */
  begin(): void {
    this.#excess.data.fill(0);
    this.#weight.data.fill(0);
  }

  /** After a pass over a batch that was asked for it. */
  addBatch(batch: Int32Array): void {
    const { sums } = this.passes.memory;
    for (let i = 0; i < this.#excess.data.length; i++) {
      this.#excess.data[i] += sums.background.re[i];
      this.#weight.data[i] += sums.background.im[i];
    }
    this.followBatch(batch);
  }

  /** The smooth terms alone, of patterns that others do not learn from. */
  followBatch(batch: Int32Array): void {
    const { weights, asked } = this.background;
    for (const k of batch) {
      for (let i = k * this.#terms; i < (k + 1) * this.#terms; i++) {
        const weight = asked[2 * i + 1];
        if (weight > 0) weights[i] = Math.max(0, weights[i] + (this.#step * asked[2 * i]) / weight);
      }
    }
  }

  /** B moves, and takes up what all patterns have of the smooth terms. */
  endEpoch(): void {
    const pixels = this.passes.memory.background.pixels.data;
    const [excess, weight] = [this.#excess.data, this.#weight.data];
    for (let i = 0; i < pixels.length; i++) {
      if (weight[i] > 0) pixels[i] = Math.max(0, pixels[i] + (this.#step * excess[i]) / weight[i]);
    }
    const { weights } = this.background;
    const { data: planes } = this.passes.memory.background.terms;
    for (let l = 0; l < this.#terms; l++) {
      let least = Infinity;
      for (let k = 0; k < this.scan.count; k++) least = Math.min(least, weights[k * this.#terms + l]);
      for (let k = 0; k < this.scan.count; k++) weights[k * this.#terms + l] -= least;
      for (let i = 0; i < pixels.length; i++) pixels[i] += least * planes[l * pixels.length + i];
    }
  }

  /**
   * How waves are held back in the next epoch, by what is known of the background by now, fitted or kept.
   * @param light on every pixel of the object, or of each of its slices
   */
  holdBack(light: ArrayLike<number>): void {
    const { memory } = this.passes;
    const { N, count } = this.scan;
    // Slices are seen by the same patterns.
    const lit = extent(light, memory.sizes.height * memory.sizes.width);
    // As long as the object is not fitted, it does not follow noise.
    if (!(lit > 0)) return;
    const area = N * N;
    const { damp } = memory.background;
    const { re, im } = memory.probe;
    const power = new Float64Array(area);
    for (let i = 0; i < re.length; i++) power[i % area] += re[i] ** 2 + im[i] ** 2;
    const overlap = (count * extent(power)) / lit;
    const usual = this.#usual();
    const { counts, seen } = this.#measured;
    const mean = (of: (i: number) => number) =>
      smoothed(
        Float64Array.from(seen, (n, i) => (n > 0 ? of(i) : 0)),
        N,
      );
    const good = mean(() => 1);
    const stray = mean((i) => usual[i]);
    const sent = mean((i) => counts[i] - usual[i]);
    for (let i = 0; i < area; i++) {
      const [b, J] = [stray[i] / good[i], Math.max(0, sent[i] / good[i])];
      damp.data[i] = b > 0 ? Math.min(STRONGEST, (0.5 * CAUTION * b) / (overlap * J * (J + b))) : 0;
    }
  }

  /** The mean background of every pixel. */
  #usual(): Float64Array {
    const { pixels, terms } = this.passes.memory.background;
    const { weights } = this.background;
    const out = Float64Array.from(pixels.data);
    for (let l = 0; l < this.#terms; l++) {
      let sum = 0;
      for (let k = 0; k < this.scan.count; k++) sum += weights[k * this.#terms + l];
      const mean = sum / this.scan.count;
      for (let i = 0; i < out.length; i++) out[i] += mean * terms.data[l * out.length + i];
    }
    return out;
  }

  /** The background as it is, copied. */
  found(): BackgroundFound {
    const { N } = this.scan;
    const pixels = { data: turned(this.passes.memory.background.pixels.data, N), shape: [N, N] };
    if (this.#terms === 0) return { pixels };
    const shape = [this.scan.count, this.#terms];
    return { pixels, weights: { data: Float64Array.from(this.background.weights), shape } };
  }

  /** Goes on from a background that was found before. */
  start({ pixels, weights }: BackgroundFound): void {
    this.passes.memory.background.pixels.data.set(turned(pixels.data, this.scan.N));
    if (weights && this.#terms > 0) this.background.weights.set(weights.data);
  }

  /** The arrays that a run goes on from; they may be written to. */
  saved(): Record<string, NumericArray> {
    const { pixels, damp } = this.passes.memory.background;
    return { counts: pixels.data, damp: damp.data, weights: this.background.weights };
  }
}

/** The mean counts of every pixel over the patterns in which it is good, and how many these are. */
interface Measured {
  readonly counts: Float64Array;
  readonly seen: Float64Array;
}

function measuredOf({ N, count, amplitudes }: SolverScan): Measured {
  const area = N * N;
  const [sum, seen] = [new Float64Array(area), new Float64Array(area)];
  for (let k = 0, at = 0; k < count; k++) {
    for (let i = 0; i < area; i++, at++) {
      if (amplitudes[at] < 0) continue;
      sum[i] += amplitudes[at] ** 2;
      seen[i]++;
    }
  }
  return { counts: sum.map((v, i) => v / Math.max(1, seen[i])), seen };
}

/** h. */
function holdOf({ counts, seen }: Measured): Float32Array {
  const all = counts.reduce((sum, v, i) => sum + v * seen[i], 0);
  const total = all / Math.max(1, seen.reduce((sum, n) => sum + n, 0)); // biome-ignore format: one fraction
  return Float32Array.from(counts, (v) => SHARE * v + LEAST * total);
}

/** Over how many of the first pixels something is spread: (Σv)²/Σv². */
function extent(values: ArrayLike<number>, pixels = values.length): number {
  let [sum, square] = [0, 0];
  for (let i = 0; i < pixels; i++) {
    sum += values[i];
    square += values[i] ** 2;
  }
  return sum ** 2 / square;
}

/** Means over 5 × 5 pixels of a plane whose edges meet. */
function smoothed(plane: Float64Array, N: number): Float64Array {
  const along = (from: Float64Array, of: (i: number, d: number) => number) =>
    from.map((_, i) => {
      let sum = 0;
      for (let d = -2; d <= 2; d++) sum += from[of(i, d)];
      return sum / 5;
    });
  const columns = along(plane, (i, d) => (i + d * N + 2 * N * N) % (N * N));
  return along(columns, (i, d) => i - (i % N) + (((i % N) + d + 2 * N) % N));
}

/** Zero frequency from the corner to N/2, or back; N is even, or the other way differs by a pixel. */
function turned(plane: ArrayLike<number>, N: number): Float32Array {
  const half = Math.floor(N / 2);
  return Float32Array.from({ length: N * N }, (_, i) => {
    const [r, c] = [Math.floor(i / N), i % N];
    return plane[((r + N - half) % N) * N + ((c + N - half) % N)];
  });
}
