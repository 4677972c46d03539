/**
 * Messages of a detector that streams as the SIMPLON interface of Dectris says, version 1: parts of a ZeroMQ message, JSON but for the
 * frames. `dheader-1.0` begins a series, `dimage-1.0` is a frame, `dseries_end-1.0` ends it.
 *
 * @example
 * const message = readMessage(parts);
 * if (message?.kind === 'frame') use(message.data, message.shape);
 */
import { messageOf, PtychoError } from '../core/errors.js';
import { decodeBitshuffleLz4, decodeLz4, encodeBitshuffleLz4, encodeLz4 } from './lz4Blocks.js';

/** Counts of a frame. */
export type FrameData = Uint8Array | Uint16Array | Uint32Array;

/** What a message says. */
export type DectrisMessage =
  | { readonly kind: 'header'; readonly series: number; readonly config: Readonly<Record<string, unknown>> }
  | {
      readonly kind: 'frame';
      readonly series: number;
      readonly frame: number;
      readonly data: FrameData;
      /** Rows, columns. */
      readonly shape: readonly [number, number];
      /** What the beamline appended: `{ "x_m": 1e-6, "y_m": 2e-6 }` is a position. */
      readonly appendix?: unknown;
    }
  | { readonly kind: 'end'; readonly series: number };

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array } as const;
/** A frame of more pixels is a lie. */
const MOST_PIXELS = 2 ** 27;

const wrong = (what: string, cause?: unknown) =>
  new PtychoError('FILE_FORMAT', `A message of the detector cannot be read: ${what}.`, {}, { cause });

function json(part: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    throw wrong(`${what} is no JSON (${messageOf(cause)})`, cause);
  }
  throw wrong(`${what} is no object`);
}

/**
 * Reads a message.
 * @returns undefined for messages that say nothing here (flat fields, masks)
 * @throws PtychoError FILE_FORMAT
 */
export function readMessage(parts: readonly Uint8Array[]): DectrisMessage | undefined {
  if (parts.length === 0) throw wrong('it has no parts');
  const head = json(parts[0], 'its head');
  const { htype, series } = head;
  if (typeof series !== 'number') throw wrong('it names no series');
  if (htype === 'dheader-1.0') {
    const details = head.header_detail === 'none' || parts.length < 2 ? {} : json(parts[1], 'the configuration');
    return { kind: 'header', series, config: details };
  }
  if (htype === 'dseries_end-1.0') return { kind: 'end', series };
  if (htype !== 'dimage-1.0') return undefined;
  const { frame } = head;
  if (typeof frame !== 'number' || !Number.isInteger(frame) || frame < 0 || parts.length < 3)
    throw wrong('a frame has no number or no data');
  const { shape, type, encoding } = json(parts[1], `the description of frame ${frame}`);
  const sides = Array.isArray(shape) ? (shape as unknown[]).map(Number) : [];
  // The width comes first.
  const [width, height] = sides;
  if (sides.length < 2 || !sides.every((side) => Number.isInteger(side) && side > 0) || width * height > MOST_PIXELS) {
    throw wrong(`frame ${frame} has the shape ${JSON.stringify(shape)}`);
  }
  if (typeof type !== 'string' || !Object.hasOwn(TYPES, type))
    throw wrong(`frame ${frame} is of type ${JSON.stringify(type)}; uint8, uint16 and uint32 are read`);
  const data = decoded(parts[2], type as keyof typeof TYPES, width * height, String(encoding));
  const appendix = parts.length > 4 ? json(parts[4], `the appendix of frame ${frame}`) : undefined;
  return { kind: 'frame', series, frame, data, shape: [height, width], appendix };
}

function decoded(blob: Uint8Array, type: keyof typeof TYPES, pixels: number, encoding: string): FrameData {
  const kind = TYPES[type];
  const element = kind.BYTES_PER_ELEMENT;
  const size = pixels * element;
  let bytes: Uint8Array<ArrayBuffer>;
  // A copy begins at an address that suits wider numbers, and outlives the message.
  if (encoding === '<') bytes = Uint8Array.from(blob);
  else if (encoding === 'lz4<') bytes = decodeLz4(blob, size);
  else if (encoding === `bs${8 * element}-lz4<`) bytes = decodeBitshuffleLz4(blob, element, size);
  else throw wrong(`its encoding is ${JSON.stringify(encoding)}; read are <, lz4< and bs${8 * element}-lz4<`);
  if (bytes.length !== size) throw wrong(`a frame has ${bytes.length} bytes in place of ${size}`);
  return new kind(bytes.buffer, 0, pixels) as FrameData;
}

/** How frames are packed. */
export const ENCODINGS = ['none', 'lz4', 'bslz4'] as const;
export type FrameEncoding = (typeof ENCODINGS)[number];

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value), 'utf8');

/** The first message of a series, for simulations. */
export const writeHeader = (series: number, config: object): Uint8Array[] => [
  text({ htype: 'dheader-1.0', series, header_detail: 'basic' }),
  text(config),
];

/** A frame, with a position appended. */
export function writeFrame(
  {
    series,
    frame,
    data,
    shape: [height, width],
  }: { series: number; frame: number; data: FrameData; shape: readonly [number, number] },
  encoding: FrameEncoding,
  appendix: object,
): Uint8Array[] {
  const element = data.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const [blob, word] = {
    none: () => [bytes, '<'] as const,
    lz4: () => [encodeLz4(bytes), 'lz4<'] as const,
    bslz4: () => [encodeBitshuffleLz4(bytes, element), `bs${8 * element}-lz4<`] as const,
  }[encoding]();
  return [
    text({ htype: 'dimage-1.0', series, frame, hash: '' }),
    text({
      htype: 'dimage_d-1.0',
      shape: [width, height],
      type: `uint${8 * element}`,
      encoding: word,
      size: blob.length,
    }),
    blob,
    text({ htype: 'dconfig-1.0', start_time: 0, stop_time: 0, real_time: 0 }),
    text(appendix),
  ];
}

/** The last message of a series. */
export const writeEnd = (series: number): Uint8Array[] => [text({ htype: 'dseries_end-1.0', series })];
