/** Results of PtyPy, PyNX, Pty-Chi, PtychoShelves and Ptychodus as images and probes: written as those programs lay them out. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SolveConfig, solveConfigSchema } from '../../src/config/schemas/solve.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { readProbe } from '../../src/data/opening/probe.js';
import type { RawData } from '../../src/data/rawData.js';
import { readFinished } from '../../src/evaluation/comparison/compared.js';
import { Hdf5Writer } from '../../src/formats/hdf5/writer.js';
import { writeNpz } from '../../src/formats/npz.js';
import { placeOnScan, readProbeBeside, readStoredImage } from '../../src/reconstruction/storedImage.js';
import { startFrom } from '../../src/solvers/files/start.js';
import { refuses } from '../support/formatFixtures.js';
import { type Hdf5Content, writeHdf5 } from '../support/writeHdf5.js';

const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-results-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);

const N = 16;
const PIXEL_M = 2e-8;
const n = 12;
/** Positions in object pixels, in no order; the object's first pixel is (-3, 5), y and x. */
const xs = Float64Array.from({ length: n }, (_, i) => 20 + 5 * ((i * 5) % 4) + 0.25);
const ys = Float64Array.from({ length: n }, (_, i) => 12 + 6 * ((i * 7) % 3) - 0.25);
const [TOP, LEFT, ROWS, COLUMNS] = [-3, 5, 40, 48];

function counting(shape: number[], plus = 0) {
  const size = shape.reduce((a, b) => a * b, 1);
  const re = Float32Array.from({ length: size }, (_, i) => i + 1 + plus);
  return { re, im: re.map((v) => -v / 2), shape };
}
const object = counting([ROWS, COLUMNS]);
const probe = counting([2, N, N], 7);

/** Each image with its rows in reverse order. */
function upsideDown<T extends ComplexImage>({ re, im, shape }: T) {
  const [height, width] = shape.slice(-2);
  const flip = (values: Float32Array) =>
    values.map((_, i) => {
      const [k, r, c] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
      return values[(k * height + height - 1 - r) * width + c];
    });
  return { re: flip(re), im: flip(im), shape };
}

/** As MATLAB stores (…, rows, columns) in HDF5: all axes turned round of (rows, columns, …). */
function matlab({ re, im, shape }: ComplexImage) {
  const [height, width] = shape.slice(-2);
  const turn = (values: Float32Array) =>
    values.map((_, i) => {
      const [k, c, r] = [Math.floor(i / (height * width)), Math.floor(i / height) % width, i % height];
      return values[(k * height + r) * width + c];
    });
  return { re: turn(re), im: turn(im), shape: [...shape.slice(0, -2), width, height] };
}

const real = (values: ArrayLike<number>, shape = [values.length]) => ({ data: Float64Array.from(values), shape });
/** Row by row. */
const pairs = (a: Float64Array, b: Float64Array) =>
  real(
    [...a].flatMap((v, i) => [v, b[i]]),
    [a.length, 2],
  );

const metres = (values: Float64Array) => values.map((v) => v * PIXEL_M);

function scan(changes: Partial<Parameters<typeof rawDataFromArrays>[0]> = {}): RawData {
  const diffraction = new Float32Array(n * N * N).map((_, i) => 1 + (i % 5));
  return rawDataFromArrays({
    diffraction: { data: diffraction, shape: [n, N, N] },
    xcoords: xs,
    ycoords: ys,
    probeGuess: counting([N, N]),
    geometry: { objectPixel_m: { x: PIXEL_M, y: PIXEL_M } },
    ...changes,
  });
}

const NANO = 1e9;

const files: Record<string, Hdf5Content> = {
  'result.ptyr': {
    datasets: {
      '/content/obj/SscanG00/data': { ...object, shape: [1, ROWS, COLUMNS] },
      '/content/obj/SscanG00/_psize': real([PIXEL_M, PIXEL_M]),
      '/content/obj/SscanG00/_origin': real([TOP * PIXEL_M, LEFT * PIXEL_M]),
      '/content/probe/SscanG00/data': probe,
      '/content/probe/SscanG00/_psize': real([PIXEL_M, PIXEL_M]),
    },
  },
  'recon_Niter100.h5': {
    datasets: {
      '/object': { ...object, shape: [1, ROWS, COLUMNS] },
      '/probe': { ...probe, shape: [1, 2, N, N] },
      '/obj_pixel_size_m': real([PIXEL_M], []),
      '/positions_px': pairs(
        ys.map((y) => y - TOP - ROWS / 2),
        xs.map((x) => x - LEFT - COLUMNS / 2),
      ),
    },
  },
  // PyNX keeps the row of the largest y first.
  'pynx.cxi': {
    datasets: {
      '/entry_1/result_1/data': { ...upsideDown(object), shape: [1, ROWS, COLUMNS] },
      '/entry_1/result_1/x_pixel_size': real([PIXEL_M], []),
      '/entry_1/result_1/y_pixel_size': real([PIXEL_M], []),
      '/entry_1/result_1/row_coords': real(
        Array.from({ length: ROWS }, (_, r) => (TOP + ROWS - 1 - r) * PIXEL_M * NANO),
      ),
      '/entry_1/result_1/col_coords': real(Array.from({ length: COLUMNS }, (_, c) => (LEFT + c) * PIXEL_M * NANO)),
      '/entry_1/result_2/data': upsideDown(probe),
    },
    attributes: {
      '/entry_1/result_1/row_coords': { units: 'nm' },
      '/entry_1/result_1/col_coords': { units: 'nm' },
    },
    links: { '/entry_1/object': '/entry_1/result_1', '/entry_1/probe': '/entry_1/result_2' },
  },
};

beforeAll(async () => {
  for (const [name, content] of Object.entries(files)) await writeHdf5(at(name), content);
  const mat = await Hdf5Writer.create(at('fold_slice.mat'));
  const marked = (name: string, input: Parameters<typeof mat.write>[1]) => {
    mat.write(name, input);
    mat.attributes(name, { MATLAB_class: 'double' });
  };
  marked('/object', matlab(object));
  marked('/probe', matlab({ ...probe, shape: [1, 2, N, N] }));
  marked('/p/dx_spec', real([PIXEL_M, PIXEL_M], [2, 1]));
  const places = [...xs.map((x) => x - LEFT - COLUMNS / 2), ...ys.map((y) => y - TOP - ROWS / 2)];
  marked('/outputs/probe_positions', real(places, [2, n]));
  await mat.close();
  const product = {
    probe_position_indexes: { data: Int32Array.from({ length: n }, (_, i) => i), shape: [n] },
    probe_position_x_m: real(metres(xs)),
    probe_position_y_m: real(metres(ys)),
    probe: { ...probe, shape: [1, 2, N, N] },
    probe_pixel_width_m: real([PIXEL_M], []),
    probe_pixel_height_m: real([PIXEL_M], []),
    object: { ...object, shape: [1, ROWS, COLUMNS] },
    object_pixel_width_m: real([PIXEL_M], []),
    object_pixel_height_m: real([PIXEL_M], []),
    object_center_x_m: real([(LEFT + COLUMNS / 2) * PIXEL_M], []),
    object_center_y_m: real([(TOP + ROWS / 2) * PIXEL_M], []),
    detector_object_distance_m: real([1], []),
    probe_energy_eV: real([8000], []),
    exposure_time_s: real([0], []),
  };
  await writeNpz(at('product.npz'), product);
});

const NAMES = ['result.ptyr', 'recon_Niter100.h5', 'pynx.cxi', 'fold_slice.mat', 'product.npz'];

describe('A result of another program', () => {
  it.each(NAMES)('%s lies where it says, with its probe', async (name) => {
    const raw = scan();
    const placed = placeOnScan(await readStoredImage(at(name), 'the reconstruction'), raw);
    expect(placed.originYxPx).toEqual([TOP, LEFT]);
    expect(placed.image.shape).toEqual([ROWS, COLUMNS]);
    expect(Array.from(placed.image.re)).toEqual(Array.from(object.re));
    expect(Array.from(placed.image.im)).toEqual(Array.from(object.im));
    expect((await readProbe(at(name), N)).shape).toEqual([2, N, N]);
    expect((await readProbeBeside(at(name), N))?.shape).toEqual([2, N, N]);
  });

  it.each(NAMES)('%s is what a solver begins with', async (name) => {
    const config = solveConfigSchema.parse({ test_data_file: 'scan.npz', output_dir: 'out' }) as SolveConfig;
    const { object: image, probe: begun } = await startFrom(at(name), scan(), config, {});
    expect(image?.frame).toEqual({ originYxPx: [TOP, LEFT], height: ROWS, width: COLUMNS });
    expect(Array.from(image?.image.re ?? [])).toEqual(Array.from(object.re));
    expect(begun?.shape).toEqual([2, N, N]);
    expect(Array.from(begun?.re ?? [])).toEqual(Array.from(probe.re));
  });

  it.each(NAMES)('%s is an arm of a comparison', async (name) => {
    const box = { originYxPx: [4, 12] as const, height: 24, width: 30 };
    const arm = { name: 'Other', path: at(name) };
    const image = await readFinished(arm, { truthShape: undefined, box, scan: scan() });
    expect(image.frameKnown).toBe(true);
    expect(image.frame).toEqual({ originYxPx: [TOP, LEFT], height: ROWS, width: COLUMNS });
  });

  it('of other pixels is refused', async () => {
    const raw = scan({ geometry: { objectPixel_m: { x: 3e-8, y: 3e-8 } } });
    const stored = await readStoredImage(at('result.ptyr'), 'the reconstruction');
    await refuses(() => placeOnScan(stored, raw), 'DATASET_UNITS', /has pixels of 20 nm, those of .* are 30 nm/);
  });

  it('of other positions, or of a scan without metres, is not placed, and says so', async () => {
    const elsewhere = scan({ xcoords: xs.map((x, i) => x + 9 * (i % 3)), geometry: {} });
    const chi = placeOnScan(await readStoredImage(at('recon_Niter100.h5'), 'it'), elsewhere);
    expect(chi.originYxPx).toBeUndefined();
    expect(chi.notes.join()).toContain('its 12 positions are not those of the 12 patterns of the scan');
    const ptypy = placeOnScan(await readStoredImage(at('result.ptyr'), 'it'), scan({ geometry: {} }));
    expect(ptypy.originYxPx).toBeUndefined();
    expect(ptypy.notes.join()).toContain('the pixels of the scan have no size (object_pixel_m)');
  });

  it('without an image is named', async () => {
    await writeHdf5(at('empty.h5'), { datasets: { '/something': real([1]) } });
    await refuses(
      () => readStoredImage(at('empty.h5'), 'the reconstruction'),
      'DATASET_KEY_MISSING',
      /holds no reconstructed_object or objectGuess or object; say which of its arrays is the reconstruction/,
    );
  });
});

describe('the folder of a run', () => {
  it('stands for the reconstruction in it', async () => {
    mkdirSync(at('run'));
    await writeNpz(at('run/reconstruction.npz'), {
      reconstructed_object: object,
      reconstructed_probe: counting([N, N], 3),
    });
    const stored = await readStoredImage(at('run'), 'the reconstruction');
    expect(stored.image.re).toEqual(object.re);
    expect((await readProbeBeside(at('run'), N))?.shape.slice(-2)).toEqual([N, N]);
  });
});
