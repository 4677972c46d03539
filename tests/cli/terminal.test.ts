import { describe, expect, it } from 'vitest';
import { createReporter, formatCount, formatDuration, formatTable } from '../../src/cli/terminal.js';

function reporter(options: { terminal?: boolean; quiet?: boolean; columns?: number } = {}) {
  const written: string[] = [];
  let clock = 0;
  const stream = {
    write: (text: string) => written.push(text),
    isTTY: options.terminal ?? false,
    columns: options.columns ?? 120,
  };
  const made = createReporter({ stream, level: options.quiet ? 'WARNING' : 'INFO', now: () => clock });
  return {
    ...made,
    text: () => written.join(''),
    writes: () => written.length,
    at(seconds: number, done: number, extra: { total?: number; note?: string; stage?: string } = {}) {
      clock = seconds * 1000;
      const { total = 100, stage = 'training', note } = extra;
      made.onProgress({ stage, done, total, unit: 'groups', note });
    },
  };
}

describe('progress in a log', () => {
  it('writes a line every five seconds and one at the end', () => {
    const r = reporter();
    for (let s = 0; s <= 20; s++) r.at(s, 5 * s, { note: s === 20 ? 'loss 0.5' : undefined });
    const lines = r.text().trimEnd().split('\n');
    expect(lines).toEqual([
      'training: 0%, 0/100 groups',
      'training: 25%, 25/100 groups, 5 groups/s, 15 s left',
      'training: 50%, 50/100 groups, 5 groups/s, 10 s left',
      'training: 75%, 75/100 groups, 5 groups/s, 5.0 s left',
      'training: 100%, 100/100 groups, 5 groups/s, 20 s in all, loss 0.5',
    ]);
    expect(r.text()).not.toContain('\u001b');
  });

  it('starts anew for another stage, or when the count goes back', () => {
    const r = reporter();
    r.at(0, 100);
    r.at(0.1, 0, { stage: 'stitching' });
    r.at(0.2, 100, { stage: 'stitching' });
    r.at(0.3, 1, { stage: 'stitching' });
    expect(r.text().match(/stitching: 0%/g)?.length).toBe(1);
    expect(r.text().match(/stitching: 1%/g)?.length).toBe(1);
    expect(r.text().match(/100%/g)?.length).toBe(2);
  });

  it('the rate follows a changing pace', () => {
    const r = reporter();
    for (let s = 0; s <= 60; s++) r.at(s, s, { total: 1000 });
    for (let s = 1; s <= 30; s++) r.at(60 + s, 60 + 10 * s, { total: 1000 });
    const last = r.text().trimEnd().split('\n').at(-1);
    expect(last).toContain('10 groups/s');
    expect(last).toContain('1:04 left');
  });
});

describe('progress on a terminal', () => {
  it('redraws one line at most ten times a second and ends it', () => {
    const r = reporter({ terminal: true });
    for (let k = 0; k <= 1000; k++) r.at(k / 1000, k / 10);
    expect(r.writes()).toBeLessThan(15);
    expect(r.text()).toContain('\r\u001b[2Ktraining ');
    expect(r.text()).toMatch(/█{24} 100% {2}100\/100 groups, 100 groups\/s, 1\.0 s in all\n$/);
    const lines = r.text().split('\n');
    expect(lines.length).toBe(2);
  });

  it('never wraps', () => {
    const r = reporter({ terminal: true, columns: 30 });
    r.at(0, 0);
    r.at(1, 50, { note: 'x'.repeat(100) });
    for (const bar of r.text().split('\r\u001b[2K')) expect(bar.length).toBeLessThan(30);
  });

  it('puts messages above the bar', () => {
    const r = reporter({ terminal: true });
    r.at(0, 10);
    r.logger.info('a message');
    const bar = r.text().split('\r\u001b[2K')[1];
    expect(r.text().endsWith(`\r\u001b[2Ka message\n${bar}`)).toBe(true);
    r.finish();
    expect(r.text().endsWith('\n')).toBe(true);
    r.finish();
    expect(r.text().endsWith('\n\n')).toBe(false);
  });
});

it('quiet keeps warnings only', () => {
  const r = reporter({ quiet: true });
  r.at(0, 10);
  r.logger.info('not this');
  r.logger.warn('POLICY-001: CUDA is missing');
  expect(r.text()).toBe('warning: POLICY-001: CUDA is missing\n');
});

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
