import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { encodeCsv } from '../../src/formats/csvWrite.js';

describe('tables as CSV', () => {
  it('numbers and plain words are written as they are', () => {
    const row = [
      -1.5,
      1e-7,
      -0.25,
      0,
      '-1.500000',
      '-inf',
      'NaN',
      'inf',
      '1e+21',
      null,
      undefined,
      'PtychoPINN',
      'a b',
    ];
    expect(encodeCsv([row])).toBe('-1.5,1e-7,-0.25,0,-1.500000,-inf,NaN,inf,1e+21,,,PtychoPINN,a b\n');
  });

  it.each(['=1+1', '+cmd', '-x', '@SUM(A1)', '\tx', '=HYPERLINK("http://x","y")'])('%j is no formula', (text) => {
    const [[cell]] = parse(encodeCsv([[text, 1]])) as string[][];
    expect(cell).toBe(`'${text}`);
  });

  it('what a terminal would obey is shown', () => expect(encodeCsv([['a\rb\u001b[2J']])).toBe('a\\x0db\\x1b[2J\n'));

  it.each(['a,b', 'a"b', 'a\nb'])('%j reads back', (text) => {
    expect(parse(encodeCsv([[text, 'x']]))).toEqual([[text, 'x']]);
  });
});
