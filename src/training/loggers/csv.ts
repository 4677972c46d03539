/**
 * `logs/metrics.csv`: the figures of each epoch as soon as it has ended, so that a run can be watched and nothing is
 * lost when it is killed. Same columns and numbers as `history.csv`, which is written whole at the end of a run.
 */
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../../core/inputFile.js';
import { writeAtomically } from '../../formats/outputFiles.js';
import { formatHistoryLine, type HistoryRow, historyColumns, readHistoryRows } from '../../persistence/history.js';
import type { EpochFigures, LoggedRun, MetricLogger } from './logger.js';

/** The file below the output folder. */
export const METRICS_FILE = path.join('logs', 'metrics.csv');

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
      throw new PtychoError(
        'OUTPUT_UNWRITABLE',
        `${this.#file} cannot be written: ${messageOf(error)}; check space and permissions, choose another --output_dir, or leave it out with --logger none.`,
        { path: this.#file },
        { cause: error },
      );
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
  const handle = await open(file, 'a');
  try {
    await handle.writeFile(line);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
