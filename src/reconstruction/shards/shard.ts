/**
 * One large scan on several processes, with a network. Groups are cut by position; each process predicts a part and leaves a shard; then
 * the image is made of all shards. Grouping, normalisation, crop and weights are those of the whole scan in every process, so that
 * the image is the one that a single process makes.
 *
 * @example
 * for (const index of [1, 2, 3]) await reconstructShard(model, 'scan.npz', { index, of: 3 }, `parts/${index}`);
 * const { stitched } = await mergeShards(model, 'scan.npz', ['parts/1', 'parts/2', 'parts/3']);
 */

import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { rowsAt } from '../../core/numbers.js';
import { DiffractionDataset } from '../../data/dataset.js';
import { cutByPosition, type PartOfMany } from '../../data/grouping/cutByPosition.js';
import { type Groups, groupsFromMembers } from '../../data/grouping/grouping.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import { makeOutputFolder } from '../../formats/outputFiles.js';
import { hashOf, probeHash } from '../../persistence/runState.js';
import {
  configOf,
  type ImageHooks,
  type ImageOptions,
  type ImageSettings,
  imageOptions,
  openFor,
  prepare,
  type ReconstructInput,
} from '../pipeline.js';
import type { PtychoModel } from '../ptychoModel.js';
import { predictPart, type ReconstructOptions, type ReconstructTimes } from '../reconstruct.js';
import { patchWeightsOf } from '../stitching.js';
import { type MadeOf, shardPath, writeShard } from './shardFile.js';

/** What a process made of its part of a scan. */
export interface ShardSummary {
  /** Patches of the part: groups times members; 0 where there are more parts than groups. */
  readonly patterns: number;
  /** Those of the whole scan. */
  readonly total: number;
  readonly file: string;
  readonly times: ReconstructTimes;
}

/**
 * Predicts one part of a scan and writes `shard.npz`.
 * @param part which of how many
 * @param folder made if missing
 * @param options as `reconstruct` takes them; the same for every part
 * @throws PtychoError as `reconstruct`; CANCELLED; OUTPUT_UNWRITABLE
 */
export async function reconstructShard(
  model: PtychoModel,
  data: ReconstructInput,
  part: PartOfMany,
  folder: string,
  options: ImageOptions = {},
): Promise<ShardSummary> {
  const config = configOf(options);
  return closing(await openFor(data, config, options), async (opened) => {
    const { own, scan } = await prepare(model, opened.scan, config, options);
    return writeShardOf(own, scan, part, { folder, network: 0 }, { ...config, placement: options.placement }, options);
  });
}

/**
 * {@link reconstructShard} of a scan that is grouped and normalised for the model.
 * @param target folder, and which network of an ensemble this is, counted from 0
 */
export async function writeShardOf(
  model: PtychoModel,
  scan: PreparedScan,
  part: PartOfMany,
  target: { readonly folder: string; readonly network: number },
  settings: ImageSettings,
  hooks: ImageHooks = {},
): Promise<ShardSummary> {
  const options = await imageOptions(model, scan, settings, hooks);
  const made = madeOf(scan, options);
  const own = partOfScan(scan, part);
  await makeOutputFolder(target.folder);
  const file = shardPath(target.folder, target.network);
  const total = scan.groups.members.length;
  if (own.groups.count === 0) {
    const times = { read: 0, predict: 0, stitch: 0 };
    await writeShard(file, part, { patches: 0, made, times }, undefined);
    return { patterns: 0, total, file, times };
  }
  const patches = own.groups.members.length;
  const { times } = await predictPart({ ...options, dataset: own.dataset }, (content, times) => writeShard(file, part, { patches, made, times }, content)); // biome-ignore format: one call
  return { patterns: patches, total, file, times };
}

/** Which groups each part has, by the places of their centres. */
export const groupsOfParts = ({ coordsOffsets, count }: Groups, of: number): Int32Array[] => {
  const axis = (a: number) => Float64Array.from({ length: count }, (_, g) => coordsOffsets[2 * g + a]);
  return cutByPosition(axis(0), axis(1), of);
};

/** The groups of a part, normalised as the whole scan is. */
function partOfScan(scan: PreparedScan, { index, of }: PartOfMany): PreparedScan {
  const { raw, groups, dataset } = scan;
  const chosen = groupsOfParts(groups, of)[index - 1];
  const members = rowsAt(groups.members, groups.C, chosen);
  const { maxRelative_px, skipped } = groups;
  const own = { ...groupsFromMembers(members, groups.C, raw.xcoords, raw.ycoords, skipped), maxRelative_px };
  const { inputScale, patterns } = dataset;
  return { ...scan, groups: own, dataset: new DiffractionDataset(raw, own, inputScale, { patterns, cacheBytes: 0 }) };
}

/** All that shapes patches and where they go: what every shard of an image must have been made of. */
export function madeOf({ raw, groups, dataset }: PreparedScan, options: ReconstructOptions): MadeOf {
  const { crop_px, stitching = 'shift-and-sum', align_phases = false, uncertainty = false, placement = {} } = options;
  if (options.partScales !== undefined) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'varpro_scaling fits its scales to predictions of the whole scan, so it does not go with shards: leave it out.',
      { key: 'varpro_scaling' },
    );
  }
  const { stitching_rounds = 1, patch_fit = 0 } = options;
  if (stitching_rounds > 1 && !align_phases) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'stitching_rounds looks at patches twice, which shards keep only where phases are aligned: leave it out, or --no-align_phases.',
      { key: 'stitching_rounds' },
    );
  }
  const { sums } = raw.patterns;
  const weights = Object.entries(options.weights).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    scan: hashOf(raw.domain, Float64Array.of(raw.count, raw.N), raw.xcoords, raw.ycoords, sums?.power, sums?.squares, raw.badPixels && Uint8Array.from(raw.badPixels)), // biome-ignore format: one call
    probe: probeHash(raw),
    model: hashOf(...weights.flatMap(([name, { data }]) => [name, data]), JSON.stringify(options.network.spec.config)),
    groups: hashOf(groups.members, groups.coordsNn),
    ...{ crop_px, stitching, align_phases, uncertainty, patch_fit },
    patch_weighting: `${options.patch_weighting} ${hashOf(patchWeightsOf(options)?.data).slice(0, 16)}`,
    placement: JSON.stringify(placement),
    'input scale': dataset.inputScale,
    canvas_px: dataset.canvasSide_px,
  };
}
