/**
 * The few ONNX messages that we write, as plain data and as protobuf bytes (field numbers of `onnx.proto`, IR version 8).
 *
 * @example
 * const bytes = encodeModel({ graph: 'double', nodes, initializers, inputs, outputs });
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { integer, message, text } from '../protoFields.js';

/** Version 8 is the newest that the checker of every tool we met accepts. */
export const ONNX_IR_VERSION = 8;
/** The operator set that every lowering is written for. */
export const ONNX_OPSET = 18;

/** TensorProto.DataType, as the `to` of a Cast. */
export const ONNX_FLOAT = 1;
export const ONNX_BOOL = 9;
const dataTypes = { float32: ONNX_FLOAT, int64: 7 } as const;

/** Where a tensor's bytes lie when they are not in the model. */
export interface OnnxExternal {
  /** File name beside the model; never a path. */
  readonly location: string;
  /** Bytes from the beginning of that file. */
  readonly offset: number;
  readonly length: number;
}

/** A value that is part of the model: little-endian bytes, or a place in another file. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: keyof typeof dataTypes;
  readonly dims: readonly number[];
  readonly data: Uint8Array | OnnxExternal;
}

/** Integers only where the field is an INT or INTS, text for STRING. We need no float attributes. */
export type OnnxAttribute = number | string | readonly number[];

export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  /** An empty name leaves an optional operand out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A graph input or output; a dimension given by name is free. */
export interface OnnxValue {
  readonly name: string;
  readonly dims: readonly (number | string)[];
}

export interface OnnxModel {
  readonly graph: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** Encodes a ModelProto. The same model always gives the same bytes. */
export function encodeModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const w = new BinaryWriter();
  integer(w, 1, ONNX_IR_VERSION);
  text(w, 2, 'ptychopinn');
  message(w, 7, () => graphProto(w, model));
  message(w, 8, () => {
    text(w, 1, '');
    integer(w, 2, ONNX_OPSET);
  });
  return w.finish();
}

function graphProto(w: BinaryWriter, model: OnnxModel): void {
  for (const n of model.nodes) message(w, 1, () => nodeProto(w, n));
  text(w, 2, model.graph);
  for (const t of model.initializers) message(w, 5, () => tensorProto(w, t));
  for (const v of model.inputs) message(w, 11, () => valueInfoProto(w, v));
  for (const v of model.outputs) message(w, 12, () => valueInfoProto(w, v));
}

function nodeProto(w: BinaryWriter, node: OnnxNode): void {
  for (const name of node.inputs) text(w, 1, name);
  for (const name of node.outputs) text(w, 2, name);
  text(w, 3, node.name);
  text(w, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) message(w, 5, () => attributeProto(w, name, value));
}

/** AttributeProto.AttributeType: INT 2, STRING 3, INTS 7. */
function attributeProto(w: BinaryWriter, name: string, value: OnnxAttribute): void {
  text(w, 1, name);
  if (typeof value === 'number') {
    integer(w, 3, value);
    integer(w, 20, 2);
  } else if (typeof value === 'string') {
    text(w, 4, value);
    integer(w, 20, 3);
  } else {
    for (const v of value) integer(w, 8, v);
    integer(w, 20, 7);
  }
}

function tensorProto(w: BinaryWriter, tensor: OnnxTensor): void {
  for (const d of tensor.dims) integer(w, 1, d);
  integer(w, 2, dataTypes[tensor.type]);
  text(w, 8, tensor.name);
  const { data } = tensor;
  if (data instanceof Uint8Array) {
    w.tag(9, WireType.LengthDelimited).bytes(data);
    return;
  }
  // Without offset and length an engine reads from byte 0 of the file: wrong numbers and no error.
  const place = { location: data.location, offset: String(data.offset), length: String(data.length) };
  for (const [key, value] of Object.entries(place)) {
    message(w, 13, () => {
      text(w, 1, key);
      text(w, 2, value);
    });
  }
  integer(w, 14, 1); // data_location = EXTERNAL
}

function valueInfoProto(w: BinaryWriter, value: OnnxValue): void {
  text(w, 1, value.name);
  message(w, 2, () =>
    message(w, 1, () => {
      integer(w, 1, ONNX_FLOAT);
      message(w, 2, () => {
        for (const d of value.dims) {
          message(w, 1, () => (typeof d === 'number' ? integer(w, 1, d) : text(w, 2, d)));
        }
      });
    }),
  );
}

/** The bytes of a typed array, not copied. ONNX wants little endian, which is what every machine that Node runs on has. */
export function bytesOf(data: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
