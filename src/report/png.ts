/**
 * Pixels to PNG files.
 *
 * @example
 * await writeFile('grey.png', encodePng({ width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 255) }));
 */
import { decode, encode } from 'fast-png';
import { messageOf, PtychoError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';

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
  let letters = '';
  // Arguments of one call are limited.
  for (let at = 0; at < png.length; at += 4096) letters += String.fromCharCode(...png.subarray(at, at + 4096));
  return `data:image/png;base64,${btoa(letters)}`;
}

/** Weights of red, green and blue in brightness (ITU-R BT.709). */
const LUMA = [0.2126, 0.7152, 0.0722] as const;

/**
 * The brightness of the bytes of a PNG file, (height, width), in the file's own numbers (0 … 255 or 65535); transparency is left out.
 * @param origin where the bytes are from, for messages
 * @throws PtychoError FILE_FORMAT for bytes that cannot be decoded
 */
export function pngBrightness(bytes: Uint8Array, origin: string): Tensor<Float64Array> {
  const { width, height, channels, data, palette } = decoded(bytes, origin);
  const brightness = (values: ArrayLike<number>, at: number) =>
    LUMA[0] * values[at] + LUMA[1] * values[at + 1] + LUMA[2] * values[at + 2];
  const pixels = Float64Array.from({ length: width * height }, (_, i) => {
    if (palette) return brightness(palette[data[i]], 0);
    return channels < 3 ? data[channels * i] : brightness(data, channels * i);
  });
  return { data: pixels, shape: [height, width] };
}

function decoded(bytes: Uint8Array, origin: string): ReturnType<typeof decode> {
  try {
    return decode(bytes);
  } catch (error) {
    const message = `${origin} is no PNG picture that can be read: ${messageOf(error)}.`;
    throw new PtychoError('FILE_FORMAT', message, { path: origin }, { cause: error });
  }
}
