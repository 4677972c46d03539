/**
 * Messages of protocol buffers, field by field: written in the order of the calls, read by the number of the field.
 *
 * @example
 * readMessage(bytes, { 1: textField((value) => names.push(value)) });
 */
import { BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Writes an integer field. */
export function writeInteger(w: BinaryWriter, field: number, value: number): void {
  w.tag(field, WireType.Varint).int64(value);
}

/** Writes a text field. */
export function writeText(w: BinaryWriter, field: number, value: string): void {
  w.tag(field, WireType.LengthDelimited).string(value);
}

/** Writes a message within the message; `body` writes its fields. */
export function writeMessage(w: BinaryWriter, field: number, body: () => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  body();
  w.join();
}

/** Takes a field from a reader that stands behind its tag. */
export type FieldReader = (reader: BinaryReader, wire: WireType) => void;

/** Reads a message: the given fields, by number; all others are skipped. @throws Error for bytes that are no message */
export function readMessage(bytes: Uint8Array, fields: Readonly<Record<number, FieldReader>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [no, wire] = reader.tag();
    const field = fields[no];
    if (field) field(reader, wire);
    else reader.skip(wire, no);
  }
}

/** A field that is a message, or bytes. */
export const messageField =
  (read: (bytes: Uint8Array) => void): FieldReader =>
  (reader, wire) => {
    if (wire !== WireType.LengthDelimited) throw new Error('expected a length-delimited field');
    read(reader.bytes());
  };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A field that is text. */
export const textField = (read: (value: string) => void): FieldReader =>
  messageField((bytes) => read(utf8.decode(bytes)));

/** A field of integers, which come one by one or packed, as the writer likes. */
export const integerField =
  (read: (value: number) => void): FieldReader =>
  (reader, wire) => {
    if (wire === WireType.Varint) read(Number(reader.int64()));
    else {
      messageField((bytes) => {
        const packed = new BinaryReader(bytes);
        while (packed.pos < packed.len) read(Number(packed.int64()));
      })(reader, wire);
    }
  };
