/**
 * What a command may write: files that are not there yet, or any with `overwrite`; folders that nobody else writes to. Asked
 * before any work is done.
 *
 * @example
 * await requireNew(['scan.npz'], { ...newFiles(config, services), field: 'output_file' });
 * await withOutputFolder('run', { command: 'train', overwrite: false, results: ['wts.zip'] }, services, async (folder) => {
 *   await folder.make();
 * });
 */
import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { CONFIG_BYTES, readTextInput } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { FolderLock } from './folderLock.js';
import { json, makeOutputFolder, writeAtomically } from './outputFiles.js';
import { removeLeftovers, requireWritable } from './replaceFile.js';

/** How files of one command are named and asked for. */
export interface NewFiles {
  readonly overwrite: boolean;
  /** The field that names them, for the sentence: `output_file`. */
  readonly field: string;
}

/**
 * Looks at the places of files to write.
 * @throws PtychoError OUTPUT_EXISTS where one is there and may not be replaced; OUTPUT_UNWRITABLE for places that no file can have.
 */
export async function requireNew(files: readonly string[], { overwrite, field }: NewFiles): Promise<void> {
  for (const file of files) {
    const { mode } = await requireWritable(file);
    if (mode === undefined || overwrite) continue;
    throw new PtychoError(
      'OUTPUT_EXISTS',
      `${file} exists already; choose another --${field}, or give --overwrite to replace it.`,
      { path: file, field },
    );
  }
}

/** {@link NewFiles} of a configuration: a caller that owns the outputs may replace them. */
export function newFiles(config: { readonly overwrite: boolean }, services: Services) {
  return { overwrite: config.overwrite || services.ownsOutputs === true };
}

/** {@link requireNew} for small files of one folder; null: nothing is written. */
export async function requireNewIn(
  folder: string | null,
  names: readonly string[],
  config: { readonly overwrite: boolean },
  services: Services,
): Promise<void> {
  if (folder === null) return;
  const files = names.map((name) => path.join(folder, name));
  await requireNew(files, { ...newFiles(config, services), field: 'output_dir' });
}

/** What a run writes to its folder. */
export interface FolderClaim {
  /** `train`, for whoever finds the folder taken. */
  readonly command: string;
  readonly overwrite: boolean;
  /** Files of the run, below the folder: names with forward slashes, or patterns for those of a folder. */
  readonly results: readonly (string | RegExp)[];
  /** Files elsewhere: the field that names each, and its path. */
  readonly files?: readonly (readonly [field: string, file: string])[];
  /** Whether something that is there was made by this command in this folder and may be written again. */
  readonly isOwn?: (file: string) => Promise<boolean>;
  /** What else can be done than to overwrite: ` go on with --resume run,`. */
  readonly instead?: string;
}

/** A folder that a run writes to. */
export interface OwnedFolder {
  /** Makes it if it is missing. @throws PtychoError OUTPUT_UNWRITABLE, OUTPUT_IN_USE */
  make(): Promise<void>;
  /** Aborts when the caller's does, or when another run has taken the folder over. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Owns the folder while `work` runs: at once where it is there, from `make` on where it is not, so that a run that is refused
 * leaves no traces. Where the caller owns the folder already (`services.ownsOutputs`), nothing is asked.
 * @throws PtychoError OUTPUT_IN_USE, OUTPUT_EXISTS and OUTPUT_UNWRITABLE before `work` begins, and what it throws
 */
export async function withOutputFolder<T>(
  folder: string,
  claim: FolderClaim,
  services: Services,
  work: (folder: OwnedFolder) => Promise<T>,
): Promise<T> {
  if (services.ownsOutputs) return work({ make: () => makeOutputFolder(folder), signal: services.signal });
  const lost = new AbortController();
  let lock: FolderLock | undefined;
  const found = await stat(folder).catch(() => undefined);
  const onLost = (error: PtychoError) => {
    services.logger?.warn(error.message);
    lost.abort(error);
  };
  const make = async () => {
    if (lock !== undefined) return;
    await makeOutputFolder(folder);
    lock = await FolderLock.acquire(folder, { command: claim.command, logger: services.logger, onLost });
    for (const name of await removeAllLeftovers(folder)) {
      services.logger?.debug?.(`Removed ${name}, which a run that was killed had left.`);
    }
    // A run that is refused for what it finds leaves nothing in the folder.
    if (!claim.overwrite && found !== undefined) await requireNoResults(folder, claim);
    services.onOutputFolder?.(folder);
  };
  try {
    if (found !== undefined) await make();
    for (const [field, file] of claim.files ?? []) await requireNew([file], { overwrite: claim.overwrite, field });
    const signal = services.signal ? AbortSignal.any([services.signal, lost.signal]) : lost.signal;
    const result = await work({ make, signal });
    lost.signal.throwIfAborted();
    return result;
  } finally {
    await lock?.release();
  }
}

/** What of a run that leaves a state says whether it goes on, and where. */
export interface ResumableConfig {
  readonly output_dir: string;
  readonly overwrite: boolean;
  readonly resume: string | null;
}

/** Whether a run goes on in its own folder. */
export const goesOnIn = ({ output_dir, resume }: Pick<ResumableConfig, 'output_dir' | 'resume'>): boolean =>
  resume !== null && path.resolve(resume) === path.resolve(output_dir);

/**
 * The claim of a run that one state can bring back: a run that goes on writes to its own folder; another run's results stay.
 * @param stateFile below the folder
 */
export function resumableClaim(
  command: string,
  config: ResumableConfig & { readonly product_file: string | null },
  stateFile: string,
  results: readonly string[],
): FolderClaim {
  const { output_dir, overwrite, product_file } = config;
  const instead = existsSync(path.join(output_dir, stateFile)) ? ` go on with --resume ${output_dir},` : '';
  return {
    command,
    overwrite: overwrite || goesOnIn(config),
    results: [...results, stateFile, 'run.json', 'config.json'],
    files: product_file === null ? [] : [['product_file', product_file]],
    isOwn: isRunConfig,
    instead,
  };
}

/**
 * Begins in the folder that was claimed: what an earlier run left must not tell of this one, should it be killed, and the configuration
 * is kept as the run was begun: a run that is resumed is no other one.
 * @param resumed whether there was a state to go on from
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function beginResumable(
  config: ResumableConfig,
  { stateFile, resumed }: { readonly stateFile: string; readonly resumed: boolean },
  services: Services,
): Promise<void> {
  if (!(resumed && goesOnIn(config))) await removeEarlier([stateFile, 'run.json'], config, services);
  const { resume: _, overwrite: __, ...begun } = config;
  const content = json({ config: { ...begun, resume: null }, provenance: services.provenance });
  await writeAtomically(path.join(config.output_dir, 'config.json'), content);
}

/**
 * Removes files of an earlier run, which would pass for this one's. What the configuration names stays: it was an input. So does all in
 * a folder that a caller owns.
 * @param names below the output folder
 */
export async function removeEarlier(
  names: readonly string[],
  config: { readonly output_dir: string },
  services: Services,
): Promise<void> {
  if (services.ownsOutputs) return;
  const folder = config.output_dir;
  const named = textsIn(config);
  for (const name of names) {
    const file = path.resolve(folder, name);
    // `FILE:key` names a file, too.
    if (named.some((text) => [text, text.replace(/:[^:/\\]*$/, '')].some((place) => path.resolve(place) === file)))
      continue;
    await rm(file, { force: true });
  }
}

/** All texts in a configuration, however deep. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** Those of the folder itself and of the folders that runs have in it. */
async function removeAllLeftovers(folder: string): Promise<string[]> {
  const removed = await removeLeftovers(folder);
  for (const below of RUN_FOLDERS) {
    const names = await removeLeftovers(path.join(folder, below));
    removed.push(...names.map((name) => path.join(below, name)));
  }
  return removed;
}

const RUN_FOLDERS = ['checkpoints', 'logs', 'previews', 'debug_dump', 'debug_images'];

/**
 * Whether a file is the `config.json` that a run writes before anything else: where a run left nothing but that, nothing is lost
 * with it.
 */
export async function isRunConfig(file: string): Promise<boolean> {
  if (path.basename(file) !== 'config.json') return false;
  try {
    const found: unknown = JSON.parse(await readTextInput(file, { maxBytes: CONFIG_BYTES }));
    return typeof found === 'object' && found !== null && Object.keys(found).sort().join() === 'config,provenance';
  } catch {
    return false;
  }
}

async function requireNoResults(folder: string, { results, isOwn, instead = '' }: FolderClaim): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const present: string[] = [];
  for (const result of results) {
    if (result instanceof RegExp) {
      present.push(...entries.filter(({ name }) => result.test(name)).map(({ name }) => name));
    } else if ((await stat(path.join(folder, result)).catch(() => undefined)) !== undefined) {
      present.push(result);
    }
  }
  const names: string[] = [];
  for (const name of new Set(present)) {
    const file = path.join(folder, name);
    if (!(await isOwn?.(file))) names.push(file);
  }
  if (names.length === 0) return;
  const others = names.length - 1;
  const more =
    others === 0 ? 'exists' : `and ${others} more ${others === 1 ? 'file' : 'files'} that would be replaced exist`;
  throw new PtychoError(
    'OUTPUT_EXISTS',
    `${names[0]} ${more} already;${instead} choose another --output_dir, or give --overwrite to replace ${others === 0 ? 'it' : 'them'}.`,
    { path: names[0], found: names, field: 'output_dir' },
  );
}
