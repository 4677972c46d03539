/**
 * An ONNX model: its nodes and constants as they are collected, and the few messages that we write, as plain data and as protobuf
 * bytes (field numbers of `onnx.proto`, IR version 8).
 *
 * @example
 * const bytes = encodeModel({ graph: 'double', ...g.finish(), inputs, outputs });
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { writeInteger, writeMessage, writeText } from '../protobuf.js';

/** Version 8 is the newest that the checker of every tool we met accepts. */
const ONNX_IR_VERSION = 8;
/** The operator set that every lowering is written for. */
const ONNX_OPSET = 18;
/** Operators of ONNX Runtime's processor engine for images whose channels come in blocks; see `blocked.ts`. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

/** TensorProto.DataType, as the `to` of a Cast. */
export const ONNX_FLOAT = 1;
export const ONNX_BOOL = 9;
export const ONNX_FLOAT16 = 10;
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
  /** Whose operator it is; ONNX's own where left out. */
  readonly domain?: string;
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
  writeInteger(w, 1, ONNX_IR_VERSION);
  writeText(w, 2, 'ptychopinn');
  writeMessage(w, 7, () => graphProto(w, model));
  writeMessage(w, 8, () => {
    writeText(w, 1, '');
    writeInteger(w, 2, ONNX_OPSET);
  });
  for (const domain of new Set(model.nodes.flatMap((n) => n.domain ?? []))) {
    writeMessage(w, 8, () => {
      writeText(w, 1, domain);
      writeInteger(w, 2, 1);
    });
  }
  return w.finish();
}

function graphProto(w: BinaryWriter, model: OnnxModel): void {
  for (const n of model.nodes) writeMessage(w, 1, () => nodeProto(w, n));
  writeText(w, 2, model.graph);
  for (const t of model.initializers) writeMessage(w, 5, () => tensorProto(w, t));
  for (const v of model.inputs) writeMessage(w, 11, () => valueInfoProto(w, v));
  for (const v of model.outputs) writeMessage(w, 12, () => valueInfoProto(w, v));
}

function nodeProto(w: BinaryWriter, node: OnnxNode): void {
  for (const name of node.inputs) writeText(w, 1, name);
  for (const name of node.outputs) writeText(w, 2, name);
  writeText(w, 3, node.name);
  writeText(w, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) writeMessage(w, 5, () => attributeProto(w, name, value));
  if (node.domain) writeText(w, 7, node.domain);
}

/** AttributeProto.AttributeType: INT 2, STRING 3, INTS 7. */
function attributeProto(w: BinaryWriter, name: string, value: OnnxAttribute): void {
  writeText(w, 1, name);
  if (typeof value === 'number') {
    writeInteger(w, 3, value);
    writeInteger(w, 20, 2);
  } else if (typeof value === 'string') {
    writeText(w, 4, value);
    writeInteger(w, 20, 3);
  } else {
    for (const v of value) writeInteger(w, 8, v);
    writeInteger(w, 20, 7);
  }
}

function tensorProto(w: BinaryWriter, tensor: OnnxTensor): void {
  for (const d of tensor.dims) writeInteger(w, 1, d);
  writeInteger(w, 2, dataTypes[tensor.type]);
  writeText(w, 8, tensor.name);
  const { data } = tensor;
  if (data instanceof Uint8Array) {
    w.tag(9, WireType.LengthDelimited).bytes(data);
    return;
  }
  // Without offset and length an engine reads from byte 0 of the file: wrong numbers and no error.
  const place = { location: data.location, offset: String(data.offset), length: String(data.length) };
  for (const [key, value] of Object.entries(place)) {
    writeMessage(w, 13, () => {
      writeText(w, 1, key);
      writeText(w, 2, value);
    });
  }
  writeInteger(w, 14, 1); // data_location = EXTERNAL
}

function valueInfoProto(w: BinaryWriter, value: OnnxValue): void {
  writeText(w, 1, value.name);
  writeMessage(w, 2, () =>
    writeMessage(w, 1, () => {
      writeInteger(w, 1, ONNX_FLOAT);
      writeMessage(w, 2, () => {
        for (const d of value.dims) {
          writeMessage(w, 1, () => (typeof d === 'number' ? writeInteger(w, 1, d) : writeText(w, 2, d)));
        }
      });
    }),
  );
}

/** The bytes of a typed array, not copied. ONNX wants little endian, which is what every machine that Node runs on has. */
function bytesOf(data: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** "To the end of the axis" in a Slice. */
export const TO_END = Number.MAX_SAFE_INTEGER;

/**
 * Collects nodes and constants; equal nodes and equal constants are made once.
 *
 * @example
 * const g = new Emitter();
 * const y = g.op('Add', ['x', g.float(1)]);
 */
export class Emitter {
  /** The label that the next nodes are named after. */
  label = '';
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxTensor[] = [];
  /** Value names by what makes them. */
  readonly #made = new Map<string, string>();
  readonly #constants = new Map<Float32Array, { shape: string; name: string }[]>();
  readonly #produced = new Set<string>();
  readonly #renamed = new Map<string, string>();

  /** Adds a node, or finds the one that computes the same; returns its result's name. */
  op(op: string, inputs: readonly string[], attributes: Attributes = {}, domain?: string): string {
    const key = JSON.stringify([op, inputs, attributes, domain]);
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    // '#' and the number keep these names apart from those of inputs, outputs and weights (checked by the encoder).
    const name = `${this.label || 'value'}/${op}#${this.#nodes.length}`;
    this.#nodes.push({ op, name, inputs, outputs: [name], attributes, ...(domain ? { domain } : {}) });
    this.#made.set(key, name);
    this.#produced.add(name);
    return name;
  }

  /** A list of integers (shapes, axes, paddings). */
  ints(values: readonly number[]): string {
    return this.#once(`int64 ${values.join(',')}`, (name) => ({
      name,
      type: 'int64',
      dims: [values.length],
      data: bytesOf(BigInt64Array.from(values, BigInt)),
    }));
  }

  /** A scalar. */
  float(value: number): string {
    return this.floats(Float32Array.of(value), []);
  }

  /** A constant; the same array with the same shape is stored once, and so are equal arrays of up to 16 values. */
  floats(data: Float32Array, shape: readonly number[]): string {
    const dims = [...shape];
    const make = (name: string): OnnxTensor => ({ name, type: 'float32', dims, data: bytesOf(data) });
    if (data.length <= 16) {
      // Object.is and NaN payloads do not matter here, but −0 does: 1/−0 is another number.
      const values = Array.from(data, (v) => (Object.is(v, -0) ? '-0' : String(v)));
      return this.#once(`float32 ${dims.join(',')} ${values.join(',')}`, make);
    }
    const shapes = this.#constants.get(data) ?? [];
    this.#constants.set(data, shapes);
    const known = shapes.find((s) => s.shape === dims.join(','));
    if (known) return known.name;
    const name = `constant#${this.#initializers.length}`;
    this.#initializers.push(make(name));
    shapes.push({ shape: dims.join(','), name });
    return name;
  }

  /** A value of its own name that is part of the model, or lies in a file beside it. */
  weight(name: string, shape: readonly number[], data: Float32Array | OnnxExternal): string {
    const content = data instanceof Float32Array ? bytesOf(data) : data;
    this.#initializers.push({ name, type: 'float32', dims: [...shape], data: content });
    return name;
  }

  reshape(x: string, dims: readonly number[]): string {
    return this.op('Reshape', [x, this.ints(dims)]);
  }

  transpose(x: string, perm: readonly number[]): string {
    return perm.every((p, i) => p === i) ? x : this.op('Transpose', [x], { perm });
  }

  /** x[starts:ends] along the named axes. */
  slice(x: string, axes: readonly number[], starts: readonly number[], ends: readonly number[]): string {
    return this.op('Slice', [x, this.ints(starts), this.ints(ends), this.ints(axes)]);
  }

  /** Zeros before and after, per axis. */
  pad(x: string, before: readonly number[], after: readonly number[]): string {
    return [...before, ...after].every((p) => p === 0) ? x : this.op('Pad', [x, this.ints([...before, ...after])]);
  }

  concat(xs: readonly string[], axis: number): string {
    return xs.length === 1 ? xs[0] : this.op('Concat', xs, { axis });
  }

  reduceSum(x: string, axes: readonly number[]): string {
    return this.op('ReduceSum', [x, this.ints(axes)], { keepdims: 0 });
  }

  /** Makes `value` known as `name`: by renaming it where that is possible (a copy costs a pass over memory). */
  publish(value: string, name: string): void {
    if (this.#produced.has(value) && !this.#renamed.has(value)) this.#renamed.set(value, name);
    else this.#nodes.push({ op: 'Identity', name, inputs: [value], outputs: [name], attributes: {} });
  }

  /** What was collected, with the published names in place. */
  finish(): { nodes: OnnxNode[]; initializers: OnnxTensor[] } {
    const final = (name: string) => this.#renamed.get(name) ?? name;
    const nodes = this.#nodes.map((n) => ({ ...n, inputs: n.inputs.map(final), outputs: n.outputs.map(final) }));
    return { nodes, initializers: this.#initializers };
  }

  #once(key: string, make: (name: string) => OnnxTensor): string {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const name = `constant#${this.#initializers.length}`;
    this.#initializers.push(make(name));
    this.#made.set(key, name);
    return name;
  }
}
