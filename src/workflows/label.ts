/** `label`: known patches for supervised training, from a reconstruction of the same scan. */
import path from 'node:path';
import type { LabelConfig } from '../config/schemas/simulation.js';
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import { type ComplexImage, formatShape } from '../core/tensor.js';
import { readExtraArrays } from '../data/extraArrays.js';
import { openSurveyed } from '../data/findings/survey.js';
import type { RawData } from '../data/rawData.js';
import type { StoredPatches } from '../data/scanFile.js';
import { writeScan } from '../data/scanWriter.js';
import { expectComplex64 } from '../formats/npy.js';
import { openNpz } from '../formats/npz.js';
import { extractPatch, extractPatches } from '../physics/sampling.js';
import { makeOutputFolder } from './files.js';
import { refuseToOverwrite } from './openTool.js';
import type { WorkflowServices } from './services.js';
import { createdBy } from './version.js';

/** What was written. */
export interface LabelSummary {
  readonly path: string;
  /** Patterns that have labels: those whose whole patch the reconstruction covers. */
  readonly count: number;
  /** Patterns of the scan that were left out. */
  readonly leftOut: number;
  /** Radians that were subtracted, so that the labels agree with the object of the file. */
  readonly phase: number;
}

/** A reconstruction and where it lies. */
interface Reconstruction {
  readonly image: ComplexImage;
  readonly originYxPx: readonly [number, number];
  /** 1 where patches lie. */
  readonly covered: ComplexImage;
}

/**
 * Cuts the reconstruction of a scan into one patch a pattern, at the patterns' own positions, and writes the scan with them as `label`.
 * Patterns whose patch reaches beyond what was reconstructed are left out: zeros are no labels. Where the scan has an object, the mean
 * phase of the patches is made equal to its own, because training measures phases from there; `objectGuess` itself stays as it is.
 *
 * @param input NPZ scan
 * @throws PtychoError CONFIG_INVALID (output is input), DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE where no patch is covered,
 * and those of `openDataset` and `writeScan`
 */
export async function labelWorkflow(
  input: string,
  config: LabelConfig,
  services: WorkflowServices = {},
): Promise<LabelSummary> {
  const logger = services.logger ?? silentLogger;
  await refuseToOverwrite(input, config.output_file, 'output_file');
  const reconstruction = await readReconstruction(config.reconstruction);
  const raw = await openSurveyed(input, { logger });
  try {
    const rows = coveredRows(raw, reconstruction);
    if (rows.length === 0) {
      throw new PtychoError(
        'DATASET_VALUE',
        `${config.reconstruction} covers no whole patch of ${input}; is it the reconstruction of this scan, in its pixels?`,
        { path: config.reconstruction },
      );
    }
    const phase = raw.objectGuess ? phaseBetween(raw, rows, reconstruction, raw.objectGuess) : 0;
    const extra = raw.format === 'npz' ? await readExtraArrays(input) : undefined;
    for (const note of extra?.notes ?? []) logger.warn(note);
    await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
    await writeScan(
      config.output_file,
      { ...raw, labels: labelsOf(raw, reconstruction, phase) },
      {
        rows,
        extra: extra?.of(Int32Array.from(rows, (row) => raw.sampleIndices[row])),
        signal: services.signal,
        onPatterns: (done) => services.onProgress?.({ stage: 'writing', done, total: rows.length, unit: 'patterns' }),
        transformation: {
          tool: `${createdBy.package} label`,
          operation: 'label',
          parameters: {
            reconstruction: config.reconstruction,
            phase_subtracted_rad: phase,
            version: createdBy.version,
          },
        },
      },
    );
    return { path: config.output_file, count: rows.length, leftOut: raw.count - rows.length, phase };
  } finally {
    await raw.close();
  }
}

async function readReconstruction(file: string): Promise<Reconstruction> {
  const npz = await openNpz(file);
  try {
    if (!npz.has('reconstructed_object')) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${file} holds no reconstructed_object; give the reconstruction.npz that infer or solve wrote.`,
        { path: file, key: 'reconstructed_object' },
      );
    }
    const image = expectComplex64(await npz.read('reconstructed_object'), npz.origin('reconstructed_object'));
    if (image.shape.length !== 2) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `reconstructed_object of ${file} has shape ${formatShape(image.shape)}, but an image must have rows and columns.`,
        { path: file, key: 'reconstructed_object', found: image.shape },
      );
    }
    const origin = npz.has('frame_origin_yx_px') ? (await npz.readReal('frame_origin_yx_px')).data : [0, 0];
    const overlap = npz.has('overlap_count') ? (await npz.readReal('overlap_count')).data : undefined;
    const covered = Float32Array.from(image.re, (re, i) => {
      const lies = overlap ? overlap[i] > 0 : re !== 0 || image.im[i] !== 0;
      return lies && Number.isFinite(re) && Number.isFinite(image.im[i]) ? 1 : 0;
    });
    return {
      image,
      originYxPx: [origin[0], origin[1]],
      covered: { re: covered, im: new Float32Array(covered.length), shape: image.shape },
    };
  } finally {
    await npz.close();
  }
}

/** Patterns whose whole patch is covered. */
function coveredRows(raw: RawData, { covered, originYxPx }: Reconstruction): Int32Array {
  const [top, left] = originYxPx;
  const rows = Array.from({ length: raw.count }, (_, i) => i);
  return Int32Array.from(
    rows.filter((i) =>
      extractPatch(covered, raw.ycoords[i] - top, raw.xcoords[i] - left, raw.N).re.every((w) => w > 0.999),
    ),
  );
}

function labelsOf(raw: RawData, { image, originYxPx }: Reconstruction, phase: number): StoredPatches {
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
      return {
        re: re.map((v, i) => v * cos - im[i] * sin),
        im: im.map((v, i) => v * cos + re[i] * sin),
        shape,
      };
    },
  };
}

/** arg Σ reconstruction·conj(object) over patches spread over the scan. */
function phaseBetween(
  raw: RawData,
  rows: Int32Array,
  { image, originYxPx }: Reconstruction,
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
