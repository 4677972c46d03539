/** `export`: what other programs get of images. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usingHdf5 } from '../../src/formats/hdf5/file.js';
import { writeNpz } from '../../src/formats/npz.js';
import { TiffFile } from '../../src/formats/tiff.js';
import { recordArrays } from '../../src/reconstruction/imageRecord.js';
import { readProbeBeside, readStoredImage } from '../../src/reconstruction/storedImage.js';
import { cli } from '../cli/capture.js';

const SIDE = 72;
let folder = '';
const at = (...names: string[]) => path.join(folder, ...names);

/** A sample of 12 rad that moves across the image, on a ramp and with dark corners. */
function sample(move: number, ramp: number) {
  const phase = (r: number, c: number) => {
    const hill = (y: number, x: number, s: number) => Math.exp(-((r - y) ** 2 + (c - move - x) ** 2) / (2 * s * s));
    return 12 * hill(34, 36, 12) + 1.5 * hill(20, 24, 4) - 1.2 * hill(50, 44, 5) + 0.8 * hill(26, 48, 3);
  };
  const size = SIDE * SIDE;
  const image = { re: new Float32Array(size), im: new Float32Array(size), shape: [SIDE, SIDE] };
  const overlap = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const [r, c] = [Math.floor(i / SIDE), i % SIDE];
    overlap[i] = r + c < 6 ? 0 : 3;
    if (overlap[i] === 0) continue;
    const angle = phase(r, c) + ramp * c - 0.5 * ramp * r + 2;
    image.re[i] = 0.8 * Math.cos(angle);
    image.im[i] = 0.8 * Math.sin(angle);
  }
  return { image, overlap, phase };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-export-'));
  const moves = [0, 2, 3.5];
  for (const [k, move] of moves.entries()) {
    const { image, overlap } = sample(move, 0.3 * k);
    await writeNpz(at(`run${k}.npz`), {
      reconstructed_object: image,
      frame_origin_yx_px: { data: Float64Array.of(10, 20), shape: [2] },
      overlap_count: { data: overlap, shape: [SIDE, SIDE] },
      reconstructed_probe: { re: new Float32Array(256).fill(1), im: new Float32Array(256), shape: [16, 16] },
      ...recordArrays({
        geometry: { energy_eV: 8800, objectPixel_m: { x: 2e-8, y: 2e-8 } },
        provenance: { scan: 'scan.npz', settings: { algorithm: 'rpie' } },
      }),
    });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function pagesOf(name: string): Promise<{ pages: Float32Array[]; width: number; height: number }> {
  const file = await TiffFile.open(name);
  try {
    const pages: Float32Array[] = [];
    for (let k = 0; k < file.pages.length; k++)
      pages.push(Float32Array.from((await file.read(k)).data as Float32Array));
    return { pages, width: file.pages[0].width, height: file.pages[0].height };
  } finally {
    await file.close();
  }
}

/** Root mean square of what is left of a − b after its plane of least squares, where both are numbers. */
function apart(a: ArrayLike<number>, b: (r: number, c: number) => number, width: number): number {
  const rows: [number, number, number][] = [];
  for (let i = 0; i < a.length; i++) {
    if (!Number.isNaN(a[i])) rows.push([Math.floor(i / width), i % width, a[i] - b(Math.floor(i / width), i % width)]);
  }
  const mean = (of: (row: [number, number, number]) => number) => rows.reduce((s, row) => s + of(row), 0) / rows.length;
  const [my, mx, mz] = [0, 1, 2].map((k) => mean((row) => row[k]));
  const m = (p: number, q: number, mp: number, mq: number) => mean((row) => (row[p] - mp) * (row[q] - mq));
  const [yy, xx, xy, yz, xz] = [m(0, 0, my, my), m(1, 1, mx, mx), m(0, 1, my, mx), m(0, 2, my, mz), m(1, 2, mx, mz)];
  const det = yy * xx - xy * xy;
  const [u, v] = [(xx * yz - xy * xz) / det, (yy * xz - xy * yz) / det];
  return Math.sqrt(mean(([r, c, z]) => (z - mz - u * (r - my) - v * (c - mx)) ** 2));
}

describe('export --tiff', () => {
  it('continues the phase beyond π and takes ramp and offset off it', async () => {
    const { code, out } = await cli('export', at('run2.npz'), '--tiff', '--output_dir', at('one'));
    expect(code).toBe(0);
    expect(out).toMatch(/ 1 {2}.*run2\.npz +0\.00, 0\.00 +– +0\n/);
    const { pages, width, height } = await pagesOf(at('one', 'phase.tif'));
    expect([height, width]).toEqual([SIDE, SIDE]);
    const [phase] = pages;
    expect(Number.isNaN(phase[0])).toBe(true);
    expect(phase.filter((v) => Number.isNaN(v))).toHaveLength(21);
    const { phase: truth } = sample(3.5, 0);
    expect(apart(phase, truth, width)).toBeLessThan(1e-5);
    // The plane of least squares is gone, mean and all.
    expect(apart(phase, () => 0, width)).toBeCloseTo(
      Math.sqrt(phase.reduce((s, v) => s + (v || 0) ** 2, 0) / (phase.length - 21)),
      4,
    );
    const [amplitude] = (await pagesOf(at('one', 'amplitude.tif'))).pages;
    expect(amplitude[SIDE * 30 + 30]).toBeCloseTo(0.8, 5);
    const wrapped = await cli('export', at('run2.npz'), '--tiff', '--output_dir', at('wrapped'), '--no-unwrap');
    expect(wrapped.out).toMatch(/run2\.npz +0\.00, 0\.00 +– +–\n/);
    const turn = (await pagesOf(at('wrapped', 'phase.tif'))).pages[0];
    expect(turn.every((v) => Number.isNaN(v) || Math.abs(v) <= Math.fround(Math.PI))).toBe(true);
  });

  it('lays several on each other, without gaps where that is wanted, and takes the air for zero', async () => {
    const runs = [0, 1, 2].map((k) => at(`run${k}.npz`));
    const words = ['--output_dir', at('stack'), '--crop', 'inner', '--air_px', '6', '--quiet'];
    expect(await cli('export', ...runs, '--tiff', ...words)).toMatchObject({ code: 0, err: '' });
    const { pages, width } = await pagesOf(at('stack', 'phase.tif'));
    expect(pages).toHaveLength(3);
    const record = JSON.parse(await readFile(at('stack', 'export.json'), 'utf8'));
    const { region, pixel_m, pages: facts } = record.stacks[0];
    expect(pixel_m).toEqual({ x: 2e-8, y: 2e-8 });
    const [top, left] = region.originYxPx;
    const { phase: truth } = sample(0, 0);
    for (const [k, page] of pages.entries()) {
      expect(facts[k].aligned).toBe(true);
      expect(facts[k].shiftYxPx[1]).toBeCloseTo(-[0, 2, 3.5][k], 1);
      expect(page.some((v) => Number.isNaN(v))).toBe(false);
      // Each is the first one, whose pixel (0, 0) is at (10, 20).
      expect(apart(page, (r, c) => truth(r + top - 10, c + left - 20), width)).toBeLessThan(0.05);
      const air = page.filter((_, i) => i % width < 6 || i % width >= width - 6);
      expect(Math.abs(air.reduce((s, v) => s + v, 0) / air.length)).toBeLessThan(1e-4);
    }
    const [amplitude] = (await pagesOf(at('stack', 'amplitude.tif'))).pages;
    expect(amplitude[5]).toBeCloseTo(1, 3);
  });

  it('keeps places and ramps where that is wanted, and images apart', async () => {
    const words = ['--align', 'frames', '--no-remove_ramp', '--no-stack', '--output_dir', at('apart'), '--quiet'];
    expect((await cli('export', at('run1.npz'), at('run2.npz'), '--tiff', ...words)).code).toBe(0);
    expect((await readdir(at('apart'))).sort()).toEqual([
      'export.json',
      'run1_amplitude.tif',
      'run1_phase.tif',
      'run2_amplitude.tif',
      'run2_phase.tif',
    ]);
    const { pages, width } = await pagesOf(at('apart', 'run1_phase.tif'));
    const { phase: truth } = sample(2, 0);
    const kept = (r: number, c: number) => truth(r, c) + 0.3 * c - 0.15 * r;
    const level = pages[0][SIDE * 40 + 40] - kept(40, 40);
    expect(
      Math.max(
        ...pages[0].map((v, i) => (Number.isNaN(v) ? 0 : Math.abs(v - level - kept(Math.floor(i / width), i % width)))),
      ),
    ).toBeLessThan(1e-4);
  });
});

describe('export --cxi', () => {
  it('is read back with its place, probe and pixel by our own readers', async () => {
    expect((await cli('export', at('run1.npz'), '--cxi', '--output_dir', at('cxi'), '--quiet')).code).toBe(0);
    const file = at('cxi', 'run1.cxi');
    const [stored, ours] = [
      await readStoredImage(file, 'the image'),
      await readStoredImage(at('run1.npz'), 'the image'),
    ];
    expect(stored.image).toEqual(ours.image);
    expect(stored.coordinates).toMatchObject({ program: 'PyNX', unit: 'm', pixel_m: { x: 2e-8, y: 2e-8 } });
    expect(stored.coordinates!.first.y / 2e-8).toBeCloseTo(10, 9);
    expect((await readProbeBeside(file, 16))?.shape).toEqual([16, 16]);
    await usingHdf5(file, (hdf5) => {
      const value = (key: string) => {
        const array = hdf5.read(key);
        return array.kind === 'real' ? Number(array.data[0]) : Number.NaN;
      };
      expect(value('/cxi_version')).toBe(160);
      expect(value('/entry_1/instrument_1/source_1/energy')).toBeCloseTo(8800 * 1.602176634e-19, 25);
    });
  });
});

describe('what cannot be exported', () => {
  it.each([
    [[], "Missing required argument 'RESULTS'"],
    [['run0.npz'], 'Say what to write: --tiff, --cxi, or both.'],
    [['run0.npz', '--tiff', '--air_px', '40'], 'Strips of 40 pixels of air at both sides leave nothing of'],
    [['nowhere.npz', '--tiff'], 'nowhere.npz'],
  ])('%j', async (words, sentence) => {
    const named = words.map((word) => (word.endsWith('.npz') ? at(word) : word));
    const { code, err } = await cli('export', ...named, '--output_dir', at('none'));
    expect(code).not.toBe(0);
    expect(err).toContain(sentence);
  });

  it('is not written over what is there', async () => {
    const { code, err } = await cli('export', at('run0.npz'), '--tiff', '--output_dir', at('one'));
    expect(code).toBe(2);
    expect(err).toContain('exists already');
  });
});
