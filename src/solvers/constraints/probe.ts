/** What a probe is held to: its power, and where it may be. */
import { modeIntensity, totalIntensity } from '../../physics/probe.js';
import type { FieldMemory } from '../fieldMemory.js';
import type { ModePlanes } from './modes.js';

/** Gives the probe this power and the object the inverse factor: no exit wave changes. */
export function holdPower(memory: FieldMemory, power: number): void {
  const now = totalIntensity(memory.probe);
  if (!(now > 0)) return;
  const factor = Math.sqrt(power / now);
  memory.scale(memory.probe, factor);
  memory.scale(memory.object, 1 / factor);
}

/**
 * Blanks the probe where its intensity, summed over modes and smoothed over 5×5 pixels, is below `share` of the largest (the
 * support as Ptychodus' algorithms shrink it).
 */
export function blankOutside(probe: ModePlanes, N: number, share: number): void {
  const area = N * N;
  const smooth = smoothed(smoothed(modeIntensity(probe, area), N, 1), N, N);
  const most = smooth.reduce((m, v) => Math.max(m, v), 0);
  for (let i = 0; i < probe.re.length; i++) {
    if (smooth[i % area] >= share * most) continue;
    probe.re[i] = 0;
    probe.im[i] = 0;
  }
}

/** Means over five neighbours along one axis, fewer at the rims. */
function smoothed(plane: Float64Array, N: number, stride: number): Float64Array {
  const out = new Float64Array(plane.length);
  for (let i = 0; i < plane.length; i++) {
    const at = Math.floor(i / stride) % N;
    let [sum, count] = [0, 0];
    for (let d = Math.max(-2, -at); d <= Math.min(2, N - 1 - at); d++) {
      sum += plane[i + d * stride];
      count++;
    }
    out[i] = sum / count;
  }
  return out;
}
