import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/persistence/json.js';

describe('canonicalJson', () => {
  it('writes equal values to equal text, keys sorted at every depth', () => {
    const text =
      '{\n  "B": [],\n  "a": {\n    "x": [\n      1,\n      "é\\n"\n    ],\n    "y": null\n  },\n  "b": {}\n}\n';
    expect(canonicalJson({ b: {}, a: { y: null, x: [1, 'é\n'], z: undefined }, B: [] })).toBe(text);
    expect(canonicalJson(JSON.parse(text))).toBe(text);
  });

  it('sorts numeric keys as text too, which JSON.stringify does not', () => {
    expect(Object.keys(JSON.parse(canonicalJson({ 10: 0, 9: 0 })))).toEqual(['9', '10']);
    expect(canonicalJson({ 10: 0, 9: 0 })).toBe('{\n  "10": 0,\n  "9": 0\n}\n');
  });

  it('writes numbers so that they read back exactly', () => {
    for (const x of [0.1, 1 / 3, 1e21, 5e-324, Math.fround(0.1)]) expect(JSON.parse(canonicalJson([x]))[0]).toBe(x);
  });

  it('refuses what JSON cannot hold, naming the place', () => {
    expect(() => canonicalJson({ training: { value: [1, Number.NaN] } })).toThrow('training.value[1] is NaN');
    expect(() => canonicalJson({ f: 1n })).toThrow('f is 1, which a JSON file cannot hold');
  });
});
