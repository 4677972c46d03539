/**
 * `checkpoints/` of a run: the last epoch and the best ones, each a file from which the run goes on. Whatever moment it is
 * killed at, at least one whole file is there once there was one.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { copyToPlace, makeFolder, removeLeftovers } from '../formats/replaceFile.js';
import { type CheckpointContent, openCheckpoint, saveCheckpoint } from '../persistence/checkpoint.js';
import type { Monitor } from './records.js';
import type { EpochJudge, JudgedEpoch } from './stopping.js';

const LAST = 'last.ckpt.zip';
const BEST = /^epoch=(\d+)-.*\.ckpt\.zip$/;

/** `epoch=007-val_loss=0.1234.ckpt.zip` */
export function checkpointName({ epoch, value }: JudgedEpoch, { column }: Monitor): string {
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : value.toFixed(4);
  return `epoch=${String(epoch).padStart(3, '0')}-${column}=${text}.ckpt.zip`;
}

/** The folder of a run's checkpoints. */
export class CheckpointFolder {
  readonly folder: string;

  /** @param runFolder the output folder of the run. */
  constructor(readonly runFolder: string) {
    this.folder = path.join(runFolder, 'checkpoints');
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
      if (await exists(this.#file(name))) continue;
      if (await exists(source)) await copyToPlace(source, this.#file(name));
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
      `${messageOf(reason).replace(/\.$/, '')}; there is no other checkpoint, so train anew without --resume.`,
      { path: runFolder },
      { cause: reason },
    );
  }
  const begun = (await exists(folder.folder)) || (await exists(path.join(runFolder, 'config.json')));
  if (begun) return undefined;
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `There is nothing to resume in ${runFolder}: it is not the output folder of a training run; leave --resume out to begin one.`,
    { path: runFolder },
  );
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

const epochOf = (name: string) => Number(BEST.exec(name)?.[1] ?? 0);
