/**
 * One known scan as many programs write it, and as it goes wrong: containers, types, orders, what the numbers are, and defects. Used by
 * the property that no image is silently wrong.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LegacyRng } from '../../src/core/rng.js';
import type { NumericArray } from '../../src/core/tensor.js';
import { writeNpz } from '../../src/formats/npz.js';
import type { KnownScan } from './knownScan.js';
import { dictionary, npyFile } from './npyBytes.js';
import { tiffImage } from './tiffBytes.js';
import { writeHdf5 } from './writeHdf5.js';

export const CONTAINERS = ['npz', 'npy', 'hdf5', 'tiff', 'cxi'] as const;
/** What is stored: counts; counts times a flat field; the same scaled to a maximum of 1; √counts. */
export const READINGS = ['counts', 'corrected', 'scaled', 'root'] as const;
export const DTYPES = ['uint16', 'uint32', 'int32', 'float32'] as const;
/** Frames first; frames last (of NPZ); column-major, and big-endian (of NPY, TIFF). */
export const ORDERS = ['plain', 'last', 'fortran', 'big-endian'] as const;
export const DEFECTS = [
  'none',
  'corners',
  'off centre',
  'hot pixel',
  'bright frame',
  'dark end',
  'marked gap',
  'negative noise',
  'micrometres',
  'extra frame',
  'lost position',
  'missing file',
  'dark file',
  'keV',
] as const;

export interface Variant {
  readonly container: (typeof CONTAINERS)[number];
  readonly reading: (typeof READINGS)[number];
  readonly dtype: (typeof DTYPES)[number];
  readonly order: (typeof ORDERS)[number];
  readonly defect: (typeof DEFECTS)[number];
}

/** A file and the options that go with it: those that a user gives who believes that nothing is wrong. */
export interface WrittenVariant {
  readonly file: string;
  readonly probe: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const PIXEL_M = 20e-9;
const ENERGY_EV = 8000;
const WAVELENGTH_M = 1.23984198e-6 / ENERGY_EV;
const JOULE_PER_EV = 1.602176634e-19;

/** Whether a container can hold this at all, or anybody would write it. */
export function makesSense({ container, reading, dtype, order, defect }: Variant): boolean {
  if (reading !== 'counts' && dtype !== 'float32') return false;
  if (reading === 'root' && container !== 'npz') return false;
  if (order === 'last' && container !== 'npz') return false;
  if (order === 'fortran' && container !== 'npy') return false;
  if (order === 'big-endian' && container !== 'npy' && container !== 'tiff') return false;
  if (defect === 'negative noise' && (reading !== 'counts' || !['int32', 'float32'].includes(dtype))) return false;
  if (defect === 'marked gap' && reading !== 'counts') return false;
  if ((defect === 'missing file' || defect === 'dark file') && container !== 'tiff') return false;
  if (defect === 'micrometres' && container !== 'npz' && container !== 'hdf5') return false;
  if (defect === 'keV' && container !== 'cxi') return false;
  return true;
}

/** Writes a variant of a scan into a folder of its own. */
export async function writeVariant(
  folder: string,
  scan: KnownScan,
  variant: Variant,
  seed = 1,
): Promise<WrittenVariant> {
  await mkdir(folder, { recursive: true });
  const { frames, x, y, numbers } = spoiled(scan, variant, new LegacyRng(seed));
  const { N } = scan;
  const n = frames.length / (N * N);
  const data = stored(read(frames, variant, N), variant.dtype);
  const at = (name: string) => path.join(folder, name);
  await writeNpz(at('probe.npz'), { probeGuess: scan.probe });
  const line = (values: Float64Array) => ({ data: values, shape: [values.length] });
  const positions = { xcoords: line(x), ycoords: line(y) };
  const written = (file: string, options: Record<string, unknown> = {}) => ({
    file: at(file),
    probe: at('probe.npz'),
    data: options,
  });
  const beside = async () => {
    await writeNpz(at('positions.npz'), positions);
    return { positions: at('positions.npz'), positions_unit: 'px' };
  };
  switch (variant.container) {
    case 'npz': {
      const last = variant.order === 'last';
      const diffraction = last ? { data: moveFramesLast(data, n, N), shape: [N, N, n] } : { data, shape: [n, N, N] };
      await writeNpz(at('scan.npz'), { diffraction, ...positions });
      return written('scan.npz');
    }
    case 'npy':
      await writeFile(at('frames.npy'), npyOf(data, n, N, variant));
      return written('frames.npy', await beside());
    case 'hdf5':
      await writeHdf5(at('scan.h5'), {
        datasets: {
          '/entry/data/data': { input: { data, shape: [n, N, N] }, storage: { chunks: [1, N, N], gzip: 2 } },
          '/entry/data/xcoords': line(x),
          '/entry/data/ycoords': line(y),
        },
      });
      return written('scan.h5');
    case 'tiff': {
      await mkdir(at('series'));
      const big = variant.order === 'big-endian';
      for (let k = 0; k < n; k++) {
        const image = tiffImage(data.subarray(k * N * N, (k + 1) * N * N), N, N, big);
        await writeFile(at(path.join('series', `scan_${String(numbers[k]).padStart(4, '0')}.tif`)), image);
      }
      if (variant.defect === 'dark file') {
        await writeFile(
          at(path.join('series', 'dark.tif')),
          tiffImage(
            data
              .subarray(0, N * N)
              .slice()
              .fill(1),
            N,
            N,
            big,
          ),
        );
      }
      return written('series', await beside());
    }
    case 'cxi': {
      const detector = '/entry_1/instrument_1/detector_1';
      const pixel_m = WAVELENGTH_M / (N * PIXEL_M);
      const scalar = (value: number) => ({ data: Float64Array.of(value), shape: [] });
      const metres = new Float64Array(x.length * 3);
      x.forEach((_, i) => {
        metres.set([x[i] * PIXEL_M, y[i] * PIXEL_M, 0], 3 * i);
      });
      await writeHdf5(at('scan.cxi'), {
        datasets: {
          '/cxi_version': { data: Int32Array.of(150), shape: [] },
          [`${detector}/data`]: { input: { data, shape: [n, N, N] }, storage: { chunks: [1, N, N], gzip: 2 } },
          [`${detector}/distance`]: scalar(1),
          [`${detector}/x_pixel_size`]: scalar(pixel_m),
          [`${detector}/y_pixel_size`]: scalar(pixel_m),
          '/entry_1/instrument_1/source_1/energy': scalar(
            variant.defect === 'keV' ? ENERGY_EV / 1000 : ENERGY_EV * JOULE_PER_EV,
          ),
          '/entry_1/data_1/translation': { data: metres, shape: [x.length, 3] },
        },
        links: { '/entry_1/data_1/data': `${detector}/data` },
      });
      return written('scan.cxi');
    }
  }
}

interface Spoiled {
  readonly frames: Float64Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Of each frame in the names of a series. */
  readonly numbers: readonly number[];
}

function spoiled(scan: KnownScan, { defect, dtype }: Variant, rng: LegacyRng): Spoiled {
  const { N, n } = scan;
  const area = N * N;
  let frames: Float64Array = scan.counts.slice();
  let [x, y]: Float64Array[] = [scan.x.slice(), scan.y.slice()];
  let numbers = Array.from({ length: n }, (_, i) => i);
  const largest = frames.reduce((most, v) => Math.max(most, v), 0);
  const pick = (count: number) => Math.min(count - 1, Math.floor(rng.random() * count));
  switch (defect) {
    case 'corners':
      frames = rolled(frames, N, N / 2, N / 2);
      break;
    case 'off centre':
      frames = rolled(frames, N, 4 + pick(5), -(4 + pick(5)));
      break;
    case 'hot pixel': {
      const where = (2 + pick(N / 4)) * N + 2 + pick(N - 4);
      const value = Math.min(dtype === 'uint16' ? 65000 : 2 ** 30, 40 * largest);
      for (let k = 0; k < n; k++) frames[k * area + where] = value;
      break;
    }
    case 'bright frame': {
      const k = 1 + pick(n - 2);
      const factor = dtype === 'uint16' ? Math.max(2, Math.floor(65000 / largest)) : 500;
      for (let i = 0; i < area; i++) frames[k * area + i] = Math.min(2 ** 31 - 1, frames[k * area + i] * factor);
      break;
    }
    case 'dark end':
      frames.fill(0, Math.ceil((n * 2) / 3) * area);
      break;
    case 'marked gap': {
      const value = { uint16: 65535, uint32: 65535, int32: -1, float32: 2 ** 32 - 1 }[dtype];
      const column = N / 2 + 6 + pick(8);
      for (let p = 0; p < frames.length; p++) if (p % N >= column && p % N < column + 3) frames[p] = value;
      break;
    }
    case 'negative noise':
      frames = frames.map((v) => Math.round(v + rng.normal(0, 2)));
      break;
    case 'micrometres':
      [x, y] = [x, y].map((axis) => axis.map((v) => v * PIXEL_M * 1e6));
      break;
    case 'extra frame':
      frames = Float64Array.from([...frames, ...frames.subarray(0, area)]);
      numbers = [...numbers, n];
      break;
    case 'lost position':
      x[pick(n)] = Number.NaN;
      break;
    case 'missing file': {
      const gone = 1 + pick(n - 2);
      frames = Float64Array.from([...frames.subarray(0, gone * area), ...frames.subarray((gone + 1) * area)]);
      numbers = numbers.filter((i) => i !== gone);
      break;
    }
    case 'dark file':
      frames = frames.slice(0, (n - 1) * area);
      numbers = numbers.slice(0, -1);
      break;
    // Nothing, or what the file says beside the frames.
    case 'none':
    case 'keV':
      break;
  }
  return { frames, x, y, numbers };
}

/** What the file says in place of counts. */
function read(frames: Float64Array, { reading }: Variant, N: number): Float64Array {
  if (reading === 'counts') return frames;
  if (reading === 'root') return frames.map((v) => Math.sqrt(Math.max(0, v)));
  const rng = new LegacyRng(5);
  const flat = Float64Array.from({ length: N * N }, () => rng.uniform(0.9, 1.1));
  const corrected = frames.map((v, p) => v * flat[p % (N * N)]);
  if (reading === 'corrected') return corrected;
  const largest = corrected.reduce((most, v) => Math.max(most, v), 0);
  return corrected.map((v) => v / largest);
}

function stored(values: Float64Array, dtype: Variant['dtype']): Uint16Array | Uint32Array | Int32Array | Float32Array {
  switch (dtype) {
    case 'uint16':
      return Uint16Array.from(values, (v) => Math.min(65535, v));
    case 'uint32':
      return Uint32Array.from(values);
    case 'int32':
      return Int32Array.from(values);
    case 'float32':
      return Float32Array.from(values);
  }
}

function rolled(frames: Float64Array, N: number, dy: number, dx: number): Float64Array {
  const out = new Float64Array(frames.length);
  for (let p = 0; p < frames.length; p++) {
    const [k, row, column] = [Math.floor(p / (N * N)), Math.floor(p / N) % N, p % N];
    out[(k * N + ((row + dy + N) % N)) * N + ((column + dx + N) % N)] = frames[p];
  }
  return out;
}

function moveFramesLast<T extends NumericArray>(data: T, n: number, N: number): T {
  const out = data.slice() as T;
  for (let k = 0; k < n; k++) for (let p = 0; p < N * N; p++) out[p * n + k] = data[k * N * N + p];
  return out;
}

const DESCR = { uint16: 'u2', uint32: 'u4', int32: 'i4', float32: 'f4' } as const;

function npyOf(data: ReturnType<typeof stored>, n: number, N: number, { dtype, order }: Variant): Uint8Array {
  const fortran = order === 'fortran';
  let values = data;
  if (fortran) {
    values = data.slice();
    for (let k = 0; k < n; k++)
      for (let r = 0; r < N; r++) for (let c = 0; c < N; c++) values[(c * N + r) * n + k] = data[(k * N + r) * N + c];
  }
  const bytes = Buffer.from(values.buffer.slice(0));
  if (order === 'big-endian') dtype === 'uint16' ? bytes.swap16() : bytes.swap32();
  const descr = `${order === 'big-endian' ? '>' : '<'}${DESCR[dtype]}`;
  return npyFile(dictionary(descr, `(${n}, ${N}, ${N})`, fortran), bytes);
}
