/** A server of MLflow that means harm: what it answers leads to no file of ours, fills no memory and ends in a sentence. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MlflowClient, type MlflowOptions } from '../../src/persistence/mlflow.js';
import { downloadArtifact, fetchMlflowBundle, uploadArtifact } from '../../src/persistence/mlflowArtifacts.js';

let folder: string;
let server: Server;
let requests: string[];
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-hostile-mlflow-'));
  requests = [];
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const client = (options: MlflowOptions = {}) => new MlflowClient(address(), { environment: {}, ...options });
const json = (body: string) => (response: ServerResponse) => response.end(body);
const bytes = Uint8Array.of(1, 2, 3);

describe('where artifacts lie', () => {
  it.each([
    'mlflow-artifacts:/../../../etc',
    'mlflow-artifacts:/a/%2e%2e/b',
    'mlflow-artifacts:/a/%252e%252e/b',
    'mlflow-artifacts:/a/..%2f..%2fb',
    'mlflow-artifacts:/a\\..\\b',
    'mlflow-artifacts:/C:/b',
    'mlflow-artifacts:/a/./b',
    'mlflow-artifacts://elsewhere.example/a',
    'file:///some/folder',
    '/some/folder',
  ])('%s is not followed', async (uri) => {
    answer = json('{}');
    await expect(uploadArtifact(client(), uri, 'wts.zip', bytes)).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      message: expect.stringMatching(/\.$/),
    });
    await expect(downloadArtifact(client(), uri, 'wts.zip')).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    expect(requests).toEqual([]);
  });

  it('is the folder that was named, and no file that is there', async () => {
    const store = path.join(folder, 'store');
    await mkdir(store);
    await writeFile(path.join(folder, 'precious.txt'), 'precious');
    await symlink(folder, path.join(store, 'out'));
    const allowed = client({ allowFile: store });
    const put = (uri: string, name: string) => uploadArtifact(allowed, uri, name, bytes);
    await put(`file://${store}/1/run`, 'a/wts.zip');
    expect(await readFile(path.join(store, '1', 'run', 'a', 'wts.zip'))).toEqual(Buffer.from(bytes));
    await expect(put(`file://${store}/1/run`, 'a/wts.zip')).rejects.toThrow(/is there already and stays as it is\.$/);
    for (const uri of [
      `file://${folder}`,
      `file://${store}/..`,
      `file://${store}/%2e%2e`,
      `file://${store}/out`,
      `${store}/../`,
      'file://host/share',
    ]) {
      await expect(put(uri, 'precious.txt')).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
      await expect(downloadArtifact(allowed, uri, 'precious.txt')).rejects.toMatchObject({
        code: 'FORMAT_UNSUPPORTED',
      });
    }
    expect(await readFile(path.join(folder, 'precious.txt'), 'utf8')).toBe('precious');
    expect((await readdir(folder)).sort()).toEqual(['precious.txt', 'store']);
    await expect(downloadArtifact(allowed, `file://${store}/1/run`, 'a')).rejects.toThrow(/is no file of at most/);
  });
});

describe('what it answers', () => {
  it.each([
    ['null', 'null'],
    ['a list', '[]'],
    ['a run that is null', '{"run":null}'],
    ['numbers for texts', '{"run":{"info":{"run_id":7,"artifact_uri":8}}}'],
    ['no address', '{"run":{"info":{"run_id":"a"}}}'],
  ])('%s is a sentence', async (_, body) => {
    answer = json(body);
    await expect(client().getRun('a')).rejects.toThrow(/^the server's answer holds no [\w.]+ that can be used; is it/);
    await expect(client().experimentId('x')).rejects.toThrow(/is it an MLflow server\?/);
    await expect(fetchMlflowBundle('runs:/a', address(), { environment: {} })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
  });

  it('nested without end is no answer', async () => {
    answer = json('['.repeat(200_000));
    await expect(client().getRun('a')).rejects.toThrow(/does not answer like an MLflow server/);
  });

  it.each([200, 500])('without end is cut off, with status %i', async (status) => {
    const chunk = Buffer.alloc(2 ** 20, ' ');
    let sent = 0;
    answer = (response) => {
      response.writeHead(status);
      const more = () => {
        while (!response.destroyed && sent < 64 && response.write(chunk)) sent++;
        if (!response.destroyed && sent < 64) response.once('drain', more);
      };
      more();
    };
    await expect(client().getRun('a')).rejects.toThrow(/answer is longer than 16\.8 MB/);
    expect(sent).toBeLessThan(40);
  });

  it('that never ends is given up', async () => {
    answer = (response) => {
      response.write('{');
    };
    await expect(client({ timeoutMs: 200 }).getRun('a')).rejects.toThrow(/no answer within 0\.2 s/);
  });

  it('as a refusal may be no object', async () => {
    answer = (response) => {
      response.writeHead(500);
      response.end('null');
    };
    await expect(client().getRun('a')).rejects.toThrow('the server answers HTTP 500: Internal Server Error');
  });
});
