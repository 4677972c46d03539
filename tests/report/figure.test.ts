/** Figures: titles, colour bars, bars of known length; letters; losses as pixels. */
import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { BLACK, Canvas, WHITE } from '../../src/report/canvas.js';
import { colourAt, TWILIGHT, VIRIDIS } from '../../src/report/colormaps.js';
import { figure, inColumns, scaleBar, sideBySide } from '../../src/report/figure.js';
import { LETTER_HEIGHT, textLength, writeText } from '../../src/report/font.js';
import { renderPhase, renderValues } from '../../src/report/image.js';
import { renderLossChart } from '../../src/report/loss.js';
import { encodePng, type Pixels } from '../../src/report/png.js';

const at = ({ width, data }: Pixels, x: number, y: number) => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];

/** Length of the longest run of black pixels in a row. */
function longestRun(pixels: Pixels, y: number): number {
  let [run, best] = [0, 0];
  for (let x = 0; x < pixels.width; x++) {
    run = at(pixels, x, y).every((v) => v === 0) ? run + 1 : 0;
    best = Math.max(best, run);
  }
  return best;
}

const ramp = (rows: number, columns: number) =>
  renderValues(
    Float32Array.from({ length: rows * columns }, (_, i) => (i % columns) / (columns - 1)),
    [rows, columns],
    { colormap: VIRIDIS },
  );

describe('scaleBar', () => {
  it.each([
    [100, undefined, 20, '20 px'],
    [153, undefined, 50, '50 px'],
    [2, undefined, 1, '1 px'],
    [150, 20e-9, 50, '1 µm'],
    [150, 10e-9, 50, '500 nm'],
    [64, 12.5e-9, 16, '200 nm'],
    [1000, 1e-6, 200, '200 µm'],
    [30, 1e-11, 10, '0.1 nm'],
  ])('of %f px of %f m: %f px, %s', (width, pixel, length, label) => {
    const bar = scaleBar(width, pixel);
    expect(bar.label).toBe(label);
    expect(bar.length_px).toBeCloseTo(length, 9);
    expect(bar.length_px).toBeLessThanOrEqual(Math.max(1, 0.35 * width));
  });

  it('refuses pixels without a size', () => {
    for (const size of [0, -1e-9, Number.NaN]) expect(() => scaleBar(100, size)).toThrow(/pixelSize_m must be/);
  });
});

describe('figure', () => {
  it('shows every pixel of a small picture, enlarged, and a bar of the length that it says', () => {
    const picture = ramp(40, 60);
    const drawn = figure(picture, { size_px: 240, title: 'ramp' });
    // 60 px become 240: every pixel is a square of four.
    const top = 10 + LETTER_HEIGHT + 7;
    for (const x of [0, 17, 59]) {
      for (const [dx, dy] of [
        [0, 0],
        [3, 3],
      ]) {
        expect(at(drawn, 10 + 4 * x + dx, top + dy)).toEqual(colourAt(VIRIDIS, x / 59));
      }
    }
    expect(scaleBar(60).label).toBe('20 px');
    const middle = top + 160 + 6 + (LETTER_HEIGHT >> 1);
    expect(longestRun(drawn, middle)).toBe(80);
    const metric = figure(picture, { size_px: 240, title: 'ramp', pixelSize_m: 40e-9 });
    // 500 nm are 12.5 px.
    expect(longestRun(metric, middle)).toBe(50);
    expect(decode(encodePng(drawn))).toMatchObject({ width: drawn.width, height: drawn.height, channels: 3 });
  });

  it('reduces a large picture by averaging, and its bar with it', () => {
    const columns = 1000;
    const values = Float32Array.from({ length: 20 * columns }, (_, i) => (i % columns) % 2);
    const drawn = figure(renderValues(values, [20, columns]), { size_px: 250 });
    expect(drawn.width).toBeLessThan(350);
    expect(at(drawn, 100, 12)).toEqual([128, 128, 128]);
    // 200 of 1000 pixels, four to one.
    expect(longestRun(drawn, 10 + 5 + 6 + (LETTER_HEIGHT >> 1))).toBe(50);
  });

  it('has the colours of the whole map beside it, the highest on top', () => {
    const drawn = figure(ramp(100, 100), { size_px: 100 });
    const x = 10 + 100 + 10 + 5;
    expect(at(drawn, x, 10)).toEqual(colourAt(VIRIDIS, 0.995));
    expect(at(drawn, x, 109)).toEqual(colourAt(VIRIDIS, 0.005));
  });

  it('draws angles in colours that close: π and −π look the same, and the bar says so', () => {
    // Phases around the circle; the mean is 0 by symmetry.
    const n = 64;
    const angles = Float32Array.from({ length: n }, (_, i) => -Math.PI + (2 * Math.PI * (i + 0.5)) / n);
    const circle = { re: angles.map(Math.cos), im: angles.map(Math.sin), shape: [1, n] };
    circle.re[n / 2] += 1;
    const picture = renderPhase(circle, { range: 'cycle' });
    const [first, last] = [at(picture, 0, 0), at(picture, n - 1, 0)];
    expect(Math.max(...first.map((v, k) => Math.abs(v - last[k])))).toBeLessThan(12);
    expect(Math.max(...first.map((v, k) => Math.abs(v - at(picture, n / 2, 0)[k])))).toBeGreaterThan(100);
    expect(picture.colormap).toBe(TWILIGHT);
    const drawn = figure(picture, { size_px: 64 });
    expect(drawn.width).toBeGreaterThan(64 + textLength('−π/2'));
  });

  it('stands beside others without covering them', () => {
    const [a, b] = [figure(ramp(30, 30)), figure(ramp(60, 20))];
    const row = sideBySide([a, b]);
    expect([row.width, row.height]).toEqual([a.width + b.width, Math.max(a.height, b.height)]);
    expect(at(row, a.width + 20, 20)).toEqual(at(b, 20, 20));
    expect(at(row, 20, 20)).toEqual(at(a, 20, 20));
    const three = inColumns([a, b, b], 2);
    expect([three.width, three.height]).toEqual([Math.max(a.width, b.width) + b.width, row.height + b.height]);
    expect(at(three, 20, row.height + 20)).toEqual(at(b, 20, 20));
  });
});

describe('letters', () => {
  const written = (text: string, options = {}) => {
    const canvas = new Canvas(60, 60);
    writeText(canvas, text, 2, 2, options);
    return canvas.pixels;
  };
  const ink = ({ data }: Pixels) => data.reduce((sum, v) => sum + (v === 0 ? 1 : 0), 0) / 3;

  it('tell small from capital, and all of ASCII apart', () => {
    const seen = new Set<string>();
    for (let code = 33; code < 127; code++) seen.add(written(String.fromCharCode(code)).data.join());
    expect(seen.size).toBe(94);
    for (const letter of 'µπ√°±×²Å−') expect(written(letter).data).not.toEqual(written('?').data);
    expect(written('☃').data).toEqual(written('?').data);
    expect(ink(written(' '))).toBe(0);
  });

  it('can be enlarged, and run upwards', () => {
    expect(ink(written('nm', { zoom: 2 }))).toBe(4 * ink(written('nm')));
    const [flat, upright] = [written('nm'), written('nm', { upwards: true })];
    // A quarter turn to the left: column x of the text becomes row (length − 1 − x).
    for (let y = 0; y < LETTER_HEIGHT; y++) {
      for (let x = 0; x < 14; x++) expect(at(upright, 2 + y, 2 + 13 - x)).toEqual(at(flat, 2 + x, 2 + y));
    }
  });
});

describe('renderLossChart', () => {
  const blue = [0, 114, 178];
  const orange = [213, 94, 0];
  const columnsOf = (pixels: Pixels, colour: readonly number[], y0 = 57) => {
    const found = new Map<number, number>();
    for (let y = y0; y < pixels.height; y++) {
      for (let x = 0; x < pixels.width; x++) {
        if (at(pixels, x, y).every((v, k) => v === colour[k]) && !found.has(x)) found.set(x, y);
      }
    }
    return found;
  };

  it('draws falling losses falling, in the box, each in its colour', () => {
    const chart = renderLossChart(
      [
        { name: 'training', values: [0.9, 0.7, 0.5, 0.4] },
        { name: 'validation', values: [0.95, null, 0.6, 0.5] },
      ],
      { width: 500, height: 300, bestEpoch: 4 },
    );
    expect([chart.width, chart.height]).toEqual([500, 300]);
    const training = columnsOf(chart, blue);
    const xs = [...training.keys()].sort((a, b) => a - b);
    expect(training.get(xs[2])).toBeLessThan(training.get(xs[xs.length - 3]) as number);
    expect(Math.min(...xs)).toBeGreaterThan(70);
    // The gap at epoch 2: nothing of the second curve between epochs 1 and 3.
    const gap = [...columnsOf(chart, orange).keys()].filter((x) => x > 120 && x < 330);
    expect(gap).toEqual([]);
  });

  it('refuses a history without losses', () => {
    expect(() => renderLossChart([{ name: 'training', values: [null] }])).toThrow('no finite loss');
  });
});

describe('Canvas.line', () => {
  it('runs from end to end, as wide as asked', () => {
    const canvas = new Canvas(20, 20);
    canvas.line(3, 10, 16, 10, BLACK, 3);
    for (const x of [3, 10, 16]) for (const y of [9, 10, 11]) expect(at(canvas.pixels, x, y)).toEqual([0, 0, 0]);
    expect(at(canvas.pixels, 10, 13)).toEqual([...WHITE]);
    canvas.line(2, 2, 2, 2, BLACK, 1);
    expect(at(canvas.pixels, 2, 2)).toEqual([0, 0, 0]);
  });
});
