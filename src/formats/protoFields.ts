/** Fields of protocol buffer messages, written one by one. */
import { type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** An integer field. */
export function integer(w: BinaryWriter, field: number, value: number): void {
  w.tag(field, WireType.Varint).int64(value);
}

/** A text field. */
export function text(w: BinaryWriter, field: number, value: string): void {
  w.tag(field, WireType.LengthDelimited).string(value);
}

/** A message within the message; `body` writes its fields. */
export function message(w: BinaryWriter, field: number, body: () => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  body();
  w.join();
}
