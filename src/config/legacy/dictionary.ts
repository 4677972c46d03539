/**
 * The `params` dictionary of the Python tools before any configuration is applied, those of its keys that no field stands
 * for, and how a file that is a dump of it is told from others. `params.ts` holds the bridge.
 */

import { type FieldInfo, fieldsOf } from '../../core/field.js';
import { allFields, type ConfigDefinition } from '../definition.js';
import { inferenceConfigSchema } from '../schemas/inference.js';
import { modelConfigSchema } from '../schemas/model.js';
import { trainingConfigSchema } from '../schemas/training.js';

/** Every key that the dictionary starts with. */
export const LEGACY_DEFAULTS: Readonly<Record<string, unknown>> = Object.freeze({
  N: 128,
  offset: 4,
  gridsize: 2,
  outer_offset_train: null,
  outer_offset_test: null,
  batch_size: 16,
  nepochs: 60,
  n_filters_scale: 2,
  output_prefix: 'outputs',
  big_gridsize: 10,
  max_position_jitter: 10,
  sim_jitter_scale: 0,
  default_probe_scale: 0.7,
  mae_weight: 0,
  nll_weight: 1,
  tv_weight: 0,
  realspace_mae_weight: 0,
  realspace_weight: 0,
  nphotons: 1e9,
  nimgs_train: 9,
  nimgs_test: 3,
  data_source: 'generic',
  'probe.trainable': false,
  'intensity_scale.trainable': false,
  'positions.provided': false,
  'object.big': true,
  'probe.big': false,
  probe_scale: 10,
  set_phi: false,
  'probe.mask': true,
  pad_object: true,
  model_type: 'pinn',
  label: '',
  size: 392,
  amp_activation: 'sigmoid',
  h5_path: 'wts.h5',
  npseed: 42,
  debug: true,
  gaussian_smoothing_sigma: 0,
  use_xla_translate: true,
});

/**
 * Keys of the dictionary that shape simulated data, name files, or hold state that a run computes: they change nothing
 * about a configuration, so files that hold them are accepted without them.
 */
export const LEGACY_WITHOUT_PART: readonly string[] = [
  'offset',
  'outer_offset_train',
  'outer_offset_test',
  'big_gridsize',
  'max_position_jitter',
  'sim_jitter_scale',
  'default_probe_scale',
  'nimgs_train',
  'nimgs_test',
  'data_source',
  'set_phi',
  'label',
  'size',
  'h5_path',
  'npseed',
  'debug',
  'use_xla_translate',
  'intensity_scale',
  'probe',
  'timestamp',
  'bigN',
  'padding_size',
  'padded_size',
];

/** The fields of runs, which the dictionary describes; execution settings never enter it (CONFIG-002). */
export const RUN_FIELDS: readonly FieldInfo[] = [
  trainingConfigSchema,
  modelConfigSchema,
  inferenceConfigSchema,
].flatMap((schema) => fieldsOf(schema));

/** Fields whose key in the dictionary is another than their name. */
export const KEY_MAPPINGS: Readonly<Record<string, string>> = Object.freeze(
  Object.fromEntries(
    RUN_FIELDS.flatMap(({ name, legacyKey }) => (legacyKey === null || legacyKey === name ? [] : [[name, legacyKey]])),
  ),
);

/** Keys by which a dump is told from other files: spelt as in no other. */
const TELLING: ReadonlySet<string> = new Set([
  ...LEGACY_WITHOUT_PART.filter((key) => key !== 'probe' && key !== 'debug'),
  ...Object.values(KEY_MAPPINGS),
]);
const LEGACY_KEYS: ReadonlySet<string> = new Set(RUN_FIELDS.flatMap(({ legacyKey }) => legacyKey ?? []));

/** For a dump of the dictionary: tells its keys that say nothing about a configuration; undefined for any other file. */
export function legacyState(
  definition: ConfigDefinition<unknown>,
  values: Readonly<Record<string, unknown>>,
): ((key: string, value: unknown) => boolean) | undefined {
  if (!Object.keys(values).some((key) => TELLING.has(key))) return undefined;
  const fields = allFields(definition);
  return (key, value) => {
    // A computed probe is state, the name of a probe file is a choice.
    if (key === 'probe') return typeof value !== 'string';
    const own = fields.find((field) => field.legacyKey === key || field.name === key);
    // The dictionary's own default of a field that has one value here says nothing about a run.
    if (own) return own.fixed && LEGACY_DEFAULTS[key] === value && value !== own.fallback;
    return LEGACY_WITHOUT_PART.includes(key) || LEGACY_KEYS.has(key);
  };
}
