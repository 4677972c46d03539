/** Beams that change over a scan, as files hold them: products of Ptychodus, and the arrays beside an image. */
import type { ComplexTensor } from '../../core/tensor.js';
import { usingNpz } from '../../formats/npz.js';
import type { ProductProbe } from '../../persistence/product/product.js';
import type { BackgroundFound } from '../corrections/background.js';
import type { BeamFound } from '../corrections/beam.js';
import { SMOOTH_TERMS } from '../smoothTerms.js';

/**
 * The probe as products have it: a_k·P + Σ_j a_k·c_kj·U_j, P before U; incoherent modes besides the first belong to P alone.
 * @returns (1 + coherent, modes, N, N) and (n, 1 + coherent)
 */
export function coherentModes(probe: ComplexTensor, { modes: U, weights, flux }: BeamFound) {
  const [count, coherent] = weights.shape;
  const [N] = probe.shape.slice(-1);
  const [area, modes] = [N * N, probe.re.length / (N * N)];
  const array = {
    re: new Float32Array((1 + coherent) * modes * area),
    im: new Float32Array((1 + coherent) * modes * area),
    shape: [1 + coherent, modes, N, N],
  };
  for (const part of ['re', 'im'] as const) {
    array[part].set(probe[part]);
    for (let j = 0; j < coherent; j++) {
      array[part].set(U[part].subarray(j * area, (j + 1) * area), (1 + j) * modes * area);
    }
  }
  const data = new Float64Array(count * (1 + coherent));
  for (let k = 0; k < count; k++) {
    const a = Math.sqrt(flux.data[k]);
    data[k * (1 + coherent)] = a;
    for (let j = 0; j < coherent; j++) data[k * (1 + coherent) + 1 + j] = a * weights.data[k * coherent + j];
  }
  return { array, opr_weights: { data, shape: [count, 1 + coherent] } };
}

/** The reverse: P and how the beam changed, from a product's probe; undefined where it holds one beam. */
export function beamOfProduct({ array, opr_weights }: ProductProbe): BeamFound | undefined {
  const [all, modes, N] = array.shape;
  if (!opr_weights || (all === 1 && opr_weights.data.every((v) => v === 1))) return undefined;
  const [count] = opr_weights.shape;
  const [coherent, area] = [all - 1, N * N];
  const U = { re: new Float32Array(coherent * area), im: new Float32Array(coherent * area), shape: [coherent, N, N] };
  for (let j = 0; j < coherent; j++) {
    const from = (1 + j) * modes * area;
    U.re.set(array.re.subarray(from, from + area), j * area);
    U.im.set(array.im.subarray(from, from + area), j * area);
  }
  const weights = new Float64Array(count * coherent);
  const flux = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    const a = opr_weights.data[k * all];
    flux[k] = a * a;
    for (let j = 0; j < coherent; j++) weights[k * coherent + j] = a === 0 ? 0 : opr_weights.data[k * all + 1 + j] / a;
  }
  return { modes: U, weights: { data: weights, shape: [count, coherent] }, flux: { data: flux, shape: [count] } };
}

/**
 * What stands beside an image in `reconstruction.npz`: `opr_modes`, `opr_weights`, `flux`; undefined where it has none of `count`
 * patterns.
 */
export async function beamBeside(file: string, count: number, N: number): Promise<BeamFound | undefined> {
  return usingNpz(file, async (npz) => {
    if (!npz.has('flux')) return undefined;
    const flux = await npz.readReal('flux');
    if (flux.data.length !== count) return undefined;
    const none = { re: new Float32Array(0), im: new Float32Array(0), shape: [0, N, N] };
    const steady = { modes: none, weights: { data: new Float64Array(0), shape: [count, 0] } };
    const found = npz.has('opr_modes') && npz.has('opr_weights');
    const [modes, weights] = found ? [await npz.read('opr_modes'), await npz.readReal('opr_weights')] : [];
    const fits =
      modes && weights && 'im' in modes && modes.shape[1] === N && weights.data.length === count * modes.shape[0];
    return {
      ...(fits
        ? {
            modes: { re: Float32Array.from(modes.re), im: Float32Array.from(modes.im), shape: modes.shape },
            weights: { data: Float64Array.from(weights.data), shape: [count, modes.shape[0]] },
          }
        : steady),
      flux: { data: Float64Array.from(flux.data), shape: [count] },
    };
  });
}

/** `background` and `background_weights` beside an image in `reconstruction.npz`; undefined where there is none of such patterns. */
export async function backgroundBeside(file: string, count: number, N: number): Promise<BackgroundFound | undefined> {
  return usingNpz(file, async (npz) => {
    if (!npz.has('background')) return undefined;
    const pixels = await npz.readReal('background');
    if (pixels.shape.length !== 2 || pixels.shape[0] !== N || pixels.shape[1] !== N) return undefined;
    const weights = npz.has('background_weights') ? await npz.readReal('background_weights') : undefined;
    const fits = weights?.shape.length === 2 && weights.shape[0] === count && weights.shape[1] === SMOOTH_TERMS;
    return {
      pixels: { data: Float32Array.from(pixels.data, (v) => Math.max(0, v)), shape: [N, N] },
      ...(fits && { weights: { data: Float64Array.from(weights.data, (v) => Math.max(0, v)), shape: weights.shape } }),
    };
  });
}
