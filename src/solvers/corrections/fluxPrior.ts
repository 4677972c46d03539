/**
 * What may be expected of the flux of a scan before its patterns are looked at, for fits of all patterns at once (`algorithms/ml.ts`): that
 * it flickers as much at every distance. With l_k = log a_k less its mean, orthonormal slow functions φ_j of the position (cosines over the
 * scan), c_j = Σ_k φ_j·l_k, and s² the variance of an amplitude,
 *   R = s²·(Σ(l − Σ_j c_j·φ_j)²/τ² + Σ_j c_j²/τ_j²), τ from the rest when it begins, τ_j = max(τ, |c_j| when it begins),
 * stands beside E = Σ(√I − √J)²: slow changes of the flux, which patterns hardly tell from those of the object, become no larger than fast
 * ones are, but for those that were found before.
 */

/** Half-waves over the scan of the fastest of the slow functions. */
const FASTEST = 5;

/** Patterns for each function, at least. */
const PATTERNS_EACH = 8;

/** What is left of a function by those before it, as a share: less, and it is none of its own. */
const LEAST_OWN = 1e-3;

export class FluxPrior {
  /** s²/τ², then s²/τ_j² of each function; the first is 0 before it begins, and where there was no flicker. */
  readonly levels: Float64Array;
  readonly #functions: readonly Float64Array[];

  /** @param ys (n,) of the patterns, in any unit @param xs likewise */
  constructor(ys: ArrayLike<number>, xs: ArrayLike<number>) {
    this.#functions = slowFunctions(ys, xs);
    this.levels = new Float64Array(1 + this.#functions.length);
  }

  /** Whether there is anything to be expected. */
  get begun(): boolean {
    return this.levels[0] > 0;
  }

  /** From the flux that was found. @param logs (n,) log a_k @param variance s² */
  begin(logs: ArrayLike<number>, variance: number): void {
    const { rest, parts } = this.#split(logs);
    const free = rest.length - 1 - parts.length;
    const flicker = free > 0 ? rest.reduce((sum, v) => sum + v * v, 0) / free : 0;
    this.levels.fill(0);
    if (!(flicker > 0)) return;
    this.levels[0] = variance / flicker;
    parts.forEach((c, j) => {
      this.levels[1 + j] = variance / Math.max(flicker, c * c);
    });
  }

  /** R. */
  of(logs: ArrayLike<number>): number {
    const { rest, parts } = this.#split(logs);
    const [flicker, ...slow] = this.levels;
    return flicker * rest.reduce((sum, v) => sum + v * v, 0) + parts.reduce((sum, c, j) => sum + slow[j] * c * c, 0);
  }

  /** ½·dR/dl_k of every pattern. */
  halfGradient(logs: ArrayLike<number>): Float64Array {
    const { rest, parts } = this.#split(logs);
    const out = rest.map((v) => this.levels[0] * v);
    parts.forEach((c, j) => {
      for (let k = 0; k < out.length; k++) out[k] += this.levels[1 + j] * c * this.#functions[j][k];
    });
    return out;
  }

  #split(logs: ArrayLike<number>): { readonly rest: Float64Array; readonly parts: readonly number[] } {
    const rest = Float64Array.from(logs);
    const mean = rest.reduce((sum, v) => sum + v, 0) / rest.length;
    for (let k = 0; k < rest.length; k++) rest[k] -= mean;
    const parts = this.#functions.map((one) => takeOut(rest, one));
    return { rest, parts };
  }
}

/** Orthonormal on the places, and to what is the same everywhere. */
function slowFunctions(ys: ArrayLike<number>, xs: ArrayLike<number>): Float64Array[] {
  const count = ys.length;
  const most = Math.floor(count / PATTERNS_EACH);
  const [down, along] = [within(ys), within(xs)];
  const orders = Array.from({ length: (FASTEST + 1) ** 2 }, (_, i) => [
    Math.floor(i / (FASTEST + 1)),
    i % (FASTEST + 1),
  ])
    .filter(([i, j]) => Math.hypot(i, j) <= FASTEST)
    .sort((a, b) => Math.hypot(a[0], a[1]) - Math.hypot(b[0], b[1]));
  const found: Float64Array[] = [];
  for (const [i, j] of orders) {
    if (found.length > most) break;
    const one = Float64Array.from({ length: count }, (_, k) => Math.cos(Math.PI * i * down[k]) * Math.cos(Math.PI * j * along[k])); // biome-ignore format: one formula
    const before = norm(one);
    // Twice, as the first time leaves rounding behind.
    for (let round = 0; round < 2; round++) for (const other of found) takeOut(one, other);
    const own = norm(one);
    if (own > LEAST_OWN * before) found.push(one.map((v) => v / own));
  }
  // The first is the constant, which the mean is.
  return found.slice(1);
}

/** From 0 to 1 over the scan; 0 where all lie at one place. */
function within(values: ArrayLike<number>): Float64Array {
  const all = Float64Array.from(values);
  const [least, most] = [
    all.reduce((a, b) => Math.min(a, b), Infinity),
    all.reduce((a, b) => Math.max(a, b), -Infinity),
  ];
  return all.map((v) => (most > least ? (v - least) / (most - least) : 0));
}

const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

/** values −= ⟨one, values⟩·one; answers the product. */
function takeOut(values: Float64Array, one: Float64Array): number {
  let along = 0;
  for (let k = 0; k < one.length; k++) along += one[k] * values[k];
  for (let k = 0; k < one.length; k++) values[k] -= along * one[k];
  return along;
}
