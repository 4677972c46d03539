/**
 * `reconstruct(model, data)`: a scan and a model in, an image out. No files.
 *
 * @example
 * const { stitched } = await reconstruct(model, 'scan.npz', { refine_positions: 5 });
 * const { solver } = await reconstruct(model, 'scan.npz', { refine: 'lsqml:20' }); // stitched is then what the solver made of it
 * for await (const preview of reconstructStream(model, 'scan.npz', { every: { seconds: 1 } })) show(preview.stitched);
 */
import {
  type ImageOptions,
  type ReconstructedScan,
  type ReconstructInput,
  type RefineOptions,
  reconstructWith,
} from '../reconstruction/pipeline.js';
import type { PtychoModel } from '../reconstruction/ptychoModel.js';
import { type RefinedImage, refineImage } from '../solvers/refineImage.js';

/**
 * Reconstructs a scan.
 * @param options `refine_positions`: rounds of fitting the positions to the image, with `position_step_limit_px`; `refine`: a solver
 * that goes on from there, `algorithm:epochs`
 * @throws PtychoError for anything wrong with options, scan or engine; CANCELLED before the first patch
 */
export function reconstruct(
  model: PtychoModel,
  data: ReconstructInput,
  options: ImageOptions & RefineOptions = {},
): Promise<ReconstructedScan<RefinedImage>> {
  return reconstructWith(model, data, options, refineImage);
}
