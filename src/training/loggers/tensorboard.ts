/** `logs/tensorboard/`: event files with the figures of each epoch, the previews and the configuration as text. */
import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type EventValue, encodeEvent, type TensorBoardEvent } from '../../formats/tfevents.js';
import type { EpochFigures, LoggedRun, MetricLogger } from './logger.js';

/** The folder below the output folder, to be given to `tensorboard --logdir`. */
export const TENSORBOARD_FOLDER = path.join('logs', 'tensorboard');

/** Writes an event file; `now` is a clock in milliseconds since 1970. */
export class TensorBoardLogger implements MetricLogger {
  readonly #now: () => number;
  #file = '';
  /** A resumed run, until it has said at which step it goes on. */
  #continues = false;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  async start({ config, outputDir, resumed, epochsDone }: LoggedRun): Promise<void> {
    const folder = path.join(outputDir, TENSORBOARD_FOLDER);
    try {
      await mkdir(folder, { recursive: true });
      const earlier = (await readdir(folder)).filter((name) => name.startsWith(PREFIX));
      // TensorBoard shows all files of a folder as one run: those of an earlier run would be mixed with this one's.
      if (!resumed) await Promise.all(earlier.map((name) => rm(path.join(folder, name))));
      this.#file = path.join(folder, fileName(earlier, this.#now() / 1000));
      await writeFile(this.#file, encodeEvent({ wallTime: this.#now() / 1000, version: true }), { flag: 'wx' });
      this.#continues = resumed;
      if (resumed && epochsDone !== undefined) await this.#restart(epochsDone + 1);
      const text = `\`\`\`json\n${JSON.stringify(config, null, 2)}\n\`\`\``;
      if (!resumed) await this.#write({ step: 0, values: [{ tag: 'config', text }] });
    } catch (error) {
      throw new PtychoError(
        'OUTPUT_UNWRITABLE',
        `${folder} cannot be written: ${messageOf(error)}; check space and permissions, choose another --output_dir, or leave it out with --logger none.`,
        { path: folder },
        { cause: error },
      );
    }
  }

  async epoch(record: EpochFigures): Promise<void> {
    if (this.#continues) await this.#restart(record.epoch);
    const values: EventValue[] = [];
    for (const [tag, scalar] of Object.entries(record)) {
      if (tag !== 'epoch' && scalar !== null) values.push({ tag, scalar });
    }
    await this.#write({ step: record.epoch, values });
  }

  async image(tag: string, epoch: number, png: Uint8Array): Promise<void> {
    if (this.#continues) await this.#restart(epoch);
    await this.#write({ step: epoch, values: [{ tag, png }] });
  }

  async artifact(): Promise<void> {}
  async finish(): Promise<void> {}

  /** Epochs from this one on that an earlier file holds are forgotten by whoever reads both. */
  async #restart(step: number): Promise<void> {
    this.#continues = false;
    await this.#write({ step, restart: true });
  }

  async #write(event: Omit<TensorBoardEvent, 'wallTime'>): Promise<void> {
    await appendFile(this.#file, encodeEvent({ ...event, wallTime: this.#now() / 1000 }));
  }
}

/** TensorBoard takes every file with `tfevents` in its name. */
const PREFIX = 'events.out.tfevents.';

/** Files are read in the order of their names, so a later one must sort behind the others. */
function fileName(earlier: readonly string[], seconds: number): string {
  const taken = earlier.map((name) => Number.parseInt(name.slice(PREFIX.length), 10)).filter(Number.isFinite);
  return `${PREFIX}${Math.max(Math.floor(seconds), ...taken.map((time) => time + 1))}.ptychopinn`;
}
