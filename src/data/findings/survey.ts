/**
 * The first full pass over the patterns of an open scan, before any step uses them: frames without light are left out, those
 * with far too much, or that cannot be read, are named. What is read is kept where it fits, and its sums are kept in any case,
 * so that nobody reads the patterns again to measure them.
 *
 * @example
 * const raw = await surveyScan(await openDataset('scan.h5'));
 */
import { throwIfCancelled } from '../../core/cancel.js';
import { invalidOption } from '../../core/errors.js';
import { integers, median, valuesAt } from '../../core/numbers.js';
import { forEachPiece, patternSums } from '../normalise.js';
import { openDataset } from '../openDataset.js';
import type { OpenDatasetOptions } from '../options.js';
import { DEFAULT_CACHE_BYTES, keepFirstPatterns, keepPatterns, SomePatterns } from '../patternCache.js';
import type { LookedPatterns, PatternSource, PatternSums } from '../patternSource.js';
import type { RawData } from '../rawData.js';
import { type FindingOptions, Findings } from './finding.js';
import { checkPower, frameList } from './patternChecks.js';
import { figuresOf } from './patternFigures.js';
import { lookAtScan } from './scanChecks.js';

/** How a survey goes. */
export interface SurveyOptions extends FindingOptions {
  /** The most bytes of patterns that are kept for the passes that follow; 1 GiB. */
  readonly keepBytes?: number;
  readonly signal?: AbortSignal;
  readonly onPatterns?: (done: number) => void;
}

/** Frames with less than this part of the usual light are looked at for a beam at all. */
const FAINT = 0.25;

/**
 * Reads every pattern once. The result has the patterns that can be used; closing it closes the scan. A scan that was surveyed is
 * returned as it is.
 * @throws PtychoError SCAN_WRONG for a finding that is wrong and not accepted; CANCELLED; those of reading
 */
export async function surveyScan(raw: RawData, options: SurveyOptions = {}): Promise<RawData> {
  if (raw.patterns.sums !== undefined) return raw;
  const findings = raw.findings ?? (await lookAtScan(raw, new Findings(raw.source, options)));
  const { keepBytes = DEFAULT_CACHE_BYTES } = options;
  const all = integers(raw.count);
  const kept =
    keepBytes >= DEFAULT_CACHE_BYTES
      ? keepPatterns(raw.patterns, all, keepBytes)
      : keepFirstPatterns(raw.patterns, all, keepBytes);
  const pass = new Pass(raw, kept, options);
  await pass.run(all);
  const { usable, sums } = pass.judge(findings);
  findings.settle();
  const patterns = new SomePatterns(kept, usable, sums);
  return usable.length === raw.count ? { ...raw, patterns, findings } : narrowed(raw, patterns, usable, findings);
}

/**
 * Opens a scan and surveys it; it is closed again when that fails.
 * @throws PtychoError as `openDataset` and {@link surveyScan}
 */
export async function openScan(
  path: string,
  options: OpenDatasetOptions = {},
  survey: SurveyOptions = {},
): Promise<RawData> {
  const raw = await openDataset(path, options);
  try {
    return await surveyScan(raw, { logger: options.logger, ...survey });
  } catch (error) {
    await raw.close();
    throw error;
  }
}

/** One pass over the patterns. */
class Pass {
  readonly #sums: PatternSums;
  /** 1 where a pattern could be read. */
  readonly #read: Uint8Array;
  readonly #background: Uint8Array;
  #brightShare = 0;
  #brightPixels: Uint8Array | undefined;
  #usual = 0;
  #firstProblem: string | undefined;

  constructor(
    private readonly raw: RawData,
    private readonly patterns: PatternSource,
    private readonly options: SurveyOptions,
  ) {
    const { count } = raw;
    this.#sums = { power: new Float64Array(count), squares: new Float64Array(count), sum: new Float64Array(count), max: new Float64Array(count) }; // biome-ignore format: one line
    this.#read = new Uint8Array(count);
    this.#background = new Uint8Array(count);
  }

  async run(all: Int32Array): Promise<void> {
    const { signal, onPatterns } = this.options;
    let done = 0;
    const advance = (count: number) => {
      done += count;
      throwIfCancelled(signal, 'Reading the patterns');
      onPatterns?.(done);
    };
    const lost = {
      add: (problem: string) => {
        this.#firstProblem ??= problem;
        advance(1);
      },
    };
    advance(0);
    const take = (piece: LookedPatterns) => {
      this.#take(piece);
      advance(piece.indices.length);
    };
    await forEachPiece(this.patterns, all, take, this.raw.preparation?.skipUnreadable ? lost : undefined);
  }

  #take({ pixels, indices: part }: LookedPatterns): void {
    const size = this.raw.N ** 2;
    this.#learn(part, pixels, size);
    for (let i = 0; i < part.length; i++) {
      const pattern = pixels.subarray(i * size, (i + 1) * size);
      const { power, squares, sum, max } = patternSums(pattern);
      const at = part[i];
      this.#sums.power[at] = power;
      this.#sums.squares[at] = squares;
      this.#sums.sum[at] = sum;
      this.#sums.max[at] = max;
      this.#read[at] = 1;
      if (power > 0 && power < FAINT * this.#usual) this.#background[at] = this.#isBackground(pattern, power) ? 1 : 0;
    }
  }

  /** What the usual light is, and where it falls: the pixels that hold half of it. */
  #learn(part: Int32Array, pixels: Float32Array, size: number): void {
    if (this.#brightPixels !== undefined) return;
    const { power, meanIntensity } = figuresOf({ pixels, indices: part }, size);
    this.#usual = median(power.filter((v) => v > 0));
    if (this.#usual === 0) return;
    const order = Int32Array.from(meanIntensity.keys()).sort((a, b) => meanIntensity[b] - meanIntensity[a]);
    const total = meanIntensity.reduce((sum, v) => sum + v, 0);
    this.#brightPixels = new Uint8Array(size);
    let held = 0;
    let pixelsHeld = 0;
    for (const p of order) {
      if (held >= total / 2) break;
      held += meanIntensity[p];
      pixelsHeld++;
      this.#brightPixels[p] = 1;
    }
    this.#brightShare = pixelsHeld / size;
  }

  /** Light that lies evenly, and not where the beam does, is the detector's own: the beam was off. */
  #isBackground(pattern: Float32Array, power: number): boolean {
    let bright = 0;
    const where = this.#brightPixels as Uint8Array;
    for (let p = 0; p < pattern.length; p++) if (where[p]) bright += pattern[p] ** 2;
    return bright / power < (0.5 + this.#brightShare) / 2;
  }

  /** Which patterns can be used, and their sums. */
  judge(findings: Findings): { usable: Int32Array; sums: PatternSums } {
    const { raw } = this;
    const { power } = this.#sums;
    const minCounts = raw.preparation?.minCounts ?? 0;
    const all = Int32Array.from(power.keys());
    const named = (which: Int32Array) => frameList(Array.from(which, (i) => raw.sampleIndices[i]));
    const lost = all.filter((i) => !this.#read[i]);
    if (lost.length > 0) {
      findings.add({
        code: 'UNREADABLE_FRAMES',
        severity: 'doubt',
        message: `${lost.length} of ${raw.count} frames of ${raw.source} cannot be read and are left out: ${named(lost)}. The first: ${this.#firstProblem}`,
      });
    }
    const read = all.filter((i) => this.#read[i] === 1);
    for (const finding of checkPower(raw, read, valuesAt(power, read))) findings.add(finding);
    const off = read.filter((i) => this.#background[i] === 1);
    if (off.length > 0) {
      findings.add({
        code: 'BEAM_OFF_FRAMES',
        severity: 'doubt',
        message: `${off.length} of ${raw.count} patterns of ${raw.source} hold only background, far below the usual light and spread evenly: frames ${named(off)}; the beam was off, and they are left out.`,
      });
    }
    const few = read.filter((i) => power[i] > 0 && power[i] < minCounts);
    if (few.length > 0) {
      findings.add({
        code: 'FEW_COUNTS',
        severity: 'note',
        message: `${few.length} of ${raw.count} patterns hold fewer than ${minCounts} counts and are left out: frames ${named(few)}.`,
      });
    }
    const lit = read.filter((i) => power[i] > 0 && power[i] >= minCounts && this.#background[i] === 0);
    if (lit.length === 0 && few.length > 0) {
      const most = Math.max(...few.map((i) => power[i]));
      throw invalidOption(
        'min_counts',
        `min_counts is ${minCounts}, but no pattern of ${raw.source} holds more than ${Number(most.toPrecision(3))} counts; give fewer with --min_counts.`,
        minCounts,
        { path: raw.source },
      );
    }
    // Without any light there is nothing to leave out; what is wrong is said where the patterns are used.
    const usable = lit.length > 0 ? lit : read;
    const { squares, sum, max } = this.#sums;
    const [p, s, d, m] = [power, squares, sum, max].map((values) => valuesAt(values, usable));
    return { usable, sums: { power: p, squares: s, sum: d, max: m } };
  }
}

/**
 * Some patterns of a scan that was surveyed, as a scan; it reads from the whole one, and is not closed on its own.
 * @param rows which, ascending
 */
export function selectPatterns(raw: RawData, rows: Int32Array): RawData {
  const { sums } = raw.patterns;
  const own = (values: Float64Array) => valuesAt(values, rows);
  const some = sums ? { power: own(sums.power), squares: own(sums.squares), sum: own(sums.sum), max: own(sums.max) } : undefined; // biome-ignore format: one line
  return { ...narrowed(raw, new SomePatterns(raw.patterns, rows, some), rows, raw.findings), close: async () => {} };
}

/** The scan with some of its patterns. */
function narrowed(raw: RawData, patterns: PatternSource, rows: Int32Array, findings: Findings | undefined): RawData {
  const numbers = (values: Float64Array) => valuesAt(values, rows);
  const whole = (values: Int32Array) => Int32Array.from(rows, (row) => values[row]);
  const patches = (stored: RawData['labels']) =>
    stored && {
      ...stored,
      count: rows.length,
      readRows: (indices: ArrayLike<number>) => stored.readRows(Int32Array.from(indices, (i) => rows[i])),
    };
  return {
    ...raw,
    count: rows.length,
    patterns,
    findings,
    xcoords: numbers(raw.xcoords),
    ycoords: numbers(raw.ycoords),
    xcoordsStart: raw.xcoordsStart && numbers(raw.xcoordsStart),
    ycoordsStart: raw.ycoordsStart && numbers(raw.ycoordsStart),
    xcoordsEnd: raw.xcoordsEnd && numbers(raw.xcoordsEnd),
    ycoordsEnd: raw.ycoordsEnd && numbers(raw.ycoordsEnd),
    scanIndex: whole(raw.scanIndex),
    sampleIndices: whole(raw.sampleIndices),
    patternIndexes: raw.patternIndexes && whole(raw.patternIndexes),
    groundTruth: patches(raw.groundTruth),
    labels: patches(raw.labels),
  };
}
