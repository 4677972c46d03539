/**
 * Presets of a training: the values that fields have where nobody gave others. Those of the schema were chosen by measurement
 * (docs/results.md); `published` brings back those of the published tools.
 *
 * @example
 * resolveConfig(trainingDefinition, { flags: { preset: 'published' } }).config.batch_size; // 16
 */
import { architecturesWith } from '../networks/architectures.js';
import { type Collection, IN_MEMORY } from './definition.js';

/** Where the published tools have other defaults than this schema: fields of the run and of its block `model`. */
export const PUBLISHED_TRAINING = {
  nepochs: 50,
  batch_size: 16,
  n_groups: null,
  nll_weight: 1,
  mae_weight: 0,
  torch_loss_mode: 'poisson',
  scheduler: 'Default',
  lr_warmup_epochs: 0,
  lr_min_ratio: 0.1,
  input_reference: 'none',
  auto_restart: false,
} as const;
export const PUBLISHED_MODEL = { n_filters_scale: 2, uno_resized_waves: 'published' } as const;

/** The network that a configuration names, or that it gets by naming none. */
export function architectureIn(given: Collection['given']): string {
  return String(given.get('architecture')?.value ?? 'cnn');
}

/** Whether the network of a configuration has a field. */
export function hasPlace(given: Collection['given'], field: string): boolean {
  return architecturesWith(field).includes(architectureIn(given));
}

/** What is said of a file that leaves values to a preset and names none; it is no reason to take the file for another command's. */
export const NO_PRESET = 'names no preset';

/** Writes out `preset: published` where nothing else was given; tells who gives a file without a preset what it then means. */
export function expandPreset({ given, notes }: Collection): void {
  const preset = given.get('preset');
  const values = { ...PUBLISHED_TRAINING, ...PUBLISHED_MODEL };
  if (preset === undefined) {
    const file = [...given.values()].find(({ source }) => source === 'file')?.origin;
    const leftOut = Object.keys(values).filter((name) => !given.has(name) && hasPlace(given, name));
    if (file !== undefined && file !== IN_MEMORY && leftOut.length > 0) {
      notes.push(
        `${file} ${NO_PRESET}: ${leftOut.join(', ')} have the measured defaults; preset: published brings those of the published tools.`,
      );
    }
  }
  if (preset?.value !== 'published') return;
  for (const [name, value] of Object.entries(values)) {
    if (given.has(name) || !hasPlace(given, name)) continue;
    given.set(name, { value, source: preset.source, origin: preset.origin ?? 'preset published' });
  }
}
