/** Files and folders that grow: every state that they pass through opens with the positions of its frames, and what never comes is said. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { LiveRun } from '../../src/live/liveRun.js';
import { openSource } from '../../src/live/source.js';
import { liveWorkflow } from '../../src/workflows/live.js';
import { tiffImage } from '../support/tiffBytes.js';
import { writeTinyScan } from '../support/tinyRun.js';
import { writeHdf5 } from '../support/writeHdf5.js';

const N = 32;
let folder: string;
/** Counts, frame by frame, and positions. */
let frames: Uint32Array[];
let places: { readonly x: number[]; readonly y: number[] };
const at = (name: string) => path.join(folder, name);
const table = (from: number) => ['index,x_px,y_px', ...places.x.map((x, k) => `${k + from},${x},${places.y[k]}`)].join('\n'); // biome-ignore format: one line

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-growing-'));
  await writeTinyScan(at('scan.npz'));
  const raw = await openDataset(at('scan.npz'));
  const values = new Float32Array(raw.count * N * N);
  await raw.patterns.readAmplitudes(Int32Array.from({ length: raw.count }, (_, k) => k), values); // biome-ignore format: one line
  frames = Array.from({ length: raw.count }, (_, k) =>
    Uint32Array.from(values.subarray(k * N * N, (k + 1) * N * N), (value) => Math.round(value * value)),
  );
  places = { x: [...raw.xcoords], y: [...raw.ycoords] };
  await raw.close();
  for (const from of [0, 1, 40]) writeFileSync(at(`from${from}.csv`), table(from));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function writeFile(name: string, count: number): Promise<void> {
  const data = new Uint32Array(count * N * N);
  for (let k = 0; k < count; k++) data.set(frames[k], k * N * N);
  await writeHdf5(at(name), { datasets: { '/entry/data/data': { data, shape: [count, N, N] } } });
}
const writeFrame = (name: string, k: number, bytes?: number) => {
  mkdirSync(at(name), { recursive: true });
  const whole = tiffImage(Uint16Array.from(frames[k]), N, N);
  writeFileSync(at(`${name}/frame_${String(k).padStart(4, '0')}.tif`), whole.subarray(0, bytes));
};
/** As `live` opens what is there. */
const open = (name: string, positions: string) =>
  openDataset(at(name), { positions: at(positions), measurement_domain: 'count_intensity', drop_unpaired: true });

describe.each(['from0.csv', 'from1.csv', 'from40.csv'])('with positions of the whole scan in %s', (positions) => {
  it('a file opens with every number of frames', async () => {
    for (const count of [1, 2, 3, 10, frames.length - 1, frames.length]) {
      await writeFile('grow.h5', count);
      const raw = await open('grow.h5', positions);
      expect([...raw.xcoords]).toEqual(places.x.slice(0, count));
      expect([...raw.ycoords]).toEqual(places.y.slice(0, count));
      // What is left out is said, of a scan that is not whole.
      expect(raw.findings?.all.some(({ code }) => code === 'PAIRED_FROM_THE_FIRST')).toBe(count < frames.length);
      await raw.close();
    }
  });
});

describe('a folder', () => {
  it('opens with every number of frames, without the half of one that is being written', async () => {
    for (const count of [1, 2, 3, 10]) {
      const name = `folder${count}`;
      for (let k = 0; k < count; k++) writeFrame(name, k);
      for (const bytes of [undefined, 0, 5, 300, 2 * N * N]) {
        if (bytes !== undefined && count > 1) writeFrame(name, count, bytes);
        // What is no frame does not count.
        writeFileSync(at(`${name}/notes.txt`), 'mine');
        const raw = await open(name, 'from0.csv');
        expect([...raw.xcoords]).toEqual(places.x.slice(0, count));
        expect(raw.notes.some((note) => note.includes('which is not written to its end'))).toBe(bytes !== undefined && count > 1); // biome-ignore format: one line
        await raw.close();
      }
    }
  });

  it('with half a frame is refused where nobody says that it grows', async () => {
    for (let k = 0; k < 3; k++) writeFrame('half', k);
    writeFrame('half', 3, 300);
    await expect(openDataset(at('half'), { positions: at('from0.csv') })).rejects.toThrow(/frame_0003\.tif/);
  });
});

describe('while it grows', () => {
  it('frames are counted until nothing comes any more, or until there are enough', async () => {
    const given = { folder: at('none'), positions: undefined };
    for (const [idleSeconds, nFrames, expected] of [
      [1.5, null, 12],
      [60, 7, 7],
    ] as const) {
      // biome-ignore format: one line
      mkdirSync(at('coming'), { recursive: true });
      writeFileSync(at('coming/log.txt'), 'no frame');
      const source = await openSource(at('coming'), { ...given, idleSeconds, nFrames });
      expect(await source.look()).toBeUndefined();
      const { options } = source;
      const run = new LiveRun({
        source,
        open: () => openDataset(source.path, { ...options, positions: at('from0.csv') }),
        everySeconds: 1,
        show: async () => {},
      });
      const counting = run.untilEnd();
      for (let k = 0; k < 12; k++) {
        if (k > 0) writeFrame('coming', k, 100);
        writeFrame('coming', k);
        await new Promise((done) => setTimeout(done, 30));
      }
      expect((await counting).received).toBe(expected);
      rmSync(at('coming'), { recursive: true });
    }
  });

  it('a scan that is stopped early is reconstructed from what came', async () => {
    const came = frames.length - 3;
    await writeFile('short.h5', came);
    const warned: string[] = [];
    const logger = { info() {}, warn: (message: string) => warned.push(message) };
    const config = {
      ...{ source: at('short.h5'), output_dir: at('short'), idle_seconds: 0.2, epochs: 2 },
      measurement_domain: 'count_intensity' as const,
      data: { positions: at('from0.csv') },
    };
    const { received, scan } = await liveWorkflow(config, { logger });
    expect([received, scan]).toEqual([came, at('short.h5')]);
    expect(warned.join('\n')).toContain(`${came} frames of ${at('short.h5')} and ${frames.length} positions`);
    const first = await liveWorkflow({ ...config, n_frames: 8, overwrite: true });
    expect(first.received).toBe(8);
  });

  it('a file with room for the whole scan holds what was written of it', async () => {
    const room = async (come: number) => {
      const data = new Uint32Array(frames.length * N * N);
      for (let k = 0; k < come; k++) if (k !== 3) data.set(frames[k], k * N * N);
      const dataset = { data, shape: [frames.length, N, N] };
      await writeHdf5(at('new.h5'), { datasets: { '/entry/data/data': dataset } });
      renameSync(at('new.h5'), at('room.h5'));
    };
    for (const nFrames of [null, 8]) {
      await room(2);
      const source = await openSource(at('room.h5'), { folder: at('none'), idleSeconds: 2, nFrames });
      const { options } = source;
      const opened = { ...options, positions: at('from0.csv'), measurement_domain: 'count_intensity' as const };
      const open = () => openDataset(source.path, opened);
      const counting = new LiveRun({ source, open, everySeconds: 1, show: async () => {} }).untilEnd();
      for (const come of [4, 6, 11]) {
        await new Promise((done) => setTimeout(done, 250));
        await room(come);
      }
      const { received, empty } = await counting;
      expect([received, empty]).toEqual(nFrames === null ? [11, frames.length - 11] : [8, 0]);
    }
  });

  it('what brings no frame, or is asked for twice, is said', async () => {
    mkdirSync(at('empty'));
    const config = { source: at('empty'), output_dir: at('nothing'), idle_seconds: 0.2 };
    await expect(liveWorkflow(config)).rejects.toThrow(/^No frame came from .*0\.2 s \(--idle_seconds\)\.$/);
    const twice = { ...config, source: at('short.h5'), n_frames: 3, data: { frames: '0:9' }, overwrite: true };
    await expect(liveWorkflow(twice)).rejects.toThrow(/--n_frames and --frames both choose frames/);
  });
});
