/** ONNX bytes: what is written, what is refused, and the free batch axis run by the engine. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/core/tensor.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';
import { interpret } from '../support/interpreter.js';

type Field = number | Uint8Array;

/** A message as its fields, undecoded: number → values in order. */
function fieldsOf(bytes: Uint8Array): Map<number, Field[]> {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Field[]>();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const value = wire === WireType.LengthDelimited ? reader.bytes() : Number(reader.int64());
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}
const all = (message: Map<number, Field[]>, field: number) => (message.get(field) ?? []) as Uint8Array[];
const text = (value: Field | undefined) => Buffer.from(value as Uint8Array).toString('utf8');

/** The graph's node types and the names that it declares. */
function graphOf(bytes: Uint8Array) {
  const model = fieldsOf(bytes);
  const graph = fieldsOf(all(model, 7)[0]);
  const names = (field: number, nameField: number) =>
    all(graph, field).map((m) => text(fieldsOf(m).get(nameField)?.[0]));
  return { model, graph, ops: names(1, 4), initializers: names(5, 8), inputs: names(11, 1), outputs: names(12, 1) };
}

const run = async (
  bytes: Uint8Array,
  feeds: Record<string, Tensor>,
  options: ort.InferenceSession.SessionOptions = {},
) => {
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, ...options });
  try {
    const tensors = Object.entries(feeds).map(([name, t]) => [name, new ort.Tensor('float32', t.data, t.shape)]);
    const results = await session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      Object.entries(results).map(([name, t]) => [name, { data: t.data as Float32Array, shape: [...t.dims] }]),
    );
  } finally {
    await session.release();
  }
};
const ramp = (...shape: number[]): Tensor => ({
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (((i + 1) * 0.618034) % 1) - 0.4),
  shape,
});

const w = op.state('w', [2, 3]);
const scaled = defineProgram({ name: 'scaled', outputs: { y: op.mul(op.input('x', [4, 3]), op.reduceSum(w, [0])) } });

describe('encodeOnnx', () => {
  it('writes IR version 8, opset 18 and nothing that depends on the run', () => {
    const { model } = graphOf(encodeOnnx(scaled));
    expect(model.get(1)).toEqual([8]);
    expect(text(model.get(2)?.[0])).toBe('ptychopinn');
    const opset = fieldsOf(all(model, 8)[0]);
    expect([text(opset.get(1)?.[0]), opset.get(2)]).toEqual(['', [18]]);
    expect([...model.keys()].sort((a, b) => a - b)).toEqual([1, 2, 7, 8]);
    expect(encodeOnnx(scaled)).toEqual(encodeOnnx(scaled));
  });

  it('reads state as state:NAME and gives its next value as next:NAME', () => {
    const step = defineProgram({ name: 'step', outputs: { y: op.neg(w) }, updates: { w: op.mul(w, 2) } });
    expect(graphOf(encodeOnnx(step))).toMatchObject({
      inputs: ['state:w'],
      outputs: ['y', 'next:w'],
      ops: ['Neg', 'Mul'],
    });
  });

  it('makes constant state an initialiser of its own name', async () => {
    const bytes = encodeOnnx(scaled, { constants: { w: ramp(2, 3) } });
    const graph = graphOf(bytes);
    expect(graph.inputs).toEqual(['x']);
    expect(graph.initializers).toContain('w');
    const { y } = await run(bytes, { x: ramp(4, 3) });
    const { outputs } = interpret(scaled, { x: ramp(4, 3).data }, { w: ramp(2, 3).data });
    y.data.forEach((v, i) => {
      expect(v).toBeCloseTo(outputs.y.data[i], 5);
    });
  });

  it('points into another file with location, offset and length, and the engine reads the same values there', async () => {
    const values = ramp(2, 3);
    const file = new Uint8Array(17 + 24 + 5).fill(255);
    file.set(new Uint8Array(values.data.buffer), 17);
    const entries = new Map([['w', { offset: 17, length: 24 }]]);
    const bytes = encodeOnnx(scaled, { externalData: { location: 'weights.safetensors', entries } });
    const tensor = all(graphOf(bytes).graph, 5)
      .map(fieldsOf)
      .find((t) => text(t.get(8)?.[0]) === 'w');
    const places = all(tensor!, 13).map(fieldsOf);
    expect(Object.fromEntries(places.map((p) => [text(p.get(1)?.[0]), text(p.get(2)?.[0])]))).toEqual({
      location: 'weights.safetensors',
      offset: '17',
      length: '24',
    });
    expect(tensor?.get(14)).toEqual([1]);
    expect(tensor?.has(9)).toBe(false);

    const embedded = await run(encodeOnnx(scaled, { constants: { w: values } }), { x: ramp(4, 3) });
    const external = await run(
      bytes,
      { x: ramp(4, 3) },
      { externalData: [{ path: 'weights.safetensors', data: file }] },
    );
    expect(external.y.data).toEqual(embedded.y.data);
  });

  it('names results directly, and copies only where it must', async () => {
    const x = op.input('x', [2]);
    const y = op.neg(x);
    const two = op.constant([1, 2], [2]);
    const program = defineProgram({ name: 'names', outputs: { y, again: y, x2: x, two } });
    const bytes = encodeOnnx(program);
    expect(graphOf(bytes).ops).toEqual(['Neg', 'Identity', 'Identity', 'Identity']);
    const found = await run(bytes, { x: { data: Float32Array.of(3, 4), shape: [2] } });
    expect(Object.fromEntries(Object.entries(found).map(([name, t]) => [name, [...t.data]]))).toEqual({
      y: [-3, -4],
      again: [-3, -4],
      x2: [3, 4],
      two: [1, 2],
    });
  });

  it('computes equal things once', () => {
    const x = op.input('x', [1, 1, 4, 4]);
    const kernel = op.state('kernel', [1, 1, 3, 3]);
    const [dx] = gradients(op.reduceSum(op.upConv2d(x, kernel)), [x]);
    const { ops } = graphOf(encodeOnnx(defineProgram({ name: 'p', outputs: { y: op.upConv2d(x, kernel), dx } })));
    expect(ops.filter((name) => name === 'Transpose')).toHaveLength(1);
  });

  it('expands nothing that an operation broadcasts by itself', () => {
    const x = op.input('x', [4, 5]);
    const [dx] = gradients(op.reduceMean(op.square(op.sub(x, 1))), [x]);
    const { ops } = graphOf(encodeOnnx(defineProgram({ name: 'p', outputs: { dx } })));
    expect(ops).not.toContain('Expand');
  });

  it('refuses names that collide, naming them', () => {
    const x = op.input('x', [2]);
    const same = defineProgram({ name: 'same', outputs: { x: op.neg(x) } });
    expect(() => encodeOnnx(same)).toThrow('Program "same" cannot be encoded: two values are called "x".');
    const hash = defineProgram({ name: 'hash', outputs: { 'value#1': op.neg(x) } });
    expect(() => encodeOnnx(hash)).toThrow('"value#1" cannot name a value');
    const constants = { w: ramp(2, 3) };
    const taken = defineProgram({ name: 'taken', outputs: { w: op.neg(w) } });
    expect(() => encodeOnnx(taken, { constants })).toThrow('two values are called "w"');
  });

  it('refuses constants and external values that do not fit', () => {
    expect(() => encodeOnnx(scaled, { constants: { w: ramp(3, 2) } })).toThrow(
      'The constant value of "w" has shape (3, 2), the program needs (2, 3).',
    );
    const entries = new Map([['w', { offset: 0, length: 20 }]]);
    expect(() => encodeOnnx(scaled, { externalData: { location: 'f', entries } })).toThrow(
      'The external value of "w" has 20 bytes, its shape (2, 3) needs 24.',
    );
    const step = defineProgram({ name: 'step', outputs: {}, updates: { w: op.mul(w, 2) } });
    expect(() => encodeOnnx(step, { constants: { w: ramp(2, 3) } })).toThrow(
      'the state "w" is constant and cannot have an update',
    );
  });
});

/** Encodes with a free batch axis and compares the engine with the program built for each batch size. */
async function expectFreeBatch(
  build: (batch: number) => Program,
  inputs: (batch: number) => Record<string, Tensor>,
  batches = [1, 2, 5],
) {
  const state = ramp(2, 3);
  const bytes = encodeOnnx(build(3), { twin: build(4), constants: { w: state } });
  for (const batch of batches) {
    const feeds = inputs(batch);
    const found = await run(bytes, feeds);
    const values = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, t.data]));
    const { outputs } = interpret(build(batch), values, { w: state.data });
    for (const [name, { data, shape }] of Object.entries(outputs)) {
      expect(found[name].shape).toEqual(shape);
      data.forEach((v, i) => {
        expect(Math.abs(found[name].data[i] - v)).toBeLessThan(1e-5 * (1 + Math.abs(v)));
      });
    }
  }
  return bytes;
}

describe('a free batch axis', () => {
  const one = (build: (x: GraphNode, batch: number) => GraphNode) => (batch: number) =>
    defineProgram({ name: 'free', outputs: { y: build(op.input('x', [batch, 2, 4, 4]), batch) } });
  const feed = (batch: number) => ({ x: ramp(batch, 2, 4, 4) });

  it('is called batch in the signature, also where it is folded with channels', async () => {
    const bytes = await expectFreeBatch(
      one((x, b) => op.reshape(op.transpose(x, [0, 2, 1, 3]), [b * 4, 8])),
      feed,
    );
    const { graph } = graphOf(bytes);
    const dims = (field: number) => {
      const type = fieldsOf(all(fieldsOf(all(graph, field)[0]), 2)[0]);
      const shape = fieldsOf(all(fieldsOf(all(type, 1)[0]), 2)[0]);
      return all(shape, 1).map((d) => fieldsOf(d).get(1)?.[0] ?? text(fieldsOf(d).get(2)?.[0]));
    };
    expect(dims(11)).toEqual(['batch', 2, 4, 4]);
    expect(dims(12)).toEqual(['batch_x4', 8]);
  });

  it('goes through slice, pad and concat', async () => {
    await expectFreeBatch(
      one((x, b) => op.slice(x, [0, 1, 0, 1], [b, 1, 4, 2])),
      feed,
    );
    await expectFreeBatch(
      one((x, b) => op.slice(x, [1, 0, 0, 0], [b - 1, 2, 4, 4])),
      feed,
      [2, 5],
    );
    await expectFreeBatch(
      one((x) => op.slice(x, [0, 0, 0, 0], [1, 2, 4, 4])),
      feed,
    );
    await expectFreeBatch(
      one((x) => op.pad(x, [1, 0, 0, 2], [0, 0, 1, 0])),
      feed,
    );
    await expectFreeBatch(
      one((x) => op.concat([x, x], 0)),
      feed,
    );
  });

  it('goes through broadcast, whether or not the operand has the axis', async () => {
    await expectFreeBatch(
      one((x, b) => op.sin(op.broadcast(op.reduceSum(x, [1], true), [b, 2, 4, 4]))),
      feed,
    );
    await expectFreeBatch(
      one((x, b) => op.concat([x, op.broadcast(op.scalar(2), [b, 1, 4, 4])], 1)),
      feed,
    );
    await expectFreeBatch(
      one((x, b) => op.concat([op.reshape(x, [2 * b, 4, 4]), op.broadcast(op.scalar(2), [2 * b, 1, 4])], 1)),
      feed,
    );
  });

  it('goes through convolutions, their gradients and everything between', async () => {
    const build = (batch: number) => {
      const x = op.input('x', [batch, 2, 4, 4]);
      const [k1, k2] = [
        op.constant(ramp(3, 2, 3, 3).data, [3, 2, 3, 3]),
        op.constant(ramp(2, 3, 3, 3).data, [2, 3, 3, 3]),
      ];
      const y = op.upConv2d(op.maxPool2(op.relu(op.conv2d(x, k1))), k2);
      const [dx, d1, d2] = gradients(op.reduceSum(op.square(y)), [x, k1, k2]);
      return defineProgram({ name: 'net', outputs: { y, dx, d1, d2 } });
    };
    await expectFreeBatch(build, feed);
  });

  it('goes with state, and with an input that nothing needs', async () => {
    const build = (batch: number) =>
      defineProgram({
        name: 'signature',
        outputs: { y: op.matmul(op.input('x', [batch, 2]), w) },
        inputs: [op.input('positions', [batch, 1, 2])],
      });
    await expectFreeBatch(build, (batch) => ({ x: ramp(batch, 2), positions: ramp(batch, 1, 2) }));
  });

  it.each<[string, (x: GraphNode, batch: number) => GraphNode, string]>([
    [
      'two free axes of one reshape',
      (x, b) => {
        const rows = op.reshape(x, [b, 32]);
        return op.reshape(op.matmul(rows, op.transposeLast(rows)), [b, b, 1]);
      },
      'more than one of its axes',
    ],
    [
      'a mean over the batch in a gradient',
      (x) => gradients(op.reduceMean(op.sin(x)), [x])[0],
      'the constant depends on the batch size',
    ],
    ['a constant with the batch axis', (x, b) => op.add(x, op.constant(new Float32Array(b), [b, 1, 1, 1])), 'constant'],
    [
      'a slice that ends at half the batch',
      (x, b) => op.slice(x, [0, 0, 0, 0], [Math.ceil(b / 2), 2, 4, 4]),
      'its end on axis 0',
    ],
    ['a padding that grows with the batch', (x, b) => op.pad(x, [0, 0, 0, b], [0, 0, 0, 0]), 'its paddings'],
    [
      'a broadcast to more than a multiple',
      (x, b) => op.concat([op.reshape(op.reduceSum(x), [1]), op.broadcast(op.scalar(2), [b + 1])], 0),
      'no multiple',
    ],
    ['an attribute that depends on it', (x, b) => op.maximum(x, b), 'its attributes depend'],
  ])('refuses %s', (_, build, why) => {
    const program = one(build);
    expect(() => encodeOnnx(program(5), { twin: program(8) })).toThrowError(
      expect.objectContaining({ code: 'GRAPH_INVALID', message: expect.stringContaining(why) }),
    );
  });

  it('refuses a twin that is another program', () => {
    const [a, b] = [one((x) => op.neg(x)), one((x) => op.neg(op.neg(x)))];
    expect(() => encodeOnnx(a(2), { twin: b(3) })).toThrow('have 2 and 3 nodes');
  });
});
