/**
 * The command line as a whole: commands are named here and loaded when asked for, so that `--help` is fast.
 *
 * @example
 * process.exitCode = await runCli(['inspect', 'scan.npz'], context);
 */

import { createRequire } from 'node:module';
import { Command } from 'commander';
import { canonicalArguments } from '../config/flags.js';
import type { CommandModule } from './command.js';
import { CONSOLE_FLAGS } from './console.js';
import { type CliContext, plainSink } from './context.js';
import { EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, failureOf } from './exit.js';
import { SIGNAL_EXITS, withInterrupt } from './interrupt.js';
import { PUBLISHED_FLAGS } from './published.js';

interface Entry {
  readonly summary: string;
  load(): Promise<CommandModule>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  demo: {
    summary: 'simulate a small scan, train on it, reconstruct it and write a report',
    load: async () => (await import('./commands/demo.js')).demoCommand,
  },
  simulate: {
    summary: 'write a simulated scan with a known object',
    load: async () => (await import('./commands/simulate.js')).simulateCommand,
  },
  label: {
    summary: 'cut labels for supervised training from a reconstruction of the scan',
    load: async () => (await import('./commands/label.js')).labelCommand,
  },
  inspect: {
    summary: 'say what a scan file holds and what is wrong with it',
    load: async () => (await import('./commands/inspect.js')).inspectCommand,
  },
  train: {
    summary: 'train a network on a scan and write the bundle wts.zip',
    load: async () => (await import('./commands/train.js')).trainCommand,
  },
  infer: {
    summary: 'reconstruct a scan with a trained bundle',
    load: async () => (await import('./commands/infer.js')).inferCommand,
  },
  solve: {
    summary: 'reconstruct a scan by an iterative algorithm: rPIE, ePIE, PIE, LSQ-ML, difference map',
    load: async () => (await import('./commands/solve.js')).solveCommand,
  },
  evaluate: {
    summary: 'score an image against the truth, or two halves of a scan against each other',
    load: async () => (await import('./commands/evaluate.js')).evaluateCommand,
  },
  compare: {
    summary: 'compare models and finished reconstructions on the same patterns: metrics, curves, one page',
    load: async () => (await import('./commands/compare.js')).compareCommand,
  },
  overlap: {
    summary: 'measure how much neighbouring patterns of a scan share',
    load: async () => (await import('./commands/overlap.js')).overlapCommand,
  },
  study: {
    summary: 'train and compare over doses and overlaps, step by step, and verify what was written',
    load: async () => (await import('./commands/study.js')).studyCommand,
  },
  bundle: {
    summary: 'look into a bundle, check every byte of it, unpack it, or make one of a model of another program',
    load: async () => (await import('./commands/bundle.js')).bundleCommand,
  },
  config: {
    summary: 'print what a configuration comes to and why, its schema, or its legacy view',
    load: async () => (await import('./commands/config.js')).configCommand,
  },
  doctor: {
    summary: 'say which engines and accelerators work here, and why others do not',
    load: async () => (await import('./commands/doctor.js')).doctorCommand,
  },
  convert: {
    summary: 'write a scan of any readable format as a contract NPZ',
    load: async () => (await import('./commands/convert.js')).convertCommand,
  },
  split: {
    summary: 'cut a scan in two: one part to train on, one to test with',
    load: async () => (await import('./commands/split.js')).splitCommand,
  },
  orient: {
    summary: 'find out which way the positions lie: the flags --flip_x --flip_y --swap_xy',
    load: async () => (await import('./commands/orient.js')).orientCommand,
  },
  product: {
    summary: 'write and read products of Ptychodus, and say what is in one',
    load: async () => (await import('./commands/product.js')).productCommand,
  },
  batch: {
    summary: 'reconstruct or train on a folder that Ptychodus staged',
    load: async () => (await import('./commands/batch.js')).batchCommand,
  },
  worker: {
    summary: 'reconstruct and train for another program, over stdin and stdout',
    load: async () => (await import('./commands/worker.js')).workerCommand,
  },
};

/**
 * Runs one command line and returns its exit code; never throws.
 * @param words the arguments after the program's name.
 */
export async function runCli(words: readonly string[], context: CliContext): Promise<number> {
  return withInterrupt(context, async (interruption) => {
    const code = await run(words, { ...context, ...plainSinks(context), interruption });
    const { heard, taken } = interruption;
    // Work that was interrupted ends as its signal says; work that was finished before it noticed is done.
    const stopped = code === EXIT_INTERRUPTED || (code === EXIT_OK && !taken);
    return heard && stopped ? SIGNAL_EXITS[heard] : code;
  });
}

/** The places to write to, for text that may hold names and messages of others. */
function plainSinks({ stdout, stderr }: CliContext): Pick<CliContext, 'stdout' | 'stderr'> {
  return { stdout: plainSink(stdout), stderr: plainSink(stderr) };
}

async function run(words: readonly string[], context: CliContext): Promise<number> {
  try {
    return await dispatch(words, context);
  } catch (error) {
    const failure = failureOf(error);
    if (failure.message !== '') context.stderr.write(`ptychopinn: ${failure.message}\n`);
    if (process.env.PTYCHOPINN_DEBUG && error instanceof Error) context.stderr.write(`${error.stack}\n`);
    return failure.code;
  }
}

async function dispatch(words: readonly string[], context: CliContext): Promise<number> {
  const asked = words[0] === 'help' ? words[1] : words[0];
  const chosen = Object.hasOwn(COMMANDS, asked ?? '') ? asked : undefined;
  const program = createProgram(context);
  let exitCode = EXIT_OK;
  let rest = words;
  for (const [name, entry] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(entry.summary);
    if (name !== chosen) continue;
    const module = await entry.load();
    module.configure(command, context, (code) => {
      exitCode = code;
    });
    rest = canonicalArguments(words, module.fields, [...CONSOLE_FLAGS, ...PUBLISHED_FLAGS]);
  }
  if (words.length === 0) {
    program.outputHelp();
    return EXIT_USAGE;
  }
  await program.parseAsync([...rest], { from: 'user' });
  return exitCode;
}

function createProgram(context: CliContext): Command {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  return new Command('ptychopinn')
    .description(
      'Images from scanning coherent diffraction (ptychography) by a physics-informed network, iterative solvers, or both.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureHelp({ optionTerm })
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      // Errors are written once, in runCli.
      outputError: () => {},
      getOutHelpWidth: () => context.stdout.columns ?? 100,
    });
}

/** Booleans are shown once, as `--[no-]x`; the negative form is hidden. */
function optionTerm(option: { readonly flags: string }): string {
  return option.flags.replace(/^--(\S+) \[true\|false\]$/, '--[no-]$1');
}
