import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { colourAt, TWILIGHT, VIRIDIS } from '../../src/report/colormaps.js';
import { displayPhase } from '../../src/report/displayPhase.js';
import { BACKGROUND, renderAmplitude, renderComplex, renderPhase, shortNumber } from '../../src/report/image.js';
import { encodePng, pngDataUri } from '../../src/report/png.js';

function image(rows: number, columns: number, at: (row: number, column: number) => [number, number]): ComplexImage {
  const re = new Float32Array(rows * columns);
  const im = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const [amplitude, phase] = at(r, c);
      re[r * columns + c] = amplitude * Math.cos(phase);
      im[r * columns + c] = amplitude * Math.sin(phase);
    }
  }
  return { re, im, shape: [rows, columns] };
}

const pixel = (picture: { data: Uint8Array; width: number }, row: number, column: number) => [
  ...picture.data.subarray(3 * (row * picture.width + column), 3 * (row * picture.width + column) + 3),
];

describe('PNG', () => {
  it.each([1, 3] as const)('with %i channel(s) decodes to the same pixels, also from a view', (channels) => {
    const whole = Uint8Array.from({ length: 6 * channels + 5 }, (_, i) => (i * 37) % 256);
    const data = whole.subarray(5);
    const back = decode(encodePng({ width: 3, height: 2, channels, data }));
    expect([back.width, back.height, back.channels, back.depth]).toEqual([3, 2, channels, 8]);
    expect([...back.data]).toEqual([...data]);
  });

  it('refuses pixels that do not fill the picture', () => {
    expect(() => encodePng({ width: 3, height: 2, channels: 1, data: new Uint8Array(5) })).toThrow(
      /needs 6 bytes, got 5\.$/,
    );
  });

  it('becomes a data URI that holds the whole file', () => {
    const png = encodePng({ width: 1, height: 1, channels: 1, data: Uint8Array.of(9) });
    const [head, body] = pngDataUri(png).split(',');
    expect(head).toBe('data:image/png;base64');
    expect([...Buffer.from(body, 'base64')]).toEqual([...png]);
  });
});

describe('renderAmplitude', () => {
  it('colours between percentiles, rows from the top', () => {
    const ramp = image(4, 25, (r, c) => [r * 25 + c, 0.3]);
    const picture = renderAmplitude(ramp, { low: 0, high: 100 });
    expect([picture.width, picture.height, picture.unit]).toEqual([25, 4, '']);
    expect(picture.low).toBeCloseTo(0, 5);
    expect(picture.high).toBeCloseTo(99, 4);
    expect(pixel(picture, 0, 0)).toEqual(colourAt(VIRIDIS, 0));
    expect(pixel(picture, 3, 24)).toEqual(colourAt(VIRIDIS, 1));
    expect(pixel(picture, 2, 0)).toEqual(colourAt(VIRIDIS, 50 / 99));
    const narrow = renderAmplitude(ramp, { low: 10, high: 90 });
    expect(narrow.low).toBeCloseTo(9.9, 4);
    expect(narrow.high).toBeCloseTo(89.1, 4);
  });

  it('leaves what the mask does not cover grey and out of the limits', () => {
    const spike = image(2, 2, (r, c) => [r === 1 && c === 1 ? 1000 : 1 + c, 0]);
    const picture = renderAmplitude(spike, { low: 0, high: 100, mask: [1, 2, 1, 0] });
    expect(picture.high).toBeCloseTo(2, 6);
    expect(pixel(picture, 1, 1)).toEqual([...BACKGROUND]);
  });

  it('draws a constant image in one colour', () => {
    const flat = image(3, 3, () => [0.7, 1]);
    const picture = renderAmplitude(flat);
    expect(new Set(Array.from({ length: 9 }, (_, i) => picture.data.slice(3 * i, 3 * i + 3).join())).size).toBe(1);
    expect(picture.high).toBeGreaterThan(picture.low);
  });

  it('refuses stacks and masks of another size', () => {
    const stack = { re: new Float32Array(8), im: new Float32Array(8), shape: [2, 2, 2] };
    expect(() => renderAmplitude(stack)).toThrow(/got shape \(2, 2, 2\)\.$/);
    expect(() =>
      renderAmplitude(
        image(2, 2, () => [1, 0]),
        { mask: [1] },
      ),
    ).toThrow(/its 4 pixels, got 1\.$/);
  });
});

describe('displayPhase and renderPhase', () => {
  const weak = (r: number, c: number) => 0.3 * Math.sin(r / 3) * Math.cos(c / 4);

  it('takes off the circular mean, also across the cut at π', () => {
    const values = displayPhase(image(40, 40, (r, c) => [1, Math.PI + weak(r, c)]));
    let mean = 0;
    for (const v of values) mean += v / values.length;
    expect(Math.abs(mean)).toBeLessThan(1e-3);
    expect(Math.max(...values) - Math.min(...values)).toBeLessThan(0.61);
  });

  it('takes off a slope of many turns', () => {
    const tilted = image(48, 40, (r, c) => [1, weak(r, c) + 0.9 * c - 0.5 * r + 2]);
    const found = displayPhase(tilted, { removePlane: true });
    const reference = displayPhase(
      image(48, 40, (r, c) => [1, weak(r, c)]),
      { removePlane: true },
    );
    found.forEach((v, i) => {
      expect(Math.abs(v - reference[i])).toBeLessThan(2e-3);
    });
  });

  it('marks pixels without amplitude', () => {
    const values = displayPhase(image(1, 3, (_, c) => [c === 1 ? 0 : 1, c]));
    expect(Number.isNaN(values[1])).toBe(true);
    expect(values[2] - values[0]).toBeCloseTo(2, 5);
  });

  it('shows a weak phase between its percentiles and a strong one on the full circle', () => {
    const small = renderPhase(image(40, 40, (r, c) => [1, weak(r, c)]));
    expect(small.colormap).toBe(VIRIDIS);
    expect(small.high - small.low).toBeLessThan(0.7);
    expect(small.unit).toBe('rad');
    const strong = renderPhase(image(40, 40, (r, c) => [1, weak(r, c) + c / 4]));
    expect(strong.colormap).toBe(TWILIGHT);
    expect([strong.low, strong.high]).toEqual([-Math.PI, Math.PI]);
    expect(
      renderPhase(
        image(4, 4, () => [1, 0]),
        { range: 'cycle' },
      ).high,
    ).toBe(Math.PI);
    expect(
      renderPhase(
        image(4, 4, (_, c) => [1, c]),
        { range: [-1, 2] },
      ),
    ).toMatchObject({ low: -1, high: 2 });
  });
});

describe('faint surroundings', () => {
  it('has the colours of the inside, paler, and the limits of the inside', () => {
    const spike = image(1, 4, (_, c) => [[1, 2, 2, 50][c], [0, 0.2, 0.4, 3][c]]);
    const mask = [1, 1, 0, 0];
    const picture = renderAmplitude(spike, { low: 0, high: 100, mask, faint: true });
    expect(picture.low).toBeCloseTo(1, 6);
    expect(picture.high).toBeCloseTo(2, 6);
    const [inside, outside] = [pixel(picture, 0, 1), pixel(picture, 0, 2)];
    expect(inside).toEqual(colourAt(VIRIDIS, 1));
    outside.forEach((v, k) => {
      expect(v).toBeCloseTo(0.22 * inside[k] + 0.78 * 244, -0.5);
    });
    const phase = renderPhase(spike, { mask, faint: true, range: [-1, 1] });
    expect(pixel(phase, 0, 2)).not.toEqual([...BACKGROUND]);
  });
});

describe('renderComplex', () => {
  it('is black without amplitude, equally bright for equal amplitudes, and of other hues for other phases', () => {
    const n = 12;
    const picture = renderComplex(
      image(2, n, (r, c) => [r === 0 ? 0 : 1, (2 * Math.PI * c) / n + 1e-3 * (c === 0 ? 1 : 0)]),
    );
    for (let c = 0; c < n; c++) expect(pixel(picture, 0, c)).toEqual([0, 0, 0]);
    const colours = Array.from({ length: n }, (_, c) => pixel(picture, 1, c));
    expect(new Set(colours.map(String)).size).toBe(n);
    const light = colours.map(([r, g, b]) => 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2);
    expect(Math.max(...light) / Math.min(...light)).toBeLessThan(1.35);
    expect(picture.complex).toBe(true);
    expect(picture.high).toBeCloseTo(1, 6);
  });
});

describe('short numbers', () => {
  it.each([
    [0, '0'],
    [1.234, '1.23'],
    [-Math.PI, '-3.14'],
    [0.5, '0.5'],
    [123.4, '123'],
    [1000, '1000'],
    [1234.5, '1235'],
    [20, '20'],
    [98765, '9.9e4'],
    [-0.00042, '-4.2e-4'],
  ])('writes %f as %s', (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });
});
