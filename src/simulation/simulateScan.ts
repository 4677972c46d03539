/**
 * Simulated measurements: object, probe, positions and a dose in, the arrays of a contract file out.
 *
 * @example
 * const object = makeObject('lines', { rows: 224, cols: 224, seed: 1 });
 * const probe = makeProbe('structured', { side: 64 });
 * const { xs, ys } = makeScan('jittered_raster', { rows: 224, cols: 224, side: 64, stepPx: 6, seed: 2 });
 * const scan = simulateScan({ object, probe, xs, ys, photons: 1e6, seed: 3 });
 */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';
import { type ComplexImage, type ComplexTensor, formatShape, type Tensor } from '../core/tensor.js';
import { DiffractionModel } from '../physics/detector.js';
import { scaleComplex } from '../physics/probe.js';
import { extractPatch, requireEqualLengths } from '../physics/sampling.js';
import { photonScale } from '../physics/scale.js';

/** What {@link simulateScan} takes. */
export interface SimulationInput {
  /** Complex transmission (rows, cols). */
  readonly object: ComplexImage;
  /** (N, N), or (P, N, N) for incoherent modes; any scale. */
  readonly probe: ComplexTensor;
  /** Positions in object pixels. */
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
  /** Mean counts of a pattern over the scan. */
  readonly photons: number;
  /** Of the Poisson noise. */
  readonly seed: number;
  /** `poisson` (default), or `none` for expected amplitudes. */
  readonly noise?: 'poisson' | 'none';
  /** Facts to keep in the metadata: how object, probe and scan were made. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

/** The arrays of a scan file (names and shapes are those of `specs/data.md`). */
export interface SimulatedScan {
  /** √counts, (n, N, N), zero frequency at N/2. */
  readonly diffraction: Tensor;
  /** Positions in object pixels, (n,). */
  readonly xcoords: Tensor<Float64Array>;
  readonly ycoords: Tensor<Float64Array>;
  /** The true probe at the photon level of the data: |F(P·O)|² are expected counts. */
  readonly probeGuess: ComplexTensor;
  /** The true object. */
  readonly objectGuess: ComplexImage;
  readonly scan_index: Tensor<Int32Array>;
  readonly measurement_domain: 'count_amplitude';
  /** JSON: seed, dose, units. The same input gives the same text. */
  readonly metadata: string;
}

/**
 * Simulates a scan: λ = Σ_modes |F(P·patch)|² with patches cut by bilinear interpolation (zeros outside the object) at the
 * exact positions, the probe scaled so that the mean of Σλ over the scan is `photons`, counts drawn from Poisson(λ) by a
 * seeded generator.
 *
 * @throws PtychoError DATASET_SHAPE for unequal coordinates, CONFIG_INVALID for a dose that is not positive, DATASET_VALUE
 * where no light reaches the detector
 */
export function simulateScan(input: SimulationInput): SimulatedScan {
  const { object, probe, xs, ys, photons, seed, noise = 'poisson' } = input;
  const n = requireEqualLengths(xs, ys);
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
  const model = new DiffractionModel(probe);
  const side = model.side;
  const area = side * side;
  const diffraction = new Float32Array(n * area);
  const lambda = new Float64Array(area);
  const patternOf = (k: number) => {
    const patch = extractPatch(object, ys[k], xs[k], side);
    model.intensity(patch.re, patch.im, 0, lambda);
  };

  let total = 0;
  for (let k = 0; k < n; k++) {
    patternOf(k);
    for (let i = 0; i < area; i++) total += lambda[i];
  }
  if (!(total > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `No light reaches the detector: the object of shape ${formatShape(object.shape)} is dark or not finite at all ${n} positions.`,
      { positions: n },
    );
  }
  const scale = photonScale(photons, total / n);

  // The patterns are computed twice rather than kept: float64 intensities of a large scan would not fit.
  const rng = new LegacyRng(seed);
  for (let k = 0; k < n; k++) {
    patternOf(k);
    for (let i = 0; i < area; i++) {
      const expected = lambda[i] * scale * scale;
      diffraction[k * area + i] = Math.sqrt(noise === 'poisson' ? rng.poisson(expected) : expected);
    }
  }
  return {
    diffraction: { data: diffraction, shape: [n, side, side] },
    xcoords: { data: Float64Array.from(xs), shape: [n] },
    ycoords: { data: Float64Array.from(ys), shape: [n] },
    probeGuess: scaleComplex(probe, scale),
    objectGuess: object,
    scan_index: { data: new Int32Array(n), shape: [n] },
    measurement_domain: 'count_amplitude',
    metadata: JSON.stringify({
      schema_version: '1.0.0',
      physics_parameters: { nphotons: photons, N: side },
      simulation: {
        seed,
        noise,
        interpolation: 'bilinear',
        units: {
          diffraction: 'sqrt(counts)',
          xcoords: 'object pixel',
          ycoords: 'object pixel',
          probeGuess: 'sqrt(counts)',
        },
        ...input.notes,
      },
    }),
  };
}
