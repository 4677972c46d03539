/**
 * Scan patterns: positions in object pixels, x along columns and y along rows.
 *
 * @example
 * const { xs, ys } = makeScan('jittered_raster', { rows: 224, cols: 224, side: 64, stepPx: 5, seed: 1 });
 */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';

/** Every kind that {@link makeScan} knows. */
export const SCAN_KINDS = ['jittered_raster', 'fermat_spiral'] as const;

/** One of {@link SCAN_KINDS}. */
export type ScanKind = (typeof SCAN_KINDS)[number];

/** Options of a scan over an object. */
export interface ScanOptions {
  /** Rows and columns of the object. */
  readonly rows: number;
  readonly cols: number;
  /** N: positions keep N/2 + 1 pixels from every edge, so that whole patches lie inside the object. */
  readonly side: number;
  /** Mean distance of neighbours: each position stands for stepPx² of area. */
  readonly stepPx: number;
  /** Used by jittered scans. */
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

/** The step that puts about `count` positions on an object: √(area / count). */
export function stepForCount(options: Omit<ScanOptions, 'stepPx'>, count: number): number {
  const region = scanRegion({ ...options, stepPx: 1 });
  return Math.sqrt(((region.right - region.left) * (region.bottom - region.top)) / count);
}

function scanRegion(options: ScanOptions) {
  const { rows, cols, side, stepPx } = options;
  const margin = Math.floor(side / 2) + 1;
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
