/**
 * `scans.safetensors` of a model that was trained on several scans: the probe of each and the weights that it has for itself. Those of
 * the first scan are where the model of one scan has them, in `probe.npy` and `weights.safetensors`. Tensors are called
 * `SCAN/probe.re`, `SCAN/probe.im` and `SCAN/weights/NAME`, SCAN counted from 1 for the second.
 */
import { type ComplexTensor, formatShape, sameShape, type Tensor } from '../core/tensor.js';
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.js';
import { isOfScan } from '../model/scanWeights.js';
import type { Bundle, BundleScan } from './content.js';
import { invalidMember } from './json.js';
import { type Manifest, memberOf, SCANS_FILE, scaleIn, statisticsIn } from './manifest.js';

const REAL = 'probe.re';
const IMAGINARY = 'probe.im';
const WEIGHTS = 'weights/';

/** The weights that a scan has for itself, out of those of its model. */
export function ownWeights(weights: Bundle['weights']): Bundle['weights'] {
  return Object.fromEntries(Object.entries(weights).filter(([name]) => isOfScan(name)));
}

/** The bytes of the member. */
export function encodeScans(scans: readonly BundleScan[]): Uint8Array {
  const tensors: Record<string, Tensor> = {};
  scans.slice(1).forEach(({ probe, weights }, i) => {
    const { re, im, shape } = probe;
    tensors[`${i + 1}/${REAL}`] = { data: re, shape };
    tensors[`${i + 1}/${IMAGINARY}`] = { data: im, shape };
    for (const [name, tensor] of Object.entries(weights)) tensors[`${i + 1}/${WEIGHTS}${name}`] = tensor;
  });
  return encodeSafetensors(tensors).bytes;
}

/**
 * The scans that a manifest lists, with what the member holds of them.
 * @param first probe and weights of the first scan
 * @throws PtychoError BUNDLE_INVALID naming what does not fit
 */
export function decodeScans(
  members: ReadonlyMap<string, Uint8Array>,
  { scans = [] }: Manifest,
  first: Pick<Bundle, 'probe' | 'weights'>,
): BundleScan[] {
  const { tensors } = decodeSafetensors(memberOf(members, SCANS_FILE), SCANS_FILE);
  const left = new Set(Object.keys(tensors));
  const take = (name: string): Tensor => {
    const tensor = tensors[name];
    if (!tensor) throw invalidMember(SCANS_FILE, `it lacks ${name}`);
    if (!tensor.data.every(Number.isFinite))
      throw invalidMember(SCANS_FILE, `${name} holds a value that is not finite`);
    left.delete(name);
    return tensor;
  };
  const own = ownWeights(first.weights);
  const side = first.probe.shape[first.probe.shape.length - 1];
  const decoded = scans.map((scan, i): BundleScan => {
    const probe = i === 0 ? first.probe : probeOf(take(`${i}/${REAL}`), take(`${i}/${IMAGINARY}`), side);
    const weights =
      i === 0 ? own : Object.fromEntries(Object.keys(own).map((name) => [name, take(`${i}/${WEIGHTS}${name}`)]));
    const { name, role, probe_sha256: probeSha256 } = scan;
    return { name, role, probeSha256, scale: scaleIn(scan), statistics: statisticsIn(scan), probe, weights };
  });
  const [odd] = left;
  if (odd !== undefined) throw invalidMember(SCANS_FILE, `${odd} belongs to no scan of the manifest`);
  return decoded;
}

function probeOf(re: Tensor, im: Tensor, side: number): ComplexTensor {
  const { shape } = re;
  const fits = sameShape(shape, im.shape) && shape.length <= 3 && sameShape(shape.slice(-2), [side, side]);
  if (!fits || re.data.length === 0) {
    throw invalidMember(
      SCANS_FILE,
      `a probe has parts of shape ${formatShape(shape)} and ${formatShape(im.shape)}, expected (${side}, ${side}) or modes first`,
    );
  }
  return { re: Float32Array.from(re.data), im: Float32Array.from(im.data), shape };
}
