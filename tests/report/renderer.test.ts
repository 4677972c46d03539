/** One drawing as SVG, PNG and PDF. */
import { inflateSync } from 'node:zlib';
import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { figure, imagePanel } from '../../src/report/figure.js';
import { renderValues } from '../../src/report/image.js';
import { lossChart } from '../../src/report/loss.js';
import { pdfOfPaths } from '../../src/report/pdf.js';
import { draw, drawPng, drawSvg, PNG_SCALE } from '../../src/report/renderer.js';
import { expectWellFormed, textsOf } from './markup.js';

const picture = renderValues([0, 1, 2, 3], [2, 2]);
const drawing = figure([imagePanel(picture, { title: 'Four', side_px: 40 })]);

describe('drawSvg', () => {
  it('gives equal drawings equal documents that are one image to a screen reader', async () => {
    const svg = await drawSvg(drawing);
    expect(await drawSvg(drawing)).toBe(svg);
    expectWellFormed(svg);
    expect(svg.match(/role="[^"]*"/g)).toEqual(['role="img"']);
    expect(svg).toContain('aria-label="Four: Four, 2 rows of 2 pixels, colours from 0 to 3."');
    // Nothing from outside the document.
    expect(svg.replaceAll(/xmlns(:xlink)?="[^"]*"/g, '')).not.toMatch(/https?:|url\(/);
  });

  it('escapes what comes from files, and leaves out what XML cannot hold', async () => {
    const name = `<script>alert("1")</script> & ' \u0000\u001b`;
    const svg = await drawSvg(lossChart([{ name, values: [1, 2] }], { title: name, label: name }));
    expectWellFormed(svg);
    expect(svg).not.toContain('<script');
    expect(textsOf(svg).filter((text) => text.startsWith('<script>alert("1")</script> & \''))).toHaveLength(2);
    expect(svg).not.toContain('\u0000');
    await expect(drawPng(lossChart([{ name, values: [1, 2] }], { title: name }))).resolves.toBeInstanceOf(Uint8Array);
  });
});

describe('drawPng', () => {
  it('has twice the pixels of the document, and shows every pixel of a picture as a square', async () => {
    const bare = figure([imagePanel(picture, { side_px: 40, bare: true })]);
    const svg = await drawSvg(bare);
    const [width, height] = ['width', 'height'].map((side) =>
      Number(new RegExp(`<svg[^>]* ${side}="(\\d+)"`).exec(svg)?.[1]),
    );
    const png = decode(await drawPng(bare));
    expect([png.width, png.height]).toEqual([PNG_SCALE * width, PNG_SCALE * height]);
    // Colours of the four pixels: 40 × 40 pixels of the file each, sharp.
    const at = (x: number, y: number) => png.data[png.channels * (y * png.width + x)];
    const rows = Array.from({ length: png.height }, (_, y) => y);
    const found = rows.flatMap((y) => Array.from({ length: png.width }, (_, x) => at(x, y)));
    for (const value of [85, 170]) expect(found.filter((v) => v === value).length).toBe(40 * 40);
  });
});

describe('PDF', () => {
  it('is one page with the picture in it, readable by its own table', async () => {
    const pdf = Buffer.from((await draw(drawing, ['pdf'])).get('pdf') as Uint8Array);
    const text = pdf.toString('latin1');
    expect(text.startsWith('%PDF-1.7')).toBe(true);
    const start = Number(/startxref\n(\d+)/.exec(text)?.[1]);
    expect(text.slice(start, start + 4)).toBe('xref');
    for (const [k, [, at]] of [...text.slice(start).matchAll(/(\d{10}) 00000 n/g)].entries()) {
      expect(text.slice(Number(at)).startsWith(`${k + 1} 0 obj`)).toBe(true);
    }
    expect(text).toContain('/Width 2 /Height 2 /ColorSpace /DeviceRGB');
    const streams = [...text.matchAll(/\/Length (\d+) >>\nstream\n/g)].map(({ 0: head, 1: length, index }) =>
      inflateSync(pdf.subarray(index + head.length, index + head.length + Number(length))),
    );
    expect(streams.some((pixels) => pixels.equals(Buffer.from(picture.data)))).toBe(true);
    expect(streams[0].toString()).toMatch(/\/I0 Do Q/);
    expect(streams[0].toString()).not.toMatch(/NaN|undefined|\de[+-]?\d/);
  });

  it('turns quadratic curves into cubic ones, and says what it cannot hold', () => {
    const page = pdfOfPaths(
      '<svg width="10" height="20"><path fill="#ff0000" stroke="none" d="M 0 0 Q 3 3 6 0 Z"/></svg>',
      'Kurve µ',
    );
    const text = Buffer.from(page).toString('latin1');
    expect(text).toContain('/MediaBox [0 0 7.5 15]');
    const at = text.indexOf('stream\n') + 7;
    const content = inflateSync(page.subarray(at, text.indexOf('\nendstream'))).toString();
    expect(content).toContain('1.000 0.000 0.000 rg');
    expect(content).toContain('0 0 m 2 2 4 2 6 0 c h f');
    expect(() => pdfOfPaths('<svg width="1" height="1"><mask id="a"></mask></svg>', '')).toThrow('element mask');
    expect(() => pdfOfPaths('<svg width="1" height="1"><path fill="url(#g)" d="M 0 0"/></svg>', '')).toThrow('colour');
  });
});
