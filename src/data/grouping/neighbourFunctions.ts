/**
 * Neighbour functions: which scan positions may join the group of a seed position, and how the members are drawn.
 *
 * Order of the draws, so that a seed of the generator means the same groups everywhere:
 * - `nearest`, `min_distance`: one permutation of the candidates for each seed position, its first C are the members;
 * - `four_quadrants`: for each seed position one draw from each quadrant, in the order top left, top right, bottom left,
 *   bottom right. A position that the rule skips draws nothing.
 */

import { invalidOption } from '../../core/errors.js';
import { spanOf } from '../../core/numbers.js';
import type { LegacyRng } from '../../core/rng.js';
import { meanNearestDistance, NeighbourGrid } from './neighbourGrid.js';

/** The names of the neighbour functions, as in the configuration. */
export type NeighbourFunctionName = 'nearest' | 'min_distance' | 'four_quadrants';

/** What the quadrants of `four_quadrants` are cut by, as in the configuration. */
export type ScanPattern = 'isotropic' | 'rectangular';

/** What the neighbour functions depend on; names as in the configuration. */
export interface NeighbourOptions {
  /**
   * - `nearest` (default): the `neighbor_count` positions nearest to the seed position, without it; with it, first, where
   *   the scan has no more than that many;
   * - `min_distance`: the `neighbor_count` nearest of those at least `min_neighbor_distance_px` away;
   * - `four_quadrants` (gridsize 2): of the `quadrant_candidates` nearest, those at least `min_neighbor_distance_px` and
   *   less than `max_neighbor_distance_px` away, one from each quadrant around the seed position.
   */
  readonly neighbor_function?: NeighbourFunctionName;
  /** Object pixels; 0 when left out. */
  readonly min_neighbor_distance_px?: number;
  /** Object pixels; 3 when left out. */
  readonly max_neighbor_distance_px?: number;
  /** 30 when left out. */
  readonly quadrant_candidates?: number;
  /**
   * Where the quadrants of `four_quadrants` lie: `isotropic` (when left out) at the axes through the seed position; `rectangular`, for scans
   * whose rows lie farther apart than positions in a row, left and right in the row of the seed position and in rows before it.
   */
  readonly scan_pattern?: ScanPattern;
}

/** Draws groups of C around seed positions. */
export interface GroupDraw {
  /** Writes a group for `seed` into `out` from `at` on; false, with nothing drawn, where the rule finds no group there. */
  draw(seed: number, rng: LegacyRng, out: Int32Array, at: number): boolean;
  /** The positions that combine freely with each other in groups of `seed`; a view that the next call overwrites. */
  readonly candidates?: (seed: number) => Int32Array;
  /** Why a scan may have no group at all, and what to do about it. */
  readonly advice: string;
}

/** The neighbour options with their defaults, checked. */
export type NeighbourRule = Required<NeighbourOptions>;

/**
 * Fills in the defaults and checks the values.
 * @throws PtychoError CONFIG_INVALID for distances that are negative or do not rise, too few candidates, or
 * `four_quadrants` with another gridsize than 2.
 */
export function neighbourRule(options: NeighbourOptions, gridsize: number): NeighbourRule {
  const rule = {
    neighbor_function: options.neighbor_function ?? 'nearest',
    min_neighbor_distance_px: options.min_neighbor_distance_px ?? 0,
    max_neighbor_distance_px: options.max_neighbor_distance_px ?? 3,
    quadrant_candidates: options.quadrant_candidates ?? 30,
    scan_pattern: options.scan_pattern ?? 'isotropic',
  };
  const { neighbor_function, min_neighbor_distance_px: min, max_neighbor_distance_px: max } = rule;
  const refuse = (key: keyof NeighbourRule, message: string) => invalidOption(key, message, rule[key]);
  if (!['nearest', 'min_distance', 'four_quadrants'].includes(neighbor_function)) {
    throw refuse(
      'neighbor_function',
      `neighbor_function is "${neighbor_function}", but must be nearest, min_distance or four_quadrants.`,
    );
  }
  if (!(min >= 0 && Number.isFinite(min))) {
    throw refuse('min_neighbor_distance_px', `min_neighbor_distance_px must be a number of pixels ≥ 0, got ${min}.`);
  }
  if (neighbor_function !== 'four_quadrants') {
    if (rule.scan_pattern === 'isotropic') return rule;
    throw refuse(
      'scan_pattern',
      `scan_pattern ${rule.scan_pattern} says where the quadrants of neighbor_function four_quadrants lie; with ${neighbor_function} leave it out.`,
    );
  }
  if (gridsize !== 2) {
    throw refuse(
      'neighbor_function',
      `neighbor_function four_quadrants takes one member from each of four quadrants, so it needs gridsize 2, not ${gridsize}; use nearest or min_distance.`,
    );
  }
  if (!(max > min)) {
    throw refuse(
      'max_neighbor_distance_px',
      `max_neighbor_distance_px (${max}) must be larger than min_neighbor_distance_px (${min}).`,
    );
  }
  if (rule.scan_pattern === 'rectangular' && max <= ROWS.behind) {
    throw refuse(
      'max_neighbor_distance_px',
      `max_neighbor_distance_px (${max}) must be larger than ${ROWS.behind} with scan_pattern rectangular, whose other rows begin there.`,
    );
  }
  if (!(Number.isInteger(rule.quadrant_candidates) && rule.quadrant_candidates >= 4)) {
    throw refuse(
      'quadrant_candidates',
      `quadrant_candidates must be an integer ≥ 4, so that there can be one for each quadrant, got ${rule.quadrant_candidates}.`,
    );
  }
  return rule;
}

/**
 * The neighbour function of a scan.
 * @param K positions that `nearest` and `min_distance` draw the members from.
 * @param C members of a group.
 */
export function groupDraw(x: Float64Array, y: Float64Array, C: number, K: number, rule: NeighbourRule): GroupDraw {
  if (rule.neighbor_function === 'four_quadrants') return fourQuadrants(x, y, rule);
  const min = rule.neighbor_function === 'min_distance' ? rule.min_neighbor_distance_px : 0;
  return freeDraw(x, y, C, K, min);
}

function freeDraw(x: Float64Array, y: Float64Array, C: number, K: number, min: number): GroupDraw {
  const grid = new NeighbourGrid(x, y);
  const found = new Int32Array(Math.min(K + 1, x.length));
  const tooFar = min > diagonal(x, y);
  const candidates = (seed: number) => {
    if (tooFar) return found.subarray(0, 0);
    if (min > 0) return found.subarray(0, grid.nearest(seed, Math.min(K, x.length), found, min));
    const count = grid.nearest(seed, found.length, found);
    return count > K ? found.subarray(1, count) : found.subarray(0, count);
  };
  return {
    candidates,
    draw(seed, rng, out, at) {
      const available = candidates(seed);
      if (available.length < C) return false;
      const chosen = rng.choice(available.length, C, false);
      for (let c = 0; c < C; c++) out[at + c] = available[chosen[c]];
      return true;
    },
    get advice() {
      return `no seed position has ${C} others at least min_neighbor_distance_px = ${min} away, the scan's diagonal is ${round(diagonal(x, y))} px: use a smaller distance`;
    },
  };
}

/** Of scan_pattern `rectangular`, in object pixels, as published: the row of a position, and how far to the sides members may lie. */
const ROWS = { before: 0.7, behind: 2, aside: 12 } as const;

/**
 * One member from each quadrant. The seed position itself stands in for a quadrant without candidates, may be drawn in any
 * other (but never twice in a group), and a position with two or more such quadrants is skipped. A position on the border
 * of two quadrants counts to the one it opens, going round, so that the four neighbours on a lattice fall into four quadrants.
 */
function fourQuadrants(x: Float64Array, y: Float64Array, rule: NeighbourRule): GroupDraw {
  const { min_neighbor_distance_px: min, max_neighbor_distance_px: max } = rule;
  const grid = new NeighbourGrid(x, y);
  const quadrantOf = rule.scan_pattern === 'rectangular' ? quadrantOfRows : quadrantOfAxes;
  const near = new Int32Array(Math.min(rule.quadrant_candidates + 1, x.length));
  const quadrants = Array.from({ length: 4 }, () => new Int32Array(near.length + 1));
  const sizes = new Int32Array(4);
  return {
    draw(seed, rng, out, at) {
      const count = grid.nearest(seed, near.length, near);
      sizes.fill(0);
      for (let i = 0; i < count; i++) {
        const j = near[i];
        const [dx, dy] = [x[j] - x[seed], y[j] - y[seed]];
        const d2 = dx * dx + dy * dy;
        if (j === seed || d2 === 0 || d2 < min * min || d2 >= max * max) continue;
        const q = quadrantOf(dx, dy);
        if (q === undefined) continue;
        quadrants[q][sizes[q]++] = j;
      }
      const empty = sizes.indexOf(0);
      if (empty >= 0 && sizes.indexOf(0, empty + 1) >= 0) return false;
      let centreIsFree = empty < 0;
      for (let q = 0; q < 4; q++) {
        // The seed position comes after the quadrant's own.
        const choices = sizes[q] + (centreIsFree || q === empty ? 1 : 0);
        const chosen = rng.interval(choices - 1);
        out[at + q] = chosen < sizes[q] ? quadrants[q][chosen] : seed;
        if (chosen === sizes[q]) centreIsFree = false;
      }
      return true;
    },
    get advice() {
      return `every seed position has two or more quadrants without a neighbour from ${min} to ${max} px away (min_neighbor_distance_px, max_neighbor_distance_px), the mean distance to the nearest is ${round(meanNearestDistance(x, y))} px: use a larger max_neighbor_distance_px`;
    },
  };
}

/** 0 top left, 1 top right, 2 bottom left, 3 bottom right; y points down. */
function quadrantOfAxes(dx: number, dy: number): number {
  if (dx < 0 && dy <= 0) return 0;
  if (dx >= 0 && dy < 0) return 1;
  if (dx <= 0 && dy > 0) return 2;
  return 3;
}

/** 0, 1 left and right in rows before that of the position, 2, 3 in its own row; undefined between, above and far aside. */
function quadrantOfRows(dx: number, dy: number): number | undefined {
  if (dx === 0 || Math.abs(dx) >= ROWS.aside) return undefined;
  const right = dx > 0 ? 1 : 0;
  if (dy < -ROWS.behind) return right;
  return dy > -ROWS.before && dy < ROWS.behind ? 2 + right : undefined;
}

function diagonal(x: Float64Array, y: Float64Array): number {
  return Math.hypot(spanOf(x), spanOf(y));
}

const round = (value: number): number => Number(value.toPrecision(4));
