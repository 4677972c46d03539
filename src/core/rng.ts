/**
 * The project's one source of randomness: NumPy's legacy generator (`np.random.seed`, `np.random.choice`, …), reproduced
 * draw for draw, so that a seed means the same scan positions, groups and noise here as in the Python tools.
 *
 * @example
 * const rng = new LegacyRng(42);
 * rng.permutation(10); // Int32Array [8, 1, 5, 0, 7, 2, 9, 4, 3, 6], as np.random.seed(42); np.random.permutation(10)
 */
import { PtychoError } from './errors.js';

const N = 624;
const M = 397;

/** All that a {@link LegacyRng} remembers, as plain data. */
export interface RngState {
  /** The 624 words of the generator. */
  readonly words: readonly number[];
  /** How many of them were drawn. */
  readonly at: number;
  /** The second value of a normal pair, when it was not asked for yet. */
  readonly spareNormal: number | null;
}

/**
 * MT19937 seeded with one 32-bit integer (Matsumoto and Nishimura 1998) and the distributions that NumPy's `RandomState`
 * draws from it. Integers and uniforms are equal to NumPy's; normal and Poisson values agree to the last bits of `log`.
 */
export class LegacyRng {
  private readonly state = new Uint32Array(N);
  private at = N;
  private spareNormal: number | undefined;

  /**
   * @param seed an integer from 0 to 2³² − 1.
   * @throws PtychoError CONFIG_INVALID for any other seed.
   */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new PtychoError('CONFIG_INVALID', `A seed must be an integer from 0 to ${0xffffffff}, got ${seed}.`, {
        found: seed,
      });
    }
    const s = this.state;
    s[0] = seed;
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1] ^ (s[i - 1] >>> 30)) + i;
  }

  /** What the generator remembers: {@link restore} of it gives the same draws again. */
  save(): RngState {
    return { words: Array.from(this.state), at: this.at, spareNormal: this.spareNormal ?? null };
  }

  /**
   * Goes on from a saved state.
   * @throws PtychoError CONFIG_INVALID for what no generator can have saved.
   */
  restore({ words, at, spareNormal }: RngState): void {
    const isWord = (word: number) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff;
    if (words.length !== N || !words.every(isWord) || !(Number.isInteger(at) && at >= 0 && at <= N)) {
      throw new PtychoError('CONFIG_INVALID', `A saved random state has ${N} words and a place from 0 to ${N}.`, {
        found: [words.length, at],
      });
    }
    this.state.set(words);
    this.at = at;
    this.spareNormal = spareNormal ?? undefined;
  }

  /** The next 32 random bits, as an integer from 0 to 2³² − 1. */
  uint32(): number {
    if (this.at === N) this.refill();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** A double in [0, 1) with 53 random bits (`random_sample`). */
  random(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** A double in [low, high) (`np.random.uniform`). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * this.random();
  }

  /** An integer from 0 to `max` inclusive, by masked rejection; `max` 0 draws nothing (NumPy's `random_interval`). */
  interval(max: number): number {
    if (max === 0) return 0;
    const mask = 0xffffffff >>> Math.clz32(max);
    for (;;) {
      const value = (this.uint32() & mask) >>> 0;
      if (value <= max) return value;
    }
  }

  /** 0 … n − 1 in random order (`np.random.permutation(n)`). */
  permutation(n: number): Int32Array {
    const order = new Int32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.interval(i);
      const kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    return order;
  }

  /**
   * `count` of the integers 0 … n − 1 (`np.random.choice(n, count, replace)`).
   * @throws PtychoError CONFIG_INVALID when more are asked for than there are, without replacement.
   */
  choice(n: number, count: number, replace: boolean): Int32Array {
    if (!replace) {
      if (count > n) {
        throw new PtychoError('CONFIG_INVALID', `Cannot choose ${count} of ${n} without choosing one twice.`, {
          found: count,
          expected: n,
        });
      }
      return this.permutation(n).slice(0, count);
    }
    const chosen = new Int32Array(count);
    for (let i = 0; i < count; i++) chosen[i] = this.interval(n - 1);
    return chosen;
  }

  /** A standard normal value by Marsaglia's polar method, two at a time (`np.random.randn`). */
  normal(mean = 0, deviation = 1): number {
    if (this.spareNormal !== undefined) {
      const spare = this.spareNormal;
      this.spareNormal = undefined;
      return mean + deviation * spare;
    }
    for (;;) {
      const x = 2 * this.random() - 1;
      const y = 2 * this.random() - 1;
      const r2 = x * x + y * y;
      if (r2 >= 1 || r2 === 0) continue;
      const f = Math.sqrt((-2 * Math.log(r2)) / r2);
      this.spareNormal = f * x;
      return mean + deviation * (f * y);
    }
  }

  /**
   * A Poisson count of mean `lambda` (`np.random.poisson`): products of uniforms below 10, from there on the transformed
   * rejection PTRS of Hörmann (Insurance: Mathematics and Economics 12, 1993), whose cost does not grow with `lambda`.
   * @throws PtychoError DATASET_VALUE when `lambda` is negative or not finite.
   */
  poisson(lambda: number): number {
    if (!(lambda >= 0 && lambda < Number.POSITIVE_INFINITY)) {
      throw new PtychoError('DATASET_VALUE', `A Poisson mean must be a finite number ≥ 0, got ${lambda}.`, {
        found: lambda,
      });
    }
    if (lambda === 0) return 0;
    return lambda < 10 ? this.poissonByProducts(lambda) : this.poissonByRejection(lambda);
  }

  private poissonByProducts(lambda: number): number {
    const limit = Math.exp(-lambda);
    let count = 0;
    for (let product = this.random(); product > limit; product *= this.random()) count++;
    return count;
  }

  private poissonByRejection(lambda: number): number {
    const logLambda = Math.log(lambda);
    const b = 0.931 + 2.53 * Math.sqrt(lambda);
    const a = -0.059 + 0.02483 * b;
    const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
    const vr = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
      const u = this.random() - 0.5;
      const v = this.random();
      const us = 0.5 - Math.abs(u);
      const k = Math.floor(((2 * a) / us + b) * u + lambda + 0.43);
      if (us >= 0.07 && v <= vr) return k;
      if (k < 0 || (us < 0.013 && v > us)) continue;
      const left = Math.log(v) + Math.log(inverseAlpha) - Math.log(a / (us * us) + b);
      if (left <= -lambda + k * logLambda - logFactorial(k)) return k;
    }
  }

  private refill(): void {
    const s = this.state;
    for (let i = 0; i < N; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff);
      s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }
}

/** ln k!, by Stirling's series, for which small arguments are first raised to 7 or more. */
function logFactorial(k: number): number {
  if (k < 2) return 0;
  let x = k + 1;
  let product = 1;
  while (x < 7) product *= x++;
  const w = 1 / (x * x);
  const series = 1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w * (1 / 1188 - (w * 691) / 360360))));
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series / x - Math.log(product);
}
