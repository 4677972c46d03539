/**
 * Configurations of the PyTorch family, as objects of its four classes, into configurations of this package.
 *
 * @example
 * const { training } = fromTorchConfigs(
 *   { data: { grid_size: [2, 2], K: 7 }, model: { amp_activation: 'silu' }, training: { epochs: 20 } },
 *   { train_data_file: 'scan.npz', n_groups: 512, nphotons: 1e9 },
 * );
 * training?.config.model.architecture; // 'cnn_cbam'
 */

import { nearestName } from '../../core/words.js';
import { collectLayer, newCollection, unknownKey } from '../collect.js';
import { inferenceDefinition, modelDefinition, trainingDefinition } from '../commands.js';
import { allFields, type ConfigDefinition, namesOf } from '../definition.js';
import { type Resolved, settle } from '../resolve.js';
import type { InferenceConfig, ModelRequest, TrainingRequest } from '../schema.js';
import { RUN_NAMES, type TorchBlocks } from './blocks.js';
import { type TorchBlock, torchHome } from './fields.js';
import { collectTorchBlocks } from './layers.js';

export type { TorchBlocks } from './blocks.js';

/** What a set of PyTorch-style configurations says. */
export interface FromTorch {
  /** Where a block `training` was given. */
  readonly training?: Resolved<TrainingRequest>;
  /** Where a block `inference` was given and `model_path` says what to reconstruct with. */
  readonly inference?: Resolved<InferenceConfig>;
  /** The model; its N, where one was given, is a claim that is compared with the data. */
  readonly model: ModelRequest;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

const ORIGIN = 'PyTorch-style configuration';

/**
 * Translates PyTorch-style configurations. Fields that a block leaves out have the defaults of that family; N is never
 * assumed, it comes from the data.
 *
 * @param overrides win over the blocks: fields of this package, or names of that family (`grid_size`, `max_epochs`), and
 * `profile`. A name that both have means the field of this package.
 * @throws PtychoError CONFIG_UNKNOWN_KEY with a suggestion; CONFIG_INVALID for what contradicts itself, what is missing
 * (n_groups, train_data_file, model_path, test_data_file), the ambiguous default of nphotons, and what this version does
 * not have.
 */
export function fromTorchConfigs(configs: TorchBlocks, overrides: Readonly<Record<string, unknown>> = {}): FromTorch {
  for (const block of Object.keys(configs)) {
    if (!['data', 'model', 'training', 'inference'].includes(block)) {
      throw unknownKey(ORIGIN, block, nearestName(block, ['data', 'model', 'training', 'inference']));
    }
  }
  const { blocks, own, profile } = splitOverrides(configs, overrides);
  const notes = new Set<string>();
  const warnings = new Set<string>();
  const resolve = <T>(definition: ConfigDefinition<T>): Resolved<T> => {
    const collection = newCollection();
    const guard = collectTorchBlocks(definition, { blocks, profile, origin: ORIGIN }, collection);
    const wanted = namesOf(allFields(definition));
    const values = Object.fromEntries(Object.entries(own).filter(([name]) => wanted.has(name)));
    collectLayer(definition, { source: 'caller', origin: 'overrides', values }, collection);
    guard();
    const resolved = settle(definition, collection);
    for (const note of resolved.notes) notes.add(note);
    for (const warning of resolved.warnings) warnings.add(warning);
    return resolved;
  };
  const { model } = resolve(modelDefinition).config;
  const training = configs.training && resolve(trainingDefinition);
  // Full dumps hold all four blocks; a reconstruction is meant where something says with what.
  const named = own.model_path !== undefined || configs.inference?.model_path !== undefined;
  const inference = configs.inference && (named || !training) ? resolve(inferenceDefinition) : undefined;
  return { training, inference, model, notes: [...notes], warnings: [...warnings] };
}

const PAIR = ['scale_contract_version', 'measurement_domain'];

/** Overrides by names of that family go into the blocks, above what these say. */
function splitOverrides(configs: TorchBlocks, overrides: Readonly<Record<string, unknown>>) {
  const blocks: Partial<Record<TorchBlock, Record<string, unknown>>> = {};
  for (const [block, values] of Object.entries(configs)) blocks[block as TorchBlock] = { ...values };
  const own: Record<string, unknown> = {};
  let profile: unknown;
  for (const [name, value] of Object.entries(overrides)) {
    const home = torchHome(name);
    // Contract and domain are a pair, judged together in their block.
    const paired = PAIR.includes(name) && PAIR.every((one) => overrides[one] !== undefined);
    if (name === 'profile') profile = value;
    else if (RUN_NAMES.has(name) && !paired) own[name] = value;
    else if (home) {
      const block = blocks[home.block] ?? {};
      // The block's own word for the same field would contradict.
      for (const key of Object.keys(block)) {
        const other = torchHome(key);
        if (home.to !== undefined && other?.to === home.to) delete block[key];
      }
      blocks[home.block] = { ...block, [name]: value };
    } else throw unknownKey('overrides', name, nearestName(name, RUN_NAMES));
  }
  return { blocks, own, profile };
}
