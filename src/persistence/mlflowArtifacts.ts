/**
 * Artifacts of MLflow runs: written and read through the server, or in a folder that both see.
 *
 * @example
 * await uploadArtifact(client, run.artifactUri, 'wts.zip', { file: 'run/wts.zip' });
 * const bundle = await fetchMlflowBundle('runs:/0123abcd/wts.zip', 'http://localhost:5000');
 * try { await openBundle(bundle.path); } finally { await bundle.dispose(); }
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, PtychoError } from '../core/errors.js';
import { MlflowClient, MlflowError, type MlflowOptions, trackingAddress } from './mlflow.js';

/** A bundle is some megabytes, the way to the server may be long. */
const TIMEOUT_MS = 600_000;

/**
 * Puts a file beside a run's figures.
 * @param artifactUri the run's.
 * @param name its name there, with `/` between folders.
 * @throws MlflowError; PtychoError FORMAT_UNSUPPORTED for a store that only its own tools can write to.
 */
export async function uploadArtifact(
  client: MlflowClient,
  artifactUri: string,
  name: string,
  content: Uint8Array | { readonly file: string },
): Promise<void> {
  const place = placeOf(client, artifactUri, name);
  if (place.kind === 'server') {
    const bytes = content instanceof Uint8Array ? content : await readFile(content.file);
    await client.fetch('PUT', place.url, bytes, TIMEOUT_MS);
    return;
  }
  await mkdir(path.dirname(place.file), { recursive: true });
  if (content instanceof Uint8Array) await writeFile(place.file, content);
  else await copyFile(content.file, place.file);
}

/**
 * The bytes of an artifact.
 * @throws as {@link uploadArtifact}
 */
export async function downloadArtifact(client: MlflowClient, artifactUri: string, name = ''): Promise<Uint8Array> {
  const place = placeOf(client, artifactUri, name);
  if (place.kind === 'folder') return readFile(place.file);
  const answer = await client.fetch('GET', place.url, undefined, TIMEOUT_MS);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Whether a path names an artifact on an MLflow server instead of a file. */
export function isMlflowUri(path: string): boolean {
  return /^(runs|mlflow-artifacts):/.test(path);
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
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-mlflow-'));
  const file = path.join(folder, 'wts.zip');
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    await writeFile(file, bytes);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { path: file, dispose };
}

type Place = { readonly kind: 'server'; readonly url: string } | { readonly kind: 'folder'; readonly file: string };

/** Where an artifact lies: behind the server, or in a folder that this machine sees, too. */
function placeOf(client: MlflowClient, artifactUri: string, name: string): Place {
  const proxied = /^mlflow-artifacts:(?:\/\/([^/]+))?\/*(.*)$/.exec(artifactUri);
  if (proxied) {
    const [, host, inside] = proxied;
    const { protocol } = new URL(client.address);
    const base = host === undefined ? client.address : `${protocol}//${host}`;
    const parts = [...inside.split('/'), ...name.split('/')].filter((part) => part !== '');
    return {
      kind: 'server',
      url: `${base}/api/2.0/mlflow-artifacts/artifacts/${parts.map(encodeURIComponent).join('/')}`,
    };
  }
  const folder = artifactUri.startsWith('file:') ? fileURLToPath(artifactUri) : artifactUri;
  if (path.isAbsolute(folder) && isHere(client, folder)) return { kind: 'folder', file: path.join(folder, name) };
  throw new PtychoError(
    'FORMAT_UNSUPPORTED',
    `The artifacts of this MLflow run lie in ${artifactUri}, where only the server can write; start it with --serve-artifacts.`,
    { found: artifactUri },
  );
}

/** A folder of the server is one of ours where the server runs on this machine, or where the disk is shared. */
function isHere(client: MlflowClient, folder: string): boolean {
  const { hostname } = new URL(client.address);
  if (hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')) return true;
  // Experiments, this experiment, this run: only the first is certain to be there.
  return existsSync(path.resolve(folder, '../../..'));
}

function isMissingFile(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
