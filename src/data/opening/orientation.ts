/**
 * How the axes of the stage lie against those of the detector: two flips and an exchange, then a scale and a transposition. Beamlines
 * differ, files rarely say, and a wrong choice looks like noise; so there are options, applied once, in one order.
 *
 * @example
 * const { x, y } = orientCoordinates({ x: raw.xcoords, y: raw.ycoords }, { ...UPRIGHT, flip_y: true });
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

/** What was, or shall be, done to a scan; names as in the configuration. First the flips, second the exchange, then: */
export interface Orientation extends AxisOrientation {
  /** Third: multiply both coordinates by this. */
  readonly coord_scale: number;
  /** Fourth: exchange rows and columns of patterns and bad-pixel mask (not of probe and object). */
  readonly transpose: boolean;
}

/** As the file has it. */
export const UPRIGHT: Orientation = Object.freeze({
  flip_x: false,
  flip_y: false,
  swap_xy: false,
  coord_scale: 1,
  transpose: false,
});

/** Options with what they leave out. */
export function orientationOf(options: { readonly [K in keyof Orientation]?: Orientation[K] | null }): Orientation {
  return {
    flip_x: options.flip_x ?? false,
    flip_y: options.flip_y ?? false,
    swap_xy: options.swap_xy ?? false,
    coord_scale: options.coord_scale ?? 1,
    transpose: options.transpose ?? false,
  };
}

/** True when positions and patterns keep their axes (a scale does not count). */
export const keepsAxes = (o: Orientation): boolean => !(o.flip_x || o.flip_y || o.swap_xy || o.transpose);

/** The options that differ from the file's orientation, as they are written: `flip_x swap_xy coord_scale=2`. */
export function describeOrientation(o: Orientation): string {
  const words = (['flip_x', 'flip_y', 'swap_xy'] as const).filter((name) => o[name]) as string[];
  if (o.coord_scale !== 1) words.push(`coord_scale=${o.coord_scale}`);
  if (o.transpose) words.push('transpose');
  return words.join(' ');
}

/** Positions, x along columns and y along rows. */
export interface Coordinates {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Negates, exchanges and scales positions, in that order; new arrays. */
export function orientCoordinates({ x, y }: Coordinates, orientation: Orientation): Coordinates {
  const { xs, ys } = orientPositions(orientation, x, y);
  const scale = orientation.coord_scale;
  return scale === 1 ? { x: xs, y: ys } : { x: xs.map((v) => v * scale), y: ys.map((v) => v * scale) };
}
