/** What holds refined positions in place: a limit on their distance from the measured ones, and no common drift. */

/** How far positions may go. */
export interface PositionGauge {
  /** Largest distance from the measured position; null: none. */
  readonly limit_px: number | null;
  /** Remove the mean shift: the object moves along with all positions, so no pattern knows it. */
  readonly removeDrift?: boolean;
}

/** Both conditions hold at once after so many turns at the latest, to within rounding. */
const MOST_TURNS = 50;
const NEGLIGIBLE_PX = 1e-6;

/**
 * Brings shifts from the measured positions back to where they may be, in place.
 * @param shifts (n, 2) as x, y
 * @param indices the patterns that are meant; others keep theirs
 */
export function keepNearMeasured(
  shifts: Float32Array | Float64Array,
  indices: Iterable<number>,
  { limit_px, removeDrift = false }: PositionGauge,
): void {
  const moved = [...indices];
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const drift = removeDrift ? removeMean(shifts, moved) : 0;
    if (limit_px === null) return;
    // Shortening moves the mean again, a little less each time: projections onto two convex sets in turn.
    const shortened = shorten(shifts, moved, limit_px);
    if (!shortened || !removeDrift || (turn > 0 && drift < NEGLIGIBLE_PX)) return;
  }
}

/** Returns how far the mean was off. */
function removeMean(shifts: Float32Array | Float64Array, indices: readonly number[]): number {
  let [x, y] = [0, 0];
  for (const m of indices) {
    x += shifts[2 * m] / indices.length;
    y += shifts[2 * m + 1] / indices.length;
  }
  for (const m of indices) {
    shifts[2 * m] -= x;
    shifts[2 * m + 1] -= y;
  }
  return Math.hypot(x, y);
}

function shorten(shifts: Float32Array | Float64Array, indices: readonly number[], limit: number): boolean {
  let shortened = false;
  for (const m of indices) {
    const length = Math.hypot(shifts[2 * m], shifts[2 * m + 1]);
    if (length <= limit) continue;
    shifts[2 * m] *= limit / length;
    shifts[2 * m + 1] *= limit / length;
    shortened = true;
  }
  return shortened;
}
