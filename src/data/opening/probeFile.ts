/** Probes from files: the scan's own, or one named as `FILE[:key]`. */
import { PtychoError } from '../../core/errors.js';
import { type ComplexTensor, formatShape, sizeOf } from '../../core/tensor.js';
import { expectComplex64 } from '../../formats/npy.js';
import { type NpyOrigin, nameOf } from '../../formats/npyHeader.js';
import { readArrayFile } from './arrayFile.js';

/** Where probes are when nobody says: scan files, then product files of Ptychodus. */
const PROBE_KEYS = ['probeGuess', 'probe'] as const;

/**
 * Reads the probe that `FILE[:key]` names: a key of an NPZ or a dataset of an HDF5 file (`probeGuess`, or `probe` as in
 * Ptychodus products, when left out), or a single `.npy` array.
 * @param spec e.g. `scan.npz:probeTrue`, `product.h5` or `probe.npy`.
 * @param N side that the probe must have.
 * @throws PtychoError PROBE_SHAPE, DATASET_VALUE (no numbers, NaN, all zero), and those of reading the file.
 */
export async function readProbe(spec: string, N: number, allowLinks?: readonly string[]): Promise<ComplexTensor> {
  const { array, origin } = await readArrayFile(spec, PROBE_KEYS, 'the probe', allowLinks);
  return checkProbe(expectComplex64(array, origin), N, origin);
}

/**
 * A probe as (N, N), or with its incoherent modes first as (P, N, N), P > 1; axes of length 1 are dropped.
 * @throws PtychoError PROBE_SHAPE for everything else; DATASET_VALUE for NaN or a probe without light.
 */
export function checkProbe(probe: ComplexTensor, N: number, origin: NpyOrigin): ComplexTensor {
  const { re, im } = probe;
  const shape = probe.shape.length > 2 ? probe.shape.filter((length) => length !== 1) : [...probe.shape];
  const fail = (what: string) =>
    new PtychoError('PROBE_SHAPE', `${nameOf(origin)} has shape ${formatShape(probe.shape)}, ${what}.`, {
      path: origin.path,
      key: origin.member,
      found: probe.shape,
      expected: [N, N],
    });
  if (shape.length > 3) {
    throw fail(`but a probe has three axes at most, (modes, ${N}, ${N}); save one of its orthogonal components`);
  }
  const [height, width] = shape.slice(-2);
  if (shape.length < 2 || height !== N || width !== N) {
    const last = shape.length === 3 && shape[0] === N && shape[1] === N;
    throw fail(
      last
        ? `but probe modes come first: (${shape[2]}, ${N}, ${N}); transpose it`
        : `but the patterns need a probe of ${N}×${N} pixels; crop, pad or resample it, or give another with probe FILE[:key]`,
    );
  }
  const value = (what: string) =>
    new PtychoError('DATASET_VALUE', `${nameOf(origin)} ${what}.`, { path: origin.path, key: origin.member });
  if (!re.every(Number.isFinite) || !im.every(Number.isFinite))
    throw value('holds NaN or infinite values, but a probe must be finite');
  if (re.every((v) => v === 0) && im.every((v) => v === 0))
    throw value('is zero everywhere, but a probe must hold some light');
  return { re: re.subarray(0, sizeOf(shape)), im: im.subarray(0, sizeOf(shape)), shape };
}
