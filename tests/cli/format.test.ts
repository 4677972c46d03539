import { describe, expect, it } from 'vitest';
import { formatCount, formatDuration, formatTable } from '../../src/cli/terminal.js';

describe('formats', () => {
  it.each([
    [12345, '12,345'],
    [3.2149, '3.21'],
    [1234.56, '1,235'],
    [0, '0'],
    [0.000123, '0.000123'],
    [Number.POSITIVE_INFINITY, '–'],
  ])('count %d', (value, text) => {
    expect(formatCount(value)).toBe(text);
  });

  it.each([
    [0.04, '0.0 s'],
    [9.96, '10.0 s'],
    [59.4, '59 s'],
    [59.6, '1:00'],
    [187, '3:07'],
    [3765, '1:02:45'],
    [Number.NaN, '–'],
  ])('duration %d', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  it('a table has its numbers to the right', () => {
    expect(
      formatTable(
        ['stage', 'time', 'patterns/s'],
        [
          ['read', '0.4 s', '12,000'],
          ['predict', '1:07', '310'],
        ],
      ),
    ).toBe('stage     time  patterns/s\nread     0.4 s      12,000\npredict   1:07         310');
  });
});
