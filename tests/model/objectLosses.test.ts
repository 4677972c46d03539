/** Losses of the object and figures for watching: values by hand, gradients against central differences. */
import { describe, expect, it } from 'vitest';
import type { ComplexNode } from '../../src/graph/complex.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { complexMae, matchNorm, objectAmplitudeMae, phaseMae, totalVariation } from '../../src/model/losses.js';
import { borderRatio, contrast, intensityRatio, saturation } from '../../src/model/watch.js';
import { UNKNOWN_LABEL } from '../../src/physics/sampling.js';
import { evaluate } from '../support/interpreter.js';

const value = (node: GraphNode, leaves: Record<string, ArrayLike<number>> = {}): number =>
  evaluate([node], leaves)[0][0];
const image = (data: readonly number[], side: number) => op.constant(data, [1, 1, side, side]);
const complexImage = (re: readonly number[], im: readonly number[], side: number): ComplexNode => ({
  re: image(re, side),
  im: image(im, side),
});

describe('totalVariation', () => {
  it('is the sum of squared differences to the next row and column over the number of pixels', () => {
    const z = complexImage([1, 2, 4, 4], [0, 0, 0, 3], 2);
    // re: rows 3² + 2², columns 1² + 0²; im: 3² and 3²
    expect(value(totalVariation(z))).toBeCloseTo((9 + 4 + 1 + 0 + 9 + 9) / 4, 6);
    expect(value(totalVariation(complexImage([5, 5, 5, 5], [1, 1, 1, 1], 2)))).toBe(0);
  });
});

describe('complexMae', () => {
  it('is the mean modulus of the difference', () => {
    const a = complexImage([1, 0, 0, 2], [0, 0, 1, 0], 2);
    const b = complexImage([1, 3, 0, 2], [0, 4, 0, 0], 2);
    expect(value(complexMae(a, b))).toBeCloseTo((0 + 5 + 1 + 0) / 4, 5);
  });
});

describe('phaseMae', () => {
  const phasor = (phi: number): ComplexNode => ({
    re: op.cos(op.constant([phi], [1])),
    im: op.sin(op.constant([phi], [1])),
  });
  const label = (amplitude: number, phi: number): ComplexNode => ({
    re: op.constant([amplitude * Math.cos(phi)], [1]),
    im: op.constant([amplitude * Math.sin(phi)], [1]),
  });

  it.each([
    [0.3, 0.5, 0.2],
    [3, -3, 2 * Math.PI - 6],
    [-2, 1.5, 2 * Math.PI - 3.5],
    [0, 2, 2],
    [1, 1, 0],
    [7, 1, 2 * Math.PI - 6],
  ])('of %f and %f is %f, whatever the amplitude of the label', (a, b, expected) => {
    for (const amplitude of [0.01, 1, 30])
      expect(value(phaseMae(phasor(a), label(amplitude, b)))).toBeCloseTo(expected, 5);
  });

  it('is 0 where the label is dark', () => {
    expect(value(phaseMae(phasor(1), label(0, 0)))).toBe(0);
  });
});

describe('objectAmplitudeMae', () => {
  it('compares with the modulus of the label', () => {
    const label = complexImage([3, 0, 1, 0], [4, 0, 0, -2], 2);
    expect(value(objectAmplitudeMae(image([4, 1, 1, 2], 2), label))).toBeCloseTo((1 + 1 + 0 + 0) / 4, 6);
  });
});

describe('labels that are not known', () => {
  it('count in no mean, and move nothing', () => {
    // Two of four pixels are known.
    const label = complexImage([3, UNKNOWN_LABEL, 1, UNKNOWN_LABEL], [4, 0, 0, 0], 2);
    expect(value(objectAmplitudeMae(image([4, 7, 3, 2], 2), label, 0.5))).toBeCloseTo((1 + 2) / 2, 5);
    expect(value(complexMae(complexImage([3, 5, 1, 5], [0, 0, 0, 0], 2), label, 0.5))).toBeCloseTo((4 + 0) / 2, 4);
    const turned = complexImage([0.6, 0, 0, 0], [0.8, 1, 1, 1], 2);
    expect(value(phaseMae(turned, label, 0.5))).toBeCloseTo((0 + Math.PI / 2) / 2, 4);
    const x = op.input('x', [1, 1, 2, 2]);
    const [slope] = gradients(objectAmplitudeMae(x, label, 0.5), [x]);
    const [found] = evaluate([slope], { x: [4, 7, 3, 2] });
    expect([found[1], found[3]].map(Math.abs)).toEqual([0, 0]);
    expect(Math.abs(found[0])).toBeCloseTo(0.5, 6);
  });
});

describe('matchNorm', () => {
  it('gives a dark pattern no light and a finite gradient', () => {
    const predicted = op.constant([1, 2, 3, 4], [1, 1, 2, 2]);
    const out = matchNorm(predicted, op.constant([0, 0, 0, 0], [1, 1, 2, 2]));
    const [gradient] = gradients(op.reduceSum(out), [predicted]);
    const found = evaluate([out, gradient], {});
    for (const values of found) expect([...values]).toEqual([0, 0, 0, 0]);
  });

  it('gives every pattern the norm of the measured one over the pixels that count', () => {
    const predicted = op.constant([1, 2, 2, 9, 1, 1, 1, 9], [1, 2, 2, 2]);
    const measured = op.constant([6, 0, 0, 5, 0, 2, 0, 5], [1, 2, 2, 2]);
    const mask = { valid: op.constant([1, 1, 1, 0], [2, 2]), fraction: 0.75 };
    const out = [...evaluate([matchNorm(predicted, measured, mask)], {})[0]];
    expect(out[0]).toBeCloseTo(2, 5);
    expect(out[1]).toBeCloseTo(4, 5);
    expect(out[4]).toBeCloseTo(2 / Math.sqrt(3), 5);
  });
});

describe('gradients against central differences', () => {
  const shape = [1, 1, 4, 4];
  const sequence = (seed: number) => Float64Array.from({ length: 16 }, (_, i) => Math.sin(1.3 * i + seed) + 0.2);
  const [x, y] = [op.input('x', shape), op.input('y', shape)];
  const z = { re: x, im: y };
  const label = {
    re: op.constant(Float32Array.from(sequence(5)), shape),
    im: op.constant(Float32Array.from(sequence(7)), shape),
  };
  const phasor = { re: op.cos(x), im: op.sin(x) };
  const measured = op.constant(Float32Array.from(sequence(9), Math.abs), shape);
  const losses: Record<string, GraphNode> = {
    totalVariation: totalVariation(z),
    complexMae: complexMae(z, label),
    phaseMae: phaseMae(phasor, label),
    objectAmplitudeMae: objectAmplitudeMae(x, label),
    'matchNorm in an absolute error': op.reduceMean(op.abs(op.sub(matchNorm(x, measured), measured))),
  };

  it.each(Object.keys(losses))('%s', (name) => {
    const loss = losses[name];
    const leaves = { x: sequence(1), y: sequence(2) };
    const found = evaluate(gradients(loss, [x, y]), leaves);
    const h = 1e-6;
    let largest = 0;
    for (const [k, leaf] of [leaves.x, leaves.y].entries()) {
      for (let i = 0; i < leaf.length; i++) {
        const before = leaf[i];
        leaf[i] = before + h;
        const up = value(loss, leaves);
        leaf[i] = before - h;
        const down = value(loss, leaves);
        leaf[i] = before;
        const difference = (up - down) / (2 * h);
        expect(Math.abs(found[k][i] - difference), `${name} ${k} ${i}`).toBeLessThan(1e-5);
        largest = Math.max(largest, Math.abs(difference));
      }
    }
    expect(largest).toBeGreaterThan(1e-3);
  });
});

describe('figures for watching', () => {
  it('saturation: the share of a head within 2 % of its limits', () => {
    const values = op.constant([0.001, 0.019, 0.021, 0.5, 0.979, 0.981, 1, 0.3], [8]);
    expect(value(saturation(values, { low: 0, high: 1 }))).toBeCloseTo(4 / 8, 6);
    expect(value(saturation(values, { low: 0, high: null }))).toBeCloseTo(2 / 8, 6);
    expect(value(saturation(values, { low: Number.NEGATIVE_INFINITY, high: null }))).toBe(0);
    expect(value(saturation(op.constant([-0.79, 1.19, 0, 1], [4]), { low: -0.8, high: 1.2 }))).toBeCloseTo(0.5, 6);
  });

  it('border_ratio: mean amplitude of the border over that of the central half', () => {
    const re = Array.from({ length: 16 }, (_, i) => ([5, 6, 9, 10].includes(i) ? 2 : 0));
    const im = Array.from({ length: 16 }, (_, i) => ([5, 6, 9, 10].includes(i) ? 0 : -6));
    expect(value(borderRatio(complexImage(re, im, 4)))).toBeCloseTo(3, 5);
  });

  it('intensity_ratio: predicted over measured, without bad pixels', () => {
    const mask = { valid: op.constant([1, 1, 1, 0], [2, 2]), fraction: 0.75 };
    const ratio = intensityRatio(image([2, 4, 6, 1e6], 2), image([1, 2, 3, 0], 2), mask);
    expect(value(ratio)).toBeCloseTo(2, 5);
  });

  it('contrast: 0 for a flat amplitude', () => {
    expect(value(contrast(image([2, 2, 2, 2], 2)))).toBeLessThan(1e-5);
    expect(value(contrast(image([1, 3, 1, 3], 2)))).toBeCloseTo(0.5, 5);
  });
});
