/**
 * The CUDA libraries of ONNX Runtime, which are too large for the npm registry: fetched by onnxruntime-node's own install script, and by
 * nothing else. Installing the package never does that by itself.
 *
 * @example
 * const { fetches, installed } = await setupCuda({ dry_run: true });
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';

/** What {@link setupCuda} did, or would do. */
export interface CudaSetup {
  /** What onnxruntime-node's script says that it fetches: `Microsoft.ML.OnnxRuntime.Gpu.Linux 1.30.0 from …`. */
  readonly fetches: readonly string[];
  /** The libraries. */
  readonly files: readonly string[];
  /** True where all of them are there now. */
  readonly installed: boolean;
  /** True where nothing had to be done. */
  readonly before: boolean;
}

/** What of `script/install-metadata.js` in onnxruntime-node is read; it only lists what there is. */
interface InstallMetadata {
  readonly requirements: Readonly<Record<string, readonly string[] | undefined>>;
  readonly manifests: Readonly<Record<string, Readonly<Record<string, { readonly package: string }>>>>;
  readonly packages: Readonly<
    Record<string, { readonly name: string; readonly versions: readonly { feed: string; version: string }[] }>
  >;
  readonly feeds: Readonly<Record<string, { readonly index: string }>>;
}

/**
 * Runs onnxruntime-node's install script for CUDA, after saying what it fetches.
 * @param options `dry_run`: only says it; `folder`: the installed onnxruntime-node, `platform`: `linux/x64`, where not those of this process
 * @throws PtychoError ACCELERATOR_MISSING where there are no CUDA libraries for this platform, or they could not be fetched; BACKEND_MISSING
 */
export async function setupCuda(
  options: { readonly dry_run?: boolean; readonly folder?: string; readonly platform?: string } = {},
  { signal, logger }: Pick<Services, 'signal' | 'logger'> = {},
): Promise<CudaSetup> {
  const folder = options.folder ?? installedFolder();
  const platform = options.platform ?? `${process.platform}/${process.arch}`;
  const { requirements, manifests, packages, feeds } = createRequire(path.join(folder, 'package.json'))(
    './script/install-metadata.js',
  ) as InstallMetadata;
  const names = requirements[platform] ?? [];
  if (names.length === 0) {
    const able = Object.keys(requirements).filter((name) => (requirements[name]?.length ?? 0) > 0);
    throw new PtychoError(
      'ACCELERATOR_MISSING',
      `onnxruntime-node has no CUDA libraries for ${platform}, only for ${able.join(', ') || 'no platform'}; stay with --accelerator cpu here.`,
      { found: platform, expected: able },
    );
  }
  const wanted = names.flatMap((name) => Object.entries(manifests[`${platform}:${name}`] ?? {}));
  const files = wanted.map(([file]) => path.join(folder, 'bin/napi-v6', platform, file));
  const fetches = [...new Set(wanted.map(([, from]) => from.package))].map((key) => {
    const { name, versions } = packages[key];
    return `${name} ${versions.map(({ version, feed }) => `${version} from ${feeds[feed].index}`).join(', or ')}`;
  });
  const complete = () => files.every((file) => existsSync(file));
  const before = complete();
  if (before || options.dry_run) return { fetches, files, installed: before, before };
  logger?.info(`onnxruntime-node's install script now fetches ${fetches.join(' and ')}: some hundred megabytes.`);
  await runScript(folder, names.join(','), signal);
  if (complete()) return { fetches, files, installed: true, before };
  throw failed(`the script ended well, but ${files.find((file) => !existsSync(file))} is not there`, fetches);

  async function runScript(where: string, what: string, stop: AbortSignal | undefined): Promise<void> {
    const env = { ...process.env };
    // An installation that skipped the libraries may have set these; the flag says what is wanted now.
    for (const key of Object.keys(env)) if (/onnxruntime_node_install/i.test(key)) delete env[key];
    const script = path.join(where, 'script', 'install.js');
    const child = spawn(process.execPath, [script, `--onnxruntime-node-install=${what}`], { cwd: where, env, signal: stop }); // biome-ignore format: one call
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        said = `${said}${String(text)}`.slice(-4000);
      });
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    }).catch((error: Error) => {
      throw stop?.aborted ? new PtychoError('CANCELLED', 'Setting up CUDA was cancelled; run it again.') : error;
    });
    if (code !== 0) throw failed(reasonIn(said) ?? `the script ended with exit code ${code}`, fetches);
  }
}

function installedFolder(): string {
  try {
    return path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  } catch (cause) {
    throw new PtychoError(
      'BACKEND_MISSING',
      'onnxruntime-node is not installed: install ptychopinn with its dependencies first.',
      {},
      { cause },
    );
  }
}

/** The line of the script's output that says what went wrong. */
function reasonIn(said: string): string | undefined {
  const lines = said.split('\n').map((line) => line.trim());
  return lines.findLast((line) => /^(\w*Error|error)\b.*:/.test(line)) ?? lines.findLast((line) => /\bE[A-Z]{4,}\b/.test(line)); // biome-ignore format: one line
}

function failed(why: string, fetches: readonly string[]): PtychoError {
  return new PtychoError(
    'ACCELERATOR_MISSING',
    `The CUDA libraries were not installed (${why}): the machine must reach the place of ${fetches.join(' and ')}; behind a proxy set GLOBAL_AGENT_HTTPS_PROXY, or copy the libraries from a machine that could.`,
    { reason: why, fetches },
  );
}
