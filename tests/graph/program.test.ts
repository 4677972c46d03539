/** What a program gathers, drops and refuses. */
import { describe, expect, it } from 'vitest';
import { topologicalOrder } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { interpret } from '../support/interpreter.js';

describe('defineProgram', () => {
  it('keeps what a result needs, operands first, and drops the rest', () => {
    const x = op.input('x', [2]);
    const unused = op.input('unused', [2]);
    const dead = op.exp(op.add(x, unused));
    const y = op.mul(op.square(x), 2);
    const program = defineProgram({ name: 'p', outputs: { y } });
    expect(program.nodes).not.toContain(dead);
    expect([...program.inputs.keys()]).toEqual(['x']);
    program.nodes.forEach((node, i) => {
      for (const operand of node.inputs) expect(program.nodes.indexOf(operand)).toBeLessThan(i);
    });
    expect(new Set(program.nodes).size).toBe(program.nodes.length);
  });

  it('keeps a declared input that nothing needs', () => {
    const unused = op.input('positions', [2, 2]);
    const program = defineProgram({ name: 'p', outputs: { y: op.neg(op.input('x', [2])) }, inputs: [unused] });
    expect([...program.inputs.keys()].sort()).toEqual(['positions', 'x']);
  });

  it('gathers state from outputs and updates', () => {
    const [a, b] = [op.state('b.weight', [2]), op.state('a.weight', [3, 1])];
    const program = defineProgram({ name: 'p', outputs: { y: op.neg(a) }, updates: { 'a.weight': op.mul(b, 2) } });
    expect(program.state.get('a.weight')).toBe(b);
    expect(program.state.get('b.weight')).toBe(a);
    expect(program.state.size).toBe(2);
  });

  it('refuses two leaves of one name, naming program and leaf', () => {
    const y = op.add(op.input('x', [2]), op.input('x', [2]));
    expect(() => defineProgram({ name: 'twice', outputs: { y } })).toThrowError(
      expect.objectContaining({
        code: 'GRAPH_INVALID',
        message: 'Program "twice": two different leaves are called "x".',
      }),
    );
    const z = op.add(op.state('w', [2]), op.state('w', [2]));
    expect(() => defineProgram({ name: 'twice', outputs: { z } })).toThrow('two different leaves are called "w"');
  });

  it('refuses an update without a state, or of another shape', () => {
    const w = op.state('w', [2]);
    expect(() => defineProgram({ name: 'p', outputs: {}, updates: { v: op.neg(w) } })).toThrow(
      'the update "v" belongs to no state',
    );
    expect(() => defineProgram({ name: 'p', outputs: {}, updates: { w: op.reduceSum(w) } })).toThrow(
      'the update "w" has shape (), its state (2,)',
    );
  });
});

describe('topologicalOrder', () => {
  it('takes a graph deeper than the call stack', () => {
    let node: ReturnType<typeof op.neg> | ReturnType<typeof op.input> = op.input('x', [1]);
    for (let i = 0; i < 50_000; i++) node = op.neg(node);
    expect(topologicalOrder([node])).toHaveLength(50_001);
  });
});

describe('interpret', () => {
  it('reads state before it is updated, and keeps what is not updated', () => {
    const [x, w, fixed] = [op.input('x', [2]), op.state('w', [2]), op.state('fixed', [2])];
    const program = defineProgram({
      name: 'p',
      outputs: { y: op.mul(op.mul(x, w), fixed) },
      updates: { w: op.add(w, x) },
    });
    const { outputs, next } = interpret(program, { x: [1, 2] }, { w: [10, 20], fixed: [1, 2] });
    expect([...outputs.y.data]).toEqual([10, 80]);
    expect([...next.w]).toEqual([11, 22]);
    expect([...next.fixed]).toEqual([1, 2]);
  });
});
