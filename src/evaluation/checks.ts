/** Whether an image can be scored at all: looked at before any number is printed. */
import { type Frame, intersectFrames, type ScanBounds } from '../reconstruction/frame.js';
import { boundingBox, describeFrame } from './commonFrame.js';
import type { EvaluatedImage } from './images.js';
import { removePhasePlane } from './phase.js';

/** What can be wrong with an image. */
export type ProblemCode =
  | 'empty'
  | 'not_finite'
  | 'flat'
  | 'flat_amplitude'
  | 'flat_phase'
  | 'saturated'
  | 'uncovered'
  | 'frame';

/** One thing that is wrong, in one sentence. */
export interface ReconstructionProblem {
  readonly code: ProblemCode;
  readonly message: string;
  /** The image cannot be scored, or every score of it is worthless. */
  readonly fatal: boolean;
}

/** What {@link checkReconstruction} found. */
export interface ReconstructionCheck {
  /** Share of the pixels that should be there (the scan's rectangle, else the truth, else the image) that are. */
  readonly coverage: number;
  readonly problems: readonly ReconstructionProblem[];
  /** No problem is fatal. */
  readonly usable: boolean;
}

/** What an image is checked against. */
export interface CheckOptions {
  /** Where the image lies; origin (0, 0) where not given. */
  readonly frame?: Frame;
  /** (rows·cols) zero where nothing was stitched; else pixels that are exactly zero count as such. */
  readonly weight?: ArrayLike<number>;
  /** Where the truth lies. */
  readonly truthFrame?: Frame;
  /** Of the scan positions. */
  readonly bounds?: ScanBounds;
}

/** A spread below this share of the mean amplitude, or this many radians, is no structure. */
const FLAT = 1e-4;
/** This share of the pixels at exactly the largest amplitude is a limit, not a maximum. */
const SATURATED_SHARE = 0.02;
/** Less coverage than this is told. */
const WELL_COVERED = 0.99;
/** Frames that share less of the smaller one than this are probably not in the same pixels. */
const LEAST_SHARED = 0.5;

/** Looks at an image (rows, cols) before it is scored: coverage, degenerate values, frame. Throws nothing. */
export function checkReconstruction(image: EvaluatedImage, options: CheckOptions = {}): ReconstructionCheck {
  const [height, width] = image.shape;
  const frame = options.frame ?? { originYxPx: [0, 0] as const, height, width };
  const { re, im } = image;
  const covered = Uint8Array.from({ length: re.length }, (_, i) =>
    (options.weight ? options.weight[i] > 0 : re[i] !== 0 || im[i] !== 0) ? 1 : 0,
  );
  const problems: ReconstructionProblem[] = [];
  const tell = (code: ProblemCode, fatal: boolean, message: string) => problems.push({ code, message, fatal });

  values(image, covered, tell);
  if (options.truthFrame) frames(frame, options.truthFrame, tell);
  const wanted = options.bounds ? boundingBox(options.bounds) : (options.truthFrame ?? frame);
  const target =
    options.bounds && options.truthFrame ? (intersectFrames(wanted, options.truthFrame) ?? wanted) : wanted;
  const coverage = coveredShare(covered, frame, target);
  if (coverage < WELL_COVERED && !problems.some(({ fatal }) => fatal)) {
    const where = options.bounds
      ? 'the rectangle of the scan positions'
      : options.truthFrame
        ? 'the truth'
        : 'its frame';
    tell(
      'uncovered',
      coverage === 0,
      `The reconstruction covers ${(100 * coverage).toFixed(1)} % of ${where}: scores are of the pixels that it has.`,
    );
  }
  return { coverage, problems, usable: !problems.some(({ fatal }) => fatal) };
}

type Tell = (code: ProblemCode, fatal: boolean, message: string) => void;

function values({ re, im, shape }: EvaluatedImage, covered: Uint8Array, tell: Tell): void {
  let [n, broken, zeros, sum, squares, largest] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < re.length; i++) {
    if (!covered[i]) continue;
    const modulus = Math.hypot(re[i], im[i]);
    if (!Number.isFinite(modulus)) {
      broken++;
      continue;
    }
    n++;
    sum += modulus;
    squares += modulus * modulus;
    largest = Math.max(largest, modulus);
    if (modulus === 0) zeros++;
  }
  if (broken > 0) {
    tell('not_finite', true, `${broken} pixels of the reconstruction are NaN or infinite, and so are its scores.`);
    return;
  }
  if (n === 0 || zeros === n) {
    tell('empty', true, 'The reconstruction is zero everywhere: look at the run that made it.');
    return;
  }
  const mean = sum / n;
  const flatAmplitude = Math.sqrt(Math.max(0, squares / n - mean * mean)) < FLAT * mean;
  const { phase } = removePhasePlane({ re, im, shape }, { mask: covered });
  let spread = 0;
  for (let i = 0; i < re.length; i++) if (covered[i]) spread += phase.data[i] ** 2;
  const flatPhase = Math.sqrt(spread / n) < FLAT;
  if (flatAmplitude && flatPhase) {
    tell('flat', true, 'The reconstruction is one value everywhere, so it scores as the floor does.');
    return;
  }
  if (flatAmplitude) tell('flat_amplitude', false, 'The amplitude of the reconstruction is constant: only its phase says anything.'); // biome-ignore format: one call
  if (flatPhase) tell('flat_phase', false, 'The phase of the reconstruction is constant: only its amplitude says anything.'); // biome-ignore format: one call
  if (flatAmplitude) return;
  let limit = 0;
  for (let i = 0; i < re.length; i++) if (covered[i] && Math.hypot(re[i], im[i]) >= largest * (1 - 1e-6)) limit++;
  if (limit > SATURATED_SHARE * n) {
    tell(
      'saturated',
      false,
      `${((100 * limit) / n).toFixed(1)} % of the pixels have the largest amplitude (${largest.toPrecision(3)}): the reconstruction runs into a limit.`,
    );
  }
}

function frames(frame: Frame, truthFrame: Frame, tell: Tell): void {
  const shared = intersectFrames(frame, truthFrame);
  if (!shared) {
    tell('frame', true, `The reconstruction (${describeFrame(frame)}) and the truth (${describeFrame(truthFrame)}) share no pixel.`); // biome-ignore format: one call
    return;
  }
  const smaller = Math.min(frame.height * frame.width, truthFrame.height * truthFrame.width);
  const share = (shared.height * shared.width) / smaller;
  if (share >= LEAST_SHARED) return;
  tell(
    'frame',
    false,
    `Only ${(100 * share).toFixed(0)} % of the smaller of reconstruction (${describeFrame(frame)}) and truth (${describeFrame(truthFrame)}) overlap: check that both are in the same pixels.`,
  );
}

function coveredShare(covered: Uint8Array, frame: Frame, target: Frame): number {
  const shared = intersectFrames(frame, target);
  const wanted = target.height * target.width;
  if (!shared || !(wanted > 0)) return 0;
  let n = 0;
  for (let r = 0; r < shared.height; r++) {
    const from =
      (shared.originYxPx[0] + r - frame.originYxPx[0]) * frame.width + shared.originYxPx[1] - frame.originYxPx[1];
    for (let c = 0; c < shared.width; c++) n += covered[from + c];
  }
  return n / wanted;
}
