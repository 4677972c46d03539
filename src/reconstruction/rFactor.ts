/**
 * Amplitude R factor: how well an object image explains the measured patterns through the forward model.
 * R = Σ|√I − |Ψ|| / Σ√I over all patterns and pixels.
 */

import { PtychoError, requireObject } from '../core/errors.js';
import { spreadIndices, valuesAt } from '../core/numbers.js';
import { type ComplexImage, type ComplexTensor, formatShape, type Tensor } from '../core/tensor.js';
import { freeSpaceOf, wavelengthOf } from '../data/opening/wavelength.js';
import type { RawData } from '../data/rawData.js';
import { rootDeviation } from '../physics/countStatistics.js';
import { DiffractionModel } from '../physics/detector.js';
import { DetectorTransform } from '../physics/fourier.js';
import type { ObjectLayers } from '../physics/layers.js';
import { exposureFactor } from '../physics/probe.js';
import { type FreeSpace, transferFunction } from '../physics/propagation.js';
import { type FloatArray, sampleWindow } from '../physics/sampling.js';
import { type FillOptions, type Frame, fillUncovered, frameForScan, moveToFrame, scanBounds } from './frame.js';

/**
 * How positions between pixels are met: `bilinear` cuts interpolated object patches; `fourier` cuts at the rounded position
 * and shifts the probe by the rest in Fourier space. Bilinear patches are smoother than the object, so the two differ in
 * the dark parts of a pattern.
 */
export type SubPixelShift = 'bilinear' | 'fourier';

/** A measured scan, as the R factor needs it. */
export interface MeasuredScan {
  /** √counts (n, N, N). */
  readonly diffraction: Tensor;
  /** Positions in object pixels. */
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
  /** (N, N) or (P, N, N), at the photon level of the data. */
  readonly probe: ComplexTensor<FloatArray>;
  /** (N, N): 1 at detector pixels that are left out. */
  readonly badPixels?: ArrayLike<number>;
  /** The way of light to a near detector; left out: patterns are far fields. */
  readonly nearField?: FreeSpace;
  /** From each slice of the object to the next, where it has several. */
  readonly between?: readonly FreeSpace[];
}

/** An object that patterns are explained with: an image, or where it has slices, these. */
interface ScoredObject {
  readonly image: ComplexImage;
  readonly frame: Frame;
  readonly layers?: ObjectLayers;
}

/** What {@link amplitudeRFactor} takes besides the scan. */
export interface RFactorOptions extends FillOptions {
  /** Default `bilinear`. */
  readonly shift?: SubPixelShift;
}

/**
 * R of an object image over a scan, through its own forward model (nothing is rescaled).
 * @throws PtychoError DATASET_SHAPE for arrays that do not fit together, DATASET_VALUE for a scan without counts
 */
export function amplitudeRFactor(scan: MeasuredScan, object: ScoredObject, options: RFactorOptions = {}): number {
  return misfitAt(1, scan, object, options);
}

/**
 * R of an object image with the probe scaled to the counts of the scan ({@link exposureFactor}), as the solvers scale it: what the
 * light of another exposure would add to R is no fault of the image.
 * @returns R; what the probe was multiplied by; and `noise`, the R that counting alone would leave were the modelled patterns the true
 * ones, each number one photon
 * @throws PtychoError as {@link amplitudeRFactor}
 */
export function exposedRFactor(
  scan: MeasuredScan,
  object: ScoredObject,
  options: RFactorOptions = {},
): { readonly r: number; readonly factor: number; readonly noise: number } {
  let counts = 0;
  let power = 0;
  forEachPixel(scan, object, options, (seen, modelled) => {
    counts += seen * seen;
    power += modelled * modelled;
  });
  const factor = exposureFactor(counts, power);
  let [misfit, measured, deviation] = [0, 0, 0];
  forEachPixel(scan, object, options, (seen, modelled) => {
    misfit += Math.abs(seen - factor * modelled);
    measured += seen;
    deviation += rootDeviation((factor * modelled) ** 2);
  });
  return { r: quotient(misfit, measured), factor, noise: quotient(deviation, measured) };
}

/** Σ|√I − factor·|Ψ|| / Σ√I. */
function misfitAt(factor: number, scan: MeasuredScan, object: ScoredObject, options: RFactorOptions): number {
  let misfit = 0;
  let measured = 0;
  forEachPixel(scan, object, options, (seen, modelled) => {
    misfit += Math.abs(seen - factor * modelled);
    measured += seen;
  });
  return quotient(misfit, measured);
}

/**
 * R of an object image whose amplitudes are known up to a common factor only, as those of other programs are: the factor is the
 * one of least squares.
 * @throws PtychoError as {@link amplitudeRFactor}
 */
export function scaledRFactor(
  scan: MeasuredScan,
  object: ScoredObject,
  options: RFactorOptions = {},
): { readonly r: number; readonly factor: number } {
  let cross = 0;
  let power = 0;
  forEachPixel(scan, object, options, (seen, modelled) => {
    cross += seen * modelled;
    power += modelled * modelled;
  });
  const factor = power > 0 ? cross / power : 0;
  return { r: misfitAt(factor, scan, object, options), factor };
}

/** Measured and modelled amplitude of every pixel of every pattern that counts. */
function forEachPixel(
  scan: MeasuredScan,
  object: ScoredObject,
  options: RFactorOptions,
  visit: (measured: number, modelled: number) => void,
): void {
  const [n, side] = requireScan(scan);
  // Beam and detector stay: of near fields only patches are moved.
  const shift = scan.nearField ? 'bilinear' : (options.shift ?? 'bilinear');
  // One canvas that holds every patch whole, so that no patch meets an edge.
  const canvas = frameForScan(scanBounds(scan.xs, scan.ys), side + 2);
  const { between } = scan;
  const layers = between && object.layers ? layersOf(object.layers) : [object.image];
  const whole = layers.map((layer) => {
    const { image, fill } = fillUncovered(layer, options);
    return moveToFrame(image, object.frame, canvas, fill);
  });
  const probe = shift === 'fourier' ? new ShiftedProbe(scan.probe) : undefined;
  const gaps = layers.length > 1 ? between!.map((space) => transferFunction(side, space)) : [];
  const model = new DiffractionModel(probe?.shifted ?? scan.probe, transferOf(scan, side), gaps);
  const area = side * side;
  const half = Math.floor(side / 2);
  const re = new Float64Array(layers.length * area);
  const im = new Float64Array(layers.length * area);
  const lambda = new Float64Array(area);
  const [top, left] = canvas.originYxPx;
  for (let k = 0; k < n; k++) {
    const iy = probe ? Math.round(scan.ys[k]) : scan.ys[k];
    const ix = probe ? Math.round(scan.xs[k]) : scan.xs[k];
    probe?.moveTo(scan.ys[k] - iy, scan.xs[k] - ix);
    whole.forEach((layer, s) => {
      const at = [iy - half - top, ix - half - left] as const;
      sampleWindow(layer.re, canvas.height, canvas.width, ...at, re, side, side, s * area);
      sampleWindow(layer.im, canvas.height, canvas.width, ...at, im, side, side, s * area);
    });
    model.intensity(re, im, 0, lambda);
    for (let i = 0, at = k * area; i < area; i++, at++) {
      if (!scan.badPixels?.[i]) visit(scan.diffraction.data[at], Math.sqrt(lambda[i]));
    }
  }
}

const transferOf = ({ nearField }: Pick<MeasuredScan, 'nearField'>, side: number) =>
  nearField && transferFunction(side, nearField);

/** Whose probe an image was explained with: the one that lies beside it, that of the scan, or that of the model. */
export type ProbeOwner = 'reconstruction' | 'scan' | 'model';

/** R of an image on (a sample of) the scan, and the figures that it is judged by. */
export interface ImageRFactor {
  readonly image: number;
  /** Of the best constant object: what the image must beat. */
  readonly constant: number;
  /** What counting alone would leave, if every count is one photon; undefined for numbers that are no counts. */
  readonly noise?: number;
  readonly patterns: number;
  readonly probe: ProbeOwner;
  /** What the probe was multiplied by to explain as many counts as were measured. */
  readonly probeScale: number;
}

/** Patterns that R is measured on where nobody says how many. */
export const R_FACTOR_PATTERNS = 64;

/** What R of an image is measured with. */
export interface ScoringOptions {
  /** Patterns at most; 0: none. */
  readonly limit: number;
  /** In √counts, up to a factor; R is not measured without one. */
  readonly probe: ComplexTensor | undefined;
  readonly of: ProbeOwner;
  /** Where the patterns are, if not where they were measured. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/**
 * The one R of all commands: on evenly spaced patterns of the scan, through bilinear patches, the probe scaled to their counts.
 * Undefined where it is switched off, there is no probe, or a probe in counts for amplitudes of unknown scale.
 * @param object its weight: 0 where nothing was reconstructed
 */
export async function scoreR(
  raw: RawData,
  object: ScoredObject & { readonly weight: Tensor },
  { limit, probe, of, positions }: ScoringOptions,
): Promise<ImageRFactor | undefined> {
  const counted = raw.domain !== 'normalized_amplitude';
  // Amplitudes of unknown scale say nothing about a probe in counts; one that was found with the image has their scale.
  if (limit === 0 || !probe || !(counted || of === 'reconstruction')) return undefined;
  const patterns = Math.min(limit, raw.count);
  const scan = await sampleScan(raw, patterns, probe, positions);
  const between = object.layers && gapsOf(raw, object.layers);
  const { r, factor, noise } = exposedRFactor({ ...scan, between }, object, { overlapCount: object.weight });
  const { best: constant } = constantObjectRFactor(scan);
  return { image: r, constant, ...(counted && { noise }), patterns, probe: of, probeScale: factor };
}

/** Undefined where wavelength, pixels or distances are not known: then their product stands for the layers. */
function gapsOf({ geometry }: RawData, { spacing_m }: ObjectLayers): FreeSpace[] | undefined {
  const { objectPixel_m: pixel_m } = geometry;
  const wavelength_m = wavelengthOf(geometry);
  if (pixel_m === undefined || wavelength_m === undefined || !spacing_m.every((v) => v > 0)) return undefined;
  return Array.from(spacing_m, (distance_m) => ({ wavelength_m, distance_m, pixel_m }));
}

function layersOf({ array: { re, im, shape } }: ObjectLayers): ComplexImage[] {
  const [count, height, width] = shape;
  const pixels = height * width;
  const cut = (part: Float32Array, s: number) => part.slice(s * pixels, (s + 1) * pixels);
  return Array.from({ length: count }, (_, s) => ({ re: cut(re, s), im: cut(im, s), shape: [height, width] }));
}

/**
 * Evenly spaced patterns of a scan, in memory.
 * @param positions where the patterns are, if not where they were measured
 */
export async function sampleScan(
  raw: RawData,
  count: number,
  probe: ComplexTensor,
  positions: { readonly xs: Float64Array; readonly ys: Float64Array } = { xs: raw.xcoords, ys: raw.ycoords },
): Promise<MeasuredScan> {
  const indices = spreadIndices(raw.count, count);
  const data = new Float32Array(indices.length * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, data);
  return {
    diffraction: { data, shape: [indices.length, raw.N, raw.N] },
    xs: valuesAt(positions.xs, indices),
    ys: valuesAt(positions.ys, indices),
    probe,
    badPixels: raw.badPixels,
    ...(raw.geometry.nearField && { nearField: freeSpaceOf(raw.geometry) }),
  };
}

/** R of constant objects. */
export interface ConstantObjectRFactor {
  /** The lowest R that any constant object reaches, and its amplitude. */
  readonly best: number;
  readonly amplitude: number;
  /** R of an empty object (amplitude 1). */
  readonly empty: number;
}

/**
 * R of the best constant object with this probe: the figure that a reconstruction must beat. All patterns of a constant
 * object are alike, so R is a convex function of its amplitude and its minimum is found by golden section.
 */
export function constantObjectRFactor(scan: Omit<MeasuredScan, 'xs' | 'ys'>): ConstantObjectRFactor {
  const [n, side] = requireScan({ ...scan, xs: [], ys: [] }, false);
  const area = side * side;
  const lambda = new Float64Array(area);
  new DiffractionModel(scan.probe, transferOf(scan, side)).intensity(
    new Float64Array(area).fill(1),
    new Float64Array(area),
    0,
    lambda,
  );
  // A pixel that predicts nothing and measures nothing adds nothing.
  const pattern = lambda.map((v, i) => (scan.badPixels?.[i] ? 0 : Math.sqrt(v)));
  const measuredAt = (at: number, i: number) => (scan.badPixels?.[i] ? 0 : scan.diffraction.data[at]);
  let measured = 0;
  let cross = 0;
  for (let k = 0, at = 0; k < n; k++) {
    for (let i = 0; i < area; i++, at++) {
      measured += measuredAt(at, i);
      cross += measuredAt(at, i) * pattern[i];
    }
  }
  const r = (amplitude: number) => {
    let misfit = 0;
    for (let k = 0, at = 0; k < n; k++) {
      for (let i = 0; i < area; i++, at++) misfit += Math.abs(measuredAt(at, i) - amplitude * pattern[i]);
    }
    return quotient(misfit, measured);
  };
  const leastSquares = cross / (n * pattern.reduce((s, p) => s + p * p, 0));
  const [amplitude, best] = goldenSection(r, 0.5 * leastSquares, 1.5 * leastSquares);
  return { best, amplitude, empty: r(1) };
}

/** A probe moved by fractions of a pixel in Fourier space; holds its spectrum. */
class ShiftedProbe {
  /** The probe after the last {@link moveTo}; the arrays are overwritten. */
  readonly shifted: ComplexTensor<Float64Array>;
  private readonly side: number;
  private readonly modes: number;
  private readonly transform: DetectorTransform;
  private readonly spectra: { readonly re: Float64Array; readonly im: Float64Array }[] = [];

  constructor(probe: ComplexTensor<FloatArray>) {
    this.side = probe.shape[probe.shape.length - 1];
    const area = this.side * this.side;
    this.modes = probe.re.length / area;
    this.transform = new DetectorTransform(this.side);
    this.shifted = { re: new Float64Array(probe.re.length), im: new Float64Array(probe.re.length), shape: probe.shape };
    for (let p = 0; p < this.modes; p++) {
      const re = Float64Array.from(probe.re.subarray(p * area, (p + 1) * area));
      const im = Float64Array.from(probe.im.subarray(p * area, (p + 1) * area));
      this.transform.forward(re, im);
      this.spectra.push({ re, im });
    }
  }

  moveTo(dy: number, dx: number): void {
    const { side } = this;
    const area = side * side;
    const rows = phases(side, dy);
    const cols = phases(side, dx);
    this.spectra.forEach((spectrum, p) => {
      const re = this.shifted.re.subarray(p * area, (p + 1) * area);
      const im = this.shifted.im.subarray(p * area, (p + 1) * area);
      for (let r = 0, i = 0; r < side; r++) {
        for (let c = 0; c < side; c++, i++) {
          const a = rows.re[r] * cols.re[c] - rows.im[r] * cols.im[c];
          const b = rows.re[r] * cols.im[c] + rows.im[r] * cols.re[c];
          re[i] = spectrum.re[i] * a - spectrum.im[i] * b;
          im[i] = spectrum.re[i] * b + spectrum.im[i] * a;
        }
      }
      this.transform.inverse(re, im);
    });
  }
}

/** e^{−2πi(k−⌊N/2⌋)d/N}; the Nyquist frequency of even N takes its real part, which keeps real images real. */
function phases(side: number, distance: number): { re: Float64Array; im: Float64Array } {
  const centre = Math.floor(side / 2);
  const re = new Float64Array(side);
  const im = new Float64Array(side);
  for (let k = 0; k < side; k++) {
    const angle = (-2 * Math.PI * (k - centre) * distance) / side;
    re[k] = Math.cos(angle);
    im[k] = 2 * (k - centre) === -side ? 0 : Math.sin(angle);
  }
  return { re, im };
}

function requireScan(scan: MeasuredScan, positions = true): [number, number] {
  requireObject(scan, 'An R factor is measured on { diffraction, xs, ys, probe }', ['diffraction', 'probe']);
  const [n, side, columns] = scan.diffraction.shape;
  const probeSide = scan.probe.shape[scan.probe.shape.length - 1];
  const misplaced = positions && (scan.xs.length !== n || scan.ys.length !== n);
  if (scan.diffraction.shape.length !== 3 || side !== columns || probeSide !== side || misplaced) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `An R factor needs diffraction (n, N, N), a probe of side N and n positions; found diffraction ${formatShape(scan.diffraction.shape)}, probe ${formatShape(scan.probe.shape)}, ${scan.xs.length} x and ${scan.ys.length} y coordinates.`,
      { diffraction: scan.diffraction.shape, probe: scan.probe.shape, xs: scan.xs.length, ys: scan.ys.length },
    );
  }
  return [n, side];
}

function quotient(misfit: number, measured: number): number {
  if (!(measured > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      'The diffraction patterns hold no counts, so an R factor has no meaning.',
      {},
    );
  }
  return misfit / measured;
}

/** The minimum of a convex function on [low, high]: place and value. */
function goldenSection(f: (x: number) => number, low: number, high: number): [number, number] {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let a = high - ratio * (high - low);
  let b = low + ratio * (high - low);
  let fa = f(a);
  let fb = f(b);
  while (high - low > 1e-3 * high) {
    if (fa < fb) {
      [high, b, fb] = [b, a, fa];
      a = high - ratio * (high - low);
      fa = f(a);
    } else {
      [low, a, fa] = [a, b, fb];
      b = low + ratio * (high - low);
      fb = f(b);
    }
  }
  return fa < fb ? [a, fa] : [b, fb];
}
