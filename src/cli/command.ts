/** What every command file exports; `program.ts` loads the one that was asked for. */

import type { Command } from 'commander';
import type { FieldInfo } from '../config/field.js';
import type { CliContext } from './context.js';

/** A command: its flags and how it is set up. */
export interface CommandModule {
  /** Fields whose flags may be written with dashes and aliases. */
  readonly fields: readonly FieldInfo[];
  /**
   * Adds options and the action to the command.
   * @param done takes the exit code of an action that came to its end.
   */
  configure(command: Command, context: CliContext, done: (exitCode: number) => void): void;
}
