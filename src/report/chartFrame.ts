/** What every chart has around its curves: axes with ticks, a title and labels, as pixels and as SVG; text for SVG and HTML. */
import { BLACK, type Canvas, type Colour } from './canvas.js';
import { LETTER_HEIGHT, textLength, writeText } from './font.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The text with the characters escaped that markup reads; right between tags and inside quoted attributes. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** A coordinate with two decimals at most, so that equal data gives equal, short files. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Where the curves go, pixels from the left and from the top. */
export interface ChartBox {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly foot: number;
}

/** The box that margins leave of a picture. */
export const chartBox = (
  width: number,
  height: number,
  margin: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number },
): ChartBox => ({
  left: margin.left,
  right: width - margin.right,
  top: margin.top,
  foot: height - margin.bottom,
});

/** A mark on an axis. */
export interface ChartTick {
  readonly at: number;
  readonly text: string;
}

/** A chart without its curves. */
export interface ChartFrame {
  readonly box: ChartBox;
  readonly height: number;
  /** Ticks of the horizontal axis. */
  readonly columns: readonly ChartTick[];
  /** Ticks of the vertical axis; a line goes through each. */
  readonly rows: readonly ChartTick[];
  readonly title: string;
  readonly below: string;
  readonly beside: string;
}

/** Okabe and Ito's colours: told apart by everybody, on white and on dark. */
const SERIES_COLOURS: readonly Colour[] = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [86, 180, 233],
  [230, 159, 0],
];
/** How many curves have a colour of their own. */
export const SERIES_COUNT = SERIES_COLOURS.length;

/** The colour of the k-th curve, from 0. */
export const seriesColour = (k: number): Colour => SERIES_COLOURS[k % SERIES_COUNT];

/** The same in SVG: `#0072b2`. */
export const svgColour = (k: number): string =>
  `#${seriesColour(k)
    .map((v) => v.toString(16).padStart(2, '0'))
    .join('')}`;

const GRID: Colour = [222, 222, 222];

/** Draws the frame on a white canvas. */
export function drawChartFrame(canvas: Canvas, frame: ChartFrame): void {
  const { box, height, columns, rows, title, below, beside } = frame;
  for (const { at, text } of rows) {
    const row = Math.round(at);
    canvas.fill(box.left, row, box.right - box.left, 1, GRID);
    writeText(canvas, text, box.left - 8 - textLength(text), row - LETTER_HEIGHT / 2);
  }
  canvas.fill(box.left, box.top, 1, box.foot - box.top, BLACK);
  canvas.fill(box.left, box.foot, box.right - box.left, 1, BLACK);
  for (const { at, text } of columns) {
    const column = Math.round(at);
    canvas.fill(column, box.foot, 1, 5, BLACK);
    writeText(canvas, text, column - textLength(text) / 2, box.foot + 8);
  }
  writeText(canvas, title, 10, 8);
  writeText(canvas, below, (box.left + box.right - textLength(below)) / 2, height - LETTER_HEIGHT - 6);
  writeText(canvas, beside, 8, (box.top + box.foot - textLength(beside)) / 2, { upwards: true });
}

/** Names of curves in a row under the title, where no curve runs. */
export function drawLegend(
  canvas: Canvas,
  from: number,
  entries: readonly { readonly name: string; readonly colour: Colour; readonly dashed?: boolean }[],
): void {
  const middle = 30 + Math.floor(LETTER_HEIGHT / 2);
  let left = from;
  for (const { name, colour, dashed } of entries) {
    for (let at = 0; at < 20; at += dashed ? 8 : 4) canvas.fill(left + at, middle, 4, dashed ? 1 : 2, colour);
    writeText(canvas, name, left + 26, 30);
    left += 26 + textLength(name) + 20;
  }
}

/** Elements of the same frame in SVG, drawn in the text's colour. */
export function svgChartFrame(frame: ChartFrame): string[] {
  const { box, height, columns, rows, title, below, beside } = frame;
  const { left, right, top, foot } = box;
  return [
    `<text x="${left}" y="18" font-size="14" font-weight="600">${escapeMarkup(title)}</text>`,
    ...rows.flatMap((row) => {
      const at = coordinate(row.at);
      return [
        `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="currentColor" stroke-opacity="0.15"/>`,
        `<text x="${left - 8}" y="${at}" dy="0.32em" text-anchor="end">${row.text}</text>`,
      ];
    }),
    ...columns.flatMap((column) => {
      const at = coordinate(column.at);
      return [
        `<line x1="${at}" x2="${at}" y1="${foot}" y2="${foot + 5}" stroke="currentColor"/>`,
        `<text x="${at}" y="${foot + 18}" text-anchor="middle">${column.text}</text>`,
      ];
    }),
    `<path d="M${left},${top}V${foot}H${right}" fill="none" stroke="currentColor"/>`,
    `<text x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">${escapeMarkup(below)}</text>`,
    `<text transform="translate(16,${(top + foot) / 2}) rotate(-90)" text-anchor="middle">${escapeMarkup(beside)}</text>`,
  ];
}

/** The document that holds a chart's elements. */
export function svgChart(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">`,
    `<title>${escapeMarkup(title)}</title>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
