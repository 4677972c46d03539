/**
 * The command line as a whole: commands are named here and loaded when asked for, so that `--help` is fast.
 *
 * @example
 * process.exitCode = await runCli(['inspect', 'scan.npz'], context);
 */

import { Command } from 'commander';
import { isPtychoError, PtychoError } from '../core/errors.js';
import type { FieldInfo } from '../core/field.js';
import { createdBy } from '../core/version.js';
import { nearestName } from '../core/words.js';
import { type CliContext, NO_VERB, plainSink } from './context.js';
import { EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, failureOf, SIGNAL_EXITS, withInterrupt } from './exit.js';
import type { CommandModule } from './run.js';

/** What each does, and where it is. */
const COMMANDS: Readonly<
  Record<string, readonly [summary: string, load: () => Promise<{ readonly command: CommandModule }>]>
> = {
  demo: ['simulate a small scan, train on it, reconstruct it and write a report', () => import('./commands/demo.js')],
  simulate: ['write a simulated scan with a known object', () => import('./commands/simulate.js')],
  label: ['cut labels for supervised training from a reconstruction of the scan', () => import('./commands/label.js')],
  inspect: ['describe what a scan file holds and what is wrong with it', () => import('./commands/inspect.js')],
  train: ['train a network on a scan and write the bundle wts.zip', () => import('./commands/train.js')],
  infer: ['reconstruct a scan with a trained bundle', () => import('./commands/infer.js')],
  reconstruct: [
    'reconstruct a scan as well as a few minutes allow, with no other flag',
    () => import('./commands/reconstruct.js'),
  ],
  solve: [
    'reconstruct a scan by an iterative algorithm: rPIE, ePIE, PIE, LSQ-ML, difference map',
    () => import('./commands/solve.js'),
  ],
  live: [
    'reconstruct a scan while it is measured, from a detector or a file that grows',
    () => import('./commands/live.js'),
  ],
  evaluate: [
    'score an image against the truth, or two halves of a scan against each other',
    () => import('./commands/evaluate.js'),
  ],
  compare: [
    'compare models and finished reconstructions on the same patterns: metrics, curves, one page',
    () => import('./commands/compare.js'),
  ],
  calibrate: [
    'turn the spread of a model into intervals that cover the truth, by scans with known objects',
    () => import('./commands/calibrate.js'),
  ],
  overlap: ['measure how much neighbouring patterns of a scan share', () => import('./commands/overlap.js')],
  study: [
    'train and compare over doses and overlaps, step by step, and verify what was written',
    () => import('./commands/study.js'),
  ],
  jobs: [
    'plan many runs and have them done here, by a cluster or by workers; collect what they came to',
    () => import('./commands/jobs.js'),
  ],
  view: ['look at scans and results, solve and compare in a page on this machine', () => import('./commands/view.js')],
  bundle: [
    'describe a bundle, verify every byte of it, unpack it, or make one from the model of another program',
    () => import('./commands/bundle.js'),
  ],
  config: [
    'print a resolved configuration and where its values come from, its schema, or its legacy view',
    () => import('./commands/config.js'),
  ],
  doctor: [
    'show which engines and accelerators work here, and why others do not',
    () => import('./commands/doctor.js'),
  ],
  'setup-cuda': [
    "fetch ONNX Runtime's CUDA libraries by its own install script (Linux x64)",
    () => import('./commands/setupCuda.js'),
  ],
  convert: ['write a scan of any readable format as a contract NPZ', () => import('./commands/convert.js')],
  split: ['split a scan in two: one part to train on, one to test with', () => import('./commands/split.js')],
  orient: [
    'find out which way the positions lie: the flags --flip_x --flip_y --swap_xy',
    () => import('./commands/orient.js'),
  ],
  export: ['write images for other programs: TIFF, stacks of projections, CXI', () => import('./commands/export.js')],
  product: ['write, read and describe Ptychodus products', () => import('./commands/product.js')],
  batch: ['reconstruct or train on a folder that Ptychodus staged', () => import('./commands/batch.js')],
  worker: ['reconstruct and train for another program, over stdin and stdout', () => import('./commands/worker.js')],
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

/** What asks for help wherever it stands. */
const HELP_WORDS: readonly string[] = ['-h', '--help'];

async function dispatch(given: readonly string[], context: CliContext): Promise<number> {
  // `--help solve` and `help solve` are `solve --help`.
  const first = HELP_WORDS.includes(given[0]) || given[0] === 'help';
  const words = first && given.length > 1 ? [...given.slice(1), '--help'] : given;
  const asked = words[0];
  const program = createProgram(context);
  let exitCode = EXIT_OK;
  let rest = words;
  let fields: readonly FieldInfo[] = [];
  for (const [name, [summary, load]] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(summary);
    if (name !== asked) continue;
    const { canonicalWords } = await import('./options.js');
    const module = (await load()).command;
    module.configure(command, context, (code) => {
      exitCode = code;
    });
    fields = module.fields;
    rest = canonicalWords(words, fields);
  }
  if (words.length === 0) {
    program.outputHelp();
    return EXIT_USAGE;
  }
  const command = requireCommands(program, rest);
  const unknown = async (flag: string) => (await import('./options.js')).unknownFlag(flag, command, fields);
  if (rest.some((word) => HELP_WORDS.includes(word))) {
    // Beside --help the parser would forgive it, and its wrong values.
    const end = rest.indexOf('--');
    const flags = (end < 0 ? rest : rest.slice(0, end)).filter((word) => !HELP_WORDS.includes(word));
    const wrong = (await import('./options.js')).wrongFlagOf(command, flags);
    if (wrong !== undefined) throw await unknown(wrong);
  }
  try {
    await program.parseAsync([...rest], { from: 'user' });
  } catch (error) {
    const flag = unknownFlagOf(error);
    throw flag === undefined ? withTypedName(error, words, rest) : await unknown(flag);
  }
  return exitCode;
}

/** An error about the value of a flag, with the name by which the flag was typed, which may be another one of the field. */
function withTypedName(error: unknown, typed: readonly string[], canonical: readonly string[]): unknown {
  if (!isPtychoError(error, 'CONFIG_INVALID') && !isPtychoError(error, 'USAGE')) return error;
  const flag = `--${String(error.fields.field ?? error.fields.flag)}`;
  const at = canonical.findLastIndex((word) => word === flag || word.startsWith(`${flag}=`));
  const name = typed[at]?.replace(/=.*/s, '').slice(2).replaceAll('-', '_');
  if (name !== undefined) error.message = error.message.replace(`(${flag})`, `(--${name})`);
  return error;
}

/** The flag that the parser did not know, where that is what it threw. */
function unknownFlagOf(error: unknown): string | undefined {
  if ((error as { code?: unknown } | null)?.code !== 'commander.unknownOption') return undefined;
  return /'([^'=]+)/.exec((error as Error).message)?.[1];
}

/** Words that people type for commands of other names. */
const MEANT: Readonly<Record<string, string>> = {
  predict: 'infer',
  fit: 'train',
  info: 'inspect',
};

/**
 * Looks for a wrong command before anything else is looked at: beside --help the parser would forgive it.
 * @returns the command that is meant
 * @throws PtychoError USAGE with the nearest one
 */
function requireCommands(program: Command, words: readonly string[]): Command {
  let at = program;
  let path = 'ptychopinn';
  for (const word of words) {
    if (at.commands.length === 0) return at;
    const without = at.commands.find((command) => command.name() === NO_VERB);
    if (without && word.startsWith('-') && word !== '-h' && word !== '--help') return without;
    if (word.startsWith('-') || word === 'help') continue;
    const next = at.commands.find((command) => command.name() === word);
    if (!next) {
      const names = at.commands.map((command) => command.name()).filter((name) => name !== NO_VERB);
      const meant = at === program && Object.hasOwn(MEANT, word) ? MEANT[word] : undefined;
      const near = meant ?? nearestName(word, names);
      const advice = near ? `did you mean ${near}?` : `"${path} --help" lists the commands.`;
      throw new PtychoError('USAGE', `Unknown command '${word}'; ${advice}`, { found: word, suggestion: near });
    }
    at = next;
    path += ` ${word}`;
  }
  return at;
}

function createProgram(context: CliContext): Command {
  return new Command('ptychopinn')
    .description(
      'Images from scanning coherent diffraction (ptychography) by a physics-informed network, iterative solvers, or both.',
    )
    .version(createdBy.version, '-V, --version', 'print the version')
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
