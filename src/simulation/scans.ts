/**
 * Scan patterns: positions in object pixels, x along columns and y along rows.
 *
 * @example
 * const { xs, ys } = makeScan('jittered_raster', { rows: 224, cols: 224, side: 64, stepPx: 5, seed: 1 });
 */

import { PtychoError } from '../core/errors.js';
import { extentOf } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';

/** Every kind that {@link makeScan} knows. */
export const SCAN_KINDS = ['jittered_raster', 'fermat_spiral', 'concentric', 'random'] as const;

/** One of {@link SCAN_KINDS}. */
export type ScanKind = (typeof SCAN_KINDS)[number];

/** Options of a scan over an object. */
export interface ScanOptions {
  /** Rows and columns of the object. */
  readonly rows: number;
  readonly cols: number;
  /** N: positions keep N/2 + 1 pixels from every edge, so that whole patches lie inside the object. */
  readonly side: number;
  /** In place of N/2 + 1; below N/2 patches reach beyond the object, which is dark there. */
  readonly margin_px?: number;
  /** Mean distance of neighbours: each position stands for stepPx² of area. */
  readonly stepPx: number;
  /** Of jitter, of random positions, and of the turn of concentric rings. */
  readonly seed?: number;
  /** Largest shift by jitter along each axis, in steps (default 0.3). */
  readonly jitter?: number;
}

/** Scan positions in the order of measurement. */
export interface ScanPositions {
  readonly xs: Float64Array;
  readonly ys: Float64Array;
}

/**
 * Positions by the kind of scan.
 * @throws PtychoError CONFIG_INVALID for a kind that is not known, a step that is not positive, or an object too small
 */
export function makeScan(kind: ScanKind, options: ScanOptions): ScanPositions {
  switch (kind) {
    case 'jittered_raster':
      return jitteredRaster(options);
    case 'fermat_spiral':
      return fermatSpiral(options);
    case 'concentric':
      return concentricRings(options);
    case 'random':
      return randomPositions(options);
    default:
      throw new PtychoError('CONFIG_INVALID', `There is no scan '${kind}'; choose one of ${SCAN_KINDS.join(', ')}.`, {
        key: 'scan',
        found: kind,
        expected: SCAN_KINDS,
      });
  }
}

/** A raster, row by row, each position moved by up to ±jitter steps along x and y; held within the margins. */
export function jitteredRaster(options: ScanOptions): ScanPositions {
  const { stepPx, seed = 0, jitter = 0.3 } = options;
  const region = scanRegion(options);
  const rng = new LegacyRng(seed);
  const xs: number[] = [];
  const ys: number[] = [];
  const across = gridLine(region.left, region.right, stepPx);
  for (const y of gridLine(region.top, region.bottom, stepPx)) {
    for (const x of across) {
      const dx = rng.uniform(-jitter, jitter) * stepPx;
      const dy = rng.uniform(-jitter, jitter) * stepPx;
      xs.push(Math.min(region.right, Math.max(region.left, x + dx)));
      ys.push(Math.min(region.bottom, Math.max(region.top, y + dy)));
    }
  }
  return { xs: Float64Array.from(xs), ys: Float64Array.from(ys) };
}

/** A Fermat spiral, outward from the centre: radius = stepPx·√((k+½)/π), angle = k golden angles; even density, no lattice. */
export function fermatSpiral(options: ScanOptions): ScanPositions {
  const region = scanRegion(options);
  const golden = Math.PI * (3 - Math.sqrt(5));
  const centreX = (region.left + region.right) / 2;
  const centreY = (region.top + region.bottom) / 2;
  const reach = Math.hypot(region.right - centreX, region.bottom - centreY);
  const xs: number[] = [];
  const ys: number[] = [];
  for (let k = 0; ; k++) {
    const radius = options.stepPx * Math.sqrt((k + 0.5) / Math.PI);
    if (radius > reach) break;
    const x = centreX + radius * Math.cos(k * golden);
    const y = centreY + radius * Math.sin(k * golden);
    if (x < region.left || x > region.right || y < region.top || y > region.bottom) continue;
    xs.push(x);
    ys.push(y);
  }
  return { xs: Float64Array.from(xs), ys: Float64Array.from(ys) };
}

/** Rings around the centre, a step apart, each with ⌊2πk⌉ positions evenly spread from a random start. */
export function concentricRings(options: ScanOptions): ScanPositions {
  const { stepPx, seed = 0 } = options;
  const region = scanRegion(options);
  const rng = new LegacyRng(seed);
  const centreX = (region.left + region.right) / 2;
  const centreY = (region.top + region.bottom) / 2;
  const reach = Math.hypot(region.right - centreX, region.bottom - centreY);
  const xs = [centreX];
  const ys = [centreY];
  for (let k = 1; k * stepPx <= reach; k++) {
    const count = Math.round(2 * Math.PI * k);
    const start = rng.uniform(0, 2 * Math.PI);
    for (let i = 0; i < count; i++) {
      const angle = start + (2 * Math.PI * i) / count;
      const x = centreX + k * stepPx * Math.cos(angle);
      const y = centreY + k * stepPx * Math.sin(angle);
      if (x < region.left || x > region.right || y < region.top || y > region.bottom) continue;
      xs.push(x);
      ys.push(y);
    }
  }
  return { xs: Float64Array.from(xs), ys: Float64Array.from(ys) };
}

/** Positions drawn evenly over the region, area/stepPx² of them: as in the published simulation, with gaps and clusters. */
export function randomPositions(options: ScanOptions): ScanPositions {
  const { stepPx, seed = 0 } = options;
  const region = scanRegion(options);
  const rng = new LegacyRng(seed);
  const area = (region.right - region.left) * (region.bottom - region.top);
  const count = Math.max(1, Math.round(area / stepPx ** 2));
  const xs = Float64Array.from({ length: count }, () => rng.uniform(region.left, region.right));
  const ys = Float64Array.from({ length: count }, () => rng.uniform(region.top, region.bottom));
  return { xs, ys };
}

/**
 * Where the beam really was: every position moved by normal errors of the given standard deviation along x and along y, held where
 * whole patches lie inside the object.
 * @param rmsPx object pixels
 */
export function withPositionErrors(
  { xs, ys }: ScanPositions,
  rmsPx: number,
  options: Pick<ScanOptions, 'rows' | 'cols' | 'side'> & { readonly seed: number },
): ScanPositions {
  const { rows, cols, side } = options;
  const rng = new LegacyRng(options.seed);
  const half = Math.floor(side / 2);
  const moved = (value: number, length: number) => {
    // A nominal position that is itself nearer to the edge stays free to go there.
    const [low, high] = [Math.min(half, value), Math.max(length - half, value)];
    return Math.min(high, Math.max(low, value + rng.normal(0, rmsPx)));
  };
  const moves = Array.from(xs, (x, i) => [moved(x, cols), moved(ys[i], rows)]);
  return { xs: Float64Array.from(moves, ([x]) => x), ys: Float64Array.from(moves, ([, y]) => y) };
}

/**
 * Positions from elsewhere on an object: as they are where whole patches (or the given margin) fit, otherwise, and for positions whose
 * origin is that of a stage, with the middle of their range on the middle of the object.
 * @throws PtychoError DATASET_VALUE where they do not fit however they are moved
 */
export function placeOnObject(
  positions: ScanPositions,
  options: Omit<ScanOptions, 'stepPx'>,
  fromStage = false,
): ScanPositions {
  const { rows, cols, side } = options;
  // Patches must lie inside; the one pixel more that scans keep is not asked of others' positions.
  const region = scanRegion({ ...options, margin_px: options.margin_px ?? Math.floor(side / 2), stepPx: 1 });
  const place = (values: Float64Array, low: number, high: number, name: string): readonly [number, number] => {
    const [least, most] = extentOf(values);
    if (!(most - least <= high - low)) {
      throw new PtychoError(
        'DATASET_VALUE',
        `The positions span ${(most - least).toFixed(1)} pixels along ${name}, but patterns of ${side}×${side} fit on an object of ${rows}×${cols} pixels over ${high - low} only; take a larger object, or let patterns reach beyond it with a smaller buffer_px.`,
        { key: 'positions_file', rows, cols, side },
      );
    }
    return [least >= low && most <= high && !fromStage ? 0 : 1, (low + high - least - most) / 2];
  };
  const [movesX, dx] = place(positions.xs, region.left, region.right, 'x');
  const [movesY, dy] = place(positions.ys, region.top, region.bottom, 'y');
  if (!(movesX || movesY)) return positions;
  return { xs: positions.xs.map((x) => x + dx), ys: positions.ys.map((y) => y + dy) };
}

/** The step that puts about `count` positions on an object: √(area / count). */
export function stepForCount(options: Omit<ScanOptions, 'stepPx'>, count: number): number {
  const region = scanRegion({ ...options, stepPx: 1 });
  return Math.sqrt(((region.right - region.left) * (region.bottom - region.top)) / count);
}

function scanRegion(options: ScanOptions) {
  const { rows, cols, side, stepPx } = options;
  const margin = options.margin_px ?? Math.floor(side / 2) + 1;
  if (!(margin >= 0)) {
    throw new PtychoError('CONFIG_INVALID', `The margin of a scan must be a number of pixels from 0, got ${margin}.`, {
      key: 'buffer_px',
      found: margin,
    });
  }
  const region = { top: margin, bottom: rows - margin, left: margin, right: cols - margin };
  if (!(stepPx > 0)) {
    throw new PtychoError('CONFIG_INVALID', `The scan step must be a positive number of pixels, got ${stepPx}.`, {
      key: 'step',
      found: stepPx,
    });
  }
  if (region.bottom < region.top || region.right < region.left) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `An object of ${rows}×${cols} pixels is too small to be scanned with ${side}×${side} patterns; it needs at least ${2 * margin} pixels a side.`,
      { rows, cols, side },
    );
  }
  return region;
}

/** Points a step apart, centred between two ends. */
function gridLine(from: number, to: number, step: number): number[] {
  const count = Math.floor((to - from) / step) + 1;
  const start = (from + to - (count - 1) * step) / 2;
  return Array.from({ length: count }, (_, i) => start + i * step);
}
