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
 * Refuses more tiles than a scan has patterns.
 * @throws PtychoError CONFIG_INVALID
 */
export function requireTileCount(source: string, patterns: number, of: number): void {
  if (of <= patterns) return;
  throw new PtychoError('CONFIG_INVALID', `${source} has ${patterns} patterns, too few for ${of} tiles; make fewer.`, {
    found: of,
    expected: patterns,
  });
}

/**
 * One of several tiles of a scan, which all have equally many patterns of their own.
 * @param raw the whole scan, looked through by `surveyScan`; the tile reads from it
 * @param margin_px patterns within so many pixels of its own are taken, too; the radius of the probe where not given
 * @throws PtychoError CONFIG_INVALID for more tiles than patterns
 */
export function tileOf(raw: RawData, part: PartOfMany, margin_px = usualMargin_px(raw)): ScanTile {
  const { xcoords, ycoords } = raw;
  requireTileCount(raw.source, raw.count, part.of);
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

/**
 * Into how many parts patterns fall whose light does not touch. Nothing tells the phase of one part against another.
 * @param raw a scan or a tile of one; the light of a pattern reaches as far as the radius of the probe
 */
function partsThatTouch(raw: RawData): number {
  const { xcoords: xs, ycoords: ys } = raw;
  const reach = 2 * usualMargin_px(raw);
  // All of a cell are within reach of each other.
  const side = reach / Math.SQRT2;
  const cells = new Map<string, { readonly y: number; readonly x: number; readonly members: number[] }>();
  for (let k = 0; k < xs.length; k++) {
    const [y, x] = [Math.floor(ys[k] / side), Math.floor(xs[k] / side)];
    const cell = cells.get(`${y},${x}`);
    if (cell) cell.members.push(k);
    else cells.set(`${y},${x}`, { y, x, members: [k] });
  }
  const left = new Set(cells.keys());
  let parts = 0;
  for (const start of cells.keys()) {
    if (!left.delete(start)) continue;
    parts++;
    const waiting = [start];
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
      const { y, x, members } = cells.get(key) as { y: number; x: number; members: number[] };
      for (let i = 0; i < 25; i++) {
        const next = `${y + Math.floor(i / 5) - 2},${x + (i % 5) - 2}`;
        if (!left.has(next)) continue;
        const others = cells.get(next)?.members ?? [];
        if (!members.some((a) => others.some((b) => Math.hypot(xs[a] - xs[b], ys[a] - ys[b]) <= reach))) continue;
        left.delete(next);
        waiting.push(next);
      }
    }
  }
  return parts;
}

/** What to say of a tile that falls into parts; undefined for one that does not. */
export function doubtOfTile(tile: RawData, { index, of }: PartOfMany): string | undefined {
  const parts = partsThatTouch(tile);
  if (parts === 1) return undefined;
  return `The patterns of tile ${index} of ${of} fall into ${parts} parts whose light does not touch, so nothing tells the phase of one against another, and the image may have false steps of phase: solve such parts as scans of their own, or cut the scan into other tiles.`;
}

/** Then the outermost of its own patterns are seen from all sides. */
const usualMargin_px = ({ probeGuess, N }: RawData): number => (probeGuess ? probeRadius_px(probeGuess) : N / 4);
