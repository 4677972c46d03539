/**
 * Weights of a network that was trained on several scans: what each scan has of its own (its probe, its scale, the reference of its
 * patterns) is a row of a table; the rest is shared.
 *
 * @example
 * const first = weightsOfScan(network, weights, 0); // those of network.ofScan(0)
 */
import { type Shape, sizeOf, type Tensor } from '../core/tensor.js';
import { PROBE_PARAMETERS } from './forward.js';
import { INPUT_GAIN, INPUT_REFERENCE } from './inputReference.js';
import { INPUT_FACTOR } from './inputScaling.js';
import { LOG_INTENSITY_SCALE, type PtychoNetwork } from './network.js';
import { CONDITIONING_PROBE } from './probeConditioning.js';
import { RECTANGULAR_PARAMETERS } from './rectangular.js';

type Weights = Readonly<Record<string, Tensor>>;

/** The parameters that belong to a scan and not to the network. */
const OF_EACH_SCAN: readonly string[] = [
  INPUT_REFERENCE,
  INPUT_GAIN,
  INPUT_FACTOR,
  LOG_INTENSITY_SCALE,
  ...RECTANGULAR_PARAMETERS,
  ...PROBE_PARAMETERS,
  CONDITIONING_PROBE,
];

/** Whether a parameter belongs to a scan. */
export const isOfScan = (name: string): boolean => OF_EACH_SCAN.includes(name);

/** The weights of `network.ofScan(scan)`. */
export function weightsOfScan(network: PtychoNetwork, weights: Weights, scan: number): Record<string, Tensor> {
  if (!network.spec.scans) return { ...weights };
  const shapes = new Map(network.ofScan(scan).parameters.map(({ name, shape }) => [name, shape]));
  return Object.fromEntries(
    Object.entries(weights).map(([name, tensor]) => [
      name,
      isOfScan(name) ? rowOf(tensor, scan, shapes.get(name) as Shape) : tensor,
    ]),
  );
}

/** A row, without the dark modes that fill up the table of probes. */
function rowOf({ data, shape }: Tensor, row: number, own: Shape): Tensor {
  const stride = sizeOf(shape.slice(1));
  return { data: data.slice(row * stride, row * stride + sizeOf(own)), shape: own };
}

/**
 * The weights of a network of several scans from those of its scans: the shared ones of the first.
 * @param each of `network.ofScan(0)`, `network.ofScan(1)`, …
 */
export function stackedWeights(network: PtychoNetwork, each: readonly Weights[]): Record<string, Tensor> {
  if (!network.spec.scans) return { ...each[0] };
  return Object.fromEntries(
    network.parameters.map(({ name, shape }) => {
      if (!isOfScan(name)) return [name, each[0][name]];
      const data = new Float32Array(sizeOf(shape));
      const stride = sizeOf(shape.slice(1));
      each.forEach((weights, row) => {
        data.set(weights[name].data, row * stride);
      });
      return [name, { data, shape }];
    }),
  );
}
