/**
 * The three overlap averages of scan positions: how much of the lit discs neighbouring patterns share. Definitions:
 * docs/study.md, "Overlap metrics".
 */
import { PtychoError } from '../core/errors.js';
import { NeighbourGrid } from '../data/grouping/neighbours.js';

/**
 * Share of a disc of diameter D that lies in an equal one at distance d: f = (2R² acos(d/2R) − (d/2)√(4R² − d²)) / (πR²), R = D/2;
 * 0 from d = D on.
 * @throws PtychoError CONFIG_INVALID for a diameter that is not positive, or a distance below 0
 *
 * @example
 * discOverlap(5, 10); // 0.391002…
 */
export function discOverlap(distance_px: number, diameter_px: number): number {
  requireDiameter(diameter_px);
  if (!(distance_px >= 0)) {
    throw new PtychoError('CONFIG_INVALID', `A distance must be a number of pixels from 0, got ${distance_px}.`, {
      key: 'distance_px',
      found: distance_px,
    });
  }
  return share(distance_px, diameter_px);
}

/** @throws PtychoError CONFIG_INVALID */
export function requireDiameter(diameter_px: number): void {
  if (diameter_px > 0 && Number.isFinite(diameter_px)) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `probe_diameter_px must be a positive number of object pixels, got ${diameter_px}.`,
    { key: 'probe_diameter_px', found: diameter_px },
  );
}

function share(d: number, D: number): number {
  if (d >= D) return 0;
  const R = D / 2;
  return (2 * R * R * Math.acos(d / D) - (d / 2) * Math.sqrt(4 * R * R - d * d)) / (Math.PI * R * R);
}

/** Positions, object pixels. */
export interface Positions {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Groups of equal size as indices of positions, (count, C). */
export interface IndexGroups {
  readonly members: Int32Array;
  readonly C: number;
}

/** Metric 1 on given groups, the central image of each first: mean of f from it to the others of its group, mean over groups. */
export function centralOverlap({ x, y }: Positions, { members, C }: IndexGroups, diameter_px: number): number {
  let sum = 0;
  const count = members.length / C;
  for (let g = 0; g < count; g++) {
    const centre = members[g * C];
    let own = 0;
    for (let c = 1; c < C; c++) {
      const other = members[g * C + c];
      own += share(Math.hypot(x[other] - x[centre], y[other] - y[centre]), diameter_px);
    }
    sum += own / (C - 1);
  }
  return sum / count;
}

/**
 * Each sample and its K nearest other images, the sample first: what {@link centralOverlap} takes. Fewer than K others: all.
 * @param samples indices of positions
 */
export function nearestGroups({ x, y }: Positions, samples: Int32Array, K: number): IndexGroups {
  const C = Math.min(K + 1, x.length);
  const grid = new NeighbourGrid(x, y);
  const members = new Int32Array(samples.length * C);
  samples.forEach((sample, k) => {
    grid.nearest(sample, C, members.subarray(k * C, (k + 1) * C));
  });
  return { members, C };
}

/** Positions without repetitions of exactly the same (x, y), in order of first occurrence. */
export function uniquePositions({ x, y }: Positions): Positions {
  const seen = new Set<string>();
  const first = Int32Array.from(x.keys()).filter((i) => {
    // Adding 0 makes −0 the same place as 0.
    const key = `${x[i] + 0},${y[i] + 0}`;
    return seen.has(key) ? false : seen.add(key);
  });
  return { x: Float64Array.from(first, (i) => x[i]), y: Float64Array.from(first, (i) => y[i]) };
}

/** Metric 2 on positions without repetitions: mean f of each to its K nearest others, mean over all; 0 for a single one. */
export function imageOverlap(unique: Positions, K: number, diameter_px: number): number {
  if (unique.x.length < 2) return 0;
  const all = Int32Array.from(unique.x.keys());
  return centralOverlap(unique, nearestGroups(unique, all, K), diameter_px);
}

/** Centres of groups: the mean position of their members. */
export function groupCentres({ x, y }: Positions, { members, C }: IndexGroups): Positions {
  const count = members.length / C;
  const mean = (values: Float64Array) =>
    Float64Array.from({ length: count }, (_, g) => {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += values[members[g * C + c]];
      return sum / C;
    });
  return { x: mean(x), y: mean(y) };
}

/** Metric 3: mean f of each centre to all others nearer than D (0 where there are none), mean over centres. */
export function centreOverlap({ x, y }: Positions, diameter_px: number): number {
  const order = Int32Array.from(x.keys()).sort((a, b) => x[a] - x[b]);
  const sums = new Float64Array(x.length);
  const counts = new Int32Array(x.length);
  for (let i = 0; i < order.length; i++) {
    const a = order[i];
    // Sorted along x, so that only a strip of width D is looked at.
    for (let j = i + 1; j < order.length && x[order[j]] - x[a] < diameter_px; j++) {
      const b = order[j];
      const d = Math.hypot(x[b] - x[a], y[b] - y[a]);
      if (d >= diameter_px) continue;
      const f = share(d, diameter_px);
      for (const k of [a, b]) {
        sums[k] += f;
        counts[k]++;
      }
    }
  }
  return sums.reduce((sum, own, k) => sum + (counts[k] === 0 ? 0 : own / counts[k]), 0) / x.length;
}
