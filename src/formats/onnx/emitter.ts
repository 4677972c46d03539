/**
 * Collects ONNX nodes and constants; equal nodes and equal constants are made once.
 *
 * @example
 * const g = new Emitter();
 * const y = g.op('Add', ['x', g.float(1)]);
 */
import { bytesOf, type OnnxAttribute, type OnnxExternal, type OnnxNode, type OnnxTensor } from './proto.js';

export type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** "To the end of the axis" in a Slice. */
export const TO_END = Number.MAX_SAFE_INTEGER;

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
  op(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const key = JSON.stringify([op, inputs, attributes]);
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    // '#' and the number keep these names apart from those of inputs, outputs and weights (checked by the encoder).
    const name = `${this.label || 'value'}/${op}#${this.#nodes.length}`;
    this.#nodes.push({ op, name, inputs, outputs: [name], attributes });
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
  slice(
    x: string,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps?: number[],
  ): string {
    const operands = [x, this.ints(starts), this.ints(ends), this.ints(axes)];
    return this.op('Slice', steps ? [...operands, this.ints(steps)] : operands);
  }

  /** Zeros before and after, per axis. */
  pad(x: string, before: readonly number[], after: readonly number[]): string {
    return [...before, ...after].every((p) => p === 0) ? x : this.op('Pad', [x, this.ints([...before, ...after])]);
  }

  concat(xs: readonly string[], axis: number): string {
    return xs.length === 1 ? xs[0] : this.op('Concat', xs, { axis });
  }

  reduceSum(x: string, axes: readonly number[], keepDims = false): string {
    return this.op('ReduceSum', [x, this.ints(axes)], { keepdims: keepDims ? 1 : 0 });
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
