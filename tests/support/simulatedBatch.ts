/** A network and a batch of simulated patterns, counted as photons are: for tests of whole programs. */
import { type ModelConfig, modelConfigSchema } from '../../src/config/schema.js';
import { type ComplexImage, sizeOf, type Tensor } from '../../src/core/tensor.js';
import type { ParameterSpec } from '../../src/graph/parameters.js';
import { type NetworkSpec, PtychoNetwork } from '../../src/model/network.js';
import { physicsScale } from '../../src/model/scale.js';
import { inputNormalisation } from '../../src/physics/detector.js';
import { scaleComplex, totalIntensity } from '../../src/physics/probe.js';
import { extractPatch } from '../../src/physics/sampling.js';
import { linesObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { detectorAmplitude } from './reference/forward.js';

const COUNTS = 1e5;

export interface SimulatedOptions {
  /** Side of the patterns, 64 when left out. */
  readonly N?: number;
  readonly gridsize: 1 | 2;
  readonly architecture: ModelConfig['architecture'];
  readonly loss: 'nll' | 'mae';
  readonly n_filters_scale: number;
  readonly batch: number;
  /** Fields of the model besides those above. */
  readonly model?: Readonly<Record<string, unknown>>;
  /** What of the network's specification differs. */
  readonly spec?: Partial<NetworkSpec>;
}

/** Drawing lines takes longer than what most tests do with them. */
let drawn: ComplexImage | undefined;

/** The network, the feeds of its programs (`learning_rate` apart) for `seed`, and the known patches. */
export function simulated(options: SimulatedOptions) {
  const { N = 64, gridsize, architecture, loss, n_filters_scale, batch } = options;
  const guess = makeProbe('structured', { side: N, diameter: N === 64 ? 20 : 0.3 * N });
  const probe = scaleComplex(guess, Math.sqrt(COUNTS / totalIntensity(guess)));
  if (N <= 100) drawn ??= linesObject({ rows: 160, cols: 160, seed: 5 });
  const object = N <= 100 && drawn ? drawn : linesObject({ rows: N + 60, cols: N + 60, seed: 5 });
  const middle = object.shape[0] / 2;
  const members = gridsize ** 2;

  const patterns = (seed: number) => {
    const offsets = Float32Array.from({ length: batch * members * 2 }, (_, i) => 3 * Math.sin(1.7 * (i + seed)));
    const amplitude = new Float32Array(batch * members * N * N);
    const known = { re: amplitude.slice(), im: amplitude.slice() };
    for (let p = 0; p < batch * members; p++) {
      const group = Math.floor(p / members);
      const [x, y] = [middle + 20 * Math.cos(group + seed), middle + 20 * Math.sin(2 * (group + seed))];
      const { re, im } = extractPatch(object, y - offsets[2 * p + 1], x - offsets[2 * p], N);
      known.re.set(re, p * N * N);
      known.im.set(im, p * N * N);
      const wave = {
        re: re.map((v, i) => v * probe.re[i] - im[i] * probe.im[i]),
        im: im.map((v, i) => v * probe.re[i] + re[i] * probe.im[i]),
        shape: [N, N],
      };
      amplitude.set(
        detectorAmplitude(wave).data.map((a) => Math.sqrt(Math.round(a * a))),
        p * N * N,
      );
    }
    return { amplitude, offsets, known };
  };

  const first = patterns(0).amplitude;
  const meanPower = first.reduce((sum, v) => sum + v * v, 0) / (batch * members);
  const factor = inputNormalisation(meanPower, N);
  const config = modelConfigSchema.parse({ N, gridsize, architecture, n_filters_scale, ...options.model });
  const network = new PtychoNetwork({
    config,
    scale: physicsScale(config, { probe, meanPower, domain: 'count_amplitude', nphotons: COUNTS }),
    canvasSide_px: gridsize === 1 ? N : N + 8,
    meanAmplitude: (factor * first.reduce((sum, v) => sum + v, 0)) / first.length,
    nll_weight: loss === 'nll' ? 1 : 0,
    mae_weight: loss === 'mae' ? 1 : 0,
    intensity_scale_trainable: true,
    ...options.spec,
  });
  const feeds = (seed = 0): Record<string, Tensor> => {
    const { amplitude, offsets } = patterns(seed);
    return {
      input: { data: amplitude.map((v) => v * factor), shape: [batch, members, N, N] },
      input_positions: { data: offsets, shape: [batch, members, 1, 2] },
    };
  };
  const labels = (seed = 0): Record<string, Tensor> => {
    const { known } = patterns(seed);
    const shape = [batch, members, N, N];
    return { label_real: { data: known.re, shape }, label_imag: { data: known.im, shape } };
  };
  return { network, feeds, labels };
}

/** The number of scalar parameters. */
export function countParameters(specs: readonly ParameterSpec[]): number {
  return specs.reduce((n, { shape }) => n + sizeOf(shape), 0);
}
