/**
 * The configuration as a bundle holds it: everything that shaped the model, nothing about the machine or its folders.
 *
 * @example
 * const config = bundleConfig(trainingConfig); // no train_data_file, output_dir, execution, …
 */

import { type TrainingConfig, trainingConfigSchema } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';

/** Fields that say where a run took place, not what was trained; dropped, so that equal training gives equal bytes. */
export const LOCAL_FIELDS = ['train_data_file', 'test_data_file', 'output_dir', 'probe', 'execution'] as const;

/** A training configuration without {@link LOCAL_FIELDS}. */
export type BundleConfig = Readonly<Omit<TrainingConfig, (typeof LOCAL_FIELDS)[number]>>;

/** Drops the fields that belong to a machine. */
export function bundleConfig(config: BundleConfig): BundleConfig {
  const kept = Object.entries(config).filter(([key]) => !isLocal(key));
  return Object.fromEntries(kept) as unknown as BundleConfig;
}

/**
 * Checks a parsed `config.json`; a field that it lacks (it came later) has its default.
 * @throws PtychoError BUNDLE_INVALID for unknown or local fields and for values that the schema refuses.
 */
export function parseBundleConfig(value: unknown): BundleConfig {
  const local = LOCAL_FIELDS.find((key) => typeof value === 'object' && value !== null && Object.hasOwn(value, key));
  if (local !== undefined) bad(`${local} does not belong into a bundle`);
  const parsed = trainingConfigSchema.safeParse(value);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0];
    bad(`${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`);
  }
  return bundleConfig(parsed.data);
}

function isLocal(key: string): boolean {
  return LOCAL_FIELDS.some((local) => local === key);
}

function bad(why: string): never {
  throw new PtychoError('BUNDLE_INVALID', `config.json: ${why.replace(/\.$/, '')}.`, { member: 'config.json' });
}
