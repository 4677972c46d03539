/**
 * Known patches of the object, which supervised training and the real-space error learn from.
 *
 * @example
 * const labels = await findLabels(raw); // throws where the scan knows none
 * const dataset = new DiffractionDataset(raw, groups, inputScale, { labels });
 * const { labels: known } = await dataset.batch([0, 1]); // complex, [2, C, N, N]
 */
import { PtychoError } from '../core/errors.js';
import { integers, rowsAt, spreadIndices, valuesAt } from '../core/numbers.js';
import type { ComplexTensor } from '../core/tensor.js';
import { modeIntensity } from '../physics/probe.js';
import { extractPatches, UNKNOWN_LABEL } from '../physics/sampling.js';
import { describeOrientation } from './opening/orientation.js';
import type { RawData } from './rawData.js';

/** Patches of the object in its own units, one a pattern, usually with the object's mean phase taken away. */
export interface LabelSource {
  /** In words, for messages: `the array "label" of scan.npz`. */
  readonly origin: string;
  /** Radians that were subtracted from all phases; 0 where they are left as they are. */
  readonly meanPhase: number;
  /** Share of the pixels that are known; 1 where nothing can be unknown. */
  readonly knownShare: number;
  /**
   * Mean over (a sample of) the patterns of Σ|P·O|², summed over the modes of the scan's probe P: the intensity that the known
   * object sends to the detector, in units of the probe. Undefined without a probe.
   */
  readonly illuminatedPower?: number;
  /** The patches of patterns (any order, repeats allowed), (members.length, N, N). */
  read(members: ArrayLike<number>): Promise<ComplexTensor>;
}

/** Stored labels are kept in memory up to this size: training reads them every epoch. */
const KEPT_BYTES = 2 ** 30;
/** Patches that are looked at to measure labels. */
const LOOKED_AT = 64;

/**
 * The labels of a scan: its array `label`; else `Y` or `ground_truth_patches`; else patches cut from `objectGuess`, but only of a
 * simulation, whose `objectGuess` is the true object (in a measurement it is somebody's guess).
 *
 * The mean phase over the central third of `objectGuess` (where there is none: of the labels) is subtracted: a diffraction pattern
 * does not know the object's mean phase. With `phaseSubtraction` false phases stay as they are. Pixels of `label` that are NaN are not known (`label` writes them where a reconstruction ends)
 * and are read as {@link UNKNOWN_LABEL}.
 * @throws PtychoError DATASET_KEY_MISSING (guard DATA-SUP-001) where the scan has none, DATASET_VALUE where they are not finite.
 */
export async function findLabels(
  raw: RawData,
  { phaseSubtraction = true }: { readonly phaseSubtraction?: boolean } = {},
): Promise<LabelSource> {
  const found = storedLabels(raw) ?? simulatedLabels(raw);
  if (!found) throw missing(raw);
  const looked = spreadIndices(raw.count, LOOKED_AT);
  const sample = await found.read(looked);
  const known = sample.re.map((v, i) => (Number.isNaN(v) && Number.isNaN(sample.im[i]) ? 0 : 1));
  const usable = sample.re.every((v, i) => known[i] === 0 || (Number.isFinite(v) && Number.isFinite(sample.im[i])));
  // NaN stands for "not known" in the array "label" alone; elsewhere it is damage.
  if (!usable || !known.includes(1) || (known.includes(0) && !found.masked)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${raw.source}: ${found.origin} holds values that are not finite; repair or remove them.`,
      { path: raw.source },
    );
  }
  const { objectGuess } = raw;
  const meanPhase = phaseSubtraction ? centralMeanPhase(objectGuess ?? sample, objectGuess ? undefined : known) : 0;
  const [cos, sin] = [Math.cos(meanPhase), -Math.sin(meanPhase)];
  return {
    origin: found.origin,
    meanPhase,
    knownShare: found.masked ? await knownShare(found, raw.count) : 1,
    illuminatedPower: raw.probeGuess && illuminatedPower(sample, raw.probeGuess, known),
    async read(members) {
      const { re, im, shape } = await found.read(members);
      return {
        re: re.map((v, i) => orUnknown(v * cos - im[i] * sin, UNKNOWN_LABEL)),
        im: im.map((v, i) => orUnknown(v * cos + re[i] * sin, 0)),
        shape,
      };
    },
  };
}

/** All of them are read: a network that met a pixel which it does not know to be unknown would learn from it. */
async function knownShare({ read }: Found, count: number): Promise<number> {
  let [known, pixels] = [0, 0];
  for (let from = 0; from < count; from += LOOKED_AT) {
    const { re, im } = await read(integers(Math.min(LOOKED_AT, count - from), from));
    pixels += re.length;
    for (let i = 0; i < re.length; i++) if (!(Number.isNaN(re[i]) && Number.isNaN(im[i]))) known++;
  }
  return known / pixels;
}

const orUnknown = (value: number, instead: number): number => (Number.isNaN(value) ? instead : value);

type Found = Pick<LabelSource, 'origin' | 'read'> & {
  /** NaN means that a pixel is not known. */
  readonly masked?: boolean;
};

function storedLabels(raw: RawData): Found | undefined {
  const stored = raw.labels ?? raw.groundTruth;
  if (!stored || stored.height !== raw.N || stored.width !== raw.N) return undefined;
  // Patterns that were turned on opening no longer lie as the patches in the file do.
  if (raw.orientation.transpose) return undefined;
  const origin = `${raw.labels ? 'the array "label"' : 'the array of known patches (Y)'} of ${raw.source}`;
  const area = raw.N * raw.N;
  const masked = raw.labels !== undefined;
  if (raw.count * area * 8 > KEPT_BYTES) return { origin, masked, read: (members) => stored.readRows(members) };
  let all: Promise<ComplexTensor> | undefined;
  return {
    origin,
    masked,
    async read(members) {
      all ??= stored.readRows(integers(raw.count));
      const { re, im } = await all;
      const shape = [members.length, raw.N, raw.N];
      return { re: rowsAt(re, area, members), im: rowsAt(im, area, members), shape };
    },
  };
}

function simulatedLabels(raw: RawData): Found | undefined {
  const { objectGuess, N } = raw;
  if (!objectGuess || !isSimulation(raw.metadata) || describeOrientation(raw.orientation) !== '') return undefined;
  return {
    origin: `the true object of the simulation ${raw.source}`,
    async read(members) {
      return extractPatches(objectGuess, valuesAt(raw.xcoords, members), valuesAt(raw.ycoords, members), N);
    },
  };
}

/** Records of `ptychopinn simulate` have a block `simulation`; published simulators name themselves as the file's creator. */
export function isSimulation(metadata: RawData['metadata']): boolean {
  const creator = metadata.creation_info as { readonly script?: unknown } | undefined;
  return (
    (typeof metadata.simulation === 'object' && metadata.simulation !== null) ||
    (typeof creator?.script === 'string' && /simulat/i.test(creator.script))
  );
}

function missing(raw: RawData): PtychoError {
  const turned = describeOrientation(raw.orientation);
  const stored = raw.labels ?? raw.groundTruth;
  const why = turned && (stored || raw.objectGuess) ? ` that fit patterns and positions changed by ${turned}` : '';
  return new PtychoError(
    'DATASET_KEY_MISSING',
    `DATA-SUP-001: ${raw.source} holds no known patches of the object${why}, from which supervised training and realspace_mae_weight learn: add them as "label" (complex, one N × N patch a pattern), or train with --model_type pinn and --realspace_mae_weight 0.`,
    { guard: 'DATA-SUP-001', path: raw.source, key: 'label' },
  );
}

/** Mean of the phase over the central third of an image (rows, columns), or of each of several (n, rows, columns), where known. */
function centralMeanPhase({ re, im, shape }: ComplexTensor, known?: ArrayLike<number>): number {
  const [rows, columns] = shape.slice(-2);
  const images = re.length / (rows * columns);
  const third = (n: number): [number, number] => [
    Math.floor(n / 3),
    Math.max(Math.floor(n / 3) + 1, Math.floor((2 * n) / 3)),
  ];
  const [top, bottom] = third(rows);
  const [left, right] = third(columns);
  let sum = 0;
  let count = 0;
  for (let k = 0; k < images; k++) {
    for (let r = top; r < bottom; r++) {
      for (let c = left; c < right; c++) {
        const i = (k * rows + r) * columns + c;
        if (known && !known[i]) continue;
        sum += Math.atan2(im[i], re[i]);
        count++;
      }
    }
  }
  return count > 0 ? sum / count : 0;
}

/** Mean over patches (n, N, N) of Σ_p Σ|P_p·O|²; where they are not known they let through what the others do. */
function illuminatedPower({ re, im, shape }: ComplexTensor, probe: ComplexTensor, known: ArrayLike<number>): number {
  const area = re.length / shape[0];
  const light = modeIntensity(probe, area);
  let [sum, lit, all] = [0, 0, 0];
  for (let i = 0; i < re.length; i++) {
    all += light[i % area];
    if (!known[i]) continue;
    lit += light[i % area];
    sum += light[i % area] * (re[i] ** 2 + im[i] ** 2);
  }
  return lit > 0 ? ((sum / shape[0]) * all) / lit : 0;
}
