/** Partial coherence: several modes, whose intensities add up. */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import { totalIntensity } from './probe.js';

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
    const before = norm(re, im);
    // Twice: the second pass takes away what rounding left.
    for (let pass = 0; pass < 2; pass++) for (const mode of modes) subtractProjection(re, im, mode);
    const left = norm(re, im);
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

function norm(re: Float64Array, im: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < re.length; i++) sum += re[i] ** 2 + im[i] ** 2;
  return Math.sqrt(sum);
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
