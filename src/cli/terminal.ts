/**
 * What reaches the terminal, and how it looks there. Progress and messages share one stream: a bar with rate and remaining
 * time on a terminal, a plain line every few seconds elsewhere; what the level of the terminal leaves out is not written.
 *
 * @example
 * const reporter = createReporter({ stream: process.stderr, level: 'INFO' });
 * await work({ onProgress: reporter.onProgress, logger: reporter.logger });
 * reporter.finish();
 */

import type { Logger, ProgressEvent, ProgressSink } from '../core/log.js';
import { extentOf } from '../core/numbers.js';
import { formatCount, plainText } from '../core/words.js';
import type { TextSink } from './context.js';

/** From everything to nearly nothing, as in the published tools. */
export const CONSOLE_LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type ConsoleLevel = (typeof CONSOLE_LEVELS)[number];

/** True when a message of this level is shown at that level of the terminal. */
export function shows(terminal: ConsoleLevel, message: ConsoleLevel): boolean {
  return CONSOLE_LEVELS.indexOf(message) >= CONSOLE_LEVELS.indexOf(terminal);
}

/** The level that was asked for; `debug` of a configuration asks for everything where no flag says otherwise. */
export function consoleLevelOf(given: Readonly<Record<string, unknown>>, debug = false): ConsoleLevel {
  if (given.quiet === true) return 'WARNING';
  if (given.verbose === true) return 'DEBUG';
  const named = CONSOLE_LEVELS.find((level) => level === given.console_level);
  return named ?? (debug ? 'DEBUG' : 'INFO');
}

/** Where progress goes and how often. */
export interface ReporterOptions {
  readonly stream: TextSink;
  /** Progress is shown with INFO and below. */
  readonly level: ConsoleLevel;
  /** Milliseconds; the clock of the process where not given. */
  readonly now?: () => number;
}

/** Handed to workflows; `finish` ends a bar that is still drawn. */
export interface Reporter {
  readonly onProgress: ProgressSink;
  readonly logger: Logger;
  finish(): void;
}

const BAR_EVERY_MS = 100;
const LINE_EVERY_MS = 5000;
/** The rate is taken over this much of the past, so that it follows a changing pace but does not jump. */
const WINDOW_MS = 15_000;
const CLEAR_LINE = '\r\u001b[2K';

/** A reporter for a terminal, a log file or nobody. */
export function createReporter(options: ReporterOptions): Reporter {
  const { stream, level } = options;
  const quiet = !shows(level, 'INFO');
  const now = options.now ?? (() => performance.now());
  const terminal = stream.isTTY === true;
  let bar = '';
  let stage: Stage | null = null;
  let lastShown = Number.NEGATIVE_INFINITY;

  const draw = (text: string) => (stream.draw ? stream.draw(text) : stream.write(text));
  const say = (text: string) => {
    if (bar === '') stream.write(`${plainText(text)}\n`);
    else draw(`${CLEAR_LINE}${plainText(text)}\n${bar}`);
  };
  const endBar = () => {
    if (bar === '') return;
    stream.write('\n');
    bar = '';
  };

  return {
    onProgress(event) {
      if (quiet) return;
      const time = now();
      if (stage === null || stage.name !== event.stage || event.done < stage.done) {
        endBar();
        stage = newStage(event.stage, time);
        lastShown = Number.NEGATIVE_INFINITY;
      }
      record(stage, event.done, time);
      const finished = event.done >= event.total;
      const due = time - lastShown >= (terminal ? BAR_EVERY_MS : LINE_EVERY_MS);
      // A plain log needs no line for the start of a stage that is done at once.
      if (!due && !(finished && !stage.closed)) return;
      lastShown = time;
      if (finished) stage.closed = true;
      if (terminal) {
        bar = drawBar(event, stage, time, stream.columns ?? 80);
        draw(`${CLEAR_LINE}${bar}`);
        if (finished) endBar();
      } else {
        stream.write(`${plainText(plainLine(event, stage, time))}\n`);
      }
    },
    logger: {
      info(message) {
        if (!quiet) say(message);
      },
      warn(message) {
        if (shows(level, 'WARNING')) say(`warning: ${message}`);
      },
      debug(message) {
        if (shows(level, 'DEBUG')) say(`debug: ${message}`);
      },
    },
    finish: endBar,
  };
}

interface Stage {
  readonly name: string;
  readonly startedAt: number;
  readonly samples: { time: number; done: number }[];
  done: number;
  closed: boolean;
}

function newStage(name: string, time: number): Stage {
  return { name, startedAt: time, samples: [], done: 0, closed: false };
}

function record(stage: Stage, done: number, time: number): void {
  stage.done = done;
  const { samples } = stage;
  // Samples closer than a fiftieth of the window add nothing; the newest is compared with directly.
  if (samples.length === 0 || time - samples[samples.length - 1].time >= WINDOW_MS / 50) samples.push({ time, done });
  while (samples.length > 2 && time - samples[1].time > WINDOW_MS) samples.shift();
}

/** Units per second and seconds left; null before there is anything to judge by. */
function pace(event: ProgressEvent, stage: Stage, time: number): { rate: number; remaining: number } | null {
  const oldest = stage.samples[0];
  const seconds = (time - oldest.time) / 1000;
  const progress = event.done - oldest.done;
  if (seconds <= 0 || progress <= 0) return null;
  const rate = progress / seconds;
  return { rate, remaining: Math.max(0, event.total - event.done) / rate };
}

function facts(event: ProgressEvent, stage: Stage, time: number): string {
  const parts = [`${formatCount(event.done)}/${formatCount(event.total)} ${event.unit}`];
  const speed = pace(event, stage, time);
  if (speed) parts.push(`${formatCount(speed.rate)} ${event.unit}/s`);
  if (event.done >= event.total) parts.push(`${formatDuration((time - stage.startedAt) / 1000)} in all`);
  else if (speed) parts.push(`${formatDuration(speed.remaining)} left`);
  if (event.note) parts.push(event.note);
  return parts.join(', ');
}

function share(event: ProgressEvent): number {
  return event.total > 0 ? Math.min(1, Math.max(0, event.done / event.total)) : 1;
}

function drawBar(event: ProgressEvent, stage: Stage, time: number, columns: number): string {
  const percent = `${Math.floor(share(event) * 100)}%`.padStart(4);
  const width = 24;
  const full = Math.round(share(event) * width);
  const line = `${event.stage} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${percent}  ${facts(event, stage, time)}`;
  // One line only: a wrapped bar could not be redrawn.
  const one = plainText(line).replaceAll('\n', ' ');
  return one.length < columns ? one : one.slice(0, Math.max(0, columns - 1));
}

function plainLine(event: ProgressEvent, stage: Stage, time: number): string {
  return `${event.stage}: ${Math.floor(share(event) * 100)}%, ${facts(event, stage, time)}`;
}

export { formatCount };

/** Seconds as `4.2 s`, `3:07`, `1:02:45`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** Columns under each other, two spaces between; columns of numbers are set to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c].length)));
  const numeric = head.map((_, c) => rows.length > 0 && rows.every((row) => /^[-–\d.,:e]+( s)?$/.test(row[c])));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, c) => (numeric[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}

/** Dots of a braille character, by column and row. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const EMPTY = 0x2800;

/**
 * Lines of a map at most `columns` × `rows` characters large (2 × 4 dots each), x to the right, y down, both to the same scale.
 * A dot stands for one position or more.
 */
export function textMap(
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  { columns = 60, rows = 20 }: { readonly columns?: number; readonly rows?: number } = {},
): string[] {
  const [x0, x1] = extentOf(xs);
  const [y0, y1] = extentOf(ys);
  // The last dot takes the end of the range; a scan along a line has no height.
  const perDot = Math.max((x1 - x0) / (2 * columns - 1), (y1 - y0) / (4 * rows - 1)) || 1;
  const width = Math.floor(Math.round((x1 - x0) / perDot) / 2) + 1;
  const height = Math.floor(Math.round((y1 - y0) / perDot) / 4) + 1;
  const cells = Array.from({ length: height }, () => new Array<number>(width).fill(EMPTY));
  for (let i = 0; i < xs.length; i++) {
    const [column, row] = [Math.round((xs[i] - x0) / perDot), Math.round((ys[i] - y0) / perDot)];
    cells[Math.floor(row / 4)][Math.floor(column / 2)] |= DOTS[column % 2][row % 4];
  }
  return cells.map((line) => String.fromCodePoint(...line));
}

/** A bar chart of one line: the higher the block, the larger the count. */
export function textBars(counts: readonly number[]): string {
  const most = Math.max(...counts);
  return counts.map((count) => (count === 0 ? ' ' : '▁▂▃▄▅▆▇█'[Math.ceil((8 * count) / most) - 1])).join('');
}
