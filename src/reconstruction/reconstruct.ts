/**
 * From groups to one image, in memory that depends on the image only: batches of groups are predicted and every member's
 * patch is stitched at its own position, while the engine works on the next batch and the one after it is read.
 *
 * @example
 * for await (const { stitched, patterns, total } of streamDataset({ …, every: { seconds: 2 } })) {
 *   console.log(`${patterns} of ${total}, ${stitched.coverage * 100} % of the frame`);
 * }
 */
import type { Backend } from '../backends/backend.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { inOrder } from '../core/inOrder.js';
import type { ProgressSink } from '../core/log.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import type { PtychoNetwork } from '../model/network.js';
import type { PartScales } from '../physics/varpro.js';
import { feedOf, type PatternBatch, type PatternFeed } from './feed.js';
import { LiveScan } from './liveScan.js';
import { scaleParts } from './matching/varpro.js';
import type { StitchedImage } from './patchStitcher.js';
import { Predictor } from './predictor.js';
import { patchFitOf, Stitching, type StitchingOptions } from './stitching.js';

export type { PatternBatch } from './feed.js';
export { LiveScan, type LiveScanOptions, liveScanFor, type PushedPatterns } from './liveScan.js';
export type { PatchPlacement } from './stitching.js';

/** What a reconstruction is made of, and how. */
export interface ReconstructOptions extends StitchingOptions {
  readonly network: Pick<PtychoNetwork, 'spec' | 'predict'>;
  readonly weights: Readonly<Record<string, Tensor>>;
  readonly backend: Backend;
  /** A scan that is complete, or one in progress. */
  readonly dataset: DiffractionDataset | LiveScan;
  /** Groups in one prediction. */
  readonly batch_size: number;
  /** Batches read ahead of the engine; 2 where not given. */
  readonly prefetch?: number;
  /** Ends the work; what is done by then is the last preview. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Sees the patches [B, C, N, N] of every batch before they are stitched; valid only during the call. */
  readonly onPatches?: (patches: ComplexTensor, batch: PatternBatch, index: number) => void;
  /** Real and imaginary parts of the patches are multiplied by these. */
  readonly partScales?: PartScales;
}

/** When {@link streamDataset} shows what it has; whichever comes first. */
export interface PreviewInterval {
  readonly patterns?: number;
  readonly seconds?: number;
  /** The first preview as soon as there are so many patterns, for who waits for a picture. */
  readonly first?: number;
}

/** Wall-clock seconds spent waiting for each stage; reading and stitching overlap with prediction. */
export interface ReconstructTimes {
  read: number;
  predict: number;
  stitch: number;
}

/** A finished reconstruction. */
export interface Reconstruction {
  readonly stitched: StitchedImage;
  /** Patches in it: groups times members. */
  readonly patterns: number;
  /** Patterns that are in no group, so that no patch was made of them; only scans in progress have such. */
  readonly unused: number;
  /** How far the phases of the patches were apart before they were aligned, rms; undefined where they were not. */
  readonly phaseSpreadRad?: number;
  /** Phases were to be aligned, but the disk had no room for the patches. */
  readonly unaligned?: boolean;
  /** What the parts of the patches were multiplied by (`varpro_scaling`), where that was asked for. */
  readonly partScales?: PartScales;
  /** Ended by the signal: the image is of the patterns until then. */
  readonly cancelled: boolean;
  readonly times: ReconstructTimes;
  readonly seconds: number;
}

/** The image so far; keeps its values, later ones are new. */
export interface Preview extends Reconstruction {
  /** Patches that there will be; of a scan in progress, those that have come. */
  readonly total: number;
  /** Patterns per second since the start. */
  readonly rate: number;
  /** The last one: everything is in it, or it was cancelled. */
  readonly final: boolean;
}

/** Batches with the engine at a time: one that it works on and one that waits, so that it never does. */
const WITH_ENGINE = 2;

/**
 * Reconstructs the object from every group of a data set or live scan, and shows the image as it grows; the last preview
 * is the result. Work goes on while the next preview is awaited; leaving the loop ends it.
 *
 * A cancelled reconstruction ends with a preview of what was done (`cancelled` is true), or throws where nothing was.
 * @throws PtychoError CANCELLED before the first patch, DATASET_SHAPE for a scan of no patterns, ENGINE_FAILURE for a last image that is
 * not finite, and those of engine and data
 */
export async function* streamDataset(
  options: ReconstructOptions & { readonly every?: PreviewInterval },
): AsyncGenerator<Preview, void, void> {
  const { signal, every = {}, dataset } = options;
  const feed = feedFor(dataset);
  const stitching = new Stitching(options, feed);
  const predictor = predictorOf(options);
  const started = performance.now();
  const times: ReconstructTimes = { read: 0, predict: 0, stitch: 0 };
  const elapsed = () => (performance.now() - started) / 1000;
  const shot = async (final: boolean) => {
    const t = performance.now();
    const image = final ? await stitching.finalImage(signal) : { stitched: stitching.image() };
    times.stitch += (performance.now() - t) / 1000;
    return image;
  };
  const preview = async (final: boolean): Promise<Preview> => ({
    ...(await shot(final)),
    patterns: stitching.patterns,
    unused: feed.unused,
    unaligned: stitching.unaligned,
    partScales: options.partScales,
    cancelled: signal?.aborted === true,
    times: { ...times },
    seconds: elapsed(),
    total: feed.total,
    rate: stitching.patterns / elapsed(),
    final,
  });
  let shown = { patterns: 0, seconds: 0 };
  try {
    for await (const patterns of stitched(stitching, feed, predictor, options, times)) {
      const due = patterns - shown.patterns >= (every.patterns ?? Number.POSITIVE_INFINITY);
      const late = elapsed() - shown.seconds >= (every.seconds ?? Number.POSITIVE_INFINITY);
      const first = shown.patterns === 0 && patterns >= (every.first ?? Number.POSITIVE_INFINITY);
      if ((due || late || first) && (patterns < feed.total || dataset instanceof LiveScan)) {
        yield await preview(false);
        shown = { patterns, seconds: elapsed() };
      }
    }
    if (stitching.patterns === 0) throw nothing(signal, feed);
    yield await preview(true);
  } finally {
    stitching.dispose();
    await predictor.dispose();
  }
}

/**
 * Reconstructs the object from every group of a data set, or from a live scan until it is closed.
 * @throws PtychoError as {@link streamDataset}
 */
export async function reconstructDataset(options: ReconstructOptions): Promise<Reconstruction> {
  let last: Preview | undefined;
  for await (const preview of streamDataset(options)) last = preview;
  // The stream throws where it has nothing to show.
  return last as Preview;
}

/** Predicts the feed and lays it down, batch after batch. Yields the patterns that are done. */
async function* stitched(
  stitching: Stitching,
  feed: PatternFeed,
  predictor: Predictor,
  options: ReconstructOptions,
  times: ReconstructTimes,
): AsyncGenerator<number, void, void> {
  const fit = patchFitOf(options);
  let batches = 0;
  for await (const { batch, patches } of predicted(feed, predictor, options, times)) {
    const t = performance.now();
    if (options.partScales) scaleParts(patches, options.partScales);
    fit?.improve(patches, batch.diffraction);
    options.onPatches?.(patches, batch, batches++);
    stitching.add(patches, batch);
    times.stitch += (performance.now() - t) / 1000;
    const { patterns } = stitching;
    options.onProgress?.({ stage: 'reconstructing', done: patterns, total: feed.total, unit: 'patterns' });
    yield patterns;
  }
}

/** What is made of the feed, batch after batch, while the next ones are read and predicted. */
function predicted(feed: PatternFeed, predictor: Predictor, options: ReconstructOptions, times: ReconstructTimes) {
  return inOrder(feed.batches(options.batch_size), {
    readAhead: feed.readAhead ?? options.prefetch ?? 2,
    width: WITH_ENGINE * predictor.engines,
    signal: options.signal,
    times,
    work: async (batch: PatternBatch) => ({
      batch,
      patches: await predictor.patches(batch.diffraction, batch.positions),
    }),
  });
}

const predictorOf = ({ network, weights, backend, batch_size, dataset }: ReconstructOptions) =>
  new Predictor(network, weights, backend, Math.min(batch_size, groupsOf(dataset)));

/**
 * Predicts every group of a data set for an image that is made elsewhere, of this and other parts.
 * @param take is given what {@link Stitching.part} answers, which is gone afterwards
 * @returns what `take` came to, and the seconds of the stages
 * @throws PtychoError CANCELLED, and those of engine and data
 */
export async function predictPart<T>(
  options: ReconstructOptions & { readonly dataset: DiffractionDataset },
  take: (part: ReturnType<Stitching['part']>, times: ReconstructTimes) => Promise<T>,
): Promise<{ readonly taken: T; readonly times: ReconstructTimes }> {
  const feed = feedFor(options.dataset);
  const stitching = new Stitching(options, feed);
  const predictor = predictorOf(options);
  const times: ReconstructTimes = { read: 0, predict: 0, stitch: 0 };
  try {
    for await (const _ of stitched(stitching, feed, predictor, options, times));
    if (stitching.patterns < feed.total) throwIfCancelled(options.signal, 'The reconstruction');
    if (stitching.unaligned) {
      throw new PtychoError(
        'OUTPUT_UNWRITABLE',
        'The folder for temporary files has no room for the patches of this part; free some, set TMPDIR to another disk, or make more parts.',
        {},
      );
    }
    return { taken: await take(stitching.part(), times), times };
  } finally {
    stitching.dispose();
    await predictor.dispose();
  }
}

function feedFor(dataset: DiffractionDataset | LiveScan): PatternFeed {
  if (dataset instanceof LiveScan) return dataset;
  const { coordsNn } = dataset.groups;
  const axis = (a: number) => Float64Array.from({ length: coordsNn.length / 2 }, (_, i) => coordsNn[2 * i + a]);
  return feedOf(dataset, axis(0), axis(1));
}

/** A scan smaller than a batch needs no program for a full one. */
const groupsOf = (dataset: DiffractionDataset | LiveScan) =>
  dataset instanceof LiveScan ? Number.POSITIVE_INFINITY : dataset.size;

function nothing(signal: AbortSignal | undefined, feed: PatternFeed): PtychoError {
  if (signal?.aborted) return new PtychoError('CANCELLED', 'The reconstruction was cancelled.', {});
  return new PtychoError(
    'DATASET_SHAPE',
    feed.unused > 0
      ? `None of the ${feed.unused} patterns has the ${feed.C - 1} neighbours that a group of the model needs; use a model of gridsize 1, or check that positions are in object pixels.`
      : 'The scan was closed before any pattern came: there is nothing to reconstruct.',
    { unused: feed.unused },
  );
}
