/**
 * A beam that drifts and flickers: the first mode of pattern k is a_k·(P + Σ_j c_kj·U_j), with real weights (orthogonal probe
 * relaxation; M. Odstrčil et al., Opt. Express 24, 8360, 2016, in the incremental form of M. Odstrčil, A. Menzel, M. Guizar-Sicairos,
 * Opt. Express 26, 3108, 2018).
 *
 * After each batch, with δP_k = S_k⁻¹[a·conj(O_k)χ_k], r_k = δP_k less the mean of the batch, and |U_j| = |P|:
 *   p_kj = ⟨U_j, r_k⟩/|U_j|² + c_kj,  G_j = Σ_k p_kj·r_k (r_k without its projections on U_1 … U_(j−1)),
 *   U_j ← U_j + ρ·|U_j|·G_j/|G_j|, ρ = min(0.1, batch/n), at the same norm,
 *   c_kj ← c_kj + ⟨U_j, δP_k⟩/(|U_jO_k|² + 0.1 of the batch's mean),
 *   a_k ← a_k·(1 + 0.5·(Σ√(IJ)/ΣJ − 1)).
 * After each epoch the mean of c goes into P, P leaves U, c·U is turned into its principal components over the reals (weights are
 * real: a complex decomposition would mix in i·U), the outermost weights are cut, and the mean of a is made 1.
 */
import { LegacyRng } from '../../core/rng.js';
import type { ComplexTensor, NumericArray, Tensor } from '../../core/tensor.js';
import { totalIntensity } from '../../physics/probe.js';
import type { VaryingBeam, WavePasses } from '../wavePasses.js';
import { hermitianEigen, type ModePlanes } from './constraints.js';

/** How a beam changed over a scan, copied. */
export interface BeamFound {
  /** (coherent, N, N) U; none where only the flux was fitted. */
  readonly modes: ComplexTensor;
  /** (count, coherent) c. */
  readonly weights: Tensor<Float64Array>;
  /** (count,) a², 1 on average. */
  readonly flux: Tensor<Float64Array>;
}

/** What of the options it takes. */
export interface BeamOptions {
  readonly opr_modes: number;
  readonly opr_smooth: number;
  readonly flux: boolean;
  readonly seed: number;
}

/** Share of a mode that a batch may turn, at most. */
const LARGEST_TURN = 0.1;
/** Share of the batch's mean light that holds weights of dim places back. */
const DAMPING = 0.1;
/** Share of the flux that a pattern asks for. */
const FLUX_STEP = 0.5;
/** Rounds of the power iteration by which the first batch gives the modes. */
const FIRST_ROUNDS = 8;
/** Weights begin with this much noise: all of them 0 would stay 0. */
const FIRST_WEIGHT = 1e-3;

/** Shared memory for the beams of a scan, all alike. */
export function steadyBeam(count: number, coherent: number): VaryingBeam {
  const of = (length: number) => new Float64Array(new SharedArrayBuffer(8 * length));
  return { flux: of(count).fill(1), weights: of(count * coherent), fits: of(count).fill(1), modelled: of(count) };
}

export class BeamCorrection {
  readonly #coherent: number;
  readonly #count: number;
  readonly #pixels: number;

  constructor(
    private readonly passes: WavePasses,
    private readonly beam: VaryingBeam,
    private readonly options: BeamOptions,
  ) {
    this.#coherent = options.opr_modes;
    this.#count = beam.flux.length;
    this.#pixels = passes.memory.sizes.N ** 2;
  }

  /** The passes must keep δP. */
  get needsResidues(): boolean {
    return this.#coherent > 0;
  }

  /**
   * Corrects the beams of the batch that was kept, or, where only the flux is fitted, passed; object and probe are as they were then.
   */
  async correctBatch(batch: Int32Array): Promise<void> {
    if (this.#coherent > 0) await this.#correctModes(batch);
    this.#correctFlux(batch);
  }

  /** The same for patterns that modes do not learn from: weights and flux alone. */
  async followBatch(batch: Int32Array): Promise<void> {
    if (this.#coherent > 0 && this.#begun) await this.#correctWeights(batch);
    this.#correctFlux(batch);
  }

  /** What is left open between common and varying parts is settled. */
  endEpoch(): void {
    const { flux } = this.beam;
    if (this.options.flux) {
      const mean = flux.reduce((sum, a) => sum + a, 0) / flux.length;
      for (let k = 0; k < flux.length; k++) flux[k] /= mean;
    }
    if (this.#coherent === 0 || !this.#begun) return;
    this.#centre();
    this.#orthogonalise();
    for (let j = 0; j < this.#coherent; j++) this.#cut(j);
    if (this.options.opr_smooth > 0) for (let j = 0; j < this.#coherent; j++) this.#smooth(j);
  }

  /** The beams as they are, copied. */
  found(): BeamFound {
    const { variation, sizes } = this.passes.memory;
    const shape = [this.#coherent, sizes.N, sizes.N];
    return {
      modes: { re: Float32Array.from(variation.re), im: Float32Array.from(variation.im), shape },
      weights: { data: Float64Array.from(this.beam.weights), shape: [this.#count, this.#coherent] },
      flux: { data: Float64Array.from(this.beam.flux, (a) => a * a), shape: [this.#count] },
    };
  }

  /** Goes on from beams that were found before; modes that these do not have begin as others do. */
  start({ modes, weights, flux }: BeamFound): void {
    const { variation } = this.passes.memory;
    const [, given] = weights.shape;
    const shared = Math.min(given, this.#coherent);
    variation.re.set(modes.re.subarray(0, shared * this.#pixels));
    variation.im.set(modes.im.subarray(0, shared * this.#pixels));
    for (let k = 0; k < this.#count; k++) {
      for (let j = 0; j < shared; j++) this.beam.weights[k * this.#coherent + j] = weights.data[k * given + j];
      if (this.options.flux) this.beam.flux[k] = Math.sqrt(flux.data[k]);
    }
  }

  /** The arrays that a run goes on from; they may be written to. */
  saved(): Record<string, NumericArray> {
    const { variation } = this.passes.memory;
    const { flux, weights } = this.beam;
    return { flux, weights, variation_re: variation.re, variation_im: variation.im };
  }

  get #begun(): boolean {
    return this.#norm(this.#coherent - 1) > 0;
  }

  #norm(j: number): number {
    return Math.sqrt(totalIntensity(this.#mode(this.passes.memory.variation, j)));
  }

  /** Planes of U_j, or of its sum. */
  #mode({ re, im }: ModePlanes, j: number): ModePlanes {
    const [from, to] = [j * this.#pixels, (j + 1) * this.#pixels];
    return { re: re.subarray(from, to), im: im.subarray(from, to) };
  }

  /** The norm of P's first mode, which every U has. */
  get #size(): number {
    return Math.sqrt(totalIntensity(this.#mode(this.passes.memory.probe, 0)));
  }

  async #correctModes(batch: Int32Array): Promise<void> {
    // Patterns of a batch of one or two do not differ from their mean in any way that means something.
    if (batch.length < 3) return;
    if (!this.#begun) await this.#begin(batch);
    await this.#turn(batch, Math.min(LARGEST_TURN, batch.length / this.#count));
    await this.#correctWeights(batch);
  }

  #correctFlux(batch: Int32Array): void {
    if (!this.options.flux) return;
    const { flux, fits } = this.beam;
    for (const k of batch) flux[k] *= 1 + FLUX_STEP * (fits[k] - 1);
  }

  async #correctWeights(batch: Int32Array): Promise<void> {
    const products = await this.passes.beamProducts();
    const { weights } = this.beam;
    for (let j = 0; j < this.#coherent; j++) {
      const at = (i: number) => 3 * (i * this.#coherent + j);
      const mean = batch.reduce((sum, _, i) => sum + products[at(i) + 2], 0) / batch.length;
      batch.forEach((k, i) => {
        const light = products[at(i) + 2] + DAMPING * mean;
        if (light > 0) weights[k * this.#coherent + j] += products[at(i)] / light;
      });
    }
  }

  /** Modes by a block power iteration on the first batch's changes, weights that are all but 0. */
  async #begin(batch: Int32Array): Promise<void> {
    const { variation, probe } = this.passes.memory;
    const rng = new LegacyRng(this.options.seed);
    for (let i = 0; i < variation.re.length; i++) {
      // Within the beam, where it can differ.
      const at = i % this.#pixels;
      const size = Math.hypot(probe.re[at], probe.im[at]);
      variation.re[i] = size * rng.normal();
      variation.im[i] = size * rng.normal();
    }
    for (let j = 0; j < this.#coherent; j++) this.#normalise(j);
    for (let round = 0; round < FIRST_ROUNDS; round++) await this.#turn(batch, Infinity);
    const { weights } = this.beam;
    for (let i = 0; i < weights.length; i++) weights[i] = FIRST_WEIGHT * rng.normal();
  }

  /**
   * U_j ← U_j + ρ·|U_j|·G_j/|G_j|.
   * @param rho Infinity: G_j itself, made orthogonal to those before
   */
  async #turn(batch: Int32Array, rho: number): Promise<void> {
    const { memory } = this.passes;
    const J = this.#coherent;
    const n = batch.length;
    const products = await this.passes.beamProducts();
    const norms = Array.from({ length: J }, (_, j) => this.#norm(j));
    // ⟨U_j, r_k⟩, complex: products with δP_k less their mean.
    const [re, im] = [0, 1].map((part) =>
      Array.from({ length: J }, (_, j) => {
        const values = Float64Array.from(batch, (_k, i) => products[3 * (i * J + j) + part]);
        const mean = values.reduce((sum, v) => sum + v, 0) / n;
        return values.map((v) => v - mean);
      }),
    );
    const { weights } = this.beam;
    const asked = new Float64Array(n * J);
    const overlaps = Array.from({ length: J }, (_, j) =>
      Array.from({ length: j }, (_i, i) =>
        innerProduct(this.#mode(memory.variation, j), this.#mode(memory.variation, i)),
      ),
    );
    // What is taken from G_j along U_i: Σ_k p_kj·κ_ki, κ_ki = ⟨U_i, r_k⟩/|U_i|².
    const taken = Array.from({ length: J }, () => Array.from({ length: J }, () => [0, 0]));
    batch.forEach((k, b) => {
      for (let j = 0; j < J; j++) {
        let along = re[j][b];
        for (let i = 0; i < j; i++) {
          const [kr, ki] = [re[i][b] / norms[i] ** 2, im[i][b] / norms[i] ** 2];
          along -= kr * overlaps[j][i][0] - ki * overlaps[j][i][1];
        }
        const p = along / norms[j] ** 2 + (rho === Infinity ? 0 : weights[k * J + j]);
        asked[b * J + j] = p;
        for (let i = 0; i < j; i++) {
          taken[j][i][0] += (p * re[i][b]) / norms[i] ** 2;
          taken[j][i][1] += (p * im[i][b]) / norms[i] ** 2;
        }
      }
    });
    // Σ_k p_k·r_k = Σ_k (p_k − mean p)·δP_k.
    for (let j = 0; j < J; j++) {
      const mean = sum(n, (b) => asked[b * J + j]) / n;
      for (let b = 0; b < n; b++) asked[b * J + j] -= mean;
    }
    await this.passes.beamSums(asked);
    for (let j = 0; j < J; j++) {
      const G = this.#mode(memory.sums.variation, j);
      for (let i = 0; i < j; i++) addTo(G, this.#mode(memory.variation, i), -taken[j][i][0], -taken[j][i][1]);
    }
    const size = this.#size;
    for (let j = 0; j < J; j++) {
      const U = this.#mode(memory.variation, j);
      const G = this.#mode(memory.sums.variation, j);
      const length = Math.sqrt(totalIntensity(G));
      if (!(length > 0)) continue;
      if (rho === Infinity) {
        U.re.set(G.re);
        U.im.set(G.im);
        for (let i = 0; i < j; i++) {
          const before = this.#mode(memory.variation, i);
          addTo(U, before, -innerProduct(before, U)[0] / size ** 2, 0);
        }
      } else {
        addTo(U, G, (rho * size) / length, 0);
      }
      this.#normalise(j);
    }
  }

  #normalise(j: number): void {
    const U = this.#mode(this.passes.memory.variation, j);
    const factor = this.#size / Math.sqrt(totalIntensity(U));
    if (!Number.isFinite(factor)) return;
    for (let i = 0; i < U.re.length; i++) {
      U.re[i] *= factor;
      U.im[i] *= factor;
    }
  }

  /** The mean of the weights into P. */
  #centre(): void {
    const { weights } = this.beam;
    const J = this.#coherent;
    const P = this.#mode(this.passes.memory.probe, 0);
    for (let j = 0; j < J; j++) {
      let mean = 0;
      for (let k = 0; k < this.#count; k++) mean += weights[k * J + j] / this.#count;
      for (let k = 0; k < this.#count; k++) weights[k * J + j] -= mean;
      addTo(P, this.#mode(this.passes.memory.variation, j), mean, 0);
    }
  }

  /** P out of U; then c·U as principal components over the reals, the strongest first, |U| = |P|. */
  #orthogonalise(): void {
    const { memory } = this.passes;
    const J = this.#coherent;
    const { weights } = this.beam;
    const P = this.#mode(memory.probe, 0);
    const size = this.#size;
    const modes = Array.from({ length: J }, (_, j) => this.#mode(memory.variation, j));
    for (const U of modes) {
      const [re, im] = innerProduct(P, U);
      addTo(U, P, -re / size ** 2, -im / size ** 2);
    }
    // With Gram matrix G = U·Uᵀ = RᵀR and C = cᵀc, the components of c·U are those of c·Rᵀ.
    const gram = modes.map((a) => modes.map((b) => innerProduct(a, b)[0]));
    const { values, vectors } = symmetricEigen(gram);
    const most = Math.max(...values);
    const roots = values.map((v) => Math.sqrt(Math.max(v, 1e-12 * most)));
    if (!(most > 0)) return;
    const power = (sign: 1 | -1) =>
      gram.map((_, a) => gram.map((_b, b) => sum(J, (m) => vectors[a][m] * roots[m] ** sign * vectors[b][m])));
    const [root, inverse] = [power(1), power(-1)];
    const mixed = (k: number, m: number) => sum(J, (j) => weights[k * J + j] * root[j][m]);
    const scaled = Array.from({ length: this.#count }, (_, k) => Array.from({ length: J }, (_m, m) => mixed(k, m)));
    const covariance = gram.map((_, a) => gram.map((_b, b) => sum(this.#count, (k) => scaled[k][a] * scaled[k][b])));
    const turned = symmetricEigen(covariance);
    const order = turned.values.map((_, m) => m).sort((a, b) => turned.values[b] - turned.values[a]);
    const old = modes.map(({ re, im }) => ({ re: Float32Array.from(re), im: Float32Array.from(im) }));
    order.forEach((m, to) => {
      // A component and its weights may both change sign: that which the mode before had stays.
      const mix = Array.from({ length: J }, (_, j) => sum(J, (l) => turned.vectors[l][m] * inverse[l][j]));
      const sign = sum(J, (j) => mix[j] * innerProduct(old[j], old[to])[0]) < 0 ? -1 : 1;
      modes[to].re.fill(0);
      modes[to].im.fill(0);
      for (let j = 0; j < J; j++) addTo(modes[to], old[j], sign * mix[j] * size, 0);
      for (let k = 0; k < this.#count; k++) {
        weights[k * J + to] = (sign * sum(J, (l) => scaled[k][l] * turned.vectors[l][m])) / size;
      }
    });
  }

  /** |c| of at most 1.5 times its 95 % quantile. */
  #cut(j: number): void {
    const { weights } = this.beam;
    const J = this.#coherent;
    const sizes = Float64Array.from({ length: this.#count }, (_, k) => Math.abs(weights[k * J + j])).sort();
    const most = 1.5 * sizes[Math.min(sizes.length - 1, Math.floor(0.95 * sizes.length))];
    for (let k = 0; k < this.#count; k++) {
      weights[k * J + j] = Math.min(most, Math.max(-most, weights[k * J + j]));
    }
  }

  /** Halfway to the polynomial of the given degree that fits the weights best, in the order of acquisition. */
  #smooth(j: number): void {
    const { weights } = this.beam;
    const J = this.#coherent;
    const degree = Math.min(this.options.opr_smooth, this.#count - 1);
    // Orthogonal polynomials on the points themselves, made as they are needed.
    const basis: Float64Array[] = [];
    for (let d = 0; d <= degree; d++) {
      const next = Float64Array.from({ length: this.#count }, (_, k) =>
        d === 0 ? 1 : basis[d - 1][k] * ((2 * k) / Math.max(1, this.#count - 1) - 1),
      );
      for (const one of basis) {
        const along = dot(one, next);
        for (let k = 0; k < next.length; k++) next[k] -= along * one[k];
      }
      const length = Math.sqrt(dot(next, next));
      basis.push(next.map((v) => v / length));
    }
    const values = Float64Array.from({ length: this.#count }, (_, k) => weights[k * J + j]);
    const fits = basis.map((one) => dot(one, values));
    for (let k = 0; k < this.#count; k++) {
      weights[k * J + j] = 0.5 * values[k] + 0.5 * sum(basis.length, (d) => fits[d] * basis[d][k]);
    }
  }
}

const sum = (length: number, of: (i: number) => number): number => {
  let total = 0;
  for (let i = 0; i < length; i++) total += of(i);
  return total;
};

const dot = (a: Float64Array, b: Float64Array): number => sum(a.length, (i) => a[i] * b[i]);

/** Σ conj(a)·b. */
function innerProduct(a: ModePlanes, b: ModePlanes): [re: number, im: number] {
  let [re, im] = [0, 0];
  for (let i = 0; i < a.re.length; i++) {
    re += a.re[i] * b.re[i] + a.im[i] * b.im[i];
    im += a.re[i] * b.im[i] - a.im[i] * b.re[i];
  }
  return [re, im];
}

/** to += (re + i·im)·from. */
function addTo(to: ModePlanes, from: ModePlanes, re: number, im: number): void {
  for (let i = 0; i < to.re.length; i++) {
    const [a, b] = [from.re[i], from.im[i]];
    to.re[i] += re * a - im * b;
    to.im[i] += re * b + im * a;
  }
}

/** Eigenvalues and eigenvectors (columns) of a small symmetric matrix. */
function symmetricEigen(matrix: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } {
  const n = matrix.length;
  const whole = { re: Float64Array.from(matrix.flat()), im: new Float64Array(n * n) };
  const { values, vectors } = hermitianEigen(whole, n);
  return { values, vectors: matrix.map((_, a) => Array.from({ length: n }, (_b, b) => vectors.re[a * n + b])) };
}
