/**
 * The configuration as a bundle holds it: everything that shaped the model, nothing about the machine or its folders.
 *
 * @example
 * const config = bundleConfig(trainingConfig); // no train_data_file, output_dir, resume, …
 */

import { type ExecutionConfig, type TrainingConfig, trainingConfigSchema } from '../config/schema.js';
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import { PtychoError } from '../core/errors.js';

/**
 * Fields that say where a run took place, how it was cut into pieces and what was drawn on the way, not what was trained;
 * dropped, so that equal training gives equal bytes.
 */
export const LOCAL_FIELDS = [
  'preset',
  'train_data_file',
  'train_data_files',
  'num_datasets',
  'test_data_file',
  'output_dir',
  'overwrite',
  'probe',
  'init',
  'resume',
  'do_stitching',
  'log_patch_stats',
  'patch_stats_limit',
  'ensemble',
] as const;

/** Fields of the block `execution` that shape the model; the others belong to the machine. */
const SHAPING_EXECUTION_FIELDS = [
  'accum_steps',
  'early_stop_patience',
  'checkpoint_monitor_metric',
  'checkpoint_mode',
] as const;

/** Fields of the block `data` that are paths, may be, or only save time. */
export const LOCAL_DATA_FIELDS = [
  'positions',
  'product',
  'bad_pixels',
  'dark',
  'flat',
  'frames',
  'skip_frames',
  'allow_links',
  'cache_groups',
] as const;

/**
 * Fields that came after the first bundles, and what a bundle that lacks them was trained with. They are written only where they
 * are something else, so that a training without them gives the bytes that it gave before there were any.
 */
const WHERE_ABSENT = {
  input_reference: 'none',
  input_reference_share: 0.75,
  auto_restart: false,
  overlap_weight: 0,
  member_permutations: false,
  probe_conditioning: 'none',
  amp_loss: null,
  amp_loss_coeff: 1,
  phase_loss: null,
  phase_loss_coeff: 1,
  probe_normalize: true,
  normalize: 'Batch',
  data_scaling: 'Parseval',
  epochs_fine_tune: 0,
  fine_tune_gamma: 0.1,
} as const;

/** A training configuration without {@link LOCAL_FIELDS}. */
export type BundleConfig = Readonly<
  Omit<TrainingConfig, (typeof LOCAL_FIELDS)[number] | 'data' | 'execution'> & {
    /** Without {@link LOCAL_DATA_FIELDS}. */
    data: Omit<TrainingConfig['data'], (typeof LOCAL_DATA_FIELDS)[number]>;
    /** Kept where a solver found it; else it is a path. */
    probe?: TrainingConfig['probe'];
    /** A whole block may be given; {@link SHAPING_EXECUTION_FIELDS} of it are kept. */
    execution?: Pick<ExecutionConfig, (typeof SHAPING_EXECUTION_FIELDS)[number]>;
  }
>;

/** Whether a model has a probe of its own, which stays with it whatever the probe of a scan: trained with it, or solved for. */
export function hasOwnProbe({ probe_trainable, probe }: Pick<BundleConfig, 'probe_trainable' | 'probe'>): boolean {
  return probe_trainable || probe === SOLVE_PROBE;
}

/** Drops the fields that belong to a machine. */
export function bundleConfig(config: BundleConfig): BundleConfig {
  const solved = config.probe === SOLVE_PROBE ? { probe: SOLVE_PROBE } : {};
  const { execution, data, ...rest } = without(config, LOCAL_FIELDS) as Readonly<Record<string, unknown>>;
  const shaping = Object.entries(execution ?? {}).filter(([key]) => isOneOf(SHAPING_EXECUTION_FIELDS, key));
  const blocks = { data: without(data ?? {}, LOCAL_DATA_FIELDS), execution: Object.fromEntries(shaping) };
  return { ...rest, ...solved, ...blocks } as unknown as BundleConfig;
}

/** The configuration as files keep it: without fields that say what their absence says. */
export function storedConfig(config: BundleConfig): object {
  const absent: Readonly<Record<string, unknown>> = WHERE_ABSENT;
  const kept = Object.entries(bundleConfig(config)).filter(
    ([key, v]) => !Object.hasOwn(absent, key) || absent[key] !== v,
  );
  return Object.fromEntries(kept);
}

/**
 * Checks a parsed `config.json`; a field that it lacks (it came later) has its default, or what it says in {@link WHERE_ABSENT}.
 * @throws PtychoError BUNDLE_INVALID for unknown or local fields and for values that the schema refuses.
 */
export function parseBundleConfig(value: unknown): BundleConfig {
  const has = (block: unknown, key: string) => typeof block === 'object' && block !== null && Object.hasOwn(block, key);
  const solved = (value as { probe?: unknown } | null)?.probe === SOLVE_PROBE;
  const local = LOCAL_FIELDS.find((key) => has(value, key) && !(key === 'probe' && solved));
  if (local !== undefined) bad(`${local} does not belong into a bundle`);
  const { execution } = (value ?? {}) as { execution?: object };
  const foreign = Object.keys(execution ?? {}).find((key) => !isOneOf(SHAPING_EXECUTION_FIELDS, key));
  if (foreign !== undefined) bad(`execution.${foreign} does not belong into a bundle`);
  const parsed = trainingConfigSchema.safeParse(isBlock(value) ? { ...WHERE_ABSENT, ...value } : value);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0];
    bad(`${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`);
  }
  return bundleConfig(parsed.data);
}

/**
 * A configuration with the fields that an earlier version wrote, in every block: fields that came later have their defaults and are
 * left out, so that a bundle of that version is compared with what that version wrote.
 */
export function withFieldsOf(config: object, written: object): object {
  const kept = Object.entries(config).filter(([key]) => Object.hasOwn(written, key));
  return Object.fromEntries(
    kept.map(([key, value]) => {
      const theirs = (written as Readonly<Record<string, unknown>>)[key];
      return [key, isBlock(value) && isBlock(theirs) ? withFieldsOf(value, theirs) : value];
    }),
  );
}

function isBlock(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function without(block: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(block).filter(([key]) => !isOneOf(names, key)));
}

function isOneOf(names: readonly string[], key: string): boolean {
  return names.includes(key);
}

function bad(why: string): never {
  throw new PtychoError('BUNDLE_INVALID', `config.json: ${why.replace(/\.$/, '')}.`, { member: 'config.json' });
}
