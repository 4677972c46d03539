/**
 * Raster scans: positions from the number of rows and columns and the step, or from one vector for each axis.
 *
 * @example
 * rasterPositions([40, 60], '20nm').x; // 0, 2e-8, 4e-8, … 40 times
 */
import { PtychoError } from '../../core/errors.js';
import type { StoredPositions } from '../scanFile.js';
import { lengthUnit } from './geometry.js';

/** A step along rows (y) and columns (x), in object pixels or metres. */
export interface ScanStep {
  readonly y: number;
  readonly x: number;
  readonly unit: 'px' | 'm';
}

/**
 * Reads `5px`, `20nm`, `0.5A`, `1e-9m`, or two with a comma, y and x: `20nm,25nm`; `20,25nm` has one unit for both.
 * @throws PtychoError CONFIG_INVALID
 */
export function parseScanStep(text: string): ScanStep {
  const fail = (why: string) =>
    new PtychoError(
      'CONFIG_INVALID',
      `scan_step is "${text.slice(0, 40)}", ${why}; write a length with its unit (px, m, mm, um, nm, A, pm), such as 20nm, or two, y and x: 20nm,25nm.`,
      { key: 'scan_step', found: text },
    );
  const parts = text.split(',').map((part) => /^\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([^\d\s]*)\s*$/i.exec(part));
  if (parts.length > 2 || parts.includes(null)) throw fail('which is no length');
  const units = parts.map((part) => part![2]);
  const steps = parts.map((part, i) => {
    const value = Number(part![1]);
    const unit = units[i] || units.at(-1)!;
    if (unit === '') throw fail('which has no unit');
    const factor = lengthUnit(unit);
    if (factor === undefined) throw fail(`and "${unit}" is no unit of length`);
    if (!(value !== 0 && Number.isFinite(value))) throw fail('which is no step');
    return factor === 'px' ? { value, unit: 'px' as const } : { value: value * factor, unit: 'm' as const };
  });
  const [y, x = y] = steps;
  if (x.unit !== y.unit) throw fail('of which one is in pixels and the other is a length');
  return { y: y.value, x: x.value, unit: y.unit };
}

/**
 * Positions of a raster whose columns (x) move fastest, from (0, 0) on; as many as rows times columns, whatever the number of
 * frames: frames beyond them (fly-back) must have been taken out before the two are paired.
 * @throws PtychoError CONFIG_INVALID for a shape or step that is none.
 */
export function rasterPositions(shape: readonly [number, number], step: string | ScanStep): StoredPositions {
  const [rows, columns] = shape;
  checkScanShape(shape);
  const { x, y, unit } = typeof step === 'string' ? parseScanStep(step) : step;
  const count = rows * columns;
  return {
    x: Float64Array.from({ length: count }, (_, i) => (i % columns) * x),
    y: Float64Array.from({ length: count }, (_, i) => Math.floor(i / columns) * y),
    unit,
    origin: { path: `the raster of ${rows} × ${columns} (scan_shape)` },
  };
}

/** A million rows of a thousand columns and the like are no scans. */
const MOST_POSITIONS = 1e8;

/** @throws PtychoError CONFIG_INVALID */
export function checkScanShape([rows, columns]: readonly [number, number]): void {
  const whole = Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0;
  if (whole && rows * columns <= MOST_POSITIONS) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `scan_shape must be two positive whole numbers, rows and columns of the raster such as 40,60, got ${rows},${columns}.`,
    { key: 'scan_shape', found: [rows, columns] },
  );
}

/**
 * Positions where a file has one vector for each axis of the raster: one x for each column, one y for each row, or the other
 * way round where only that fits. Others are handed back as they are.
 */
export function crossedAxes(
  positions: StoredPositions,
  raster: readonly [number, number] | undefined,
): StoredPositions {
  const { x, y } = positions;
  if (raster === undefined) return positions;
  const [rows, columns] = raster;
  const count = rows * columns;
  if (x.length === count && y.length === count) return positions;
  const fast = (values: Float64Array) => Float64Array.from({ length: count }, (_, i) => values[i % columns]);
  const slow = (values: Float64Array) =>
    Float64Array.from({ length: count }, (_, i) => values[Math.floor(i / columns)]);
  if (x.length === columns && y.length === rows) return { ...positions, x: fast(x), y: slow(y) };
  // Rasters whose first axis is x, as NXcxi_ptycho has them.
  if (x.length === rows && y.length === columns) return { ...positions, x: slow(x), y: fast(y) };
  return positions;
}
