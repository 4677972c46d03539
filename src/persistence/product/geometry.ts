/**
 * Products between metres and pixels: where positions fall on the object, and which product an image in a frame of its own
 * comes to.
 *
 * @example
 * const { x, y } = positionsOnObject(product); // pixels of product.object.array
 */
import type { ComplexImage, ComplexTensor } from '../../core/tensor.js';
import { gridOfScan, type ObjectGrid, toMetres, toPixels } from '../../data/opening/scanGeometry.js';
import type { RawData } from '../../data/rawData.js';
import type { ObjectLayers } from '../../physics/layers.js';
import type { Product, ProductObject, ProductPositions, ProductProbe } from './product.js';
import { DEFAULT_OBJECT_PIXEL_M } from './readProduct.js';

/** How the array of a product's object lies. */
export function gridOfObject({ array, pixel, center_x_m, center_y_m }: ProductObject): ObjectGrid {
  return {
    pixel_m: { x: pixel.width_m, y: pixel.height_m },
    centre_m: { x: center_x_m, y: center_y_m },
    width: array.shape[2],
    height: array.shape[1],
  };
}

/** Positions in pixels of the object's array: its pixel (row r, column c) is at x = c, y = r. */
export function positionsOnObject({ positions, object }: Pick<Product, 'positions' | 'object'>) {
  const grid = toPixels(gridOfObject(object));
  return { x: positions.x_m.map(grid.x), y: positions.y_m.map(grid.y) };
}

/** Positions in metres, from pixels of the object's array; the reverse of {@link positionsOnObject}. */
export function positionsInMetres(
  object: ProductObject,
  indexes: Int32Array,
  x_px: Float64Array,
  y_px: Float64Array,
): ProductPositions {
  const grid = toMetres(gridOfObject(object));
  return { indexes, x_m: x_px.map(grid.x), y_m: y_px.map(grid.y) };
}

/** An image of a scan: its pixel (0, 0) is object pixel [y, x] of the scan. */
export interface PlacedImage {
  readonly image: ComplexImage;
  /** The layers whose product it is, where there are several. */
  readonly layers?: ObjectLayers;
  readonly originYxPx: readonly [number, number];
}

/** A scan as parts of a product. */
export interface ScanAsProduct {
  readonly positions: ProductPositions;
  readonly probe: ProductProbe;
  readonly object: ProductObject;
}

/**
 * A scan and an image of it, so that the positions in metres are those that were measured and fall on the image where they
 * were when it was made. Without a known object pixel, that of PtychoPINN is assumed, 5e-8 m, for the probe as for the object, whose
 * pixels are the same.
 *
 * @param raw.xcoords,raw.ycoords positions at which the image was made, pixels of the scan
 * @param probe (N, N) or (P, N, N)
 * @param note told what was assumed
 */
export function scanAsProduct(
  raw: Pick<
    RawData,
    'geometry' | 'orientation' | 'objectGuess' | 'source' | 'xcoords' | 'ycoords' | 'sampleIndices' | 'patternIndexes'
  >,
  probe: ComplexTensor,
  { image, originYxPx, layers }: PlacedImage,
  note: (sentence: string) => void,
): ScanAsProduct {
  const known = raw.geometry.objectPixel_m;
  if (known === undefined) {
    note(
      `${raw.source} does not say how large its pixels are; ${DEFAULT_OBJECT_PIXEL_M} m is assumed (object_pixel_m replaces it).`,
    );
  }
  const pixel = known ?? { x: DEFAULT_OBJECT_PIXEL_M, y: DEFAULT_OBJECT_PIXEL_M };
  const scan = toMetres(gridOfScan(raw, pixel));
  const [height, width] = image.shape;
  const modes = probe.shape.length === 3 ? probe.shape[0] : 1;
  return {
    positions: {
      indexes: raw.patternIndexes ?? raw.sampleIndices,
      x_m: raw.xcoords.map(scan.x),
      y_m: raw.ycoords.map(scan.y),
    },
    probe: {
      array: { ...probe, shape: [1, modes, ...probe.shape.slice(-2)] },
      pixel: { width_m: pixel.x, height_m: pixel.y },
    },
    object: {
      array: layers?.array ?? { ...image, shape: [1, height, width] },
      pixel: { width_m: pixel.x, height_m: pixel.y },
      center_x_m: scan.x(originYxPx[1] + width / 2),
      center_y_m: scan.y(originYxPx[0] + height / 2),
      layer_spacing_m: layers?.spacing_m ?? new Float64Array(0),
    },
  };
}
