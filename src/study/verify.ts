/**
 * The ten checks of a finished study, from its files alone (specs/study.md): every required artifact is there, can be read, and
 * agrees with `metrics_summary.json`, which agrees with the tables of the comparisons. Optional files never count.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { StudyConfig } from '../config/schemas/study.js';
import { messageOf } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import {
  ANALYSIS,
  inventoryText,
  type Job,
  jobsOf,
  logFile,
  logsOf,
  optionalArtifacts,
  type RequiredArtifacts,
  requiredArtifacts,
  SUMMARY,
  sentinelOf,
  stepId,
} from './layout.js';
import type { ArmResult } from './models.js';
import { FileHashes, readRecord } from './steps.js';
import {
  type ComparisonManifest,
  collectSummary,
  type DeltaSummary,
  deltaSummary,
  type MetricsSummary,
  modelsOf,
} from './summary.js';
import { aggregateHighlights, deltaHighlights, jobTitle, metricsDigest, ssimGrid, summaryTable } from './tables.js';

/** The checks in order. */
export const CHECKS = [
  'comparison_manifest',
  'metrics_summary',
  'metrics_delta_summary',
  'metrics_delta_highlights',
  'metrics_delta_preview',
  'aggregate_highlights',
  'metrics_digest',
  'ssim_grid_summary',
  'cli_logs',
  'artifact_inventory',
] as const;
export type CheckName = (typeof CHECKS)[number];

/** One check. */
export interface Check {
  readonly name: CheckName;
  readonly passed: boolean;
  /** What is wrong, a sentence each. */
  readonly problems: readonly string[];
}

/** `verification_report.json`. */
export interface VerificationReport {
  readonly generated_at: string;
  readonly study_format: 1;
  readonly all_passed: boolean;
  readonly n_passed: number;
  readonly n_checks: number;
  readonly checks: readonly Check[];
  /** Files that a study may have; they decide nothing. */
  readonly optional: { readonly present: readonly string[]; readonly missing: readonly string[] };
}

/** Verifies the study in a folder. Throws nothing: what cannot be read is a problem of its check. */
export async function verifyStudy(folder: string, config: StudyConfig): Promise<VerificationReport> {
  const verification = new Verification(folder, config);
  const checks: Check[] = [];
  for (const name of CHECKS) {
    let problems: readonly string[];
    try {
      problems = await verification[name]();
    } catch (error) {
      problems = [sentence(messageOf(error))];
    }
    checks.push({ name, passed: problems.length === 0, problems });
  }
  const optional = optionalArtifacts(config);
  const isThere = (file: string) => existsSync(path.join(folder, file));
  const n_passed = checks.filter(({ passed }) => passed).length;
  return {
    generated_at: new Date().toISOString(),
    study_format: 1,
    all_passed: n_passed === checks.length,
    n_passed,
    n_checks: checks.length,
    checks,
    optional: { present: optional.filter(isThere), missing: optional.filter((file) => !isThere(file)) },
  };
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
/** As `Date.toISOString` writes it. */
const ISO_Z = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;
const MORE_THAN_ENOUGH = 5;

class Verification implements Record<CheckName, () => Promise<string[]>> {
  constructor(
    private readonly folder: string,
    private readonly config: StudyConfig,
  ) {}

  async comparison_manifest(): Promise<string[]> {
    const manifest = await this.#manifest();
    const { execution_results: results, n_success, n_failed, n_executed } = manifest;
    const summary = await this.#summary();
    const problems = dateProblems(ANALYSIS.manifest, manifest.generated_at);
    const jobs = jobsOf(this.config);
    const names = (list: readonly Job[]) => list.map(jobTitle).join('; ');
    if (names(results) !== names(jobs)) {
      problems.push(`It lists ${results.length} comparisons (${names(results)}), but the study has ${jobs.length}: ${names(jobs)}.`); // biome-ignore format: one sentence
    }
    const succeeded = results.filter(({ status }) => status === 'success');
    if (n_executed !== results.length || n_success !== succeeded.length || n_failed !== results.length - n_success) {
      problems.push(
        `n_success ${n_success}, n_failed ${n_failed} and n_executed ${n_executed} do not count its ${results.length} results, ${succeeded.length} of which succeeded.`,
      );
    }
    for (const job of results) {
      if (job.status !== 'success')
        problems.push(`The comparison of ${jobTitle(job)} failed: ${sentence(job.error ?? 'it does not say why')}`);
      else if (!existsSync(path.join(this.folder, job.output_dir))) problems.push(`${job.output_dir} is not there.`);
      const own = summary.jobs.find((of) => jobTitle(of) === jobTitle(job));
      if (own && !isDeepStrictEqual([...job.models].sort(), modelsOf([own]).sort())) {
        problems.push(
          `${jobTitle(job)} compared ${job.models.join(', ')}, but ${SUMMARY} has ${modelsOf([own]).join(', ')}.`,
        );
      }
    }
    if (names(summary.jobs) !== names(succeeded))
      problems.push(`${SUMMARY} has other comparisons: ${names(summary.jobs)}.`);
    return problems;
  }

  async metrics_summary(): Promise<string[]> {
    const summary = await this.#summary();
    const manifest = await this.#manifest();
    const failed = manifest.execution_results.filter(({ status }) => status !== 'success');
    const collected = await collectSummary(this.folder, this.config, failed, summary.generated_at);
    return [
      ...dateProblems(SUMMARY, summary.generated_at),
      ...differences(SUMMARY, summary, collected, 'the tables of the comparisons'),
      ...(await this.#text(ANALYSIS.table, summaryTable(summary))),
    ];
  }

  async metrics_delta_summary(): Promise<string[]> {
    const delta = await this.#delta();
    const expected = deltaSummary(await this.#summary(), delta.generated_at);
    return [
      ...dateProblems(ANALYSIS.delta, delta.generated_at),
      ...differences(ANALYSIS.delta, delta, expected, SUMMARY),
    ];
  }

  metrics_delta_highlights(): Promise<string[]> {
    return this.#fourLines(ANALYSIS.highlights);
  }

  async metrics_delta_preview(): Promise<string[]> {
    const problems = await this.#fourLines(ANALYSIS.preview);
    if (/amplitude/i.test(await this.#read(ANALYSIS.preview))) {
      problems.push('PREVIEW-PHASE-001: it speaks of amplitudes, but holds phases only.');
    }
    return problems;
  }

  async aggregate_highlights(): Promise<string[]> {
    return this.#text(ANALYSIS.aggregate, aggregateHighlights(await this.#summary()));
  }

  async metrics_digest(): Promise<string[]> {
    const summary = await this.#summary();
    return this.#text(ANALYSIS.digest, metricsDigest(summary, deltaSummary(summary, summary.generated_at)));
  }

  async ssim_grid_summary(): Promise<string[]> {
    return this.#text(ANALYSIS.ssimGrid, ssimGrid(await this.#summary()));
  }

  async cli_logs(): Promise<string[]> {
    const problems: string[] = [];
    for (const { name, steps } of logsOf(this.config)) {
      const text = await this.#read(logFile(name)).catch(() => undefined);
      if (text === undefined) {
        problems.push(`${logFile(name)} is not there.`);
        continue;
      }
      const lines = text.trimEnd().split('\n');
      if (lines.at(-1) !== sentinelOf(name)) problems.push(`${logFile(name)} does not end with ${JSON.stringify(sentinelOf(name))}.`); // biome-ignore format: one call
      const lost = steps.find((id) => !lines.includes(`--- ${id}`));
      if (lost !== undefined) problems.push(`${logFile(name)} says nothing of ${lost}.`);
    }
    return problems;
  }

  async artifact_inventory(): Promise<string[]> {
    const skips = new Map<string, boolean>();
    for (const job of jobsOf(this.config)) {
      const record = await readRecord(this.folder, stepId.arm(job));
      skips.set(jobTitle(job), (record?.result as ArmResult | undefined)?.skipped !== undefined);
    }
    const required = requiredArtifacts(this.config, (job) => skips.get(jobTitle(job)) === true);
    const problems = await this.#text(ANALYSIS.inventory, inventoryText(required));
    problems.push(...required.all.filter((file) => !existsSync(path.join(this.folder, file))).map((file) => `${file} is not there.`)); // biome-ignore format: one call
    problems.push(...(await this.#changed(required)));
    return problems;
  }

  /** Files of phases C to G that are no longer what their step wrote. */
  async #changed({ phases }: RequiredArtifacts): Promise<string[]> {
    const recorded = new Map<string, string | null>();
    const ids = logsOf(this.config).flatMap(({ steps }) => steps);
    for (const id of new Set(ids)) {
      const record = await readRecord(this.folder, id);
      if (record) for (const [file, sha256] of Object.entries(record.outputs)) recorded.set(file, sha256);
    }
    const hashes = new FileHashes();
    const problems: string[] = [];
    for (const file of phases) {
      const sha256 = await hashes.of(path.join(this.folder, file));
      // A missing file is told already.
      if (sha256 === null) continue;
      const before = recorded.get(file);
      if (before === undefined) problems.push(`No step has a record of ${file}.`);
      else if (before !== sha256) problems.push(`${file} is not what its step wrote.`);
    }
    return problems;
  }

  async #fourLines(file: string): Promise<string[]> {
    const summary = await this.#summary();
    return this.#text(file, deltaHighlights(deltaSummary(summary, summary.generated_at)));
  }

  /** The first line in which a text is not what the numbers come to. */
  async #text(file: string, expected: string): Promise<string[]> {
    const [found, right] = [(await this.#read(file)).split('\n'), expected.split('\n')];
    const line = right.findIndex((text, k) => found[k] !== text);
    if (line < 0 && found.length === right.length) return [];
    const k = line < 0 ? right.length : line;
    return [
      `${file}, line ${k + 1}, is ${JSON.stringify(found[k] ?? '')}, but the numbers come to ${JSON.stringify(right[k] ?? '')}.`,
    ];
  }

  #read(file: string): Promise<string> {
    return readTextInput(path.join(this.folder, file), { maxBytes: TABLE_BYTES });
  }

  async #parse<T extends object>(file: string): Promise<T> {
    const value = JSON.parse(await this.#read(file)) as unknown;
    if (typeof value !== 'object' || value === null) throw new Error(`${file} holds no record`);
    return value as T;
  }

  async #summary(): Promise<MetricsSummary> {
    const summary = await this.#parse<MetricsSummary>(SUMMARY);
    if (!Array.isArray(summary.jobs)) throw new Error(`${SUMMARY} has no list "jobs"`);
    return summary;
  }

  #delta = (): Promise<DeltaSummary> => this.#parse<DeltaSummary>(ANALYSIS.delta);

  async #manifest(): Promise<ComparisonManifest> {
    const manifest = await this.#parse<ComparisonManifest>(ANALYSIS.manifest);
    if (!Array.isArray(manifest.execution_results))
      throw new Error(`${ANALYSIS.manifest} has no list "execution_results"`);
    return manifest;
  }
}

function dateProblems(file: string, date: unknown): string[] {
  return typeof date === 'string' && ISO_Z.test(date)
    ? []
    : [`${file}: generated_at must be a time such as 2026-01-31T12:00:00Z.`];
}

/** Where two records differ, the first few places. */
function differences(file: string, found: unknown, expected: unknown, source: string): string[] {
  const places: string[] = [];
  const walk = (a: unknown, b: unknown, where: string): void => {
    if (places.length > MORE_THAN_ENOUGH || isDeepStrictEqual(a, b)) return;
    if (isRecord(a) && isRecord(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
        walk(a[key], b[key], where ? `${where}.${key}` : key);
      return;
    }
    places.push(`${file}: ${where} is ${JSON.stringify(a)}, but by ${source} it is ${JSON.stringify(b)}.`);
  };
  // As it would be read back: what is undefined is left out.
  walk(found, JSON.parse(JSON.stringify(expected)), '');
  return places.slice(0, MORE_THAN_ENOUGH);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
