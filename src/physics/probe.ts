/** Probes: the default disk, masks and the published normalisation; a guess from patterns; power, and incoherent modes. */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, ComplexTensor, Shape, Tensor } from '../core/tensor.js';
import { AnyFft2 } from './fourier.js';
import { gaussianBlur, gaussianWindow } from './gaussian.js';
import { emptyLike, type FloatArray } from './sampling.js';

/** The published default for `probe_scale`. */
export const DEFAULT_PROBE_SCALE = 4;

/**
 * The default probe (N, N): the half-maximum disk of a Gaussian of standard deviation N/(0.7π²), blurred by σ = 1 px, plus
 * 1e-9; real and positive (376 pixels at N = 64).
 */
export function defaultDiskProbe(side: number): Tensor<Float64Array> {
  const window = gaussianWindow(side, side / (0.7 * Math.PI ** 2));
  const disk = new Float64Array(side * side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) disk[r * side + c] = window[r] * window[c] > 0.5 ? 1 : 0;
  }
  const probe = gaussianBlur({ data: disk, shape: [side, side] }, 1);
  for (let i = 0; i < probe.data.length; i++) probe.data[i] += 1e-9;
  return probe;
}

/** The hard probe mask (N, N): 1 where the distance from the centre (N/2 − ½) is below N/4, else 0 (812 pixels at N = 64). */
export function probeMask(side: number): Tensor<Float64Array> {
  const radius = Math.floor(side / 4);
  const half = Math.floor(side / 2);
  const data = new Float64Array(side * side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const distance2 = (r - half + 0.5) ** 2 + (c - half + 0.5) ** 2;
      data[r * side + c] = distance2 < radius * radius ? 1 : 0;
    }
  }
  return { data, shape: [side, side] };
}

/**
 * The published soft mask (N, N): a disk about the same centre, blurred by a Gaussian that ends at ⌈3σ⌉ pixels, its largest value 1.
 * @param diameter of the disk, pixels; N/2 where not given
 */
export function softProbeMask(side: number, sigma: number, diameter: number | null = null): Tensor<Float64Array> {
  const radius = (diameter ?? side / 2) / 2;
  const half = Math.floor(side / 2);
  const data = new Float64Array(side * side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      data[r * side + c] = (r - half + 0.5) ** 2 + (c - half + 0.5) ** 2 < radius * radius ? 1 : 0;
    }
  }
  const blurred = gaussianBlur({ data, shape: [side, side] }, sigma, { edge: 'zero', radius: Math.ceil(3 * sigma) });
  const largest = blurred.data.reduce((most, v) => Math.max(most, v), 0);
  return { data: blurred.data.map((v) => Math.min(1, Math.max(0, v / largest))), shape: [side, side] };
}

/** The mask that a network multiplies its probe by; undefined where it has none. */
export function configuredProbeMask(model: {
  readonly N: number;
  readonly probe_mask: boolean;
  readonly probe_mask_edge: 'hard' | 'soft';
  readonly probe_mask_sigma: number;
  readonly probe_mask_diameter: number | null;
}): Float64Array | undefined {
  if (!model.probe_mask) return undefined;
  if (model.probe_mask_edge === 'hard') return probeMask(model.N).data;
  return softProbeMask(model.N, model.probe_mask_sigma, model.probe_mask_diameter).data;
}

/** A probe in the published gauge. */
export interface NormalisedProbe<T extends FloatArray> {
  /** P / norm; never masked itself. */
  readonly probe: ComplexTensor<T>;
  /** probe_scale · mean|mask·P|. */
  readonly norm: number;
}

/**
 * The published probe gauge: P/(probe_scale · mean|mask·P|). The mask enters the norm only. TensorFlow's form always uses
 * {@link probeMask}; PyTorch's uses a mask with a soft edge where masking is on and none otherwise. All modes of a (P, N, N)
 * probe share one norm.
 */
export function normaliseProbe<T extends FloatArray>(
  probe: ComplexTensor<T>,
  options: { readonly probeScale?: number; readonly mask?: Tensor<Float64Array> } = {},
): NormalisedProbe<T> {
  const { probeScale = DEFAULT_PROBE_SCALE, mask } = options;
  const area = probe.shape[probe.shape.length - 1] * probe.shape[probe.shape.length - 2];
  let sum = 0;
  for (let i = 0; i < probe.re.length; i++) {
    sum += Math.hypot(probe.re[i], probe.im[i]) * (mask ? mask.data[i % area] : 1);
  }
  const norm = (probeScale * sum) / probe.re.length;
  return { probe: scaleComplex(probe, 1 / norm), norm };
}

/**
 * The published guess where a scan has no probe: a real Gaussian as wide as the central row of |F⁻¹ of the mean amplitude pattern|
 * (its standard deviation about N/2), cut by the hard probe mask and scaled so that it sums to what the default disk does.
 * @param amplitudes (n, N, N), zero frequency at N/2, N even
 */
export function probeGuessFromPatterns(amplitudes: Tensor<FloatArray>): ComplexImage {
  const [count, side] = amplitudes.shape;
  const area = side * side;
  const re = new Float64Array(area);
  const im = new Float64Array(area);
  for (let i = 0; i < amplitudes.data.length; i++) re[i % area] += amplitudes.data[i] / count;
  new AnyFft2(side, side).inverse(re, im);
  // Only the modulus counts, so the place of the zero frequency does not: it multiplies by ±1.
  const half = side / 2;
  let [weight, moment] = [0, 0];
  for (let c = 0; c < side; c++) {
    const modulus = Math.hypot(re[c], im[c]);
    // Row 0 of the transform is the central row once its origin is moved to N/2.
    const distance = c < half ? c : c - side;
    weight += modulus;
    moment += modulus * distance ** 2;
  }
  const window = gaussianWindow(side, Math.sqrt(moment / weight));
  const mask = probeMask(side).data;
  const guess = Float64Array.from(
    { length: area },
    (_, i) => mask[i] * window[Math.floor(i / side)] * window[i % side],
  );
  const sum = (values: Float64Array) => values.reduce((s, v) => s + v, 0);
  const scale = sum(defaultDiskProbe(side).data) / sum(guess);
  return { re: Float32Array.from(guess, (v) => v * scale), im: new Float32Array(area), shape: [side, side] };
}

/** Real and imaginary parts. */
type Parts = Pick<ComplexTensor<FloatArray>, 're' | 'im'>;

/** Σ|P|² over the modes at each of `area` pixels. */
export function modeIntensity({ re, im }: Parts, area: number): Float64Array {
  const sums = new Float64Array(area);
  for (let i = 0; i < re.length; i++) sums[i % area] += re[i] ** 2 + im[i] ** 2;
  return sums;
}

/** The same in single precision, as patches are weighted where they are merged and stitched. */
export function probeIntensity({ re, im, shape }: ComplexTensor): Float32Array {
  const [rows, columns] = shape.slice(-2);
  const power = new Float32Array(rows * columns);
  for (let i = 0; i < re.length; i++) power[i % power.length] += re[i] ** 2 + im[i] ** 2;
  return power;
}

/** Σ|P|², in counts when the probe carries the photon level: the mean counts behind an empty object. */
export function totalIntensity(image: Parts): number {
  let sum = 0;
  for (let i = 0; i < image.re.length; i++) sum += image.re[i] ** 2 + image.im[i] ** 2;
  return sum;
}

/**
 * What a probe must be multiplied by so that the patterns it explains hold as many counts as the measured ones: exposures differ, and
 * a probe file keeps the power of the one that it was made at.
 * @param counts,modelled sums over the same pixels; 1 where nothing is modelled
 */
export const exposureFactor = (counts: number, modelled: number): number =>
  modelled > 0 ? Math.sqrt(counts / modelled) : 1;

/** The array divided by √Σ|P|², in single precision. */
export function unitPower(re: Float64Array, im: Float64Array, shape: Shape): ComplexImage {
  const scale = 1 / Math.sqrt(totalIntensity({ re, im }));
  return { re: Float32Array.from(re, (v) => v * scale), im: Float32Array.from(im, (v) => v * scale), shape };
}

/** The array times a real number. */
export function scaleComplex<T extends FloatArray>(image: ComplexTensor<T>, factor: number): ComplexTensor<T> {
  const re = emptyLike(image.re);
  const im = emptyLike(image.im);
  for (let i = 0; i < re.length; i++) {
    re[i] = image.re[i] * factor;
    im[i] = image.im[i] * factor;
  }
  return { re, im, shape: image.shape };
}

/** A real image as a complex one (float32). */
export function asComplex(image: Tensor<FloatArray>): ComplexImage {
  return { re: Float32Array.from(image.data), im: new Float32Array(image.data.length), shape: image.shape };
}

/**
 * Diameter in pixels of a disc as large as the probe: 2·√(A/π), A = (Σ|P|²)² / Σ|P|⁴ pixels; the modes of a (P, N, N) probe
 * add up in intensity first.
 */
export function probeDiameter(probe: ComplexTensor<FloatArray>): number {
  const { shape } = probe;
  let [sum, squares] = [0, 0];
  for (const v of modeIntensity(probe, shape[shape.length - 1] * shape[shape.length - 2])) {
    sum += v;
    squares += v * v;
  }
  return squares === 0 ? 0 : 2 * Math.sqrt((sum * sum) / squares / Math.PI);
}

/**
 * Width of a probe: the diameter of a disc of as many pixels as have half the largest intensity or more (modes added up), which is
 * the full width at half maximum of a round probe.
 */
export function probeFwhm(probe: ComplexTensor<Float32Array | Float64Array>): number {
  const { shape } = probe;
  const intensity = modeIntensity(probe, shape[shape.length - 1] * shape[shape.length - 2]);
  const half = intensity.reduce((most, v) => Math.max(most, v), 0) / 2;
  const lit = intensity.reduce((count, v) => count + (half > 0 && v >= half ? 1 : 0), 0);
  return 2 * Math.sqrt(lit / Math.PI);
}

/**
 * Mutually orthogonal modes (P, N, N) from one probe: the probe itself, then it times x, y, x², xy, y², … (from its centre), made
 * orthogonal in this order (Gram and Schmidt; Hermite–Gauss modes where the probe is a Gaussian), with the given shares of its
 * power. One share gives the probe back, as (N, N).
 * @param powers relative powers of the modes, positive; they are divided by their sum
 * @throws PtychoError CONFIG_INVALID for no or impossible powers, or more modes than the probe has room for
 */
export function incoherentModes(probe: ComplexImage, powers: readonly number[]): ComplexTensor {
  if (powers.length === 0 || !powers.every((p) => p > 0 && Number.isFinite(p))) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `The powers of probe modes must be positive numbers, one a mode, such as 0.7,0.2,0.1; got ${powers.join(', ') || 'none'}.`,
      { key: 'probe_mode_powers', found: powers },
    );
  }
  if (powers.length === 1) return probe;
  const [rows, cols] = probe.shape;
  const area = rows * cols;
  const total = totalIntensity(probe);
  const { y: cy, x: cx, spread } = centreOf(probe);
  const modes: { re: Float64Array; im: Float64Array }[] = [];
  for (const [a, b] of exponents(powers.length)) {
    const re = new Float64Array(area);
    const im = new Float64Array(area);
    for (let i = 0; i < area; i++) {
      const factor = ((Math.floor(i / cols) - cy) / spread) ** b * (((i % cols) - cx) / spread) ** a;
      re[i] = probe.re[i] * factor;
      im[i] = probe.im[i] * factor;
    }
    const before = Math.sqrt(totalIntensity({ re, im }));
    // Twice: the second pass takes away what rounding left.
    for (let pass = 0; pass < 2; pass++) for (const mode of modes) subtractProjection(re, im, mode);
    const left = Math.sqrt(totalIntensity({ re, im }));
    if (!(left > 1e-6 * before)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `This probe has room for ${modes.length} orthogonal modes only, ${powers.length} were asked for.`,
        { key: 'probe_mode_powers', found: powers.length, expected: modes.length },
      );
    }
    modes.push({ re: re.map((v) => v / left), im: im.map((v) => v / left) });
  }
  const sum = powers.reduce((s, p) => s + p, 0);
  const re = new Float32Array(powers.length * area);
  const im = new Float32Array(powers.length * area);
  modes.forEach((mode, k) => {
    const scale = Math.sqrt((total * powers[k]) / sum);
    for (let i = 0; i < area; i++) {
      re[k * area + i] = mode.re[i] * scale;
      im[k * area + i] = mode.im[i] * scale;
    }
  });
  return { re, im, shape: [powers.length, rows, cols] };
}

/** (0,0), (1,0), (0,1), (2,0), (1,1), (0,2), …: powers of x and y. */
function exponents(count: number): [number, number][] {
  const list: [number, number][] = [];
  for (let order = 0; list.length < count; order++) {
    for (let b = 0; b <= order && list.length < count; b++) list.push([order - b, b]);
  }
  return list;
}

/** Centre of the intensity and its standard deviation along an axis, pixels. */
function centreOf({ re, im, shape }: ComplexImage): { y: number; x: number; spread: number } {
  const cols = shape[1];
  let [power, y, x, squares] = [0, 0, 0, 0];
  for (let i = 0; i < re.length; i++) {
    const p = re[i] ** 2 + im[i] ** 2;
    const [r, c] = [Math.floor(i / cols), i % cols];
    power += p;
    y += p * r;
    x += p * c;
    squares += p * (r * r + c * c);
  }
  [y, x] = [y / power, x / power];
  return { y, x, spread: Math.sqrt(Math.max(1e-6, (squares / power - y * y - x * x) / 2)) };
}

/** v ← v − ⟨mode, v⟩·mode, for a mode of norm 1. */
function subtractProjection(re: Float64Array, im: Float64Array, mode: { re: Float64Array; im: Float64Array }): void {
  let [a, b] = [0, 0];
  for (let i = 0; i < re.length; i++) {
    a += mode.re[i] * re[i] + mode.im[i] * im[i];
    b += mode.re[i] * im[i] - mode.im[i] * re[i];
  }
  for (let i = 0; i < re.length; i++) {
    re[i] -= a * mode.re[i] - b * mode.im[i];
    im[i] -= a * mode.im[i] + b * mode.re[i];
  }
}
