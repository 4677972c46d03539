/** From an image to the host's product: the object in the geometry of the input's object, losses of the model. */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage } from '../../core/tensor.js';
import type { HistoryRow } from '../../persistence/history.js';
import type { Product, ProductLosses, ProductObject } from '../../persistence/product/product.js';
import { type Frame, intersectFrames } from '../../reconstruction/frame.js';
import type { StitchedImage } from '../../reconstruction/stitch.js';
import type { LossValue } from './types.js';

/** A pixel with less weight than this, relative to the heaviest, was reached by nothing that could be measured. */
const LEAST_WEIGHT = 1e-6;

/** An object with an image on it, and how they fit. */
export interface PlacedObject {
  readonly object: ProductObject;
  /** Pixels of the object that the image reaches. */
  readonly reached: number;
  /** Pixels of the image that lie outside the object's frame and are lost. */
  readonly cut: number;
}

/**
 * Lays a stitched image on an object, whose size, pixels and centre stay. Pixels that no patch reaches keep their values, as
 * iterative engines leave what the probe never lit. One layer comes out: a network knows nothing of layers.
 * @param base the input's object, (height, width) (`projection`); not modified
 * @param stitched in pixels of the input's object
 * @throws PtychoError DATASET_UNITS where they have no pixel in common
 */
export function placeOnObject(input: ProductObject, base: ComplexImage, stitched: StitchedImage): PlacedObject {
  const [height, width] = base.shape;
  const frame: Frame = { originYxPx: [0, 0], height, width };
  const shared = intersectFrames(stitched.frame, frame);
  if (!shared) {
    const [row, column] = stitched.frame.originYxPx;
    throw new PtychoError(
      'DATASET_UNITS',
      `The scan covers rows ${row} to ${row + stitched.frame.height} and columns ${column} to ${column + stitched.frame.width} of an object of ${height}×${width} pixels, so none of it lies on the object; check its centre and pixel size.`,
      { found: stitched.frame, expected: [height, width] },
    );
  }
  const least = LEAST_WEIGHT * stitched.weight.data.reduce((m, v) => Math.max(m, v), 0);
  const [re, im] = [base.re.slice(), base.im.slice()];
  const { image, weight } = stitched;
  let reached = 0;
  for (let r = 0; r < shared.height; r++) {
    const [y, x] = [shared.originYxPx[0] + r, shared.originYxPx[1]];
    let from = (y - stitched.frame.originYxPx[0]) * stitched.frame.width + x - stitched.frame.originYxPx[1];
    let to = y * width + x;
    for (let c = 0; c < shared.width; c++, from++, to++) {
      if (!(weight.data[from] > least)) continue;
      re[to] = image.re[from];
      im[to] = image.im[from];
      reached++;
    }
  }
  const lit = weight.data.reduce((n, w) => n + (w > least ? 1 : 0), 0);
  return {
    object: { ...input, array: { re, im, shape: [1, height, width] }, layer_spacing_m: new Float64Array(0) },
    reached,
    cut: lit - reached,
  };
}

/** The training losses of a model, for a product. */
export function lossesOf(history: readonly HistoryRow[]): ProductLosses {
  const values = lossValues(history, 'loss');
  return {
    epochs: Int32Array.from(values, ({ epoch }) => epoch),
    values: Float64Array.from(values, ({ value }) => value),
  };
}

/** One column of a history; epochs that have no value there are left out. */
export function lossValues(history: readonly HistoryRow[], column: 'loss' | 'val_loss'): LossValue[] {
  return history.flatMap((row) => {
    const value = row[column];
    return typeof value === 'number' ? [{ epoch: row.epoch, value }] : [];
  });
}

/** A product with another object and losses; all else passes through. */
export function productWith(input: Product, object: ProductObject, losses: ProductLosses): Product {
  return { ...input, object, losses };
}
