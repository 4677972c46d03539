/**
 * Which sides patterns may have, and what to do about others.
 *
 * @example
 * isNetworkSide(96); // true
 * publishedSide(96); // 64, whose ladder of filters a network of 96 has
 * networkSideRemedy(100); // 'cut them with crop_px (--crop_px 96), or surround them with empty pixels by pad_to (--pad_to 112)'
 */

/** Networks take multiples of 16 between these. */
export const LEAST_NETWORK_SIDE = 16;
export const LARGEST_NETWORK_SIDE = 512;
/** What {@link isNetworkSide} takes, in words. */
export const NETWORK_SIDES = 'a multiple of 16 from 16 to 512';
const STEP = 16;

/** The sides of the published networks. */
export type PublishedSide = 64 | 128 | 256;

/** Whether there is a network for patterns of this side. */
export const isNetworkSide = (side: number): boolean =>
  side % STEP === 0 && side >= LEAST_NETWORK_SIDE && side <= LARGEST_NETWORK_SIDE;

/** The published side whose ladder of filters a network has: the next smaller one, below 64 that of 64. */
export const publishedSide = (side: number): PublishedSide => (side >= 256 ? 256 : side >= 128 ? 128 : 64);

/** How patterns come to the nearest sides that networks take. */
export function networkSideRemedy(side: number): string {
  const below = Math.min(LARGEST_NETWORK_SIDE, STEP * Math.floor(side / STEP));
  const above = Math.max(LEAST_NETWORK_SIDE, STEP * Math.ceil(side / STEP));
  const bin = Math.ceil(side / LARGEST_NETWORK_SIDE);
  return remedy([
    below >= LEAST_NETWORK_SIDE && cut(below),
    above <= LARGEST_NETWORK_SIDE && surround(above),
    bin > 1 && isNetworkSide(side / bin) && `add up their pixels with rebin (--rebin ${bin})`,
  ]);
}

/** How patterns of an odd side come to the nearest even ones, no smaller than 4. */
export const evenSideRemedy = (side: number): string =>
  remedy([side > 4 && cut(side - 1), surround(Math.max(4, side + 1))]);

/** How patterns of one side come to another. */
export const sideRemedy = (side: number, wanted: number): string =>
  remedy([side > wanted ? cut(wanted) : surround(wanted)]);

const cut = (side: number): string => `cut them with crop_px (--crop_px ${side})`;
const surround = (side: number): string => `surround them with empty pixels by pad_to (--pad_to ${side})`;
const remedy = (ways: readonly (string | false)[]): string => ways.filter((way) => way !== false).join(', or ');
