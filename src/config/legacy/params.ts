/**
 * The bridge to the `params` dictionary of the Python tools: a view of a configuration for programs that expect one, and
 * the way back. Nothing numeric reads it; a dictionary belongs to the program that asks for it.
 *
 * @example
 * const params = new LegacyParams();
 * params.update(config);
 * params.get('object.big'); // true
 */

import { PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { inferenceDefinition, modelDefinition, trainingDefinition } from '../commands.js';
import type { ConfigDefinition } from '../definition.js';
import { type Resolved, resolveConfig } from '../resolve.js';
import type { InferenceConfig, ModelConfig, ModelRequest, TrainingConfig, TrainingRequest } from '../schema.js';
import { LEGACY_DEFAULTS } from './dictionary.js';

export { KEY_MAPPINGS, LEGACY_DEFAULTS } from './dictionary.js';

/** What has a view as a dictionary; execution settings have none (CONFIG-002). */
export type LegacyConfig = TrainingConfig | TrainingRequest | InferenceConfig | ModelConfig | ModelRequest;

/**
 * The configuration as a flat dictionary with legacy keys: `model` flattened, fields renamed, null, undefined and an
 * `n_groups` of `all` (a number only once the data are known) left out.
 *
 * @throws PtychoError CONFIG_INVALID for anything else than a model, training or inference configuration (CONFIG-002).
 */
export function toLegacyParams(config: LegacyConfig): Record<string, unknown> {
  const definition = definitionOf(config);
  const params: Record<string, unknown> = {};
  for (const section of definition.sections) {
    const holder = section.key === null || definition === modelDefinition ? config : Reflect.get(config, section.key);
    for (const { name, legacyKey, word } of section.fields) {
      const value: unknown = (holder as Record<string, unknown> | undefined)?.[name];
      if (legacyKey === null || value === null || value === undefined || value === word) continue;
      params[legacyKey] = value;
    }
  }
  return params;
}

/**
 * Writes a configuration into a dictionary. A field that says nothing (null, undefined) leaves its key as it was; keys
 * that no field has are untouched.
 * @throws PtychoError as {@link toLegacyParams}
 */
export function updateLegacyDict(params: Record<string, unknown> | LegacyParams, config: LegacyConfig): void {
  if (params instanceof LegacyParams) params.update(config);
  else Object.assign(params, toLegacyParams(config));
}

/**
 * The configuration that a dictionary describes. Keys of simulated data and of computed state are left out, with a note.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID
 */
export function fromLegacyParams(params: Readonly<Record<string, unknown>>): Resolved<TrainingRequest>;
export function fromLegacyParams<T>(
  params: Readonly<Record<string, unknown>>,
  definition: ConfigDefinition<T>,
): Resolved<T>;
export function fromLegacyParams(
  params: Readonly<Record<string, unknown>>,
  definition: ConfigDefinition<unknown> = trainingDefinition,
): Resolved<unknown> {
  // In the dictionary null says nothing.
  const values = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== null));
  return resolveConfig(definition, { file: { origin: 'params', values } });
}

/** Sizes in pixels that the dictionary derives from others. */
export interface DerivedParams {
  /** Side of the square that a solid grid of patches covers: N + (gridsize − 1) · offset. */
  readonly bigN: number;
  /** What is added to N on the whole: (gridsize − 1) · offset + max_position_jitter. */
  readonly padding_size: number;
  /** Side of the padded square: bigN + max_position_jitter. */
  readonly padded_size: number;
}

/**
 * Derived sizes; keys that are missing have their legacy default.
 * @throws PtychoError CONFIG_INVALID when N, gridsize, offset or max_position_jitter is no number.
 */
export function derivedParams(params: Readonly<Record<string, unknown>>): DerivedParams {
  const number = (key: string): number => {
    const value = params[key] ?? LEGACY_DEFAULTS[key];
    if (typeof value === 'number') return value;
    throw new PtychoError('CONFIG_INVALID', `${key} of the params dictionary must be a number, got ${String(value)}.`, {
      field: key,
      found: value,
    });
  };
  const spread = (number('gridsize') - 1) * number('offset');
  const bigN = number('N') + spread;
  const jitter = number('max_position_jitter');
  return { bigN, padding_size: spread + jitter, padded_size: bigN + jitter };
}

/** Keys that a run may set after the dictionary was sealed. */
const COMPUTED = ['intensity_scale', 'probe', 'timestamp'];
const DATA_SOURCES = ['lines', 'grf', 'experimental', 'points', 'testimg', 'diagonals', 'xpp', 'V', 'generic'];

/** A dictionary with the published behaviour of `params`, as an object that its caller owns. */
export class LegacyParams {
  readonly #values: Record<string, unknown>;
  readonly #logger: Logger;
  #sealed = false;

  /**
   * @param initial values beside the legacy defaults.
   * @param logger hears of writes after {@link seal}.
   */
  constructor(initial: Readonly<Record<string, unknown>> = {}, logger: Logger = silentLogger) {
    this.#values = { ...LEGACY_DEFAULTS, ...initial };
    this.#logger = logger;
  }

  /**
   * The value of a key; `bigN` is computed anew each time.
   * @param fallback is returned for an unknown key, where it is given.
   * @throws PtychoError CONFIG_UNKNOWN_KEY for an unknown key without fallback.
   */
  get(key: string, ...fallback: readonly unknown[]): unknown {
    for (const [name, value] of Object.entries(LEGACY_DEFAULTS)) {
      if (!Object.hasOwn(this.#values, name)) this.#values[name] = value;
    }
    if (key === 'bigN') this.#values.bigN = derivedParams(this.#values).bigN;
    if (Object.hasOwn(this.#values, key)) return this.#values[key];
    if (fallback.length > 0) return fallback[0];
    throw new PtychoError('CONFIG_UNKNOWN_KEY', `The params dictionary has no key ${key}.`, { key });
  }

  /**
   * Writes a value and checks the dictionary; after {@link seal} it warns, but writes.
   * @throws PtychoError CONFIG_INVALID as {@link validate}; the dictionary is then as it was before.
   */
  set(key: string, value: unknown): void {
    if (this.#sealed && !COMPUTED.includes(key)) {
      this.#logger.warn(`The params dictionary is sealed, but ${key} was set.`);
    }
    const before = Object.hasOwn(this.#values, key) ? { value: this.#values[key] } : undefined;
    this.#values[key] = value;
    try {
      this.validate();
    } catch (error) {
      if (before) this.#values[key] = before.value;
      else this.delete(key);
      throw error;
    }
  }

  /** Removes a key; a key with a legacy default is back at the next {@link get}. */
  delete(key: string): void {
    Reflect.deleteProperty(this.#values, key);
  }

  /** Writes a configuration, as {@link updateLegacyDict}. */
  update(config: LegacyConfig): void {
    Object.assign(this.#values, toLegacyParams(config));
  }

  /**
   * Checks what the published tools check.
   * @throws PtychoError CONFIG_INVALID
   */
  validate(): void {
    const { data_source, realspace_mae_weight, realspace_weight } = this.#values;
    if (!DATA_SOURCES.includes(String(data_source))) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `data_source must be one of ${DATA_SOURCES.join(', ')}, got ${JSON.stringify(data_source)}.`,
        { field: 'data_source', found: data_source },
      );
    }
    if (Number(realspace_mae_weight) > 0 && !(Number(realspace_weight) > 0)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `realspace_mae_weight is ${String(realspace_mae_weight)}, so realspace_weight must be above 0, got ${String(realspace_weight)}.`,
        { field: 'realspace_weight', found: realspace_weight },
      );
    }
  }

  /** From now on a write is worth a warning. */
  seal(): void {
    this.#sealed = true;
  }

  /** Ends {@link seal}. */
  unseal(): void {
    this.#sealed = false;
  }

  /** A copy of the dictionary. */
  toObject(): Record<string, unknown> {
    return { ...this.#values };
  }
}

function definitionOf(config: object): ConfigDefinition<unknown> {
  if ('model_path' in config) return inferenceDefinition;
  if ('nepochs' in config) return trainingDefinition;
  if ('n_filters_scale' in config) return modelDefinition;
  throw new PtychoError(
    'CONFIG_INVALID',
    'CONFIG-002: only model, training and inference configurations have a view as params dictionary; execution settings never enter it.',
    { guard: 'CONFIG-002' },
  );
}
