/** How much of each patch is stitched where nobody says. */
import { meanNearestDistance } from '../data/grouping/neighbours.js';

/**
 * The side M of the central square of each patch that is stitched: N/2 where such squares of neighbours overlap by half or
 * more, else twice the mean distance to the nearest neighbour, at most N; all of the patch where there is only one. So sparse
 * scans, down to single shots, do not fall into islands smaller than what was measured.
 *
 * @param xs,ys positions in object pixels
 */
export function chooseCropSide(xs: Float64Array, ys: Float64Array, N: number): number {
  if (xs.length < 2) return N;
  const wanted = 2 * Math.ceil(meanNearestDistance(xs, ys));
  return Math.max(Math.floor(N / 2), Math.min(N, wanted));
}
