/**
 * From scans, a verb and its values to jobs: one for each scan and each combination of a sweep, or for each combination where scans are
 * solved together (`share`), with what they read and what they will take.
 *
 * @example
 * const jobs = await makeJobs({ verb: 'solve', scans: ['a.h5'], root: 'beamtime', given: {}, sweep: ['probe_modes=1,2'], earlier: [], after: [] });
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { allFields, type ConfigDefinition } from '../config/definition.js';
import { parseFlagValue } from '../config/flags.js';
import { resolveConfig } from '../config/resolve.js';
import type { SolveConfig } from '../config/schemas/solve.js';
import { idleOptionsOfSolve, idleRefusal } from '../config/solverIdle.js';
import { messageOf, PtychoError } from '../core/errors.js';
import type { FieldInfo } from '../core/field.js';
import { silentLogger } from '../core/log.js';
import type { ProvenanceEntry, Services } from '../core/services.js';
import { nearestName } from '../core/words.js';
import { type OpenRequest, openTool } from '../data/preparedScan.js';
import { isEnsemble } from '../persistence/ensemble.js';
import { isMlflowUri } from '../persistence/mlflowArtifacts.js';
import { locateBundle } from '../persistence/source.js';
import { requireShare, type SharedScans, withScans } from '../solvers/files/severalScans.js';
import { requireTileCount } from '../solvers/tiles/tile.js';
import { joinScans } from '../solvers/together/joinScans.js';
import { estimateJob, type ScanSize } from './estimate.js';
import { fingerprintOf } from './fingerprint.js';
import { type PlanParts, stepsOf } from './parts.js';
import { findJob, type JobInput, type PlannedJob, plannedJob } from './plan.js';
import { type JobVerb, SCAN_FIELD, VERB_TRAITS } from './verbs.js';

/** What is to be planned. */
export interface PlanRequest {
  readonly verb: JobVerb;
  readonly scans: readonly string[];
  /** Folder of the plan, and of the folders of its jobs. */
  readonly root: string;
  /** Values of the verb that were given: flags and the file of `--config`, with where they came from. */
  readonly given: Readonly<Record<string, ProvenanceEntry>>;
  /** `probe_modes=1,2,3`, each. */
  readonly sweep: readonly string[];
  /** In what every scan is cut. */
  readonly parts?: PlanParts;
  /** Jobs that the plan has already. */
  readonly earlier: readonly PlannedJob[];
  /** Which of them come before: numbers, names or `all`. */
  readonly after: readonly string[];
}

/** What the plan decides itself. */
const DECIDED = ['output_dir', 'overwrite', 'resume', 'product_file'] as const;
/** The field that names the scans that are solved together with the first. */
const MORE_SCANS = 'test_data_files';
/** Fields that hold a list of files or folders. */
const FILE_LISTS: readonly string[] = ['train_data_files', MORE_SCANS, 'from_shards', 'from_tiles'];
/** More than a scheduler takes at once. */
const MAX_JOBS = 100_000;

/**
 * Makes the jobs.
 * @throws PtychoError USAGE, CONFIG_INVALID, FILE_NOT_FOUND. A scan that is there but cannot be read is planned with a warning: its job
 * says what is wrong, and the others are not held up.
 */
export async function makeJobs(request: PlanRequest, services: Services = {}): Promise<PlannedJob[]> {
  const { verb, scans, root, given, earlier } = request;
  const { definition } = VERB_TRAITS[verb];
  const scanField = SCAN_FIELD[verb];
  if (scans.length === 0) {
    throw new PtychoError(
      'USAGE',
      'A plan needs a scan at least: ptychopinn jobs plan SCANS… --verb solve --output_root FOLDER.',
    );
  }
  refuseDecided(given, [...DECIDED, scanField]);
  const combinations = combine(request.sweep.map((text) => parseSweep(definition, text)));
  const steps = stepsOf(verb, request.parts ?? { shards: null, tiles: null });
  const base = absolutePaths(definition, valuesOf(given));
  const sets = setsOf(scans, base, combinations);
  const total = sets.reduce((sum, set) => sum + set.combinations.length * steps.length, 0);
  if (total > MAX_JOBS) {
    throw new PtychoError('USAGE', `The plan would have ${total} jobs, more than ${MAX_JOBS}; make several plans.`);
  }
  refuseDecided(given, steps.flatMap(({ decides }) => decides)); // biome-ignore format: one call
  if (steps.length > 1) requireNoShare(base, combinations);
  const after = namesOf(request.after, earlier, root);
  // An earlier job may make the network.
  if (verb === 'infer' && after.length === 0) await warnOfModels(base, combinations, services);
  const taken = new Set(earlier.map(({ id }) => id));
  const jobs: PlannedJob[] = [];
  const idle = new IdleFlags();
  for (const { scans: those, combinations: own } of sets) {
    const [scan, ...others] = those;
    const inputs = [...(await Promise.all(those.map((each) => fingerprintOf(each)))), ...(await otherInputs(definition, base))]; // biome-ignore format: one line
    let size: ScanSize | undefined | null = null;
    for (const swept of own) {
      const set: PlannedJob[] = [];
      for (const step of steps) {
        const values = { ...base, ...swept, ...step.values(set), [scanField]: path.resolve(scan), ...(others.length > 0 && { [MORE_SCANS]: others.map((other) => path.resolve(other)) }) }; // biome-ignore format: one line
        const number = earlier.length + jobs.length + 1;
        const id = uniqueId(number, those, { ...swept, ...step.label }, taken);
        const output_dir = path.resolve(root, id);
        // What is wrong with values is found now, not when the job begins.
        const { config } = resolveConfig(definition, { flags: { ...values, output_dir } });
        if (verb === 'solve') idle.note(config as SolveConfig, { ...given, ...swept });
        const named = namedScans(config, scan);
        if (named.length > 1) requireShare(config as SharedScans, named);
        if (size === null) {
          size = await sizeOf(named, config, services);
          if (size && request.parts?.tiles) requireTileCount(scan, size.count, request.parts.tiles);
        }
        const job = plannedJob({
          ...{ id, verb, inputs, output_dir, config: values },
          after: [...after, ...step.after(set)],
          provenance: provenanceOf(given, swept) as PlannedJob['provenance'],
          estimate: size ? rounded(estimateJob(verb, config, size)) : null,
        });
        set.push(job);
        jobs.push(job);
      }
    }
  }
  idle.refuse(provenanceOf(given, Object.assign({}, ...combinations)));
  return jobs;
}

/** Options that do nothing in some job, and those that do something in one. */
class IdleFlags {
  readonly #idle = new Map<string, string>();
  readonly #acting = new Set<string>();

  note(config: SolveConfig, given: object): void {
    const found = new Map(idleOptionsOfSolve(config));
    for (const name of Object.keys(given)) {
      const why = found.get(name);
      if (why === undefined) this.#acting.add(name);
      else this.#idle.set(name, why);
    }
  }

  /** @throws PtychoError CONFIG_INVALID for what was typed and does nothing in any job; what stands in a file is noted by each */
  refuse(given: Readonly<Record<string, ProvenanceEntry>>): void {
    for (const [name, why] of this.#idle) {
      const { source, value } = given[name];
      if (source === 'flag' && !this.#acting.has(name)) throw idleRefusal([name, why], value);
    }
  }
}

/** Scans of one job, and the combinations that there is a job for. */
interface ScanSet {
  readonly scans: readonly string[];
  readonly combinations: readonly Swept[];
}

/** Each scan by itself, and all of them where they share object or probe; those that `test_data_files` names go along with each. */
function setsOf(scans: readonly string[], base: Swept, combinations: readonly Swept[]): ScanSet[] {
  const isOne = (swept: Swept) => {
    const { share = null, [MORE_SCANS]: more = [] } = { ...base, ...swept } as Readonly<Record<string, unknown>>;
    return share === null || (more as readonly unknown[]).length > 0;
  };
  const [alone, together] = [combinations.filter(isOne), combinations.filter((swept) => !isOne(swept))];
  const sets = [...scans.map((scan) => ({ scans: [scan], combinations: alone })), { scans, combinations: together }];
  return sets.filter((set) => set.combinations.length > 0);
}

/** @throws PtychoError USAGE for scans that are to be solved together and cut in tiles as well */
function requireNoShare(base: Swept, combinations: readonly Swept[]): void {
  if (!combinations.some((swept) => ({ share: null, ...base, ...swept }).share !== null)) return;
  throw new PtychoError('USAGE', 'A scan is cut in tiles by itself, so --share does not go with --tiles; leave one of them out.', { flag: 'share' }); // biome-ignore format: one sentence
}

/** All scans of a job, as they were named. */
function namedScans(config: unknown, scan: string): string[] {
  const { share = null, [MORE_SCANS]: more = [] } = config as { readonly share?: unknown; readonly test_data_files?: readonly string[] }; // biome-ignore format: one line
  return share === null ? [scan] : [scan, ...more];
}

/** Warns of networks that are not there, in the words in which their jobs would fail. */
async function warnOfModels(base: Swept, combinations: readonly Swept[], services: Services): Promise<void> {
  for (const model of new Set(combinations.map((swept) => ({ ...base, ...swept }).model_path))) {
    if (typeof model !== 'string' || isMlflowUri(model) || isEnsemble(model)) continue;
    await locateBundle(model).catch((error) => {
      services.logger?.warn(`The jobs are planned, but they will fail: ${messageOf(error)}`);
    });
  }
}

function refuseDecided(given: PlanRequest['given'], decided: readonly string[]): void {
  const taken = decided.find((name) => name in given);
  if (taken === undefined) return;
  throw new PtychoError(
    'USAGE',
    `--${taken} is set by the plan for each job (folders below --output_root, scans as arguments); leave it out.`,
    { flag: taken },
  );
}

const valuesOf = (given: PlanRequest['given']): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).map(([name, { value }]) => [name, value]));

/** The same values with paths that are absolute: jobs run elsewhere, and relative paths would lead to other files there. */
export function absolutePaths(
  definition: ConfigDefinition<unknown>,
  values: Record<string, unknown>,
): Record<string, unknown> {
  const fields = new Map(allFields(definition).map((field) => [field.name, field]));
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      isPath(fields.get(name), value)
        ? path.resolve(value as string)
        : isFileList(name, value)
          ? value.map((file) => path.resolve(file))
          : value,
    ]),
  );
}

/** Fields that may name a file or say something else (`probe`) are paths where there is such a file. */
function isPath(field: FieldInfo | undefined, value: unknown): boolean {
  if (field?.kind !== 'text' || typeof value !== 'string' || value === field.word) return false;
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(value)) return false;
  return existsSync(fileOf(value)) || (field.expected.includes('path') && /[/\\]/.test(value));
}

const isFileList = (name: string, value: unknown): value is readonly string[] =>
  FILE_LISTS.includes(name) && Array.isArray(value);

/** `file.npz:key` names a file, too. */
const fileOf = (value: string): string => (existsSync(value) ? value : value.replace(/:[^:/\\]*$/, ''));

/** Files that all jobs read, as far as they are there: those of an earlier job come later. */
async function otherInputs(
  definition: ConfigDefinition<unknown>,
  values: Record<string, unknown>,
): Promise<JobInput[]> {
  const fields = new Map(allFields(definition).map((field) => [field.name, field]));
  const files = Object.entries(values).flatMap(([name, value]) => {
    if (isFileList(name, value)) return value.filter((file) => existsSync(file));
    return isPath(fields.get(name), value) && existsSync(fileOf(value as string)) ? [fileOf(value as string)] : [];
  });
  return Promise.all(files.map((file) => fingerprintOf(file)));
}

type Swept = Readonly<Record<string, unknown>>;

/** `probe_modes=1,2,3` as one record for each value. @throws PtychoError USAGE */
function parseSweep(definition: ConfigDefinition<unknown>, text: string): Swept[] {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(0, at)).replace(/^-+/, '').replaceAll('-', '_');
  const fields = allFields(definition);
  const field = fields.find((each) => each.name === name || each.aliases.includes(name));
  if (at < 1 || field === undefined) {
    const near = nearestName(name === '' ? text : name, fields.map((each) => each.name)); // biome-ignore format: one line
    throw new PtychoError(
      'USAGE',
      `--sweep takes a field of the verb and its values, such as epochs=20,40; got ${JSON.stringify(text)}${near ? `; did you mean ${near}?` : '.'}`,
      { flag: 'sweep', found: text, suggestion: near },
    );
  }
  // Pairs and lists have commas of their own.
  const apart = field.kind === 'pair' || field.kind === 'list' ? ';' : ',';
  const words = text.slice(at + 1).split(apart).map((word) => word.trim()); // biome-ignore format: one line
  return words.map((word) => ({ [field.name]: parseFlagValue(field, word) }));
}

/** All combinations, the last one fastest. */
function combine(sweeps: readonly (readonly Swept[])[]): Swept[] {
  return sweeps.reduce<Swept[]>(
    (before, sweep) => before.flatMap((each) => sweep.map((value) => ({ ...each, ...value }))),
    [{}],
  );
}

/** `0003-scan-probe_modes=2`, of letters that every file system takes; `0003-scan-and-2-more` of several scans. */
function uniqueId(number: number, [scan, ...others]: readonly string[], swept: Swept, taken: Set<string>): string {
  const first = path.basename(scan).replace(/(\.[A-Za-z0-9]{1,5})+$/, '');
  const name = others.length > 0 ? `${first}-and-${others.length}-more` : first;
  const words = [name, ...Object.entries(swept).map(([key, value]) => `${key}=${String(value)}`)];
  const plain = words.map((word) => word.replace(/[^A-Za-z0-9._=-]+/g, '_')).join('-');
  let id = `${String(number).padStart(4, '0')}-${plain}`.slice(0, 100);
  while (taken.has(id)) id = `${id}_`;
  taken.add(id);
  return id;
}

function namesOf(after: readonly string[], earlier: readonly PlannedJob[], root: string): string[] {
  const names = after.flatMap((word) =>
    word === 'all' ? earlier.map(({ id }) => id) : [findJob(earlier, word, root).id],
  );
  return [...new Set(names)];
}

function provenanceOf(given: PlanRequest['given'], swept: Swept): Record<string, ProvenanceEntry> {
  const sweeps = Object.entries(swept).map(
    ([name, value]) => [name, { value, source: 'flag', origin: '--sweep' }] as const,
  );
  return { ...given, ...Object.fromEntries(sweeps) };
}

/** All patterns of a job; undefined where its scans cannot be read, or not be solved together. */
async function sizeOf(scans: readonly string[], config: unknown, services: Services): Promise<ScanSize | undefined> {
  const logger = services.logger ?? silentLogger;
  try {
    return await withScans(
      scans,
      (scan) => openTool(scan, config as OpenRequest, { signal: services.signal }),
      async (raws) => {
        // What of them does not fit together is said now.
        if (raws.length > 1) joinScans(raws, { share: (config as SharedScans).share as 'object' | 'probe' });
        const modes = raws.map(({ probeGuess }) => (probeGuess?.shape.length === 3 ? probeGuess.shape[0] : 1));
        return { count: raws.reduce((sum, { count }) => sum + count, 0), N: raws[0].N, modes: Math.max(...modes) };
      },
    );
  } catch (error) {
    services.signal?.throwIfAborted();
    logger.warn(`${scans.join(' and ')} ${scans.length > 1 ? 'are' : 'is'} planned, but ${scans.length > 1 ? 'their' : 'its'} job will fail: ${messageOf(error)}`); // biome-ignore format: one sentence
    return undefined;
  }
}

const rounded = ({ processor_seconds, memory_bytes }: { processor_seconds: number; memory_bytes: number }) => ({
  processor_seconds: Math.ceil(processor_seconds),
  memory_bytes: Math.ceil(memory_bytes),
});
