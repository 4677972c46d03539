/** A stream over ZeroMQ as it is written down: numbers of frames, planned positions, series that break off. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Push } from 'zeromq';
import { liveDefinition } from '../../src/config/commands.js';
import { resolvePart } from '../../src/config/resolve.js';
import { simulationDefinition } from '../../src/config/simulationDefinition.js';
import { openDataset } from '../../src/data/openDataset.js';
import { writeEnd, writeFrame, writeHeader } from '../../src/live/dectris.js';
import { openSource, type PlannedPositions } from '../../src/live/source.js';
import { freePort } from '../support/freePort.js';

const N = 8;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-source-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const frame = (number: number, appendix: object = {}, series = 1) => {
  const data = Uint32Array.from({ length: N * N }, (_, i) => number + (i === 27 ? 500 : 0));
  return writeFrame({ series, frame: number, data, shape: [N, N] }, 'none', appendix);
};
const plan = (count: number, indexes?: number[]): PlannedPositions => ({
  x: Array.from({ length: count }, (_, k) => 10 * k),
  y: Array.from({ length: count }, (_, k) => 3 * k),
  unit: 'px',
  indexes,
});

/** Sends messages, and gives back what was recorded and said until the stream ended. */
async function receive(messages: readonly Uint8Array[][], positions?: PlannedPositions) {
  const address = `tcp://127.0.0.1:${await freePort()}`;
  const detector = new Push();
  await detector.bind(address);
  const warned: string[] = [];
  const logger = { info() {}, warn: (message: string) => warned.push(message) };
  const source = await openSource(address, { folder, idleSeconds: 1, nFrames: null, positions }, { logger });
  for (const message of messages) await detector.send(message);
  while (!source.ended) await new Promise((done) => setTimeout(done, 10));
  const { failure } = source;
  await source.close();
  detector.close();
  if (failure) throw failure;
  const { path: file, options } = source;
  const raw = await openDataset(file, { ...options, reportOnly: true });
  const xs = [...raw.xcoords];
  await raw.close();
  return { xs, warned };
}
const header = (series = 1) => writeHeader(series, {});

it('planned positions go by the number of the frame, from 0 or from 1, with gaps', async () => {
  for (const first of [0, 1]) {
    const numbers = [0, 1, 3, 4].map((number) => number + first);
    const { xs } = await receive([header(), ...numbers.map((number) => frame(number)), writeEnd(1)], plan(6));
    expect(xs).toEqual([0, 10, 30, 40]);
    rmSync(folder, { recursive: true });
  }
});

it('planned positions with an index column go by it, in any order', async () => {
  const positions = plan(3, [3, 1, 2]);
  const { xs } = await receive([header(), frame(0), frame(1), frame(2), writeEnd(1)], positions);
  expect(xs).toEqual([10, 20, 0]);
});

it('a record that is gone on with has the same numbers, whatever was lost between', async () => {
  await receive([header(), frame(1), frame(2), writeEnd(1)], plan(9));
  const { xs } = await receive([frame(5), frame(6), writeEnd(1)], plan(9));
  expect(xs).toEqual([0, 10, 40, 50]);
});

it('frames before the first that came are said to be missing', async () => {
  const { xs, warned } = await receive([frame(4), frame(5), writeEnd(1)], plan(9));
  expect(xs).toEqual([40, 50]);
  expect(warned).toEqual(['The first frame that came is number 4; those before it are missing.']);
});

it('a series that begins before the first has ended is not mixed with it', async () => {
  const at = (x: number) => ({ x_px: x, y_px: 2 * x });
  const { xs, warned } = await receive([header(), frame(0, at(5)), frame(1, at(7)), header(2), frame(0, at(9), 2)]);
  expect(xs).toEqual([5, 7]);
  expect(warned).toEqual([expect.stringMatching(/^Series 2 began before series 1 had ended/)]);
});

it('a frame without a position is an error', async () => {
  await expect(receive([header(), frame(0), frame(1), frame(2), writeEnd(1)], plan(2))).rejects.toThrow(/^Frame 2 has no position/); // biome-ignore format: one call
});

describe('an address', () => {
  const expected = /must be an address such as tcp:\/\/127\.0\.0\.1:9999, with a port from 1 to 65535/;
  const live = (source: string) => () => resolvePart(liveDefinition, { source });
  const publish = (address: string) => () => resolvePart(simulationDefinition, { output_file: 'a.npz', publish: address }); // biome-ignore format: one line

  it.each([
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:99999999',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:65536',
    'tcp://:9999',
    'tcp:9999',
    'tcp://detector:port',
    'ipc://',
  ])('%s is refused with what is expected', (address) => {
    expect(live(address)).toThrow(expected);
    expect(publish(address)).toThrow(expected);
  });

  it.each(['tcp://detector:9999', 'tcp://127.0.0.1:65535', 'tcp://[::1]:1', 'ipc:///tmp/frames'])(
    '%s is taken',
    (address) => {
      expect(live(address)).not.toThrow();
      expect(publish(address)).not.toThrow();
    },
  );

  it('that the network refuses is an error of its own', async () => {
    const opened = openSource('tcp://a/b:99', { folder, idleSeconds: 1, nFrames: null });
    await expect(opened).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('tcp://a/b:99 is no address') }); // biome-ignore format: one line
  });
});
