/** Curves: what they say, where they are, gaps, thresholds. */
import { describe, expect, it } from 'vitest';
import { correlationChart } from '../../src/report/correlation.js';
import { lossChart } from '../../src/report/loss.js';
import { drawSvg } from '../../src/report/renderer.js';
import { textsOf } from './markup.js';

/** Points of the path that is drawn in a colour; a gap begins a new part. */
const pathOf = (svg: string, colour: string): number[][][] => {
  const found = [...svg.matchAll(/<path[^>]*>/g)].map(([path]) => path).find((path) => path.includes(`stroke="${colour}"`) && /d="M[^"]*[L]/.test(path)); // biome-ignore format: one line
  const d = / d="([^"]*)"/.exec(found ?? '')?.[1] ?? '';
  return d
    .split('M')
    .slice(1)
    .map((part) =>
      part
        .replace('Z', '')
        .split('L')
        .map((point) => point.split(',').map(Number)),
    );
};

describe('lossChart', () => {
  it('draws falling losses falling, each in its colour, with gaps, floors and the best epoch', async () => {
    const drawing = lossChart(
      [
        { name: 'training', values: [0.9, 0.7, 0.5, 0.4] },
        { name: 'validation', values: [0.95, 0.9, null, 0.6, 0.5] },
      ],
      { bestEpoch: 4, floors: [{ name: 'constant object', value: 0.8 }], label: 'amplitude loss' },
    );
    const svg = await drawSvg(drawing);
    const [training] = pathOf(svg, '#0072b2');
    expect(training).toHaveLength(4);
    for (let k = 1; k < 4; k++) {
      expect(training[k][0]).toBeGreaterThan(training[k - 1][0]);
      expect(training[k][1]).toBeGreaterThan(training[k - 1][1]);
    }
    expect(pathOf(svg, '#d55e00').map((part) => part.length)).toEqual([2, 2]);
    expect(textsOf(svg)).toMatchInlineSnapshot(`
      [
        "1",
        "2",
        "3",
        "4",
        "5",
        "epoch",
        "0.4",
        "0.5",
        "0.6",
        "0.7",
        "0.8",
        "0.9",
        "amplitude loss",
        "best epoch (4)",
        "constant object",
        "training",
        "validation",
        "Loss per epoch",
      ]
    `);
    expect(drawing.description).toBe('amplitude loss over epoch; training goes from 0.9 at 1 to 0.4 at 4; validation goes from 0.95 at 1 to 0.5 at 5; constant object goes from 0.8 at 1 to 0.8 at 5.'); // biome-ignore format: one line
  });

  it('takes the logarithm where losses span more than a factor of ten, and says so', async () => {
    const label = async (values: number[], axis?: 'linear' | 'log') =>
      textsOf(await drawSvg(lossChart([{ name: 'a', values }], { axis }))).find((text) => text.startsWith('loss'));
    expect(await label([1, 0.01])).toBe('loss (logarithmic)');
    expect(await label([1, 0.2])).toBe('loss');
    expect(await label([1, 0.01], 'linear')).toBe('loss');
    expect(await label([1, 0.2], 'log')).toBe('loss (logarithmic)');
    expect(await label([1, -0.01])).toBe('loss');
  });

  it('shows a single epoch, and refuses a history without losses', async () => {
    expect((await drawSvg(lossChart([{ name: 'a', values: [0.5] }]))).match(/#0072b2/g)?.length).toBeGreaterThan(1);
    expect(() => lossChart([{ name: 'training', values: [null] }])).toThrow('no finite loss');
  });
});

describe('correlationChart', () => {
  it('goes from zero frequency to Nyquist, with its thresholds, in periods per pixel or micrometre', async () => {
    const series = [{ name: 'A', values: [1, 0.8, 0.5, Number.NaN, 0.2] }];
    const svg = await drawSvg(correlationChart(series, { side_px: 8, title: 'Phase' }));
    expect(pathOf(svg, '#0072b2').map((part) => part.length)).toEqual([3, 1]);
    const [[first]] = pathOf(svg, '#0072b2');
    expect(first).toEqual([0, 0]);
    const texts = textsOf(svg);
    expect(texts).toEqual(expect.arrayContaining(['Phase', '1/2', '1/7', 'spatial frequency, periods per pixel', '0.5', 'ring correlation'])); // biome-ignore format: one line
    const metric = textsOf(await drawSvg(correlationChart(series, { side_px: 8, title: 'Phase', pixelSize_m: 1e-8 })));
    expect(metric).toEqual(expect.arrayContaining(['spatial frequency, periods per µm', '50']));
    const own = [{ label: 'half bit', at: [1, 0.9, 0.8, 0.7, 0.6] }];
    expect(textsOf(await drawSvg(correlationChart(series, { side_px: 8, title: 'P', thresholds: own })))).toContain('half bit'); // biome-ignore format: one line
  });

  it('tells more curves apart than there are colours', async () => {
    const many = Array.from({ length: 8 }, (_, k) => ({ name: `model ${k}`, values: [1, k / 10] }));
    const svg = await drawSvg(correlationChart(many, { side_px: 2, title: 'Many' }));
    const strokes = [...svg.matchAll(/<path[^>]*stroke="(#\w+)"[^>]*stroke-width="2"[^>]*/g)].map(
      ([path, colour]) => `${colour} ${/stroke-dasharray="([^"]*)"/.exec(path)?.[1]}`,
    );
    expect(new Set(strokes).size).toBe(8);
  });
});
