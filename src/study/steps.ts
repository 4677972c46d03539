/**
 * Steps that are done once: each is recorded with the hash of all that shapes its result (its part of the configuration, the
 * content of its input files, the version of this package) and of what it wrote. Unchanged, it is not repeated; a step that was
 * killed is begun again, and a training goes on from its last checkpoint.
 *
 * @example
 * const steps = new StepRunner('study', services);
 * const { reused } = await steps.run({
 *   ...{ id: 'double', title: 'Twice as much', config: { factor: 2 }, inputs: ['a.txt'], outputs: ['b.txt'] },
 *   run,
 * });
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../core/errors.js';
import { sha256 } from '../core/hash.js';
import { CONFIG_BYTES, readTextInput, sha256OfFile, TABLE_BYTES } from '../core/inputFile.js';
import { type Logger, silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { canonicalJson } from '../persistence/json.js';

/** Changes when equal inputs would be worked on differently. */
const STEP_FORMAT = 1;

/** What a step may use. */
export interface StepContext {
  readonly services: Services & { readonly logger: Logger };
  /** The lines so far, for steps that keep a log of their own. */
  readonly lines: readonly string[];
  /** True when the same step was begun before and its files are still there. */
  readonly begun: boolean;
}

/** A piece of work. Paths are below the folder of the study, or absolute. */
export interface Step {
  readonly id: string;
  /** One line for people. */
  readonly title: string;
  /** All that shapes the result and is in no input file; only what JSON holds. */
  readonly config: unknown;
  /** A file that is not there counts as such: when it appears, the step is repeated. */
  readonly inputs: readonly string[];
  /** Files that it must have written when it is done, or what the finished run names. */
  readonly outputs: readonly string[] | ((result: unknown) => readonly string[]);
  /** A folder of its own, emptied before it is begun anew. */
  readonly folder?: string;
  /** @returns what is kept in the record; only what JSON holds */
  run(context: StepContext): Promise<unknown>;
}

/** What is kept of a step that is done: `steps/ID.json`. */
export interface StepRecord {
  readonly id: string;
  readonly key: string;
  readonly config: unknown;
  readonly inputs: Readonly<Record<string, string | null>>;
  readonly outputs: Readonly<Record<string, string | null>>;
  readonly result: unknown;
  readonly log: readonly string[];
  readonly finished: string;
  readonly seconds: number;
  /** Of all threads of the process. */
  readonly cpu_seconds: number;
  readonly version: string;
}

/** A record, and whether it is from an earlier run. */
export interface FinishedStep {
  readonly record: StepRecord;
  readonly reused: boolean;
}

/** File of a record below the folder of a study. */
export const recordFile = (id: string): string => `steps/${id}.json`;
const begunFile = (id: string): string => `steps/${id}.begun`;

/** Reads the record of a step; undefined where there is none, or none that can be read. */
export async function readRecord(folder: string, id: string): Promise<StepRecord | undefined> {
  try {
    const record = JSON.parse(
      await readTextInput(path.join(folder, recordFile(id)), { maxBytes: TABLE_BYTES }),
    ) as StepRecord;
    return record.id === id && typeof record.key === 'string' && typeof record.outputs === 'object'
      ? record
      : undefined;
  } catch {
    // What cannot be read is done again.
    return undefined;
  }
}

/** SHA-256 of files, each read once as long as it does not change. */
export class FileHashes {
  readonly #known = new Map<string, { readonly stamp: string; readonly sha256: string }>();

  /** @returns null where there is no file */
  async of(file: string): Promise<string | null> {
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) return null;
    const stamp = `${found.size} ${found.mtimeMs} ${found.ino}`;
    const known = this.#known.get(file);
    if (known?.stamp === stamp) return known.sha256;
    const sum = await sha256OfFile(file);
    this.#known.set(file, { stamp, sha256: sum });
    return sum;
  }
}

/** Runs the steps of one study, one after the other. */
export class StepRunner {
  readonly hashes = new FileHashes();
  readonly #logger: Logger;
  #done = 0;
  #reused = 0;

  constructor(
    readonly folder: string,
    private readonly services: Services = {},
  ) {
    this.#logger = services.logger ?? silentLogger;
  }

  /** Steps done in this run, and those that were done before. */
  get counts(): { readonly done: number; readonly reused: number } {
    return { done: this.#done, reused: this.#reused };
  }

  /**
   * Does a step, unless it is done already.
   * @throws PtychoError CANCELLED, and whatever the step throws: it then counts as begun, not as done
   */
  async run(step: Step): Promise<FinishedStep> {
    if (this.services.signal?.aborted) {
      throw new PtychoError(
        'CANCELLED',
        'The study was interrupted; run the same command again to continue with the next step.',
      );
    }
    const inputs = await this.#hashAll(step.inputs);
    const key = sha256(
      canonicalJson({ format: STEP_FORMAT, id: step.id, version: createdBy.version, config: step.config, inputs }),
    );
    const before = await readRecord(this.folder, step.id);
    if (before?.key === key && (await this.#unchanged(before))) {
      this.#reused++;
      this.#logger.info(`${step.title}: done before.`);
      return { record: before, reused: true };
    }
    return { record: await this.#do(step, key, inputs), reused: false };
  }

  async #do(step: Step, key: string, inputs: StepRecord['inputs']): Promise<StepRecord> {
    const marker = path.join(this.folder, begunFile(step.id));
    const begun = before(await readTextInput(marker, { maxBytes: CONFIG_BYTES }).catch(() => ''), key);
    await mkdir(path.dirname(marker), { recursive: true });
    if (!begun) {
      // Nothing of an earlier, different run may be taken for a result of this one.
      await rm(path.join(this.folder, recordFile(step.id)), { force: true });
      if (step.folder !== undefined) await rm(path.join(this.folder, step.folder), { recursive: true, force: true });
      await writeAtomically(marker, `${key}\n`);
    }
    const log: string[] = [];
    const time = () => new Date().toISOString();
    const say = (level: string, message: string) => log.push(`${time()} ${level} ${message.replaceAll('\n', '\n  ')}`);
    const logger: Logger = {
      debug: (message) => {
        say('DEBUG', message);
        this.#logger.debug?.(message);
      },
      info: (message) => {
        say('INFO', message);
        this.#logger.info(message);
      },
      warn: (message) => {
        say('WARNING', message);
        this.#logger.warn(message);
      },
    };
    logger.info(`${step.title}${begun ? ': going on' : ''}.`);
    const [started, cpu] = [performance.now(), process.cpuUsage()];
    const result = await step.run({ services: { ...this.services, logger }, lines: log, begun });
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - started) / 1000;
    const cpu_seconds = (user + system) / 1e6;
    say('INFO', `Done in ${seconds.toFixed(1)} s (${cpu_seconds.toFixed(1)} s of all threads).`);
    const names = typeof step.outputs === 'function' ? step.outputs(result) : step.outputs;
    const outputs = await this.#hashAll(names);
    const lost = names.find((name) => outputs[name] === null);
    if (lost !== undefined) throw new Error(`${step.id} ended without writing ${lost}`);
    const record: StepRecord = {
      ...{ id: step.id, key, config: step.config, inputs, outputs, result: result ?? null, log },
      finished: time(),
      ...{ seconds, cpu_seconds, version: createdBy.version },
    };
    await writeAtomically(path.join(this.folder, recordFile(step.id)), json(record));
    await rm(marker, { force: true });
    this.#done++;
    return record;
  }

  async #hashAll(files: readonly string[]): Promise<Record<string, string | null>> {
    const found: Record<string, string | null> = {};
    for (const file of files) found[file] = await this.hashes.of(path.resolve(this.folder, file));
    return found;
  }

  async #unchanged({ outputs }: StepRecord): Promise<boolean> {
    for (const [file, sha256] of Object.entries(outputs)) {
      if ((await this.hashes.of(path.resolve(this.folder, file))) !== sha256) return false;
    }
    return true;
  }
}

const before = (marker: string, key: string): boolean => marker.trim() === key;

/** What a step that ended with an error has to say, for its log. */
export const failureLine = (error: unknown): string => `${new Date().toISOString()} ERROR ${messageOf(error)}`;
