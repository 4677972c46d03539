/** Reads event files of TensorBoard with nothing of `src`: frames, checksums and the few messages. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export interface ReadEvent {
  wallTime: number;
  step: number;
  version?: string;
  restart: boolean;
  scalars: Record<string, number>;
  images: Record<string, { width: number; height: number; bytes: Uint8Array }>;
  texts: Record<string, string>;
}

/** Bit by bit, so that a table can be wrong without being right here. */
function crc(data: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of data) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = (c >>> 1) ^ (c & 1 ? 0x82f63b78 : 0);
  }
  c = ~c >>> 0;
  return (((c >>> 15) | (c << 17)) + 0xa282ead8) >>> 0;
}

/** All events of a file; throws for a frame that does not hold. */
export function readEventFile(file: Uint8Array): ReadEvent[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const events: ReadEvent[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true));
    if (view.getUint32(at + 8, true) !== crc(file.subarray(at, at + 8))) throw new Error(`length at ${at} is damaged`);
    const data = file.subarray(at + 12, at + 12 + length);
    if (view.getUint32(at + 12 + length, true) !== crc(data)) throw new Error(`data at ${at} is damaged`);
    events.push(readEvent(data));
    at += 16 + length;
  }
  return events;
}

type Fields = Map<number, (number | bigint | string | Uint8Array)[]>;

function fields(data: Uint8Array): Fields {
  const reader = new BinaryReader(data);
  const found: Fields = new Map();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const value =
      type === WireType.Varint
        ? Number(reader.int64())
        : type === WireType.Bit64
          ? reader.double()
          : type === WireType.Bit32
            ? reader.float()
            : reader.bytes();
    found.set(field, [...(found.get(field) ?? []), value]);
  }
  return found;
}

const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array);

function readEvent(data: Uint8Array): ReadEvent {
  const event = fields(data);
  const read: ReadEvent = {
    wallTime: event.get(1)?.[0] as number,
    step: (event.get(2)?.[0] as number | undefined) ?? 0,
    restart: event.has(7) && fields(event.get(7)?.[0] as Uint8Array).get(1)?.[0] === 1,
    scalars: {},
    images: {},
    texts: {},
  };
  if (event.has(3)) read.version = text(event.get(3)?.[0]);
  const summary = event.has(5) ? fields(event.get(5)?.[0] as Uint8Array) : new Map();
  for (const bytes of summary.get(1) ?? []) {
    const value = fields(bytes as Uint8Array);
    const tag = text(value.get(1)?.[0]);
    if (value.has(2)) read.scalars[tag] = value.get(2)?.[0] as number;
    if (value.has(4)) {
      const image = fields(value.get(4)?.[0] as Uint8Array);
      const [height, width] = [image.get(1)?.[0] as number, image.get(2)?.[0] as number];
      read.images[tag] = { width, height, bytes: image.get(4)?.[0] as Uint8Array };
    }
    if (value.has(8)) read.texts[tag] = text(fields(value.get(8)?.[0] as Uint8Array).get(8)?.[0]);
  }
  return read;
}
