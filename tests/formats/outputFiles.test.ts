/** JSON as runs record it. */

import { describe, expect, it } from 'vitest';
import { json } from '../../src/formats/outputFiles.js';
import fc from '../support/fastCheck.js';

describe('json', () => {
  it('keeps lists of numbers on one line each', () => {
    expect(json({ a: [1, 2.5, -3], rows: [[0, 1], [2]], none: [], words: ['[1,\n2]'] })).toBe(
      '{\n  "a": [1,2.5,-3],\n  "rows": [\n    [0,1],\n    [2]\n  ],\n  "none": [],\n  "words": [\n    "[1,\\n2]"\n  ]\n}\n',
    );
  });

  it('means the same as JSON.stringify, whatever it holds', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(json(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
