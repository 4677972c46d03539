/** Fits the scan positions to the image of a reconstruction, and lays its patches anew. */
import type { Backend } from '../../backends/backend.js';
import type { ComplexTensor } from '../../core/tensor.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import type { PatternBatch } from '../feed.js';
import { scanBounds } from '../frame.js';
import { layKept, noteKept } from '../layKept.js';
import { PatchPhases } from '../patchPhases.js';
import { PatchStore } from '../patchStore.js';
import { patchWeightsOf } from '../placement.js';
import { type ReconstructOptions, reconstructDataset } from '../reconstruct.js';
import { PatchStitcher, type StitchedImage } from '../stitch.js';
import { atPositions, type RefinedPositions, refinePositions } from './refinePositions.js';

/** Patches are kept between rounds up to this size; beyond it they are predicted anew. */
const KEPT_BYTES = 2 ** 28;

/**
 * The central M×M of every patch. At gridsize 1 patches do not depend on positions, so that moving them needs no network.
 */
export class KeptPatches {
  private constructor(private readonly store: PatchStore) {}

  /** Room for the patches of a scan, where that is any use and not too much. */
  static for({ groups }: Pick<PreparedScan, 'groups'>, cropSide: number): KeptPatches | undefined {
    const fits = groups.C === 1 && groups.count * cropSide ** 2 * 8 <= KEPT_BYTES;
    return fits ? new KeptPatches(new PatchStore(cropSide, groups.count, KEPT_BYTES)) : undefined;
  }

  /** Keeps the patches of a batch; for `onPatches` of a reconstruction. */
  see({ re, im, shape }: ComplexTensor, { xs, ys }: Pick<PatternBatch, 'xs' | 'ys'>): void {
    this.store.add(re, im, xs.length, shape[shape.length - 1], xs, ys);
  }

  /** All patches with their pixel N/2 at (xs, ys). */
  stitch(xs: Float64Array, ys: Float64Array, options: ReconstructOptions): StitchedImage {
    const { stitching: rule, uncertainty, align_phases } = options;
    const { cropSide } = this.store;
    const patchWeights = patchWeightsOf(options);
    const stitcher = new PatchStitcher(scanBounds(xs, ys), cropSide, { rule, patchWeights, uncertainty });
    let angles: Float64Array | undefined;
    if (align_phases) {
      const phases = new PatchPhases(cropSide, patchWeights);
      noteKept(this.store, phases, xs, ys);
      angles = phases.solve().angles;
    }
    layKept(this.store, stitcher, { angles, places: { xs, ys } });
    return stitcher.finish();
  }
}

/** What {@link refineReconstruction} takes besides the options of the reconstruction. */
export interface RefineRequest {
  readonly scan: PreparedScan;
  readonly backend: Backend;
  readonly options: ReconstructOptions;
  /** The network for groups within a canvas of this side. */
  readonly network: (canvasSide_px: number) => ReconstructOptions['network'];
  readonly rounds: number;
  readonly stepLimit_px: number | null;
  /** The image at the measured positions, and its patches where they were kept. */
  readonly stitched: StitchedImage;
  readonly kept: KeptPatches | undefined;
}

/**
 * Refines the positions of a scan.
 * @throws PtychoError as `refinePositions`
 */
export async function refineReconstruction(request: RefineRequest): Promise<RefinedPositions> {
  const { scan, options, kept, backend } = request;
  const { raw, dataset, groups } = scan;
  const stitch = async (xs: Float64Array, ys: Float64Array) => {
    if (kept) {
      const at = (v: Float64Array) => Float64Array.from(groups.members, (m) => v[m]);
      return kept.stitch(at(xs), at(ys), options);
    }
    const moved = atPositions(dataset, xs, ys);
    const side = Math.max(moved.canvasSide_px, options.network.spec.canvasSide_px);
    const network = side === options.network.spec.canvasSide_px ? options.network : request.network(side);
    const { stitched } = await reconstructDataset({ ...options, network, dataset: moved, onPatches: undefined, onProgress: undefined }); // biome-ignore format: one call
    return stitched;
  };
  return refinePositions({
    backend,
    patterns: dataset.patterns,
    xs: raw.xcoords,
    ys: raw.ycoords,
    probe: options.probe ?? options.network.spec.scale.probe,
    badPixels: raw.badPixels,
    gaussian_smoothing_sigma: options.network.spec.config.gaussian_smoothing_sigma,
    members: groups.members,
    rounds: request.rounds,
    stepLimit_px: request.stepLimit_px,
    batch_size: options.batch_size,
    stitched: request.stitched,
    stitch,
    signal: options.signal,
    onProgress: options.onProgress,
  });
}
