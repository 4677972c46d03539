/** A PyTorch-style file as layers of a resolution, and the guards that need to see what stands beside it. */

import { PtychoError } from '../../core/errors.js';
import { collectLayer, LayerCollector } from '../collect.js';
import { allFields, type Collection, type ConfigDefinition, type Layer } from '../definition.js';
import { implyPublished } from '../legacy/published.js';
import { needsMae } from '../schemas/training.js';
import { isTorchShaped, readTorchFile, TORCH_DEFAULTS, type TorchBlocks, translateTorch } from './blocks.js';

/** Where two families of configurations disagree by four orders of magnitude. */
const TORCH_NPHOTONS = 1e5;

/**
 * Collects a file where it is of that style: defaults of that family, then its blocks, then the fields beside them.
 * @returns the guards, to be run when all stronger layers are collected; undefined for other files.
 */
export function readTorchStyle(
  definition: ConfigDefinition<unknown>,
  file: Layer,
  into: Collection,
): (() => void) | undefined {
  if (!isTorchShaped(file.values)) return undefined;
  const { blocks, profile, rest, notes } = readTorchFile(file.values, file.origin);
  into.notes.push(...notes);
  const guard = collectTorchBlocks(definition, { blocks, profile, origin: file.origin }, into);
  collectLayer(definition, { source: 'file', origin: file.origin, values: rest }, into);
  return guard;
}

/** The same for blocks that were already taken apart. */
export function collectTorchBlocks(
  definition: ConfigDefinition<unknown>,
  torch: { readonly blocks: TorchBlocks; readonly profile?: unknown; readonly origin: string },
  into: Collection,
): () => void {
  const { given, defaults, notes } = translateTorch(torch.blocks, definition, torch.origin, torch.profile);
  into.notes.push(...notes);
  const fields = allFields(definition);
  if (fields.some(({ name }) => name === 'preset')) implyPublished(into, torch.origin);
  // Metadata of a scan was collected before, but is stronger than any default.
  const open = defaults.filter(({ name }) => !into.given.has(name));
  const weak = new LayerCollector(definition, 'default', TORCH_DEFAULTS, into);
  for (const { name, value, written } of open) weak.read(name, value, written, fields);
  const strong = new LayerCollector(definition, 'file', torch.origin, into);
  for (const { name, value, written } of given) strong.read(name, value, written, fields);
  const nphotons = into.given.get('nphotons');
  if (definition.name !== 'training') return () => {};
  return () => guardTraining(into, nphotons);
}

/** The guards of the published bridge. */
function guardTraining(collection: Collection, fromBlocks: unknown): void {
  const { given, warnings } = collection;
  const nphotons = given.get('nphotons');
  if (nphotons !== undefined && nphotons === fromBlocks && nphotons.value === TORCH_NPHOTONS) {
    throw missing(
      'nphotons',
      'nphotons is 1e5, the default of PyTorch-style configurations, where others have 1e9; say which number is meant by giving nphotons beside the blocks (--nphotons 1e5).',
    );
  }
  if (given.get('n_groups')?.value == null) {
    throw missing(
      'n_groups',
      'n_groups is needed: PyTorch-style blocks do not hold it; give it beside them (--n_groups 512, or all).',
    );
  }
  if (given.get('train_data_file')?.value == null) {
    throw missing(
      'train_data_file',
      'train_data_file is needed: PyTorch-style blocks do not hold it; give it beside them (--train_data_file FILE).',
    );
  }
  // The default of that family belongs to a head that this output does not have.
  const parts = given.get('cnn_output_mode')?.value === 'real_imag' || given.get('profile')?.value === 'ci';
  if (parts && given.get('amp_activation')?.source === 'default') given.delete('amp_activation');
  // Also where the word was left out: its default in that family is the wrong one.
  if (given.get('model_type')?.value === 'supervised' && given.get('torch_loss_mode')?.value !== 'mae')
    throw needsMae();
  if (given.get('test_data_file')?.value == null) {
    warnings.push('test_data_file is not given, so a share of the training groups (val_fraction) validates.');
  }
}

function missing(field: string, message: string): PtychoError {
  return new PtychoError('CONFIG_INVALID', message, { field });
}
