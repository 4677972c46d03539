/** Golden arrays as tensors. */
import type { ComplexTensor, Tensor } from '../../src/core/tensor.js';
import { openNpz } from '../../src/formats/npz.js';
import { sharedFile } from './shared.js';

/** Reads named arrays of a golden file; real ones as float64 copies. */
export async function readGolden(file: string) {
  const npz = await openNpz(sharedFile('golden', file));
  const real = async (key: string): Promise<Tensor<Float64Array>> => {
    const { data, shape } = await npz.readReal(key);
    return { data: Float64Array.from(data), shape };
  };
  return {
    keys: npz.keys,
    real,
    async float32(key: string): Promise<Tensor> {
      const { data, shape } = await npz.readReal(key);
      return { data: Float32Array.from(data), shape };
    },
    async number(key: string): Promise<number> {
      return (await real(key)).data[0];
    },
    async complex(key: string): Promise<ComplexTensor<Float32Array>> {
      const t = await npz.read(key);
      if (t.kind !== 'complex') throw new Error(`${file}: ${key} is not complex`);
      return { re: Float32Array.from(t.re), im: Float32Array.from(t.im), shape: t.shape };
    },
    async strings(key: string): Promise<readonly string[]> {
      const t = await npz.read(key);
      if (t.kind !== 'text') throw new Error(`${file}: ${key} is not text`);
      return t.strings;
    },
    close: () => npz.close(),
  };
}

/** max |a − b|. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`lengths differ: ${a.length} and ${b.length}`);
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    if (!(d <= worst)) worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
  }
  return worst;
}

/** ‖a − b‖ / ‖b‖. */
export function relativeL2(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`lengths differ: ${a.length} and ${b.length}`);
  let d = 0;
  let n = 0;
  for (let i = 0; i < a.length; i++) {
    d += (a[i] - b[i]) ** 2;
    n += b[i] ** 2;
  }
  return Math.sqrt(d / n);
}

/** max |a|. */
export const maxAbs = (a: ArrayLike<number>): number =>
  Array.prototype.reduce.call(a, (m: unknown, v: number) => Math.max(m as number, Math.abs(v)), 0) as number;
