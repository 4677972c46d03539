/**
 * Simulated measurements: object, probe, positions and a dose in, the arrays of a contract file out.
 *
 * @example
 * const object = makeObject('lines', { rows: 224, cols: 224, seed: 1 });
 * const probe = makeProbe('structured', { side: 64 });
 * const { xs, ys } = makeScan('jittered_raster', { rows: 224, cols: 224, side: 64, stepPx: 6, seed: 2 });
 * const scan = simulateScan({ object, probe, xs, ys, photons: 1e6, seed: 3 });
 */
import { atOnce, type Steps } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { requireMemory } from '../core/memoryBudget.js';
import { LegacyRng } from '../core/rng.js';
import { type ComplexImage, type ComplexTensor, formatShape, type Tensor } from '../core/tensor.js';
import { counted } from '../core/words.js';
import { rawDataFromArrays } from '../data/arrays.js';
import { geometryOf, geometryRecord } from '../data/metadata.js';
import { nearFieldGeometry } from '../data/opening/nearField.js';
import { freeSpaceOf } from '../data/opening/wavelength.js';
import type { RawData } from '../data/rawData.js';
import type { ScanGeometry } from '../data/scanFile.js';
import { DiffractionModel } from '../physics/detector.js';
import { scaleComplex } from '../physics/probe.js';
import { transferFunction } from '../physics/propagation.js';
import { extractPatch, requireEqualLengths } from '../physics/sampling.js';
import { badPixelsOf, type DetectorOptions, DetectorReadout } from './detector.js';

/** What {@link simulateScan} takes. */
export interface SimulationInput {
  /** Complex transmission (rows, cols). */
  readonly object: ComplexImage;
  /** (N, N), or (P, N, N) for incoherent modes; any scale. */
  readonly probe: ComplexTensor;
  /** Where the beam is, object pixels. */
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
  /** Where the file says that it is, if that is not the same: positions with errors. */
  readonly recorded?: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> };
  /** Way of the sample during each exposure, object pixels; positions are its middle. Left out: it stands still. */
  readonly way_yx_px?: readonly [y: number, x: number];
  /** Number of the experiment that each position belongs to; default 0. */
  readonly scanIndex?: ArrayLike<number>;
  /** Mean photons of a pattern over the scan, before beam stop and detector. */
  readonly photons: number;
  /** Of the Poisson noise. */
  readonly seed: number;
  /** `poisson` (default), or `none` for expected amplitudes. */
  readonly noise?: 'poisson' | 'none';
  /** Default: every photon makes one count. */
  readonly detector?: DetectorOptions;
  /** Say in `bad_pixels` which pixels are unusable (default), or let the reader find out. */
  readonly declareBadPixels?: boolean;
  /** Recorded in the metadata; there is one pattern a position whatever it is. */
  readonly gridsize?: number;
  readonly geometry?: ScanGeometry;
  /** Facts to keep in the metadata: how object, probe and scan were made. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

/** Ways are followed in steps of at most this. */
const FLY_STEP_PX = 0.25;

/** Units of all arrays that a simulated scan may hold. */
const ARRAY_UNITS = {
  diffraction: 'sqrt(counts)',
  xcoords: 'object pixel',
  ycoords: 'object pixel',
  xcoords_true: 'object pixel',
  ycoords_true: 'object pixel',
  probeGuess: 'sqrt(counts)',
  objectGuess: 'transmission',
  label: 'transmission',
  ground_truth_patches: 'transmission',
  scan_index: 'number of the experiment',
  bad_pixels: '1 = unusable',
} as const;

/** Those of a fly scan besides. */
const WAY_UNITS = {
  xcoords_start: 'object pixel',
  ycoords_start: 'object pixel',
  xcoords_end: 'object pixel',
  ycoords_end: 'object pixel',
} as const;

/** The arrays of a scan file (names and shapes are those of `specs/data.md`). */
export interface SimulatedScan {
  /** √counts, (n, N, N), zero frequency at N/2. */
  readonly diffraction: Tensor;
  /** Positions in object pixels, (n,), as recorded. */
  readonly xcoords: Tensor<Float64Array>;
  readonly ycoords: Tensor<Float64Array>;
  /** Where exposures start and end, (n,), as recorded, if the sample moved. */
  readonly xcoords_start?: Tensor<Float64Array>;
  readonly ycoords_start?: Tensor<Float64Array>;
  readonly xcoords_end?: Tensor<Float64Array>;
  readonly ycoords_end?: Tensor<Float64Array>;
  /** Where the beam was, (n,), if that is not where it was recorded. */
  readonly xcoords_true?: Tensor<Float64Array>;
  readonly ycoords_true?: Tensor<Float64Array>;
  /** The true probe at the photon level of the data: |F(P·O)|² are expected counts. */
  readonly probeGuess: ComplexTensor;
  /** The true object. */
  readonly objectGuess: ComplexImage;
  readonly scan_index: Tensor<Int32Array>;
  /** (N, N), 1 where a pixel cannot be used. */
  readonly bad_pixels?: Tensor<Uint8Array>;
  readonly measurement_domain: 'count_amplitude';
  /** JSON: seed, dose, units, what was measured. The same input gives the same text. */
  readonly metadata: string;
}

/**
 * Simulates a scan: λ = Σ_modes |F(P·patch)|² with patches cut by bilinear interpolation (zeros outside the object) at the
 * exact positions (the mean over the way, where the sample moves; of near fields |F⁻¹[H·F(P·patch)]|², with room for light that leaves
 * the pattern), the probe scaled so that the mean of Σλ over the scan is `photons`, counts drawn from Poisson(λ) by a
 * seeded generator, then read out by the detector where one is given.
 *
 * @throws PtychoError DATASET_SHAPE for unequal coordinates, CONFIG_INVALID for a dose that is not positive, DATASET_VALUE
 * where no light reaches the detector, OUT_OF_MEMORY for more patterns than fit
 */
export function simulateScan(input: SimulationInput): SimulatedScan {
  return atOnce(simulationSteps(input));
}

/**
 * {@link simulateScan} in steps of one pattern, for those who want to be able to stop it.
 * @throws PtychoError as simulateScan; OUT_OF_MEMORY for more patterns than fit
 */
export function* simulationSteps(input: SimulationInput): Steps<SimulatedScan> {
  const {
    object,
    probe,
    xs,
    ys,
    photons,
    seed,
    noise = 'poisson',
    detector,
    recorded,
    declareBadPixels = true,
  } = input;
  const n = requireEqualLengths(xs, ys);
  for (const others of [recorded?.xs, recorded?.ys, input.scanIndex]) if (others) requireEqualLengths(xs, others);
  if (!(photons > 0 && Number.isFinite(photons))) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `The dose must be a positive number of photons a pattern, got ${photons}.`,
      {
        key: 'photons',
        found: photons,
      },
    );
  }
  const model = new DiffractionModel(probe, nearDetectorOf(input));
  const side = model.side;
  const area = side * side;
  requireMemory(4 * n * area, `${counted(n, 'pattern')} of ${side}×${side}`, {
    remedy: 'take fewer or smaller ones (--n_patterns, --step_px, --N)',
  });
  const diffraction = new Float32Array(n * area);
  const lambda = new Float64Array(area);
  const { way_yx_px: [wayY, wayX] = [0, 0] } = input;
  const points = Math.max(1, Math.ceil(Math.hypot(wayY, wayX) / FLY_STEP_PX));
  const one = points === 1 ? lambda : new Float64Array(area);
  const patternOf = (k: number) => {
    if (points > 1) lambda.fill(0);
    for (let p = 0; p < points; p++) {
      const share = (p + 0.5) / points - 0.5;
      const patch = extractPatch(object, ys[k] + share * wayY, xs[k] + share * wayX, side);
      model.intensity(patch.re, patch.im, 0, one);
      if (points > 1) for (let i = 0; i < area; i++) lambda[i] += one[i] / points;
    }
  };

  let total = 0;
  for (let k = 0; k < n; k++) {
    patternOf(k);
    for (let i = 0; i < area; i++) total += lambda[i];
    yield;
  }
  if (!(total > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `No light reaches the detector: the object of shape ${formatShape(object.shape)} is dark or not finite at all ${n} positions.`,
      { positions: n },
    );
  }
  const scale = Math.sqrt(photons / (total / n));

  // The patterns are computed twice rather than kept: float64 intensities of a large scan would not fit.
  const rng = new LegacyRng(seed);
  const readout = detector && new DetectorReadout(detector);
  const exact = noise === 'none';
  let measured = 0;
  for (let k = 0; k < n; k++) {
    patternOf(k);
    for (let i = 0; i < area; i++) {
      const expected = lambda[i] * scale * scale;
      const photonsHere = exact ? expected : rng.poisson(expected);
      const counts = readout ? readout.read(readout.isShaded(i) ? 0 : photonsHere, i, exact) : photonsHere;
      measured += counts;
      diffraction[k * area + i] = Math.sqrt(counts);
    }
    yield;
  }
  const badPixels = declareBadPixels && detector?.defects ? badPixelsOf(detector.defects) : undefined;
  const column = (values: ArrayLike<number>) => ({ data: Float64Array.from(values), shape: [n] });
  const moved = (values: ArrayLike<number>, by: number) => column(Array.from(values, (v) => v + by));
  const [recordedX, recordedY] = [recorded?.xs ?? xs, recorded?.ys ?? ys];
  const arrays = {
    diffraction: { data: diffraction, shape: [n, side, side] },
    xcoords: column(recordedX),
    ycoords: column(recordedY),
    ...(points > 1 && {
      ...{ xcoords_start: moved(recordedX, -0.5 * wayX), ycoords_start: moved(recordedY, -0.5 * wayY) },
      ...{ xcoords_end: moved(recordedX, 0.5 * wayX), ycoords_end: moved(recordedY, 0.5 * wayY) },
    }),
    ...(recorded && { xcoords_true: column(xs), ycoords_true: column(ys) }),
    probeGuess: scaleComplex(probe, scale),
    objectGuess: object,
    scan_index: { data: Int32Array.from(input.scanIndex ?? new Int32Array(n)), shape: [n] },
    ...(badPixels && { bad_pixels: { data: badPixels, shape: [side, side] } }),
  };
  return {
    ...arrays,
    measurement_domain: 'count_amplitude',
    metadata: JSON.stringify({
      schema_version: '1.0.0',
      physics_parameters: { nphotons: photons, N: side, gridsize: input.gridsize },
      ...(input.geometry && { additional_parameters: { geometry: geometryRecord(input.geometry) } }),
      simulation: {
        seed,
        noise,
        interpolation: 'bilinear',
        units: points > 1 ? { ...ARRAY_UNITS, ...WAY_UNITS } : ARRAY_UNITS,
        measured: {
          mean_counts: Number((measured / n).toPrecision(9)),
          ...(readout && { saturated_readings: readout.saturated }),
        },
        ...input.notes,
      },
    }),
  };
}

/** The way to a near detector, on twice the side: light that leaves a pattern does not come in at its other side. */
function nearDetectorOf({ geometry, probe }: SimulationInput): ComplexImage<Float64Array> | undefined {
  if (geometry?.propagationDistance_m === undefined) return undefined;
  const side = probe.shape[probe.shape.length - 1];
  const near = nearFieldGeometry('The simulated scan', geometry, geometry.objectPixel_m, {}, side);
  return transferFunction(2 * side, freeSpaceOf(near));
}

/**
 * A simulated scan as a scan that is open: what `openScan` gives for the file that `simulate` would write.
 * @example
 * const raw = rawDataFromSimulation(simulate({ object: 'siemens_star', N: 64, seed: 1 }));
 */
export function rawDataFromSimulation(scan: SimulatedScan, source = 'simulation'): RawData {
  const {
    diffraction,
    probeGuess,
    objectGuess,
    measurement_domain,
    metadata,
    scan_index,
    xcoords,
    ycoords,
    bad_pixels,
  } = scan;
  const record = JSON.parse(metadata) as Record<string, unknown>;
  return rawDataFromArrays({
    ...{ diffraction, probeGuess, objectGuess, measurement_domain },
    xcoords: xcoords.data,
    ycoords: ycoords.data,
    xcoordsStart: scan.xcoords_start?.data,
    ycoordsStart: scan.ycoords_start?.data,
    xcoordsEnd: scan.xcoords_end?.data,
    ycoordsEnd: scan.ycoords_end?.data,
    scanIndex: scan_index.data,
    badPixels: bad_pixels?.data,
    metadata: record,
    geometry: geometryOf(record),
    source,
  });
}
