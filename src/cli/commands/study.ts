/** `ptychopinn study dose-overlap`: a study over doses and overlaps, step by step, and its verification. */

import path from 'node:path';
import type { Command } from 'commander';
import { studyRunDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import { loadConfigFile } from '../../config/load.js';
import { parseStudy } from '../../config/schemas/study.js';
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { counted } from '../../core/words.js';
import type { Study, StudySummary, VerificationReport } from '../../workflows/study.js';
import type { CliContext } from '../context.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { addConfigOptions, addConsoleOptions, addHelpOption } from '../options.js';
import { type CommandModule, LOG_FILE, RunLog, supervise } from '../run.js';
import { type ConsoleLevel, consoleLevelOf, formatTable, shows } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn study dose-overlap --config study.yaml --output_dir study
  ptychopinn study dose-overlap --output_dir study --post-verify-only
  ptychopinn study dose-overlap --config study.yaml --output_dir study --plan    # then: ptychopinn jobs submit study/plan --slurm

Run the same command again to continue where an earlier run ended: steps whose configuration, input files and program are unchanged are
not repeated. The exit code is 1 when one of the ten checks fails. What the file holds and what is written: docs/study.md.`;

interface Given extends Record<string, unknown> {
  readonly config?: string;
  readonly output_dir?: string;
  readonly post_verify_only?: boolean;
  readonly plan?: boolean;
  readonly overwrite?: boolean;
}

export const command: CommandModule = {
  fields: flagFields(studyRunDefinition),
  configure(parent, context, done) {
    const study = parent
      .command('dose-overlap')
      .description('simulate, train and compare at several doses and overlaps');
    addOptions(study);
    study.addHelpText('after', EXAMPLE).action(async (given: Given) => {
      const { config, output_dir: folder } = given;
      if (folder === undefined) throw missing('--output_dir DIR', 'the folder of the study');
      if (given.plan === true) {
        const text = await planned(config, { folder, overwrite: given.overwrite === true }, context, given);
        if (shows(consoleLevelOf(given), 'INFO')) context.stdout.write(text);
        return done(EXIT_OK);
      }
      const text =
        given.post_verify_only === true
          ? await verified(folder)
          : await ran(config, { folder, overwrite: given.overwrite === true }, consoleLevelOf(given), context);
      if (shows(consoleLevelOf(given), 'INFO') || !text.report.all_passed) context.stdout.write(text.text);
      done(text.report.all_passed ? EXIT_OK : EXIT_FAILURE);
    });
  },
};

function addOptions(study: Command): void {
  addConfigOptions(study, studyRunDefinition);
  study.optionsGroup('Study:');
  study.option('--config <FILE>', 'The study in YAML or JSON; needed unless it is only verified.');
  addConsoleOptions(study);
  addHelpOption(study, 'Other:');
}

type Place = Pick<Study, 'folder' | 'overwrite'>;

interface Outcome {
  readonly text: string;
  readonly report: VerificationReport;
}

const missing = (flag: string, what: string) =>
  new PtychoError('USAGE', `${flag} is needed: ${what} (docs/study.md).`, { flag });

async function verified(folder: string): Promise<Outcome> {
  const { verifyFinishedStudy } = await import('../../workflows/study.js');
  const report = await verifyFinishedStudy(folder);
  return { text: verificationText(report, folder), report };
}

async function studyIn(file: string | undefined, place: Place): Promise<Study> {
  if (file === undefined) throw missing('--config FILE', 'the study');
  const { values, origin } = await loadConfigFile(file);
  return { ...place, config: parseStudy(values, origin), origin };
}

async function planned(file: string | undefined, place: Place, context: CliContext, given: Given): Promise<string> {
  const study = await studyIn(file, place);
  const { planStudy } = await import('../../workflows/study.js');
  const level = consoleLevelOf(given);
  const { file: plan, jobs } = await supervise(context, { level, interrupted: 'stopping; no plan is written' }, (services) => planStudy(study, services)); // biome-ignore format: one call
  const root = path.dirname(plan);
  return `${counted(jobs.length, 'job')} in ${plan}, the last is analysis and verification.\n"ptychopinn jobs run ${root}" does them here; "ptychopinn jobs submit ${root} --slurm" hands them to a cluster.\n`;
}

async function ran(file: string | undefined, place: Place, level: ConsoleLevel, context: CliContext): Promise<Outcome> {
  const study = await studyIn(file, place);
  const { folder, origin } = study;
  const { doseOverlapStudy } = await import('../../workflows/study.js');
  return closing(new RunLog(folder, `ptychopinn study dose-overlap of ${origin}`), async (log) => {
    const interrupted = 'stopping after this step; run the same command again to continue';
    const summary = await supervise(context, { level, interrupted, log }, (services) =>
      doseOverlapStudy(study, services),
    );
    const text = studyText(summary);
    log.write('INFO', text.trimEnd());
    return { text, report: summary.verification };
  });
}

/** What was done, and the checks. */
export function studyText({ steps, results, folder, verification }: StudySummary): string {
  const failed = results.filter(({ status }) => status === 'failed').length;
  const skipped = results.filter(({ iterative_skipped }) => iterative_skipped !== undefined).length;
  const lines = [
    `${counted(steps.done, 'step')} done, ${steps.reused} unchanged; ${counted(results.length, 'comparison')}, ${failed} failed, ${skipped} without an iterative arm.`,
    `Written to ${folder}; look at index.html; all numbers are in ${path.join('analysis', 'metrics_summary.md')}, what happened in ${LOG_FILE}.`,
  ];
  return `${lines.join('\n')}\n${verificationText(verification, folder)}`;
}

/** The ten checks as a table. */
export function verificationText({ checks, n_passed, n_checks, optional }: VerificationReport, folder: string): string {
  const rows = checks.map(({ name, passed, problems }) => [passed ? 'passed' : 'FAILED', name, problems[0] ?? '']);
  const more = checks.reduce((sum, { problems }) => sum + Math.max(0, problems.length - 1), 0);
  const report = path.join(folder, 'analysis', 'verification_report.json');
  const lines = [
    formatTable(['', 'check', 'first problem'], rows),
    `Verification: ${n_passed}/${n_checks} checks passed${more > 0 ? `, ${more} more problems` : ''}; ${report}.`,
  ];
  if (optional.missing.length > 0)
    lines.push(`${optional.missing.length} optional files are not there, which is no fault.`);
  return `${lines.join('\n')}\n`;
}
