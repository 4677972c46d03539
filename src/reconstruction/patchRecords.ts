/**
 * What is written down of patches on their way to an image: a dump to look into, and statistics of every batch in
 * `logs/patch_stats.csv`, which tell whether a network paints something, or the same grey square everywhere. Training and
 * inference write the same file.
 *
 * @example
 * const stats = await PatchStatsLog.open('run', { limit: 10 });
 * stats.add({ epoch: 1, batch: 0 }, { re: object_real.data, im: object_imag.data, shape: [16, 1, 64, 64] });
 * await stats.flush(); // at the end of every epoch; what is not flushed is not written
 */
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { type ComplexTensor, formatShape } from '../core/tensor.js';
import type { Groups } from '../data/grouping/grouping.js';
import { writeNpz } from '../formats/npz.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { encodeCsv } from '../formats/textTable.js';
import type { PatternBatch } from './feed.js';
import type { StitchedImage } from './patchStitcher.js';

/** What is measured on the patches of one batch; amplitude in the object's units, phase in radians. */
export interface PatchStatistics {
  readonly patches: number;
  readonly amplitude_mean: number;
  /** Over all pixels of all patches. */
  readonly amplitude_std: number;
  readonly amplitude_min: number;
  readonly amplitude_max: number;
  /** Mean over the patches of the standard deviation within each: 0 where patches are flat. */
  readonly amplitude_std_within: number;
  /** Standard deviation of the patches' means: 0 where all patches are alike. */
  readonly amplitude_std_between: number;
  /** Direction of the sum of e^{iφ}, radians, and the circular standard deviation about it. */
  readonly phase_mean: number;
  readonly phase_std: number;
  /** Mean amplitude of the outermost eighth on every side over that of the rest. */
  readonly border_ratio: number;
}

/** The file below the output folder. */
export const PATCH_STATS_FILE = path.join('logs', 'patch_stats.csv');

/** Columns of `patch_stats.csv`, in order. */
const COLUMNS = [
  'patches',
  'amplitude_mean',
  'amplitude_std',
  'amplitude_min',
  'amplitude_max',
  'amplitude_std_within',
  'amplitude_std_between',
  'phase_mean',
  'phase_std',
  'border_ratio',
] as const satisfies readonly (keyof PatchStatistics)[];

/**
 * Measures patches (…, N, N).
 * @throws PtychoError DATASET_SHAPE for arrays without patches
 */
export function patchStatistics({ re, im, shape }: ComplexTensor): PatchStatistics {
  const [rows, columns] = shape.slice(-2);
  const area = rows * columns;
  const patches = re.length / area;
  if (!(patches >= 1 && Number.isInteger(patches))) {
    throw new PtychoError('DATASET_SHAPE', `Patches must have shape (…, N, N), found ${formatShape(shape)}.`, {
      found: shape,
    });
  }
  const rim = Math.max(1, Math.floor(rows / 8));
  let [sum, squares, min, max, cos, sin] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  let [within, means, meanSquares, border, borderPixels] = [0, 0, 0, 0, 0];
  for (let p = 0; p < patches; p++) {
    let [own, ownSquares] = [0, 0];
    for (let r = 0, i = p * area; r < rows; r++) {
      const edgeRow = r < rim || r >= rows - rim;
      for (let c = 0; c < columns; c++, i++) {
        const amplitude = Math.hypot(re[i], im[i]);
        own += amplitude;
        ownSquares += amplitude * amplitude;
        if (amplitude < min) min = amplitude;
        if (amplitude > max) max = amplitude;
        if (amplitude > 0) {
          cos += re[i] / amplitude;
          sin += im[i] / amplitude;
        }
        if (edgeRow || c < rim || c >= columns - rim) {
          border += amplitude;
          borderPixels++;
        }
      }
    }
    const mean = own / area;
    within += deviation(ownSquares / area, mean);
    means += mean;
    meanSquares += mean * mean;
    sum += own;
    squares += ownSquares;
  }
  const pixels = patches * area;
  const resultant = Math.min(1, Math.hypot(cos, sin) / pixels);
  return {
    patches,
    amplitude_mean: sum / pixels,
    amplitude_std: deviation(squares / pixels, sum / pixels),
    amplitude_min: min,
    amplitude_max: max,
    amplitude_std_within: within / patches,
    amplitude_std_between: deviation(meanSquares / patches, means / patches),
    phase_mean: Math.atan2(sin, cos),
    phase_std: Math.sqrt(-2 * Math.log(Math.max(resultant, Number.MIN_VALUE))),
    border_ratio: border / borderPixels / ((sum - border) / (pixels - borderPixels)),
  };
}

const deviation = (meanSquare: number, mean: number) => Math.sqrt(Math.max(0, meanSquare - mean * mean));

/** Which batch a row is about; inference has no epochs. */
export interface PatchStatsPlace {
  readonly epoch?: number;
  readonly batch: number;
}

/** Options of {@link PatchStatsLog.open}. */
export interface PatchStatsOptions {
  /** At most so many batches of an epoch (or of an inference); null: all (`patch_stats_limit`). */
  readonly limit: number | null;
  /** A resumed run: rows up to this epoch stay in the file, later ones are written anew. Without it the file starts empty. */
  readonly keepEpochs?: number;
}

/** Collects rows and writes them to `<outputDir>/logs/patch_stats.csv`. */
export class PatchStatsLog {
  readonly #taken = new Map<number | undefined, number>();

  private constructor(
    readonly file: string,
    private readonly limit: number,
    private readonly lines: string[],
  ) {}

  /** @throws PtychoError OUTPUT_UNWRITABLE where the folder cannot be made */
  static async open(outputDir: string, options: PatchStatsOptions): Promise<PatchStatsLog> {
    const file = path.join(outputDir, PATCH_STATS_FILE);
    await makeOutputFolder(path.dirname(file));
    const { keepEpochs } = options;
    const kept = keepEpochs === undefined ? [] : await linesUpTo(file, keepEpochs);
    return new PatchStatsLog(file, options.limit ?? Number.POSITIVE_INFINITY, kept);
  }

  /** True while {@link add} would take another batch of this epoch: ask before making patches for this file alone. */
  wants(epoch?: number): boolean {
    return (this.#taken.get(epoch) ?? 0) < this.limit;
  }

  /** Measures a batch of patches (…, N, N); batches beyond the limit are left out. */
  add(place: PatchStatsPlace, patches: ComplexTensor): void {
    if (!this.wants(place.epoch)) return;
    this.#taken.set(place.epoch, (this.#taken.get(place.epoch) ?? 0) + 1);
    const measured = patchStatistics(patches);
    this.lines.push(encodeCsv([[place.epoch, place.batch, ...COLUMNS.map((column) => measured[column])]]).trimEnd());
  }

  /** Writes the file, whole. */
  flush(): Promise<void> {
    return writeAtomically(this.file, `${['epoch,batch', ...COLUMNS].join(',')}\n${this.lines.join('\n')}\n`);
  }
}

async function linesUpTo(file: string, epoch: number): Promise<string[]> {
  const text = await readTextInput(file, { maxBytes: TABLE_BYTES }).catch(() => '');
  return text
    .split('\n')
    .slice(1)
    .filter((line) => line !== '' && Number(line.split(',')[0]) <= epoch);
}

/** What a dump writes. */
export const DUMP_FILES = ['groups.npz', 'patches.npz', 'canvases.npz'] as const;

/** Patches kept by a dump, at most: whole batches would make it as large as the scan. */
const PATCHES = 64;

/**
 * Collects and writes `groups.npz` (members, positions, centres, offsets), `patches.npz` (the first patches with what went in:
 * diffraction, offsets, members) and `canvases.npz` (image, weight, overlap count, frame).
 */
export class DebugDump {
  #first: { patches: ComplexTensor; batch: PatternBatch } | undefined;

  constructor(readonly folder: string) {}

  /** Keeps a copy of the first batch; for `onPatches` of a reconstruction. */
  see(patches: ComplexTensor, batch: PatternBatch): void {
    const [B, C, N] = patches.shape;
    const groups = Math.max(1, Math.min(B, Math.floor(PATCHES / C)));
    const cut = (data: Float32Array) => data.slice(0, (data.length / B) * groups);
    this.#first ??= {
      patches: { re: cut(patches.re), im: cut(patches.im), shape: [groups, C, N, N] },
      batch: {
        ...batch,
        diffraction: { data: cut(batch.diffraction.data), shape: [groups, C, N, N] },
        positions: { data: cut(batch.positions.data), shape: [groups, C, 1, 2] },
        members: batch.members.slice(0, groups * C),
      },
    };
  }

  /**
   * Writes the files.
   * @throws PtychoError OUTPUT_UNWRITABLE
   */
  async write(groups: Groups, stitched: StitchedImage): Promise<void> {
    await makeOutputFolder(this.folder);
    const { count, C } = groups;
    await writeNpz(path.join(this.folder, 'groups.npz'), {
      nn_indices: { data: groups.members, shape: [count, C] },
      coords_nn: { data: groups.coordsNn, shape: [count, C, 2] },
      coords_offsets: { data: groups.coordsOffsets, shape: [count, 2] },
      coords_relative: { data: groups.coordsRelative, shape: [count, C, 2] },
    });
    if (this.#first) {
      const { patches, batch } = this.#first;
      await writeNpz(path.join(this.folder, 'patches.npz'), {
        patches,
        input: batch.diffraction,
        input_positions: batch.positions,
        nn_indices: { data: batch.members, shape: patches.shape.slice(0, 2) },
      });
    }
    const { image, weight, overlapCount, frame, uncertainty } = stitched;
    await writeNpz(path.join(this.folder, 'canvases.npz'), {
      image,
      weight,
      overlap_count: overlapCount,
      frame_origin_yx_px: { data: Float64Array.from(frame.originYxPx), shape: [2] },
      ...(uncertainty && {
        amplitude_uncertainty: uncertainty.amplitude,
        phase_uncertainty: uncertainty.phase,
      }),
    });
  }
}
