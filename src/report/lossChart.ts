/**
 * The loss over the epochs as pixels, for places that show pictures only.
 *
 * @example
 * await writeFile('loss.png', encodePng(renderLossChart([{ name: 'training', values: [0.9, 0.5, 0.4] }], { bestEpoch: 3 })));
 */
import { Canvas, type Colour } from './canvas.js';
import { drawChartFrame, SERIES_COLOURS } from './chartFrame.js';
import { LETTER_HEIGHT, textLength, writeText } from './font.js';
import { isFiniteNumber, type LossSeries, lossAxes, tickText } from './lossAxes.js';
import type { LossCurveOptions } from './lossCurve.js';
import type { Pixels } from './png.js';

const BEST: Colour = [120, 120, 120];
const MARGIN = { top: 56, right: 20, bottom: 46, left: 78 };

/**
 * Pixels of the given curves over the epochs; as {@link renderLossCurve}, which draws the same as SVG.
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
export function renderLossChart(series: readonly LossSeries[], options: LossCurveOptions = {}): Pixels {
  const { width = 640, height = 360, label = 'loss', title = 'Loss per epoch', bestEpoch: best } = options;
  const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, foot: height - MARGIN.bottom };
  const axes = lossAxes(series, options.axis, box);
  const canvas = new Canvas(width, height);
  const [x, y] = [(epoch: number) => Math.round(axes.x(epoch)), (loss: number) => axes.y(loss)];

  drawChartFrame(canvas, {
    ...{ box, height, title },
    rows: axes.lossTicks.map((tick) => ({ at: y(tick), text: tickText(tick) })),
    columns: axes.epochTicks.map((tick) => ({ at: x(tick), text: String(tick) })),
    below: 'epoch',
    beside: `${label}${axes.logarithmic ? ' (log)' : ''}`,
  });

  if (best !== undefined && best >= 1 && best <= axes.epochs) {
    for (let at = box.top; at < box.foot; at += 8) canvas.fill(x(best), at, 1, 4, BEST);
  }
  series.forEach(({ values }, k) => {
    const colour = SERIES_COLOURS[k % SERIES_COLOURS.length];
    for (const [i, value] of values.entries()) {
      if (!isFiniteNumber(value)) continue;
      const before = i > 0 ? values[i - 1] : null;
      if (isFiniteNumber(before)) canvas.line(x(i), y(before), x(i + 1), y(value), colour, 2);
      if (axes.epochs <= 60) canvas.disc(x(i + 1), y(value), i + 1 === best ? 4.5 : 2.5, colour);
    }
  });
  legend(canvas, series, best);
  return canvas.pixels;
}

/** Under the title, where no curve runs. */
function legend(canvas: Canvas, series: readonly LossSeries[], best: number | undefined): void {
  let left = MARGIN.left;
  const entry = (text: string, colour: Colour, dashed: boolean) => {
    const middle = 30 + Math.floor(LETTER_HEIGHT / 2);
    for (let at = 0; at < 20; at += dashed ? 8 : 4) canvas.fill(left + at, middle, 4, dashed ? 1 : 2, colour);
    writeText(canvas, text, left + 26, 30);
    left += 26 + textLength(text) + 20;
  };
  series.forEach(({ name }, k) => {
    entry(name, SERIES_COLOURS[k % SERIES_COLOURS.length], false);
  });
  if (best !== undefined) entry(`best epoch (${best})`, BEST, true);
}
