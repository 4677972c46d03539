/**
 * The loss over the epochs as an SVG picture: nothing to install, nothing to run, sharp at any size.
 *
 * @example
 * const svg = renderLossCurve([
 *   { name: 'training', values: [0.9, 0.5, 0.4] },
 *   { name: 'validation', values: [0.95, 0.6, 0.55] },
 * ], { bestEpoch: 3 });
 */

import { line } from 'd3-shape';
import { svgChart, svgChartFrame } from './chartFrame.js';
import { isFiniteNumber, type LossSeries, lossAxes, tickText } from './lossAxes.js';
import { coordinate, escapeMarkup } from './svg.js';

export type { LossSeries } from './lossAxes.js';

/** How the curve is drawn; everything may be left out. */
export interface LossCurveOptions {
  readonly title?: string;
  /** Label of the vertical axis, `loss` where not given. */
  readonly label?: string;
  /** Epoch, counted from 1, that is marked as the best one. */
  readonly bestEpoch?: number;
  /** `auto` takes the logarithm when all values are positive and spread over more than a factor of ten. */
  readonly axis?: 'auto' | 'linear' | 'log';
  readonly width?: number;
  readonly height?: number;
}

// Okabe and Ito's colours: told apart by everybody, on white and on dark.
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];
const MARGIN = { top: 34, right: 18, bottom: 46, left: 70 };

/**
 * An SVG document of the given curves over the epochs.
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
export function renderLossCurve(series: readonly LossSeries[], options: LossCurveOptions = {}): string {
  const { width = 640, height = 360, label = 'loss', title = 'Loss per epoch' } = options;
  const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, foot: height - MARGIN.bottom };
  const { x, y, epochs, logarithmic, lossTicks, epochTicks } = lossAxes(series, options.axis, box);

  const parts = svgChartFrame({
    ...{ box, height, title },
    rows: lossTicks.map((tick) => ({ at: y(tick), text: tickText(tick) })),
    columns: epochTicks.map((tick) => ({ at: x(tick), text: String(tick) })),
    below: 'epoch',
    beside: `${label}${logarithmic ? ' (log)' : ''}`,
  });

  const best = options.bestEpoch;
  if (best !== undefined && best >= 1 && best <= epochs) {
    const at = coordinate(x(best));
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${box.top}" y2="${box.foot}" stroke="currentColor" stroke-dasharray="3 4" stroke-opacity="0.6"/>`,
    );
  }

  const path = line<number | null>()
    .defined(isFiniteNumber)
    .x((_, i) => x(i + 1))
    .y((value) => y(value as number))
    .digits(2);
  series.forEach((curve, k) => {
    const colour = COLOURS[k % COLOURS.length];
    parts.push(
      `<path d="${path(curve.values as (number | null)[]) ?? ''}" fill="none" stroke="${colour}" stroke-width="1.8"/>`,
    );
    // A value between two gaps has no line; points also make short trainings readable.
    if (epochs <= 60) {
      curve.values.forEach((value, i) => {
        if (!isFiniteNumber(value)) return;
        parts.push(
          `<circle cx="${coordinate(x(i + 1))}" cy="${coordinate(y(value))}" r="${i + 1 === best ? 4 : 2.2}" fill="${colour}"/>`,
        );
      });
    }
  });
  parts.push(legend(series, best, width));

  return svgChart(width, height, title, parts);
}

function legend(series: readonly LossSeries[], best: number | undefined, width: number): string {
  const rows = series.map((curve, k) => ({ text: curve.name, colour: COLOURS[k % COLOURS.length], dashed: false }));
  if (best !== undefined) rows.push({ text: `best epoch (${best})`, colour: 'currentColor', dashed: true });
  // Beside the title, where no curve runs; a letter is about 6.5 px wide.
  let right = width - MARGIN.right;
  const parts: string[] = [];
  for (const row of rows.reverse()) {
    const left = right - 6.5 * row.text.length;
    parts.push(
      `<line x1="${coordinate(left - 24)}" x2="${coordinate(left - 6)}" y1="14" y2="14" stroke="${row.colour}" stroke-width="2"${row.dashed ? ' stroke-dasharray="3 4"' : ''}/>`,
      `<text x="${coordinate(left)}" y="18">${escapeMarkup(row.text)}</text>`,
    );
    right = left - 40;
  }
  return parts.join('\n');
}
