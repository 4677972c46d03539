/**
 * Images as other programs take them: amplitude, and phase beyond ±π without its ramp and offset, which ptychography leaves open; any
 * number of them on the same pixels, each laid on the one before, as a stack of projections.
 *
 * @example
 * const plan = await planProjections(['run1', 'run2'], { align: 'register', crop: 'box', unwrap: true, remove_ramp: true, air_px: null });
 * for (const one of plan.projections) {
 *   const { amplitude, phase } = await readProjection(one, plan.region, options); // (rows·cols), NaN where there is nothing
 * }
 */
import { cancelPoint } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { ComplexImage } from '../core/tensor.js';
import { shiftByKernel } from '../physics/shiftByKernel.js';
import { unwrapPhase } from '../physics/unwrap.js';
import { type Frame, intersectFrames, moveToFrame } from '../reconstruction/frame.js';
import { wellCovered } from '../reconstruction/pictures.js';
import { readStoredImage, type StoredImage } from '../reconstruction/storedImage.js';
import { describeFrame } from './commonFrame.js';
import { fitPlane, fitRamp, type PhaseRamp, removeRamp, wrap } from './phase.js';
import { registerImages } from './register.js';
import type { ShiftYx } from './shift.js';

/** How images become numbers. */
export interface ProjectionOptions {
  /** Add whole turns where neighbours are more than half a turn apart. */
  readonly unwrap: boolean;
  /** Take the plane of least squares off the phase. */
  readonly remove_ramp: boolean;
  /** Lay each on the one before by registration, or where its file says it lies. */
  readonly align: 'register' | 'frames';
  /** The rectangle around what all of them cover, the largest one that all of them cover, or all pixels that all of them have. */
  readonly crop: 'box' | 'inner' | 'none';
  /** Width of the strips at the left and the right that hold nothing but air: ramp and offset are those of the air, amplitude 1 there. */
  readonly air_px: number | null;
}

/** One image, and where it goes. */
export interface PlannedProjection {
  readonly source: string;
  /** Moved down and to the right from where its file says it lies, to lie on the one before. */
  readonly shiftYxPx: ShiftYx;
  /** Of the registration; undefined where nobody looked. */
  readonly confidence?: number;
  /** False: registration failed, and the shift is that of the one before. */
  readonly aligned: boolean;
  /** Where its file says it lies. */
  readonly frame: Frame;
}

/** Images on common pixels. */
export interface ProjectionPlan {
  readonly projections: readonly PlannedProjection[];
  /** The common pixels, in pixels of the first image's scan. */
  readonly region: Frame;
  readonly pixel_m?: { readonly x: number; readonly y: number };
}

/** One image as numbers, (rows·cols) of the region; NaN where it has none. */
export interface Projection {
  readonly amplitude: Float32Array;
  /** Radians. */
  readonly phase: Float32Array;
  /** What was taken off the phase: radians a pixel, and radians at the first pixel. */
  readonly ramp: PhaseRamp;
  readonly offset_rad: number;
  /** Where the unwrapped phase is not the only one, and parts that hang together; undefined where nothing was unwrapped. */
  readonly residues?: number;
  readonly regions?: number;
  /** Amplitudes were divided by this, that of the air. */
  readonly air_amplitude?: number;
}

const SAME_PIXEL = 0.01;
const LEAST_SIDE_PX = 16;

interface Loaded {
  readonly stored: StoredImage;
  readonly frame: Frame;
  /** 1 where enough light fell. */
  readonly mask: Uint8Array;
}

async function load(spec: string): Promise<Loaded> {
  const stored = await readStoredImage(spec, 'the image');
  const { image, weight } = stored;
  const [height, width] = image.shape;
  const data = Float32Array.from(image.re, (re, i) => {
    const known = Number.isFinite(re) && Number.isFinite(image.im[i]) && (re !== 0 || image.im[i] !== 0);
    return known ? (weight ? weight[i] : 1) : 0;
  });
  const mask = wellCovered({ data, shape: image.shape });
  const { originYxPx = placeIn(stored) } = stored;
  return { stored, mask, frame: { originYxPx: originYxPx ?? [0, 0], height, width } };
}

/** From metres; both axes must run as ours do. */
function placeIn({ coordinates }: StoredImage): readonly [number, number] | undefined {
  if (!coordinates) return undefined;
  const { first, step } = coordinates;
  return step.x > 0 && step.y > 0 ? [Math.round(first.y / step.y), Math.round(first.x / step.x)] : undefined;
}

const pixelOf = ({ pixel_m, coordinates }: StoredImage) => pixel_m ?? coordinates?.pixel_m;

/**
 * Finds the common pixels of images; each is read, and only the one before stays in memory.
 * @param specs files as `readStoredImage` takes them, in the order of the pages
 * @throws PtychoError DATASET_UNITS for pixels of different sizes, DATASET_SHAPE where too few pixels are common, CANCELLED, and those of reading
 */
export async function planProjections(
  specs: readonly string[],
  options: Pick<ProjectionOptions, 'align' | 'crop'>,
  { signal, logger = silentLogger, onProgress }: Services = {},
): Promise<ProjectionPlan> {
  const pause = cancelPoint(signal, 'The export');
  const projections: PlannedProjection[] = [];
  let before: (Loaded & { readonly shift: ShiftYx }) | undefined;
  let pixel_m: ProjectionPlan['pixel_m'];
  let region: Frame | undefined;
  let covered: { readonly frame: Frame; readonly mask: Uint8Array } | undefined;
  for (const [k, spec] of specs.entries()) {
    await pause();
    onProgress?.({ stage: 'aligning', done: k, total: specs.length, unit: 'images' });
    const loaded = await load(spec);
    const { stored, frame, mask } = loaded;
    for (const note of stored.notes) logger.warn(note);
    const pixel = pixelOf(stored);
    pixel_m ??= pixel;
    requireSamePixel(spec, pixel, pixel_m);
    const found = before ? placeOn(before, loaded, options.align) : { shift: [0, 0] as const, aligned: true };
    if (!found.aligned) {
      logger.warn(
        `${spec} was not found on ${projections[k - 1].source}, so it was moved as that one: ${found.reason}`,
      );
    }
    const { shift } = found;
    const moved = movedFrame(frame, shift);
    const own = options.crop === 'none' ? moved : boxOf(mask, moved);
    region = region ? own && intersectFrames(region, own) : own;
    requireRoom(region, spec, specs.length);
    if (options.crop === 'inner') covered = bothCovered(covered, { frame: moved, mask });
    projections.push({
      ...{ source: spec, frame, shiftYxPx: shift, aligned: found.aligned },
      ...(found.confidence !== undefined && { confidence: found.confidence }),
    });
    before = { ...loaded, shift };
  }
  if (!region)
    throw new PtychoError('USAGE', 'There is nothing to export; name results, such as the folder of a run.', {});
  if (covered) {
    region = largestRectangle(covered.mask, covered.frame);
    requireRoom(region, specs[0], specs.length);
  }
  onProgress?.({ stage: 'aligning', done: specs.length, total: specs.length, unit: 'images' });
  return { projections, region, ...(pixel_m && { pixel_m }) };
}

/** Where the second image lies on the first one, as a shift from where its file puts it. */
function placeOn(
  before: Loaded & { readonly shift: ShiftYx },
  { stored, frame, mask }: Loaded,
  align: ProjectionOptions['align'],
): { readonly shift: ShiftYx; readonly aligned: boolean; readonly confidence?: number; readonly reason?: string } {
  if (align === 'frames') return { shift: [0, 0], aligned: true };
  const found = registerImages(before.stored.image, stored.image, { fixedMask: before.mask, movingMask: mask });
  const { shift } = before;
  if (!found.succeeded) return { shift, aligned: false, confidence: found.confidence, reason: found.reason ?? '' };
  const between = [0, 1].map((a) => found.shiftYxPx[a] + before.frame.originYxPx[a] - frame.originYxPx[a]);
  return { shift: [shift[0] + between[0], shift[1] + between[1]], aligned: true, confidence: found.confidence };
}

/**
 * Reads an image again, on the common pixels.
 * @throws PtychoError CONFIG_INVALID for strips of air that leave nothing or hold nothing, and those of reading
 */
export async function readProjection(
  { source, shiftYxPx, frame }: PlannedProjection,
  region: Frame,
  options: Pick<ProjectionOptions, 'unwrap' | 'remove_ramp' | 'air_px'>,
): Promise<Projection> {
  const { stored, mask: own } = await load(source);
  const moved = movedFrame(frame, shiftYxPx);
  const rest: ShiftYx = [shiftYxPx[0] - Math.round(shiftYxPx[0]), shiftYxPx[1] - Math.round(shiftYxPx[1])];
  const image = moveToFrame(shifted(stored.image, own, rest), moved, region);
  const flags = { re: Float32Array.from(own), im: new Float32Array(own.length), shape: stored.image.shape };
  const mask = Uint8Array.from(moveToFrame(flags, moved, region).re);
  const { height: rows, width: cols } = region;
  const weight = options.air_px === null ? mask : airOf(mask, rows, cols, options.air_px, source);

  const modulus = Float64Array.from(image.re, (re, i) => Math.hypot(re, image.im[i]));
  const seen = (plane: Float32Array) => Float32Array.from(plane, (v, i) => (weight[i] ? v : 0));
  const coarse = fitRamp({ re: seen(image.re), im: seen(image.im), shape: image.shape });
  const level = removeRamp(image, coarse);
  const middle = meanAngle(level, weight);
  const phase = Float64Array.from(level.re, (re, i) =>
    mask[i] ? wrap(Math.atan2(level.im[i], re) - middle) : Number.NaN,
  );
  const unwrapped = options.unwrap ? unwrapPhase(phase, [rows, cols], mask) : undefined;
  const values = unwrapped?.phase ?? phase;
  const inside = values.map((v) => (Number.isNaN(v) ? 0 : v));
  const plane = fitPlane(inside, weight, rows, cols);
  // What stays open but for the ramp is the offset, whether or not the ramp goes.
  const ramp = options.remove_ramp ? plane : { x: -coarse.x, y: -coarse.y };
  const offset = options.remove_ramp ? plane.offset : meanOf(inside, weight) - centreOf(ramp, weight, cols);
  const out = Float32Array.from(values, (v, i) => v - offset - ramp.x * (i % cols) - ramp.y * Math.floor(i / cols));
  const air = options.air_px === null ? undefined : meanOf(modulus, weight);
  return {
    amplitude: Float32Array.from(modulus, (v, i) => (mask[i] ? v / (air || 1) : Number.NaN)),
    phase: options.unwrap ? out : out.map((v) => wrap(v)),
    ramp: { x: coarse.x + ramp.x, y: coarse.y + ramp.y },
    offset_rad: middle + offset,
    ...(unwrapped && { residues: unwrapped.residues, regions: unwrapped.regions }),
    ...(air !== undefined && { air_amplitude: air }),
  };
}

/** Parts of a pixel; what is not covered is nothing that may come in from the side. */
function shifted(image: ComplexImage, mask: Uint8Array, rest: ShiftYx): ComplexImage {
  const known = (plane: Float32Array) => plane.map((v, i) => (mask[i] ? v : 0));
  const own = { re: known(image.re), im: known(image.im), shape: image.shape };
  if (rest[0] === 0 && rest[1] === 0) return own;
  const { re, im, shape } = shiftByKernel(own, rest);
  return { re: Float32Array.from(re), im: Float32Array.from(im), shape: [...shape] };
}

const movedFrame = (frame: Frame, [dy, dx]: ShiftYx): Frame => ({
  ...frame,
  originYxPx: [frame.originYxPx[0] + Math.round(dy), frame.originYxPx[1] + Math.round(dx)],
});

/** The covered pixels of two strips at the sides. */
function airOf(mask: Uint8Array, rows: number, cols: number, air_px: number, source: string): Uint8Array {
  const air = Uint8Array.from(mask, (m, i) => (m && (i % cols < air_px || i % cols >= cols - air_px) ? 1 : 0));
  if (2 * air_px < cols && air.some((m) => m)) return air;
  throw new PtychoError(
    'CONFIG_INVALID',
    `Strips of ${air_px} pixels of air at both sides ${2 * air_px < cols ? 'hold nothing of' : 'leave nothing of'} ${source}, which has ${rows} × ${cols} pixels here; change air_px.`,
    { key: 'air_px', found: air_px },
  );
}

function meanAngle({ re, im }: ComplexImage<Float64Array>, weight: Uint8Array): number {
  let [x, y] = [0, 0];
  for (let i = 0; i < re.length; i++) {
    x += weight[i] * re[i];
    y += weight[i] * im[i];
  }
  return Math.atan2(y, x);
}

function meanOf(values: ArrayLike<number>, weight: Uint8Array): number {
  let [sum, n] = [0, 0];
  for (let i = 0; i < weight.length; i++) {
    sum += weight[i] * values[i];
    n += weight[i];
  }
  return n > 0 ? sum / n : 0;
}

/** The mean of a ramp over the pixels that count. */
function centreOf(ramp: PhaseRamp, weight: Uint8Array, cols: number): number {
  return meanOf(
    Float64Array.from(weight, (_, i) => ramp.x * (i % cols) + ramp.y * Math.floor(i / cols)),
    weight,
  );
}

/** The smallest rectangle around the pixels of a mask. */
function boxOf(mask: Uint8Array, { originYxPx: [y, x], width }: Frame): Frame | undefined {
  let [top, left, bottom, right] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -1, -1];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const [r, c] = [Math.floor(i / width), i % width];
    [top, bottom] = [Math.min(top, r), Math.max(bottom, r)];
    [left, right] = [Math.min(left, c), Math.max(right, c)];
  }
  if (bottom < 0) return undefined;
  return { originYxPx: [y + top, x + left], height: bottom - top + 1, width: right - left + 1 };
}

interface Covered {
  readonly frame: Frame;
  readonly mask: Uint8Array;
}

/** What both cover, on the pixels that both have. */
function bothCovered(a: Covered | undefined, b: Covered): Covered {
  if (!a) return b;
  const frame = intersectFrames(a.frame, b.frame);
  if (!frame) return { frame: { ...a.frame, height: 0, width: 0 }, mask: new Uint8Array(0) };
  const of = ({ mask, frame: from }: Covered, r: number, c: number) =>
    mask[(frame.originYxPx[0] + r - from.originYxPx[0]) * from.width + frame.originYxPx[1] + c - from.originYxPx[1]];
  const mask = Uint8Array.from({ length: frame.height * frame.width }, (_, i) => {
    const [r, c] = [Math.floor(i / frame.width), i % frame.width];
    return of(a, r, c) && of(b, r, c) ? 1 : 0;
  });
  return { frame, mask };
}

/** The largest rectangle without a pixel outside of the mask: the largest one under the skyline of each row. */
function largestRectangle(mask: Uint8Array, { originYxPx: [y, x], height, width }: Frame): Frame | undefined {
  const skyline = new Int32Array(width + 1);
  let best: Frame | undefined;
  let area = 0;
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) skyline[c] = mask[r * width + c] ? skyline[c] + 1 : 0;
    const rising: number[] = [];
    for (let c = 0; c <= width; c++) {
      while (rising.length > 0 && skyline[rising[rising.length - 1]] >= skyline[c]) {
        const high = skyline[rising.pop() as number];
        const from = rising.length > 0 ? rising[rising.length - 1] + 1 : 0;
        if (high * (c - from) <= area) continue;
        area = high * (c - from);
        best = { originYxPx: [y + r - high + 1, x + from], height: high, width: c - from };
      }
      rising.push(c);
    }
  }
  return best;
}

function requireSamePixel(spec: string, pixel: ProjectionPlan['pixel_m'], first: ProjectionPlan['pixel_m']): void {
  if (!pixel || !first) return;
  const same = (['x', 'y'] as const).every((axis) => Math.abs(pixel[axis] / first[axis] - 1) <= SAME_PIXEL);
  if (same) return;
  const words = ({ x, y }: { readonly x: number; readonly y: number }) => `${x.toPrecision(4)} × ${y.toPrecision(4)} m`;
  throw new PtychoError(
    'DATASET_UNITS',
    `The pixels of ${spec} are ${words(pixel)}, those before it ${words(first)}: they make no stack; export them one by one (--no-stack).`,
    { path: spec, found: pixel, expected: first },
  );
}

function requireRoom(region: Frame | undefined, spec: string, count: number): asserts region is Frame {
  if (region && Math.min(region.height, region.width) >= (count > 1 ? LEAST_SIDE_PX : 1)) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    count > 1
      ? `With ${spec} the images share ${region ? `no more than ${describeFrame(region)}` : 'no pixels'}: lay them where their files say (--align frames), or export them one by one (--no-stack).`
      : `${spec} has no pixels with light on them, so there is nothing to export.`,
    { path: spec, found: region },
  );
}
