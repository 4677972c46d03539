/** A wrong shape throws when the graph is built, and names op, shapes and label. */
import { describe, expect, it } from 'vitest';
import type { OpName } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';

const x = (...shape: number[]) => op.input('x', shape);
const w = (...shape: number[]) => op.state('w', shape);

const wrong: [op: OpName, shapes: string, build: () => unknown][] = [
  ['constant', '(2, 2)', () => op.constant([1, 2, 3], [2, 2], 'here')],
  ['add', '(2, 3), (4,)', () => op.add(x(2, 3), x(4), 'here')],
  ['sub', '(2, 3), (3, 2)', () => op.sub(x(2, 3), x(3, 2), 'here')],
  ['mul', '(2,), (3,)', () => op.mul(x(2), x(3), 'here')],
  ['div', '(2, 1, 4), (3, 3)', () => op.div(x(2, 1, 4), x(3, 3), 'here')],
  ['equal', '(2,), (3,)', () => op.equal(x(2), x(3), 'here')],
  ['reluGrad', '(2,), (3,)', () => op.reluGrad(x(2), x(3), 'here')],
  ['matmul', '(2, 3), (2, 3)', () => op.matmul(x(2, 3), x(2, 3), 'here')],
  ['matmul', '(3,), (3, 2)', () => op.matmul(x(3), x(3, 2), 'here')],
  ['matmul', '(2, 3, 3), (4, 3, 3)', () => op.matmul(x(2, 3, 3), x(4, 3, 3), 'here')],
  ['transpose', '(2, 3)', () => op.transpose(x(2, 3), [0, 0], 'here')],
  ['reshape', '(2, 3)', () => op.reshape(x(2, 3), [4], 'here')],
  ['concat', '(2, 3), (2, 4)', () => op.concat([x(2, 3), x(2, 4)], 0, 'here')],
  ['concat', '(2, 3)', () => op.concat([x(2, 3), x(2, 3)], 2, 'here')],
  ['concat', 'nothing', () => op.concat([], 0, 'here')],
  ['slice', '(4,)', () => op.slice(x(4), [2], [3], 'here')],
  ['pad', '(4,)', () => op.pad(x(4), [-1], [0], 'here')],
  ['geluGrad', '(2,), (3,)', () => op.geluGrad(x(2), x(3), 'here')],
  ['reflectPad', '(1, 1, 3, 4)', () => op.reflectPad(x(1, 1, 3, 4), 3, 'here')],
  ['broadcast', '(2, 3)', () => op.broadcast(x(2, 3), [3], 'here')],
  ['reduceSum', '(2, 3)', () => op.reduceSum(x(2, 3), [2], false, 'here')],
  ['reduceMean', '(2, 3)', () => op.reduceMean(x(2, 3), [1, -1], false, 'here')],
  ['reduceMax', '(2, 3)', () => op.reduceMax(x(2, 3), [-3], false, 'here')],
  ['conv2d', '(1, 2, 4, 4), (3, 1, 3, 3)', () => op.conv2d(x(1, 2, 4, 4), w(3, 1, 3, 3), undefined, 'here')],
  ['conv2d', '(1, 2, 4, 4), (3, 2, 2, 2)', () => op.conv2d(x(1, 2, 4, 4), w(3, 2, 2, 2), undefined, 'here')],
  ['conv2d', '(2, 4, 4), (3, 2, 3, 3)', () => op.conv2d(x(2, 4, 4), w(3, 2, 3, 3), undefined, 'here')],
  ['conv2d', '(1, 2, 4, 4), (3, 2, 3, 3), (2,)', () => op.conv2d(x(1, 2, 4, 4), w(3, 2, 3, 3), w(2), 'here')],
  ['conv2dInputGrad', '(1, 2, 4, 4), (3, 2, 3, 3)', () => op.conv2dInputGrad(x(1, 2, 4, 4), w(3, 2, 3, 3), 'here')],
  [
    'conv2dFilterGrad',
    '(1, 2, 4, 4), (1, 2, 4, 8)',
    () => op.conv2dFilterGrad(x(1, 2, 4, 4), x(1, 2, 4, 8), 3, 'here'),
  ],
  ['conv2d', '(1, 2, 2, 4), (3, 2, 3, 3)', () => op.conv2d(x(1, 2, 2, 4), w(3, 2, 3, 3), undefined, 'here', 'none')],
  [
    'conv2dFilterGrad',
    '(1, 2, 4, 4), (1, 2, 4, 4)',
    () => op.conv2dFilterGrad(x(1, 2, 4, 4), x(1, 2, 4, 4), 3, 'here', 'none'),
  ],
  [
    'transposedConv2d',
    '(1, 2, 4, 4), (3, 2, 4, 4)',
    () => op.transposedConv2d(x(1, 2, 4, 4), w(3, 2, 4, 4), undefined, 'here'),
  ],
  [
    'transposedConv2d',
    '(1, 3, 4, 4), (3, 2, 3, 3)',
    () => op.transposedConv2d(x(1, 3, 4, 4), w(3, 2, 3, 3), undefined, 'here'),
  ],
  [
    'transposedConv2dInputGrad',
    '(1, 2, 5, 4), (3, 2, 4, 4)',
    () => op.transposedConv2dInputGrad(x(1, 2, 5, 4), w(3, 2, 4, 4), 'here'),
  ],
  [
    'transposedConv2dFilterGrad',
    '(1, 2, 4, 4), (1, 3, 4, 4)',
    () => op.transposedConv2dFilterGrad(x(1, 2, 4, 4), x(1, 3, 4, 4), 'here'),
  ],
  ['upConv2d', '(1, 2, 4, 4), (3, 2, 5, 5)', () => op.upConv2d(x(1, 2, 4, 4), w(3, 2, 5, 5), undefined, 'here')],
  ['upConv2dInputGrad', '(1, 3, 5, 4), (3, 2, 3, 3)', () => op.upConv2dInputGrad(x(1, 3, 5, 4), w(3, 2, 3, 3), 'here')],
  [
    'upConv2dFilterGrad',
    '(1, 2, 4, 4), (1, 3, 4, 4)',
    () => op.upConv2dFilterGrad(x(1, 2, 4, 4), x(1, 3, 4, 4), 'here'),
  ],
  ['maxPool2', '(1, 2, 3, 4)', () => op.maxPool2(x(1, 2, 3, 4), 'here')],
  [
    'maxPool2Grad',
    '(1, 1, 4, 4), (1, 1, 2, 2), (1, 1, 4, 4)',
    () => op.maxPool2Grad(x(1, 1, 4, 4), x(1, 1, 2, 2), x(1, 1, 4, 4), 'here'),
  ],
  [
    'maxPool2Grad',
    '(1, 1, 4, 4), (1, 1, 4, 4), (1, 1, 4, 4)',
    () => op.maxPool2Grad(x(1, 1, 4, 4), x(1, 1, 4, 4), x(1, 1, 4, 4), 'here'),
  ],
  ['upsampleNearest2', '(4, 4)', () => op.upsampleNearest2(x(4, 4), 'here')],
  ['upsampleNearest2Grad', '(1, 1, 4, 3)', () => op.upsampleNearest2Grad(x(1, 1, 4, 3), 'here')],
];

describe('shape errors', () => {
  it.each(wrong)('%s of %s', (name, shapes, build) => {
    let error: unknown;
    try {
      build();
    } catch (e) {
      error = e;
    }
    expect(error).toMatchObject({ code: 'GRAPH_SHAPE', fields: { op: name, label: 'here' } });
    const { message } = error as Error;
    expect(message).toContain(`${name} "here"`);
    expect(message).toContain(shapes);
  });

  it('falls back on the label of an operand', () => {
    const labelled = op.relu(x(2), 'encoder.0');
    expect(() => op.add(labelled, x(3))).toThrow(
      'add "encoder.0" of (2,), (3,): the shapes cannot be broadcast together.',
    );
  });
});

describe('shape rules', () => {
  it('broadcasts as NumPy does', () => {
    expect(op.broadcastShape([2, 1, 3], [4, 1])).toEqual([2, 4, 3]);
    expect(op.broadcastShape([], [5])).toEqual([5]);
    expect(op.broadcastShape([2], [3])).toBeUndefined();
    expect(op.matmul(x(2, 1, 3, 4), x(5, 4, 6)).shape).toEqual([2, 5, 3, 6]);
  });

  it('leaves out what changes nothing', () => {
    const a = x(2, 3);
    expect(op.reshape(a, [2, 3])).toBe(a);
    expect(op.slice(a, [0, 0], [2, 3])).toBe(a);
    expect(op.pad(a, [0, 0], [0, 0])).toBe(a);
    expect(op.broadcast(a, [2, 3])).toBe(a);
    expect(op.concat([a], 1)).toBe(a);
    expect(op.sumTo(a, [2, 3])).toBe(a);
  });

  it('sums back what was broadcast', () => {
    expect(op.sumTo(x(4, 2, 3), [2, 1]).shape).toEqual([2, 1]);
    expect(op.sumTo(x(4, 2, 3), []).shape).toEqual([]);
  });
});
