/** How much of what a run says reaches the terminal. */

import { type Command, Option } from 'commander';

/** From everything to nearly nothing, as in the published tools. */
export const CONSOLE_LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type ConsoleLevel = (typeof CONSOLE_LEVELS)[number];

/** True when a message of this level is shown at that level of the terminal. */
export function shows(terminal: ConsoleLevel, message: ConsoleLevel): boolean {
  return CONSOLE_LEVELS.indexOf(message) >= CONSOLE_LEVELS.indexOf(terminal);
}

/** `--quiet`, `--verbose` and `--console-level`: at most one of them. */
export function addConsoleOptions(command: Command): void {
  command.optionsGroup('Other:');
  command.addOption(new Option('--quiet', 'Write warnings and errors only.').conflicts(['verbose', 'console_level']));
  command.addOption(
    new Option('--verbose', 'Write everything that the log file gets, too.').conflicts(['quiet', 'console_level']),
  );
  command.addOption(
    new Option('--console_level <LEVEL>', 'What reaches the terminal, at least; default: INFO.').choices(
      CONSOLE_LEVELS,
    ),
  );
}

/** The level that was asked for; `debug` of a configuration asks for everything where no flag says otherwise. */
export function consoleLevelOf(given: Readonly<Record<string, unknown>>, debug = false): ConsoleLevel {
  if (given.quiet === true) return 'WARNING';
  if (given.verbose === true) return 'DEBUG';
  const named = CONSOLE_LEVELS.find((level) => level === given.console_level);
  return named ?? (debug ? 'DEBUG' : 'INFO');
}

/** Names of these flags, which are no fields of a configuration. */
export const CONSOLE_FLAGS = ['quiet', 'verbose', 'console_level'] as const;
