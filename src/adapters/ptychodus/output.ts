/** From an image to the host's product: the object in the geometry of the input's object, losses; probe and positions of a solver. */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage, ComplexTensor } from '../../core/tensor.js';
import type { HistoryRow } from '../../persistence/history.js';
import type { Product, ProductLosses, ProductObject, ProductPositions } from '../../persistence/product/product.js';
import type { ObjectLayers } from '../../physics/layers.js';
import { type Frame, intersectFrames } from '../../reconstruction/frame.js';
import type { StitchedImage } from '../../reconstruction/patchStitcher.js';
import type { SolverRecord } from '../../solvers/updates.js';
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
 * Lays a stitched image on an object, whose size, pixels, centre and layers stay. Pixels that no patch reaches keep their values, as
 * iterative engines leave what the probe never lit. An image knows nothing of layers: those of the input are all changed by the same
 * factor, so that their product is the image; layers of a solver that are as many take their place.
 * @param base the input's object, (height, width) (`projection`); not modified
 * @param stitched in pixels of the input's object
 * @throws PtychoError DATASET_UNITS where they have no pixel in common
 */
export function placeOnObject(
  input: ProductObject,
  base: ComplexImage,
  stitched: Pick<StitchedImage, 'image' | 'frame' | 'weight'> & { readonly layers?: ObjectLayers },
): PlacedObject {
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
  const reachedAt: number[] = [];
  const cameFrom: number[] = [];
  for (let r = 0; r < shared.height; r++) {
    const [y, x] = [shared.originYxPx[0] + r, shared.originYxPx[1]];
    let from = (y - stitched.frame.originYxPx[0]) * stitched.frame.width + x - stitched.frame.originYxPx[1];
    let to = y * width + x;
    for (let c = 0; c < shared.width; c++, from++, to++) {
      if (!(weight.data[from] > least)) continue;
      re[to] = image.re[from];
      im[to] = image.im[from];
      reachedAt.push(to);
      cameFrom.push(from);
    }
  }
  const lit = weight.data.reduce((n, w) => n + (w > least ? 1 : 0), 0);
  const image2d = { re, im, shape: [height, width] };
  return {
    object: {
      ...input,
      array:
        stitched.layers?.array.shape[0] === input.array.shape[0]
          ? withLayers(input.array, stitched.layers.array, reachedAt, cameFrom)
          : layersFor(input.array, base, image2d, reachedAt),
    },
    reached: reachedAt.length,
    cut: lit - reachedAt.length,
  };
}

/** The layers of an object with others at some of its pixels. */
function withLayers(
  { re, im, shape }: ComplexTensor,
  layers: ComplexTensor,
  to: readonly number[],
  from: readonly number[],
): ComplexTensor {
  const out = { re: re.slice(), im: im.slice(), shape };
  const [ours, theirs] = [shape, layers.shape].map(([, height, width]) => height * width);
  for (let s = 0; s < shape[0]; s++) {
    to.forEach((pixel, i) => {
      out.re[s * ours + pixel] = layers.re[s * theirs + from[i]];
      out.im[s * ours + pixel] = layers.im[s * theirs + from[i]];
    });
  }
  return out;
}

/** Where the layers together are weaker than this, they say nothing about how the image divides among them. */
const LEAST_PROJECTION = 1e-6;

/** The layers of an object, each times the same root of image / projection at `changed` pixels. */
function layersFor(
  { re, im, shape }: ComplexTensor,
  base: ComplexImage,
  image: ComplexImage,
  changed: readonly number[],
): ComplexTensor {
  const [layers] = shape;
  if (layers === 1) return { re: image.re, im: image.im, shape };
  const area = image.re.length;
  const made = { re: re.slice(), im: im.slice(), shape };
  for (const p of changed) {
    const [a, b] = [image.re[p], image.im[p]];
    const [c, d] = [base.re[p], base.im[p]];
    const power = c * c + d * d;
    const alike = power < LEAST_PROJECTION;
    const [x, y] = alike ? [a, b] : [(a * c + b * d) / power, (b * c - a * d) / power];
    const magnitude = Math.hypot(x, y) ** (1 / layers);
    const phase = Math.atan2(y, x) / layers;
    const [u, v] = [magnitude * Math.cos(phase), magnitude * Math.sin(phase)];
    for (let at = p; at < re.length; at += area) {
      made.re[at] = alike ? u : re[at] * u - im[at] * v;
      made.im[at] = alike ? v : re[at] * v + im[at] * u;
    }
  }
  return made;
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

/** The loss of each epoch of a solver; the start (epoch 0) is none. */
export function lossesOfSolver(history: readonly SolverRecord[]): ProductLosses {
  const rows = history.filter(({ epoch }) => epoch > 0);
  return {
    epochs: Int32Array.from(rows, ({ epoch }) => epoch),
    values: Float64Array.from(rows, ({ loss }) => loss),
  };
}

/** What a solver made, besides the image. */
export interface Solved {
  /** (N, N), or (modes, N, N). */
  readonly probe: ComplexTensor;
  /** Positions that were corrected, in pixels of the input's object; `rows` of the product's positions. */
  readonly moved?: { readonly rows: Int32Array; readonly xs: Float64Array; readonly ys: Float64Array };
}

/**
 * A product with probe and positions of a solver. All positions were solved with one probe, so that weights of coherent modes would
 * no longer say what was solved; they are left out.
 */
export function productWithSolved(input: Product, { probe, moved }: Solved): Product {
  const { re, im, shape } = probe;
  const [modes, height, width] = [shape.length === 3 ? shape[0] : 1, ...shape.slice(-2)];
  return {
    ...input,
    probe: { array: { re, im, shape: [1, modes, height, width] }, pixel: input.probe.pixel },
    positions: moved ? movedPositions(input, moved) : input.positions,
  };
}

/** Pixels to metres, as positions came (`docs/ptychodus.md`). */
function movedPositions({ positions, object }: Product, moved: NonNullable<Solved['moved']>): ProductPositions {
  const [height, width] = object.array.shape.slice(-2);
  const { pixel, center_x_m, center_y_m } = object;
  const [x_m, y_m] = [positions.x_m.slice(), positions.y_m.slice()];
  moved.rows.forEach((row, k) => {
    x_m[row] = (moved.xs[k] - width / 2) * pixel.width_m + center_x_m;
    y_m[row] = (moved.ys[k] - height / 2) * pixel.height_m + center_y_m;
  });
  return { indexes: positions.indexes, x_m, y_m };
}

/** A product with another object and losses; all else passes through. */
export function productWith(input: Product, object: ProductObject, losses: ProductLosses): Product {
  return { ...input, object, losses };
}
