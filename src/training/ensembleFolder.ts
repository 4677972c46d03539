/**
 * The folder of an ensemble while its networks are trained: what may begin or go on in it, and what an earlier run left there.
 *
 * @example
 * checkMembers(request); // before anything is opened
 * const before = { run: 'run/member-1', epochs: 8, sha256: 'e3b0c44298fc1c14' };
 * const resume = await whereToGoOn('run/member-2', before);
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { trainingDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { goesOnIn } from '../formats/outputs.js';
import { memberFolder } from '../persistence/ensemble.js';
import { CALIBRATION_FILE, COVERAGE_FILE } from '../reconstruction/ensemble/calibration.js';
import { CheckpointFolder, findCheckpoint } from './checkpointFolder.js';
import { ofSnapshot } from './ensemble.js';

/** The network that a snapshot goes on from. */
export interface NetworkBefore {
  /** Its folder. */
  readonly run: string;
  /** The epochs of the first. */
  readonly epochs: number;
  /** SHA-256 of its weights. */
  readonly sha256: string;
}

/**
 * Whether an ensemble can be trained as it is asked for, judged before the first network is.
 * @throws PtychoError CONFIG_INVALID
 */
export function checkMembers(request: TrainingRequest): void {
  const { output_dir, resume, init } = request;
  const bad = (key: string, message: string) => new PtychoError('CONFIG_INVALID', message, { key });
  if (resume !== null && !goesOnIn(request)) {
    throw bad('resume', `An ensemble goes on in its own folder: give --resume ${resume} without another --output_dir.`);
  }
  if (init !== null && (isBundleOf(init, output_dir) || /^member-\d+$/.test(firstBelow(output_dir, init)))) {
    throw bad(
      'init',
      `init ${init} lies where this ensemble is written, so that its later networks would begin from another one: choose another --output_dir.`,
    );
  }
  if (resume !== null && !existsSync(path.join(output_dir, memberFolder(1))) && hasRun(output_dir)) {
    throw bad(
      'ensemble',
      `ensemble is ${request.ensemble}, but the run in ${output_dir} was begun with one network: leave ensemble out to go on with it, or choose another --output_dir.`,
    );
  }
  // What the first network may be, a snapshot may not be.
  const { nepochs } = request;
  if (request.ensemble_from === 'snapshots') {
    wholeConfig(trainingDefinition, ofSnapshot(request, { run: output_dir, epochs: nepochs ?? 1 }));
  }
}

/**
 * The same of one network.
 * @throws PtychoError CONFIG_INVALID where an ensemble is to go on, or where the run would replace what it begins from
 */
export function checkAlone(request: TrainingRequest): void {
  const { output_dir, resume, init } = request;
  // Interrupted, it leaves its own network there, and could not be resumed. A run that goes on is judged by what it did begin from.
  if (init !== null && !goesOnIn(request) && isBundleOf(init, output_dir)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `init ${init} is the network that this run would replace: choose another --output_dir.`,
      { key: 'init' },
    );
  }
  if (resume === null || hasRun(resume) || !existsSync(path.join(resume, memberFolder(1)))) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `The run in ${resume} is an ensemble: give the number of its networks as ensemble to go on with it, or name one of them, --resume ${path.join(resume, memberFolder(1))}.`,
    { key: 'resume' },
  );
}

/**
 * Where a network of an ensemble that goes on begins: in its folder, where it has checkpoints; null: anew. So does a snapshot that began from
 * other weights than those that the network before it has now (it may have gone on for more epochs).
 * @throws PtychoError as `findCheckpoint`
 */
export async function whereToGoOn(
  folder: string,
  before: NetworkBefore | undefined,
  logger: Logger = silentLogger,
): Promise<string | null> {
  if (!existsSync(new CheckpointFolder(folder).folder)) return null;
  if (before === undefined) return folder;
  const found = await findCheckpoint(folder, logger);
  if (found === undefined || found.content.init === before.sha256) return folder;
  logger.info(`${folder} began from other weights than those that ${before.run} has now, so it begins anew.`);
  return null;
}

/**
 * Makes a folder that holds networks of an ensemble known as that of one network, which could not go on ({@link checkAlone}) where it was
 * stopped before its first checkpoint.
 */
export async function markAlone(folder: string): Promise<void> {
  if (existsSync(path.join(folder, memberFolder(1)))) await new CheckpointFolder(folder).make();
}

/** Files that an earlier run left in the folder of an ensemble and that would pass for this one's, below it. */
export async function leftByEarlier(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const runs = ['', ...names.filter((name) => /^member-\d+$/.test(name))];
  const left = [CALIBRATION_FILE, COVERAGE_FILE];
  for (const run of runs) {
    const checkpoints = await new CheckpointFolder(path.join(folder, run)).files();
    left.push(path.join(run, 'wts.zip'), path.join(run, 'run.json'));
    left.push(...checkpoints.map((file) => path.relative(folder, file)));
  }
  return left;
}

/** Whether one network was, or is being, trained right in a folder. */
const hasRun = (folder: string): boolean =>
  existsSync(path.join(folder, 'wts.zip')) || existsSync(new CheckpointFolder(folder).folder);

/** Whether a bundle is the one that a run in a folder leaves. */
const isBundleOf = (bundle: string, folder: string): boolean => ['', 'wts.zip'].includes(firstBelow(folder, bundle));

/** The first name on the way from a folder to a file. */
const firstBelow = (folder: string, file: string): string =>
  path.relative(path.resolve(folder), path.resolve(file)).split(path.sep)[0];
