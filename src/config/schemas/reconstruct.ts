/**
 * `reconstruct`: a scan in, the best image that the time allows out. Everything but the scan has a default.
 *
 * @example
 * reconstructConfigSchema.parse({ test_data_file: 'scan.h5' }).minutes; // 5
 * reconstructOptionsSchema.parse({ probe: 'zone_plate', probe_outer_zone_m: 50e-9 }).leave_out; // []
 */

import { z } from 'zod';
import {
  anyNumber,
  belowOne,
  field,
  flag,
  maybe,
  offByDefault,
  optional,
  path,
  positiveInteger,
  positiveNumber,
  required,
  seedNumber,
  text,
  textList,
} from '../../core/field.js';
import { dataConfigSchema } from './data.js';
import { deviceConfigSchema } from './execution.js';
import {
  checkShare,
  moreScansFields,
  overwriteFields,
  pictureFields,
  shareFields,
  sourceFields,
  strictFields,
} from './shared.js';

/** Words of `probe` for beams whose optics are known. */
export const BUILT_PROBES = ['zone_plate', 'aperture', 'gaussian'] as const;
/** One of {@link BUILT_PROBES}. */
export type BuiltProbe = (typeof BUILT_PROBES)[number];

/** Whether `probe` names optics and no file. */
export const isBuiltProbe = (probe: string | null): probe is BuiltProbe =>
  (BUILT_PROBES as readonly (string | null)[]).includes(probe);

const choiceFields = {
  minutes: field(
    positiveNumber,
    5,
    'Time that the command may take, from reading to writing; it ends earlier when the image stops getting better.',
    { unit: 'min' },
  ),
  model_path: maybe(
    path,
    'Trained bundle (wts.zip, or its folder) whose image of the scan is the start where its R is below that of a constant object; auto: one of the package ptychopinn-models, where a probe that it knows fits; null: none.',
    { aliases: ['model'] },
  ),
  single_pass: offByDefault('End with the image of the network (model_path), without a solver.'),
  auto_orient: field(
    flag,
    true,
    'Turn the positions where the patterns clearly ask for it; not done where flip_x, flip_y or swap_xy is given.',
  ),
  leave_out: field(
    textList,
    [],
    'Something not to try: flux (intensity of each pattern), affine (positions corrected together), positions (each by itself), opr_modes (a beam that differs from pattern to pattern) or modes (more incoherent modes of the probe); may be repeated.',
  ),
  seed: field(seedNumber, 0, 'Seed for the order of the patterns and for which of them are held out.'),
};

const { measurement_domain, backend } = sourceFields;

const probeFields = {
  probe: maybe(
    text,
    'The probe to begin with: FILE or FILE:key, or the optics that made it (zone_plate, aperture or gaussian, with the sizes below); null: that of the scan, else a guess from the patterns.',
  ),
  probe_diameter_m: maybe(
    positiveNumber,
    'Diameter of the aperture, or full width at half maximum of the gaussian beam at its waist.',
    { unit: 'm' },
  ),
  probe_outer_zone_m: maybe(positiveNumber, 'Width of the outermost zone of the zone_plate.', { unit: 'm' }),
  probe_stop_fraction: field(
    belowOne,
    0.35,
    'Diameter of the central stop of the zone_plate as a share of the diameter of the plate.',
  ),
  probe_defocus_m: field(
    anyNumber,
    0,
    'Distance of the sample behind the focus, the aperture or the waist; negative in front of it.',
    { unit: 'm' },
  ),
};

const sampleFields = {
  n_subsample: maybe(positiveInteger, 'Number of patterns to use, drawn at random; null: all.', { unit: 'patterns' }),
  subsample_seed: maybe(seedNumber, 'Seed for that draw, NumPy-compatible; null: the value of seed.'),
};

const previewFields = {
  preview_seconds: field(
    optional(positiveNumber),
    10,
    'Write image, pictures and state this often on the way; null: only at the end, or when interrupted.',
    { unit: 's' },
  ),
};

const optionFields = {
  ...shareFields,
  ...choiceFields,
  ...probeFields,
  ...sampleFields,
  ...previewFields,
  measurement_domain,
  backend,
};

const blocks = { data: dataConfigSchema.prefault({}), execution: deviceConfigSchema.prefault({}) };

interface Checked {
  readonly share: string | null;
  readonly single_pass: boolean;
  readonly model_path: string | null;
  readonly probe: string | null;
  readonly probe_diameter_m: number | null;
  readonly probe_outer_zone_m: number | null;
}

/** A choice that lacks what it needs. */
function checkChoices(config: Checked, context: z.RefinementCtx): void {
  const missing = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  if (config.share !== null && config.model_path !== null) {
    missing('model_path', `model_path does not go together with share ${config.share}: the image of a network is of one scan; leave one of them out.`); // biome-ignore format: one sentence
  }
  if (config.single_pass && config.model_path === null) {
    missing('single_pass', 'single_pass ends with the image of a network; name its bundle with model_path.');
  }
  if (config.probe === 'zone_plate' && config.probe_outer_zone_m === null) {
    missing('probe_outer_zone_m', 'probe zone_plate needs the width of its outermost zone; give probe_outer_zone_m.');
  }
  if ((config.probe === 'aperture' || config.probe === 'gaussian') && config.probe_diameter_m === null) {
    missing('probe_diameter_m', `probe ${config.probe} needs its size; give probe_diameter_m.`);
  }
}

/** What {@link reconstructConfigSchema} and a program that brings its scan have in common. */
export const reconstructOptionsSchema = z.strictObject({ ...optionFields, ...blocks }).superRefine(checkChoices);

const scanFields = {
  test_data_file: required(path, 'Scan to reconstruct.', { aliases: ['test_data'] }),
  ...moreScansFields,
  output_dir: field(
    path,
    'reconstruct_outputs',
    'Folder for the image, its pictures and the page that explains them; created if missing.',
  ),
  ...overwriteFields,
  resume: maybe(path, 'Go on with the run in this folder, which was interrupted, with the time that it has left.'),
};

const outputFields = {
  ...previewFields,
  ...pictureFields,
  product_file: maybe(path, 'Also write the result as a Ptychodus product, HDF5 (.h5) or NPZ (.npz); null: none.'),
  ...strictFields,
};

/** The fields under the titles of the help. */
export const RECONSTRUCT_GROUPS = {
  Reconstruction: { ...scanFields, ...shareFields, ...choiceFields, ...sampleFields },
  Probe: probeFields,
  Output: outputFields,
  Source: { measurement_domain, backend },
};

/** A scan and how it is reconstructed. */
export const reconstructConfigSchema = z
  .strictObject({ ...scanFields, ...optionFields, ...outputFields, ...blocks })
  .superRefine(checkShare)
  .superRefine(checkChoices);

export type { ReconstructConfig, ReconstructOptions } from '../interfaces.js';
