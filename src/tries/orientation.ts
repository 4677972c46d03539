/** Which way the positions lie, where the patterns clearly say so. */
import { isPtychoError, PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { type AxisOrientation, ORIENTATIONS, orientationFlags, orientPositions } from '../data/opening/orientation.js';
import { findOrientation, type OrientationScore, type OrientationSearch } from '../data/orient/orient.js';
import type { RawData } from '../data/rawData.js';

/** A short look: the orientations are apart after the second pass (docs/data-tools.md). */
const GLANCE = { fields: 1, passes: 2 };

/** What was made of the positions. */
export interface OrientedScan {
  readonly raw: RawData;
  /** What turned the positions, ready to paste; undefined where they were left as they are. */
  readonly flags?: string;
  /** Sentences for the user: what was turned, or what may be wrong. */
  readonly notes: readonly string[];
}

/**
 * Turns the positions of a scan if another orientation explains its patterns clearly better. Where two orientations that are
 * reflections of each other at a point are equally good and both clearly better than that of the file, the better one is taken.
 * @param raw with a probe
 * @throws PtychoError CANCELLED, those of reading
 */
export async function orientScan(raw: RawData, services: Services = {}): Promise<OrientedScan> {
  try {
    const glance = await findOrientation(raw, { ...services, ...GLANCE });
    if (glance.verdict !== 'undecided' && glance.flags === '') return { raw, notes: [] };
    return turn(raw, await findOrientation(raw, services));
  } catch (error) {
    // Too few patterns, or positions that solvers will refuse with a better sentence.
    if (isPtychoError(error, 'DATASET_SHAPE') || isPtychoError(error, 'DATASET_UNITS')) return { raw, notes: [] };
    throw error;
  }
}

function turn(raw: RawData, search: OrientationSearch): OrientedScan {
  const [best, second] = search.ranking;
  const named = best.flags.trim();
  if (named === '') return { raw, notes: [] };
  const better = (score: OrientationScore) => `R ${score.rFactor.toPrecision(3)}`;
  const own = search.ranking.find((score) => score.flags === '') as OrientationScore;
  const figures = `${better(best)} against ${better(own)} of the file's own on ${search.sample.count} patterns`;
  if (search.verdict === 'clear') {
    const note = `The positions were turned by ${named}: ${figures}.`;
    return { raw: turned(raw, best.orientation), flags: named, notes: [note] };
  }
  const reflected = isReflectionOf(best, second) && search.ranking.slice(2).every(isFarBehind);
  if (reflected) {
    const note = `The positions were turned by ${named}: ${figures}. Turned by ${second.flags} they explain the patterns as well, so that the image may be turned by 180° and its phase reversed; a landmark or a better probe (--probe) decides.`;
    return { raw: turned(raw, best.orientation), flags: named, notes: [note] };
  }
  const doubt = `The positions may lie another way (${named}: ${figures}), but that is not clear, so they were left as they are; "ptychopinn orient" shows the pictures.`;
  return { raw, notes: search.verdict === 'likely' ? [doubt] : [] };
}

const isReflectionOf = ({ orientation: a }: OrientationScore, { orientation: b }: OrientationScore): boolean =>
  a.flip_x !== b.flip_x && a.flip_y !== b.flip_y && a.swap_xy === b.swap_xy;

/** As far as `clear` asks for. */
const isFarBehind = ({ behind, standardErrors }: OrientationScore): boolean => behind >= 0.05 && standardErrors >= 6;

function turned(raw: RawData, by: AxisOrientation): RawData {
  const { xs, ys } = orientPositions(by, raw.xcoords, raw.ycoords);
  const places = (x?: Float64Array, y?: Float64Array) => (x && y ? orientPositions(by, x, y) : undefined);
  const [start, end] = [places(raw.xcoordsStart, raw.ycoordsStart), places(raw.xcoordsEnd, raw.ycoordsEnd)];
  const ways = { xcoordsStart: start?.xs, ycoordsStart: start?.ys, xcoordsEnd: end?.xs, ycoordsEnd: end?.ys };
  return {
    ...raw,
    ...ways,
    xcoords: xs,
    ycoords: ys,
    orientation: { ...raw.orientation, ...combined(raw.orientation, by) },
  };
}

/** The one orientation that does what two do, one after the other. */
export function combined(first: AxisOrientation, second: AxisOrientation): AxisOrientation {
  const place = (by: AxisOrientation, x: number, y: number) => {
    const { xs, ys } = orientPositions(by, Float64Array.of(x), Float64Array.of(y));
    return [xs[0], ys[0]] as const;
  };
  const wanted = place(second, ...place(first, 1, 2));
  return ORIENTATIONS.find((one) => place(one, 1, 2).every((v, i) => v === wanted[i])) as AxisOrientation;
}

/**
 * Turns positions as an earlier run did.
 * @param flags as {@link OrientedScan} has them
 * @throws PtychoError CHECKPOINT_INVALID for others
 */
export function turnBy(raw: RawData, flags: string | undefined): OrientedScan {
  if (flags === undefined) return { raw, notes: [] };
  const by = ORIENTATIONS.find((one) => orientationFlags(one) === flags);
  if (by) return { raw: turned(raw, by), flags, notes: [] };
  throw new PtychoError(
    'CHECKPOINT_INVALID',
    `The state says that positions were turned by ${JSON.stringify(flags)}, but no orientation is called so; start again without --resume.`,
    { found: flags },
  );
}
