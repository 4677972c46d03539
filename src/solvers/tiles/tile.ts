/**
 * A tile of a scan: the patterns of a compact region, and those around it, so that the edge of the region is seen from all sides. Tiles are
 * solved on their own, by processes of their own, and put together afterwards.
 *
 * @example
 * const tiles = [1, 2, 3, 4].map((index) => tileOf(raw, { index, of: 4 }));
 * const solved = await Promise.all(tiles.map(({ raw, own }) => runSolver(raw, options).then((one) => ({ ...one, own }))));
 * const { image, frame, probe } = stitchTiles(solved);
 */
import { PtychoError } from '../../core/errors.js';
import { extentOf, valuesAt } from '../../core/numbers.js';
import { selectPatterns } from '../../data/findings/survey.js';
import { cutByPosition, type PartOfMany } from '../../data/grouping/cutByPosition.js';
import type { RawData } from '../../data/rawData.js';
import { probeRadius_px } from '../probe.js';

/** Some patterns of a scan as a scan. */
export interface ScanTile {
  readonly raw: RawData;
  /** Which of its patterns are its own; the others are around it. */
  readonly own: Int32Array;
  /** (count,) which patterns of the whole scan it has, ascending. */
  readonly rows: Int32Array;
  /** How far around its own positions patterns were taken. */
  readonly margin_px: number;
}

/**
 * One of several tiles of a scan, which all have equally many patterns of their own.
 * @param raw the whole scan, looked through by `surveyScan`; the tile reads from it
 * @param margin_px patterns within so many pixels of its own are taken, too; the radius of the probe where not given
 * @throws PtychoError CONFIG_INVALID for more tiles than patterns
 */
export function tileOf(raw: RawData, part: PartOfMany, margin_px = usualMargin_px(raw)): ScanTile {
  const { xcoords, ycoords } = raw;
  if (part.of > raw.count) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${raw.source} has ${raw.count} patterns, too few for ${part.of} tiles; make fewer.`,
      { found: part.of, expected: raw.count },
    );
  }
  const own = cutByPosition(xcoords, ycoords, part.of)[part.index - 1];
  const [left, right] = extentOf(valuesAt(xcoords, own));
  const [top, bottom] = extentOf(valuesAt(ycoords, own));
  const near = (value: number, low: number, high: number) => value >= low - margin_px && value <= high + margin_px;
  const rows = Int32Array.from(xcoords.keys()).filter(
    (k) => near(xcoords[k], left, right) && near(ycoords[k], top, bottom),
  );
  const mine = new Set(own);
  return {
    raw: selectPatterns(raw, rows),
    own: Int32Array.from(rows.keys()).filter((k) => mine.has(rows[k])),
    rows,
    margin_px,
  };
}

/** Then the outermost of its own patterns are seen from all sides. */
const usualMargin_px = ({ probeGuess, N }: RawData): number => (probeGuess ? probeRadius_px(probeGuess) : N / 4);
