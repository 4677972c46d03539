/**
 * Small scans of which everything is known: a smooth object, a probe, positions on whole pixels and Poisson counts.
 *
 * @example
 * const scan = knownScan({ seed: 1 });
 * scan.counts.length; // n · N · N
 */
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexTensor } from '../../src/core/tensor.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';

/** Beams that scans are made with; `lopsided` is Gaussian and curved, with no symmetry at all. */
export const KNOWN_PROBES = ['lopsided', 'gaussian', 'defocused', 'aperture'] as const;

export interface KnownScanOptions {
  readonly seed?: number;
  readonly N?: number;
  /** Positions along each axis. */
  readonly nSide?: number;
  readonly step_px?: number;
  /** Largest shift of a position along each axis. */
  readonly jitter_px?: number;
  /** Mean photons of a pattern. */
  readonly photons?: number;
  readonly probe?: (typeof KNOWN_PROBES)[number];
  /** Largest phase and largest departure of the amplitude from 0.8. */
  readonly phase_rad?: number;
  readonly contrast?: number;
}

export interface KnownScan {
  readonly N: number;
  readonly n: number;
  /** Whole numbers, (n, N, N), zero frequency at N/2. */
  readonly counts: Float64Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Σ|P|² is the mean of the counts of a pattern without an object. */
  readonly probe: ComplexTensor;
  readonly object: ComplexTensor;
}

/** A scan; equal options give equal numbers. */
export function knownScan(options: KnownScanOptions = {}): KnownScan {
  const { seed = 1, N = 64, nSide = 7, step_px = 6, jitter_px = 1, photons = 2e5 } = options;
  const { probe: kind = 'lopsided', phase_rad = 0.9, contrast = 0.12 } = options;
  const rng = new LegacyRng(seed);
  const side = Math.ceil(N + step_px * (nSide - 1) + 12);
  const [amplitude, phase] = [smoothField(rng, side), smoothField(rng, side)];
  const re = Float32Array.from(amplitude, (a, i) => (0.8 + contrast * a) * Math.cos(phase_rad * phase[i]));
  const im = Float32Array.from(amplitude, (a, i) => (0.8 + contrast * a) * Math.sin(phase_rad * phase[i]));
  const object = { re, im, shape: [side, side] as [number, number] };
  const place = (at: number) => Math.round(at * step_px + rng.uniform(-jitter_px, jitter_px)) + N / 2 + 6;
  const n = nSide * nSide;
  const y = Float64Array.from({ length: n }, (_, i) => place(Math.floor(i / nSide)));
  const x = Float64Array.from({ length: n }, (_, i) => place(i % nSide));
  const simulated = simulateScan({ object, probe: beam(kind, N), xs: x, ys: y, photons, seed });
  const counts = Float64Array.from(simulated.diffraction.data, (d) => Math.round(d * d));
  return { N, n, counts, x, y, probe: simulated.probeGuess, object };
}

/** White noise with Gaussian falling frequencies, largest modulus 1; periodic. */
function smoothField(rng: LegacyRng, side: number): Float64Array {
  const cutoff = 0.06;
  const sigma_px = 1 / (2 * Math.PI * cutoff);
  const reach = Math.ceil(4 * sigma_px);
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / 2 / sigma_px ** 2),
  );
  let field = Float64Array.from({ length: side * side }, () => rng.normal());
  for (const [step, other] of [
    [1, side],
    [side, 1],
  ]) {
    const out = new Float64Array(field.length);
    for (let a = 0; a < side; a++) {
      for (let b = 0; b < side; b++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++)
          sum += kernel[k + reach] * field[a * other + ((b + k + side) % side) * step];
        out[a * other + b * step] = sum;
      }
    }
    field = out;
  }
  const largest = field.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return field.map((v) => v / largest);
}

/** A beam on N × N pixels; scaled by the simulation. Widths grow with N. */
function beam(kind: (typeof KNOWN_PROBES)[number], N: number): ComplexTensor {
  const [re, im] = [new Float32Array(N * N), new Float32Array(N * N)];
  const unit = 64 / N;
  for (let p = 0; p < re.length; p++) {
    const [y, x] = [(Math.floor(p / N) - N / 2) * unit, ((p % N) - N / 2) * unit];
    const r2 = x * x + y * y;
    const [modulus, phase] =
      kind === 'lopsided'
        ? [
            Math.exp(-((x - 2) ** 2 / 128 + (y + 1) ** 2 / 98)),
            0.012 * x * x + 0.006 * y * y + 0.004 * x * y + (0.0006 * x ** 3) / 8,
          ]
        : kind === 'gaussian'
          ? [Math.exp(-((x * x) / 2 + (y * y) / 2.4) / 6 ** 2), 0.002 * r2]
          : kind === 'defocused'
            ? [Math.exp(-((r2 / 12 ** 2) ** 3)), 0.02 * r2 + 0.0005 * x * x * y * 0.1]
            : [Math.abs(airy(Math.sqrt(r2) / 3.2)), airy(Math.sqrt(r2) / 3.2) < 0 ? Math.PI : 0];
    re[p] = modulus * Math.cos(phase);
    im[p] = modulus * Math.sin(phase);
  }
  return { re, im, shape: [N, N] };
}

/** 2·J₁(v)/v, the field in the focus of a round lens, by its integral. */
function airy(v: number): number {
  const steps = 64;
  let sum = 0;
  for (let k = 0; k < steps; k++)
    sum += Math.cos(v * Math.cos(((k + 0.5) * Math.PI) / steps)) * Math.sin(((k + 0.5) * Math.PI) / steps) ** 2;
  return (2 * sum) / steps;
}
