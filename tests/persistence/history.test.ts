import { describe, expect, it } from 'vitest';
import { decodeHistory, encodeHistory, type HistoryRow } from '../../src/persistence/history.js';

describe('history.csv', () => {
  const rows: HistoryRow[] = [
    { epoch: 1, val_loss: null, loss: 0.1 + 0.2, learning_rate: 1e-3 },
    { epoch: 2, val_loss: Number.POSITIVE_INFINITY, loss: -1e-30, learning_rate: 5e-4 },
    { epoch: 3, loss: Number.NaN, val_loss: Number.NEGATIVE_INFINITY, learning_rate: 0 },
  ];

  it('reads back exactly what was written', () => {
    expect(decodeHistory(encodeHistory(rows))).toEqual(rows);
  });

  it('has one text for one content: epoch first, then the names in order', () => {
    expect(encodeHistory(rows)).toBe(
      'epoch,learning_rate,loss,val_loss\n1,0.001,0.30000000000000004,\n2,0.0005,-1e-30,inf\n3,0,nan,-inf\n',
    );
  });

  it('leaves a cell empty where an epoch lacks a figure', () => {
    expect(
      encodeHistory([
        { epoch: 1, loss: 2 },
        { epoch: 2, val_loss: 1 },
      ]),
    ).toBe('epoch,loss,val_loss\n1,2,\n2,,1\n');
  });

  it('refuses epochs out of order and column names that would break the table', () => {
    expect(() => encodeHistory([{ epoch: 2 }])).toThrow('history.csv: row 1 is epoch 2.');
    expect(() => encodeHistory([{ epoch: 1, 'a,b': 1 }])).toThrow('the column name "a,b" is not a plain word');
  });

  it.each([
    ['epoch,loss\n1,0.5', 'the last line is not complete'],
    ['loss\n1\n', 'the first line must name the columns'],
    ['epoch,a,a\n1,2,3\n', 'the first line must name the columns'],
    ['epoch,loss\n1\n', 'line 2 has 1 cells, expected 2'],
    ['epoch,loss\n1,x\n', 'line 2 holds "x", expected a number'],
    ['epoch,loss\n1,Infinity\n', 'line 2 holds "Infinity", expected a number'],
    ['epoch,loss\n1,1\n3,1\n', 'line 3 should be epoch 2'],
  ])('refuses %j', (text, message) => {
    expect(() => decodeHistory(text)).toThrow(message);
  });
});
