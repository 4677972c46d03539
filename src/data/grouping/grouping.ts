/**
 * Groups: sets of C = gridsize² neighbouring scan positions that the network sees together.
 *
 * The choice of seeds, neighbours and members repeats, draw for draw, what NumPy's legacy generator gives the Python tools, so
 * that a seed means the same groups here and there (up to ties between equidistant neighbours, which go by index here).
 *
 * @example
 * const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: 512, neighbor_count: 7, seed: 42 });
 * groups.members.subarray(0, 4); // the four patterns of the first group
 */

import { invalidOption, PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { requireMemory } from '../../core/memoryBudget.js';
import { integers } from '../../core/numbers.js';
import { LegacyRng } from '../../core/rng.js';
import { counted } from '../../core/words.js';
import { type GroupDraw, groupDraw, type NeighbourOptions, neighbourRule } from './neighbourFunctions.js';

/**
 * Changes whenever equal options and positions would give other groups than before; part of what a cache of groups is
 * checked by.
 */
export const GROUPING_VERSION = 1;

/** Options of {@link groupScan}; names as in the configuration. */
export interface GroupingOptions extends NeighbourOptions {
  /** Patterns per group along each side: C = gridsize². */
  readonly gridsize: number;
  /** Groups wanted. */
  readonly n_groups: number;
  /** K: members are drawn from the K positions nearest to the group's seed position, the seed not among them. */
  readonly neighbor_count: number;
  /** Seed of the draws; 0 when left out, so that equal input always gives equal groups. */
  readonly seed?: number;
  /** Take the first `n_groups` positions as seeds instead of random ones (the members' draws then use seed 0). */
  readonly sequential?: boolean;
  /** Allow more groups than positions, from all combinations of the neighbours. */
  readonly enable_oversampling?: boolean;
  /** K for oversampling; `neighbor_count` when left out. */
  readonly neighbor_pool_size?: number;
  readonly logger?: Logger;
}

/** Groups as indices and coordinates in object pixels; [x, y] last, x = column, y = row. */
export interface Groups {
  readonly count: number;
  /** Members per group. */
  readonly C: number;
  /** (count, C): indices of the positions. */
  readonly members: Int32Array;
  /** (count, C, 2): the members' positions. */
  readonly coordsNn: Float64Array;
  /** (count, 2): the groups' centres, the mean of the members. */
  readonly coordsOffsets: Float64Array;
  /** (count, C, 2): centre − member. */
  readonly coordsRelative: Float64Array;
  /** The largest |coordsRelative| along any axis. */
  readonly maxRelative_px: number;
  /** Seed positions around which the neighbour function found no group (`min_distance`, `four_quadrants`). */
  readonly skipped: number;
}

/**
 * Forms groups of scan positions.
 *
 * gridsize 1: every group is one position. Larger: for each seed position, C members chosen by the neighbour function; with
 * more groups than positions (oversampling) combinations of neighbours are pooled and drawn from (`four_quadrants` instead
 * draws at every position again and again). Positions without a group are counted in `skipped` and reported.
 *
 * @param xcoords (n,) columns of the positions, object pixels
 * @param ycoords (n,) their rows, object pixels
 * @throws PtychoError GROUPING: fewer positions than members (a group larger than the data), K < C, more groups than
 * positions without `enable_oversampling` (OVERSAMPLING-001, in `fields.guard`), or no group at all; CONFIG_INVALID for
 * counts that are no positive integers and for neighbour options that do not fit.
 */
export function groupScan(xcoords: Float64Array, ycoords: Float64Array, options: GroupingOptions): Groups {
  const { gridsize, neighbor_count: K } = options;
  for (const name of ['gridsize', 'n_groups', 'neighbor_count', 'neighbor_pool_size'] as const) {
    const value = options[name];
    if (value === undefined && name === 'neighbor_pool_size') continue;
    if (!(Number.isInteger(value) && value! >= 1)) {
      throw invalidOption(name, `${name} must be a positive integer, got ${value}.`, value);
    }
  }
  const rule = neighbourRule(options, gridsize);
  requireRoom(options, xcoords.length);
  const n = xcoords.length;
  const C = gridsize * gridsize;
  if (n < C) {
    throw new PtychoError(
      'GROUPING',
      `A group of gridsize ${gridsize} needs ${C} scan positions, but the data hold ${n}; use a smaller gridsize, or more patterns (n_subsample is their number; left out, all are kept).`,
      { found: n, expected: C },
    );
  }
  const oversampling = options.n_groups > n && C > 1;
  const pool = oversampling ? (options.neighbor_pool_size ?? K) : K;
  if (oversampling) checkOversampling(n, C, options, pool);
  else if (K < C) throw tooFewNeighbours('neighbor_count', K, C, gridsize);
  const rng = new LegacyRng(options.sequential ? 0 : (options.seed ?? 0));
  if (C === 1) {
    if (options.n_groups > n) {
      options.logger?.warn(`${options.n_groups} groups were asked for, but gridsize 1 has one a pattern: ${n} groups.`);
    }
    return groupsFromMembers(chooseSeeds(n, options, rng), C, xcoords, ycoords);
  }
  const draw = groupDraw(xcoords, ycoords, C, pool, rule);
  const { members, skipped } = !oversampling
    ? drawAround(chooseSeeds(n, options, rng), C, draw, rng)
    : draw.candidates
      ? combinedGroups(n, C, pool, draw.candidates, options, rng)
      : drawRepeatedly(n, C, draw, options, rng);
  if (members.length === 0) {
    throw new PtychoError('GROUPING', `neighbor_function ${rule.neighbor_function} finds no group: ${draw.advice}.`, {
      key: 'neighbor_function',
      found: rule.neighbor_function,
    });
  }
  if (skipped > 0) {
    options.logger?.warn(
      `${skipped} positions have no group by neighbor_function ${rule.neighbor_function} and were skipped: ${members.length / C} groups.`,
    );
  }
  return groupsFromMembers(members, C, xcoords, ycoords, skipped);
}

/** Members, their positions, and twice the candidates that they are drawn from. @throws PtychoError OUT_OF_MEMORY */
function requireRoom({ n_groups, gridsize, logger }: GroupingOptions, n: number): void {
  const C = gridsize * gridsize;
  const count = C === 1 ? Math.min(n_groups, n) : n_groups;
  const bytes = count * (4 * C + 8 * (4 * C + 2) + (n_groups > n ? 16 * C : 0));
  requireMemory(bytes, `${counted(count, 'group')} of ${C}`, { remedy: 'ask for fewer (--n_groups)', logger });
}

function checkOversampling(n: number, C: number, options: GroupingOptions, pool: number): void {
  const { n_groups, gridsize } = options;
  if (!options.enable_oversampling) {
    throw new PtychoError(
      'GROUPING',
      `OVERSAMPLING-001: ${n_groups} groups were asked for, but there are ${n} scan positions; lower n_groups, or set enable_oversampling (with neighbor_pool_size > ${C}) to combine neighbours in several ways.`,
      { guard: 'OVERSAMPLING-001', found: n_groups, expected: n },
    );
  }
  if (pool < C) {
    throw tooFewNeighbours(
      options.neighbor_pool_size ? 'neighbor_pool_size' : 'neighbor_count',
      pool,
      C,
      gridsize,
      'OVERSAMPLING-001',
    );
  }
}

function tooFewNeighbours(name: string, K: number, C: number, gridsize: number, guard?: string): PtychoError {
  return new PtychoError(
    'GROUPING',
    `${guard ? `${guard}: ` : ''}${name} is ${K}, but a group of gridsize ${gridsize} has ${C} members to choose from it; set it to ${C} or more.`,
    { key: name, found: K, expected: C, guard },
  );
}

/** One seed position a group: random ones, or the first. */
function chooseSeeds(n: number, { n_groups, sequential }: GroupingOptions, rng: LegacyRng): Int32Array {
  const count = Math.min(n_groups, n);
  return !sequential && count < n ? rng.choice(n, count, false) : integers(count);
}

/** Members (groups, C) and the seed positions that had no group. */
interface Drawn {
  readonly members: Int32Array;
  readonly skipped: number;
}

/** One group around each seed position. */
function drawAround(seeds: Int32Array, C: number, { draw }: GroupDraw, rng: LegacyRng): Drawn {
  const members = new Int32Array(seeds.length * C);
  let at = 0;
  for (const seed of seeds) if (draw(seed, rng, members, at)) at += C;
  return { members: members.subarray(0, at), skipped: seeds.length - at / C };
}

/** More groups than positions: one group around every position, over again until there are enough; groups may repeat. */
function drawRepeatedly(
  n: number,
  C: number,
  { draw }: GroupDraw,
  { n_groups }: GroupingOptions,
  rng: LegacyRng,
): Drawn {
  const members = new Int32Array(n_groups * C);
  let at = 0;
  let skipped = 0;
  do {
    skipped = 0;
    for (let seed = 0; seed < n && at < members.length; seed++) {
      if (draw(seed, rng, members, at)) at += C;
      else skipped++;
    }
  } while (at > 0 && at < members.length);
  return { members: members.subarray(0, at), skipped };
}

/** More groups than positions: combinations of neighbours around a few seeds, twice as many as needed, and a draw from them. */
function combinedGroups(
  n: number,
  C: number,
  K: number,
  candidates: (seed: number) => Int32Array,
  options: GroupingOptions,
  rng: LegacyRng,
): Drawn {
  const wanted = options.n_groups;
  const leastSeeds = Math.max(1, Math.ceil(wanted / binomial(K, C)));
  const seedCount = Math.min(2 * leastSeeds, n);
  const seeds = !options.sequential && seedCount < n ? rng.choice(n, seedCount, false) : integers(seedCount);
  const pool: number[] = [];
  let skipped = 0;
  for (const seed of seeds) {
    const available = candidates(seed);
    if (available.length < C) skipped++;
    for (const group of combinations(available, C)) {
      pool.push(...group);
      if (pool.length >= 2 * wanted * C) break;
    }
    if (pool.length >= 2 * wanted * C) break;
  }
  const pooled = pool.length / C;
  if (pooled === 0) return { members: new Int32Array(0), skipped };
  if (pooled < wanted) {
    options.logger?.warn(
      `${wanted} groups were asked for, but the neighbours combine in ${pooled} ways: some groups repeat; a larger neighbor_pool_size gives more.`,
    );
  }
  const members = new Int32Array(wanted * C);
  rng.choice(pooled, wanted, pooled < wanted).forEach((from, g) => {
    for (let c = 0; c < C; c++) members[g * C + c] = pool[from * C + c];
  });
  return { members, skipped };
}

/** Choices of C out of a list, in lexicographic order of the places in it. */
function* combinations(list: Int32Array, C: number): Generator<number[]> {
  if (list.length < C) return;
  const places = Array.from({ length: C }, (_, i) => i);
  for (;;) {
    yield places.map((p) => list[p]);
    let i = C - 1;
    while (i >= 0 && places[i] === list.length - C + i) i--;
    if (i < 0) return;
    places[i]++;
    for (let j = i + 1; j < C; j++) places[j] = places[j - 1] + 1;
  }
}

function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return result;
}

/**
 * The groups that `members` names, with their coordinates.
 * @param members (count, C) indices of positions.
 * @param x,y (n,) positions in object pixels.
 */
export function groupsFromMembers(
  members: Int32Array,
  C: number,
  x: Float64Array,
  y: Float64Array,
  skipped = 0,
): Groups {
  const count = members.length / C;
  const coordsNn = new Float64Array(count * C * 2);
  const coordsOffsets = new Float64Array(count * 2);
  const coordsRelative = new Float64Array(count * C * 2);
  let maxRelative_px = 0;
  for (let g = 0; g < count; g++) {
    for (const [axis, coords] of [x, y].entries()) {
      let sum = 0;
      for (let c = 0; c < C; c++) {
        const value = coords[members[g * C + c]];
        coordsNn[(g * C + c) * 2 + axis] = value;
        sum += value;
      }
      const centre = sum / C;
      coordsOffsets[g * 2 + axis] = centre;
      for (let i = g * C * 2 + axis; i < (g + 1) * C * 2; i += 2) {
        coordsRelative[i] = centre - coordsNn[i];
        maxRelative_px = Math.max(maxRelative_px, Math.abs(coordsRelative[i]));
      }
    }
  }
  return { count, C, members, coordsNn, coordsOffsets, coordsRelative, maxRelative_px, skipped };
}
