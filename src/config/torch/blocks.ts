/**
 * PyTorch-style configurations, block by block, into fields: names and words translated, what belongs together checked,
 * what this version does not have refused by name.
 *
 * A file is of that style if, and only if, its top level has one of the blocks `data_config`, `model_config`,
 * `training_config`, `inference_config`, `datagen_config`, `training` or `inference`; beside them it may hold fields of
 * this package, which win over the blocks.
 *
 * @example
 * translateTorch({ data: { grid_size: [2, 2], K: 7 } }, trainingDefinition, 'run.yaml').given;
 * // [{ name: 'gridsize', value: 2, … }, { name: 'neighbor_count', value: 7, … }]
 */

import { PtychoError } from '../../core/errors.js';
import { fieldsOf, notAvailable, show } from '../../core/field.js';
import { nearestName } from '../../core/words.js';
import { unknownKey } from '../collect.js';
import { allFields, type ConfigDefinition, namesOf } from '../definition.js';
import { publishedWithoutPart } from '../legacy/published.js';
import { dataFields } from '../schemas/data.js';
import { executionFields } from '../schemas/execution.js';
import { inferenceConfigSchema } from '../schemas/inference.js';
import { modelFields } from '../schemas/model.js';
import { CI_CONTRACT, CI_DEFAULTS, contradiction, trainingConfigSchema } from '../schemas/training.js';
import { SCALE_CONTRACTS, TORCH_FIELDS, type TorchBlock, type TorchField, torchFieldsOf } from './fields.js';

/** Values of a block. */
type Values = Readonly<Record<string, unknown>>;
/** The blocks that were given. */
export type TorchBlocks = Readonly<Partial<Record<TorchBlock, Values>>>;
/** What is wanted from them. */
export type TorchKind = 'training' | 'inference' | 'model';

/** A value for a field, and the key at which it was written. */
export interface Written {
  readonly name: string;
  readonly value: unknown;
  readonly written: string;
}

/** Blocks as values of fields. */
export interface TorchTranslation {
  readonly given: readonly Written[];
  /** Defaults of that family that were not overruled by the blocks. */
  readonly defaults: readonly Written[];
  readonly notes: readonly string[];
}

/** A file of that style, taken apart. */
export interface TorchFile {
  readonly blocks: TorchBlocks;
  readonly profile: unknown;
  /** Everything else at its top level. */
  readonly rest: Values;
  readonly notes: readonly string[];
}

const BLOCKS = Object.keys(TORCH_FIELDS) as TorchBlock[];
const SUFFIX = '_config';
/** Blocks by which a file is recognised; `data` and `model` alone are blocks of this package, too. */
const TELLING = [...BLOCKS.map((block) => block + SUFFIX), `datagen${SUFFIX}`, 'training', 'inference'];
const KIND_BLOCKS: Readonly<Record<TorchKind, readonly TorchBlock[]>> = {
  training: ['data', 'model', 'training'],
  inference: ['data', 'model', 'inference'],
  model: ['data', 'model'],
};

/** Every name by which a field of a run may be given. */
export const RUN_NAMES: ReadonlySet<string> = namesOf(
  [trainingConfigSchema, inferenceConfigSchema, modelFields, dataFields, executionFields].flatMap((of) => fieldsOf(of)),
);

/** Where the defaults of that family are said to come from. */
export const TORCH_DEFAULTS = 'default of PyTorch-style configurations';

/** Whether a configuration file is of the PyTorch style. */
export function isTorchShaped(values: Values): boolean {
  return TELLING.some((key) => Object.hasOwn(values, key));
}

/**
 * Takes a file of that style apart.
 * @throws PtychoError CONFIG_INVALID for a block that is none or is given under both names.
 */
export function readTorchFile(values: Values, origin: string): TorchFile {
  const blocks: Partial<Record<TorchBlock, Values>> = {};
  const notes: string[] = [];
  const { profile, datagen_config: datagen, ...rest } = values as Record<string, unknown>;
  if (datagen !== undefined) notes.push(`${origin}: datagen_config shapes simulated data and was left out.`);
  for (const block of BLOCKS) {
    const names = [block + SUFFIX, block].filter((name) => rest[name] !== undefined);
    if (names.length === 2)
      throw invalid(`${origin} gives both ${names.join(' and ')}; keep one of them.`, block, origin);
    for (const name of names) {
      const value = rest[name];
      if (!isBlock(value))
        throw invalid(`${origin}: ${name} must be a block of fields, got ${show(value)}.`, name, origin);
      blocks[block] = value;
      delete rest[name];
    }
  }
  return { blocks, profile, rest, notes };
}

/**
 * Translates blocks for one kind of configuration; blocks that it does not need are only checked for unknown keys.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID: one sentence with the key's name.
 */
export function translateTorch(
  blocks: TorchBlocks,
  definition: ConfigDefinition<unknown>,
  origin: string,
  profile?: unknown,
): TorchTranslation {
  const leftOut: string[] = [];
  checkNames(blocks, origin, leftOut);
  const translated = new Translator(blocks, definition, origin, profile).translate();
  return { ...translated, notes: [...leftOut, ...translated.notes] };
}

class Translator {
  readonly #given: Written[] = [];
  readonly #defaults: Written[] = [];
  readonly #notes: string[] = [];
  readonly #wanted: ReadonlySet<string>;
  readonly kind: TorchKind;

  constructor(
    readonly blocks: TorchBlocks,
    definition: ConfigDefinition<unknown>,
    readonly origin: string,
    readonly profile: unknown,
  ) {
    this.kind = definition.name as TorchKind;
    this.#wanted = namesOf(allFields(definition));
  }

  translate(): TorchTranslation {
    this.#checkPhysics();
    for (const block of KIND_BLOCKS[this.kind]) {
      const values = this.blocks[block] ?? {};
      const fields = torchFieldsOf(block);
      for (const [key, value] of Object.entries(values)) {
        if (value === undefined) continue;
        if (key === 'amp_activation' && this.#value('model', 'cnn_output_mode') === 'real_imag') {
          this.#notes.push(
            'amp_activation belongs to an amplitude head and was left out beside cnn_output_mode real_imag.',
          );
          continue;
        }
        const idle = this.#idle(key, Object.hasOwn(fields, key) ? fields[key] : undefined);
        if (idle !== undefined) {
          if (value !== fields[key].fallback) this.#notes.push(`${block}${SUFFIX}.${key} plays no part ${idle}.`);
          continue;
        }
        const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
        const written = `${block}${SUFFIX}.${key}`;
        if (field === undefined) this.#give(key, value, written);
        else if (field.to !== undefined) {
          const converted = field.convert ? field.convert(value, written) : value;
          if (key === 'architecture' && value === 'cnn') {
            this.#notes.push('architecture cnn of PyTorch-style configurations is called cnn_cbam here.');
          }
          this.#give(field.to, converted, written);
        } else if (!field.special) this.#accept(key, value, [field.fallback, ...(field.also ?? [])], field.instead);
      }
      for (const [key, field] of Object.entries(fields)) {
        if (field.to === undefined || field.fallback === undefined) continue;
        const value = field.convert ? field.convert(field.fallback, key) : field.fallback;
        this.#assume(field.to, value);
      }
    }
    this.#gridsize();
    this.#probeMask();
    if (this.kind === 'training') {
      this.#losses();
      this.#stages();
    }
    this.#measurementDomain();
    if (this.profile === 'ci') this.#profileCi();
    return { given: this.#given, defaults: this.#defaults, notes: this.#notes };
  }

  #value(block: TorchBlock, key: string): unknown {
    const value = this.blocks[block]?.[key];
    return value === undefined ? torchFieldsOf(block)[key].fallback : value;
  }

  /** Why a field does nothing in that family beside the others, where it does not. */
  #idle(key: string, field: TorchField | undefined): string | undefined {
    if (field?.idle !== undefined) return field.idle;
    const value = (name: string) => this.#value('model', name);
    const weighed = /^(amp|phase)_loss_coeff$/.test(key) ? key.replace('_coeff', '') : undefined;
    if (weighed && value(weighed) === null) return `without ${weighed}`;
    if (key === 'intensity_scale' && value('intensity_scale_trainable') === false)
      return 'without intensity_scale_trainable';
    if (
      key === 'scan_pattern' &&
      !['4_quadrant', 'four_quadrants'].includes(String(this.#value('data', 'neighbor_function')))
    )
      return 'without neighbor_function 4_quadrant';
    if (key === 'data_scaling' && this.#value('data', 'normalize') === 'None') return 'beside normalize None';
    if (key === 'fine_tune_gamma' && this.#value('training', 'epochs_fine_tune') === 0)
      return 'without epochs_fine_tune';
    if (key === 'eca_encoder' && value('cbam_encoder') === true) return 'beside cbam_encoder';
    if (key === 'decoder_spatial_kernel' && value('spatial_decoder') !== true) return 'without spatial_decoder';
    if (key === 'decoder_last_c_outer_fraction' && value('use_legacy_decoder_channel_override') !== true)
      return 'without use_legacy_decoder_channel_override';
    return undefined;
  }

  #isGiven(block: TorchBlock, key: string): boolean {
    return this.blocks[block]?.[key] !== undefined;
  }

  #give(name: string, value: unknown, written: string): void {
    if (value !== undefined && this.#wanted.has(name)) this.#given.push({ name, value, written });
  }

  #assume(name: string, value: unknown): void {
    // The model of a reconstruction is the bundle's: a default claims nothing about it.
    const claimed = this.kind === 'inference' && name in modelFields;
    if (this.#wanted.has(name) && !claimed) this.#defaults.push({ name, value, written: name });
  }

  #accept(key: string, value: unknown, accepted: readonly unknown[], instead?: string): void {
    if (accepted.some((one) => show(one) === show(value))) return;
    throw this.#invalid(key, notAvailable(key, value, accepted, instead));
  }

  #invalid(field: string, message: string): PtychoError {
    return invalid(message, field, this.origin);
  }

  #gridsize(): void {
    const size = this.#value('data', 'grid_size');
    const sides = Array.isArray(size) ? size : [size, size];
    const [h, w] = sides;
    if (sides.length !== 2 || !Number.isInteger(h) || h < 1 || h !== w) {
      throw this.#invalid(
        'grid_size',
        `grid_size must be square, two equal positive whole numbers, got ${show(size)}.`,
      );
    }
    if (this.#isGiven('data', 'grid_size')) this.#give('gridsize', h, `data${SUFFIX}.grid_size`);
    else this.#assume('gridsize', h);
    const own = this.#given.findLast((entry) => entry.name === 'gridsize')?.value ?? h;
    const members = Number(own) ** 2;
    for (const [block, key] of [
      ['data', 'C'],
      ['model', 'C_model'],
      ['model', 'C_forward'],
    ] as const) {
      const C = this.#value(block, key);
      if (C === undefined || C === members) continue;
      throw this.#invalid(
        key,
        `${key} is ${show(C)}, but a group of grid_size ${show(own)} × ${show(own)} has ${members} patterns; leave ${key} out.`,
      );
    }
  }

  #probeMask(): void {
    const tensor = this.#value('model', 'probe_mask_tensor');
    const mask = this.#value('model', 'probe_mask');
    if (!this.#isGiven('model', 'probe_mask') && !this.#isGiven('model', 'probe_mask_tensor')) return;
    const isTensor = (value: unknown) => typeof value === 'object' && value !== null;
    const on = isTensor(tensor) || isTensor(mask) ? true : mask === null ? false : mask;
    if (on === true) {
      this.#give('probe_mask_edge', 'soft', `model${SUFFIX}.probe_mask`);
    }
    this.#give('probe_mask', on, `model${SUFFIX}.probe_mask`);
  }

  #losses(): void {
    const mode = this.#value('training', 'torch_loss_mode');
    const nll = this.#value('training', 'nll');
    if (typeof nll !== 'boolean') throw this.#invalid('nll', `nll must be true or false, got ${show(nll)}.`);
    // The weights follow from the word when everything beside the blocks is known, too.
    if (this.#isGiven('training', 'torch_loss_mode')) {
      this.#give('torch_loss_mode', mode, `training${SUFFIX}.torch_loss_mode`);
    } else this.#assume('torch_loss_mode', mode);
    if (mode !== 'mae' && this.#isGiven('training', 'nll')) {
      this.#give('nll_weight', nll ? 1 : 0, `training${SUFFIX}.nll`);
    }
  }

  /** That family counts the epochs of all three stages, here the third lasts to the end of the run. */
  #stages(): void {
    const count = (key: string) => Number(this.#value('training', key));
    const third = this.#value('training', 'stage_3_epochs');
    if (third === 0) return;
    if (typeof third !== 'number' || !Number.isInteger(third) || third < 0) {
      throw this.#invalid('stage_3_epochs', `stage_3_epochs must be a whole number of at least 0, got ${show(third)}.`);
    }
    const total = count('stage_1_epochs') + count('stage_2_epochs') + third;
    const given = this.blocks.training?.epochs ?? this.blocks.training?.max_epochs;
    if (given !== undefined && given !== total) {
      throw this.#invalid(
        'stage_3_epochs',
        `epochs is ${show(given)}, but the three stages have ${total} epochs together; leave epochs or stage_3_epochs out.`,
      );
    }
    if (given === undefined) this.#give('nepochs', total, `training${SUFFIX}.stage_3_epochs`);
  }

  #rectangular(): boolean {
    return this.profile === 'ci' || this.#value('model', 'physics_forward_mode') === 'rectangular_scaled';
  }

  /** Written out for every kind of configuration: a model alone has no field `profile`. */
  #profileCi(): void {
    this.#give('profile', 'ci', 'profile');
    const values = { ...CI_DEFAULTS, ...CI_CONTRACT };
    for (const [name, value] of Object.entries(values)) {
      const given = this.#given.some((entry) => entry.name === name);
      if (!given) this.#give(name, value, 'profile');
    }
  }

  /** §4.1: version and domain go together, or neither is given. */
  #measurementDomain(): void {
    const { scale_contract_version, measurement_domain } = this.blocks.data ?? {};
    const [version, domain] = [scale_contract_version ?? undefined, measurement_domain ?? undefined];
    if (version === undefined && domain === undefined) return;
    if (version === undefined || domain === undefined) {
      const [one, other] =
        version === undefined
          ? ['measurement_domain', 'scale_contract_version']
          : ['scale_contract_version', 'measurement_domain'];
      throw this.#invalid(other, `${one} is given without ${other}; give both or neither.`);
    }
    if (
      typeof version !== 'string' ||
      !Object.hasOwn(SCALE_CONTRACTS, version) ||
      SCALE_CONTRACTS[version] !== domain
    ) {
      const pairs = Object.entries(SCALE_CONTRACTS).map(([v, d]) => `${v} with ${d}`);
      throw this.#invalid(
        'scale_contract_version',
        `scale_contract_version ${show(version)} does not go with measurement_domain ${show(domain)}; the pairs are ${pairs.join(' and ')}.`,
      );
    }
    this.#give('measurement_domain', domain, `data${SUFFIX}.measurement_domain`);
    // In that family the contract acts in the rectangular forward model only.
    if (!this.#rectangular()) return;
    this.#give('scale_contract_version', version, `data${SUFFIX}.scale_contract_version`);
  }

  /** The forward model of that family and the profile `ci`: contradictions first, then what this version has. */
  #checkPhysics(): void {
    const { profile } = this;
    if (profile !== undefined && profile !== null && profile !== 'ci') {
      throw this.#invalid('profile', `profile must be ci or null, got ${show(profile)}.`);
    }
    const rectangular = this.#rectangular();
    for (const block of BLOCKS) {
      for (const [key, demanded] of Object.entries({ ...CI_CONTRACT, loss_function: 'Poisson' })) {
        const value = this.blocks[block]?.[key];
        if (profile === 'ci' && value !== undefined && value !== demanded) throw contradiction(key, demanded, value);
      }
    }
    const mode = this.blocks.model?.mode ?? this.blocks.model?.model_type ?? 'Unsupervised';
    if (rectangular && mode !== 'Unsupervised' && mode !== 'pinn') {
      throw this.#invalid(
        'mode',
        `physics_forward_mode rectangular_scaled needs mode Unsupervised, got ${show(mode)}.`,
      );
    }
    const loss = this.#value('training', 'torch_loss_mode');
    if (loss !== 'poisson' && loss !== 'mae') {
      throw this.#invalid('torch_loss_mode', `torch_loss_mode must be poisson or mae, got ${show(loss)}.`);
    }
    if (rectangular && loss !== 'poisson') {
      throw this.#invalid(
        'torch_loss_mode',
        `physics_forward_mode rectangular_scaled needs torch_loss_mode poisson, got ${show(loss)}.`,
      );
    }
    if (this.#value('model', 'rect_s1s2_init') === 'data' && !rectangular) {
      throw this.#invalid(
        'rect_s1s2_init',
        'rect_s1s2_init data needs physics_forward_mode rectangular_scaled; leave it out.',
      );
    }
    const gain = this.#value('model', 'amplitude_physics_gain');
    if (typeof gain !== 'number' || !Number.isFinite(gain) || gain <= 0) {
      throw this.#invalid(
        'amplitude_physics_gain',
        `amplitude_physics_gain must be a positive number, got ${show(gain)}.`,
      );
    }
    this.#accept('amplitude_physics_gain', gain, [1]);
    this.#accept(
      'loss_function',
      this.#value('model', 'loss_function'),
      ['Poisson'],
      'torch_loss_mode chooses the loss',
    );
  }
}

/** Keys of a block are names of that family or fields of this package. */
/** Refuses names that nobody knows, and tells those of that family that play no part. */
function checkNames(blocks: TorchBlocks, origin: string, notes: string[]): void {
  for (const [block, values] of Object.entries(blocks) as [TorchBlock, Values][]) {
    const known = Object.keys(torchFieldsOf(block));
    for (const key of Object.keys(values)) {
      if (known.includes(key) || RUN_NAMES.has(key)) continue;
      const published = publishedWithoutPart(key, origin);
      if (published !== undefined) {
        notes.push(published);
        continue;
      }
      throw unknownKey(origin, `${block}${SUFFIX}.${key}`, nearestName(key, [...known, ...RUN_NAMES]));
    }
  }
}

function isBlock(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string, field: string, path: string): PtychoError {
  return new PtychoError('CONFIG_INVALID', message, { field, path });
}
