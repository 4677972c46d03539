/**
 * Patterns that an image does not learn from while options are chosen: how well it explains them says whether an option helps or only
 * has more freedom.
 *
 * @example
 * const held = chooseHeldOut(raw, probeRadius_px(probe), 0);
 * const { gain, standardErrors } = compareMisfits(before, after);
 */
import { median } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';
import type { PatternMisfits } from '../solvers/updates.js';

/** Share of the patterns that is held out; of small scans a few more, for a few say nothing. */
const SHARE = 0.05;
const LEAST = 4;
/** Where fewer patterns are left, they are needed. */
const LEAST_PATTERNS = 16;
/** At the rim of a scan nobody else sees what a pattern sees: patterns with fewer neighbours than this part of the usual stay in. */
const USUAL_NEIGHBOURS = 0.75;

/** Positions in object pixels. */
interface Places {
  readonly xcoords: Float64Array;
  readonly ycoords: Float64Array;
}

/**
 * Chooses one pattern in twenty, at random among those whose surroundings others see as well, no two of them neighbours where that is
 * possible. Deterministic.
 * @param radius_px how far from its position a pattern sees the object
 * @returns ascending; none of a scan of fewer than 16 patterns
 */
export function chooseHeldOut({ xcoords, ycoords }: Places, radius_px: number, seed: number): Int32Array {
  const count = xcoords.length;
  if (count < LEAST_PATTERNS) return new Int32Array(0);
  const wanted = Math.max(LEAST, Math.round(SHARE * count));
  const neighbours = neighbourCounts(xcoords, ycoords, radius_px);
  const usual = USUAL_NEIGHBOURS * median(Float64Array.from(neighbours));
  const order = Array.from(new LegacyRng(seed).permutation(count)).filter((k) => neighbours[k] >= usual);
  const apart = (a: number, b: number) => Math.hypot(xcoords[a] - xcoords[b], ycoords[a] - ycoords[b]);
  const chosen: number[] = [];
  for (const distance_px of [radius_px, 0]) {
    for (const k of order) {
      if (chosen.length === wanted) break;
      if (!chosen.includes(k) && chosen.every((other) => apart(k, other) >= distance_px)) chosen.push(k);
    }
  }
  return Int32Array.from(chosen).sort();
}

/** How many other positions lie within a distance of each. */
function neighbourCounts(xs: Float64Array, ys: Float64Array, radius_px: number): Int32Array {
  const cell = (x: number, y: number) => `${Math.floor(x / radius_px)},${Math.floor(y / radius_px)}`;
  const cells = new Map<string, number[]>();
  for (let k = 0; k < xs.length; k++) {
    const name = cell(xs[k], ys[k]);
    const list = cells.get(name);
    if (list) list.push(k);
    else cells.set(name, [k]);
  }
  return Int32Array.from(xs, (x, k) => {
    let near = -1;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        for (const other of cells.get(cell(x + dx * radius_px, ys[k] + dy * radius_px)) ?? []) {
          if (Math.hypot(xs[other] - x, ys[other] - ys[k]) <= radius_px) near++;
        }
      }
    }
    return near;
  });
}

/** R of patterns together: Σ|√I − √J|/Σ√I. */
export function rOf({ misfit, measured }: PatternMisfits): number {
  const sum = (values: Float64Array) => values.reduce((total, v) => total + v, 0);
  return sum(misfit) / sum(measured);
}

/** Two images on the same patterns. */
export interface MisfitComparison {
  /** By how much R falls, as a part of what it was; negative where it rises. */
  readonly gain: number;
  /** The mean fall of a pattern's misfit, in standard errors of that mean. */
  readonly standardErrors: number;
}

/** How much better patterns are explained by a second image than by a first. */
export function compareMisfits(before: PatternMisfits, after: PatternMisfits): MisfitComparison {
  const falls = before.misfit.map((v, k) => v - after.misfit[k]);
  const mean = falls.reduce((sum, v) => sum + v, 0) / falls.length;
  const variance = falls.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, falls.length - 1);
  const error = Math.sqrt(variance / falls.length);
  const standardErrors = error > 0 ? mean / error : mean === 0 ? 0 : Math.sign(mean) * Number.MAX_VALUE;
  return { gain: 1 - rOf(after) / rOf(before), standardErrors };
}
