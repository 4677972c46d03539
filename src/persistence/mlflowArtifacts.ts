/**
 * Artifacts of MLflow runs: written and read through the server, or in a folder of this machine that the user names. Whatever a
 * server answers, it leads to no other file, and to no file that is there already.
 *
 * @example
 * await uploadArtifact(client, run.artifactUri, 'wts.zip', { file: 'run/wts.zip' });
 * const bundle = await fetchMlflowBundle('runs:/0123abcd/wts.zip', 'http://localhost:5000');
 * try { await openBundle(bundle.path); } finally { await bundle.dispose(); }
 */
import { constants, copyFile, mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, PtychoError } from '../core/errors.js';
import { systemTrouble } from '../core/systemErrors.js';
import { formatBytes } from '../core/words.js';
import { writeAtomically } from '../formats/outputFiles.js';
import { makeScratchFolder } from '../formats/scratchFile.js';
import { MlflowClient, MlflowError, type MlflowOptions, trackingAddress } from './mlflow.js';

/** A bundle is some megabytes, the way to the server may be long. */
const TIMEOUT_MS = 600_000;
const MOST_BYTES = 2 ** 30;
const TRANSFER = { timeoutMs: TIMEOUT_MS, mostBytes: MOST_BYTES };

/**
 * Puts a file beside a run's figures. One that is there already in a folder stays as it is.
 * @param artifactUri the run's.
 * @param name its name there, with `/` between folders.
 * @throws MlflowError; PtychoError FORMAT_UNSUPPORTED for a store that only its own tools can write to, and for a place that a server
 * may not choose.
 */
export async function uploadArtifact(
  client: MlflowClient,
  artifactUri: string,
  name: string,
  content: Uint8Array | { readonly file: string },
): Promise<void> {
  const place = await placeOf(client, artifactUri, name);
  if (place.kind === 'server') {
    const bytes = content instanceof Uint8Array ? content : await readFile(content.file);
    await client.fetch('PUT', place.url, bytes, { timeoutMs: TIMEOUT_MS });
    return;
  }
  const folder = path.dirname(place.file);
  await mkdir(folder, { recursive: true });
  // Again: a link may have been there.
  requireInside(place.root, await realpath(folder), artifactUri);
  try {
    if (content instanceof Uint8Array) await writeFile(place.file, content, { flag: 'wx' });
    else await copyFile(content.file, place.file, constants.COPYFILE_EXCL);
  } catch (error) {
    if (systemTrouble(error)?.errno !== 'EEXIST') throw error;
    throw refused(`${place.file} is there already and stays as it is.`, artifactUri);
  }
}

/**
 * The bytes of an artifact.
 * @throws as {@link uploadArtifact}
 */
export async function downloadArtifact(client: MlflowClient, artifactUri: string, name = ''): Promise<Uint8Array> {
  const place = await placeOf(client, artifactUri, name);
  if (place.kind === 'server') return client.fetch('GET', place.url, undefined, TRANSFER);
  const file = await realpath(place.file);
  requireInside(place.root, file, artifactUri);
  const found = await stat(file);
  if (!found.isFile() || found.size > MOST_BYTES) {
    throw refused(`${file} is no file of at most ${formatBytes(MOST_BYTES)}.`, artifactUri);
  }
  return readFile(file);
}

/** Whether a path names an artifact on an MLflow server instead of a file. */
export function isMlflowUri(path: string): boolean {
  return /^(runs|mlflow-artifacts):/.test(path);
}

/** How artifacts of MLflow may be reached. */
export interface MlflowAccess {
  /** Address of the server; null: `MLFLOW_TRACKING_URI`. */
  readonly mlflowTrackingUri?: string | null;
  /** As `MlflowOptions.allowFile`. */
  readonly mlflowAllowFile?: string | null;
}

/** The same by the fields of a configuration. */
export function mlflowAccess(execution: {
  readonly mlflow_tracking_uri: string | null;
  readonly mlflow_allow_file: string | null;
}): MlflowAccess {
  return { mlflowTrackingUri: execution.mlflow_tracking_uri, mlflowAllowFile: execution.mlflow_allow_file };
}

/** A bundle that was fetched; `dispose` removes it. */
export interface FetchedBundle {
  readonly path: string;
  dispose(): Promise<void>;
}

/**
 * Fetches a bundle into a temporary file.
 * @param uri `runs:/RUN_ID/wts.zip`, `runs:/RUN_ID` for the bundle of that run, or `mlflow-artifacts:/PATH/wts.zip`.
 * @param trackingUri address of the server; null: `MLFLOW_TRACKING_URI`.
 * @throws PtychoError FILE_NOT_FOUND where the server has no such run or artifact or cannot be reached; CONFIG_INVALID
 * without an address, or for another form of `uri`.
 */
export async function fetchMlflowBundle(
  uri: string,
  trackingUri?: string | null,
  options: MlflowOptions = {},
): Promise<FetchedBundle> {
  const asked = /^runs:\/+([^/]+)(?:\/(.+))?$/.exec(uri);
  if (!asked && !/^mlflow-artifacts:\/+[^/]/.test(uri)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${uri} is no artifact of MLflow; write runs:/RUN_ID/wts.zip or mlflow-artifacts:/PATH/wts.zip.`,
      { found: uri },
    );
  }
  const client = new MlflowClient(trackingAddress(trackingUri, options.environment), options);
  let bytes: Uint8Array;
  try {
    bytes = asked
      ? await downloadArtifact(client, (await client.getRun(asked[1])).artifactUri, asked[2] ?? 'wts.zip')
      : await downloadArtifact(client, uri);
  } catch (error) {
    if (!(error instanceof MlflowError) && !isMissingFile(error)) throw error;
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `The bundle ${uri} cannot be fetched from MLflow at ${client.address}: ${messageOf(error)}.`,
      { path: uri },
      { cause: error },
    );
  }
  const { folder, dispose } = await makeScratchFolder('mlflow');
  const file = path.join(folder, 'wts.zip');
  try {
    await writeAtomically(file, bytes);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { path: file, dispose };
}

type Place =
  | { readonly kind: 'server'; readonly url: string }
  | { readonly kind: 'folder'; readonly file: string; readonly root: string };

/** Where an artifact lies: behind the server, or in a folder of this machine that the user has named. */
async function placeOf(client: MlflowClient, artifactUri: string, name: string): Promise<Place> {
  const proxied = /^mlflow-artifacts:(?:\/\/([^/]+))?\/*(.*)$/s.exec(artifactUri);
  if (proxied) {
    const [, host, inside] = proxied;
    // The login that is sent along is meant for one server.
    if (host !== undefined && host !== new URL(client.address).host) {
      throw refused(`The MLflow server sends to another one (${artifactUri}), which is not followed.`, artifactUri);
    }
    const parts = [...plainParts(inside, artifactUri), ...plainParts(name, name)];
    return {
      kind: 'server',
      url: `${client.address}/api/2.0/mlflow-artifacts/artifacts/${parts.map(encodeURIComponent).join('/')}`,
    };
  }
  const isFile = artifactUri.startsWith('file:') || path.isAbsolute(artifactUri);
  if (!isFile) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `The artifacts of this MLflow run lie in ${artifactUri}, where only the server can write; start it with --serve-artifacts.`,
      { found: artifactUri },
    );
  }
  const { allowFile } = client;
  if (allowFile === undefined) {
    throw refused(
      `The artifacts of this MLflow run lie in ${artifactUri}, and a server may not choose a folder of this machine: name the folder in which they may lie with --mlflow_allow_file, or start the server with --serve-artifacts.`,
      artifactUri,
    );
  }
  const root = await realpath(allowFile).catch((error: unknown) => {
    throw refused(
      `The folder ${allowFile} of --mlflow_allow_file cannot be used: ${systemTrouble(error)?.what ?? messageOf(error)}.`,
      allowFile,
    );
  });
  const file = path.join(folderOf(artifactUri), ...plainParts(name, name));
  requireInside(root, await realAncestor(file), artifactUri);
  return { kind: 'folder', file, root };
}

const refused = (sentence: string, found: string) => new PtychoError('FORMAT_UNSUPPORTED', sentence, { found });

/** Names of folders and a file, without a step up, in whatever spelling. @throws PtychoError FORMAT_UNSUPPORTED */
function plainParts(written: string, whole: string): string[] {
  const parts = written.split('/').filter((part) => part !== '');
  for (const part of parts) {
    const plain = decoded(part);
    const odd = plain === '.' || plain === '..' || /[/\\]|^[a-z]:/i.test(plain) || /\p{Cc}/u.test(plain);
    if (odd) throw refused(`The place ${whole} of an artifact of MLflow leads elsewhere, which is refused.`, whole);
  }
  return parts;
}

/** Percent signs may be encoded, too. */
function decoded(part: string): string {
  let text = part;
  for (let i = 0; i < 5; i++) {
    try {
      const next = decodeURIComponent(text);
      if (next === text) return text;
      text = next;
    } catch {
      return text;
    }
  }
  // Nobody encodes so often but to hide something.
  return '..';
}

function folderOf(artifactUri: string): string {
  if (!artifactUri.startsWith('file:')) {
    return path.join('/', ...plainParts(artifactUri, artifactUri));
  }
  const inside = artifactUri.replace(/^file:(\/\/[^/]*)?/, '');
  plainParts(inside, artifactUri);
  try {
    return fileURLToPath(artifactUri);
  } catch (error) {
    throw refused(`${artifactUri} is no folder of this machine (${messageOf(error)}).`, artifactUri);
  }
}

/** Where a path leads, as far as it is there. */
async function realAncestor(file: string): Promise<string> {
  for (let each = file; ; each = path.dirname(each)) {
    try {
      return await realpath(each);
    } catch (error) {
      if (systemTrouble(error)?.errno !== 'ENOENT' || each === path.dirname(each)) throw error;
    }
  }
}

/** @throws PtychoError FORMAT_UNSUPPORTED where a path is not inside of the folder that was named; the folder's own parents are not */
function requireInside(root: string, found: string, artifactUri: string): void {
  const relative = path.relative(root, found);
  if (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative)) return;
  throw refused(`${artifactUri} lies outside of ${root}, the folder of --mlflow_allow_file.`, artifactUri);
}

function isMissingFile(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
