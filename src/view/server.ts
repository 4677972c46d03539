/**
 * The page of `ptychopinn view` on 127.0.0.1: the built app, and the files of one folder by range requests. Everything lies behind a random
 * token in the address; other names of this machine, pages of other origins and whatever leads out of the folder are refused.
 *
 * @example
 * const server = await startView({ folder: await ServedFolder.open('beamtime'), port: 0 });
 * console.log(server.url);
 * await server.close();
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import send from 'send';
import { PtychoError } from '../core/errors.js';
import { packageFile } from '../core/packageFile.js';
import type { ServedFolder } from './folder.js';

/** How a page is served. */
export interface ViewOptions {
  readonly folder?: ServedFolder;
  /** 0: any that is free. */
  readonly port: number;
}

/** A server that runs. */
export interface ViewServer {
  /** With the token: whoever has it may read the folder. */
  readonly url: string;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
/** Everywhere: a page has processor threads only where these are sent. */
const ISOLATION: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};
/** Of files of the folder: pages of runs have their pictures and styles in them, and no scripts. */
const OF_FILES = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; sandbox";

/** The policy of the app. @param other an origin that the user typed the address of */
export const policyOf = (other?: string): string =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    `connect-src 'self'${other === undefined ? '' : ` ${other}`}`,
    "img-src 'self' data: blob:",
    "style-src 'self' 'unsafe-inline'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

/** Starts it. @throws PtychoError BACKEND_MISSING where the page was not built, OUTPUT_UNWRITABLE for a port that is taken */
export async function startView({ folder, port }: ViewOptions): Promise<ViewServer> {
  const roots = staticRoots();
  const token = randomBytes(24).toString('base64url');
  const server = createServer((request, response) => {
    answer(request, response, { token, folder, roots, port: portOf(server) }).catch(() => {
      if (!response.headersSent) refuse(response, 500);
      else response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'another program uses it' : cause.message;
      reject(new PtychoError('OUTPUT_UNWRITABLE', `Port ${port} of ${HOST} cannot be used: ${why}; choose another --port, or leave it out.`, { port }, { cause })); // biome-ignore format: one sentence
    });
    server.listen(port, HOST, resolve);
  });
  return {
    url: `http://${HOST}:${portOf(server)}/${token}/`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

/** Where the app, the library for pages and the engine are. */
interface StaticRoots {
  readonly app: string;
  readonly lib: string;
  /** Undefined where onnxruntime-web is not installed. */
  readonly ort?: string;
}

function staticRoots(): StaticRoots {
  const app = path.dirname(fileURLToPath(packageFile(new URL('../app/index.html', import.meta.url), 'app/index.html')));
  const lib = path.dirname(
    fileURLToPath(packageFile(new URL('../web/bundle/worker.js', import.meta.url), 'web/bundle/worker.js')),
  );
  try {
    const ort = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
    return { app, lib, ort };
  } catch {
    return { app, lib };
  }
}

interface Answering {
  readonly token: string;
  readonly folder?: ServedFolder;
  readonly roots: StaticRoots;
  readonly port: number;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { token, folder, roots, port }: Answering,
): Promise<void> {
  for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
  response.setHeader('Content-Security-Policy', OF_FILES);
  // A name that was made to lead here, and pages of others, get nothing; nor does whoever has no token.
  const { host, origin } = request.headers;
  const here = [`${HOST}:${port}`, `localhost:${port}`];
  if (!here.includes(host ?? '') || (origin !== undefined && !here.includes(origin.replace(/^http:\/\//, ''))))
    return refuse(response, 403);
  const site = request.headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') return refuse(response, 403);
  const url = new URL(request.url ?? '/', `http://${HOST}`);
  const [, given = '', ...parts] = url.pathname.split('/');
  if (!sameToken(given, token)) return refuse(response, 403);
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
  const [room, ...rest] = parts;
  if (room === 'api' && rest.length === 1) return api(rest[0], response, folder);
  if (room === 'files') return served(request, response, await named(folder, rest));
  const below = parts.join('/') || 'index.html';
  const [root, name] =
    room === 'lib' ? [roots.lib, rest.join('/')] : room === 'ort' ? [roots.ort, rest.join('/')] : [roots.app, below];
  if (root === undefined) return refuse(response, 404);
  response.setHeader('Content-Security-Policy', policyOf(originTyped(url)));
  send(request, `/${name}`, { root, dotfiles: 'deny', cacheControl: false, index: false })
    .on('error', ({ status = 404 }: { status?: number }) => refuse(response, status))
    .on('directory', () => refuse(response, 404))
    .pipe(response);
}

/** An origin in `?connect=`, which the app puts there when its user types an address. */
function originTyped(url: URL): string | undefined {
  const typed = url.searchParams.get('connect');
  if (typed === null) return undefined;
  try {
    const { origin, protocol } = new URL(typed);
    return protocol === 'https:' || protocol === 'http:' ? origin : undefined;
  } catch {
    return undefined;
  }
}

function sameToken(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function api(name: string, response: ServerResponse, folder: ServedFolder | undefined): Promise<void> {
  const what = {
    folder: async () => ({
      name: folder ? path.basename(folder.root) : null,
      opened: folder?.opened ?? null,
      ...(await folder?.list()),
    }),
    results: async () => (await folder?.results()) ?? [],
  }[name];
  if (what === undefined) return refuse(response, 404);
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(await what()));
}

async function named(folder: ServedFolder | undefined, parts: readonly string[]): Promise<string | undefined> {
  try {
    return await folder?.fileAt(parts.map(decodeURIComponent).join('/'));
  } catch {
    // A percent sign that begins no character.
    return undefined;
  }
}

function served(request: IncomingMessage, response: ServerResponse, file: string | undefined): void {
  if (file === undefined) {
    refuse(response, 404);
    return;
  }
  // The path is real and inside the folder; `send` adds ranges, lengths and types.
  send(request, path.basename(file).replaceAll('%', '%25'), {
    root: path.dirname(file),
    dotfiles: 'deny',
    cacheControl: false,
    index: false,
  })
    .on('error', ({ status = 404 }: { status?: number }) => refuse(response, status))
    .pipe(response);
}

const REASONS: Readonly<Record<number, string>> = {
  403: 'This address needs its token: open the one that "ptychopinn view" printed.',
  404: 'There is no such file here.',
  405: 'Only GET and HEAD are answered.',
  416: 'The file has no such range.',
};

function refuse(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`${REASONS[status] ?? 'This cannot be answered.'}\n`);
}
