/**
 * Loggers that write below `logs/`. `metrics.csv` has the figures of each epoch as soon as it has ended, so that a run can be
 * watched and nothing is lost when it is killed: the columns and numbers of `history.csv`, which is written whole at the end.
 * `tensorboard/` has event files with the same figures, the previews and the configuration as text.
 */
import { appendFile, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { closing, readTextInput, TABLE_BYTES } from '../../core/inputFile.js';
import { writeAtomically } from '../../formats/outputFiles.js';
import { type EventValue, encodeEvent, type TensorBoardEvent } from '../../formats/tfevents.js';
import { formatHistoryLine, type HistoryRow, historyColumns, readHistoryRows } from '../../persistence/history.js';
import { type EpochFigures, type LoggedRun, METRICS_FILE, type MetricLogger } from './logger.js';

/** Appends to `logs/metrics.csv`. */
export class CsvLogger implements MetricLogger {
  #file = '';
  #resumed = false;
  #columns: readonly string[] | undefined;

  async start({ outputDir, resumed, epochsDone }: LoggedRun): Promise<void> {
    this.#file = path.join(outputDir, METRICS_FILE);
    this.#resumed = resumed;
    this.#columns = undefined;
    try {
      await mkdir(path.dirname(this.#file), { recursive: true });
      // A run that begins leaves nothing of an earlier one, even if it never ends an epoch.
      if (!resumed) await rm(this.#file, { force: true });
      else if (epochsDone !== undefined) await this.#rewrite(epochsDone + 1, []);
    } catch (error) {
      throw unwritable(this.#file, error);
    }
  }

  async epoch(record: EpochFigures): Promise<void> {
    const columns = this.#columns;
    const fits = columns !== undefined && Object.keys(record).every((name) => columns.includes(name));
    if (!fits) await this.#rewrite(record.epoch, [record]);
    else await append(this.#file, `${formatHistoryLine(columns, record)}\n`);
  }

  async image(): Promise<void> {}
  async artifact(): Promise<void> {}
  async finish(): Promise<void> {}

  /** Writes the epochs before `from` that are there already, and `rows`, under the columns of all of them. */
  async #rewrite(from: number, rows: readonly EpochFigures[]): Promise<void> {
    const known = this.#columns !== undefined || this.#resumed ? await readRows(this.#file) : [];
    const all = [...known.filter((row) => row.epoch < from), ...rows];
    if (all.length === 0) {
      await rm(this.#file, { force: true });
      return;
    }
    const columns = historyColumns(all);
    const text = [columns.join(','), ...all.map((row) => formatHistoryLine(columns, row))].join('\n');
    await writeAtomically(this.#file, `${text}\n`);
    this.#columns = columns;
  }
}

/** The complete lines of a file that may have been cut off in the middle of one. */
async function readRows(file: string): Promise<readonly HistoryRow[]> {
  let text: string;
  try {
    text = await readTextInput(file, { maxBytes: TABLE_BYTES });
  } catch {
    return [];
  }
  try {
    return readHistoryRows(text.slice(0, text.lastIndexOf('\n') + 1));
  } catch {
    // Somebody else's file of that name, or a damaged one: history.csv has the figures in any case.
    return [];
  }
}

/** Appends and waits until the disk has it. */
async function append(file: string, line: string): Promise<void> {
  await closing(await open(file, 'a'), async (handle) => {
    await handle.writeFile(line);
    await handle.sync();
  });
}

/** The folder below the output folder, to be given to `tensorboard --logdir`. */
const TENSORBOARD_FOLDER = path.join('logs', 'tensorboard');

/** Writes an event file; `now` is a clock in milliseconds since 1970. */
export class TensorBoardLogger implements MetricLogger {
  #file = '';
  /** A resumed run, until it has said at which step it goes on. */
  #continues = false;

  constructor(private readonly now: () => number = Date.now) {}

  async start({ config, outputDir, resumed, epochsDone }: LoggedRun): Promise<void> {
    const folder = path.join(outputDir, TENSORBOARD_FOLDER);
    try {
      await mkdir(folder, { recursive: true });
      const earlier = (await readdir(folder)).filter((name) => name.startsWith(PREFIX));
      // TensorBoard shows all files of a folder as one run: those of an earlier run would be mixed with this one's.
      if (!resumed) await Promise.all(earlier.map((name) => rm(path.join(folder, name))));
      this.#file = path.join(folder, fileName(earlier, this.now() / 1000));
      await writeFile(this.#file, encodeEvent({ wallTime: this.now() / 1000, version: true }), { flag: 'wx' });
      this.#continues = resumed;
      if (resumed && epochsDone !== undefined) await this.#restart(epochsDone + 1);
      const text = `\`\`\`json\n${JSON.stringify(config, null, 2)}\n\`\`\``;
      if (!resumed) await this.#write({ step: 0, values: [{ tag: 'config', text }] });
    } catch (error) {
      throw unwritable(folder, error);
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
    await appendFile(this.#file, encodeEvent({ ...event, wallTime: this.now() / 1000 }));
  }
}

/** TensorBoard takes every file with `tfevents` in its name. */
const PREFIX = 'events.out.tfevents.';

/** Files are read in the order of their names, so a later one must sort behind the others. */
function fileName(earlier: readonly string[], seconds: number): string {
  const taken = earlier.map((name) => Number.parseInt(name.slice(PREFIX.length), 10)).filter(Number.isFinite);
  return `${PREFIX}${Math.max(Math.floor(seconds), ...taken.map((time) => time + 1))}.ptychopinn`;
}

function unwritable(place: string, error: unknown): PtychoError {
  return new PtychoError(
    'OUTPUT_UNWRITABLE',
    `${place} cannot be written: ${messageOf(error)}; check space and permissions, choose another --output_dir, or leave it out with --logger none.`,
    { path: place },
    { cause: error },
  );
}
