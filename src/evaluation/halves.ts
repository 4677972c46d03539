/** Half data sets: how far an image can be trusted where there is no truth. */

import { PtychoError } from '../core/errors.js';
import { valuesAt } from '../core/numbers.js';
import { groupScan, groupsFromMembers } from '../data/grouping/grouping.js';
import { measureGroups } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { chooseCropSide, type Frame, intersectFrames, scanBounds } from '../reconstruction/frame.js';
import type { StitchedImage } from '../reconstruction/patchStitcher.js';
import { type ImageOptions, reconstructWith } from '../reconstruction/pipeline.js';
import type { PtychoModel } from '../reconstruction/ptychoModel.js';
import { alignComplex } from './align.js';
import { boundingBox } from './commonFrame.js';
import { allResolutions, curvesOf, taperedRingCorrelation } from './frc.js';
import { asComplex, cutImage, modulusOf } from './images.js';
import { removePhasePlane, removeRamp } from './phase.js';
import type { StandardMetrics } from './standard.js';

/** How two halves of a scan agree. */
export interface HalfSetCorrelation {
  /** Patterns of each half. */
  readonly patterns: readonly [number, number];
  /** The pixels that were compared. */
  readonly frame: Frame;
  /** Share of them that both halves cover. */
  readonly coverage: number;
  /** Curves to Nyquist; element i is i periods across `side_px` pixels. */
  readonly frc: StandardMetrics['frc'];
  /** The half-bit threshold is the one that belongs to half sets. */
  readonly resolution: StandardMetrics['resolution'];
}

/** What of {@link ImageOptions} concerns the grouping of a half. */
export type HalfSetOptions = Omit<ImageOptions, 'placement' | 'n_groups' | 'n_subsample'>;

/** Patterns that a half needs. */
export const LEAST_HALF = 8;

/**
 * Reconstructs the patterns at even and at odd places of a scan apart, with the same model, and correlates the two images ring by
 * ring within the rectangle of the scan.
 *
 * The patterns of the halves share no photon, the network is the same: what it adds by itself, in both halves alike, counts
 * as agreement. The correlation therefore bounds what noise did, not what the model made up.
 *
 * @param options `pixel_m`: side of an object pixel
 * @throws PtychoError DATASET_SHAPE for a scan of too few patterns or halves that share too little, and those of `reconstruct`
 */
export async function halfSetCorrelation(
  model: PtychoModel,
  raw: RawData,
  options: HalfSetOptions & { readonly pixel_m?: number } = {},
): Promise<HalfSetCorrelation> {
  const { pixel_m, ...image } = options;
  if (raw.count < 2 * LEAST_HALF) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${raw.source} has ${raw.count} patterns; halves of it need ${LEAST_HALF} each.`,
      { path: raw.source, found: raw.count },
    );
  }
  const halves: StitchedImage[] = [];
  const counts: number[] = [];
  for (const parity of [0, 1]) {
    const rows = Int32Array.from({ length: Math.floor((raw.count + 1 - parity) / 2) }, (_, k) => 2 * k + parity);
    counts.push(rows.length);
    halves.push(await reconstructPart(model, raw, rows, image));
  }
  return correlateHalves(halves, raw, [counts[0], counts[1]], pixel_m);
}

async function reconstructPart(
  model: PtychoModel,
  raw: RawData,
  rows: Int32Array,
  options: HalfSetOptions,
): Promise<StitchedImage> {
  const xs = valuesAt(raw.xcoords, rows);
  const ys = valuesAt(raw.ycoords, rows);
  const { gridsize } = model;
  const { neighbor_count = 4, seed = 0, logger } = options;
  const grouped = groupScan(xs, ys, { gridsize, n_groups: rows.length, neighbor_count, seed, logger });
  const members = grouped.members.map((k) => rows[k]);
  const groups = groupsFromMembers(members, grouped.C, raw.xcoords, raw.ycoords);
  const prepared = await measureGroups(raw, groups, { once: true });
  // Half the positions lie further apart, so that their patches must reach further.
  const stitch_crop_px = options.stitch_crop_px ?? chooseCropSide(xs, ys, raw.N);
  const { stitched, cancelled } = await reconstructWith(model, prepared, { ...options, stitch_crop_px });
  if (cancelled) throw new PtychoError('CANCELLED', 'The reconstruction of the halves was stopped, so there is nothing to correlate.'); // biome-ignore format: one call
  return stitched;
}

/** An image of half the patterns; pixels without weight are not compared. */
export type HalfImage = Pick<StitchedImage, 'image' | 'frame' | 'weight'>;

/**
 * Correlates the images of two halves ring by ring within the rectangle of the scan.
 * @throws PtychoError DATASET_SHAPE for halves that share too little
 */
export function correlateHalves(
  [a, b]: readonly HalfImage[],
  raw: Pick<RawData, 'source' | 'xcoords' | 'ycoords'>,
  patterns: readonly [number, number],
  pixel_m: number | undefined,
): HalfSetCorrelation {
  const both = intersectFrames(a.frame, b.frame);
  const frame = both && intersectFrames(both, boundingBox(scanBounds(raw.xcoords, raw.ycoords)));
  if (!frame || Math.min(frame.height, frame.width) < 16) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The halves of ${raw.source} share ${frame ? `${frame.height}×${frame.width}` : 'no'} pixels, too few for a ring correlation: 16 a side are needed.`,
      { path: raw.source },
    );
  }
  const cut = ({ image, frame: from }: HalfImage) =>
    cutImage(image, ...cornerIn(frame, from), frame.height, frame.width);
  const weightOf = ({ weight, frame: from }: HalfImage) =>
    cutImage({ re: weight.data, im: weight.data, shape: weight.shape }, ...cornerIn(frame, from), frame.height, frame.width).re; // biome-ignore format: one call
  const [weightA, weightB] = [weightOf(a), weightOf(b)];
  const mask = Uint8Array.from(weightA, (w, i) => (w > 0 && weightB[i] > 0 ? 1 : 0));
  const first = cut(a);
  const { aligned } = alignComplex(cut(b), first, mask);
  const { ramp } = removePhasePlane(first, { mask });
  const phaseOf = (z: Parameters<typeof removeRamp>[0]) =>
    asComplex(removePhasePlane(removeRamp(z, ramp), { mask }).phase);
  const rings = {
    amplitude: taperedRingCorrelation(asComplex(modulusOf(first)), asComplex(modulusOf(aligned))),
    phase: taperedRingCorrelation(phaseOf(first), phaseOf(aligned)),
    complex: taperedRingCorrelation(first, aligned),
  };
  return {
    patterns,
    frame,
    coverage: mask.reduce((n, v) => n + v, 0) / mask.length,
    frc: { side_px: rings.complex.side_px, pixels: rings.complex.pixels, ...curvesOf(rings) },
    resolution: allResolutions(rings, pixel_m),
  };
}

const cornerIn = (frame: Frame, from: Frame): [number, number] => [
  frame.originYxPx[0] - from.originYxPx[0],
  frame.originYxPx[1] - from.originYxPx[1],
];
