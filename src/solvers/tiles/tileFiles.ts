/** Tiles as files: `reconstruction.npz` of a solver, with what it says of itself as a tile; and the image of all of them. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { SolverOptions } from '../../config/schemas/solver.js';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type PartOfMany, requireAllParts } from '../../data/grouping/cutByPosition.js';
import { readText } from '../../data/metadata.js';
import type { RawData } from '../../data/rawData.js';
import type { NpyInput } from '../../formats/npyWrite.js';
import { type NpzFile, usingNpz } from '../../formats/npz.js';
import { textArray } from '../../formats/outputFiles.js';
import { type ScanFingerprint, scanFingerprint } from '../../persistence/runState.js';
import { readReconstruction } from '../../reconstruction/reconstructionFile.js';
import { type SolvedTile, type StitchedTiles, stitchTiles, type TilesApart } from './stitchTiles.js';
import { doubtOfTile, tileOf } from './tile.js';

const KEY = 'tile';
const RESULT = 'reconstruction.npz';

const headSchema = z.strictObject({
  format: z.literal('ptychopinn-tile'),
  version: z.literal(1),
  index: z.int().positive(),
  of: z.int().positive(),
  margin_px: z.number().nonnegative(),
  /** Of the whole scan, by its parts. */
  scan: z.record(z.string(), z.string()),
  options: z.record(z.string(), z.unknown()),
  /** Epochs that are done. */
  epochs: z.int().nonnegative(),
});

/** What a tile says of itself. */
export type TileHead = Readonly<z.output<typeof headSchema>>;

/** The arrays by which a result is known as that of a tile. */
export const tileArrays = (head: Omit<TileHead, 'format' | 'version'>): Record<string, NpyInput> => ({
  [KEY]: textArray(JSON.stringify({ format: 'ptychopinn-tile', version: 1, ...head })),
});

/** Of the whole scan; probes may differ, a tile may have begun with another. */
export async function wholeFingerprint(raw: RawData): Promise<ScanFingerprint> {
  const { probe: _, ...parts } = await scanFingerprint(raw);
  return parts;
}

/**
 * Refuses options that a tile cannot have, because what they give is not put together.
 * @param scans how many are solved together
 * @throws PtychoError CONFIG_INVALID
 */
export function requireTileOptions(
  { slices, opr_modes, background, affine, centre_probe }: SolverOptions,
  scans: number,
): void {
  const given = { share: scans > 1, slices: slices > 1, opr_modes: opr_modes > 0, background: background !== 'none', affine, centre_probe }; // biome-ignore format: one line
  const name = Object.entries(given).find(([, on]) => on)?.[0];
  if (name === undefined) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${name} does not go with tiles, because what it gives cannot be put together from parts: leave it out, or solve the whole scan.`,
    { key: name },
  );
}

/** The image of all tiles, and what they have in common. */
export interface MergedTiles extends StitchedTiles {
  readonly tiles: number;
  /** What is doubtful of the image, a sentence each. */
  readonly doubts: readonly string[];
  /** The file of the first one. */
  readonly file: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly epochs: number;
  /** (count,) of the scan, where the tiles corrected them. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/**
 * Puts the tiles of a scan together.
 * @param raw the whole scan, opened as the tiles opened it
 * @param named folders of the tiles, or a folder that holds these
 * @param asked options of the solver that were given for the image, by name, which must be those of the tiles; `tile_margin_px` is one
 * @throws PtychoError FILE_NOT_FOUND for a tile that is missing, CONFIG_INVALID for one of another scan or with other options, or that was
 * stopped early, FILE_FORMAT
 */
export async function mergeTiles(
  raw: RawData,
  named: readonly string[],
  asked: Readonly<Record<string, unknown>> = {},
): Promise<MergedTiles> {
  const scan = await wholeFingerprint(raw);
  const found = new Map<number, FoundTile>();
  let first: FoundTile | undefined;
  for (const folder of await tileFolders(named)) {
    const file = path.join(folder, RESULT);
    if (!existsSync(file)) throw noTile(file);
    const tile = { file, head: await usingNpz(file, readHead) };
    requireSame(tile, scan, raw.source, first);
    requireAsked(tile, asked);
    const twice = found.get(tile.head.index);
    if (twice)
      throw wrong(file, `is tile ${tile.head.index} of ${tile.head.of}, as is ${twice.file}; name every tile once`);
    first ??= tile;
    found.set(tile.head.index, tile);
  }
  if (!first) throw new PtychoError('USAGE', 'There are no tiles to make an image of; name their folders.', {});
  const { of, options, epochs } = first.head;
  requireAllParts('tile', of, found);
  const parts = [...found.values()].sort((a, b) => a.head.index - b.head.index);
  const tiles = await Promise.all(parts.map((tile) => readTile(tile, raw)));
  const stitched = stitchTiles(tiles);
  const moved = tiles.some(({ corrected }) => corrected);
  return {
    ...stitched,
    doubts: [...tiles.flatMap(({ doubt }) => doubt ?? []), ...doubtsOf(stitched.apart)],
    tiles: of,
    file: first.file,
    options,
    epochs,
    ...(moved && { positions: positionsOf(raw, tiles, stitched) }),
  };
}

/** Tiles that differ by more than this are not of one object. */
const FAR_APART = 0.5;

function doubtsOf({ after, withRamps }: TilesApart): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    ...(withRamps !== undefined
      ? [`Phase ramps and shifts, as the probes of the tiles tell them, would take the tiles farther apart where they overlap (${percent(withRamps)} in place of ${percent(after)}), so only factors and phases were brought together, and phases may have false steps from tile to tile: more epochs, or fewer tiles, may help.`] // biome-ignore format: one sentence
      : []),
    ...(after > FAR_APART
      ? [`The tiles differ by ${(100 * after).toFixed(0)} % where they overlap, so they have not come to one object: more epochs, a better probe (--probe) or fewer tiles may help.`] // biome-ignore format: one sentence
      : []),
  ];
}

interface FoundTile {
  readonly file: string;
  readonly head: TileHead;
}

const noTile = (file: string) =>
  new PtychoError('FILE_NOT_FOUND', `There is no tile ${file}; solve it first, with --tile and the other flags.`, {
    path: file,
  });

const wrong = (file: string, why: string) => new PtychoError('CONFIG_INVALID', `${file} ${why}.`, { path: file });

/** Folders of tiles, where some of those named hold such folders. */
async function tileFolders(named: readonly string[]): Promise<string[]> {
  const folders: string[] = [];
  for (const folder of named) {
    if (existsSync(path.join(folder, RESULT))) {
      folders.push(folder);
      continue;
    }
    const below = (await readdir(folder).catch(() => [] as string[])).map((name) => path.join(folder, name));
    const found = below.filter((name) => existsSync(path.join(name, RESULT)));
    if (found.length === 0) throw noTile(path.join(folder, RESULT));
    folders.push(...found.sort());
  }
  return folders;
}

async function readHead(npz: NpzFile): Promise<TileHead> {
  const stored = npz.has(KEY) ? await readText(npz, KEY) : undefined;
  const refuse = (why: string) =>
    new PtychoError('FILE_FORMAT', `${npz.path} is no tile of "solve --tile" (${why}); solve it again.`, { path: npz.path }); // biome-ignore format: one call
  if (stored === undefined) throw refuse(`it has no ${KEY}`);
  let value: unknown;
  try {
    value = JSON.parse('text' in stored ? stored.text : '');
  } catch (cause) {
    throw refuse(messageOf(cause));
  }
  const parsed = headSchema.safeParse(value);
  if (parsed.success && parsed.data.index <= parsed.data.of) return parsed.data;
  const [issue] = parsed.error?.issues ?? [];
  throw refuse(issue ? `${issue.path.join('.')}: ${issue.message}` : 'its number is above their count');
}

/** @throws PtychoError CONFIG_INVALID */
function requireSame({ file, head }: FoundTile, scan: ScanFingerprint, source: string, first?: FoundTile): void {
  const which = `is tile ${head.index} of ${head.of}`;
  const part = Object.keys(scan).find((name) => head.scan[name] !== scan[name]);
  if (part !== undefined) throw wrong(file, `${which} of another scan than ${source} (its ${part} differ); solve it again with this one`); // biome-ignore format: one call
  const wanted = Number(head.options.epochs);
  if (head.epochs < wanted) throw wrong(file, `${which}, which was stopped after epoch ${head.epochs} of ${wanted}; go on with it (--resume)`); // biome-ignore format: one call
  if (first === undefined) return;
  if (first.head.of !== head.of) throw wrong(file, `is one of ${head.of} tiles, but ${first.file} is one of ${first.head.of}; solve it again`); // biome-ignore format: one call
  const text = (value: unknown) => JSON.stringify(value);
  const other = Object.keys(head.options).find((name) => text(head.options[name]) !== text(first.head.options[name]));
  if (other !== undefined) throw wrong(file, `${which} with ${other} ${text(head.options[other])}, but ${first.file} has ${text(first.head.options[other])}; solve it again with the same flags`); // biome-ignore format: one call
}

/** @throws PtychoError CONFIG_INVALID for an option that was given otherwise than the tile was solved with */
function requireAsked({ file, head }: FoundTile, asked: Readonly<Record<string, unknown>>): void {
  const known: Readonly<Record<string, unknown>> = { ...head.options, tile_margin_px: head.margin_px };
  const text = (value: unknown) => JSON.stringify(value);
  const name = Object.keys(asked).find((each) => each in known && text(known[each]) !== text(asked[each]));
  if (name === undefined) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${file} is tile ${head.index} of ${head.of} with ${name} ${text(known[name])}, not ${text(asked[name])}: leave --${name} out, or solve all tiles with it.`,
    { key: name, found: asked[name], expected: known[name] },
  );
}

/** A tile, and whether its positions are other than the measured ones. */
interface ReadTile extends SolvedTile {
  readonly part: PartOfMany;
  readonly rows: Int32Array;
  readonly corrected: boolean;
  readonly doubt: string | undefined;
}

async function readTile({ file, head }: FoundTile, raw: RawData): Promise<ReadTile> {
  const { image, originYxPx, probe, sampleIndices } = await readReconstruction(file, { probe: true });
  const tile = tileOf(raw, head, head.margin_px);
  const doubt = doubtOfTile(tile.raw, head);
  const { sampleIndices: expected } = tile.raw;
  const [height, width] = image.shape;
  if (
    !originYxPx ||
    !probe ||
    sampleIndices?.length !== expected.length ||
    sampleIndices.some((k, i) => k !== expected[i])
  ) {
    // biome-ignore format: one condition
    throw new PtychoError('FILE_FORMAT', `${file} has not the patterns of tile ${head.index} of ${head.of}; solve it again.`, { path: file }); // biome-ignore format: one sentence
  }
  const corrected = await usingNpz(file, async (npz) => {
    if (!npz.has('xcoords_measured')) return undefined;
    const [xs, ys] = [await npz.readReal('xcoords'), await npz.readReal('ycoords')].map(({ data }) => Float64Array.from(data as ArrayLike<number>)); // biome-ignore format: one line
    return { xs, ys };
  });
  const { own, rows, raw: part } = tile;
  const positions = corrected ?? { xs: part.xcoords, ys: part.ycoords };
  const frame = { originYxPx, height, width };
  return { image, frame, probe, positions, own, rows, part: head, corrected: corrected !== undefined, doubt };
}

/** Corrected positions of the whole scan, each from the tile that it belongs to, moved with it. */
function positionsOf(raw: RawData, tiles: readonly ReadTile[], { gauges }: StitchedTiles) {
  const [xs, ys] = [raw.xcoords.slice(), raw.ycoords.slice()];
  for (const [k, { positions, own, rows }] of tiles.entries()) {
    const [dy, dx] = gauges[k].shiftYx;
    for (const i of own) {
      xs[rows[i]] = positions.xs[i] - dx;
      ys[rows[i]] = positions.ys[i] - dy;
    }
  }
  return { xs, ys };
}
