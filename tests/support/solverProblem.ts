/** A small random scan for engines of the solvers, with everything that is awkward: places between pixels, bad pixels, dark ones. */
import { LegacyRng } from '../../src/core/rng.js';
import { transferFunction } from '../../src/physics/propagation.js';
import { noBackground } from '../../src/solvers/corrections/background.js';
import { steadyBeam } from '../../src/solvers/corrections/beam.js';
import type { FieldSizes } from '../../src/solvers/fieldMemory.js';
import { smoothTerms } from '../../src/solvers/smoothTerms.js';
import type { SolverScan, WavePasses } from '../../src/solvers/wavePasses.js';

export interface SolverProblem {
  readonly scan: SolverScan;
  readonly sizes: FieldSizes;
  readonly floor: number;
  /** Object, probe and, with coherent modes, what it varies by, that are near what made the patterns. */
  fill(engine: WavePasses): void;
}

/** What a scan may have besides: coherent modes, points of the way of each pattern, probes of several scans, slices, a detector that is near. */
export interface MoreOfAScan {
  readonly coherent?: number;
  readonly points?: number;
  readonly probes?: number;
  readonly slices?: number;
  readonly near?: boolean;
  /** Smooth terms of the background. */
  readonly background?: number;
}

export function solverProblem(
  N: number,
  modes: number,
  count: number,
  seed = 1,
  { coherent = 0, points = 1, probes = 1, slices = 1, near = false, background }: MoreOfAScan = {},
): SolverProblem {
  const rng = new LegacyRng(seed);
  const area = N * N;
  const [height, width] = [N + 13, N + 17];
  const half = Math.floor(N / 2);
  const amplitudes = new Float32Array(new SharedArrayBuffer(4 * count * area));
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < area; i++) {
      const [r, c] = [Math.floor(i / N), i % N].map((v) => Math.min(v, N - v));
      const bright = 40 * Math.exp(-(r * r + c * c) / (0.05 * area));
      const bad = i === 3 * N + 2 || (k === 1 && i < N);
      amplitudes[k * area + i] = bad ? -1 : Math.sqrt(rng.poisson(bright * (0.5 + rng.random())));
    }
  }
  const positions = (length: number) => {
    const out = new Float64Array(new SharedArrayBuffer(8 * count));
    // A pixel of margin on both sides.
    for (let k = 0; k < count; k++) out[k] = half + 1.6 + (length - N - 3.2) * rng.random();
    out[0] = half + 3;
    return out;
  };
  const [ys, xs] = [positions(height), positions(width)];
  const object = Array.from({ length: slices * height * width }, () => [1 + 0.3 * rng.normal(), 0.4 * rng.normal()]);
  const probe = Array.from({ length: probes * modes * area }, (_, i) => {
    const [r, c] = [Math.floor((i % area) / N) - half, (i % N) - half];
    const size = Math.exp(-(r * r + c * c) / (0.08 * area)) * 4;
    return [size * (1 + 0.2 * rng.normal()), size * (0.3 * c + 0.2 * rng.normal())];
  });
  const variation = Array.from({ length: coherent * area }, (_, i) => [
    0.3 * probe[i % area][0] * rng.normal(),
    0.3 * probe[i % area][0] * rng.normal(),
  ]);
  const beam = coherent > 0 ? steadyBeam(count, coherent) : undefined;
  if (beam) {
    for (let k = 0; k < count; k++) beam.flux[k] = 1 + 0.1 * rng.normal();
    for (let i = 0; i < beam.weights.length; i++) beam.weights[i] = 0.4 * rng.normal();
  }
  // λz/pixel²: a few pixels of blur, another for each gap.
  const over = (distance_m: number) => transferFunction(N, { wavelength_m: 1, distance_m, pixel_m: { x: 10, y: 10 } });
  const propagation = {
    ...(near && { detector: over(0.3 * N * 100) }),
    slices: Array.from({ length: slices - 1 }, (_, s) => over(200 + 100 * s)),
  };
  // Ways of up to a pixel and a half to either side: what the margins leave.
  const way = () => {
    const out = new Float64Array(new SharedArrayBuffer(8 * count));
    for (let k = 0; k < count; k++) out[k] = 3 * (rng.random() - 0.5);
    return out;
  };
  const ways = points > 1 ? { points, ys: way(), xs: way() } : undefined;
  const probeOf = probes > 1 ? new Int32Array(new SharedArrayBuffer(4 * count)) : undefined;
  probeOf?.forEach((_, k) => {
    probeOf[k] = k % probes;
  });
  const stray = background === undefined ? undefined : noBackground(count, background, true);
  for (let i = 0; stray && i < stray.weights.length; i++) stray.weights[i] = i % 4 === 0 ? 0 : 2 * rng.random();
  return {
    scan: {
      ...{ N, count, amplitudes, ys, xs },
      ...(stray && { background: stray }),
      ...(beam && { beam }),
      ...(ways && { ways }),
      ...(probeOf && { probeOf }),
      ...((near || slices > 1) && { propagation }),
    },
    sizes: {
      ...{ N, modes, height, width },
      ...(slices > 1 && { slices }),
      ...(stray && { background }),
      ...(beam && { coherent }),
      ...(ways && { points }),
      ...(probeOf && { probes }),
    },
    floor: 1e-5,
    fill({ memory }) {
      const { pixels, hold, damp, terms } = memory.background;
      for (let i = 0; i < pixels.data.length; i++) {
        pixels.data[i] = 1 + Math.sin(i);
        hold.data[i] = 0.5 + 0.3 * Math.cos(i);
        damp.data[i] = 0.2 + 0.1 * Math.sin(2 * i);
      }
      if (terms.data.length > 0) terms.data.set(smoothTerms(N));
      for (const [field, values] of [
        [memory.object, object],
        [memory.probe, probe],
        [memory.variation, variation],
      ] as const) {
        field.re.set(values.map(([re]) => re));
        field.im.set(values.map(([, im]) => im));
      }
    },
  };
}
