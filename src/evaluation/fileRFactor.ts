/**
 * R of an image that lies in a file, the same whoever asks: with the probe of that file, where it has one, and at the positions that
 * were corrected with it.
 *
 * @example
 * const rFactor = await scoreFile(raw, placed, { limit: 64, ownProbe: true }, console.warn);
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import { splitFileSpec } from '../data/opening/files.js';
import type { RawData } from '../data/rawData.js';
import { isHdf5File } from '../formats/hdf5/file.js';
import { isNpyFile } from '../formats/npyFile.js';
import { usingNpz } from '../formats/npz.js';
import type { Frame } from '../reconstruction/frame.js';
import { layersBeside } from '../reconstruction/reconstructionFile.js';
import { type ImageRFactor, type ProbeOwner, type ScoringOptions, scoreR } from '../reconstruction/rFactor.js';
import { readProbeBeside, type StoredImage, turnedImage } from '../reconstruction/storedImage.js';

/** An image of a file, laid on the scan. */
export interface FileImage extends Pick<StoredImage, 'source' | 'image' | 'turned'> {
  readonly frame: Frame;
  readonly weight?: ArrayLike<number>;
}

/** How R of a file is measured. */
export interface FileScoring {
  /** Patterns at most; 0: none. */
  readonly limit: number;
  /** False: another probe was asked for, which is that of the scan then. */
  readonly ownProbe: boolean;
}

/**
 * R of an image of a file; undefined where nobody wants it, or there is no probe or no counts.
 * @param note hears what was taken from the file
 * @throws PtychoError those of reading files and of `scoreR`
 */
export async function scoreFile(
  raw: RawData,
  ours: FileImage,
  { limit, ownProbe }: FileScoring,
  note: (sentence: string) => void,
): Promise<ImageRFactor | undefined> {
  if (limit === 0) return undefined;
  const { probe, of } = ownProbe ? await probeFor(raw, ours, note) : { probe: raw.probeGuess, of: 'scan' as const };
  const { image, frame } = ours;
  const weight: Tensor = {
    data: Float32Array.from(image.re, (v, i) => (ours.weight ? ours.weight[i] : v !== 0 || image.im[i] !== 0 ? 1 : 0)),
    shape: image.shape,
  };
  const positions = await correctedPositions(ours.source, raw, note);
  const { file } = splitFileSpec(ours.source);
  const npz = path.extname(file).toLowerCase() === '.npz' && existsSync(file) && ours.turned === undefined;
  const layers = npz ? await layersBeside(file, image.shape) : undefined;
  return scoreR(raw, { image, frame, weight, layers }, { limit, probe, of, positions });
}

/** An image is explained by the probe that it was made with: that of its file, else that of the scan. */
async function probeFor(
  raw: RawData,
  { source, turned }: FileImage,
  note: (sentence: string) => void,
): Promise<{ readonly probe?: ComplexTensor; readonly of: ProbeOwner }> {
  const own = await readProbeBeside(source, raw.N, { note });
  if (!own) return { probe: raw.probeGuess, of: 'scan' };
  note(`R was measured with the probe that ${splitFileSpec(source).file} holds, not with that of the scan.`);
  return { probe: turnedImage(own, turned), of: 'reconstruction' };
}

/** Two positions are the same if they differ by less; pixels. */
const SAME_PLACE_PX = 1e-3;

/** Positions that `solve` or `infer` corrected, in the file or in `positions.npz` beside it, where they belong to this scan. */
async function correctedPositions(
  source: string,
  raw: RawData,
  note: (sentence: string) => void,
): Promise<ScoringOptions['positions']> {
  const { file } = splitFileSpec(source);
  const beside = path.join(path.dirname(file), 'positions.npz');
  const ours = path.basename(file) === 'reconstruction.npz' && existsSync(beside);
  for (const place of ours ? [file, beside] : [file]) {
    if ((await isHdf5File(place)) || (await isNpyFile(place))) continue;
    const found = await usingNpz(place, async (npz) => {
      const keys = ['sample_indices', 'xcoords', 'ycoords', 'xcoords_measured', 'ycoords_measured'];
      if (!keys.every((key) => npz.has(key))) return undefined;
      const [samples, x, y, x0, y0] = await Promise.all(
        keys.map(async (key) => Float64Array.from((await npz.readReal(key)).data as ArrayLike<number>, Number)),
      );
      const rowOf = new Map(Array.from(samples, (sample, row) => [sample, row]));
      const rows = Array.from(raw.sampleIndices, (sample) => rowOf.get(sample) ?? -1);
      const same = (a: number, b: number) => Math.abs(a - b) < SAME_PLACE_PX;
      if (!rows.every((row, i) => row >= 0 && same(x0[row], raw.xcoords[i]) && same(y0[row], raw.ycoords[i]))) {
        note(`The positions that ${place} corrected are not those of this scan; R was measured at those of the scan.`);
        return undefined;
      }
      return { xs: Float64Array.from(rows, (row) => x[row]), ys: Float64Array.from(rows, (row) => y[row]) };
    });
    if (found) {
      note(`R was measured at the positions that were corrected with the image (${place}).`);
      return found;
    }
  }
  return undefined;
}
