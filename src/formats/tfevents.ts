/**
 * Event files of TensorBoard: scalars, pictures and text as framed protobuf records (field numbers of `event.proto`,
 * `summary.proto` and `tensor.proto`).
 *
 * @example
 * const bytes = Buffer.concat([
 *   encodeEvent({ wallTime: 1, version: true }),
 *   encodeEvent({ wallTime: 2, step: 1, values: [{ tag: 'loss', scalar: 0.5 }] }),
 * ]);
 * await writeFile('events.out.tfevents.1', bytes);
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { PtychoError } from '../core/errors.js';
import { writeInteger, writeMessage, writeText } from './protobuf.js';

/** The version that every event file begins with. */
const EVENTS_VERSION = 'brain.Event:2';
/** DataType of a text tensor. */
const DT_STRING = 7;
/** SessionLog.Status: what was logged at this step and later by an earlier file is forgotten. */
const SESSION_START = 1;

/** One value of a step. */
export type EventValue =
  | { readonly tag: string; readonly scalar: number }
  /** The bytes of a PNG file. */
  | { readonly tag: string; readonly png: Uint8Array }
  /** Markdown. */
  | { readonly tag: string; readonly text: string };

/** One event: the version at the beginning of a file, the restart of a run, or values of a step. */
export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step?: number;
  /** The first event of a file has this and nothing else. */
  readonly version?: boolean;
  /** The run starts anew at `step`. */
  readonly restart?: boolean;
  readonly values?: readonly EventValue[];
}

/**
 * A framed event, ready to be appended to an event file.
 * @throws PtychoError FILE_FORMAT for a picture that is no PNG.
 */
export function encodeEvent(event: TensorBoardEvent): Uint8Array<ArrayBuffer> {
  const w = new BinaryWriter();
  w.tag(1, WireType.Bit64).double(event.wallTime);
  // As everywhere in proto3 a zero is not written.
  if (event.step) writeInteger(w, 2, event.step);
  if (event.version) writeText(w, 3, EVENTS_VERSION);
  const { values } = event;
  if (values !== undefined) {
    writeMessage(w, 5, () => {
      for (const value of values) writeMessage(w, 1, () => summaryValue(w, value));
    });
  }
  if (event.restart) writeMessage(w, 7, () => writeInteger(w, 1, SESSION_START));
  return frameRecord(w.finish());
}

function summaryValue(w: BinaryWriter, value: EventValue): void {
  writeText(w, 1, value.tag);
  if ('scalar' in value) {
    // The writer refuses numbers beyond single precision; rounded they are infinite, as the file would hold them.
    w.tag(2, WireType.Bit32).float(Math.fround(value.scalar));
  } else if ('png' in value) {
    const { width, height, colorspace } = pngHeader(value.png);
    writeMessage(w, 4, () => {
      writeInteger(w, 1, height);
      writeInteger(w, 2, width);
      writeInteger(w, 3, colorspace);
      w.tag(4, WireType.LengthDelimited).bytes(value.png);
    });
  } else {
    writeMessage(w, 8, () => {
      writeInteger(w, 1, DT_STRING);
      writeMessage(w, 2, () => {}); // the shape of a scalar
      writeText(w, 8, value.text);
    });
    writeMessage(w, 9, () => writeMessage(w, 1, () => writeText(w, 1, 'text')));
  }
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Channels by the colour type of a PNG: grey, RGB, palette, grey with alpha, RGB with alpha. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 };

function pngHeader(png: Uint8Array): { width: number; height: number; colorspace: number } {
  if (png.length < 26 || !PNG_SIGNATURE.every((byte, i) => png[i] === byte)) {
    throw new PtychoError('FILE_FORMAT', 'A picture for TensorBoard must be the bytes of a PNG file.', {});
  }
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20), colorspace: CHANNELS[png[25]] ?? 3 };
}

// TFRecord framing: length, masked CRC32C of the length, data, masked CRC32C of the data; all little endian.

/** Reflected Castagnoli polynomial. */
const POLYNOMIAL = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? POLYNOMIAL ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32C (Castagnoli; RFC 3720, appendix B.4) as an unsigned number. */
export function crc32c(data: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < data.length; i++) c = table[(c ^ data[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

/** The checksum as TFRecord stores it: rotated by 15 bits and moved, because checksums of checksums are weak. */
export function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record with its frame: 16 bytes more than `data`. */
export function frameRecord(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(data.length + 16);
  const view = new DataView(frame.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(frame.subarray(0, 8)), true);
  frame.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return frame;
}
