/** Probes from files: the scan's own, or one named as `FILE[:key]`. */
import { existsSync } from 'node:fs';
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';
import { expectComplex64 } from '../formats/npy.js';
import { type NpyOrigin, nameOf } from '../formats/npyHeader.js';
import { isNpyFile, openNpz, readNpyFile } from '../formats/npz.js';

/**
 * Reads the probe that `FILE[:key]` names: `key` of an NPZ (`probeGuess` when left out), or a single `.npy` array.
 * @param spec e.g. `scan.npz:probeTrue` or `probe.npy`.
 * @param N side that the probe must have.
 * @throws PtychoError PROBE_SHAPE, DATASET_VALUE (no numbers, NaN, all zero), and those of reading the file.
 */
export async function readProbe(spec: string, N: number): Promise<ComplexImage> {
  const { file, key } = splitSpec(spec);
  if (key === undefined && existsSync(file) && (await isNpyFile(file))) {
    const origin = { path: file };
    return checkProbe(expectComplex64(await readNpyFile(file), origin), N, origin);
  }
  const npz = await openNpz(file);
  try {
    const name = key ?? 'probeGuess';
    return checkProbe(await npz.readComplex64(name), N, npz.origin(name));
  } finally {
    await npz.close();
  }
}

/** The part after the last colon is a key, unless the whole names a file or the colon belongs to a drive (`C:\…`). */
function splitSpec(spec: string): { file: string; key?: string } {
  const match = /^(.{2,}):(\w+)$/.exec(spec);
  if (match === null || existsSync(spec)) return { file: spec };
  return { file: match[1], key: match[2] };
}

/**
 * A probe as an image of N×N: axes of length 1 are dropped, everything else that is not N×N is refused.
 * @throws PtychoError PROBE_SHAPE, DATASET_VALUE.
 */
export function checkProbe(probe: ComplexTensor, N: number, origin: NpyOrigin): ComplexImage {
  const { re, im } = probe;
  const shape = probe.shape.length > 2 ? probe.shape.filter((length) => length !== 1) : probe.shape;
  const fail = (what: string) =>
    new PtychoError('PROBE_SHAPE', `${nameOf(origin)} has shape ${formatShape(probe.shape)}, ${what}.`, {
      path: origin.path,
      key: origin.member,
      found: probe.shape,
      expected: [N, N],
    });
  if (shape.length === 3)
    throw fail('several probe modes, but one is expected: save the strongest mode as an N×N array');
  if (shape.length !== 2 || shape[0] !== N || shape[1] !== N) {
    throw fail(`but the patterns need a probe of ${N}×${N} pixels; crop, pad or resample it`);
  }
  const value = (what: string) =>
    new PtychoError('DATASET_VALUE', `${nameOf(origin)} ${what}.`, { path: origin.path, key: origin.member });
  if (!re.every(Number.isFinite) || !im.every(Number.isFinite))
    throw value('holds NaN or infinite values, but a probe must be finite');
  if (re.every((v) => v === 0) && im.every((v) => v === 0))
    throw value('is zero everywhere, but a probe must hold some light');
  return { re, im, shape: [N, N] };
}
