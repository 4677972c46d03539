/**
 * The tools: what looks at scans and rewrites them (`inspect`, `convert`, `split`, `orient`, `label`), what goes to other programs
 * and comes from them (`product`, `bundle`), and the demonstration. What is read is the command's argument; how a scan is opened
 * is the block `data`, as for training.
 *
 * @example
 * splitConfigSchema.parse({ output_dir: 'parts' }).fraction; // 0.8
 * importConfigSchema.parse({ output_dir: 'imported' }).probe_normalization; // 'published'
 */

import { z } from 'zod';
import {
  anyNumber,
  field,
  flag,
  maybe,
  nonNegativeNumber,
  offByDefault,
  oneOf,
  openUnitInterval,
  path,
  portNumber,
  positiveInteger,
  positiveNumber,
  required,
  seedNumber,
  text,
} from '../../core/field.js';
import { dataConfigSchema } from './data.js';
import { deviceConfigSchema } from './execution.js';
import { modelFields } from './model.js';
import { overwriteFields, sourceFields } from './shared.js';

const { probe, measurement_domain } = sourceFields;
/** How a tool's scan is opened. */
const opening = { probe, measurement_domain, data: dataConfigSchema.prefault({}) };

/** What is drawn besides the text. */
export const inspectConfigSchema = z.strictObject({
  map: maybe(
    path,
    'PNG file for a map of the scan: positions coloured by counts, with the outlines of probe and object; null: none.',
  ),
  output_dir: maybe(
    path,
    'Folder for map.png and index.html, a page of all that was found; created if missing; null: none.',
  ),
  ...overwriteFields,
  ...opening,
});

/** Where the page of `view` is served. */
export const viewConfigSchema = z.strictObject({
  port: field(portNumber, 0, 'Port on 127.0.0.1; 0: any that is free.'),
  open: offByDefault('Open the address in the browser of this desktop.'),
});

export type ViewConfig = Readonly<z.output<typeof viewConfigSchema>>;

/** A scan in any readable format, written as a contract NPZ. */
export const convertConfigSchema = z.strictObject({
  output_file: required(path, 'NPZ file to write.'),
  ...overwriteFields,
  compress: offByDefault('Compress the arrays: the file is smaller, but its patterns cannot be read one by one.'),
  n_subsample: maybe(positiveInteger, 'Number of patterns to keep, drawn at random; null: all.', {
    unit: 'patterns',
  }),
  subsample_seed: maybe(seedNumber, 'Seed for that draw, NumPy-compatible; null: 0.'),
  ...opening,
});

/** A scan cut in two along an axis: one part to train on, one to test with. */
export const splitConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for the two NPZ files, NAME_train.npz and NAME_test.npz; created if missing.'),
  ...overwriteFields,
  fraction: field(
    openUnitInterval,
    0.8,
    'Where the cut is, as a fraction of the range of the coordinates; positions before it are for training.',
  ),
  axis: field(oneOf('x', 'y'), 'y', 'Coordinate along which the scan is cut.'),
  gap_px: field(
    nonNegativeNumber,
    0,
    'Leave out positions closer to the cut than half of this, so that no place is illuminated in both parts.',
    { unit: 'px' },
  ),
  ...opening,
});

/** The search for the orientation of the positions. */
export const orientConfigSchema = z.strictObject({
  picture: maybe(path, 'PNG file for the reconstructions in all eight orientations, best first; null: none.'),
  output_dir: maybe(
    path,
    'Folder for orientations.png, orientation.json and index.html, a page that shows them; created if missing; null: none.',
  ),
  ...overwriteFields,
  ...opening,
});

/** Labels for supervised training, cut from a reconstruction of the same scan. */
export const labelConfigSchema = z.strictObject({
  reconstruction: required(
    path,
    'NPZ with the reconstruction of this scan: reconstructed_object, and frame_origin_yx_px where it has one.',
  ),
  output_file: required(path, 'NPZ file to write: the scan with "label".'),
  ...overwriteFields,
});

/** Images for other programs. */
export const exportConfigSchema = z.strictObject({
  output_dir: field(path, 'exported', 'Folder for the files; created if missing.'),
  ...overwriteFields,
  tiff: offByDefault('Write amplitude.tif and phase.tif (float32, a page for each image) and export.json.'),
  cxi: offByDefault('Write NAME.cxi (HDF5) for each image: complex object, probe, positions, pixel size, energy.'),
  stack: field(
    flag,
    true,
    'TIFF: all images on common pixels as pages of one file; without it each has its own, NAME_amplitude.tif and NAME_phase.tif.',
  ),
  align: field(
    oneOf('register', 'frames'),
    'register',
    'How a page finds the one before: by registration (both must show nearly the same), or where its file says it lies.',
  ),
  crop: field(
    oneOf('box', 'inner', 'none'),
    'box',
    'Which pixels: the rectangle around what all images cover (what is not covered is NaN), the largest rectangle without a gap, or all that they have.',
  ),
  unwrap: field(flag, true, 'Continue the phase beyond ±π; without it the phase is wrapped.'),
  remove_ramp: field(flag, true, 'Take the plane of least squares off the phase, which a measurement leaves open.'),
  air_px: maybe(
    positiveInteger,
    'Width of strips at the left and the right that hold nothing but air: ramp and offset of the phase are taken from them, and the amplitude is 1 there; null: from the whole image.',
    { unit: 'px' },
  ),
});

/** The demonstration: everything else about it is fixed. */
export const demoConfigSchema = z.strictObject({
  output_dir: field(
    path,
    'demo-output',
    'Folder for the pictures, the report and the trained bundle; created if missing.',
  ),
  ...overwriteFields,
  nepochs: maybe(positiveInteger, 'Passes over the training groups; null: as many as the demo needs.', {
    unit: 'epochs',
  }),
  gridsize: modelFields.gridsize,
  seed: field(seedNumber, 0, 'Seed for the scan, the object and the training.'),
  execution: deviceConfigSchema.prefault({}),
});

/** A scan, or what `infer` made of one, as a product. */
export const productExportConfigSchema = z.strictObject({
  output_file: required(path, 'Product to write: HDF5 (.h5, .hdf5) or NPZ (.npz).'),
  ...overwriteFields,
  test_data_file: maybe(
    path,
    'Scan from which the image in an output folder was made; null: the one that its run.json names.',
  ),
  raw_data: offByDefault('Put the patterns into the product, too (HDF5 only).'),
  patterns: offByDefault(
    'Write the patterns beside the product, as diffraction.h5: the two files are what Ptychodus opens, and what its batch mode is given.',
  ),
  name: maybe(text, "Name of the product; null: the source's."),
  comments: maybe(text, "Comments; null: the source's."),
  exposure_time_s: maybe(nonNegativeNumber, "Exposure time per pattern; null: the source's, else 0.", {
    unit: 's',
  }),
  probe_photon_count: maybe(nonNegativeNumber, "Probe photons per pattern; null: the source's, else 0.", {
    unit: 'photons',
  }),
  mass_attenuation_m2_kg: maybe(nonNegativeNumber, "Mass attenuation of the object; null: the source's, else 0.", {
    unit: 'm²/kg',
  }),
  tomography_angle_deg: maybe(anyNumber, "Angle of the object; null: the source's, else 0.", {
    unit: '°',
  }),
  ...opening,
});

/** A product as a contract NPZ. */
export const productImportConfigSchema = z.strictObject({
  output_file: required(path, 'NPZ file to write.'),
  ...overwriteFields,
  diffraction: maybe(
    path,
    "The patterns that belong to the product (Ptychodus' diffraction.h5, or an NPZ, NPY or HDF5 file of patterns); null: those inside the product, if it has any.",
  ),
  object_convention: field(
    oneOf('ptychodus', 'pty-chi'),
    'ptychodus',
    'Where a patch lies on the object of the product. Ptychodus, and everything here: its pixel N/2 is at the position. Pty-Chi: its middle, half a pixel before pixel N/2, is, so that objects which it reconstructed are half a pixel off; with pty-chi that is put right.',
  ),
  compress: offByDefault('Compress the arrays: the file is smaller, but its patterns cannot be read one by one.'),
  accept_changes: offByDefault(
    'Import a product of ptychopinn that was changed after it was written; without it that is an error.',
  ),
  ...opening,
});

/** The members of a bundle as files. */
export const extractConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for the members; created if missing.'),
  ...overwriteFields,
});

/** A bundle under the names of the published tools. */
export const exportWeightsConfigSchema = z.strictObject({
  output_file: required(path, 'NPZ file to write.'),
  ...overwriteFields,
  format: field(
    oneOf('torch-npz', 'keras'),
    'torch-npz',
    'Names and axes of the published PyTorch networks (cnn_cbam and those with spectral layers), or of the Keras network (cnn here).',
  ),
});

/** A model that another program trained, as a bundle. Fields that are null follow the file, then the published defaults. */
export const importConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for wts.zip; created if missing.'),
  ...overwriteFields,
  probe: maybe(
    text,
    'Probe of the forward model, FILE or FILE:key; null: the one stored with the weights. Predicting the object does not need it.',
  ),
  probe_normalization: field(
    oneOf('published', 'none'),
    'published',
    'What --probe holds: a probe as scan files have it, to be divided by probe_scale · mean|P| as the published tools do, or (none) one that already is.',
  ),
  probe_scale: maybe(positiveNumber, 'The factor probe_scale; null: as the file says, else 4.'),
  intensity_scale: maybe(
    positiveNumber,
    '√counts per unit of normalised amplitude; null: as the file says, else √nphotons/(N/2).',
  ),
  nphotons: maybe(positiveNumber, 'Photons per pattern; null: as the file says, else 1e9.', {
    unit: 'photons',
  }),
  measurement_domain: field(
    oneOf('normalized_amplitude', 'count_amplitude', 'count_intensity'),
    'normalized_amplitude',
    'What the numbers in the training file were.',
  ),
  model_type: maybe(oneOf('pinn', 'supervised'), 'How the model was trained; null: as the file says, else pinn.'),
  amp_activation: maybe(
    oneOf('sigmoid', 'swish', 'softplus', 'relu'),
    'Activation of the amplitude head; null: as the file says, else that of the published tool (PyTorch swish, TensorFlow sigmoid).',
  ),
  border_activation: field(
    oneOf('same', 'swish'),
    'swish',
    'Activation of the border branch; the published networks have swish.',
  ),
  cnn_output_mode: maybe(
    oneOf('amp_phase', 'real_imag'),
    'What the two decoders output; null: as the file says, else amp_phase.',
  ),
  physics_forward_mode: maybe(
    oneOf('amplitude', 'rectangular_scaled'),
    'How patches are multiplied by the probe; null: as the file says, else amplitude.',
  ),
  probe_big: maybe(flag, 'Whether the border branch is used; null: as the file says, else if there is one.'),
  pad_object: maybe(flag, 'Whether the centre is padded; null: as the shapes say.'),
  probe_mask: maybe(flag, 'Whether the probe is cut to a disk; null: as the file says, else false.'),
  gaussian_smoothing_sigma: maybe(nonNegativeNumber, 'Blur of the illuminated field; null: as the file says, else 0.', {
    unit: 'px',
  }),
  ignore_unmapped: offByDefault(
    'Ignore weights that have no place in the network, and list them; without it they are an error.',
  ),
});

export type {
  ConvertConfig,
  DemoConfig,
  ExportConfig,
  ExportWeightsConfig,
  ExtractConfig,
  ImportConfig,
  InspectConfig,
  LabelConfig,
  OrientConfig,
  ProductExportConfig,
  ProductImportConfig,
  SplitConfig,
} from '../interfaces.js';
