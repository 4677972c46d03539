import { describe, expect, it } from 'vitest';
import { renderLossCurve } from '../../src/report/loss.js';
import { expectWellFormed } from './markup.js';

const training = [10, 4, 1.5, 0.8, 0.4];
const validation = [11, 5, null, 1.1, Number.NaN];

describe('renderLossCurve', () => {
  const svg = renderLossCurve(
    [
      { name: 'training', values: training },
      { name: 'validation', values: validation },
    ],
    { bestEpoch: 4, label: 'loss <NLL>', title: 'Loss & epochs' },
  );

  it('is well-formed SVG with its title, axis labels and legend', () => {
    expectWellFormed(svg);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    for (const text of [
      'Loss &amp; epochs',
      'loss &lt;NLL&gt; (log)',
      '>epoch<',
      '>training<',
      '>validation<',
      'best epoch (4)',
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toContain('NaN');
  });

  it('draws every finite value, falling losses fall on the page, and gaps stay gaps', () => {
    const circles = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map((m) => [Number(m[1]), Number(m[2])]);
    expect(circles.length).toBe(5 + 3);
    const ys = circles.slice(0, 5).map(([, y]) => y);
    expect([...ys].sort((a, b) => a - b)).toEqual(ys);
    const paths = [...svg.matchAll(/<path d="(M[^"]*)" fill="none" stroke="#/g)].map((m) => m[1]);
    expect(paths.length).toBe(2);
    expect(paths[1].match(/M/g)?.length).toBe(2);
  });

  it('takes a linear axis for small spreads and for losses below zero', () => {
    expect(renderLossCurve([{ name: 'a', values: [3, 2, 1] }])).not.toContain('(log)');
    expect(renderLossCurve([{ name: 'a', values: [300, 2, -1] }])).not.toContain('(log)');
    expect(renderLossCurve([{ name: 'a', values: [3, 2] }], { axis: 'log' })).toContain('(log)');
  });

  it.each([[[5]], [[2, 2, 2]], [[0, 0]], [[1e-9, 1e9]]])('draws %j inside its frame', (values) => {
    const drawn = renderLossCurve([{ name: 'a', values }], { width: 640, height: 360 });
    expectWellFormed(drawn);
    for (const [, x, y] of drawn.matchAll(/<circle cx="([-\d.]+)" cy="([-\d.]+)"/g)) {
      expect(Number(x)).toBeGreaterThanOrEqual(70);
      expect(Number(x)).toBeLessThanOrEqual(622);
      expect(Number(y)).toBeGreaterThanOrEqual(34);
      expect(Number(y)).toBeLessThanOrEqual(314);
    }
    // The ticks carry numbers that can be told apart.
    const ticks = [...drawn.matchAll(/text-anchor="end">([^<]+)</g)].map((m) => m[1]);
    expect(ticks.length).toBeGreaterThan(1);
    expect(new Set(ticks).size).toBe(ticks.length);
  });

  it('refuses a history without a finite loss', () => {
    expect(() => renderLossCurve([{ name: 'a', values: [null, Number.NaN] }])).toThrow(/no finite loss/);
  });
});
