/** Flags of published command lines that are other words for fields: understood, and remarked on where they are deprecated. */

import { type Command, Option } from 'commander';
import { PtychoError } from '../core/errors.js';

/** Their names; dashes and underscores mean the same, as for fields. */
export const PUBLISHED_FLAGS = ['device', 'disable_mlflow', 'disable_checkpointing'] as const;

/** Adds them without showing them in the help. */
export function addPublishedOptions(command: Command): void {
  command.addOption(new Option('--device <name>').hideHelp());
  command.addOption(new Option('--disable_mlflow').hideHelp());
  command.addOption(new Option('--disable_checkpointing').hideHelp());
}

/**
 * The flags with these words replaced by the fields that they stand for.
 * @throws PtychoError USAGE for words that contradict a field that was given.
 */
export function translatePublished(given: Readonly<Record<string, unknown>>): {
  readonly flags: Record<string, unknown>;
  readonly warnings: readonly string[];
} {
  const { device, disable_mlflow, disable_checkpointing, ...others } = given;
  const flags: Record<string, unknown> = others;
  const warnings: string[] = [];
  if (typeof device === 'string') {
    const accelerator = device === 'cpu' ? 'cpu' : 'cuda';
    if (flags.accelerator === undefined || flags.accelerator === 'auto') {
      flags.accelerator = accelerator;
      warnings.push(`device is deprecated: write --accelerator ${accelerator}.`);
    } else {
      warnings.push(
        `device is deprecated and was left out: --accelerator ${String(flags.accelerator)} says where to run.`,
      );
    }
  }
  if (disable_mlflow === true) {
    if (flags.logger_backend === 'mlflow') throw contradiction('disable_mlflow', 'logger_backend mlflow');
    if (flags.logger_backend === undefined) flags.logger_backend = 'none';
    warnings.push(`disable_mlflow is deprecated: write --logger ${String(flags.logger_backend)}.`);
  }
  if (disable_checkpointing === true) {
    if (flags.enable_checkpointing === true) throw contradiction('disable_checkpointing', 'enable_checkpointing');
    flags.enable_checkpointing = false;
  }
  return { flags, warnings };
}

function contradiction(flag: string, field: string): PtychoError {
  return new PtychoError('USAGE', `--${flag} contradicts --${field}; leave one of them out.`, { flag });
}
