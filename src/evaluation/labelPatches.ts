import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape, sameShape } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import type { StoredPatches } from '../data/scanFile.js';
import { extractPatch, extractPatches } from '../physics/sampling.js';
import { placeOnScan, RECONSTRUCTION_KEYS, readStoredImage } from '../reconstruction/storedImage.js';
import { registerImages } from './register.js';

/** A reconstruction and where it lies. */
export interface ImageForLabels {
  readonly image: ComplexImage;
  readonly originYxPx: readonly [number, number];
  /** 1 where patches lie. */
  readonly covered: ComplexImage;
}

/**
 * A reconstruction on the pixels of the scan: a label at another place would be a wrong one, so that it must be known where it lies,
 * or be found.
 */
export async function readImageForLabels(
  spec: string,
  raw: RawData,
  note: (sentence: string) => void,
): Promise<ImageForLabels> {
  const stored = placeOnScan(await readStoredImage(spec, 'the reconstruction', RECONSTRUCTION_KEYS), raw);
  stored.notes.forEach(note);
  const { image, weight } = stored;
  const covered = Float32Array.from(image.re, (re, i) => {
    const lies = weight ? weight[i] > 0 : re !== 0 || image.im[i] !== 0;
    return lies && Number.isFinite(re) && Number.isFinite(image.im[i]) ? 1 : 0;
  });
  const originYxPx = stored.originYxPx ?? searchedFor(spec, image, covered, raw, note);
  const usable = { re: image.re.map((v, i) => (covered[i] ? v : 0)), im: image.im.map((v, i) => (covered[i] ? v : 0)) };
  return {
    image: { ...usable, shape: image.shape },
    originYxPx,
    covered: { re: covered, im: new Float32Array(covered.length), shape: image.shape },
  };
}

/** Where an image lies that does not say so: on the scan's object where it has its shape, else where registration finds it. */
function searchedFor(
  spec: string,
  image: ComplexImage,
  covered: Float32Array,
  { objectGuess, source }: RawData,
  note: (sentence: string) => void,
): readonly [number, number] {
  if (objectGuess && sameShape(objectGuess.shape, image.shape)) {
    note(`${spec} does not say where it lies; it was laid on the object of ${source}, which has its shape.`);
    return [0, 0];
  }
  const found = objectGuess && registerImages(objectGuess, image, { upsample: 1, movingMask: covered });
  if (found?.succeeded) {
    note(`${spec} does not say where it lies; registration found it at ${found.shiftYxPx.join(', ')} (y, x) of the object of ${source}.`); // biome-ignore format: one call
    return [found.shiftYxPx[0], found.shiftYxPx[1]];
  }
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${spec} does not say where its ${formatShape(image.shape)} pixels lie in ${source} (frame_origin_yx_px), and ${found ? 'registration did not find it' : 'the scan has no object to find it on'}: give the reconstruction.npz of infer or solve, or a product.`,
    { path: spec, key: 'frame_origin_yx_px' },
  );
}

/** How much of its patch each pattern has: patterns with some, and how many of them lack a part. */
export function coveredRows(
  raw: RawData,
  { covered, originYxPx }: ImageForLabels,
): { readonly rows: Int32Array; readonly partly: number } {
  const [top, left] = originYxPx;
  const rows: number[] = [];
  let partly = 0;
  for (let i = 0; i < raw.count; i++) {
    const { re } = extractPatch(covered, raw.ycoords[i] - top, raw.xcoords[i] - left, raw.N);
    const whole = re.reduce((n, w) => n + (w > WHOLE ? 1 : 0), 0);
    if (whole === 0) continue;
    rows.push(i);
    if (whole < re.length) partly++;
  }
  return { rows: Int32Array.from(rows), partly };
}

/** Between pixels a value is known where all that it is interpolated from is. */
const WHOLE = 0.999;

/** NaN where the reconstruction does not reach. */
export function labelsOf(raw: RawData, { image, covered, originYxPx }: ImageForLabels, phase: number): StoredPatches {
  const [top, left] = originYxPx;
  const [cos, sin] = [Math.cos(phase), -Math.sin(phase)];
  return {
    count: raw.count,
    height: raw.N,
    width: raw.N,
    readRows: async (rows) => {
      const xs = Float64Array.from(rows, (row) => raw.xcoords[row] - left);
      const ys = Float64Array.from(rows, (row) => raw.ycoords[row] - top);
      const { re, im, shape } = extractPatches(image, xs, ys, raw.N);
      const { re: known } = extractPatches(covered, xs, ys, raw.N);
      return {
        re: re.map((v, i) => (known[i] > WHOLE ? v * cos - im[i] * sin : Number.NaN)),
        im: im.map((v, i) => (known[i] > WHOLE ? v * cos + re[i] * sin : Number.NaN)),
        shape,
      };
    },
  };
}

/** arg Σ reconstruction·conj(object) over patches spread over the scan. */
export function phaseBetween(
  raw: RawData,
  rows: Int32Array,
  { image, originYxPx }: ImageForLabels,
  object: ComplexImage,
): number {
  let [re, im] = [0, 0];
  for (let k = 0; k < rows.length; k += Math.ceil(rows.length / 64)) {
    const [y, x] = [raw.ycoords[rows[k]], raw.xcoords[rows[k]]];
    const ours = extractPatch(image, y - originYxPx[0], x - originYxPx[1], raw.N);
    const theirs = extractPatch(object, y, x, raw.N);
    for (let i = 0; i < ours.re.length; i++) {
      re += ours.re[i] * theirs.re[i] + ours.im[i] * theirs.im[i];
      im += ours.im[i] * theirs.re[i] - ours.re[i] * theirs.im[i];
    }
  }
  return Math.atan2(im, re);
}
