/** The golden file of `hybrid_resnet`, whose arrays have names of their own: neither the published ones nor ours. */
import type { Tensor } from '../../src/core/tensor.js';

/** Our parameter name → that of the golden file. */
export function goldenName(name: string): string {
  return name
    .replace('lifter.conv', 'lift')
    .replace('encoder.', 'enc')
    .replace('.spectral.', '.spec_')
    .replace('.local.in', '.conv_in')
    .replace('.local.out', '.conv_out')
    .replace('.local.conv', '.conv')
    .replace('down.', 'down')
    .replace('bottleneck.scale', 'res_scale')
    .replace('bottleneck.', 'res')
    .replace(/^up\./, 'up')
    .replace('skip.0', 'skip_half')
    .replace('skip.1', 'skip_full')
    .replace('amplitude', 'head_amp')
    .replace('phase', 'head_phase')
    .replace('.weight', '.w')
    .replace('.bias', '.b')
    .replace('.scale', '.g')
    .replace('.shift', '.b');
}

/** Weights [Ci, Co, row, column] of a golden file as ours, [row, column, Ci, Co]. */
export function turnedSpectral({ data, shape: [a, b, c, d] }: Tensor): Tensor {
  const out = new Float32Array(data.length);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++)
        for (let l = 0; l < d; l++) out[((k * d + l) * a + i) * b + j] = data[((i * b + j) * c + k) * d + l];
  return { data: out, shape: [c, d, a, b] };
}
