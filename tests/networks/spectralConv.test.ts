/** Which waves spectral layers let through, and at which size they put them out. */
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/core/tensor.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { cubicResized } from '../../src/networks/layers.js';
import {
  factorisedConv,
  factorisedWeights,
  resizingSpectralConv,
  spectralConv,
} from '../../src/networks/spectralConv.js';
import { maxDifference } from '../support/golden.js';
import { evaluate } from '../support/interpreter.js';

/** cos(2π(k·row/H + l·column/W) + phase). */
const wave = ([h, w]: readonly [number, number], k: number, l: number, phase = 0.4) =>
  Float64Array.from({ length: h * w }, (_, i) =>
    Math.cos(2 * Math.PI * ((k * Math.floor(i / w)) / h + (l * (i % w)) / w) + phase),
  );

/** The layer of one channel whose weights are all `weight`, on an image. */
function passed(
  build: (x: GraphNode, scope: ParameterScope) => GraphNode,
  [h, w]: readonly [number, number],
  image: Float64Array,
  weight: readonly [re: number, im: number] = [1, 0],
): Float64Array {
  const scope = new ParameterScope();
  const y = build(op.input('x', [1, 1, h, w]), scope);
  const weights = scope.specs.map(({ name, shape }) => [
    name,
    new Float64Array(sizeOf(shape)).fill(weight[name.endsWith('.im') ? 1 : 0]),
  ]);
  return evaluate([y], { x: image, ...Object.fromEntries(weights) })[0];
}

const SIZE = [16, 12] as const;
const ZERO = new Float64Array(16 * 12);

describe('a spectral convolution', () => {
  const layer = (x: GraphNode, scope: ParameterScope) => spectralConv(x, 's', 1, 4, scope);
  it.each([
    ['passes the constant', 0, 0, true],
    ['passes slow waves', 3, 2, true],
    ['stops fast rows', 4, 1, false],
    ['stops fast columns', 1, 4, false],
    ['stops waves that run the other way', -1, 2, false],
  ])('%s', (_, k, l, passes) => {
    const image = wave(SIZE, k, l);
    expect(maxDifference(passed(layer, SIZE, image), passes ? image : ZERO)).toBeLessThan(1e-5);
  });

  it('turns phases by complex weights', () => {
    const turned = passed(layer, SIZE, wave(SIZE, 1, 2), [Math.cos(0.7), Math.sin(0.7)]);
    expect(maxDifference(turned, wave(SIZE, 1, 2, 1.1))).toBeLessThan(1e-5);
  });

  it('keeps the fastest wave of a small image once', () => {
    const size = [6, 6] as const;
    const image = wave(size, 0, 3, 0);
    expect(maxDifference(passed(layer, size, image), image)).toBeLessThan(1e-5);
  });
});

describe('a spectral convolution that resizes', () => {
  it.each([
    [1, 2],
    [-2, 1],
    [-2, 0],
  ])('puts wave (%i, %i) out at another size, whichever way it runs', (k, l) => {
    for (const size of [SIZE, [8, 6], [32, 24]] as const) {
      const layer = (x: GraphNode, scope: ParameterScope) =>
        resizingSpectralConv(x, 's', 1, { modes: 4, size, variance: 1 }, scope);
      // Of waves along columns alone both directions are kept, each of which stands for the other, too.
      const expected = wave(size, k, l).map((v) => (l === 0 ? 0.5 : 1) * v);
      expect(maxDifference(passed(layer, SIZE, wave(SIZE, k, l)), expected)).toBeLessThan(1e-5);
    }
  });
});

it('a factorised convolution adds what passes along rows and along columns', () => {
  const layer = (x: GraphNode, scope: ParameterScope) => factorisedConv(x, factorisedWeights('s', 1, 3, scope));
  for (const [k, l, times] of [
    [1, 1, 2],
    [1, 5, 1],
    [7, 2, 1],
    [7, 5, 0],
  ] as const) {
    const expected = wave(SIZE, k, l).map((v) => times * v);
    expect(maxDifference(passed(layer, SIZE, wave(SIZE, k, l)), expected)).toBeLessThan(1e-5);
  }
});

it('cubic resizing keeps the outermost pixels and straight lines between', () => {
  const ramp = Float64Array.from({ length: 64 }, (_, i) => Math.floor(i / 8) + 2 * (i % 8));
  const [small] = evaluate([cubicResized(op.input('x', [1, 1, 8, 8]), [15, 8])], { x: ramp });
  for (const row of [0, 4, 6, 14]) expect(small[row * 8 + 3]).toBeCloseTo(row / 2 + 6, 5);
});
