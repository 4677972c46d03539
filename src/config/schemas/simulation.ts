/** The data-making commands: a simulated scan with a known object, labels from a reconstruction, and the demonstration. */

import { z } from 'zod';
import { field, required } from '../field.js';
import {
  anyNumber,
  belowOne,
  flag,
  nonNegativeNumber,
  numberList,
  numberPair,
  oneOf,
  optional,
  path,
  patternSide,
  positiveInteger,
  positiveNumber,
  seedNumber,
  text,
  wholeNumber,
} from '../kinds.js';
import { SIMULATION_PRESET_NAMES } from '../simulationPresets.js';
import { checkEngine, type ExecutionConfig, executionConfigSchema } from './execution.js';
import { modelFields } from './model.js';
import { overwriteFields } from './output.js';
import { checkSimulation } from './simulationRules.js';

/** The demonstration: everything else about it is fixed. */
export const demoConfigSchema = z
  .strictObject({
    output_dir: field(
      path,
      'demo-output',
      'Folder of the pictures, the report and the trained bundle; made if missing.',
    ),
    ...overwriteFields,
    nepochs: field(
      optional(positiveInteger),
      null,
      'Passes over the training groups; null: as many as the demo needs.',
      {
        unit: 'epochs',
      },
    ),
    gridsize: modelFields.gridsize,
    seed: field(seedNumber, 0, 'Seed of the scan, the object and the training.'),
    execution: executionConfigSchema.prefault({}),
  })
  .superRefine(checkEngine);

const local = { legacyKey: null } as const;

/** What is written, and what repeats it. */
const outputFields = {
  output_file: required(path, 'NPZ file to write.', local),
  ...overwriteFields,
  preset: field(
    optional(oneOf(...SIMULATION_PRESET_NAMES)),
    null,
    'A ready-made recipe (listed below); every other flag still wins over it; null: the defaults of this list.',
    local,
  ),
  input_file: field(
    optional(path),
    null,
    'Take objectGuess and probeGuess of this NPZ, as simulate_and_save does: 500 random positions and 1e9 photons unless you say otherwise.',
    local,
  ),
  visualize: field(flag, false, 'Write a picture of object, probe, scan and patterns beside the file (.png).', local),
  labels: field(
    optional(flag),
    null,
    'Write known patches of the object, one a pattern, as "label" for supervised training (twice the size of the patterns); null: where positions have errors, since the object alone does not tell them then.',
    local,
  ),
  ground_truth: field(
    flag,
    false,
    'Write the same patches as "ground_truth_patches", the key of the Python tools.',
    local,
  ),
  gridsize: field(
    optional(positiveInteger),
    null,
    'Recorded in the metadata; there is one pattern, and one patch cut at its own position, a position for any gridsize; null: not recorded.',
    local,
  ),
};

/** All randomness. */
const seedFields = {
  seed: field(seedNumber, 0, 'Governs every random number; the same seed gives the same bytes.', local),
  object_seed: field(
    optional(seedNumber),
    null,
    'The object alone: keep it and change seed for another scan of the same object; null: from seed.',
    local,
  ),
  probe_seed: field(optional(seedNumber), null, 'Drawn aberrations of the probe alone; null: from seed.', local),
  scan_seed: field(optional(seedNumber), null, 'Positions and their errors alone; null: from seed.', local),
  detector_seed: field(
    optional(seedNumber),
    null,
    'Places of dead and hot pixels alone (one detector for several scans); null: from seed.',
    local,
  ),
  noise_seed: field(optional(seedNumber), null, 'Photon and read-out noise alone; null: from seed.', local),
};

/** What is imaged. */
const objectFields = {
  object: field(
    oneOf('lines', 'siemens_star', 'dead_leaves', 'random_field', 'points', 'diagonals', 'blank', 'image', 'file'),
    'lines',
    'What is imaged: random segments at three scales, a resolution target, overlapping shapes of all sizes (most like real samples), Gaussian noise of a given spectrum, specks, crossed lines, nothing, pictures, or the complex object of a file.',
    local,
  ),
  object_side_px: field(
    optional(positiveInteger),
    null,
    'Side of a drawn object; null: three and a half times N, or the size of the file.',
    { unit: 'px', ...local },
  ),
  n_objects: field(
    positiveInteger,
    1,
    'Different objects under one probe, side by side in one file and told apart by scan_index: several experiments to train on at once.',
    local,
  ),
  amplitude_range: field(
    optional(numberPair),
    null,
    'Smallest and largest amplitude, such as 0.9,1 for a weak object; null: as the kind of object has it.',
    local,
  ),
  phase_span_rad: field(
    optional(nonNegativeNumber),
    null,
    'Largest minus smallest phase; above 6.28 it wraps; null: as the kind of object has it.',
    { unit: 'rad', ...local },
  ),
  object_phase: field(
    optional(oneOf('independent', 'from_amplitude', 'none')),
    null,
    "Where the phase comes from: a draw of its own, π·tanh of the amplitude (published), or nowhere; null: its own, a picture's where there is one.",
    local,
  ),
  random_field_exponent: field(
    nonNegativeNumber,
    0.4,
    'Amplitudes of the random field fall as frequency to minus this: 0.4 (published) is grainy, 1.5 cloudy.',
    local,
  ),
  object_file: field(
    optional(text),
    null,
    'Complex object from FILE or FILE:key (NPZ, NPY, HDF5; objectGuess, object or reconstructed_object when no key is given); null: from input_file.',
    local,
  ),
  amplitude_image: field(
    optional(text),
    null,
    'Picture whose brightness becomes the amplitude: PNG, TIFF, NPY, or FILE:key; null: constant amplitude.',
    local,
  ),
  phase_image: field(optional(text), null, 'The same for the phase, of equal size; null: none.', local),
};

/** What illuminates it. */
const probeFields = {
  N: field(
    optional(patternSide),
    null,
    'Side of the square diffraction patterns; null: 64, or the side of the probe from a file.',
    { unit: 'px', ...local },
  ),
  probe: field(
    oneOf('structured', 'default_disk', 'gaussian', 'zone_plate', 'zernike', 'file'),
    'structured',
    'What illuminates: a round flat-topped beam with curved phase, the published default disk (real, no phase), a Gaussian, the ring beam of a Fresnel zone plate, a disc with aberrations, or the probe of a file.',
    local,
  ),
  probe_diameter_px: field(
    optional(positiveNumber),
    null,
    'Full width at half maximum (structured, gaussian) or diameter of the lit disc (zone_plate, zernike); null: a third of N.',
    { unit: 'px', ...local },
  ),
  probe_curvature_rad: field(
    nonNegativeNumber,
    1.2,
    'Curvature of the structured and the Gaussian probe: phase at half maximum minus that at the centre. Curved probes tell the object from its twin.',
    { unit: 'rad', ...local },
  ),
  probe_coma_rad: field(
    nonNegativeNumber,
    0,
    'Coma of the structured and the Gaussian probe at half maximum; it breaks the symmetry that a curved phase alone leaves.',
    { unit: 'rad', ...local },
  ),
  probe_coma_angle_rad: field(anyNumber, 0, 'Direction of the coma, from +x to +y.', { unit: 'rad', ...local }),
  probe_mode_powers: field(
    optional(numberList),
    null,
    'Powers of incoherent, mutually orthogonal modes, such as 0.7,0.2,0.1 (partial coherence); null: one mode.',
    local,
  ),
  aberrations_rad: field(
    optional(numberList),
    null,
    'Zernike terms 4, 5, 6, … in the order of Noll (defocus, astigmatism ×2, coma ×2, …), rms over the disc, for zernike and zone_plate; null: drawn for zernike, none for zone_plate.',
    { unit: 'rad', ...local },
  ),
  aberration_rms_rad: field(nonNegativeNumber, 1, 'Rms of drawn aberrations.', { unit: 'rad', ...local }),
  outer_zone_m: field(
    optional(positiveNumber),
    null,
    'Width of the outermost zone of the zone plate, about the size of its focus; null: three object pixels.',
    { unit: 'm', ...local },
  ),
  zone_plate_stop: field(belowOne, 0.35, "Diameter of the zone plate's central stop as a share of its own.", local),
  defocus_m: field(
    optional(anyNumber),
    null,
    'Distance of the sample behind the focus of the zone plate; null: what makes the lit disc probe_diameter_px wide.',
    { unit: 'm', ...local },
  ),
  probe_file: field(
    optional(text),
    null,
    'Probe from FILE or FILE:key (NPZ, NPY, HDF5; modes first); null: from input_file.',
    local,
  ),
  energy_eV: field(
    optional(positiveNumber),
    null,
    'Photon energy, for lengths in metres; recorded in the file; null: none.',
    { unit: 'eV', ...local },
  ),
  object_pixel_m: field(
    optional(positiveNumber),
    null,
    'Side of an object pixel, for lengths in metres; recorded in the file; null: everything is in pixels.',
    { unit: 'm', ...local },
  ),
};

/** Where it is scanned. */
const scanFields = {
  scan: field(
    oneOf('jittered_raster', 'fermat_spiral', 'concentric', 'random', 'file'),
    'jittered_raster',
    'Where it is scanned: a raster with random shifts (a plain one leaves a lattice in the image), a Fermat spiral, rings, random positions, or those of a file.',
    local,
  ),
  step_px: field(
    optional(positiveNumber),
    null,
    'Mean distance of neighbouring positions; a third of the probe diameter overlaps well; null: a twelfth of N.',
    { unit: 'px', ...local },
  ),
  n_patterns: field(
    optional(positiveInteger),
    null,
    'About this many positions on each object (exactly so for random ones), in place of step_px; null: as step_px gives.',
    { unit: 'patterns', aliases: ['n_images'], ...local },
  ),
  jitter: field(nonNegativeNumber, 0.3, 'Largest shift of a raster position along each axis, in steps.', local),
  buffer_px: field(
    optional(nonNegativeNumber),
    null,
    'Positions keep this distance from the edges of the object; null: N/2 + 1, so that patterns see nothing beyond it.',
    { unit: 'px', aliases: ['buffer'], ...local },
  ),
  position_error_px: field(
    nonNegativeNumber,
    0,
    'Standard deviation, along each axis, of the true positions around the recorded ones; the truth is kept as xcoords_true and ycoords_true.',
    { unit: 'px', ...local },
  ),
  positions_file: field(
    optional(text),
    null,
    'Positions from FILE or FILE:key (.csv holds y,x in metres, .txt x y, else NPY, NPZ or HDF5); moved to the middle of the object where they do not lie on it; null: none.',
    local,
  ),
  positions_unit: field(
    optional(oneOf('px', 'm')),
    null,
    'Unit of positions_file: object pixels or metres; null: as the file says.',
    local,
  ),
};

/** What the detector makes of it. */
const detectorFields = {
  photons: field(positiveNumber, 1e6, 'Mean photons of a pattern, before beam stop and detector.', {
    unit: 'photons',
    aliases: ['n_photons', 'nphotons'],
    ...local,
  }),
  noise: field(flag, true, 'Draw Poisson counts; false: expected values, without read-out noise.', local),
  electrons_per_photon: field(positiveNumber, 1, 'Electrons that one photon makes in a pixel.', {
    unit: 'electrons',
    ...local,
  }),
  readout_noise_e: field(nonNegativeNumber, 0, 'Gaussian read-out noise, rms; 0: a photon-counting detector.', {
    unit: 'electrons',
    ...local,
  }),
  full_well_e: field(
    optional(positiveNumber),
    null,
    'Electrons that a pixel holds; brighter ones are clipped (saturation); null: no limit.',
    { unit: 'electrons', ...local },
  ),
  dead_pixels: field(wholeNumber, 0, 'Pixels at random places that always read 0.', { unit: 'pixels', ...local }),
  hot_pixels: field(
    wholeNumber,
    0,
    'Pixels at random places that always read the full well, or 65535 counts without one.',
    { unit: 'pixels', ...local },
  ),
  beamstop_diameter_px: field(
    nonNegativeNumber,
    0,
    'Diameter of a disc around the zero frequency where no light arrives; 0: none.',
    { unit: 'px', ...local },
  ),
  detector_mask: field(
    optional(text),
    null,
    'More unusable pixels (true = bad, such as the gaps between modules) from FILE or FILE:key; null: none.',
    local,
  ),
  declare_bad_pixels: field(
    flag,
    true,
    'Write all these as bad_pixels, which training leaves out; false: leave them in the patterns undeclared, to see what that does.',
    local,
  ),
};

/** The groups in which fields are shown, in order. */
export const SIMULATION_GROUPS = {
  Simulation: outputFields,
  Object: objectFields,
  Probe: probeFields,
  Scan: scanFields,
  'Photons and detector': detectorFields,
  'Random numbers': seedFields,
} as const;

/** A simulated scan with a known object. */
export const simulationConfigSchema = z
  .strictObject({
    ...outputFields,
    ...objectFields,
    ...probeFields,
    ...scanFields,
    ...detectorFields,
    ...seedFields,
  })
  .superRefine(checkSimulation);

/** Labels for supervised training, cut from a reconstruction of the same scan. */
export const labelConfigSchema = z.strictObject({
  reconstruction: required(
    path,
    'NPZ with the reconstruction of this scan: reconstructed_object, and frame_origin_yx_px where it has one.',
    local,
  ),
  output_file: required(path, 'NPZ file to write: the scan with "label".', local),
  ...overwriteFields,
});

/** See {@link simulationConfigSchema}. */
export type SimulationConfig = Readonly<z.output<typeof simulationConfigSchema>>;
/** See {@link labelConfigSchema}. */
export type LabelConfig = Readonly<z.output<typeof labelConfigSchema>>;
/** See {@link demoConfigSchema}. */
export type DemoConfig = Readonly<
  Omit<z.output<typeof demoConfigSchema>, 'execution'> & { execution: ExecutionConfig }
>;
