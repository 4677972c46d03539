/**
 * `probe_conditioning: film`: the network is told of the probe. A small encoder turns the probe into factors and offsets of the features
 * of its encoder blocks, so that one network reads patterns of many probes, and of probes that it never saw.
 * Source: Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018.
 */
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import type { Modulate } from '../networks/generator.js';
import { DiffractionModel } from '../physics/detector.js';
import { modeIntensity, scaleComplex, totalIntensity } from '../physics/probe.js';
import type { ScanRows } from './scanRows.js';

/** The fixed parameter that holds what the encoder sees of a probe, [4, N, N]; of several scans [S, 4, N, N]. */
export const CONDITIONING_PROBE = 'conditioning.probe';

const CHANNELS = 4;
/** Channels of the encoder's convolutions; each halves the image. */
const ENCODER = [8, 16, 32] as const;

/**
 * What the encoder sees: real and imaginary part of the strongest mode, its global phase taken off; |P| of all modes together; and the
 * amplitudes of their pattern |F P|. Each has the rms ½ of a pattern that the network is fed, whatever the exposure.
 */
export function conditioningImages(probe: ComplexTensor): Float32Array {
  const [rows, columns] = probe.shape.slice(-2);
  const area = rows * columns;
  const { re, im } = scaleComplex(probe, Math.sqrt(area / totalIntensity(probe)) / 2);
  const powers = Array.from({ length: re.length / area }, (_, p) =>
    totalIntensity({ re: re.subarray(p * area, (p + 1) * area), im: im.subarray(p * area, (p + 1) * area) }),
  );
  const first = powers.indexOf(Math.max(...powers)) * area;
  // Σ P·|P|: where most of the light is, the phase is 0.
  let [x, y] = [0, 0];
  for (let i = first; i < first + area; i++) {
    const modulus = Math.hypot(re[i], im[i]);
    x += re[i] * modulus;
    y += im[i] * modulus;
  }
  const length = Math.hypot(x, y) || 1;
  const [cos, sin] = [x / length, y / length];
  const images = new Float32Array(CHANNELS * area);
  const whole = modeIntensity({ re, im }, area);
  const pattern = new Float64Array(area);
  const ones = new Float64Array(area).fill(1);
  new DiffractionModel({ re, im, shape: probe.shape }).intensity(ones, new Float64Array(area), 0, pattern);
  for (let i = 0; i < area; i++) {
    const [a, b] = [re[first + i], im[first + i]];
    images[i] = a * cos + b * sin;
    images[area + i] = b * cos - a * sin;
    images[2 * area + i] = Math.sqrt(whole[i]);
    images[3 * area + i] = Math.sqrt(pattern[i]);
  }
  return images;
}

/** {@link CONDITIONING_PROBE} for a probe. */
export function conditioningWeights(probe: ComplexTensor): Record<string, Tensor> {
  const [rows, columns] = probe.shape.slice(-2);
  return { [CONDITIONING_PROBE]: { data: conditioningImages(probe), shape: [CHANNELS, rows, columns] } };
}

/**
 * The modulation of features [B, C, H, W] by the probe: h·(1 + γ) + β, γ and β [C] from the encoder; both begin at 0.
 * @param probe of the scan; of several scans each group gets that of its own
 */
export function probeModulation(
  N: number,
  probe: ComplexTensor,
  scope: ParameterScope,
  rows: ScanRows | undefined,
): Modulate {
  const scans = rows ? rows.scans.map(({ scale }) => scale.probe) : [probe];
  const images = new Float32Array(scans.length * CHANNELS * N * N);
  scans.forEach((own, s) => {
    images.set(conditioningImages(own), s * CHANNELS * N * N);
  });
  const shape = rows ? [scans.length, CHANNELS, N, N] : [CHANNELS, N, N];
  let h: GraphNode = op.reshape(scope.parameter(CONDITIONING_PROBE, shape, images, true), [
    scans.length,
    CHANNELS,
    N,
    N,
  ]);
  // Once for each scan, not for each group.
  ENCODER.forEach((filters, i) => {
    const name = `conditioning.${i}`;
    const w = scope.parameter(`${name}.weight`, [filters, h.shape[1], 3, 3], 'glorot_uniform');
    h = op.maxPool2(op.relu(op.conv2d(h, w, scope.parameter(`${name}.bias`, [filters], 0), name)));
  });
  const code = op.reduceMean(h, [2, 3]);
  return (features, name) => {
    const channels = features.shape[1];
    // The members of a group may be read one by one.
    const members = rows ? features.shape[0] / rows.which.shape[0] : 1;
    const rowsOf = members > 1 ? rows?.repeated(members) : rows;
    const part = (what: 'gain' | 'offset') => {
      const w = scope.parameter(`conditioning.${name}.${what}`, [code.shape[1], channels], 0);
      const table = op.reshape(op.matmul(code, w), [scans.length, channels, 1, 1]);
      return rowsOf ? rowsOf.of(table) : table;
    };
    return op.add(op.mul(features, op.add(part('gain'), 1)), part('offset'));
  };
}
