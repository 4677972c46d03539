/** Bytes that lie in no file: every source gives the same bytes for the same request, and says what is wrong with its own. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readInto } from '../../src/formats/byteSource.js';
import { blobSource, memorySource, openHttpSource, type PageSource } from '../../src/formats/pageSources.js';

const bytes = Uint8Array.from({ length: 700_001 }, (_, i) => (i * 2654435761) >>> 24);
let server: Server;
let base: string;
let requests = 0;
/** What the server does besides its work. */
let mood: 'fair' | 'short' | 'gone' = 'fair';

beforeAll(async () => {
  server = createServer((request, response) => {
    requests++;
    if (request.url === '/missing') return void response.writeHead(404).end();
    if (request.url === '/whole') return void response.end(bytes);
    if (mood === 'gone') return void response.writeHead(500).end();
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') as unknown as string[];
    const end = Math.min(bytes.length - 1, Number(to));
    response.writeHead(206, { 'content-range': `bytes ${from}-${end}/${bytes.length}` });
    response.end(bytes.subarray(Number(from), mood === 'short' ? Number(from) + 7 : end + 1));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const kinds: Readonly<Record<string, () => Promise<PageSource>>> = {
  memory: async () => memorySource('memory', bytes),
  'a Blob': async () => blobSource('scan.h5', new Blob([bytes])),
  'an address': () => openHttpSource(`${base}/ranges`),
  'an address without ranges': () => openHttpSource(`${base}/whole`),
};

describe.each(Object.entries(kinds))('%s', (_, open) => {
  it('gives any part', async () => {
    const source = await open();
    expect(source.size).toBe(bytes.length);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length + 10), fc.nat(400_000), async (offset, length) => {
        const expected = bytes.subarray(offset, Math.max(offset, Math.min(bytes.length, offset + length)));
        expect(Buffer.compare(await source.read(offset, length), expected)).toBe(0);
        const target = new Uint8Array(length);
        expect(await readInto(source, offset, target)).toBe(expected.length);
        expect(Buffer.compare(target.subarray(0, expected.length), expected)).toBe(0);
      }),
      {
        numRuns: 20,
        examples: [
          [0, bytes.length],
          [bytes.length, 1],
          [0, 0],
        ] as [number, number][],
      },
    );
    await source.close();
  });
});

it('keeps what it read last, and asks for neighbouring blocks at once', async () => {
  const source = await openHttpSource(`${base}/ranges`);
  const before = requests;
  await source.read(100, 200);
  expect(requests - before).toBe(0);
  await source.read(2 ** 18 - 10, 2 ** 18);
  expect(requests - before).toBe(1);
  await source.read(2 ** 18, 2 ** 18);
  expect(requests - before).toBe(1);
});

it('says what a server does wrong', async () => {
  await expect(openHttpSource(`${base}/missing`)).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: `Cannot read ${base}/missing: the server answers 404 Not Found.`,
  });
  await expect(openHttpSource('http://127.0.0.1:1/x')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await expect(openHttpSource(`${base}/whole`, { maxBytes: 1000 })).rejects.toMatchObject({
    code: 'FORMAT_UNSUPPORTED',
    message: expect.stringContaining('more than the 1000 bytes'),
  });
  const source = await openHttpSource(`${base}/ranges`);
  mood = 'short';
  await expect(source.read(600_000, 10)).rejects.toThrow(/gave 7 of the \d+ bytes/);
  mood = 'gone';
  await expect(source.read(600_000, 10)).rejects.toThrow(/answers 500 when asked for a part/);
  mood = 'fair';
  expect((await source.read(600_000, 10)).length).toBe(10);
});

it('says that a file was changed since it was dropped', async () => {
  const blob = { size: 10, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }) };
  await expect(blobSource('scan.h5', blob).read(0, 1)).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: expect.stringContaining('open it again'),
  });
});
