/**
 * Curves over a common axis, as drawings: what the loss over epochs and correlations over frequency have in common.
 *
 * @example
 * lineChart({ title: 'Loss', below: 'epoch', beside: 'loss', curves: [{ name: 'training', points: [[1, 0.9], [2, 0.5]] }] });
 */
import { shortNumber } from './image.js';
import type { Drawing, VegaPart } from './renderer.js';

/** One curve. */
export interface Curve {
  readonly name: string;
  /** (x, y); a value that is not finite leaves a gap. */
  readonly points: readonly (readonly [number, number])[];
  /** Thin, grey and dashed, its name at its right end: a threshold, a floor. */
  readonly limit?: boolean;
  /** Points are marked as dots too. */
  readonly dots?: boolean;
}

/** A vertical line with a name. */
export interface ChartMark {
  readonly at: number;
  readonly text: string;
}

/** Everything about a chart; axes reach over all finite points where no range is given. */
export interface ChartContent {
  readonly title: string;
  readonly note?: string;
  readonly below: string;
  readonly beside: string;
  readonly curves: readonly Curve[];
  readonly marks?: readonly ChartMark[];
  readonly logarithmic?: boolean;
  readonly x?: readonly [number, number];
  readonly y?: readonly [number, number];
  /** Only whole numbers have ticks. */
  readonly wholeX?: boolean;
  readonly width?: number;
  readonly height?: number;
}

/** Okabe and Ito's colours: told apart by everybody; after them the same again with other dashes. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'];
const DASHES: readonly (readonly number[])[] = [
  [1, 0],
  [7, 3],
  [2, 3],
  [9, 3, 2, 3],
];

/** A chart as a drawing of its own. */
export function lineChart(content: ChartContent): Drawing {
  const { title, note, width = 640, height = 360 } = content;
  return {
    title,
    description: describe(content),
    spec: {
      padding: 12,
      width,
      height,
      title: { text: title, ...(note && { subtitle: note }), fontSize: 16 },
      ...chartParts(content),
    },
  };
}

function describe({ curves, below, beside }: ChartContent): string {
  const ends = curves.flatMap(({ name, points }) => {
    const known = points.filter(([, y]) => Number.isFinite(y));
    if (known.length === 0) return [];
    const [first, last] = [known[0], known[known.length - 1]];
    return [
      `${name} goes from ${shortNumber(first[1])} at ${shortNumber(first[0])} to ${shortNumber(last[1])} at ${shortNumber(last[0])}`,
    ];
  });
  return `${beside} over ${below}; ${ends.join('; ')}.`;
}

function chartParts(content: ChartContent): VegaPart {
  const { curves, marks = [], logarithmic = false, below, beside, wholeX } = content;
  const points = curves.flatMap(({ points: of }) => of.filter(([, y]) => Number.isFinite(y)));
  const xs = content.x ?? rangeOf(points.map(([x]) => x));
  const ys = content.y ?? rangeOf(points.map(([, y]) => y));
  const own = curves.filter(({ limit }) => !limit);
  const styles = own.map((_, k) => ({
    colour: COLOURS[k % COLOURS.length],
    dash: DASHES[Math.floor(k / COLOURS.length) % DASHES.length],
  }));
  const names = own.map(({ name }) => name);
  return {
    scales: [
      { name: 'x', type: 'linear', zero: false, domain: xs, range: 'width' },
      {
        name: 'y',
        type: logarithmic ? 'log' : 'linear',
        zero: false,
        nice: content.y === undefined,
        domain: ys,
        range: 'height',
      },
      { name: 'colour', type: 'ordinal', domain: names, range: styles.map(({ colour }) => colour) },
      { name: 'dash', type: 'ordinal', domain: names, range: styles.map(({ dash }) => dash) },
    ],
    axes: [
      {
        orient: 'bottom',
        scale: 'x',
        title: below,
        tickCount: wholeX ? Math.min(8, Math.max(1, xs[1] - xs[0])) : 6,
        ...(wholeX && { tickMinStep: 1, format: 'd' }),
      },
      {
        orient: 'left',
        scale: 'y',
        title: beside,
        grid: true,
        tickCount: 6,
        ...(logarithmic && ys[1] / ys[0] > 300 ? { format: '.0e' } : {}),
      },
    ],
    legends: [
      { stroke: 'colour', strokeDash: 'dash', orient: 'right', symbolType: 'stroke', symbolSize: 260, offset: 24 },
    ],
    marks: [
      ...marks.map(({ at, text }) => ({
        type: 'group',
        marks: [
          {
            type: 'rule',
            encode: {
              enter: {
                x: { scale: 'x', value: at },
                y: { value: 0 },
                y2: { signal: 'height' },
                stroke: { value: '#777' },
                strokeDash: { value: [3, 4] },
              },
            },
          },
          {
            type: 'text',
            encode: {
              enter: {
                x: { scale: 'x', value: at, offset: 5 },
                y: { value: 4 },
                text: { value: text },
                baseline: { value: 'top' },
                fontSize: { value: 11 },
                fill: { value: '#555' },
              },
            },
          },
        ],
      })),
      ...curves.map((curve, k) =>
        curveMarks(curve, k, curve.limit ? LIMIT : { ...styles[own.indexOf(curve)], width: 2 }),
      ),
    ],
  };
}

interface Style {
  readonly colour: string;
  readonly dash: readonly number[];
  readonly width: number;
}

const LIMIT: Style = { colour: '#777', dash: [4, 3], width: 1.2 };

function curveMarks({ name, points, limit, dots }: Curve, number: number, style: Style): VegaPart {
  const data = `curve${number}`;
  const at = {
    x: { scale: 'x', field: 'x' },
    y: { scale: 'y', field: 'y' },
    defined: { signal: 'datum.y !== null' },
  };
  const last = points.filter(([, y]) => Number.isFinite(y)).at(-1);
  const from = { data };
  return {
    type: 'group',
    data: [{ name: data, values: points.map(([x, y]) => ({ x, y: Number.isFinite(y) ? y : null })) }],
    marks: [
      { type: 'line', from, encode: { enter: { ...at, stroke: { value: style.colour }, strokeDash: { value: style.dash }, strokeWidth: { value: style.width } } } }, // biome-ignore format: one mark
      // A value between two gaps has no line; dots also make short histories readable.
      ...(dots
        ? [{ type: 'symbol', from, encode: { enter: { ...at, size: { signal: 'datum.y === null ? 0 : 26' }, fill: { value: style.colour } } } }] // biome-ignore format: one mark
        : []),
      ...(limit && last
        ? [{ type: 'text', encode: { enter: { x: { scale: 'x', value: last[0], offset: 6 }, y: { scale: 'y', value: last[1] }, text: { value: name }, baseline: { value: 'middle' }, fontSize: { value: 11 }, fill: { value: '#555' } } } }] // biome-ignore format: one mark
        : []),
    ],
  };
}

/** From the least to the largest, with room where they are equal. */
function rangeOf(values: readonly number[]): readonly [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low < high) return [low, high];
  const room = low === 0 ? 1 : Math.abs(low) * 0.1;
  return [low - room, low + room];
}
