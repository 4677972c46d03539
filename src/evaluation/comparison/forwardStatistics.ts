/** How far apart two networks predict the same patterns, patch by patch, without keeping the patches; and `forward_parity.png`. */
import { moduliOf } from '../../core/numbers.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { VIRIDIS } from '../../report/colormaps.js';
import { figure, imagePanel, type Panel } from '../../report/figure.js';
import { renderValues } from '../../report/image.js';
import type { Drawing } from '../../report/renderer.js';
import { wrap } from '../phase.js';

/** What is compared of a patch; phases in radians, their differences about the circle. */
export const QUANTITIES = ['real', 'imaginary', 'amplitude', 'phase'] as const;
/** One of {@link QUANTITIES}. */
export type Quantity = (typeof QUANTITIES)[number];

/** The values of one network. */
export interface ValueStatistics {
  readonly mean: number;
  readonly std: number;
  readonly min: number;
  readonly max: number;
}

/** Two networks, value by value. */
export interface DifferenceStatistics {
  readonly mean_abs: number;
  readonly rms: number;
  readonly max_abs: number;
  /** Pearson correlation of the two; NaN where one of them is constant. */
  readonly pearson: number;
}

/** What a comparison of predictions came to. */
export interface ForwardStatistics {
  /** Every value is the same to the bit. */
  readonly identical: boolean;
  readonly a: Readonly<Record<Quantity, ValueStatistics>>;
  readonly b: Readonly<Record<Quantity, ValueStatistics>>;
  readonly difference: Readonly<Record<Quantity, DifferenceStatistics>>;
  /** ‖a − b‖/‖a‖ of the complex patches as they are, and after the best common complex factor on b. */
  readonly relative_difference: number;
  readonly relative_difference_scaled: number;
  /** rms of |a − b| of single patches: least, median, nine tenths, largest, and which patch that is. */
  readonly patch_rms: { readonly min: number; readonly median: number; readonly p90: number; readonly max: number };
  readonly worst_patch: number;
  /** Mean |a − b| of amplitude and phase on a grid of 8 × 8 fields over the patch: shows edges and seams. */
  readonly difference_grid: { readonly amplitude: readonly number[][]; readonly phase: readonly number[][] };
}

const FIELDS = 8;

/** Sums over all values so far. */
class Sums {
  n = 0;
  readonly #sum = [0, 0];
  readonly #square = [0, 0];
  readonly #low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  readonly #high = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  #product = 0;
  #abs = 0;
  #squares = 0;
  #largest = 0;

  add(a: number, b: number, difference: number): void {
    this.n++;
    for (const [k, v] of [a, b].entries()) {
      this.#sum[k] += v;
      this.#square[k] += v * v;
      this.#low[k] = Math.min(this.#low[k], v);
      this.#high[k] = Math.max(this.#high[k], v);
    }
    this.#product += a * b;
    const size = Math.abs(difference);
    this.#abs += size;
    this.#squares += size * size;
    this.#largest = Math.max(this.#largest, size);
  }

  values(k: 0 | 1): ValueStatistics {
    return { mean: this.#sum[k] / this.n, std: Math.sqrt(this.#spread(k)), min: this.#low[k], max: this.#high[k] };
  }

  difference(): DifferenceStatistics {
    const covariance = this.#product / this.n - (this.#sum[0] / this.n) * (this.#sum[1] / this.n);
    const spread = Math.sqrt(this.#spread(0) * this.#spread(1));
    return {
      mean_abs: this.#abs / this.n,
      rms: Math.sqrt(this.#squares / this.n),
      max_abs: this.#largest,
      pearson: spread > 0 ? Math.min(1, covariance / spread) : Number.NaN,
    };
  }

  #spread(k: 0 | 1): number {
    return Math.max(0, this.#square[k] / this.n - (this.#sum[k] / this.n) ** 2);
  }
}

/** Takes the patches of both networks, batch by batch. */
export class ForwardComparison {
  readonly #sums = Object.fromEntries(QUANTITIES.map((name) => [name, new Sums()])) as Record<Quantity, Sums>;
  readonly #maps: { readonly amplitude: Float64Array; readonly phase: Float64Array };
  readonly #patchRms: number[] = [];
  #identical = true;
  /** ‖a‖², ‖b‖², ⟨b, a⟩. */
  #power = [0, 0];
  #overlap = [0, 0];
  #distance = 0;

  /** @param side of a patch, pixels */
  constructor(readonly side: number) {
    this.#maps = { amplitude: new Float64Array(side * side), phase: new Float64Array(side * side) };
  }

  /** Patches so far. */
  get patches(): number {
    return this.#patchRms.length;
  }

  /** Adds patches (…, side, side) of both, in the same order. */
  add(a: ComplexTensor, b: ComplexTensor): void {
    const area = this.side * this.side;
    for (let start = 0; start < a.re.length; start += area) {
      let distance = 0;
      for (let p = 0; p < area; p++) distance += this.#pixel(a, b, start + p, p);
      this.#patchRms.push(Math.sqrt(distance / area));
      this.#distance += distance;
    }
  }

  #pixel(a: ComplexTensor, b: ComplexTensor, i: number, p: number): number {
    const [ar, ai, br, bi] = [a.re[i], a.im[i], b.re[i], b.im[i]];
    if (ar !== br || ai !== bi) this.#identical = false;
    const { real, imaginary, amplitude, phase } = this.#sums;
    real.add(ar, br, ar - br);
    imaginary.add(ai, bi, ai - bi);
    const [ma, mb] = [Math.hypot(ar, ai), Math.hypot(br, bi)];
    amplitude.add(ma, mb, ma - mb);
    const [pa, pb] = [Math.atan2(ai, ar), Math.atan2(bi, br)];
    const turn = wrap(pa - pb);
    phase.add(pa, pb, turn);
    this.#maps.amplitude[p] += Math.abs(ma - mb);
    this.#maps.phase[p] += Math.abs(turn);
    this.#power[0] += ma * ma;
    this.#power[1] += mb * mb;
    this.#overlap[0] += br * ar + bi * ai;
    this.#overlap[1] += br * ai - bi * ar;
    return (ar - br) ** 2 + (ai - bi) ** 2;
  }

  /** Mean |difference| of every pixel of a patch, (side, side). */
  maps(): { readonly amplitude: Float64Array; readonly phase: Float64Array } {
    const mean = (map: Float64Array) => map.map((v) => v / this.patches);
    return { amplitude: mean(this.#maps.amplitude), phase: mean(this.#maps.phase) };
  }

  /** The result; only after the first patch. */
  finish(): ForwardStatistics {
    const each = <T>(of: (sums: Sums) => T) =>
      Object.fromEntries(QUANTITIES.map((name) => [name, of(this.#sums[name])])) as Record<Quantity, T>;
    const sorted = Float64Array.from(this.#patchRms).sort();
    const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))];
    const [powerA, powerB] = this.#power;
    const shared = powerA > 0 && powerB > 0 ? (this.#overlap[0] ** 2 + this.#overlap[1] ** 2) / (powerA * powerB) : 0;
    const { amplitude, phase } = this.maps();
    return {
      identical: this.#identical,
      a: each((sums) => sums.values(0)),
      b: each((sums) => sums.values(1)),
      difference: each((sums) => sums.difference()),
      relative_difference: this.#identical ? 0 : Math.sqrt(this.#distance / powerA),
      relative_difference_scaled: this.#identical ? 0 : Math.sqrt(Math.max(0, 1 - shared)),
      patch_rms: { min: at(0), median: at(0.5), p90: at(0.9), max: at(1) },
      worst_patch: this.#patchRms.reduce((best, v, k) => (v > this.#patchRms[best] ? k : best), 0),
      difference_grid: { amplitude: this.#fields(amplitude), phase: this.#fields(phase) },
    };
  }

  #fields(map: Float64Array): number[][] {
    const size = this.side / FIELDS;
    return Array.from({ length: FIELDS }, (_, row) =>
      Array.from({ length: FIELDS }, (_, column) => {
        let [sum, n] = [0, 0];
        for (let r = Math.floor(row * size); r < Math.floor((row + 1) * size); r++) {
          for (let c = Math.floor(column * size); c < Math.floor((column + 1) * size); c++, n++) {
            sum += map[r * this.side + c];
          }
        }
        return sum / n;
      }),
    );
  }
}

/** One patch (side, side) of both networks, and the pattern of the file that it is of. */
export interface ShownPatch {
  readonly pattern: number;
  readonly a: ComplexTensor;
  readonly b: ComplexTensor;
}

const SIDE_PX = 200;

/**
 * A row a patch: amplitudes of both and their difference, phases of both and their difference (a − b); a pair has common colours.
 * The last row is the mean |difference| over all patches.
 */
export function forwardPicture(
  names: readonly [string, string],
  patches: readonly ShownPatch[],
  maps: { readonly amplitude: Float64Array; readonly phase: Float64Array },
): Drawing {
  const panels = patches.flatMap(({ pattern, a, b }) => [
    ...triple(names, a.shape, moduliOf(a), moduliOf(b), (x, y) => x - y, `pattern ${pattern}`, 'amplitude'),
    ...triple(names, a.shape, angle(a), angle(b), (x, y) => wrap(x - y), `pattern ${pattern}`, 'phase / rad'),
  ]);
  const side = Math.sqrt(maps.amplitude.length);
  const map = (values: Float64Array, quantity: string) =>
    imagePanel(renderValues(values, [side, side], { colormap: VIRIDIS }), {
      ...{ title: 'Mean |a − b|', note: 'over all patterns', quantity, side_px: SIDE_PX },
    });
  return figure([...panels, map(maps.amplitude, 'amplitude'), map(maps.phase, 'phase / rad')], {
    columns: 6,
    title: `What ${names[0]} (a) and ${names[1]} (b) predict of the same patterns`,
    note: 'axes in pixels',
  });
}

function triple(
  [nameA, nameB]: readonly [string, string],
  shape: readonly number[],
  a: Float64Array,
  b: Float64Array,
  minus: (a: number, b: number) => number,
  note: string,
  quantity: string,
): Panel[] {
  const both = renderValues([...a, ...b], [1, 2 * a.length], { low: 0.5, high: 99.5 });
  const limits = [both.low, both.high] as const;
  const panel = (values: Float64Array, title: string, ends?: readonly [number, number]) =>
    imagePanel(renderValues(values, shape, { limits: ends, colormap: VIRIDIS }), {
      title,
      note,
      quantity,
      side_px: SIDE_PX,
    });
  return [
    panel(a, nameA, limits),
    panel(b, nameB, limits),
    panel(
      a.map((v, i) => minus(v, b[i])),
      'a − b',
    ),
  ];
}

const angle = ({ re, im }: ComplexTensor) => Float64Array.from(re, (v, i) => Math.atan2(im[i], v));
