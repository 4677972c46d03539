/**
 * Metres and pixels of an object's array, as Ptychodus lays them: the middle of the array lies at the object's centre, so that
 * x_px = (x_m − centre_m)/pixel_m + width/2, and the same for y. No axis changes its sign.
 *
 * @example
 * const grid = { pixel_m: { x: 1e-8, y: 1e-8 }, centre_m: { x: 0, y: 0 }, width: 200, height: 100 };
 * toPixels(grid).x(5e-8); // 105
 * toMetres(grid).x(105); // 5e-8
 */
import type { Pair } from './scanGeometry.js';

/** Where an array of object pixels lies. */
export interface ObjectGrid {
  readonly pixel_m: Pair;
  /** Position of the array's middle. */
  readonly centre_m: Pair;
  /** Columns and rows. */
  readonly width: number;
  readonly height: number;
}

/** One conversion for x (columns) and one for y (rows). */
export interface Converters {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

/** Metres to pixels of the array. */
export function toPixels({ pixel_m, centre_m, width, height }: ObjectGrid): Converters {
  return {
    x: (value) => (value - centre_m.x) / pixel_m.x + width / 2,
    y: (value) => (value - centre_m.y) / pixel_m.y + height / 2,
  };
}

/** Pixels of the array to metres: the reverse of {@link toPixels}. */
export function toMetres({ pixel_m, centre_m, width, height }: ObjectGrid): Converters {
  return {
    x: (value) => (value - width / 2) * pixel_m.x + centre_m.x,
    y: (value) => (value - height / 2) * pixel_m.y + centre_m.y,
  };
}
