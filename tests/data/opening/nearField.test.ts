/** Near-field scans as they are opened: what their geometry comes to, from which files, and what is refused. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertConfigSchema } from '../../../src/config/schemas/tools.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { inspectScan } from '../../../src/data/inspect.js';
import { summaryRows } from '../../../src/data/inspectWords.js';
import { openDataset } from '../../../src/data/openDataset.js';
import { nearFieldGeometry, requireFarField } from '../../../src/data/opening/nearField.js';
import { guessProbe } from '../../../src/data/opening/probe.js';
import { convertScan } from '../../../src/data/rewriteScan.js';
import { writeNpz } from '../../../src/formats/npz.js';
import { totalIntensity } from '../../../src/physics/probe.js';
import { wavelength_m } from '../../../src/physics/radiation.js';
import { simulate } from '../../../src/simulation/recipe.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-near-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (name: string) => path.join(folder, name);

const N = 32;
const scan = simulate({
  ...{ preset: 'near-field', N, object_side_px: 44, n_patterns: 12, photons: 1e5, diffuser_grain_px: 2 },
  ...{ propagation_distance_m: 5e-4, seed: 3 },
});

/** The scan as a file that says its lengths by single numbers. */
async function asNpz(name: string, lengths: Readonly<Record<string, number>>) {
  const numbers = Object.entries(lengths).map(([key, value]) => [key, { data: Float64Array.of(value), shape: [] }]);
  const { diffraction, xcoords, ycoords, probeGuess } = scan;
  const domain = { measurement_domain: { strings: ['count_amplitude'], shape: [] } };
  const arrays = { diffraction, xcoords, ycoords, probeGuess, ...domain, ...Object.fromEntries(numbers) };
  await writeNpz(scratch(name), arrays);
  return scratch(name);
}

const refusal = async (work: () => Promise<unknown>) => String(await work().catch((error: unknown) => error));

describe('near fields', () => {
  it('are told by a distance in the file, whose pixels and energy are taken too', async () => {
    const file = await asNpz('plain.npz', {
      wavelength_m: 1.55e-10,
      object_pixel_m: 1e-7,
      propagation_distance_m: 5e-4,
    });
    const raw = await openDataset(file);
    expect(raw.geometry).toMatchObject({
      energy_eV: expect.closeTo(8000, -1) as number,
      objectPixel_m: { x: 1e-7, y: 1e-7 },
      nearField: { distance_m: 5e-4 },
    });
    expect(raw.notes).toEqual([]);
    expect(raw.findings!.all.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect(() => requireFarField(raw, 'networks are trained on')).toThrow(/plain.npz is a near-field scan.*solve/);
    await raw.close();
    const { scan: summary, problems } = await inspectScan(file);
    expect(problems).toEqual([]);
    expect(Object.fromEntries(summaryRows(summary!)).geometry).toMatch(
      /object pixels 100 nm, a near field behind 0.5 mm, Fresnel number of a pixel 0.129/,
    );
    const far = await openDataset(file, { near_field: false });
    expect(far.geometry.nearField).toBeUndefined();
    await far.close();
    // The distance of a source is that of a cone beam, which far fields have no use for.
    await expect(openDataset(file, { near_field: false, source_distance_m: 0.01 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^source_distance_m is about near fields in a cone beam, but .* far-field scan/),
    });
  });

  it('in a cone beam: pixels and distance are those of the parallel beam', async () => {
    // z1 = 10 mm, z2 = 0.99 m: M = 100.
    const geometry = {
      energy_eV: 8000,
      detectorDistance_m: 0.99,
      detectorPixel_m: { x: 1e-5, y: 2e-5 },
      sourceDistance_m: 0.01,
    };
    const found = nearFieldGeometry('scan', geometry, undefined, {}, 512);
    expect(found.objectPixel_m!.x).toBeCloseTo(1e-7, 15);
    expect(found.objectPixel_m!.y).toBeCloseTo(2e-7, 15);
    expect(found.nearField!.distance_m).toBeCloseTo(0.0099, 12);
    const given = { propagation_distance_m: 0.49, object_pixel_m: 3e-7, source_distance_m: 0.02 };
    const other = nearFieldGeometry('scan', geometry, undefined, given, 512);
    expect(other.objectPixel_m).toEqual({ x: 3e-7, y: 3e-7 });
    expect(other.nearField!.distance_m).toBeCloseTo((0.49 * 0.02) / 0.51, 12);
  });

  it('CXI: distances of detector and source, positions by the pixel of the magnified detector', async () => {
    const entry = '/entry_1';
    const number = (value: number) => ({ data: Float64Array.of(value), shape: [] });
    const frames = Uint16Array.from(scan.diffraction.data, (v) => Math.round(v * v));
    const count = scan.xcoords.data.length;
    const places = Float64Array.from({ length: 3 * count }, (_, i) =>
      i % 3 === 2 ? 0 : (i % 3 === 0 ? scan.xcoords : scan.ycoords).data[Math.floor(i / 3)] * 1e-7,
    );
    const instrument = `${entry}/instrument_1`;
    await writeHdf5(scratch('near.cxi'), {
      datasets: {
        '/cxi_version': number(160),
        [`${entry}/data_1/data`]: { data: frames, shape: [count, N, N] },
        [`${entry}/sample_1/geometry_1/translation`]: { data: places, shape: [count, 3] },
        [`${instrument}/detector_1/distance`]: number(0.05 * 0.99),
        [`${instrument}/detector_1/x_pixel_size`]: number(1e-5),
        [`${instrument}/detector_1/y_pixel_size`]: number(1e-5),
        // Before the sample, along the beam.
        [`${instrument}/source_1/distance`]: number(-0.0005),
        [`${instrument}/source_1/energy`]: number(8000 * 1.602176634e-19),
      },
    });
    const raw = await openDataset(scratch('near.cxi'), { near_field: true });
    const { geometry } = raw;
    expect(geometry.nearField!.distance_m).toBeCloseTo(0.0495 / 100, 9);
    expect(geometry.objectPixel_m!.x).toBeCloseTo(1e-7, 12);
    raw.xcoords.forEach((x, k) => {
      expect(x - raw.xcoords[0]).toBeCloseTo(scan.xcoords.data[k] - scan.xcoords.data[0], 4);
    });
    await raw.close();
  });

  it('say what is missing, and what is too far for them', async () => {
    const bare = await asNpz('bare.npz', {});
    expect(await refusal(() => openDataset(bare, { near_field: true }))).toMatch(
      /bare.npz is opened as a near-field scan, for which propagation_distance_m .* and energy_eV and detector_pixel_m .* are missing/,
    );
    const file = await asNpz('far.npz', { energy_eV: 8000, object_pixel_m: 1e-7, propagation_distance_m: 1 });
    expect(await refusal(() => openDataset(file))).toMatch(
      /far.npz .* near up to 0.00206 m \(N·pixel²\/λ\) and light goes 1 m to it: .*near_field false/,
    );
    expect(await refusal(() => openDataset(file, { propagation_distance_m: -1 }))).toMatch(/must be a positive number/);
  });

  it('keep their pixels when they are cut, and their distances when they are written', async () => {
    const file = await asNpz('whole.npz', { energy_eV: 8000, object_pixel_m: 1e-7, propagation_distance_m: 5e-4 });
    const cut = await openDataset(file, { crop_px: 24, crop_center_px: [16, 16] });
    expect(cut.geometry.objectPixel_m).toEqual({ x: 1e-7, y: 1e-7 });
    expect(cut.xcoords).toEqual(scan.xcoords.data);
    const [whole, part] = [scan.probeGuess.re, cut.probeGuess!.re];
    expect(part[0]).toBe(whole[4 * N + 4]);
    await cut.close();
    const written = scratch('written.npz');
    const config = convertConfigSchema.parse({ output_file: written, data: { rebin: 2 } });
    await convertScan(file, config);
    const again = await openDataset(written);
    expect(again.N).toBe(16);
    expect(again.geometry.objectPixel_m).toEqual({ x: 2e-7, y: 2e-7 });
    expect(again.geometry.nearField).toEqual({ distance_m: 5e-4 });
    expect(again.xcoords[3]).toBeCloseTo(scan.xcoords.data[3] / 2, 9);
    await again.close();
  });

  it('in memory, and their guess of the probe: as much light, where it is', async () => {
    const { diffraction, xcoords, ycoords } = scan;
    const raw = rawDataFromArrays({
      ...{ diffraction, xcoords: xcoords.data, ycoords: ycoords.data, measurement_domain: 'count_amplitude' },
      geometry: { energy_eV: 8000, objectPixel_m: { x: 1e-7, y: 1e-7 }, propagationDistance_m: 5e-4 },
    });
    expect(raw.geometry.nearField).toEqual({ distance_m: 5e-4 });
    expect(wavelength_m(8000)).toBeCloseTo(1.55e-10, 12);
    const guess = await guessProbe(raw.patterns, raw.geometry);
    const counts = diffraction.data.reduce((sum, v) => sum + v * v, 0) / xcoords.data.length;
    expect(totalIntensity(guess)).toBeCloseTo(counts, -2);
  });
});
