/**
 * Pictures as panels of a drawing: title, axes, colour bar with ticks and unit, a bar of known length; several of them in rows.
 *
 * @example
 * const phase = imagePanel(renderPhase(object), { title: 'phase', pixelSize_m: 10e-9 });
 * await writeFile('object.png', await drawPng(figure([amplitude, phase], { title: 'Object' })));
 */
import { scaleLinear } from 'd3-scale';
import { PtychoError } from '../core/errors.js';
import { complexColour } from './colormaps.js';
import { type Picture, shortNumber } from './image.js';
import { encodePng, type Pixels, pngDataUri } from './png.js';
import type { Drawing, VegaPart } from './renderer.js';

/** A part of a drawing; panels stand in rows. */
export interface Panel {
  readonly title: string;
  /** What there is to see, for those who cannot see it. */
  readonly description: string;
  /** A group of Vega. */
  readonly group: VegaPart;
}

/** How a picture becomes a panel; everything may be left out. */
export interface ImagePanelOptions {
  readonly title?: string;
  /** What was done for display, in small letters under the title. */
  readonly note?: string;
  /** Side of a pixel, metres: axes are then in micrometres instead of pixels. */
  readonly pixelSize_m?: number;
  /** Pixel [row, column] at which the whole image begins, so that axes agree with scan positions; [0, 0] where not given. */
  readonly originYxPx?: readonly [number, number];
  /** What the colours are: `amplitude, relative`; from the unit where not given. */
  readonly quantity?: string;
  /** The shorter side gets at least this many pixels (twice as many in a PNG file), by whole numbers; `SINGLE` where not given. */
  readonly side_px?: number;
  /** Without axes and colour bar: small tiles of which there are many. */
  readonly bare?: boolean;
}

/** Shorter side of a picture that stands alone, and of one among others, pixels of the SVG document. */
export const SINGLE = 600;
export const AMONG_OTHERS = 300;
/** No picture is longer than this, whatever its shorter side. */
const LONGEST = 1600;

/** Several panels, row by row. */
export function figure(
  panels: readonly Panel[],
  options: { readonly title?: string; readonly note?: string; readonly columns?: number } = {},
): Drawing {
  const { title, note, columns = panels.length } = options;
  const heading = title ?? panels.map((panel) => panel.title).join(', ');
  return {
    title: heading,
    description: panels.map(({ description }) => description).join(' '),
    spec: {
      padding: 12,
      ...(title === undefined
        ? {}
        : { title: { text: title, ...(note && { subtitle: note }), fontSize: 17, offset: 14 } }),
      layout: { columns, padding: { row: 22, column: 28 }, bounds: 'full', align: 'each' },
      marks: panels.map(({ group }) => group),
    },
  };
}

/** A picture with title, axes, colour bar and a bar of known length. */
export function imagePanel(picture: Picture, options: ImagePanelOptions = {}): Panel {
  const { title = '', note, pixelSize_m, side_px = SINGLE, bare = false } = options;
  const { shown, zoom } = sized(picture, side_px);
  const [width, height] = [picture.width * zoom, picture.height * zoom];
  const [row, column] = [0, 1].map((k) => (picture.cutAt?.[k] ?? 0) + (options.originYxPx?.[k] ?? 0));
  const step = pixelSize_m === undefined ? 1 : pixelSize_m * 1e6;
  const unit = pixelSize_m === undefined ? 'px' : 'µm';
  const small = side_px < 450;
  const font = small ? { labelFontSize: 11, titleFontSize: 12 } : { labelFontSize: 13, titleFontSize: 14 };
  const ticks = small ? 4 : 6;
  const bar = scaleBar(picture.width, pixelSize_m);
  const quantity = options.quantity ?? picture.unit;
  const image = { type: 'image', encode: { enter: { url: { value: uriOf(shown) }, x: { value: 0 }, y: { value: 0 }, width: { value: width }, height: { value: height }, aspect: { value: false }, smooth: { value: false } } } }; // biome-ignore format: one mark
  return {
    title,
    description: `${title || 'Image'}, ${picture.height} rows of ${picture.width} pixels${picture.complex ? `: hue is the phase, brightness the amplitude up to ${shortNumber(picture.high)}` : `, colours from ${shortNumber(picture.low)} to ${shortNumber(picture.high)} ${quantity}`.trimEnd()}.`,
    group: {
      type: 'group',
      encode: { enter: { width: { value: width }, height: { value: height } } },
      ...(title === '' ? {} : { title: { text: title, ...(note && { subtitle: note, subtitleFontSize: small ? 10 : 12 }), fontSize: small ? 13 : 16 } }), // biome-ignore format: one property
      scales: [
        { name: 'x', type: 'linear', zero: false, nice: false, domain: [column * step, (column + picture.width) * step], range: [0, width] }, // biome-ignore format: a row each
        { name: 'y', type: 'linear', zero: false, nice: false, domain: [row * step, (row + picture.height) * step], range: [0, height] }, // biome-ignore format: a row each
      ],
      axes: bare
        ? []
        : [
            { orient: 'bottom', scale: 'x', title: `x / ${unit}`, tickCount: ticks, ...font },
            { orient: 'left', scale: 'y', title: `y / ${unit}`, tickCount: ticks, ...font },
          ],
      marks: [
        image,
        ...(bare ? [] : scaleBarMarks(bar, zoom, height, small)),
        ...(bare ? [] : [picture.complex ? hueBar(picture, width, height, font) : colourBar(picture, quantity, width, height, font)]), // biome-ignore format: one element
      ],
    },
  };
}

/** A length that is easy to read, and what is written beside it. */
export interface ScaleBar {
  /** In pixels of the picture; not always whole. */
  readonly length_px: number;
  readonly label: string;
}

/** The bar is at most this share of the picture's width. */
const LONGEST_BAR = 0.3;

/**
 * The longest of 1, 2, 5, 10, 20 … (pixels, nanometres, micrometres) that is at most 30 % of a picture's width.
 * @throws PtychoError CONFIG_INVALID for a pixel size that is not a positive number
 */
export function scaleBar(width_px: number, pixelSize_m?: number): ScaleBar {
  if (pixelSize_m === undefined) {
    const length_px = Math.max(1, roundDown(LONGEST_BAR * width_px));
    return { length_px, label: `${length_px} px` };
  }
  if (!(pixelSize_m > 0 && Number.isFinite(pixelSize_m))) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `pixelSize_m must be the side of a pixel in metres, a positive number, found ${pixelSize_m}.`,
      { key: 'pixelSize_m', found: pixelSize_m },
    );
  }
  const length_nm = roundDown(LONGEST_BAR * width_px * pixelSize_m * 1e9);
  const label = length_nm < 1000 ? `${length_nm} nm` : `${Number((length_nm / 1000).toPrecision(1))} µm`;
  return { length_px: length_nm / (pixelSize_m * 1e9), label };
}

/** The largest of 1, 2, 5 times a power of ten that is not above a value. */
function roundDown(value: number): number {
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  const mantissa = value / 10 ** exponent;
  const kept = mantissa >= 5 - 1e-9 ? 5 : mantissa >= 2 - 1e-9 ? 2 : 1;
  // As a decimal, so that 2·10⁻¹ is 0.2.
  return Number(`${kept}e${exponent}`);
}

export type Fonts = { readonly labelFontSize: number; readonly titleFontSize: number };

/** A mark of Vega with fixed values. */
export const mark = (type: string, values: Readonly<Record<string, unknown>>): VegaPart => ({
  type,
  encode: { enter: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value }])) },
});

/** White on a dark field in the lower left corner, readable on any picture. */
export function scaleBarMarks(
  { length_px, label }: ScaleBar,
  zoom: number,
  height: number,
  small: boolean,
): VegaPart[] {
  const length = length_px * zoom;
  const [margin, pad, thick, fontSize] = small ? [8, 6, 3, 11] : [14, 9, 5, 15];
  const field = Math.max(length, 0.62 * fontSize * label.length) + 2 * pad;
  const fieldHeight = fontSize + thick + 2.2 * pad;
  const [left, top] = [margin, height - margin - fieldHeight];
  const middle = left + field / 2;
  return [
    mark('rect', {
      x: left,
      y: top,
      width: field,
      height: fieldHeight,
      fill: '#000000',
      fillOpacity: 0.6,
      cornerRadius: 3,
    }),
    mark('rect', { x: middle - length / 2, y: top + fieldHeight - pad - thick, width: length, height: thick, fill: '#ffffff' }), // biome-ignore format: one mark
    mark('text', { x: middle, y: top + pad * 0.8, text: label, align: 'center', baseline: 'top', fill: '#ffffff', fontSize }), // biome-ignore format: one mark
  ];
}

/** The colours as a column beside the picture, last one at the top, with ticks and the quantity along it. */
export function colourBar(
  picture: Pick<Picture, 'low' | 'high' | 'colormap'>,
  quantity: string,
  left: number,
  height: number,
  font: Fonts,
): VegaPart {
  const { rgb } = picture.colormap;
  const column = new Uint8Array(768);
  for (let k = 0; k < 256; k++) column.set(rgb.subarray(3 * (255 - k), 3 * (256 - k)), 3 * k);
  const ticks = barTicks(picture);
  return barGroup({ width: 1, height: 256, channels: 3, data: column }, { left, width: 16, height, ticks, title: quantity, font }); // biome-ignore format: one call
}

/** Amplitudes to the right, phases upwards: what hue and brightness mean. */
function hueBar({ high }: Picture, left: number, height: number, font: Fonts): VegaPart {
  const [columns, rows] = [32, 256];
  const data = new Uint8Array(3 * columns * rows);
  for (let r = 0; r < rows; r++) {
    const phase = Math.PI - (2 * Math.PI * (r + 0.5)) / rows;
    for (let c = 0; c < columns; c++) data.set(complexColour((c + 0.5) / columns, phase), 3 * (r * columns + c));
  }
  const below = {
    scales: [{ name: 'amplitude', type: 'linear', domain: [0, high], range: [0, 44] }],
    axes: [{ orient: 'bottom', scale: 'amplitude', values: [0, high], title: 'amplitude', format: '.2~r', ...font }],
  };
  const pixels: Pixels = { width: columns, height: rows, channels: 3, data };
  return barGroup(pixels, { left, width: 44, height, ticks: TURN, title: 'phase / rad', font, below });
}

interface BarTick {
  readonly text: string;
  /** Between the lower end (0) and the upper one (1). */
  readonly at: number;
}

const TURN: readonly BarTick[] = ['−π', '−π/2', '0', 'π/2', 'π'].map((text, k) => ({ text, at: k / 4 }));

function barGroup(
  colours: Pixels,
  bar: {
    readonly left: number;
    readonly width: number;
    readonly height: number;
    readonly ticks: readonly BarTick[];
    readonly title: string;
    readonly font: Fonts;
    readonly below?: VegaPart;
  },
): VegaPart {
  const { left, width, height, ticks, title, font, below } = bar;
  const letters = Math.max(...ticks.map(({ text }) => text.length));
  return {
    type: 'group',
    name: 'colours',
    encode: { enter: { x: { value: left + 14 }, y: { value: 0 }, width: { value: width }, height: { value: height }, stroke: { value: '#222' }, strokeWidth: { value: 0.5 } } }, // biome-ignore format: one mark
    ...below,
    marks: [
      mark('image', { url: uriOf(colours), x: 0, y: 0, width, height, aspect: false }),
      ...ticks.flatMap(({ text, at }) => {
        const y = (1 - at) * height;
        return [
          mark('rule', { x: width, x2: width + 5, y, y2: y, stroke: '#222' }),
          mark('text', { x: width + 8, y, text, baseline: 'middle', fontSize: font.labelFontSize }),
        ];
      }),
      ...(title === '' ? [] : [mark('text', { x: width + 14 + 0.56 * font.labelFontSize * letters, y: height / 2, text: title, angle: 90, align: 'center', baseline: 'bottom', fontSize: font.titleFontSize })]), // biome-ignore format: one element
    ],
  };
}

/** What stands beside the bar. */
function barTicks({ low, high }: Pick<Picture, 'low' | 'high'>): readonly BarTick[] {
  const isTurn = Math.abs(low + Math.PI) < 1e-6 && Math.abs(high - Math.PI) < 1e-6;
  if (isTurn) return TURN;
  const scale = scaleLinear().domain([low, high]);
  const ticks = scale.ticks(5);
  // Where round numbers cannot be told apart, the two ends say more.
  const texts = new Set(ticks.map(shortNumber));
  if (texts.size < ticks.length || ticks.length < 2) return [low, high].map((v, at) => ({ text: shortNumber(v), at }));
  return ticks.map((v) => ({ text: shortNumber(v).replace('-', '−'), at: scale(v) }));
}

/** Pixels as an address that needs no file. */
const uriOf = (pixels: Pixels): string => pngDataUri(encodePng(pixels));

/** The pixels that are placed, and how many pixels of the document one of the picture's is wide: half numbers, since PNG files have two. */
function sized(picture: Picture, side_px: number): { readonly shown: Pixels; readonly zoom: number } {
  const [short, long] = [Math.min(picture.width, picture.height), Math.max(picture.width, picture.height)];
  const doubled = Math.min(Math.ceil((2 * side_px) / short), Math.floor((2 * LONGEST) / long));
  if (doubled >= 1) return { shown: picture, zoom: doubled / 2 };
  const factor = Math.ceil(long / (2 * LONGEST));
  return { shown: averaged(picture, factor), zoom: 0.5 / factor };
}

/** Means of squares of `factor` pixels a side; what is left at the right and at the foot counts as a narrower square. */
function averaged({ width, height, data }: Picture, factor: number): Pixels {
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const out = new Uint8Array(3 * columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const sum = [0, 0, 0];
      let count = 0;
      for (let r = y * factor; r < Math.min(height, (y + 1) * factor); r++) {
        for (let c = x * factor; c < Math.min(width, (x + 1) * factor); c++) {
          for (let k = 0; k < 3; k++) sum[k] += data[3 * (r * width + c) + k];
          count++;
        }
      }
      for (let k = 0; k < 3; k++) out[3 * (y * columns + x) + k] = Math.round(sum[k] / count);
    }
  }
  return { width: columns, height: rows, channels: 3, data: out };
}
