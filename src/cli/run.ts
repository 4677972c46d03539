/**
 * A command from its flags to its exit code: what is given is resolved, the verb works under supervision (progress on stderr, an
 * end by signals, a log file where there is an output folder), and what it came to is printed.
 *
 * @example
 * export const command = commandOf({
 *   definition: splitDefinition,
 *   args: { INPUT: 'Scan in any readable format.' },
 *   interrupted: 'stopping; the part being written is discarded',
 *   work: async ({ config, args: [input], services }) =>
 *     (await import('../../workflows/split.js')).splitWorkflow(input, config, services),
 *   text: splitText,
 * });
 */

import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import type { Command } from 'commander';
import { type ConfigDefinition, flagFields } from '../config/definition.js';
import type { Resolved } from '../config/resolve.js';
import { messageOf } from '../core/errors.js';
import type { FieldInfo } from '../core/field.js';
import type { Logger, ProgressSink } from '../core/log.js';
import type { Provenance } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { plainText } from '../core/words.js';
import { type CliContext, type EndingSignal, NO_VERB } from './context.js';
import { EXIT_OK, withInterrupt } from './exit.js';
import {
  addConfigOptions,
  addOtherOptions,
  logResolution,
  type OtherOptions,
  resolveFlags,
  withScans,
} from './options.js';
import { type ConsoleLevel, consoleLevelOf, createReporter, shows } from './terminal.js';

/** What every command file exports as `command`; `program.ts` loads the one that was asked for. */
export interface CommandModule {
  /** Fields whose flags may be written with dashes and aliases. */
  readonly fields: readonly FieldInfo[];
  /**
   * Adds options and the action to the command.
   * @param done takes the exit code of an action that came to its end.
   */
  configure(command: Command, context: CliContext, done: (exitCode: number) => void): void;
}

/** Options as commander gives them. */
export type Given = Readonly<Record<string, unknown>>;

/** What a verb works on. */
export interface Work<C> {
  readonly config: C;
  readonly resolved: Resolved<C>;
  /** The positional arguments, in order. */
  readonly args: readonly string[];
  readonly given: Given;
  readonly services: Services & { readonly provenance: Provenance };
  readonly context: CliContext;
}

/** A verb of the command line. */
export interface Verb<C, R> {
  /** Its configuration; a verb without one has flags of its own only. */
  readonly definition?: ConfigDefinition<C>;
  /** Positional arguments, `FILE`, `[FILE]` or `FILES...` (last), with their help. */
  readonly args?: Readonly<Record<string, string>>;
  /** Flags of its own. */
  readonly options?: (command: Command) => void;
  /** Help of `--json`, which prints the result in place of the text. */
  readonly json?: string;
  /** What `--json` prints; the result where not given. */
  readonly data?: (result: R) => unknown;
  /** Options that are no configuration; `run` also keeps a log in `output_dir`. */
  readonly others?: OtherOptions;
  /** Printed behind the options. */
  readonly help?: string;
  readonly level?: (given: Given, config: C) => ConsoleLevel;
  /** What the first Ctrl-C brings about. */
  readonly interrupted?: string;
  /** Loads what it needs by itself, so that help and wrong flags load nothing else. */
  readonly work: (work: Work<C>) => Promise<R>;
  /** What is printed, or the value that is printed as JSON. */
  readonly text: (result: R, config: C) => string;
  /** The text is what was asked for: it is printed even where messages are not wanted. */
  readonly always?: boolean;
  readonly exit?: (result: R, config: C) => number;
}

/** A command that is one verb. */
export function commandOf<C, R>(verb: Verb<C, R>): CommandModule {
  const { definition, others = definition ? 'file' : 'none' } = verb;
  const scan = definition?.scan;
  const args = {
    ...verb.args,
    ...(scan && !definition?.moreScans && { '[SCAN]': `Scan in any readable format, as --${scan} names it.` }),
    ...(scan &&
      definition?.moreScans && {
        '[SCANS...]': `Scans in any readable format: the first as --${scan} names it, others as --${definition.moreScans}.`,
      }),
  };
  const names = Object.keys(args);
  return {
    fields: definition ? flagFields(definition) : [],
    configure(command, context, done) {
      for (const [name, help] of Object.entries(args)) command.argument(name, help);
      if (definition) addConfigOptions(command, definition);
      command.optionsGroup('Other:');
      verb.options?.(command);
      if (verb.json !== undefined) command.option('--json', verb.json);
      addOtherOptions(command, others);
      if (verb.help !== undefined) command.addHelpText('after', verb.help);
      command.action(async (...words: unknown[]) => {
        const flags = words[names.length] as Given;
        const named = [words[names.length - 1] ?? []].flat() as string[];
        const given = definition && scan ? withScans(flags, definition, named) : flags;
        const resolved = definition ? await resolveFlags(definition, given, others === 'run') : NOTHING_GIVEN;
        const { config, provenance } = resolved as Resolved<C>;
        const level = verb.level?.(given, config) ?? consoleLevelOf(given);
        const log =
          others === 'run' ? beginLog(command.name(), resolved as Resolved<{ output_dir: string }>) : undefined;
        try {
          const { result, text } = await supervise(
            context,
            { level, interrupted: verb.interrupted, log },
            async (services) => {
              logResolution(resolved, services.logger);
              const result = await verb.work({
                config,
                resolved: resolved as Resolved<C>,
                // Of the last one there may be several.
                args: words.slice(0, names.length).flat() as string[],
                given,
                services: Object.defineProperties(
                  { provenance },
                  Object.getOwnPropertyDescriptors(services),
                ) as Work<C>['services'],
                context,
              });
              const text =
                given.json === true
                  ? `${JSON.stringify(verb.data?.(result) ?? result, null, 2)}\n`
                  : verb.text(result, config);
              log?.write('INFO', text.trimEnd());
              return { result, text };
            },
          );
          if (verb.always || given.json === true || shows(level, 'INFO')) context.stdout.write(text);
          done(verb.exit?.(result, config) ?? EXIT_OK);
        } finally {
          log?.close();
        }
      });
    },
  };
}

const NOTHING_GIVEN: Resolved<unknown> = { config: undefined, provenance: {}, notes: [], warnings: [] };

/**
 * A command of several verbs, each with its name and what it does.
 * @param without what the group does when flags follow its own name
 */
export function groupOf(
  verbs: readonly (readonly [name: string, summary: string, CommandModule])[],
  help = '',
  without?: CommandModule,
): CommandModule {
  return {
    fields: verbs.flatMap(([, , { fields }]) => fields),
    configure(command, context, done) {
      without?.configure(command.command(NO_VERB, { isDefault: true, hidden: true }), context, done);
      for (const [name, summary, module] of verbs) {
        module.configure(command.command(name).description(summary), context, done);
      }
      if (help !== '') command.addHelpText('after', help);
    },
  };
}

/** What every workflow takes besides its configuration. */
export interface Services {
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
  readonly logger: Logger;
  /** Begins the log file: a run that is refused leaves nothing in a folder that is another's. */
  readonly onOutputFolder: () => void;
}

/** How work is watched. */
export interface Supervision {
  readonly level: ConsoleLevel;
  /** What the first signal brings about: `finishing this step …`; nothing is said where it is not given. */
  readonly interrupted?: string;
  /** Hears everything, whatever the level; what the work throws, too. */
  readonly log?: RunLog;
}

/** Runs `work` with progress and a signal for Ctrl-C, SIGTERM and SIGHUP. */
export async function supervise<T>(
  context: CliContext,
  { level, interrupted, log }: Supervision,
  work: (services: Services) => Promise<T>,
): Promise<T> {
  const reporter = createReporter({ stream: context.stderr, level });
  const logger = log ? log.tee(reporter.logger) : reporter.logger;
  const onProgress = log ? log.teeProgress(reporter.onProgress) : reporter.onProgress;
  const announce = (signal: EndingSignal) => {
    if (interrupted === undefined) return;
    const again = signal === 'SIGINT' ? 'press Ctrl-C again to quit immediately' : `${signal} again quits immediately`;
    logger.warn(`interrupted${signal === 'SIGINT' ? '' : ` by ${signal}`}: ${interrupted}; ${again}.`);
  };
  const crashed = (error: unknown) => log?.failure(error);
  log?.onTrouble(reporter.logger.warn);
  // Errors that nobody waits for end the process on their own.
  context.signals.on('uncaughtExceptionMonitor', crashed);
  try {
    return await withInterrupt(context, async (interruption) => {
      const stop = interruption.onFirst(announce);
      try {
        return await work({
          // Who does not ask for it is not waited for.
          get signal() {
            return interruption.signal;
          },
          onProgress,
          logger,
          onOutputFolder: () => log?.begin(),
        });
      } finally {
        stop();
      }
    });
  } catch (error) {
    log?.failure(error);
    throw error;
  } finally {
    context.signals.off('uncaughtExceptionMonitor', crashed);
    reporter.finish();
  }
}

/** The log of a run in its output folder. */
function beginLog(command: string, { config, provenance }: Resolved<{ readonly output_dir: string }>): RunLog {
  const where = `ptychopinn ${createdBy.version} ${command}, Node ${process.version}, ${process.platform} ${process.arch}`;
  const log = new RunLog(config.output_dir, where);
  log.write('DEBUG', `Given: ${givenText(provenance)}`);
  return log;
}

/** Has work keep the log of a run in its folder, for commands that do the runs of others. */
export async function withRunLog<T>(
  folder: string,
  what: string,
  services: Services,
  work: (services: Services) => Promise<T>,
): Promise<T> {
  const log = new RunLog(folder, `ptychopinn ${createdBy.version} ${what}, Node ${process.version}`);
  log.onTrouble(services.logger.warn);
  try {
    return await work({
      ...services,
      logger: log.tee(services.logger),
      onProgress: log.teeProgress(services.onProgress),
      onOutputFolder: () => log.begin(),
    });
  } catch (error) {
    log.failure(error);
    throw error;
  } finally {
    log.close();
  }
}

function givenText(provenance: Provenance): string {
  const given = Object.entries(provenance).filter(([, { source }]) => source !== 'default');
  return (
    given.map(([name, { value, source }]) => `${name}=${JSON.stringify(value)} (${source})`).join(', ') || 'nothing.'
  );
}

/** The file below the output folder. */
export const LOG_FILE = path.join('logs', 'debug.log');

/** Between two lines about the same stage of a run. */
const PROGRESS_MS = 30_000;

/**
 * The log of one run, `logs/debug.log` of its output folder: everything that a run says, whatever the terminal shows, and the
 * stack of what ended it. Lines wait until the run owns its folder, so that a run that is refused leaves no traces; a later
 * run in the same folder writes behind what is there.
 *
 * @example
 * const log = new RunLog('run', 'ptychopinn train --nepochs 3');
 * const logger = log.tee(console);
 * log.begin();
 * log.close();
 */
export class RunLog {
  readonly #folder: string;
  readonly #now: () => Date;
  #waiting: string[] = [];
  #file: number | undefined;
  #begun = false;
  #closed = false;
  #progress = { stage: '', at: 0 };
  #trouble: string | undefined;
  #warn: ((message: string) => void) | undefined;

  /** @param title what was asked for, the first line. */
  constructor(folder: string, title: string, now: () => Date = () => new Date()) {
    this.#folder = folder;
    this.#now = now;
    this.write('INFO', title);
  }

  /** The folder is ours from now on: what waited is written. */
  begin(): void {
    this.#begun = true;
    this.#tryTo(() => this.#flush());
  }

  /** Appends a message; one with several lines is indented from the second on. */
  write(level: ConsoleLevel, message: string): void {
    if (this.#closed) return;
    const line = `${this.#now().toISOString()} ${level} ${plainText(message).replaceAll('\n', '\n  ')}\n`;
    this.#waiting.push(line);
    this.#tryTo(() => this.#flush());
  }

  #tryTo(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#closed = true;
      this.#trouble = `${path.join(this.#folder, LOG_FILE)} cannot be written: ${messageOf(error)}.`;
      this.#warn?.(this.#trouble);
    }
  }

  /** Who is told once, where the file cannot be written: the run itself goes on. */
  onTrouble(warn: (message: string) => void): void {
    this.#warn = warn;
    if (this.#trouble !== undefined) warn(this.#trouble);
  }

  /** What ended the run, with its stack and its causes. */
  failure(error: unknown): void {
    this.write('ERROR', inspect(error, { depth: 4, breakLength: 120 }));
  }

  /** A logger that writes here and says the same to another. */
  tee(logger: Logger): Logger {
    return {
      debug: (message) => {
        this.write('DEBUG', message);
        logger.debug?.(message);
      },
      info: (message) => {
        this.write('INFO', message);
        logger.info(message);
      },
      warn: (message) => {
        this.write('WARNING', message);
        logger.warn(message);
      },
    };
  }

  /** Progress as a line now and then, and one at the end of each stage. */
  teeProgress(sink: ProgressSink): ProgressSink {
    return (event) => {
      const { stage, done, total, unit, note } = event;
      const time = this.#now().getTime();
      if (stage !== this.#progress.stage) this.#progress = { stage, at: time };
      if (done >= total || time - this.#progress.at >= PROGRESS_MS) {
        this.#progress = { stage, at: time };
        this.write('DEBUG', `${stage}: ${done}/${total} ${unit}${note ? `, ${note}` : ''}`);
      }
      sink(event);
    };
  }

  /** Ends the log; what waited for a folder that was never made is dropped. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #flush(): void {
    if (this.#file === undefined) {
      if (!this.#begun || !existsSync(this.#folder)) return;
      const file = path.join(this.#folder, LOG_FILE);
      mkdirSync(path.dirname(file), { recursive: true });
      this.#file = openSync(file, 'a');
    }
    // At once and in order: a run may be killed at any moment.
    for (const line of this.#waiting) writeSync(this.#file, line);
    this.#waiting = [];
  }
}
