/**
 * `checkpoints/` of a run: the last epoch and the best ones, each a file from which the run goes on. Whatever moment it is
 * killed at, at least one whole file is there once there was one.
 */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { TrainingConfig } from '../config/schema.js';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { copyToPlace, makeFolder, removeLeftovers } from '../formats/replaceFile.js';
import { type BundleConfig, bundleConfig } from '../persistence/bundleConfig.js';
import {
  type CheckpointContent,
  type CheckpointEngine,
  openCheckpoint,
  saveCheckpoint,
} from '../persistence/checkpoint.js';
import { canonicalJson } from '../persistence/json.js';
import { requireSameScan, type ScanFingerprint, settingChanged, warnOfLastDigits } from '../persistence/runState.js';
import type { EpochJudge, JudgedEpoch, Monitor } from './judge.js';

const FOLDER = 'checkpoints';
const LAST = 'last.ckpt.zip';
/** The checkpoint of the last epoch, below the folder of a run. */
export const LAST_CHECKPOINT = path.join(FOLDER, LAST);
const BEST = /^epoch=(\d+)-.*\.ckpt\.zip$/;

/** `epoch=007-val_loss=0.1234.ckpt.zip` */
function checkpointName({ epoch, value }: JudgedEpoch, { column }: Monitor): string {
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : value.toFixed(4);
  return `epoch=${String(epoch).padStart(3, '0')}-${column}=${text}.ckpt.zip`;
}

/** The folder of a run's checkpoints. */
export class CheckpointFolder {
  readonly folder: string;

  /** @param runFolder the output folder of the run. */
  constructor(readonly runFolder: string) {
    this.folder = path.join(runFolder, FOLDER);
  }

  /**
   * Makes the folder and clears away what a killed run left half-written.
   * @throws PtychoError OUTPUT_UNWRITABLE
   */
  async make(): Promise<void> {
    await makeFolder(this.folder, 'check space and permissions, or choose another --output_dir');
    await removeLeftovers(this.folder);
  }

  /** Whether a file lies in this folder. */
  holds(file: string): boolean {
    return path.resolve(path.dirname(file)) === path.resolve(this.folder);
  }

  /** Checkpoint files, the last epoch first, then the others from the latest on. */
  async files(): Promise<readonly string[]> {
    const names = await this.#names();
    const best = names.filter((name) => BEST.test(name)).sort((a, b) => epochOf(b) - epochOf(a));
    return [...names.filter((name) => name === LAST), ...best].map((name) => this.#file(name));
  }

  /**
   * Writes an epoch: first as the last one, then, where it is among the best `keep`, under its own name; only then the
   * files that are no longer among the best are removed.
   * @throws PtychoError OUTPUT_UNWRITABLE
   */
  async save(content: CheckpointContent, judge: EpochJudge, keep: number): Promise<void> {
    await saveCheckpoint(this.#file(LAST), content);
    const kept = judge.ranking(keep);
    const own = kept.find(({ epoch }) => epoch === content.epoch);
    if (own) await copyToPlace(this.#file(LAST), this.#file(checkpointName(own, judge.monitor)));
    await this.#removeAllBut(kept.map((epoch) => checkpointName(epoch, judge.monitor)));
  }

  /**
   * Takes over the files of an interrupted run, so that the folder is that of a run that never was.
   * @param resumedFrom the file that the run goes on from, of epoch `epoch`.
   */
  async takeOver(
    resumedFrom: string,
    judge: EpochJudge,
    { epoch, keep }: { readonly epoch: number; readonly keep: number },
  ): Promise<void> {
    if (path.resolve(resumedFrom) !== path.resolve(this.#file(LAST))) await copyToPlace(resumedFrom, this.#file(LAST));
    const kept = judge.ranking(keep);
    for (const judged of kept) {
      const name = checkpointName(judged, judge.monitor);
      const source = judged.epoch === epoch ? this.#file(LAST) : path.join(path.dirname(resumedFrom), name);
      if (existsSync(this.#file(name))) continue;
      if (existsSync(source)) await copyToPlace(source, this.#file(name));
    }
    await this.#removeAllBut(kept.map((judged) => checkpointName(judged, judge.monitor)));
  }

  async #removeAllBut(kept: readonly string[]): Promise<void> {
    for (const name of await this.#names()) {
      if (BEST.test(name) && !kept.includes(name)) await rm(this.#file(name), { force: true });
    }
  }

  #file(name: string): string {
    return path.join(this.folder, name);
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.folder).catch(() => [])).sort();
  }
}

/** A checkpoint that was found whole, and its file. */
export interface FoundCheckpoint {
  readonly file: string;
  readonly content: CheckpointContent;
}

/**
 * The newest whole checkpoint of a run; undefined when the run was stopped before its first one. A damaged file is passed
 * over with a warning.
 *
 * @throws PtychoError FILE_NOT_FOUND when there is no such run, CHECKPOINT_INVALID when every file is damaged,
 * FORMAT_UNSUPPORTED for those of a newer version.
 */
export async function findCheckpoint(runFolder: string, logger: Logger): Promise<FoundCheckpoint | undefined> {
  const folder = new CheckpointFolder(runFolder);
  const files = await folder.files();
  let reason: unknown;
  for (const file of files) {
    try {
      const content = await openCheckpoint(file);
      if (reason !== undefined) {
        logger.warn(`${messageOf(reason)} The run goes on from ${path.basename(file)} (epoch ${content.epoch}).`);
      }
      return { file, content };
    } catch (error) {
      if (!isPtychoError(error, 'CHECKPOINT_INVALID')) throw error;
      reason ??= error;
    }
  }
  if (reason !== undefined) {
    throw new PtychoError(
      'CHECKPOINT_INVALID',
      `${messageOf(reason).replace(/\.$/, '')}; there is no other checkpoint, so train again without --resume.`,
      { path: runFolder },
      { cause: reason },
    );
  }
  const begun = existsSync(folder.folder) || existsSync(path.join(runFolder, 'config.json'));
  if (begun) return undefined;
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `There is nothing to resume in ${runFolder}: it is not the output folder of a training run; leave --resume out to begin one.`,
    { path: runFolder },
  );
}

const epochOf = (name: string) => Number(BEST.exec(name)?.[1] ?? 0);

/** The run that asks to go on. */
export interface ResumingRun {
  readonly config: TrainingConfig;
  readonly scan: ScanFingerprint;
  /** SHA-256 of the bundle given with `init`. */
  readonly init: string | null;
  /** The folder that the checkpoint is from. */
  readonly folder: string;
}

/**
 * Checks that a run may go on from a checkpoint.
 * @throws PtychoError CONFIG_INVALID for another configuration, DATASET_VALUE for another scan: one sentence that names what
 * differs.
 */
export function checkResumable(content: CheckpointContent, { config, scan, init, folder }: ResumingRun): void {
  const run = { folder, otherwise: 'train again' };
  const [now, then] = [flat(bundleConfig(config)), flat(bundleConfig(content.config))];
  for (const key of new Set([...then.keys(), ...now.keys()])) {
    const [found, expected] = [now.get(key), then.get(key)];
    if (found === expected || (key === 'nepochs' && mayChangeLength(content, config))) continue;
    const why =
      key === 'nepochs' && config.nepochs >= content.epoch
        ? `, and the learning rate of ${config.scheduler} depends on it`
        : '';
    throw settingChanged(run, { key, now: found ?? 'not given', before: expected ?? 'none', found, expected, why });
  }
  requireSameScan(run, { now: scan, before: content.scan });
  if (init === null || init === content.init) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `init names another bundle than the run in ${folder} was begun from; leave --init out to resume it, or train again without --resume.`,
    { key: 'init' },
  );
}

/** A run may become longer or shorter where nothing of its past depends on its length. */
function mayChangeLength({ epoch }: CheckpointContent, { nepochs, scheduler }: TrainingConfig): boolean {
  return scheduler !== 'WarmupCosine' && nepochs >= epoch;
}

/** Field name → value as text, blocks opened. */
function flat(config: BundleConfig): Map<string, string> {
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(config)) {
    const isBlock = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entries: [string, unknown][] = isBlock ? Object.entries(value as object) : [[key, value]];
    for (const [name, v] of entries) {
      if (v !== undefined) values.set(name, canonicalJson(v).trim().replace(/\s+/g, ' '));
    }
  }
  return values;
}

/** Tells of an engine or a version that differs from the one that the run was begun with. */
export function warnOfEngine(then: CheckpointEngine, now: CheckpointEngine, folder: string, logger: Logger): void {
  const changed = (Object.keys(now) as (keyof CheckpointEngine)[]).filter((key) => now[key] !== then[key]);
  if (changed.length === 0) return;
  const list = changed.map((key) => `${key} ${then[key]} → ${now[key]}`).join(', ');
  warnOfLastDigits(folder, `another engine (${list}): it goes on, but`, logger);
}
