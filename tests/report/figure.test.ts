/** Figures by what they say and how large they are: titles, units, ranges, bars of known length. */
import { describe, expect, it } from 'vitest';
import { VIRIDIS } from '../../src/report/colormaps.js';
import { figure, imagePanel, scaleBar } from '../../src/report/figure.js';
import {
  cropPicture,
  maskedRegion,
  renderAmplitude,
  renderComplex,
  renderPhase,
  renderValues,
} from '../../src/report/image.js';
import { probeFigure } from '../../src/report/probe.js';
import { drawSvg } from '../../src/report/renderer.js';
import { positionShiftMap, scanMap } from '../../src/report/scanMap.js';
import { imagesOf, textsOf } from './markup.js';

const ramp = (rows: number, columns: number) =>
  renderValues(
    Float32Array.from({ length: rows * columns }, (_, i) => (i % columns) / (columns - 1)),
    [rows, columns],
    { colormap: VIRIDIS },
  );

describe('scaleBar', () => {
  it.each([
    [100, undefined, 20, '20 px'],
    [170, undefined, 50, '50 px'],
    [2, undefined, 1, '1 px'],
    [170, 20e-9, 50, '1 µm'],
    [170, 10e-9, 50, '500 nm'],
    [64, 12.5e-9, 16, '200 nm'],
    [1000, 1e-6, 200, '200 µm'],
    [34, 1e-11, 10, '0.1 nm'],
  ])('of %f px of %f m: %f px, %s', (width, pixel, length, label) => {
    const bar = scaleBar(width, pixel);
    expect(bar.label).toBe(label);
    expect(bar.length_px).toBeCloseTo(length, 9);
    expect(bar.length_px).toBeLessThanOrEqual(Math.max(1, 0.3 * width));
  });

  it('refuses pixels without a size', () => {
    for (const size of [0, -1e-9, Number.NaN]) expect(() => scaleBar(100, size)).toThrow(/pixelSize_m must be/);
  });
});

describe('imagePanel', () => {
  const svgOf = (...args: Parameters<typeof imagePanel>) => drawSvg(figure([imagePanel(...args)]));

  it('says title, axes in micrometres, colours with their unit, and a length', async () => {
    const svg = await svgOf(ramp(60, 80), { title: 'Ramp', note: 'of nothing', pixelSize_m: 25e-9, quantity: 'amplitude, relative' }); // biome-ignore format: one call
    expect(textsOf(svg)).toMatchInlineSnapshot(`
      [
        "0.0",
        "0.5",
        "1.0",
        "1.5",
        "x / µm",
        "0.0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1.0",
        "1.2",
        "1.4",
        "y / µm",
        "500 nm",
        "0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1",
        "amplitude, relative",
        "Ramp",
        "of nothing",
      ]
    `);
    // 25 nm pixels: 500 nm are 20 of 80, of 10 pixels each.
    expect(svg).toMatch(/<path d="M[\d.]+,[\d.]+h200v5h-200Z" fill="#ffffff"/);
  });

  it('has pixels of whole numbers in the file, 600 on the shorter side, and no more than fits', async () => {
    for (const [rows, columns, width, height] of [
      [60, 80, 800, 600],
      [64, 64, 608, 608],
      // 1200 of the file's pixels are enough for 1300; the document has half as many.
      [1300, 1500, 750, 650],
      // A strip is as long as a picture may be: 8 of the file's pixels each.
      [10, 400, 1600, 40],
      [10, 7000, 7000 / 6, 10 / 6],
    ]) {
      const [[w, h]] = imagesOf(await svgOf(ramp(rows, columns)));
      expect([w, h]).toEqual([expect.closeTo(width, 6), expect.closeTo(height, 6)]);
    }
  });

  it('shows the pixels of a crop where they lie in the object', async () => {
    const mask = new Uint8Array(40 * 50);
    for (let r = 10; r < 30; r++) for (let c = 20; c < 45; c++) mask[r * 50 + c] = 1;
    const region = maskedRegion(mask, [40, 50]);
    expect(region).toEqual({ at: [10, 20], width: 25, height: 20 });
    const cut = cropPicture(ramp(40, 50), region);
    expect([cut.width, cut.height, cut.cutAt]).toEqual([25, 20, [10, 20]]);
    expect([...cut.data.subarray(0, 3)]).toEqual([...ramp(40, 50).data.subarray(60, 63)]);
    const texts = textsOf(await svgOf(cut, { originYxPx: [100, -10] }));
    expect(texts).toContain('x / px');
    // Columns 10 … 35, rows 110 … 130.
    expect(texts).toEqual(expect.arrayContaining(['10', '35', '110', '130']));
    expect(maskedRegion(new Uint8Array(6), [2, 3])).toEqual({ at: [0, 0], width: 3, height: 2 });
  });

  it('writes a full turn as parts of π, and hue and brightness apart', async () => {
    const circle = { re: Float32Array.of(1, 0, -2, 0), im: Float32Array.of(0, 1, 0, -1), shape: [2, 2] };
    const turn = textsOf(await svgOf(renderPhase(circle, { range: 'cycle' }), { quantity: 'phase / rad' }));
    expect(turn).toEqual(expect.arrayContaining(['−π', '−π/2', '0', 'π/2', 'π', 'phase / rad']));
    const both = textsOf(await svgOf(renderComplex(circle)));
    expect(both).toEqual(expect.arrayContaining(['−π', 'π', 'phase / rad', 'amplitude', '2']));
  });
});

describe('pictures of one range', () => {
  it('are alike where values are', () => {
    const image = (scale: number) => ({
      re: Float32Array.of(1, 2, 3, 4 * scale),
      im: new Float32Array(4),
      shape: [2, 2],
    });
    const [a, b] = [1, 9].map((scale) => renderAmplitude(image(scale), { limits: [0, 4] }));
    expect([...a.data.subarray(0, 9)]).toEqual([...b.data.subarray(0, 9)]);
    expect([a.low, a.high, b.low, b.high]).toEqual([0, 4, 0, 4]);
  });
});

describe('probeFigure', () => {
  it('says how the power is shared among modes', async () => {
    const probe = { re: Float32Array.of(3, 0, 0, 0, 1, 0, 0, 0), im: new Float32Array(8), shape: [2, 2, 2] };
    const texts = textsOf(await drawSvg(probeFigure(probe)));
    expect(texts).toEqual(expect.arrayContaining(['Probe of 2 modes', 'Mode 1: amplitude', '90.0 % of the power', 'Mode 2: phase', '10.0 % of the power'])); // biome-ignore format: one line
    expect(textsOf(await drawSvg(probeFigure({ re: probe.re.slice(0, 4), im: new Float32Array(4), shape: [2, 2] })))).toContain('100.0 % of the power'); // biome-ignore format: one line
  });
});

describe('maps of positions', () => {
  const [xs, ys] = [
    [10, 20, 30],
    [5, 5, 25],
  ];

  it('have a dot for every position, probe and object to scale, and units', async () => {
    const drawing = scanMap({ xs, ys, values: [1, Number.NaN, 3], probeDiameter: 10, object: { width: 40, height: 30 }, label: 'counts', pixelSize_m: 1e-7 }); // biome-ignore format: one call
    const svg = await drawSvg(drawing);
    expect(svg.match(/M[\d.]+,[\d.]+h0\.01/g)).toHaveLength(3);
    expect(textsOf(svg)).toEqual(expect.arrayContaining(['Scan positions', 'x / µm', 'y / µm', 'probe', 'object', 'counts', '1', '3'])); // biome-ignore format: one line
    expect(drawing.description).toBe('Scan positions: 3 positions, counts from 1 to 3.');
    expect(() => scanMap({ xs: [], ys: [], values: [] })).toThrow('got 0, 0 and 0');
  });

  it('say how far positions were moved, and by how much lines are lengthened', async () => {
    const drawing = positionShiftMap({ measured: { xs, ys }, corrected: { xs: [10.1, 20, 30], ys: [5, 5.1, 25] } });
    const texts = textsOf(await drawSvg(drawing));
    expect(texts).toContain('Corrected positions');
    const note = (of: string[]) => of.find((text) => text.startsWith('root mean square'));
    expect(note(texts)).toMatch(/^root mean square 0\.0816 px, largest 0\.1 px; lines are drawn \d+ times as long$/);
    expect(texts).toContain('move / px');
    const still = positionShiftMap({ measured: { xs, ys }, corrected: { xs, ys } });
    expect(note(textsOf(await drawSvg(still)))).toBe('root mean square 0 px, largest 0 px');
  });
});
