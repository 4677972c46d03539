/**
 * The eight ways in which the axes of a scan's positions can lie relative to its patterns: two flips and an exchange.
 *
 * @example
 * const { xs, ys } = orientPositions({ flip_x: false, flip_y: true, swap_xy: true }, raw.xcoords, raw.ycoords);
 */

/** One orientation, as the configuration writes it: first the flips, then the exchange. */
export interface AxisOrientation {
  readonly flip_x: boolean;
  readonly flip_y: boolean;
  readonly swap_xy: boolean;
}

/** All eight, the one that changes nothing first. */
export const ORIENTATIONS: readonly AxisOrientation[] = [false, true].flatMap((swap_xy) =>
  [false, true].flatMap((flip_y) => [false, true].map((flip_x) => ({ flip_x, flip_y, swap_xy }))),
);

/** The flags that ask for an orientation, ready to paste: `--flip_y --swap_xy`; empty for the one that changes nothing. */
export function orientationFlags(orientation: AxisOrientation): string {
  return (['flip_x', 'flip_y', 'swap_xy'] as const)
    .filter((name) => orientation[name])
    .map((name) => `--${name}`)
    .join(' ');
}

/** Positions in an orientation: x negated, y negated, then both exchanged, as far as asked for. New arrays. */
export function orientPositions(
  { flip_x, flip_y, swap_xy }: AxisOrientation,
  xs: Float64Array,
  ys: Float64Array,
): { readonly xs: Float64Array; readonly ys: Float64Array } {
  // 0 − v, not −v: a zero keeps its sign.
  const x = flip_x ? xs.map((v) => 0 - v) : xs.slice();
  const y = flip_y ? ys.map((v) => 0 - v) : ys.slice();
  return swap_xy ? { xs: y, ys: x } : { xs: x, ys: y };
}
