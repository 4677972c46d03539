/** `ptychopinn jobs`: many runs as a plan, done one by one, by a cluster or by workers. */

import path from 'node:path';
import { Command } from 'commander';
import {
  COMMAND_DEFINITIONS,
  jobsPlanDefinition,
  jobsSubmitDefinition,
  jobsWorkDefinition,
} from '../../config/commands.js';
import { type ConfigDefinition, flagFields } from '../../config/definition.js';
import { resolveConfig } from '../../config/resolve.js';
import { EXIT_OF, JOB_VERBS, type JobsPlanConfig } from '../../config/schemas/jobs.js';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import type { Provenance, ProvenanceEntry } from '../../core/services.js';
import { counted, formatBytes } from '../../core/words.js';
import type { JobStatus } from '../../jobs/record.js';
import type { JobResult } from '../../jobs/runJob.js';
import type { PlanSummary, SubmitSummary } from '../../workflows/jobs.js';
import { EXIT_OK } from '../exit.js';
import {
  addConfigOptions,
  addOtherOptions,
  canonicalWords,
  handOnFlags,
  resolveFlags,
  unknownFlag,
} from '../options.js';
import { type CommandModule, commandOf, type Given, groupOf, supervise, withRunLog } from '../run.js';
import { consoleLevelOf, formatDuration, formatTable, shows } from '../terminal.js';

const PLAN_GUIDE = `
All flags of the verb are understood as well ("ptychopinn solve --help"), and --config with its file. Every scan, and every combination of
the sweeps, is a job with a folder of its own below --output_root; scans that are solved together (--share) are one.

Examples:
  ptychopinn jobs plan runs/*.h5 --verb solve --output_root beamtime --algorithm lsqml --epochs 40
  ptychopinn jobs plan scan.h5 --verb solve --output_root modes --sweep probe_modes=1,2,3 --sweep algorithm=rpie,lsqml
  ptychopinn jobs plan a.h5 --verb infer --output_root beamtime --append --after all --model_path beamtime/0001-a/wts.zip
  ptychopinn jobs plan large.h5 --verb infer --output_root large --model_path run --shards 8   # one scan on eight processes
  ptychopinn jobs plan large.h5 --verb solve --output_root large --tiles 4
  ptychopinn jobs plan a.h5 b.h5 --verb solve --output_root both --share object                # one job that solves them together`;

const GUIDE = `
Examples:
  ptychopinn jobs plan runs/*.h5 --verb reconstruct --output_root beamtime
  ptychopinn jobs run beamtime                    # all of them here, one after the other
  ptychopinn jobs run beamtime --index 3          # one of them, as a scheduler does
  ptychopinn jobs submit beamtime --slurm --partition short
  ptychopinn jobs status beamtime
  ptychopinn jobs collect beamtime                # a page with every image, and a table

What is done stays done; what was stopped goes on. The steps of a study are a plan, too: "ptychopinn study dose-overlap --plan". More in
docs/cluster.md.`;

/** What was given besides fields of the plan. */
interface Split {
  readonly scans: readonly string[];
  readonly given: Readonly<Record<string, ProvenanceEntry>>;
}

/** The flags of a verb, and scans. */
function commandOfVerb(verb: string): Command {
  const silent = { writeErr: () => {}, writeOut: () => {}, outputError: () => {} };
  const command = new Command(verb).argument('[SCANS...]').exitOverride().configureOutput(silent);
  addConfigOptions(command, COMMAND_DEFINITIONS[verb]);
  return command.option('--config <FILE>').helpOption(false);
}

/** Scans, and the values of the verb, from the words that the plan itself does not know. */
async function splitWords(words: readonly string[], { verb, output_root }: JobsPlanConfig): Promise<Split> {
  const { VERB_TRAITS } = await import('../../jobs/verbs.js');
  const { definition } = VERB_TRAITS[verb];
  const fields = flagFields(definition);
  const command = commandOfVerb(verb);
  try {
    command.parse(canonicalWords(words, fields), { from: 'user' });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const flag = code === 'commander.unknownOption' ? /'([^']+)'/.exec(message)?.[1] : undefined;
    throw flag === undefined ? error : await unknownFlag(flag, command, fields);
  }
  const { scan } = definition;
  const decided = ['output_dir', ...(scan ? [scan] : [])];
  const given = command.opts();
  const taken = decided.find((name) => given[name] !== undefined);
  if (taken !== undefined) {
    throw new PtychoError(
      'USAGE',
      `--${taken} is set by the plan for each job; name scans without a flag and give --output_root.`,
      { flag: taken },
    );
  }
  const stand = Object.fromEntries(decided.map((name) => [name, name === 'output_dir' ? output_root : (command.args[0] ?? output_root)])); // biome-ignore format: one call
  const provenance = await provenanceOf(definition, { ...given, ...stand }, command.args.slice(1));
  const kept = Object.entries(provenance).filter(
    ([name, { source }]) => source !== 'default' && !decided.includes(name),
  );
  return { scans: command.args, given: Object.fromEntries(kept) };
}

/** Where the values of a verb come from, whose scans are one or, where they share something, several. */
async function provenanceOf(
  definition: ConfigDefinition<unknown>,
  given: Given,
  others: readonly string[],
): Promise<Provenance> {
  try {
    return (await resolveFlags(definition, given, false)).provenance;
  } catch (error) {
    // Whether they do may stand in a file: what a single scan is refused for says it.
    if (others.length === 0 || !isPtychoError(error, 'CONFIG_INVALID') || error.fields.field !== 'share') throw error;
    const { provenance } = await resolveFlags(definition, { ...given, test_data_files: others }, false);
    const { test_data_files: _, ...rest } = provenance;
    return rest;
  }
}

const plan: CommandModule = {
  fields: flagFields(jobsPlanDefinition),
  configure(command, context, done) {
    command.argument(
      '[SCANS...]',
      'Scans in any readable format, a job for each, or one for all that are solved together (--share).',
    );
    addConfigOptions(command, jobsPlanDefinition);
    handOnFlags(command, (words) => {
      const verb = String(command.opts().verb ?? '');
      if (!Object.hasOwn(COMMAND_DEFINITIONS, verb)) return undefined;
      const { unknown } = commandOfVerb(verb).parseOptions(
        canonicalWords(words, flagFields(COMMAND_DEFINITIONS[verb])),
      );
      return unknown.find((word) => /^--?[a-z]/i.test(word));
    });
    addOtherOptions(command, 'quiet');
    command.addHelpText('after', PLAN_GUIDE).action(async (_scans: unknown, flags: Given, self: Command) => {
      const { quiet, ...own } = flags;
      const { config } = resolveConfig(jobsPlanDefinition, { flags: own });
      const inputs = await splitWords(self.args, config);
      const level = consoleLevelOf({ quiet });
      const summary = await supervise(
        context,
        { level, interrupted: 'stopping; no plan is written' },
        async (services) => (await import('../../workflows/jobs.js')).planJobs(config, inputs, services),
      );
      if (shows(level, 'INFO')) context.stdout.write(planText(summary));
      done(EXIT_OK);
    });
  },
};

function planText({ file, jobs, total }: PlanSummary): string {
  const estimates = jobs.flatMap(({ estimate }) => estimate ?? []);
  const seconds = estimates.reduce((sum, each) => sum + each.processor_seconds, 0);
  const bytes = Math.max(0, ...estimates.map((each) => each.memory_bytes));
  const after = total > jobs.length ? ` (${total} in all)` : '';
  const lines = [
    `${counted(jobs.length, 'job')}${after} in ${file}: about ${formatDuration(seconds)} of one core, ${formatBytes(bytes)} for the largest, within a factor of three.`,
    `"ptychopinn jobs run ${path.dirname(file)}" does them here; "ptychopinn jobs submit ${path.dirname(file)} --slurm" hands them to a cluster.`,
  ];
  return `${lines.join('\n')}\n`;
}

const PLAN = { PLAN: 'Folder of the plan, or the plan.jsonl itself.' };

/** The words that start this program again. */
const thisProgram = () => [process.execPath, ...process.execArgv, process.argv[1]];

const run = commandOf({
  args: PLAN,
  options: (command) =>
    command
      .option(
        '--index <JOB>',
        'Number of a job, counted from 1, or its name; without it all jobs, one after the other.',
      )
      .option(
        '--accelerator <DEVICES>',
        'Where jobs compute, instead of what the plan says; with several (cuda:0,cuda:1) a process works on each.',
      ),
  others: 'levels',
  help: '\nExit codes: 0 done, 75 stopped, to be asked for again, 1 failed. A job that is done is not repeated.',
  interrupted: 'stopping after this batch; the job can go on',
  work: async ({ args: [where], given, services }) => {
    const { runPlannedJob } = await import('../../workflows/jobs.js');
    const { requireDevices, runPlanOnDevices } = await import('../../jobs/onDevices.js');
    const { findJob, readPlan } = await import('../../jobs/plan.js');
    const all = await readPlan(where);
    const accelerator = (given.accelerator as string | undefined) ?? null;
    if (accelerator !== null) await requireDevices(accelerator, services.logger);
    const devices = accelerator?.split(',') ?? [];
    if (devices.length > 1 && given.index === undefined) {
      const states = await runPlanOnDevices(where, devices, thisProgram(), services);
      return states.map(({ job, state }): JobResult => {
        const end = state === 'done' || state === 'failed' ? state : 'again';
        return { end, reused: false, message: `${job.id}: ${state}.` };
      });
    }
    const jobs = given.index === undefined ? all : [findJob(all, String(given.index), where)];
    const results: JobResult[] = [];
    for (const job of jobs) {
      const result = await withRunLog(job.output_dir, `jobs run, ${job.id}`, services, (logged) =>
        runPlannedJob(where, job.id, logged, accelerator),
      );
      if (jobs.length > 1) services.logger.info(result.message);
      results.push(result);
      if (services.signal.aborted) break;
    }
    return results;
  },
  text: (results) => {
    if (results.length === 1) return `${results[0].message}\n`;
    const count = (end: string) => results.filter((result) => result.end === end).length;
    const before = results.filter(({ reused }) => reused).length;
    return `${counted(results.length, 'job')}: ${count('done')} done${before > 0 ? ` (${before} before)` : ''}, ${count('again')} to go on, ${count('failed')} failed.\n`;
  },
  exit: (results) => {
    const ends = results.map(({ end }) => end);
    return EXIT_OF[ends.find((end) => end === 'again') ?? ends.find((end) => end === 'failed') ?? 'done'];
  },
});

const status = commandOf({
  args: PLAN,
  json: 'Print all that is known of the jobs as JSON.',
  work: async ({ args: [where] }) => (await import('../../workflows/jobs.js')).jobsStatus(where),
  text: statusText,
  always: true,
});

function statusText(states: readonly JobStatus[]): string {
  const rows = states.map(({ job, state, record, owner, progress, blockedBy }, index) => [
    ...[String(index + 1), job.id, job.verb, state, record ? String(record.attempts) : '–'],
    record && record.seconds > 0 ? formatDuration(record.seconds) : '–',
    record?.figures.r_factor?.toFixed(3) ?? '–',
    (progress
      ? `${progress.stage} ${progress.done}/${progress.total} ${progress.unit}`
      : (owner ?? (blockedBy ? `comes after ${blockedBy}` : record?.message) ?? '')
    ).slice(0, 90),
  ]);
  const counts = new Map<string, number>();
  for (const { state } of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  const words = [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
  return `${formatTable(['', 'job', 'verb', 'state', 'tries', 'time', 'R', ''], rows)}\n${counted(states.length, 'job')}: ${words || 'none'}.\n`;
}

const retry = commandOf({
  args: PLAN,
  options: (command) =>
    command.option('--index <JOB...>', 'Numbers or names of jobs; without it all that failed or were stopped.'),
  work: async ({ args: [where], given }) =>
    (await import('../../workflows/jobs.js')).retryPlannedJobs(where, (given.index as string[] | undefined) ?? []),
  text: (names) =>
    names.length === 0
      ? 'No job failed or was stopped.\n'
      : `${counted(names.length, 'job')} to begin again: ${names.join(', ')}; run or submit the plan again.\n`,
});

const collect = commandOf({
  args: PLAN,
  work: async ({ args: [where], services }) => (await import('../../workflows/jobs.js')).collectPlan(where, services),
  text: ({ root, files, states }) => {
    const done = states.filter(({ state }) => state === 'done').length;
    return `${done} of ${counted(states.length, 'job')} done. Written to ${root}: ${files.join(', ')}.\n`;
  },
});

const cancel = commandOf({
  args: PLAN,
  options: (command) =>
    command.option('--index <JOB...>', 'Numbers or names of jobs; without it all that are not done.'),
  help: '\nWhoever works at one stops within a second or two; nobody begins one until "jobs retry".',
  work: async ({ args: [where], given }) =>
    (await import('../../workflows/jobs.js')).cancelPlannedJobs(where, (given.index as string[] | undefined) ?? []),
  text: (names) => (names.length === 0 ? 'All jobs are done.\n' : `Cancelled: ${names.join(', ')}.\n`),
});

const submit = commandOf({
  definition: jobsSubmitDefinition,
  args: PLAN,
  help: '\nJobs that are done are left out. A job that is stopped by a time limit or a requeue goes on from its last state.',
  work: async ({ args: [where], config, services }) => {
    return (await import('../../workflows/jobs.js')).submitPlan(where, config, thisProgram(), services);
  },
  text: submitText,
});

function submitText(summary: SubmitSummary): string {
  if (summary.to === 'queue') {
    const { added, jobs, server } = summary;
    return `${counted(jobs, 'job')} not done, ${added} of them new in the queue of ${server}; "ptychopinn jobs work" does them.\n`;
  }
  const { batches, numbers } = summary;
  if (batches.length === 0) return 'All jobs are done; nothing was submitted.\n';
  const lines = batches.map(({ file, jobs }, index) => {
    const what = `${counted(jobs.length, 'job')}, ${file}`;
    return numbers.length > 0 ? `Slurm job ${numbers[index]}: ${what}` : `Would submit ${what}`;
  });
  return `${lines.join('\n')}\n`;
}

const work = commandOf({
  definition: jobsWorkDefinition,
  args: { 'PLANS...': 'Folders of the plans that this worker takes jobs of; a message that names another is refused.' },
  help: `
Start as many workers as you like, on any machine that sees the folders under the same path. A worker that dies loses nothing: another goes on.

Examples:
  ptychopinn jobs submit beamtime --redis redis://127.0.0.1:6379
  ptychopinn jobs work beamtime --redis redis://127.0.0.1:6379
  ptychopinn jobs work beamtime --postgres postgres://user@host/jobs --until_done
  ptychopinn jobs work beamtime --redis redis://127.0.0.1:6379 --accelerator cuda:1     # a worker for each GPU`,
  interrupted: 'stopping after this batch; another worker can go on with the job',
  work: async ({ args: plans, config, services }) => {
    const { runPlannedJob, workOnPlans } = await import('../../workflows/jobs.js');
    const { readPlan } = await import('../../jobs/plan.js');
    return workOnPlans(plans, config, services, async (where, id, given, accelerator) => {
      const job = (await readPlan(where)).find((each) => each.id === id);
      if (job === undefined) return runPlannedJob(where, id, given, accelerator);
      const { signal = services.signal, onProgress = services.onProgress } = given ?? {};
      return withRunLog(job.output_dir, `jobs work, ${id}`, { ...services, signal, onProgress }, (logged) =>
        runPlannedJob(where, id, logged, accelerator),
      );
    });
  },
  text: ({ done, again, failed }) => `${done} done, ${again} given back, ${failed} failed.\n`,
});

export const command = groupOf(
  [
    ['plan', `write a plan: one job of ${JOB_VERBS.join(', ')} for each scan`, plan],
    ['run', 'do one job of a plan, or all of them one after the other', run],
    ['status', 'show how far the jobs of a plan are', status],
    ['retry', 'let jobs that failed begin again', retry],
    ['collect', 'write one page with all images, and one table', collect],
    ['cancel', 'stop jobs, and let nobody begin them', cancel],
    ['submit', 'hand a plan to Slurm or to a queue', submit],
    ['work', 'do jobs as a queue hands them out', work],
  ],
  GUIDE,
);
