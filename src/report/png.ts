/**
 * Pixels to PNG files.
 *
 * @example
 * await writeFile('grey.png', encodePng({ width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 255) }));
 */

import { encode } from 'fast-png';
import { PtychoError } from '../core/errors.js';

/** 8-bit pixels, row by row from the top; one channel is grey, three are red, green, blue. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/**
 * The bytes of a PNG file.
 * @throws PtychoError DATASET_SHAPE when the data is not width × height × channels long.
 */
export function encodePng(pixels: Pixels): Uint8Array {
  const { width, height, channels, data } = pixels;
  if (data.length !== width * height * channels || data.length === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A picture of ${width} × ${height} with ${channels} channel(s) needs ${width * height * channels} bytes, got ${data.length}.`,
      { found: data.length, expected: width * height * channels },
    );
  }
  return encode({ width, height, channels, depth: 8, data });
}

/** A PNG file as the `src` of an image in HTML. */
export function pngDataUri(png: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64')}`;
}
