/** The probe that a solver begins with. */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { ComplexTensor } from '../core/tensor.js';
import { incoherentModes, modeIntensity, scaleComplex, totalIntensity } from '../physics/probe.js';

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
