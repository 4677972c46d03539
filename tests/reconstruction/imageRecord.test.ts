import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usingNpz, writeNpz } from '../../src/formats/npz.js';
import { textArray } from '../../src/formats/outputFiles.js';
import { readRecord, recordArrays, settingsOf } from '../../src/reconstruction/imageRecord.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { readStoredImage } from '../../src/reconstruction/storedImage.js';

let folder = '';
const at = (name: string) => path.join(folder, name);
const image = { re: new Float32Array(400).fill(1), im: new Float32Array(400), shape: [20, 20] };
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-record-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the record of a reconstruction', () => {
  it('is read back as it was written, whoever reads', async () => {
    const provenance = { scan: 'scan.npz', settings: { algorithm: 'rpie', data: { crop_px: null } } };
    const geometry = { energy_eV: 8800, objectPixel_m: { x: 2e-8, y: 3e-8 } };
    const arrays = { reconstructed_object: image, ...recordArrays({ geometry, provenance }) };
    await writeNpz(at('ours.npz'), arrays);
    const stored = await readReconstruction(at('ours.npz'));
    expect(stored).toMatchObject({ pixel_m: { x: 2e-8, y: 3e-8 }, energy_eV: 8800 });
    expect(stored.wavelength_m).toBeCloseTo(1.40891e-10, 14);
    expect(stored.provenance).toMatchObject({ program: 'ptychopinn', ...provenance });
    expect((await readStoredImage(at('ours.npz'), 'the image')).pixel_m).toEqual({ x: 2e-8, y: 3e-8 });
  });

  it('is empty for files of before, and of other programs with such names', async () => {
    expect(recordArrays({})).toEqual({});
    await writeNpz(at('old.npz'), { reconstructed_object: image });
    expect(await usingNpz(at('old.npz'), readRecord)).toEqual({});
    await writeNpz(at('other.npz'), {
      reconstructed_object: image,
      object_pixel_yx_m: { data: Float64Array.of(1, 2, 3), shape: [3] },
      energy_eV: { data: Float64Array.of(0), shape: [] },
      wavelength_m: textArray('short'),
      provenance: textArray('made on a Monday'),
    });
    expect(await usingNpz(at('other.npz'), readRecord)).toEqual({});
  });

  it('knows electrons by their own wavelength', () => {
    const arrays = recordArrays({ geometry: { energy_eV: 80_000, wavelength_m: 4.1757e-12 } });
    expect(arrays.wavelength_m).toMatchObject({ data: Float64Array.of(4.1757e-12) });
  });

  it('leaves out of the settings what changes no pixel', () => {
    expect(settingsOf({ epochs: 3, output_dir: 'x', resume: null, execution: {}, init: null })).toEqual({
      epochs: 3,
      init: null,
    });
  });
});
