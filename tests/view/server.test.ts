import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServedFolder } from '../../src/view/folder.js';
import { policyOf, startView, type ViewServer } from '../../src/view/server.js';

let folder: string;
let server: ViewServer;
let port: number;
let token: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-view-'));
  const at = (...names: string[]) => path.join(folder, ...names);
  mkdirSync(at('data', 'run', 'deep'), { recursive: true });
  writeFileSync(at('secret.txt'), 'secret');
  writeFileSync(at('data', 'scan.npz'), '0123456789');
  writeFileSync(at('data', 'odd %41 name#?.npz'), 'odd');
  writeFileSync(at('data', '.hidden'), 'hidden');
  writeFileSync(at('data', 'run', 'run.json'), '{"cancelled":true}');
  writeFileSync(at('data', 'run', 'config.json'), '{}');
  writeFileSync(at('data', 'run', 'index.html'), '<script>alert(1)</script>');
  writeFileSync(at('data', 'run', 'reconstructed_phase.png'), 'png');
  writeFileSync(at('data', 'run', 'deep', 'config.json'), '{}');
  symlinkSync(at('secret.txt'), at('data', 'link.txt'));
  symlinkSync(folder, at('data', 'up'));
  symlinkSync(at('data', 'scan.npz'), at('data', 'same.npz'));
  server = await startView({ folder: await ServedFolder.open(at('data')), port: 0 });
  const url = new URL(server.url);
  port = Number(url.port);
  token = url.pathname.split('/')[1];
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A request as written: `fetch` would tidy up the path. */
function get(target: string, headers: http.OutgoingHttpHeaders = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: target, method, headers }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += String(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    request.on('error', reject);
    request.end();
  });
}
const file = (name: string, headers?: http.OutgoingHttpHeaders) => get(`/${token}/files/${name}`, headers);

describe('the server of the page', () => {
  it('gives files of the folder, whole and in ranges', async () => {
    expect(await file('scan.npz')).toMatchObject({
      status: 200,
      body: '0123456789',
      headers: { 'accept-ranges': 'bytes' },
    });
    const part = await file('scan.npz', { Range: 'bytes=2-4' });
    expect(part).toMatchObject({ status: 206, body: '234', headers: { 'content-range': 'bytes 2-4/10' } });
    expect((await file('scan.npz', { Range: 'bytes=20-30' })).status).toBe(416);
    expect((await file('odd%20%2541%20name%23%3F.npz')).body).toBe('odd');
    // A link inside the folder to a file inside the folder.
    expect((await file('same.npz')).body).toBe('0123456789');
  });

  it.each([
    ['../secret.txt', 404],
    ['..%2Fsecret.txt', 404],
    ['%2e%2e/secret.txt', 404],
    ['%2e%2e%2fsecret.txt', 404],
    ['run/../../secret.txt', 404],
    ['run/%2e%2e/%2e%2e/secret.txt', 404],
    ['..%5Csecret.txt', 404],
    ['%252e%252e%252fsecret.txt', 404],
    ['link.txt', 404],
    ['up/secret.txt', 404],
    ['.hidden', 404],
    ['%2Fetc%2Fpasswd', 404],
    ['/etc/passwd', 404],
    ['scan.npz%00', 404],
    ['%', 404],
    ['run', 404],
    ['', 404],
  ])('does not give %j', async (name, status) => {
    const answer = await file(name);
    expect(answer.body).not.toContain('secret');
    expect(answer.body).not.toContain('root:');
    // The parser of addresses takes "/../" away, and with it the word that leads to files.
    expect([status, 403]).toContain(answer.status);
  });

  it('refuses whoever has no token, other names and other origins', async () => {
    for (const target of [
      '/',
      '/files/scan.npz',
      '/api/folder',
      `/${token.slice(0, -1)}x/files/scan.npz`,
      `/x${token}/`,
    ]) {
      expect((await get(target)).status, target).toBe(403);
    }
    const target = `/${token}/files/scan.npz`;
    expect((await get(target, { Host: `evil.example:${port}` })).status).toBe(403);
    expect((await get(target, { Origin: 'https://evil.example' })).status).toBe(403);
    expect((await get(target, { Origin: 'null' })).status).toBe(403);
    expect((await get(target, { 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403);
    expect((await get(target, { Origin: `http://127.0.0.1:${port}`, 'Sec-Fetch-Site': 'same-origin' })).status).toBe(
      200,
    );
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await get(target, {}, method)).status).toBe(405);
  });

  it('isolates the page, and runs no scripts of files', async () => {
    const page = await file('run/index.html');
    expect(page.headers['content-security-policy']).toBe("default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; sandbox"); // biome-ignore format: one policy
    for (const [name, value] of [
      ['cross-origin-opener-policy', 'same-origin'],
      ['cross-origin-embedder-policy', 'require-corp'],
      ['referrer-policy', 'no-referrer'],
    ]) {
      expect(page.headers[name]).toBe(value);
    }
    const app = await get(`/${token}/`);
    expect(app.headers['content-security-policy']).toBe(policyOf());
    expect(policyOf()).toContain("connect-src 'self';");
    expect(policyOf()).toContain("script-src 'self' 'wasm-unsafe-eval';");
    const typed = await get(`/${token}/?connect=${encodeURIComponent('https://data.example/a/b?c')}`);
    expect(typed.headers['content-security-policy']).toContain("connect-src 'self' https://data.example;");
    for (const evil of ['https://a.example; script-src *', 'javascript:alert(1)', 'data:x', "'unsafe-inline'"]) {
      const policy = (await get(`/${token}/?connect=${encodeURIComponent(evil)}`)).headers['content-security-policy'];
      expect(String(policy).match(/script-src[^;]*/g)).toEqual(["script-src 'self' 'wasm-unsafe-eval'"]);
    }
  });

  it('lists files and runs', async () => {
    const { files, name, opened, complete } = JSON.parse((await get(`/${token}/api/folder`)).body) as Record<
      string,
      unknown
    >;
    expect({ name, opened, complete }).toEqual({ name: 'data', opened: null, complete: true });
    const names = (files as { path: string }[]).map((each) => each.path);
    expect(names).toEqual(expect.arrayContaining(['scan.npz', 'same.npz', 'run/index.html', 'run/deep/config.json']));
    expect(names.some((each) => /hidden|link\.txt|secret|^up/.test(each))).toBe(false);
    const results = JSON.parse((await get(`/${token}/api/results`)).body) as Record<string, unknown>[];
    expect(results.map(({ path: where, state, page, pictures }) => ({ where, state, page, pictures }))).toEqual(
      expect.arrayContaining([
        { where: 'run', state: 'stopped', page: 'run/index.html', pictures: ['run/reconstructed_phase.png'] },
        { where: 'run/deep', state: 'running', page: undefined, pictures: [] },
      ]),
    );
  });

  it('of a scan gives the files beside it and no folders', async () => {
    const beside = await ServedFolder.open(path.join(folder, 'data', 'scan.npz'));
    expect(beside.opened).toBe('scan.npz');
    expect(await beside.fileAt('same.npz')).toBeDefined();
    expect(await beside.fileAt('run/run.json')).toBeUndefined();
    expect((await beside.list()).files.map((each) => each.path)).not.toContain('run/run.json');
    await expect(ServedFolder.open(path.join(folder, 'none'))).rejects.toThrow(/There is no file or folder .*none/);
  });

  it('says that a port is taken', async () => {
    await expect(startView({ port })).rejects.toThrow(
      `Port ${port} of 127.0.0.1 cannot be used: another program uses it`,
    );
  });
});
