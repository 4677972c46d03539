/** `convert`: whatever was read is equal after writing and reading again. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { openDataset } from '../../src/data/openDataset.js';
import type { OpenDatasetOptions } from '../../src/data/options.js';
import type { RawData } from '../../src/data/rawData.js';
import { openNpz } from '../../src/formats/npz.js';
import { convertWorkflow } from '../../src/workflows/convert.js';
import { askPython, describePython, runPython } from '../support/python.js';
import { scanArrays, writeArrays } from '../support/scanFiles.js';

const [n, N] = [10, 8];
const arrays = scanArrays(n, N);
let folder: string;
const file = (...parts: string[]) => path.join(folder, ...parts);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-convert-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const configOf = (flags: Record<string, unknown>) => resolveConfig(convertDefinition, { flags }).config;
const convert = (input: string, flags: Record<string, unknown> = {}) =>
  convertWorkflow(input, configOf({ output_file: file('out.npz'), overwrite: true, ...flags }));

/** Everything of a scan that a file holds. */
async function contents(target: string, options: OpenDatasetOptions = {}) {
  const raw = await openDataset(target, options);
  try {
    return await everything(raw);
  } finally {
    await raw.close();
  }
}

async function everything(raw: RawData) {
  const indices = Array.from({ length: raw.count }, (_, i) => i);
  const amplitudes = new Float32Array(raw.count * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, amplitudes);
  const { xcoords, ycoords, xcoordsStart, ycoordsStart, probeGuess, objectGuess, badPixels, scanIndex } = raw;
  const patches = await raw.groundTruth?.readRows(indices);
  return {
    amplitudes,
    xcoords,
    ycoords,
    xcoordsStart,
    ycoordsStart,
    probeGuess,
    objectGuess,
    badPixels,
    scanIndex,
    patches,
  };
}

describe('convert of an NPZ', () => {
  it('gives equal arrays, keeps those the contract does not know, and says what was done', async () => {
    const Y = { re: arrays.diffraction.data, im: arrays.diffraction.data.map((v) => -v), shape: [n, N, N] };
    const input = await writeArrays(file('scan.npz'), arrays, {
      xcoords_start: { data: arrays.xcoords.data.map((v) => v - 0.5), shape: [n] },
      ycoords_start: arrays.ycoords,
      bad_pixels: {
        data: Uint8Array.from({ length: N * N }, (_, p) => (p === 5 ? 1 : 0)),
        shape: [N, N],
        dtype: 'bool',
      },
      Y,
      _metadata: { strings: [JSON.stringify({ creation_info: { script: 'x' } })], shape: [] },
      source_index: { data: Int32Array.from({ length: n }, (_, i) => 3 * i), shape: [n], dtype: 'int64' },
      colours: { strings: ['red', 'green'], shape: [2] },
    });
    const written = await convert(input);
    expect(written).toMatchObject({ path: file('out.npz'), format: 'npz', count: n, N, domain: 'count_amplitude' });
    expect(await contents(file('out.npz'))).toEqual(await contents(input));
    const npz = await openNpz(file('out.npz'));
    try {
      expect((await npz.readReal('source_index')).data).toEqual(Float64Array.from({ length: n }, (_, i) => 3 * i));
      expect(await npz.read('colours')).toMatchObject({ strings: ['red', 'green'] });
      expect(await npz.read('measurement_domain')).toMatchObject({ strings: ['count_amplitude'] });
      const text = await npz.read('_metadata');
      const record = JSON.parse(text.kind === 'text' ? text.strings[0] : '');
      expect(record.creation_info).toEqual({ script: 'x' });
      expect(record.data_transformations).toEqual([
        expect.objectContaining({
          tool: 'ptychopinn convert',
          operation: 'convert',
          parameters: expect.objectContaining({ source: input, format: 'npz', patterns: n }),
        }),
      ]);
      expect(record.data_transformations[0].parameters).not.toHaveProperty('options');
    } finally {
      await npz.close();
    }
  });

  it('writes what the data options make of the scan, and records them', async () => {
    const input = await writeArrays(file('scan.npz'), arrays, {
      source_index: { data: Int32Array.from({ length: n }, (_, i) => 3 * i), shape: [n] },
    });
    const flags = { flip_y: true, swap_xy: true, n_subsample: 4, subsample_seed: 1 };
    await convert(input, flags);
    const out = await contents(file('out.npz'));
    expect(out).toEqual(await contents(input, flags));
    expect(out.xcoords).toHaveLength(4);
    const npz = await openNpz(file('out.npz'));
    try {
      const picked = Array.from((await npz.readReal('sample_indices')).data);
      expect(Array.from((await npz.readReal('source_index')).data)).toEqual(picked.map((i) => 3 * i));
      const text = await npz.read('_metadata');
      const [step] = JSON.parse(text.kind === 'text' ? text.strings[0] : '').data_transformations;
      expect(step.parameters).toMatchObject({
        orientation: 'flip_y swap_xy',
        options: { flip_y: true, swap_xy: true },
      });
    } finally {
      await npz.close();
    }
  });

  it.each([
    ['cropped', { crop_px: 4 }, 4],
    ['padded', { pad_to: 12 }, 12],
    ['rebinned', { rebin: 2 }, 4],
  ])('leaves out unknown arrays when patterns are %s, with a warning', async (_, flags, side) => {
    const input = await writeArrays(file('scan.npz'), arrays, {
      extra: { data: new Float32Array(n), shape: [n] },
      probeGuess: undefined,
    });
    const warnings: string[] = [];
    const logger = { info() {}, warn: (text: string) => warnings.push(text) };
    const config = configOf({ output_file: file('out.npz'), overwrite: true, ...flags });
    expect(await convertWorkflow(input, config, { logger })).toMatchObject({ N: side });
    expect(warnings).toContainEqual(expect.stringMatching(/^Left out: extra of .*pad/));
    const npz = await openNpz(file('out.npz'));
    expect(npz.keys).not.toContain('extra');
    await npz.close();
  });

  it('refuses a limit that no pattern reaches, and sides that no memory holds', async () => {
    const input = await writeArrays(file('scan.npz'), arrays);
    await expect(convert(input, { min_counts: 1e12 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/no pattern of .* holds more than/),
    });
    await expect(convert(input, { pad_to: 1_000_000 })).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  });

  it('corrects a wrong declaration', async () => {
    const input = await writeArrays(file('scan.npz'), arrays, {
      measurement_domain: { strings: ['normalized_amplitude'], shape: [] },
    });
    await expect(contents(input)).rejects.toMatchObject({ code: 'DATASET_UNITS' });
    expect(await convert(input, { measurement_domain: 'count_amplitude' })).toMatchObject({
      domain: 'count_amplitude',
    });
    expect((await contents(file('out.npz'))).amplitudes).toEqual(arrays.diffraction.data);
  });

  it('refuses to overwrite what it reads, under any name of it', async () => {
    const input = await writeArrays(file('scan.npz'), arrays);
    const before = await readFile(input);
    for (const output_file of [input, path.join(folder, '.', 'x', '..', 'scan.npz')]) {
      await expect(convert(input, { output_file })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/is the file that is read/),
      });
    }
    expect((await readFile(input)).equals(before)).toBe(true);
  });

  it('leaves no file behind when cancelled', async () => {
    const input = await writeArrays(file('scan.npz'), arrays);
    const config = configOf({ output_file: file('cancelled.npz') });
    await expect(convertWorkflow(input, config, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await expect(readFile(file('cancelled.npz'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describePython('convert of other formats, written by h5py and NumPy', ['numpy', 'h5py'], () => {
  let counts: Float32Array;
  beforeAll(async () => {
    const make = await readFile(new URL('../../fixtures/formats/make.py', import.meta.url), 'utf8');
    runPython(make, [file('formats')], ['numpy', 'h5py']);
    const npz = await openNpz(file('formats', 'truth.npz'));
    counts = Float32Array.from((await npz.readReal('counts')).data);
    await npz.close();
  }, 60_000);

  const side = 16;
  const frames = { positions_unit: 'm', object_pixel_m: 40e-9 };
  it.each([
    ['diffraction.h5', 'ptychodus', {}],
    ['nexus_master.h5', 'hdf5', {}],
    ['virtual.h5', 'hdf5', { object_pixel_m: 40e-9 }],
    ['scan.cxi', 'cxi', {}],
    ['frames.npy', 'npy', { ...frames, positions: 'positions.csv' }],
    ['frames_be.npy', 'npy', { ...frames, positions: 'positions.npy' }],
    ['series', 'tiff', { ...frames, positions: 'positions.txt' }],
    ['stack.tiff', 'tiff', { ...frames, positions: 'positions.csv' }],
  ])('%s (%s): equal arrays', async (name, format, given) => {
    const flags: Record<string, unknown> = { ...given };
    if ('positions' in given) flags.positions = file('formats', given.positions as string);
    const input = file('formats', name);
    const written = await convert(input, flags);
    expect(written).toMatchObject({ format, N: side });
    const [before, after] = [await contents(input, flags), await contents(file('out.npz'))];
    expect(after).toEqual(before);
    // Not only as the reader understood it, but as Python made it (where patterns are not paired with other positions).
    if (format !== 'ptychodus') {
      const expected = counts.map((v, p) => (before.badPixels?.[p % side ** 2] ? 0 : Math.sqrt(v)));
      expect(after.amplitudes).toEqual(expected);
    }
    const list = 'import sys, json, numpy; print(json.dumps(numpy.load(sys.argv[1]).files))';
    expect(askPython(list, [file('out.npz')])).toContain('diffraction');
  });
});
