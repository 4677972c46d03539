import { describe, expect, it } from 'vitest';
import { isPtychoError } from '../../src/core/errors.js';
import type { Tensor } from '../../src/core/tensor.js';
import { checkWeights } from '../../src/persistence/check.js';

const zeros = (...shape: number[]): Tensor => ({ data: new Float32Array(shape.reduce((a, b) => a * b, 1)), shape });

function mismatch(template: [string, number[]][], weights: Record<string, Tensor>) {
  try {
    checkWeights(template, weights);
  } catch (error) {
    if (isPtychoError(error, 'WEIGHTS_MISMATCH')) return error;
    throw error;
  }
  throw new Error('the weights were accepted');
}

describe('checkWeights', () => {
  it('accepts weights of the right names and shapes, in any order', () => {
    checkWeights(
      [
        ['a', [2, 3]],
        ['b', []],
      ],
      { b: zeros(), a: zeros(2, 3) },
    );
  });

  it('names the leaf, what was expected and what the file has', () => {
    const error = mismatch([['decoder.amplitude.0.kernel', [64, 128, 3, 3]]], {
      'decoder.amplitude.0.kernel': zeros(64, 128, 5, 5),
    });
    expect(error.message).toContain(
      'weights: decoder.amplitude.0.kernel: expected [64, 128, 3, 3], file has [64, 128, 5, 5]',
    );
    expect(error.fields.mismatched).toEqual([
      { name: 'decoder.amplitude.0.kernel', expected: [64, 128, 3, 3], found: [64, 128, 5, 5] },
    ]);
  });

  it('does not take a permuted shape of equal size for the same', () => {
    expect(mismatch([['w', [2, 3]]], { w: zeros(3, 2) }).message).toContain('w: expected [2, 3], file has [3, 2]');
  });

  it('lists missing and unexpected names together', () => {
    const error = mismatch(
      [
        ['a', [1]],
        ['b', [1]],
        ['c', [1]],
      ],
      { a: zeros(1), d: zeros(1) },
    );
    expect(error.message).toBe(
      'weights: missing: b, c; not part of this network: d. The weights belong to another network; use the configuration they were trained with.',
    );
    expect(error.fields).toMatchObject({ missing: ['b', 'c'], unexpected: ['d'] });
  });

  it('does not take a property of every object for a weight', () => {
    expect(mismatch([['toString', [1]]], {}).fields.missing).toEqual(['toString']);
  });

  it('counts what would make the message too long, and keeps all in the fields', () => {
    const template = Array.from({ length: 30 }, (_, i): [string, number[]] => [`layer.${i}`, [1]]);
    const error = mismatch(template, {});
    expect(error.message).toContain('layer.7, and 22 more');
    expect(error.message).not.toContain('layer.8');
    expect(error.fields.missing).toHaveLength(30);
  });
});
