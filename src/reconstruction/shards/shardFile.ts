/**
 * A shard as a file: what one process made of its part of a scan, until the image is made of all of them. Where the phases of patches
 * are to be aligned, these are the patches, and their sums over cells, from which all phases are solved at once; else a partial canvas.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, PtychoError } from '../../core/errors.js';
import { formatShape } from '../../core/tensor.js';
import type { PartOfMany } from '../../data/grouping/cutByPosition.js';
import { readText } from '../../data/metadata.js';
import type { NpyInput, StreamedNpyInput } from '../../formats/npyWrite.js';
import { type NpzFile, writeNpz } from '../../formats/npz.js';
import { textArray } from '../../formats/outputFiles.js';
import type { PatchPhases } from '../patches/patchPhases.js';
import type { PatchStore } from '../patches/patchStore.js';
import type { PartialCanvas } from '../patchStitcher.js';

/** The file of the first network; those of an ensemble have one each. */
export const SHARD_FILE = 'shard.npz';

/** The file of a network, counted from 0. */
export const shardFileOf = (network: number): string => (network === 0 ? SHARD_FILE : `shard-${network + 1}.npz`);

const headSchema = z.strictObject({
  format: z.literal('ptychopinn-shard'),
  version: z.literal(1),
  index: z.int().positive(),
  of: z.int().positive(),
  /** Patches: groups times members. */
  patches: z.int().nonnegative(),
  /** Hashes and settings of all that shapes patches and places. */
  made: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  times: z.strictObject({ read: z.number(), predict: z.number(), stitch: z.number() }),
});

/** What a shard says of itself. */
export type ShardHead = Readonly<z.output<typeof headSchema>>;

/** What a shard was made of and how, each part by its name. */
export type MadeOf = ShardHead['made'];

/** What a part of a scan came to: nothing of no groups. */
export type ShardContent =
  | { readonly canvas: PartialCanvas }
  | { readonly phases: PatchPhases; readonly store: PatchStore }
  | undefined;

/** Writes a shard. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writeShard(
  file: string,
  { index, of }: PartOfMany,
  head: Omit<ShardHead, 'format' | 'version' | 'index' | 'of'>,
  content: ShardContent,
): Promise<void> {
  const whole: ShardHead = { format: 'ptychopinn-shard', version: 1, index, of, ...head };
  await writeNpz(file, { shard: textArray(JSON.stringify(whole)), ...arraysOf(content) });
}

function arraysOf(content: ShardContent): Record<string, NpyInput | StreamedNpyInput> {
  if (content === undefined) return {};
  if ('canvas' in content) {
    const { frame, planes } = content.canvas;
    const shape = [frame.height + 1, frame.width + 1];
    return Object.fromEntries(planes.map((data, i) => [planeKey(i), { data, shape }]));
  }
  const { phases, store } = content;
  return {
    cell_sums: { data: phases.sums, shape: [phases.count, phases.cells, 2] },
    patches: {
      dtype: 'float32',
      shape: [store.count, 2, store.cropSide, store.cropSide],
      pieces: async function* () {
        for (const { re, im, count } of store.chunks()) {
          const area = store.cropSide ** 2;
          const piece = new Float32Array(2 * count * area);
          for (let k = 0; k < count; k++) {
            piece.set(re.subarray(k * area, (k + 1) * area), 2 * k * area);
            piece.set(im.subarray(k * area, (k + 1) * area), (2 * k + 1) * area);
          }
          yield piece;
        }
      },
    },
  };
}

const planeKey = (i: number): string => `plane_${i}`;

/**
 * What an open shard says of itself.
 * @throws PtychoError FILE_FORMAT
 */
export async function readShardHead(npz: NpzFile): Promise<ShardHead> {
  const stored = npz.has('shard') ? await readText(npz, 'shard') : undefined;
  let value: unknown;
  try {
    value = JSON.parse(stored && 'text' in stored ? stored.text : '');
  } catch (cause) {
    throw notAShard(npz, messageOf(cause));
  }
  const parsed = headSchema.safeParse(value);
  if (parsed.success && parsed.data.index <= parsed.data.of) return parsed.data;
  const [issue] = parsed.error?.issues ?? [];
  throw notAShard(npz, issue ? `${issue.path.join('.')}: ${issue.message}` : 'its number is above their count');
}

const notAShard = ({ path: file }: NpzFile, why: string) =>
  new PtychoError('FILE_FORMAT', `${file} is no shard of "infer --shard" (${why}); make it again.`, { path: file });

/** A float32 or uint32 array of a shard, of just this shape. @throws PtychoError DATASET_SHAPE */
async function readArray(npz: NpzFile, key: string, shape: readonly number[]): Promise<Float32Array | Uint32Array> {
  await requireShape(npz, key, shape);
  const { data } = await npz.readReal(key);
  if (data instanceof Float32Array || data instanceof Uint32Array) return data;
  throw notAShard(npz, `${key} is of another kind of numbers`);
}

async function requireShape(npz: NpzFile, key: string, shape: readonly number[]): Promise<void> {
  if (!npz.has(key)) throw notAShard(npz, `it has no ${key}`);
  const found = (await npz.header(key)).shape;
  if (found.length === shape.length && found.every((n, i) => n === shape[i])) return;
  throw notAShard(npz, `${key} has shape ${formatShape(found)} in place of ${formatShape(shape)}`);
}

/** The partial canvas of a shard. @throws PtychoError FILE_FORMAT */
export async function readCanvas(npz: NpzFile, like: PartialCanvas, patches: number): Promise<PartialCanvas> {
  const { frame } = like;
  const planes: (Float32Array | Uint32Array)[] = [];
  for (const i of like.planes.keys()) planes.push(await readArray(npz, planeKey(i), [frame.height + 1, frame.width + 1])); // biome-ignore format: one call
  return { frame, planes, patches };
}

/** The sums over cells of a shard, (patches, cells) complex interleaved. @throws PtychoError FILE_FORMAT */
export async function readCellSums(npz: NpzFile, patches: number, cells: number): Promise<Float32Array> {
  return (await readArray(npz, 'cell_sums', [patches, cells, 2])) as Float32Array;
}

/** The patches of an open shard, one after the other. */
export class PatchReader {
  #done = 0;
  #held = new Float32Array(0);
  #at = 0;

  /** @param most patches that are read in one go */
  constructor(
    private readonly npz: NpzFile,
    private readonly patches: number,
    private readonly M: number,
    private readonly most: number,
  ) {}

  /** Copies the next one to a place in (…, M, M) arrays. @throws PtychoError FILE_FORMAT */
  async next(re: Float32Array, im: Float32Array, to: number): Promise<void> {
    const area = this.M ** 2;
    if (this.#at === this.#held.length) {
      if (this.#done === 0) await requireShape(this.npz, 'patches', [this.patches, 2, this.M, this.M]);
      const count = Math.min(this.most, this.patches - this.#done);
      this.#held = new Float32Array(2 * count * area);
      await this.npz.readRowsInto('patches', { start: this.#done, count }, this.#held);
      this.#done += count;
      this.#at = 0;
    }
    re.set(this.#held.subarray(this.#at, this.#at + area), to);
    im.set(this.#held.subarray(this.#at + area, this.#at + 2 * area), to);
    this.#at += 2 * area;
  }
}

/** Where the shard of a network is looked for in a folder. */
export const shardPath = (folder: string, network: number): string => path.join(folder, shardFileOf(network));

/**
 * Folders of shards, where some of those named hold such folders.
 * @throws PtychoError FILE_NOT_FOUND for a folder that holds none
 */
export async function shardFolders(named: readonly string[]): Promise<string[]> {
  const folders: string[] = [];
  for (const folder of named) {
    if (existsSync(path.join(folder, SHARD_FILE))) {
      folders.push(folder);
      continue;
    }
    const below = await readdir(folder).catch(() => [] as string[]);
    const found = below
      .map((name) => path.join(folder, name))
      .filter((name) => existsSync(path.join(name, SHARD_FILE)));
    if (found.length === 0) throw noShard(path.join(folder, SHARD_FILE));
    folders.push(...found.sort());
  }
  return folders;
}

/** The error for a shard that is not there. */
export const noShard = (file: string) =>
  new PtychoError(
    'FILE_NOT_FOUND',
    `There is no shard ${file}; make it first, with --shard and the other flags of the image.`,
    { path: file },
  );
