/**
 * Near-field scans: images of the sample in a wide beam, a little behind it (propagation distance ≤ N·pixel²/λ), which solvers take for
 * what they are where the distance is known, and nothing else can use. Such images move with the sample, pixel by pixel, and their light lies as the probe
 * does and not as its Fourier transform. Strongly defocused far fields move, too, but magnified, and lie where the probe's far
 * field does.
 *
 * @example
 * nearField(raw, meanIntensity, looked, farField(probe, N))?.code; // 'NEAR_FIELD'
 */
import { modeIntensity } from '../../physics/probe.js';
import { meanNearestDistance } from '../grouping/neighbourGrid.js';
import type { LookedPatterns } from '../patternSource.js';
import type { RawData } from '../rawData.js';
import type { Finding } from './finding.js';
import { SMALLEST_PATTERN_PX } from './patternChecks.js';

type Scan = Pick<RawData, 'source' | 'N' | 'xcoords' | 'ycoords' | 'probeGuess' | 'geometry'>;

/** Correlation with the probe's far field from which the light is that. */
const FAR = 0.7;
/** Gain in the correlation of two frames, moved by the way of the sample between them, from which they show the same thing. */
const MOVES = 0.3;
/** Pairs of frames that are compared, and frames that it takes. */
const PAIRS = 6;
const FEWEST = 9;
/** The way between them: more than a speckle, less than most of the frame. */
const WAY_PX = { least: 2, most: 0.4 } as const;
/** Pixels with less than this part of the brightest are outside of the beam. */
const LIT = 0.1;

/** The finding, where the scan is one. @param meanIntensity (N, N) mean pattern; `field`: the far field of the probe */
export function nearField(
  scan: Scan,
  meanIntensity: Float64Array,
  looked: LookedPatterns,
  field: Float64Array | undefined,
): Finding | undefined {
  const { probeGuess, N, source } = scan;
  if (scan.geometry.nearField) return doubtfulNearField(scan, meanIntensity, looked, field);
  if (N < SMALLEST_PATTERN_PX) return undefined;
  const far = field && alike(meanIntensity, field);
  if (far !== undefined && far >= FAR) return undefined;
  const moves = movesWithSample(scan, meanIntensity, looked);
  const why =
    moves > MOVES
      ? `its frames move with the sample (correlation ${moves.toFixed(2)}), as images do`
      : stepsOfDetector(scan);
  if (why !== undefined) {
    return {
      code: 'NEAR_FIELD',
      severity: 'wrong',
      message: `${source} is a near-field scan: ${why}; how far light goes to the detector is not known, or near_field is false.`,
      remedy:
        '--propagation_distance_m Z (with --energy_eV and --detector_pixel_m or --object_pixel_m, in a cone beam --source_distance_m)',
    };
  }
  if (far === undefined || probeGuess === undefined || !(far < 0.4)) return undefined;
  const here = alike(meanIntensity, modeIntensity(probeGuess, N * N));
  if (here < 0.9) return undefined;
  return {
    code: 'PROBE_MISMATCH',
    severity: 'doubt',
    message: `The light of ${source} lies as its probe does (correlation ${here.toFixed(2)}) and not as the far field of that probe (${far.toFixed(2)}): the probe lacks its phase, or the scan is a near-field one.`,
    remedy: 'give a measured or simulated probe with --probe FILE[:key]',
  };
}

/** Said to be a near field, and looks like none. */
function doubtfulNearField(
  scan: Scan,
  meanIntensity: Float64Array,
  looked: LookedPatterns,
  field: Float64Array | undefined,
): Finding | undefined {
  const far = field && alike(meanIntensity, field);
  if (far === undefined || far < FAR || movesWithSample(scan, meanIntensity, looked) > MOVES) return undefined;
  return {
    code: 'NOT_NEAR_FIELD',
    severity: 'wrong',
    message: `${scan.source} is opened as a near-field scan, but its light lies as the far field of its probe does (correlation ${far.toFixed(2)}) and its frames do not move with the sample.`,
    remedy: '--near_field false',
  };
}

/**
 * How much better frames, each divided by the mean image, correlate when one is moved as the sample was, on average; 0 where none
 * can be.
 */
function movesWithSample(
  { xcoords, ycoords, N }: Scan,
  mean: Float64Array,
  { pixels, indices }: LookedPatterns,
): number {
  // A few frames may agree by chance.
  if (indices.length < FEWEST) return 0;
  const size = N * N;
  const brightest = mean.reduce((most, v) => Math.max(most, v), 0);
  const lit = Uint8Array.from(mean, (v) => (v > LIT * brightest ? 1 : 0));
  const contrast = (i: number) =>
    Float64Array.from({ length: size }, (_, p) => (lit[p] ? pixels[i * size + p] / mean[p] : 0));
  let [sum, pairs] = [0, 0];
  for (let i = 0; i < indices.length && pairs < PAIRS; i++) {
    for (let j = i + 1; j < indices.length && pairs < PAIRS; j++) {
      const dx = Math.round(xcoords[indices[j]] - xcoords[indices[i]]);
      const dy = Math.round(ycoords[indices[j]] - ycoords[indices[i]]);
      const way = Math.max(Math.abs(dx), Math.abs(dy));
      if (way < WAY_PX.least || way > WAY_PX.most * N) continue;
      const [a, b] = [contrast(i), contrast(j)];
      // The sample, or the beam: both signs are in use.
      // Frames that look alike where they are do not move.
      const still = Math.max(0, moved(a, b, lit, 0, 0, N));
      sum += Math.max(moved(a, b, lit, dy, dx, N), moved(a, b, lit, -dy, -dx, N)) - still;
      pairs++;
      break;
    }
  }
  return pairs === 0 ? 0 : sum / pairs;
}

/** Correlation coefficient of a[p] and b[p + (dy, dx)] over the pixels that both have light at. */
function moved(a: Float64Array, b: Float64Array, lit: Uint8Array, dy: number, dx: number, N: number): number {
  let [n, sa, sb, saa, sbb, sab] = [0, 0, 0, 0, 0, 0];
  for (let r = Math.max(0, -dy); r < Math.min(N, N - dy); r++) {
    for (let c = Math.max(0, -dx); c < Math.min(N, N - dx); c++) {
      const [p, q] = [r * N + c, (r + dy) * N + c + dx];
      if (!lit[p] || !lit[q]) continue;
      n++;
      sa += a[p];
      sb += b[q];
      saa += a[p] ** 2;
      sbb += b[q] ** 2;
      sab += a[p] * b[q];
    }
  }
  if (n < N) return 0;
  const spread = Math.sqrt((saa - sa ** 2 / n) * (sbb - sb ** 2 / n));
  return spread > 0 ? (sab - (sa * sb) / n) / spread : 0;
}

function stepsOfDetector({ xcoords, ycoords, geometry, N }: Scan): string | undefined {
  const { objectPixel_m: pixel, detectorPixel_m: detector } = geometry;
  if (!pixel || !detector || xcoords.length < 2) return undefined;
  const step_px = meanNearestDistance(xcoords, ycoords);
  const onDetector = (step_px * pixel.x) / detector.x;
  // Steps of many patterns' sides in object pixels, and of a part of one on the detector.
  if (!(step_px > 2 * N && onDetector > 0.1 && onDetector < N)) return undefined;
  return `its steps are ${Math.round(step_px)} pixels of a far field, and ${Number(onDetector.toPrecision(2))} pixels of the detector`;
}

/** Correlation coefficient of the amplitudes. */
function alike(a: Float64Array, b: Float64Array): number {
  const amplitudes = (values: Float64Array) => values.map((v) => Math.sqrt(Math.max(0, v)));
  return moved(amplitudes(a), amplitudes(b), new Uint8Array(a.length).fill(1), 0, 0, Math.sqrt(a.length));
}
