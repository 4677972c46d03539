/** Probes from files: the scan's own, or one named as `FILE[:key]`; in every order of axes in which programs save them. */
import { isPtychoError } from '../../core/errors.js';
import { spreadIndices } from '../../core/numbers.js';
import { type ComplexTensor, formatShape, sizeOf } from '../../core/tensor.js';
import { expectComplex64 } from '../../formats/npy.js';
import { type NpyOrigin, nameOf, npyError } from '../../formats/npyHeader.js';
import { probeGuessFromPatterns, scaleComplex, totalIntensity } from '../../physics/probe.js';
import { propagate, transferFunction } from '../../physics/propagation.js';
import type { OpenDatasetOptions } from '../options.js';
import type { PatternSource } from '../patternSource.js';
import type { FrameLayout } from '../prepare/frameLayout.js';
import { layNearProbe, layProbe } from '../prepare/sample.js';
import { RESULT_PROBES } from '../readers/keys.js';
import type { ScanFile, ScanGeometry } from '../scanFile.js';
import { readArrayFile } from './arrayFile.js';
import { freeSpaceOf } from './wavelength.js';

/** Where probes are when nobody says: scan files, reconstructions, then the results of other programs. */
export const PROBE_KEYS: readonly string[] = ['probeGuess', 'reconstructed_probe', ...RESULT_PROBES];

/** Told what was assumed of a probe, each one sentence. */
export type ProbeNote = (sentence: string) => void;

/**
 * Reads the probe that `FILE[:key]` names: a key of an NPZ or a dataset of an HDF5 file (one of {@link PROBE_KEYS} when left out),
 * or a single `.npy` array.
 * @param spec e.g. `scan.npz:probeTrue`, `product.h5` or `probe.npy`.
 * @param N side that the probe must have.
 * @param note told how axes were read.
 * @throws PtychoError PROBE_SHAPE, DATASET_VALUE (no numbers, NaN, all zero), and those of reading the file.
 */
export async function readProbe(
  spec: string,
  N: number,
  note?: ProbeNote,
  allowLinks?: readonly string[],
): Promise<ComplexTensor> {
  const { array, origin } = await readArrayFile(spec, PROBE_KEYS, 'the probe', allowLinks);
  return checkProbe(expectComplex64(array, origin), N, origin, note);
}

/**
 * The incoherent modes of a probe: (N, N), or (P, N, N) with P > 1. Three axes are modes first. Of four, the first are coherent
 * modes (orthogonal probe relaxation, OPR), as Ptychodus, Pty-Chi and fold_slice have them: they make the probe vary from pattern
 * to pattern and do not add up in intensity, so the first of them, with all its incoherent modes, stands for the probe. Modes behind
 * rows and columns, (N, N, P) or (N, N, P, OPR), are brought to the front. More axes in front must have length 1.
 * @throws PtychoError PROBE_SHAPE for fewer axes than two, and for more than four
 */
export function incoherentModes(probe: ComplexTensor, origin: NpyOrigin, note?: ProbeNote): ComplexTensor {
  const found = modesLast(probe.shape) ? modesToFront(probe, origin, note) : probe;
  const extra = Math.max(0, found.shape.length - 4);
  if (found.shape.length < 2 || found.shape.slice(0, extra).some((length) => length !== 1)) {
    throw npyError(
      'PROBE_SHAPE',
      origin,
      `has shape ${formatShape(probe.shape)}, but a probe has two to four axes: (rows, columns), (modes, rows, columns) or (OPR modes, modes, rows, columns).`,
      { found: probe.shape },
    );
  }
  const axes = found.shape.slice(extra);
  if (axes.length === 4 && axes[0] > 1) {
    note?.(
      `${nameOf(origin)} of shape ${formatShape(axes)}: the first of ${axes[0]} coherent (OPR) modes of the probe is used, with its ${axes[1]} incoherent ${axes[1] === 1 ? 'mode' : 'modes'}.`,
    );
  }
  const kept = axes.slice(-3);
  const shape = kept.length === 3 && kept[0] === 1 ? kept.slice(1) : kept;
  return { re: found.re.subarray(0, sizeOf(shape)), im: found.im.subarray(0, sizeOf(shape)), shape };
}

/** Rows and columns in front, and fewer modes than pixels of a side behind. */
function modesLast([rows, columns, ...modes]: readonly number[]): boolean {
  const some = modes.length === 1 || modes.length === 2;
  return some && rows === columns && modes.every((length) => length < rows);
}

/** (N, N, P) as (P, N, N), (N, N, P, OPR) as (OPR, P, N, N). */
function modesToFront(probe: ComplexTensor, origin: NpyOrigin, note?: ProbeNote): ComplexTensor {
  const [rows, columns, modes, opr = 1] = probe.shape;
  const shape = probe.shape.length === 3 ? [modes, rows, columns] : [opr, modes, rows, columns];
  const re = new Float32Array(probe.re.length);
  const im = new Float32Array(probe.im.length);
  let to = 0;
  for (let o = 0; o < opr; o++) {
    for (let m = 0; m < modes; m++) {
      for (let p = 0; p < rows * columns; p++, to++) {
        const from = (p * modes + m) * opr + o;
        re[to] = probe.re[from];
        im[to] = probe.im[from];
      }
    }
  }
  if (modes * opr > 1) {
    note?.(
      `${nameOf(origin)} of shape ${formatShape(probe.shape)} has its modes last; it is read as ${formatShape(shape)}.`,
    );
  }
  return { re, im, shape };
}

/**
 * A probe for patterns of side N as (N, N), or with its incoherent modes first as (P, N, N), P > 1; see {@link incoherentModes}.
 * @throws PtychoError PROBE_SHAPE for everything else; DATASET_VALUE for NaN or a probe without light.
 */
export function checkProbe(found: ComplexTensor, N: number, origin: NpyOrigin, note?: ProbeNote): ComplexTensor {
  const probe = incoherentModes(found, origin, note);
  const { re, im, shape } = probe;
  const [height, width] = shape.slice(-2);
  if (height !== N || width !== N) {
    throw npyError(
      'PROBE_SHAPE',
      origin,
      `has shape ${formatShape(found.shape)}, but the patterns need a probe of ${N}×${N} pixels; crop, pad or resample it, or give another with probe FILE[:key].`,
      { found: found.shape, expected: [N, N] },
    );
  }
  const value = (what: string) => npyError('DATASET_VALUE', origin, `${what}.`);
  if (!re.every(Number.isFinite) || !im.every(Number.isFinite))
    throw value('holds NaN or infinite values, but a probe must be finite');
  if (re.every((v) => v === 0) && im.every((v) => v === 0))
    throw value('is zero everywhere, but a probe must hold some light');
  return probe;
}

/** The value of `probe` that asks for a guess where the file holds none. */
export const GUESS_PROBE = 'auto';

/** Patterns that a guess is made from: the mean of more is no other. */
const GUESS_FROM = 256;

/** What a guess of the probe is made from. */
type GuessedFrom = Pick<PatternSource, 'count' | 'N' | 'readAmplitudes'>;

/** The published guess, or of near fields the mean image brought back to the sample, with the mean power of the patterns. @throws PtychoError those of reading patterns */
export const guessProbe = (patterns: GuessedFrom, geometry: ScanGeometry = {}): Promise<ComplexTensor> =>
  geometry.nearField ? guessNearProbe(patterns, geometry) : guessFarProbe(patterns);

/** √(mean image), without a phase, as it was before light went to the detector. */
async function guessNearProbe(patterns: GuessedFrom, geometry: ScanGeometry): Promise<ComplexTensor> {
  const { count, N } = patterns;
  const some = spreadIndices(count, GUESS_FROM);
  const data = new Float32Array(some.length * N * N);
  await patterns.readAmplitudes(some, data);
  const re = new Float64Array(N * N);
  for (let i = 0; i < data.length; i++) re[i % re.length] += data[i] ** 2 / some.length;
  for (let i = 0; i < re.length; i++) re[i] = Math.sqrt(re[i]);
  const field = { re, im: new Float64Array(N * N), shape: [N, N] };
  const found = propagate(field, transferFunction(N, freeSpaceOf(geometry)), true);
  return { re: Float32Array.from(found.re), im: Float32Array.from(found.im), shape: [N, N] };
}

/**
 * The published guess from the mean pattern ({@link probeGuessFromPatterns}), with the mean power of the patterns: counts, where
 * they are counted.
 * @throws PtychoError those of reading patterns
 */
async function guessFarProbe(patterns: GuessedFrom): Promise<ComplexTensor> {
  const { count, N } = patterns;
  const some = spreadIndices(count, GUESS_FROM);
  const n = some.length;
  const data = new Float32Array(n * N * N);
  await patterns.readAmplitudes(some, data);
  const guess = probeGuessFromPatterns({ data, shape: [n, N, N] });
  const power = data.reduce((sum, v) => sum + v * v, 0) / n;
  // Of dark patterns there is nothing to guess; what is wrong with them is said where they are used.
  return power > 0 ? scaleComplex(guess, Math.sqrt(power / totalIntensity(guess))) : guess;
}

/** A guess of the probe, where it is asked for and the file holds none. */
export async function guessedProbe(
  {
    path,
    source,
    geometry,
  }: { readonly path: string; readonly source: PatternSource; readonly geometry: ScanGeometry },
  options: OpenDatasetOptions,
  note: ProbeNote,
): Promise<ComplexTensor | undefined> {
  if (options.probe !== GUESS_PROBE) return undefined;
  note(
    geometry.nearField
      ? `${path} holds no probe: the mean image, brought back to the sample, was taken; it knows nothing of the beam's phase, so give a measured probe where there is one.`
      : `${path} holds no probe: a Gaussian as wide as the mean pattern suggests was taken; it knows nothing of defocus or aberrations, so give a measured or simulated probe where there is one.`,
  );
  return guessProbe(source, geometry);
}

/** The probe of the option. */
export async function givenProbe(
  { probe, allow_links }: OpenDatasetOptions,
  N: number,
  note: ProbeNote,
): Promise<ComplexTensor | undefined> {
  return probe && probe !== GUESS_PROBE ? readProbe(probe, N, note, allow_links) : undefined;
}

/** The probe that is given, or the file's: for the patterns, or for whole frames and then laid as these were. */
export async function findProbe(
  file: ScanFile,
  layout: FrameLayout,
  options: OpenDatasetOptions & { readonly near?: boolean },
  note: ProbeNote,
): Promise<ComplexTensor | undefined> {
  const { N } = layout;
  const lay = options.near ? layNearProbe : layProbe;
  const { height, width } = file.patterns;
  const changed = height === width && height !== N;
  const given = await givenProbe(options, N, note).catch((error: unknown) => {
    if (!changed || !isPtychoError(error, 'PROBE_SHAPE')) throw error;
    // It may be that of whole frames; if it is not, what was wrong with it first is said.
    return givenProbe(options, height, note).then(
      (whole) => whole && laidProbe(whole, layout, lay, { path: options.probe! }, file.patterns, note),
      () => {
        throw error;
      },
    );
  });
  if (given) return given;
  const probe = file.probeGuess;
  if (probe === undefined) return undefined;
  const [rows, columns] = probe.shape.slice(-2);
  const origin = { path: file.path, member: 'probeGuess' };
  const ofWholeFrames = rows === height && columns === width && (height !== N || width !== N);
  return ofWholeFrames ? laidProbe(probe, layout, lay, origin, file.patterns, note) : checkProbe(probe, N, origin);
}

/** A probe of whole frames, made that of the patterns. */
function laidProbe(
  probe: ComplexTensor,
  layout: FrameLayout,
  lay: (probe: ComplexTensor, layout: FrameLayout) => ComplexTensor | undefined,
  origin: NpyOrigin,
  { height, width }: { readonly height: number; readonly width: number },
  note: ProbeNote,
): ComplexTensor | undefined {
  const cropped = lay(probe, layout);
  if (!cropped) {
    note(`Left out: the probe of ${origin.path} has the pixels of the whole frames, which are added up here.`);
    return undefined;
  }
  const kept = totalIntensity(cropped) / totalIntensity(probe);
  note(
    `The probe of ${origin.path} is that of the whole frames (${height}×${width}); it was cropped or padded ${lay === layProbe ? 'in Fourier space ' : ''}as the patterns were, which keeps ${(100 * kept).toFixed(1)} % of its power.`,
  );
  return checkProbe(cropped, layout.N, origin);
}
