/** Fits the scan positions to the image of a reconstruction, and lays its patches anew. */
import type { Backend } from '../../backends/backend.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { cropStart } from '../../reconstruction/crop.js';
import { scanBounds } from '../../reconstruction/frame.js';
import { alignPatches } from '../../reconstruction/patchPhases.js';
import { PatchStitcher, type StitchedImage } from '../../reconstruction/stitch.js';
import { type ReconstructOptions, reconstruct } from '../reconstruct.js';
import { atPositions, type RefinedPositions, refinePositions } from '../refinePositions.js';
import type { PreparedScan } from '../scan.js';
import { probeWeights } from './placement.js';

/** Patches are kept between rounds up to this size; beyond it they are predicted anew. */
const KEPT_BYTES = 2 ** 28;

/**
 * The central M×M of every patch. At gridsize 1 patches do not depend on positions, so that moving them needs no network.
 */
export class KeptPatches {
  readonly #re: Float32Array;
  readonly #im: Float32Array;
  #count = 0;

  private constructor(
    readonly cropSide: number,
    patches: number,
  ) {
    this.#re = new Float32Array(patches * cropSide ** 2);
    this.#im = new Float32Array(patches * cropSide ** 2);
  }

  /** Room for the patches of a scan, where that is any use and not too much. */
  static for({ groups }: Pick<PreparedScan, 'groups'>, cropSide: number): KeptPatches | undefined {
    const fits = groups.C === 1 && groups.count * cropSide ** 2 * 8 <= KEPT_BYTES;
    return fits ? new KeptPatches(cropSide, groups.count) : undefined;
  }

  /** Keeps the patches of a batch; for `onPatches` of a reconstruction. */
  see({ re, im, shape }: ComplexTensor): void {
    const [side, M] = [shape[shape.length - 1], this.cropSide];
    const skip = cropStart(side, M);
    for (let from = skip * side + skip; from < re.length; from += side * side, this.#count++) {
      for (let r = 0; r < M; r++) {
        const to = (this.#count * M + r) * M;
        this.#re.set(re.subarray(from + r * side, from + r * side + M), to);
        this.#im.set(im.subarray(from + r * side, from + r * side + M), to);
      }
    }
  }

  /** All patches with their pixel N/2 at (xs, ys). */
  stitch(xs: Float64Array, ys: Float64Array, options: ReconstructOptions): StitchedImage {
    const { network, patch_weighting, probe, stitching: rule, uncertainty } = options;
    const patchWeights = patch_weighting === 'probe' ? probeWeights(probe ?? network.spec.scale.probe) : undefined;
    const stitcher = new PatchStitcher(scanBounds(xs, ys), this.cropSide, { rule, patchWeights, uncertainty });
    const { re, im } = options.align_phases
      ? alignPatches(this.#re, this.#im, this.#count, this.cropSide, xs, ys, patchWeights)
      : { re: this.#re, im: this.#im };
    stitcher.add(re, im, this.#count, this.cropSide, xs, ys);
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
    const { stitched } = await reconstruct({ ...options, network, dataset: moved, onPatches: undefined, onProgress: undefined }); // biome-ignore format: one call
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
