/**
 * The loss over the epochs as an SVG picture: nothing to install, nothing to run, sharp at any size.
 *
 * @example
 * const svg = renderLossCurve([
 *   { name: 'training', values: [0.9, 0.5, 0.4] },
 *   { name: 'validation', values: [0.95, 0.6, 0.55] },
 * ], { bestEpoch: 3 });
 */

import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { PtychoError } from '../core/errors.js';
import { coordinate, escapeMarkup } from './svg.js';

/** One curve: a value for each epoch from 1 on; `null` or a value that is not finite leaves a gap. */
export interface LossSeries {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

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
  const finite = series.flatMap((curve) => curve.values.filter(isFiniteNumber));
  if (finite.length === 0) {
    throw new PtychoError('DATASET_VALUE', 'There is no finite loss to draw; the training history is empty.', {});
  }
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const logarithmic = options.axis === 'log' || (options.axis !== 'linear' && low > 0 && high / low > 10);
  const epochs = Math.max(...series.map((curve) => curve.values.length));

  const x = scaleLinear()
    .domain(epochs > 1 ? [1, epochs] : [0.5, 1.5])
    .range([MARGIN.left, width - MARGIN.right]);
  const y = (logarithmic ? scaleLog() : scaleLinear())
    .domain(low < high ? [low, high] : [low - padOf(low), low + padOf(low)])
    .range([height - MARGIN.bottom, MARGIN.top])
    .nice();

  const parts: string[] = [];
  parts.push(`<text x="${MARGIN.left}" y="18" font-size="14" font-weight="600">${escapeMarkup(title)}</text>`);
  for (const tick of valueTicks(y, logarithmic)) {
    const at = coordinate(y(tick));
    parts.push(
      `<line x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${at}" y2="${at}" stroke="currentColor" stroke-opacity="0.15"/>`,
      `<text x="${MARGIN.left - 8}" y="${at}" dy="0.32em" text-anchor="end">${tickText(tick)}</text>`,
    );
  }
  const foot = height - MARGIN.bottom;
  for (const tick of x.ticks(Math.min(8, epochs)).filter(Number.isInteger)) {
    const at = coordinate(x(tick));
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${foot}" y2="${foot + 5}" stroke="currentColor"/>`,
      `<text x="${at}" y="${foot + 18}" text-anchor="middle">${tick}</text>`,
    );
  }
  parts.push(
    `<path d="M${MARGIN.left},${MARGIN.top}V${foot}H${width - MARGIN.right}" fill="none" stroke="currentColor"/>`,
    `<text x="${(MARGIN.left + width - MARGIN.right) / 2}" y="${height - 8}" text-anchor="middle">epoch</text>`,
    `<text transform="translate(16,${(MARGIN.top + foot) / 2}) rotate(-90)" text-anchor="middle">${escapeMarkup(label)}${logarithmic ? ' (log)' : ''}</text>`,
  );

  const best = options.bestEpoch;
  if (best !== undefined && best >= 1 && best <= epochs) {
    const at = coordinate(x(best));
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${MARGIN.top}" y2="${foot}" stroke="currentColor" stroke-dasharray="3 4" stroke-opacity="0.6"/>`,
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

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">`,
    `<title>${escapeMarkup(title)}</title>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
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

function valueTicks(scale: { ticks(count?: number): number[] }, logarithmic: boolean): number[] {
  const ticks = scale.ticks(6);
  if (!logarithmic || ticks.length <= 10) return ticks;
  // A long logarithmic axis keeps the powers of ten only.
  const powers = ticks.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
  return powers.length >= 2 ? powers : ticks.filter((_, i) => i % 3 === 0);
}

function tickText(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential().replace('e+', 'e');
  return String(Number(value.toPrecision(6)));
}

function padOf(value: number): number {
  return value === 0 ? 1 : Math.abs(value) * 0.1;
}

function isFiniteNumber(value: number | null): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
