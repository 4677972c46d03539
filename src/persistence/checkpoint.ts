/**
 * A checkpoint: a training run after an epoch, as one file of plain formats from which it goes on bit for bit. Format:
 * `specs/checkpoint.md`. Nothing in it is code.
 *
 * @example
 * await saveCheckpoint('run/checkpoints/last.ckpt.zip', content);
 * const { epoch, state } = await openCheckpoint('run/checkpoints/last.ckpt.zip');
 */
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf, PtychoError } from '../core/errors.js';
import { sha256 } from '../core/hash.js';
import type { RngState } from '../core/rng.js';
import type { Tensor } from '../core/tensor.js';
import { usingFile } from '../formats/replaceFile.js';
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.js';
import { readZip, writeZip } from '../formats/zip.js';
import { type BundleConfig, parseBundleConfig, storedConfig } from './bundleConfig.js';
import { decodeHistory, encodeHistory, type HistoryRow } from './history.js';
import { canonicalJson, utf8 } from './json.js';

const CHECKPOINT_FORMAT = 'ptychopinn-checkpoint';
/** The version that this library writes, and the newest that it reads. */
const CHECKPOINT_FORMAT_VERSION = 1;

const HEAD = 'checkpoint.json';
const CONFIG = 'config.json';
const HISTORY = 'history.csv';
/** Tensors, by member; the last two are there only when scan positions are refined. */
const TENSOR_MEMBERS = {
  state: 'state.safetensors',
  bestWeights: 'best.safetensors',
  positions: 'positions.safetensors',
  bestPositions: 'best_positions.safetensors',
} as const;

/** No checkpoint is larger than this: a buffer's limit. */
const MAX_BYTES = 2 ** 31;

type Tensors = Readonly<Record<string, Tensor>>;

const engineSchema = z.strictObject({
  version: z.string(),
  backend: z.string(),
  engine: z.string(),
  device: z.string(),
  threads: z.number(),
});

/** Who trains: a run that goes on elsewhere may differ in the last digits. */
export type CheckpointEngine = Readonly<z.output<typeof engineSchema>>;

/** A run after an epoch. */
export interface CheckpointContent {
  readonly engine: CheckpointEngine;
  /** A whole training configuration may be given: what belongs to the machine is left out on writing. */
  readonly config: BundleConfig;
  /** Part of the scans → SHA-256 of its content. */
  readonly scan: Readonly<Record<string, string>>;
  /** SHA-256 of the bundle that the run began from; null: fresh weights. */
  readonly init: string | null;
  /** Epochs that are done; `history` has a row for each. */
  readonly epoch: number;
  readonly bestEpoch: number;
  readonly history: readonly HistoryRow[];
  /** The shuffling of the groups, after this epoch's. */
  readonly shuffle: RngState;
  /** Weights, state of the optimiser and averages, as the engine holds them. */
  readonly state: Tensors;
  /** Weights of the best epoch. */
  readonly bestWeights: Tensors;
  /** State of the refinement of scan positions, now and at the best epoch. */
  readonly positions?: Tensors;
  readonly bestPositions?: Tensors;
}

const headSchema = z.strictObject({
  format: z.literal(CHECKPOINT_FORMAT),
  format_version: z.literal(CHECKPOINT_FORMAT_VERSION),
  engine: engineSchema,
  config_sha256: z.string(),
  scan: z.record(z.string(), z.string()),
  init: z.string().nullable(),
  epoch: z.int().positive(),
  best_epoch: z.int().positive(),
  shuffle: z.strictObject({ words: z.array(z.number()), at: z.number(), spareNormal: z.number().nullable() }),
  members: z.record(z.string(), z.strictObject({ sha256: z.string(), bytes: z.number() })),
});

/**
 * Writes a checkpoint under a temporary name, has it put on the disk and renames it: `path` holds the old file or the new one.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function saveCheckpoint(path: string, content: CheckpointContent): Promise<void> {
  const config = utf8(canonicalJson(storedConfig(content.config)));
  const members = new Map<string, Uint8Array>([
    [CONFIG, config],
    [HISTORY, utf8(encodeHistory(content.history))],
  ]);
  for (const [key, name] of Object.entries(TENSOR_MEMBERS)) {
    const tensors = content[key as keyof typeof TENSOR_MEMBERS];
    if (tensors) members.set(name, encodeSafetensors(tensors).bytes);
  }
  const head = canonicalJson({
    format: CHECKPOINT_FORMAT,
    format_version: CHECKPOINT_FORMAT_VERSION,
    engine: content.engine,
    config_sha256: sha256(config),
    scan: content.scan,
    init: content.init,
    epoch: content.epoch,
    best_epoch: content.bestEpoch,
    shuffle: content.shuffle,
    members: Object.fromEntries(
      [...members].map(([name, data]) => [name, { sha256: sha256(data), bytes: data.length }]),
    ),
  });
  await writeZip(
    path,
    [[HEAD, utf8(head)] as const, ...members].map(([name, data]) => ({ name, data })),
  );
  await syncFolder(dirname(path));
}

/**
 * Opens a checkpoint and checks all of it: members, sizes, hashes and their agreement. Runs no code.
 * @throws PtychoError FILE_NOT_FOUND; FORMAT_UNSUPPORTED for a newer format version; CHECKPOINT_INVALID for everything else.
 */
export async function openCheckpoint(path: string): Promise<CheckpointContent> {
  const bad = (why: string, cause?: unknown): PtychoError =>
    new PtychoError('CHECKPOINT_INVALID', `${path} is damaged or no checkpoint: ${why}.`, { path }, { cause });
  try {
    return decode(await readZip(path, { maxMemberBytes: MAX_BYTES, maxTotalBytes: MAX_BYTES }), bad);
  } catch (error) {
    const known = error instanceof PtychoError ? error.code : undefined;
    if (known === 'FILE_NOT_FOUND' || known === 'CHECKPOINT_INVALID') throw error;
    if (known === 'FORMAT_UNSUPPORTED' && 'formatVersion' in (error as PtychoError).fields) throw error;
    throw bad(messageOf(error).replace(/\.$/, ''), error);
  }
}

function decode(
  members: ReadonlyMap<string, Uint8Array>,
  bad: (why: string, cause?: unknown) => PtychoError,
): CheckpointContent {
  const bytesOf = (name: string): Uint8Array => {
    const bytes = members.get(name);
    if (bytes === undefined) throw bad(`it lacks ${name}`);
    return bytes;
  };
  const textOf = (name: string) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytesOf(name));
  const json: unknown = JSON.parse(textOf(HEAD));
  const { format, format_version: version } = (json ?? {}) as { format?: unknown; format_version?: unknown };
  if (format === CHECKPOINT_FORMAT && typeof version === 'number' && version > CHECKPOINT_FORMAT_VERSION) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `This checkpoint has format version ${version}, this ptychopinn reads up to ${CHECKPOINT_FORMAT_VERSION}; install a newer ptychopinn.`,
      { formatVersion: version, expected: CHECKPOINT_FORMAT_VERSION },
    );
  }
  const parsed = headSchema.safeParse(json);
  if (!parsed.success) {
    const { path: at, message } = parsed.error.issues[0];
    throw bad(`${HEAD}: ${at.join('.')} ${message}`.replace(/\.$/, ''));
  }
  const head = parsed.data;

  const positional = members.has(TENSOR_MEMBERS.positions);
  const expected = [CONFIG, HISTORY, TENSOR_MEMBERS.state, TENSOR_MEMBERS.bestWeights];
  if (positional) expected.push(TENSOR_MEMBERS.positions, TENSOR_MEMBERS.bestPositions);
  const found = [...members.keys()].filter((name) => name !== HEAD).sort();
  if (found.join() !== [...expected].sort().join() || Object.keys(head.members).sort().join() !== found.join()) {
    throw bad(`its members are ${found.join(', ')}; expected ${expected.join(', ')}`);
  }
  for (const name of found) {
    const said = head.members[name];
    const bytes = bytesOf(name);
    if (said.bytes !== bytes.length || said.sha256 !== sha256(bytes))
      throw bad(`${name} is not what ${HEAD} describes`);
  }
  if (head.config_sha256 !== head.members[CONFIG].sha256) throw bad('its configuration is not the one that it names');

  const history = decodeHistory(textOf(HISTORY));
  if (history.length !== head.epoch) throw bad(`it has ${history.length} rows of history for ${head.epoch} epochs`);
  if (head.best_epoch > head.epoch) throw bad(`its best epoch is ${head.best_epoch} of ${head.epoch}`);
  const tensorsOf = (key: keyof typeof TENSOR_MEMBERS): Tensors =>
    decodeSafetensors(bytesOf(TENSOR_MEMBERS[key]), TENSOR_MEMBERS[key]).tensors;
  return {
    engine: head.engine,
    config: parseBundleConfig(JSON.parse(textOf(CONFIG))),
    scan: head.scan,
    init: head.init,
    epoch: head.epoch,
    bestEpoch: head.best_epoch,
    history,
    shuffle: head.shuffle,
    state: tensorsOf('state'),
    bestWeights: tensorsOf('bestWeights'),
    positions: positional ? tensorsOf('positions') : undefined,
    bestPositions: positional ? tensorsOf('bestPositions') : undefined,
  };
}

/** Has a rename put on the disk, where the system can do that (Windows cannot open folders). */
async function syncFolder(folder: string): Promise<void> {
  try {
    await usingFile(folder, 'r', (handle) => handle.sync());
  } catch {
    // The file itself was synchronised; only after a power cut may the older one be found.
  }
}
