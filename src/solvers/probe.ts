/** The probe that a solver begins with, how far it reaches, and where its light fell on the object. */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import { incoherentModes, modeIntensity, scaleComplex, totalIntensity } from '../physics/probe.js';
import type { Frame } from '../reconstruction/frame.js';

/**
 * A probe with as many modes as asked for.
 * @returns (modes, N, N)
 * @throws PtychoError CONFIG_INVALID for more modes than the probe has room for
 */
export function startProbe(probe: ComplexTensor, { probe_modes, probe_mode_share }: SolverOptions): ComplexTensor {
  const N = probe.shape[probe.shape.length - 1];
  const area = N * N;
  const found = probe.re.length / area;
  const wanted = probe_modes ?? found;
  if (wanted <= found) {
    return {
      re: probe.re.slice(0, wanted * area),
      im: probe.im.slice(0, wanted * area),
      shape: [wanted, N, N],
    };
  }
  // The modes that there are keep what the new ones do not take; those are made from the first.
  const added = wanted - found;
  const share = Math.min(probe_mode_share, 0.5 / added);
  const first = { re: probe.re.slice(0, area), im: probe.im.slice(0, area), shape: [N, N] };
  const family = incoherentModes(
    first,
    Array.from({ length: wanted }, (_, m) => (m < found ? 1 : share)),
  );
  const total = totalIntensity(probe);
  const kept = scaleComplex(probe, Math.sqrt(1 - added * share));
  const re = new Float32Array(wanted * area);
  const im = new Float32Array(wanted * area);
  re.set(kept.re);
  im.set(kept.im);
  for (let m = found; m < wanted; m++) {
    const mode = {
      re: family.re.subarray(m * area, (m + 1) * area),
      im: family.im.subarray(m * area, (m + 1) * area),
      shape: [N, N],
    };
    const scaled = scaleComplex(mode, Math.sqrt((share * total) / totalIntensity(mode)));
    re.set(scaled.re, m * area);
    im.set(scaled.im, m * area);
  }
  return { re, im, shape: [wanted, N, N] };
}

/** The radius within which 90 % of the probe's power lies, around its centre of mass; pixels. */
export function probeRadius_px(probe: ComplexTensor): number {
  const N = probe.shape[probe.shape.length - 1];
  const light = modeIntensity(probe, N * N);
  let [total, y, x] = [0, 0, 0];
  light.forEach((v, i) => {
    total += v;
    y += v * Math.floor(i / N);
    x += v * (i % N);
  });
  const rings = new Float64Array(2 * N);
  light.forEach((v, i) => {
    rings[Math.min(2 * N - 1, Math.round(Math.hypot(Math.floor(i / N) - y / total, (i % N) - x / total)))] += v;
  });
  let sum = 0;
  for (let r = 0; r < rings.length; r++) {
    sum += rings[r];
    if (sum >= 0.9 * total) return Math.max(1, r);
  }
  return N;
}

/** Below this share of the brightest pixel there is next to no light. */
const LEAST_SHARE = 0.01;

/**
 * Light that fell on each pixel of the frame over a scan, 1 at the brightest; 0 where below 1 %.
 * @param probe (N, N), or (modes, N, N); of several probes one after the other
 * @param positions in object pixels; every patch lies in the frame
 * @param probeOf (patterns,) which of several probes each pattern saw; there are as many positions for each of them
 */
export function lightOnObject(
  probe: { readonly re: Float32Array<ArrayBufferLike>; readonly im: Float32Array<ArrayBufferLike> },
  N: number,
  places: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> },
  frame: Frame,
  probeOf?: ArrayLike<number>,
): Tensor {
  return coverageOf(lightSums(probe, N, places, frame, probeOf), frame);
}

/** Light in units of the brightest pixel; 0 where below 1 %. */
export function coverageOf(light: Float32Array, { height, width }: Frame): Tensor {
  const most = light.reduce((m, v) => Math.max(m, v), 0);
  return { data: light.map((v) => (v < LEAST_SHARE * most ? 0 : v / most)), shape: [height, width] };
}

/** The light of all patterns on each pixel of the frame, as {@link lightOnObject}, in the units of the probe. */
export function lightSums(
  probe: Parameters<typeof lightOnObject>[0],
  N: number,
  { xs, ys }: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> },
  { originYxPx: [top, left], height, width }: Frame,
  probeOf?: ArrayLike<number>,
): Float32Array {
  const lights = lightsOf(probe, N * N, probeOf);
  const points = xs.length / (probeOf?.length ?? xs.length);
  const data = new Float32Array(height * width);
  const half = Math.floor(N / 2);
  for (let k = 0; k < xs.length; k++) {
    const light = lights[probeOf?.[Math.floor(k / points)] ?? 0];
    const first = (Math.round(ys[k] - top) - half) * width + Math.round(xs[k] - left) - half;
    for (let r = 0; r < N; r++) {
      const row = first + r * width;
      for (let c = 0; c < N; c++) data[row + c] += light[r * N + c];
    }
  }
  return data;
}

/** Of each of several probes. */
function lightsOf(
  { re, im }: Parameters<typeof lightOnObject>[0],
  area: number,
  probeOf: ArrayLike<number> | undefined,
): Float64Array[] {
  const probes = probeOf ? 1 + Array.from(probeOf).reduce((most, p) => Math.max(most, p), 0) : 1;
  const length = re.length / probes;
  return Array.from({ length: probes }, (_, p) => {
    const of = (part: typeof re) => part.subarray(p * length, (p + 1) * length);
    return modeIntensity({ re: of(re), im: of(im) }, area);
  });
}
