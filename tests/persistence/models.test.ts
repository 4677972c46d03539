import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { PtychoError } from '../../src/core/errors.js';
import type { Tensor } from '../../src/core/tensor.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import { decodeSafetensors, encodeSafetensors } from '../../src/formats/safetensors.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { checkReferences, readOnnxFacts } from '../../src/persistence/models.js';

const LOCATION = 'weights.safetensors';
const weights: Record<string, Tensor> = {
  kernel: { data: Float32Array.from({ length: 18 }, (_, i) => i), shape: [2, 1, 3, 3] },
  gain: { data: Float32Array.of(3), shape: [] },
};
const { bytes: weightsFile, entries } = encodeSafetensors(weights);
const decoded = decodeSafetensors(weightsFile);

function programOf(batch: number) {
  const x = op.input('x', [batch, 1, 8, 8]);
  const y = op.mul(op.conv2d(x, op.state('kernel', [2, 1, 3, 3])), op.state('gain', []));
  return defineProgram({ name: 'p', outputs: { y } });
}

const encoded = encodeOnnx(programOf(2), { externalData: { location: LOCATION, entries }, twin: programOf(3) });

/** The body of a message, written with the fields of onnx.proto. */
type Body = (w: BinaryWriter) => void;
const message =
  (no: number, body: Body): Body =>
  (w) => {
    w.tag(no, WireType.LengthDelimited).fork();
    body(w);
    w.join();
  };
const text =
  (no: number, value: string): Body =>
  (w) => {
    w.tag(no, WireType.LengthDelimited).string(value);
  };
const int =
  (no: number, value: number): Body =>
  (w) => {
    w.tag(no, WireType.Varint).int64(value);
  };
const all =
  (...bodies: Body[]): Body =>
  (w) => {
    for (const b of bodies) b(w);
  };
const bytesOf = (body: Body) => {
  const w = new BinaryWriter();
  body(w);
  return w.finish();
};
const packed = (no: number, values: number[]): Body =>
  message(no, (w) => {
    for (const v of values) w.int64(v);
  });
const pair = (key: string, value: string) => message(13, all(text(1, key), text(2, value)));
const place = (location: string, offset: number | string, length: number | string) =>
  all(pair('location', location), pair('offset', String(offset)), pair('length', String(length)), int(14, 1));
const tensor = (where: Body, dims: Body = packed(1, [2, 1, 3, 3]), type = 1, name = 'kernel') =>
  all(dims, int(2, type), text(8, name), where);
const model = (...graph: Body[]) => bytesOf(all(int(1, 8), message(7, all(...graph))));
const { offset, length } = entries.get('kernel')!;

function check(bytes: Uint8Array): void {
  checkReferences(readOnnxFacts(bytes, 'm.onnx'), LOCATION, decoded, 'm.onnx');
}

describe('readOnnxFacts', () => {
  it('reads signature and references of a model that we encode', () => {
    const facts = readOnnxFacts(encoded, 'm.onnx');
    expect(facts.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['batch', 1, 8, 8] }]);
    expect(facts.outputs).toEqual([{ name: 'y', dtype: 'float32', shape: ['batch', 2, 8, 8] }]);
    const found = facts.external.map((e) => [e.name, e.shape, e.location, e.offset, e.length]);
    const at = (name: string) => [LOCATION, entries.get(name)!.offset, entries.get(name)!.length];
    expect(found).toHaveLength(2);
    expect(found).toContainEqual(['kernel', [2, 1, 3, 3], ...at('kernel')]);
    expect(found).toContainEqual(['gain', [], ...at('gain')]);
    checkReferences(facts, LOCATION, decoded, 'm.onnx');
  });

  it('reads dimensions that are packed and such that are not, as writers do both', () => {
    for (const dims of [packed(1, [2, 9]), all(int(1, 2), int(1, 9)), all(packed(1, [2]), int(1, 9))]) {
      const bytes = model(message(5, tensor(place(LOCATION, offset, length), dims)));
      expect(readOnnxFacts(bytes, 'm.onnx').external[0].shape).toEqual([2, 9]);
    }
  });

  it('passes over embedded tensors and fields that it does not know', () => {
    const embedded = message(
      5,
      all(
        packed(1, [1]),
        int(2, 7),
        text(8, 'axes'),
        message(9, () => {}),
      ),
    );
    const unknown = all(
      text(900, 'x'),
      int(901, 1),
      (w) => w.tag(902, WireType.Bit32).fixed32(1),
      (w) => w.tag(903, WireType.Bit64).fixed64(1),
    );
    expect(readOnnxFacts(bytesOf(all(message(7, all(embedded, unknown)), unknown)), 'm.onnx').external).toEqual([]);
  });

  it.each<[string, Uint8Array, string]>([
    ['a file that is cut off', encoded.subarray(0, encoded.length - 3), 'it is not an ONNX model'],
    ['text', Buffer.from('this is not a model'), 'it is not an ONNX model'],
    ['an empty file', new Uint8Array(0), 'it holds 0 graphs, expected one'],
    [
      'two graphs',
      bytesOf(
        all(
          message(7, () => {}),
          message(7, () => {}),
        ),
      ),
      'it holds 2 graphs, expected one',
    ],
    [
      'functions',
      bytesOf(
        all(
          message(7, () => {}),
          message(25, () => {}),
        ),
      ),
      'it holds functions',
    ],
    [
      'training information',
      bytesOf(
        all(
          message(7, () => {}),
          message(20, () => {}),
        ),
      ),
      'it holds training information',
    ],
    ['sparse initialisers', model(message(15, () => {})), 'it holds a sparse initialiser'],
    [
      'a sub-graph',
      model(
        message(
          1,
          message(
            5,
            message(6, () => {}),
          ),
        ),
      ),
      'it holds a sub-graph',
    ],
    [
      'several sub-graphs',
      model(
        message(
          1,
          message(
            5,
            message(11, () => {}),
          ),
        ),
      ),
      'it holds a sub-graph',
    ],
    ['operators of its own', model(message(1, text(7, 'com.example'))), 'it uses operators of "com.example"'],
    [
      'a sparse attribute',
      model(
        message(
          1,
          message(
            5,
            message(22, () => {}),
          ),
        ),
      ),
      'it holds a sparse tensor',
    ],
    [
      'an attribute tensor that points outside',
      model(message(1, message(5, message(5, tensor(place(LOCATION, offset, length)))))),
      'the attribute tensor "kernel" points outside the file',
    ],
    [
      'no offset',
      model(message(5, tensor(all(pair('location', LOCATION), pair('length', '72'), int(14, 1))))),
      'must give location, offset and length, it gives length, location',
    ],
    [
      'no length',
      model(message(5, tensor(all(pair('location', LOCATION), pair('offset', '64'), int(14, 1))))),
      'must give location, offset and length, it gives location, offset',
    ],
    [
      'nothing but the flag',
      model(message(5, tensor(int(14, 1)))),
      'must give location, offset and length, it gives nothing',
    ],
    [
      'a place without the flag',
      model(message(5, tensor(all(pair('location', LOCATION), pair('offset', '64'), pair('length', '72'))))),
      'must give location, offset and length',
    ],
    [
      'another key',
      model(message(5, tensor(all(place(LOCATION, offset, length), pair('checksum', 'x'))))),
      'it gives checksum, length, location, offset',
    ],
    [
      'a key twice',
      model(message(5, tensor(all(place(LOCATION, offset, length), pair('location', '/etc/passwd'))))),
      'gives "location" twice',
    ],
    ['a negative offset', model(message(5, tensor(place(LOCATION, -64, length)))), 'has offset "-64"'],
    ['an offset in other digits', model(message(5, tensor(place(LOCATION, '0x40', length)))), 'has offset "0x40"'],
    [
      'integers',
      model(message(5, tensor(place(LOCATION, offset, length), packed(1, [2, 1, 3, 3]), 7))),
      'the external tensor "kernel" is not float32',
    ],
  ])('refuses %s', (_, bytes, why) => {
    expect(() => readOnnxFacts(bytes, 'm.onnx')).toThrow(PtychoError);
    expect(() => readOnnxFacts(bytes, 'm.onnx')).toThrow(`m.onnx: `);
    expect(() => readOnnxFacts(bytes, 'm.onnx')).toThrow(why);
  });
});

describe('checkReferences', () => {
  const reference = (where: Body, dims?: Body, name?: string) => model(message(5, tensor(where, dims, 1, name)));

  it('accepts exactly the bytes of the tensor of that name', () => check(reference(place(LOCATION, offset, length))));

  const range = (from: number, to: number) =>
    `points to bytes ${from} to ${to} of ${LOCATION}, its tensor is at bytes ${offset} to ${offset + length}`;

  it.each<[string, Uint8Array, string]>([
    [
      'a parent folder',
      reference(place(`../${LOCATION}`, offset, length)),
      `points to "../${LOCATION}"; only "${LOCATION}" is allowed`,
    ],
    ['an absolute path', reference(place('/etc/passwd', offset, length)), 'points to "/etc/passwd"'],
    ['a sub-folder', reference(place(`sub/${LOCATION}`, offset, length)), 'points to'],
    ['this folder', reference(place(`./${LOCATION}`, offset, length)), 'points to'],
    ['the same name in capitals', reference(place(LOCATION.toUpperCase(), offset, length)), 'points to'],
    [
      'an unknown name',
      reference(place(LOCATION, offset, length), undefined, 'other'),
      'which has no tensor of that name',
    ],
    [
      'another shape of the same size',
      reference(place(LOCATION, offset, length), packed(1, [18])),
      `has shape [18], ${LOCATION} has [2, 1, 3, 3]`,
    ],
    [
      'a length that is not the shape’s',
      reference(place(LOCATION, offset, length - 4)),
      range(offset, offset + length - 4),
    ],
    ['the header', reference(place(LOCATION, 0, length)), range(0, length)],
    ['bytes past the end', reference(place(LOCATION, 10 ** 9, length)), range(10 ** 9, 10 ** 9 + length)],
  ])('refuses %s', (_, bytes, why) => {
    expect(() => check(bytes)).toThrow(PtychoError);
    expect(() => check(bytes)).toThrow(why);
  });
});
