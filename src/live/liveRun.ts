/**
 * The image of a scan that is being measured: a network sees every pattern once, as it comes; a solver goes over all that have come, again
 * and again, each time from the image that it had. Both show what they have every second or so.
 *
 * @example
 * const run = new LiveRun({ source, open, model, solver: { algorithm: 'rpie' }, everySeconds: 1, show }, services);
 * await run.untilEnd();
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import { isPtychoError, messageOf, type PtychoErrorCode } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { RawData } from '../data/rawData.js';
import { type LiveScan, liveScanFor } from '../reconstruction/liveScan.js';
import type { WrittenImage } from '../reconstruction/pictures.js';
import { reconstructStream } from '../reconstruction/pipeline.js';
import type { PtychoModel } from '../reconstruction/ptychoModel.js';
import { runSolver, type SolverResult } from '../solvers/run.js';
import { type GrowingScan, TENTH } from './source.js';

/** What a run is made of. */
export interface LiveParts {
  readonly source: GrowingScan;
  /** Opens what is there of the scan by now. */
  readonly open: () => Promise<RawData>;
  readonly model?: PtychoModel;
  /** Options of a solver that goes along; none where not given. */
  readonly solver?: Partial<SolverOptions>;
  readonly everySeconds: number;
  /** Takes every preview. */
  readonly show: (image: Pick<WrittenImage, 'image' | 'weight'>, facts: LiveFacts) => Promise<void>;
}

/** What a preview is of. */
export interface LiveFacts {
  readonly by: 'network' | 'solver';
  readonly patterns: number;
  readonly rFactor?: number;
}

/** What was done while the scan was measured. */
export interface LiveCounts {
  /** Frames that came. */
  readonly received: number;
  /** Frames at the end of the file that hold nothing. */
  readonly empty: number;
  /** Patterns that the network saw before the end. */
  readonly predicted: number;
  readonly previews: number;
  /** From the tenth pattern to the first preview, seconds. */
  readonly firstPreviewSeconds: number | undefined;
  /** From the first pattern to the end of the scan, seconds, and patterns that were in a network's image by then. */
  readonly scanSeconds: number;
  readonly predictedLive: number;
}

const LOOK_MS = 100;
/** Frames without a count, in a row, before the end of what has come. */
const MOST_DARK = 64;
/** Patterns read at once. */
const READ = 256;
/** Openings that fail in a row before something is said. */
const MOST_FAILURES = 30;
/** What more frames do not mend. */
const FINAL_CODES: readonly PtychoErrorCode[] = ['CONFIG_INVALID', 'USAGE', 'FILE_NOT_FOUND', 'PROBE_SHAPE'];

export class LiveRun {
  #known = 0;
  #come = 0;
  #empty = 0;
  #mark: string | undefined;
  #predicted = 0;
  #previews = 0;
  #tenth: number | undefined;
  #firstPreview: number | undefined;
  #failures = 0;
  #solved: SolverResult | undefined;
  #predictedLive = 0;
  #live: LiveScan | undefined;
  #network: Promise<void> | undefined;

  constructor(
    private readonly parts: LiveParts,
    private readonly services: Services = {},
  ) {}

  /** Works until the scan has ended and all of it was seen, or the signal fires. */
  async untilEnd(): Promise<LiveCounts> {
    const { source } = this.parts;
    const { signal } = this.services;
    for (let last = false; !last && !signal?.aborted; ) {
      last = source.ended;
      const begun = performance.now();
      const mark = await source.look();
      // There is nothing to open before the first pattern.
      if (mark !== undefined && mark !== this.#mark) await this.#step(mark, last);
      // What takes long is done the less often.
      if (!last) await pause(Math.max(LOOK_MS, performance.now() - begun));
    }
    const ended = source.times?.ended ?? performance.now();
    if (source.failure) throw source.failure;
    this.#live?.close();
    await this.#network;
    const { begun = ended, tenth = this.#tenth } = source.times ?? {};
    const first = this.#firstPreview === undefined || tenth === undefined ? undefined : this.#firstPreview - tenth;
    return {
      ...{ received: this.#known, empty: this.#empty, predicted: this.#predicted, previews: this.#previews },
      firstPreviewSeconds: first === undefined ? undefined : first / 1000,
      ...{ scanSeconds: (ended - begun) / 1000, predictedLive: this.#predictedLive },
    };
  }

  /** @param last whether it is the last look: what cannot be read then is an error */
  async #step(mark: string, last: boolean): Promise<void> {
    const raw = await this.#opened(last);
    if (!raw) return;
    this.#mark = mark;
    try {
      const count = await this.#countOf(raw);
      this.#empty = raw.count - count;
      this.parts.source.found(count);
      if (count >= TENTH) this.#tenth ??= performance.now();
      await this.#feed(raw, count);
      if (count >= TENTH && this.parts.solver) await this.#refine(raw, count, this.parts.solver);
    } finally {
      await raw.close();
    }
  }

  /** The scan as far as it is there; undefined where it cannot be read at this moment. */
  async #opened(last: boolean): Promise<RawData | undefined> {
    const { logger } = this.services;
    for (;;) {
      try {
        const raw = await this.parts.open();
        this.#failures = 0;
        return raw;
      } catch (error) {
        // A file that is being written is not always whole, and few frames are not like many.
        this.#failures++;
        const many = this.#failures >= MOST_FAILURES;
        if (many && (last || FINAL_CODES.some((code) => isPtychoError(error, code)))) throw error;
        if (this.#failures === MOST_FAILURES) {
          logger?.warn(`The scan cannot be read so far; that is tried again as it grows: ${messageOf(error)}`);
        } else logger?.debug?.(`Not readable at this moment: ${messageOf(error)}`);
        if (!last) return undefined;
        await pause(LOOK_MS);
      }
    }
  }

  /** Patterns that have come: a file may have room for all of the scan from its start, which is empty until they do. */
  async #countOf(raw: RawData): Promise<number> {
    const { count, patterns, N } = raw;
    const isEmpty = async (row: number) => {
      const pattern = new Float32Array(N * N);
      await patterns.readAmplitudes(Int32Array.of(row), pattern);
      return pattern.every((value) => value === 0);
    };
    if (this.parts.source.recorded || !(await isEmpty(count - 1))) return count;
    let come = Math.min(this.#come, count);
    // A dark frame between others counts; so many of them are an end.
    for (let row = come; row < Math.min(count, come + MOST_DARK); row++) if (!(await isEmpty(row))) come = row + 1;
    this.#come = come;
    return come;
  }

  /** Hands the network what is new. */
  async #feed(raw: RawData, count: number): Promise<void> {
    const { N } = raw;
    const { model } = this.parts;
    if (!model) {
      this.#known = count;
      return;
    }
    if (!this.#live) {
      const { domain } = raw;
      // What is read are amplitudes, whatever the file holds.
      this.#live = liveScanFor(model, {
        domain: domain === 'normalized_amplitude' ? domain : 'count_amplitude',
        maxWaiting: 2 ** 30,
      });
      this.#network = this.#predict(model, this.#live);
      // It is heard of when it is waited for.
      this.#network.catch(() => {});
    }
    while (this.#known < count) {
      const rows = Int32Array.from({ length: Math.min(READ, count - this.#known) }, (_, k) => this.#known + k);
      const data = new Float32Array(rows.length * N * N);
      await raw.patterns.readAmplitudes(rows, data);
      const [xs, ys] = [raw.xcoords, raw.ycoords].map((values) => Array.from(rows, (row) => values[row]));
      await this.#live.push({ diffraction: { data, shape: [rows.length, N, N] }, xs, ys });
      this.#known += rows.length;
    }
  }

  async #predict(model: PtychoModel, live: LiveScan): Promise<void> {
    const { everySeconds } = this.parts;
    for await (const { stitched, patterns } of reconstructStream(model, live, {
      every: { seconds: everySeconds, first: TENTH },
      signal: this.services.signal,
    })) {
      this.#predicted = patterns;
      if (!this.parts.source.ended) this.#predictedLive = patterns;
      if (patterns >= TENTH) await this.#show(stitched, { by: 'network', patterns });
    }
  }

  /** Some epochs over all that has come, from the image before. */
  async #refine(raw: RawData, count: number, options: Partial<SolverOptions>): Promise<void> {
    const before = this.#solved;
    const begun = performance.now();
    const start = before && {
      object: { image: before.image, frame: before.frame, covered: before.coverage },
      probe: before.probe,
    };
    // About as many epochs as fit between two previews, by what the last ones took.
    const perPattern =
      before && before.epochsDone > 0 ? before.seconds / (before.epochsDone * before.positions.xs.length) : 0;
    // The first picture is to come soon.
    const fits = perPattern > 0 ? this.parts.everySeconds / (perPattern * count) : 1;
    const epochs = Math.max(1, Math.min(5, Math.floor(fits)));
    this.#solved = await runSolver(
      raw,
      { ...options, epochs },
      { start, signal: this.services.signal, logger: silentLogger },
    );
    const { rFactor, coverage } = this.#solved;
    await this.#show(
      { image: this.#solved.image, weight: coverage as WrittenImage['weight'] },
      { by: 'solver', patterns: count, rFactor },
    );
    this.services.logger?.debug?.(
      `${epochs} epochs over ${count} patterns in ${((performance.now() - begun) / 1000).toFixed(2)} s.`,
    );
  }

  async #show(image: Pick<WrittenImage, 'image' | 'weight'>, facts: LiveFacts): Promise<void> {
    await this.parts.show(image, facts);
    this.#firstPreview ??= performance.now();
    this.#previews++;
  }
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));
