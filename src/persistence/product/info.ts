/** What a product holds, in plain values. */

import { stat } from 'node:fs/promises';
import { extentOf } from '../../core/numbers.js';
import { patternsOf } from './arrays.js';
import { positionsOnObject } from './geometry.js';
import type { Product } from './product.js';
import type { StoredProduct } from './readProduct.js';

/** What `product info` tells. */
export interface ProductInfo {
  readonly path: string;
  readonly bytes: number;
  readonly format: StoredProduct['format'];
  /** Whether the content is as ptychopinn wrote it; `none` for products of other programs. */
  readonly seal: StoredProduct['seal'];
  readonly metadata: Product['metadata'];
  readonly positions: {
    readonly count: number;
    /** Smallest and largest; null where there are none. */
    readonly indexes: readonly [number, number] | null;
    readonly x_m: readonly [number, number] | null;
    readonly y_m: readonly [number, number] | null;
    readonly x_px: readonly [number, number] | null;
    readonly y_px: readonly [number, number] | null;
  };
  readonly probe: {
    readonly shape: readonly number[];
    readonly pixel_m: readonly [number, number];
    readonly opr_weights: readonly number[] | null;
  };
  readonly object: {
    readonly shape: readonly number[];
    readonly pixel_m: readonly [number, number];
    readonly center_m: readonly [number, number];
    readonly layer_spacing_m: readonly number[];
  };
  readonly losses: { readonly count: number; readonly last: number | null };
  readonly raw_data: {
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly measurement_domain: string | null;
    readonly bad_pixels: number | null;
  } | null;
  /** What was assumed in reading it. */
  readonly notes: readonly string[];
}

/** The facts of a product that was read. */
export async function infoOf(file: string, { product, format, seal }: StoredProduct): Promise<ProductInfo> {
  const { metadata, positions, probe, object, losses, raw_data } = product;
  const onObject = positionsOnObject(product);
  return {
    path: file,
    bytes: (await stat(file)).size,
    format,
    seal,
    metadata,
    positions: {
      count: positions.indexes.length,
      indexes: rangeOf(positions.indexes),
      x_m: rangeOf(positions.x_m),
      y_m: rangeOf(positions.y_m),
      x_px: rangeOf(onObject.x),
      y_px: rangeOf(onObject.y),
    },
    probe: {
      shape: probe.array.shape,
      pixel_m: [probe.pixel.width_m, probe.pixel.height_m],
      opr_weights: probe.opr_weights?.shape ?? null,
    },
    object: {
      shape: object.array.shape,
      pixel_m: [object.pixel.width_m, object.pixel.height_m],
      center_m: [object.center_x_m, object.center_y_m],
      layer_spacing_m: Array.from(object.layer_spacing_m),
    },
    losses: { count: losses.values.length, last: losses.values.at(-1) ?? null },
    raw_data: raw_data
      ? {
          shape: raw_data.diffraction.shape,
          dtype: patternsOf(raw_data).dtype,
          measurement_domain: raw_data.measurement_domain ?? null,
          bad_pixels: raw_data.bad_pixels?.data.reduce((sum, flag) => sum + flag, 0) ?? null,
        }
      : null,
    notes: [],
  };
}

function rangeOf(values: Int32Array | Float64Array): readonly [number, number] | null {
  if (values.length === 0) return null;
  return extentOf(values);
}
