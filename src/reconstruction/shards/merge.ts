/** The image of all shards of a scan: phases solved once, from the overlaps of all patches; then canvases summed. */
import { existsSync } from 'node:fs';
import { hasFired, throwIfCancelled } from '../../core/cancel.js';
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { rowsAt } from '../../core/numbers.js';
import { requireAllParts } from '../../data/grouping/cutByPosition.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import { type NpzFile, openNpz, usingNpz } from '../../formats/npz.js';
import { type ScanBounds, scanBounds } from '../frame.js';
import { PatchPhases, turnPatches } from '../patches/patchPhases.js';
import { PatchStitcher, type StitchedImage } from '../patchStitcher.js';
import {
  configOf,
  type ImageOptions,
  imageOptions,
  openFor,
  prepare,
  type ReconstructedScan,
  type ReconstructInput,
} from '../pipeline.js';
import type { PtychoModel } from '../ptychoModel.js';
import type { Preview, ReconstructOptions } from '../reconstruct.js';
import {
  addMissing,
  finiteImage,
  patchWeightsOf,
  placeFactors,
  subtractImage,
  transposePatches,
} from '../stitching.js';
import { groupsOfParts, madeOf } from './shard.js';
import { type MadeOf, noShard, PatchReader, readCanvas, readCellSums, readShardHead, type ShardHead, shardPath } from './shardFile.js'; // biome-ignore format: one line

/**
 * The image of a scan whose parts other processes have predicted with {@link reconstructShard}, equal to that of `reconstruct`.
 * @param folders those of all parts, in any order
 * @param options those of the parts
 * @throws PtychoError FILE_NOT_FOUND for a part that is missing, CONFIG_INVALID for one of another scan, model or other options,
 * FILE_FORMAT; those of opening the scan
 */
export async function mergeShards(
  model: PtychoModel,
  data: ReconstructInput,
  folders: readonly string[],
  options: ImageOptions = {},
): Promise<ReconstructedScan> {
  const config = configOf(options);
  return closing(await openFor(data, config, options), async (opened) => {
    const { own, scan } = await prepare(model, opened.scan, config, options);
    const image = await imageOptions(own, scan, { ...config, placement: options.placement }, options);
    return { ...(await imageOfShards(scan, image, folders, 0)), crop_px: image.crop_px };
  });
}

/** A shard that was found to belong to the image. */
interface FoundShard {
  readonly file: string;
  readonly head: ShardHead;
}

/**
 * {@link mergeShards} of a scan that is grouped, with options of the image.
 * @param network which of an ensemble, counted from 0
 */
export async function imageOfShards(
  scan: PreparedScan,
  options: ReconstructOptions,
  folders: readonly string[],
  network: number,
): Promise<Preview> {
  const started = performance.now();
  const shards = await findShards(folders, network, madeOf(scan, options), scan.raw.source);
  const place = placesOf(scan, options, shards.length);
  for (const [i, { file, head }] of shards.entries()) {
    const expected = place.parts[i].length;
    if (head.patches !== expected) throw new PtychoError('FILE_FORMAT', `${file} has ${head.patches} patches in place of ${expected}; make it again.`, { path: file }); // biome-ignore format: one sentence
  }
  const patchWeights = patchWeightsOf(options);
  if (options.placement?.transpose && patchWeights) transposePatches(patchWeights.data, patchWeights.shape[0]);
  const { crop_px, stitching: rule, uncertainty, stitching_rounds = 1 } = options;
  const canvas = (bounds: ScanBounds) => new PatchStitcher(bounds, crop_px, { rule, patchWeights, uncertainty });
  const whole = canvas(scanBounds(place.xs, place.ys));
  const phases = options.align_phases ? new PatchPhases(crop_px, patchWeights) : undefined;
  const solved = phases && (await solvePhases(phases, shards, place));
  const told = (done: number, total: number, unit: string) =>
    options.onProgress?.({ stage: 'merging', done, total, unit });
  if (solved) await layInOrder(shards, whole, { place, angles: solved.angles, crop_px, told });
  for (const [i, { file, head }] of solved ? [] : shards.entries()) {
    if (head.patches > 0) {
      const [xs, ys] = [place.xs, place.ys].map((values) => rowsAt(values, 1, place.parts[i]));
      const like = canvas(scanBounds(xs, ys)).partial();
      await usingNpz(file, async (npz) => whole.addPartial(await readCanvas(npz, like, head.patches)));
    }
    told(i + 1, shards.length, 'shards');
  }
  const sum = (name: keyof ShardHead['times']) => shards.reduce((total, { head }) => total + head.times[name], 0);
  const seconds = (performance.now() - started) / 1000;
  const patterns = place.xs.length;
  const stitched = whole.finish();
  for (let round = 1; solved && round < stitching_rounds; round++) {
    if (await hasFired(options.signal)) throwIfCancelled(options.signal, 'The image of shards');
    const again = canvas(scanBounds(place.xs, place.ys));
    await layInOrder(shards, again, { place, angles: solved.angles, crop_px, told, from: stitched });
    addMissing(stitched.image, again.finish().image);
  }
  return {
    stitched: finiteImage(stitched),
    ...{ patterns, total: patterns, unused: 0, cancelled: false, final: true, seconds, rate: patterns / seconds },
    ...(solved && { phaseSpreadRad: solved.spreadRad }),
    times: { read: sum('read'), predict: sum('predict'), stitch: sum('stitch') + seconds },
  };
}

/** Where the patches of the whole scan belong, and which of them each part has. */
interface Places {
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly parts: readonly Int32Array[];
}

function placesOf({ groups }: PreparedScan, { placement = {} }: ReconstructOptions, of: number): Places {
  const { C, coordsNn } = groups;
  const factors = placeFactors(placement);
  const axis = (a: number, factor: number) =>
    Float64Array.from({ length: coordsNn.length / 2 }, (_, i) => factor * coordsNn[2 * i + a]);
  const parts = groupsOfParts(groups, of).map((chosen) =>
    Int32Array.from({ length: C * chosen.length }, (_, i) => C * chosen[Math.floor(i / C)] + (i % C)),
  );
  return { xs: axis(0, factors.x), ys: axis(1, factors.y), parts };
}

/** All phases at once, with the patches in the order in which one process would have them: which neighbours are compared depends on it. */
async function solvePhases(phases: PatchPhases, shards: readonly FoundShard[], { xs, ys, parts }: Places) {
  const { cells } = phases;
  const sums = new Float32Array(2 * cells * xs.length);
  for (const [i, { file, head }] of shards.entries()) {
    if (head.patches === 0) continue;
    const own = await usingNpz(file, (npz) => readCellSums(npz, head.patches, cells));
    parts[i].forEach((patch, k) => {
      sums.set(own.subarray(2 * cells * k, 2 * cells * (k + 1)), 2 * cells * patch);
    });
  }
  phases.addSums(sums, xs, ys);
  return phases.solve();
}

/** Patches of all shards that are in memory at a time. */
const HELD = 2048;

interface Laying {
  readonly place: Places;
  readonly angles: Float64Array;
  readonly crop_px: number;
  /** Of the patches only what they differ by from this. */
  readonly from?: Pick<StitchedImage, 'image' | 'frame'>;
  readonly told: (done: number, total: number, unit: string) => void;
}

/**
 * Lays the patches of all shards down, turned, in the order in which one process does: then sums are rounded alike, and the image is the
 * same bit for bit. Shards are read from their beginnings to their ends, side by side.
 */
async function layInOrder(
  shards: readonly FoundShard[],
  canvas: PatchStitcher,
  { place: { xs, ys, parts }, angles, crop_px: M, told, from }: Laying,
): Promise<void> {
  const total = xs.length;
  const partOf = new Uint16Array(total);
  for (const [i, rows] of parts.entries()) for (const row of rows) partOf[row] = i;
  const open: NpzFile[] = [];
  try {
    const streams: PatchReader[] = [];
    for (const { file, head } of shards) {
      const npz = await openNpz(file);
      open.push(npz);
      streams.push(new PatchReader(npz, head.patches, M, Math.max(8, Math.floor(HELD / shards.length))));
    }
    const area = M * M;
    for (let start = 0; start < total; start += HELD) {
      const count = Math.min(HELD, total - start);
      const [re, im] = [new Float32Array(count * area), new Float32Array(count * area)];
      for (let k = 0; k < count; k++) await streams[partOf[start + k]].next(re, im, k * area);
      const own = (values: Float64Array) => values.subarray(start, start + count);
      turnPatches(re, im, count, M, own(angles));
      if (from) subtractImage(re, im, count, M, own(xs), own(ys), from);
      canvas.add(re, im, count, M, own(xs), own(ys));
      told(start + count, total, 'patches');
    }
  } finally {
    for (const npz of open) await npz.close();
  }
}

/** The shards by their numbers; all that an image needs, and of nothing else. */
async function findShards(
  folders: readonly string[],
  network: number,
  made: MadeOf,
  scan: string,
): Promise<readonly FoundShard[]> {
  if (folders.length === 0) throw new PtychoError('USAGE', 'There are no shards to make an image of; name their folders.', {}); // biome-ignore format: one sentence
  const found = new Map<number, FoundShard>();
  let of = 0;
  for (const folder of folders) {
    const file = shardPath(folder, network);
    if (!existsSync(file)) throw noShard(file);
    const head = await usingNpz(file, readShardHead);
    requireSame(file, head, made, scan);
    const twice = found.get(head.index);
    if (twice)
      throw wrongShard(file, `is shard ${head.index} of ${head.of}, as is ${twice.file}; name every shard once`);
    of ||= head.of;
    if (head.of !== of) throw wrongShard(file, `is one of ${head.of} shards, but others are of ${of}; make it again`);
    found.set(head.index, { file, head });
  }
  requireAllParts('shard', of, found);
  return Array.from({ length: of }, (_, i) => found.get(i + 1) as FoundShard);
}

const wrongShard = (file: string, why: string) => new PtychoError('CONFIG_INVALID', `${file} ${why}.`, { path: file });

/** In the words of whoever made it. @throws PtychoError CONFIG_INVALID */
function requireSame(file: string, { index, of, made }: ShardHead, wanted: MadeOf, scan: string): void {
  const name = Object.keys(wanted).find((key) => made[key] !== wanted[key]);
  if (name === undefined) return;
  const which = `is shard ${index} of ${of}`;
  const why: Readonly<Record<string, string>> = {
    scan: `${which} of another scan than ${scan}`,
    probe: `${which} made with another probe`,
    model: `${which} made with another model`,
    groups: `${which} with other groups (n_groups, n_subsample, neighbor_count, seed)`,
  };
  const [before, now] = [made[name], wanted[name]].map(String);
  throw wrongShard(file, `${why[name] ?? `${which} made with ${name} ${before}, not ${now}`}; make it again with the flags of this image`); // biome-ignore format: one call
}
