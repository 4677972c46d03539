/**
 * A page in Debian's chromium that has the build for browsers, without a bundler: served by this process with or without the headers that
 * isolate it. `PTYCHOPINN_REQUIRE_BROWSER=1` makes the absence of the browser a failure.
 */
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { describe } from 'vitest';

const CHROMIUM = process.env.PTYCHOPINN_CHROMIUM ?? '/usr/bin/chromium';

/** `describe` for tests that need a browser. */
export function describeBrowser(name: string, body: () => void): void {
  if (existsSync(CHROMIUM) || process.env.PTYCHOPINN_REQUIRE_BROWSER === '1') describe(name, body);
  else describe.skip(`${name} (skipped: no browser; apt-get install chromium)`, body);
}

/** What the page of docs/web.md needs, and nothing more. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'";

const KINDS: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** A server of pages: `/lib` is the build, `/ort` the engine; `/files` any file that the test names. */
export class PageServer {
  readonly requests: string[] = [];
  readonly #files = new Map<string, string>();

  private constructor(
    private readonly server: Server,
    readonly base: string,
  ) {}

  static async start(isolated: boolean): Promise<PageServer> {
    let pages: PageServer | undefined;
    const server = createServer((request, response) =>
      pages?.answer(request.url ?? '/', request.headers.range, response),
    );
    if (isolated) {
      server.prependListener('request', (_request, response) => {
        response.setHeader('cross-origin-opener-policy', 'same-origin');
        response.setHeader('cross-origin-embedder-policy', 'require-corp');
      });
    }
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    pages = new PageServer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return pages;
  }

  /** Serves a folder. @returns the address of its page */
  serveFolder(folder: string, name: string): string {
    for (const file of readdirSync(folder, { recursive: true }) as string[])
      this.#files.set(`/${name}/${file.split(path.sep).join('/')}`, path.join(folder, file));
    return `${this.base}/${name}/index.html`;
  }

  /** Serves a file of this machine. @returns its address */
  serve(file: string, name = path.basename(file)): string {
    this.#files.set(`/files/${name}`, file);
    return `${this.base}/files/${name}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  answer(url: string, range: string | undefined, response: ServerResponse): void {
    const { pathname } = new URL(url, this.base);
    this.requests.push(`${pathname} ${range ?? ''}`.trim());
    response.setHeader('content-security-policy', POLICY);
    if (pathname === '/') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end('<!doctype html><html lang="en"><title>test</title><input type="file" multiple></html>');
      return;
    }
    const file =
      this.#files.get(pathname) ??
      (pathname.startsWith('/ort/ort-wasm-simd-threaded')
        ? path.resolve('node_modules/onnxruntime-web/dist', path.basename(pathname))
        : pathname.startsWith('/lib/') && !pathname.includes('..')
          ? path.resolve('dist/web/bundle', pathname.slice('/lib/'.length))
          : undefined);
    if (file === undefined || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const { size } = statSync(file);
    response.setHeader('content-type', KINDS[path.extname(file)] ?? 'application/octet-stream');
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (from === undefined) {
      response.setHeader('content-length', size);
      createReadStream(file).pipe(response);
      return;
    }
    const end = Math.min(size - 1, Number(to));
    response.writeHead(206, {
      'content-range': `bytes ${from}-${end}/${size}`,
      'content-length': end - Number(from) + 1,
    });
    createReadStream(file, { start: Number(from), end }).pipe(response);
  }
}

/** The browser. */
export function startBrowser(...args: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage', ...args] });
}

/** A page with a session in `window.session`; what the session logs, and errors of the page, are kept. */
export async function openSession(
  browser: Browser,
  server: PageServer,
): Promise<{ readonly page: Page; readonly said: readonly string[] }> {
  const page = await browser.newPage();
  const said: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(`error of the page: ${error.message}`));
  page.setDefaultTimeout(300_000);
  await page.goto(server.base);
  await page.evaluate(BEGIN);
  return { page, said };
}

// As text: what a function of a test names would be renamed for Node.
const BEGIN = `(async () => {
  const { connect } = await import('/lib/session.js');
  window.session = connect(new Worker('/lib/worker.js', { type: 'module' }));
  session.onLog = (level, message) => console.log(level + ' ' + message);
  await session.engineFiles(new URL('/ort/', location.href));
  window.drop = async () => {
    const paths = [];
    for (const file of document.querySelector('input').files) paths.push(await session.addFile(file));
    return paths;
  };
  window.told = (work) => work.then((value) => ({ value }), ({ code, message }) => ({ code, message }));
})()`;

/** Chooses files in the page, as a user does. @returns their paths in the session */
export async function drop(page: Page, files: string | readonly string[]): Promise<string[]> {
  await page.locator('input').setInputFiles(files as string[]);
  return page.evaluate('drop()');
}
