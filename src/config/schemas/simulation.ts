/** `simulate`: a scan with a known object. */

import { z } from 'zod';
import {
  anyNumber,
  belowOne,
  field,
  flag,
  maybe,
  nonNegativeNumber,
  numberList,
  numberPair,
  offByDefault,
  oneOf,
  path,
  patternSide,
  positiveInteger,
  positiveNumber,
  required,
  seedNumber,
  streamAddress,
  text,
  wholeNumber,
} from '../../core/field.js';
import { SIMULATION_PRESET_NAMES } from '../simulationPresets.js';
import { overwriteFields } from './shared.js';

/** What is written, and what repeats it. */
const outputFields = {
  output_file: required(path, 'NPZ file to write.'),
  ...overwriteFields,
  preset: maybe(
    oneOf(...SIMULATION_PRESET_NAMES),
    'A ready-made recipe (listed below); other flags override it; null: the defaults in this list.',
  ),
  input_file: maybe(
    path,
    'Take objectGuess and probeGuess from this NPZ, as simulate_and_save does: 500 random positions and 1e9 photons unless you say otherwise.',
  ),
  visualize: offByDefault('Write a picture of object, probe, scan and patterns beside the file (.png).'),
  labels: maybe(
    flag,
    'Write known patches of the object, one per pattern, as "label" for supervised training (twice the size of the patterns); null: only if positions have errors, because the object alone does not determine them then.',
  ),
  ground_truth: offByDefault('Write the same patches as "ground_truth_patches", the key of the Python tools.'),
  gridsize: maybe(
    positiveInteger,
    'Recorded in the metadata only: there is one pattern and one patch per position, whatever the gridsize; null: not recorded.',
  ),
};

/** All randomness. */
const seedFields = {
  seed: field(seedNumber, 0, 'Governs every random number; the same seed gives the same bytes.'),
  object_seed: maybe(
    seedNumber,
    'Seed for the object alone: keep it and change seed for another scan of the same object; null: from seed.',
  ),
  probe_seed: maybe(seedNumber, 'Seed for the drawn aberrations of the probe alone; null: from seed.'),
  scan_seed: maybe(seedNumber, 'Seed for the positions and their errors alone; null: from seed.'),
  detector_seed: maybe(
    seedNumber,
    'Seed for the places of dead and hot pixels alone (one detector for several scans); null: from seed.',
  ),
  noise_seed: maybe(seedNumber, 'Seed for photon and read-out noise alone; null: from seed.'),
};

/** What is imaged. */
const objectFields = {
  object: field(
    oneOf('lines', 'siemens_star', 'dead_leaves', 'random_field', 'points', 'diagonals', 'blank', 'image', 'file'),
    'lines',
    'What is imaged: random segments at three scales, a resolution target, overlapping shapes of all sizes (most like real samples), Gaussian noise of a given spectrum, specks, crossed lines, nothing, pictures, or the complex object of a file.',
  ),
  object_side_px: maybe(
    positiveInteger,
    'Side of a drawn object; null: three and a half times N, or the size of the file.',
    { unit: 'px' },
  ),
  n_objects: field(
    positiveInteger,
    1,
    'Different objects under one probe, side by side in one file and told apart by scan_index: several experiments to train on at once.',
  ),
  amplitude_range: maybe(
    numberPair,
    'Smallest and largest amplitude, such as 0.9,1 for a weak object; null: typical of the kind of object.',
  ),
  phase_span_rad: maybe(
    nonNegativeNumber,
    'Largest minus smallest phase; above 6.28 it wraps; null: typical of the kind of object.',
    { unit: 'rad' },
  ),
  object_phase: maybe(
    oneOf('independent', 'from_amplitude', 'none'),
    "Where the phase comes from: a separate draw, π·tanh of the amplitude (published), or nowhere; null: a separate draw, or the picture's phase if there is one.",
  ),
  random_field_exponent: field(
    nonNegativeNumber,
    0.4,
    'Amplitudes of the random field fall as frequency to minus this: 0.4 (published) is grainy, 1.5 cloudy.',
  ),
  object_file: maybe(
    text,
    'Complex object from FILE or FILE:key (NPZ, NPY, HDF5; objectGuess, object or reconstructed_object when no key is given); null: from input_file.',
  ),
  amplitude_image: maybe(
    text,
    'Picture whose brightness becomes the amplitude: PNG, TIFF, NPY, or FILE:key; null: constant amplitude.',
  ),
  phase_image: maybe(text, 'The same for the phase, of equal size; null: none.'),
};

/** What illuminates it. */
const probeFields = {
  N: maybe(patternSide, 'Side of the square diffraction patterns; null: 64, or the side of the probe from a file.', {
    unit: 'px',
  }),
  probe: field(
    oneOf('structured', 'default_disk', 'gaussian', 'zone_plate', 'zernike', 'diffuser', 'file'),
    'structured',
    'What illuminates the object: a round flat-topped beam with curved phase, the published default disk (real, no phase), a Gaussian, the ring beam of a Fresnel zone plate, a disc with aberrations, a wide beam behind a diffuser (for near fields), or the probe of a file.',
  ),
  probe_diameter_px: maybe(
    positiveNumber,
    'Full width at half maximum (structured, gaussian) or diameter of the lit disc (zone_plate, zernike, diffuser); null: a third of N, behind a diffuser three quarters.',
    { unit: 'px' },
  ),
  probe_curvature_rad: field(
    nonNegativeNumber,
    1.2,
    'Curvature of the structured and the Gaussian probe: phase at half maximum minus that at the centre. Curved probes tell the object from its twin.',
    { unit: 'rad' },
  ),
  probe_coma_rad: field(
    nonNegativeNumber,
    0,
    'Coma of the structured and the Gaussian probe at half maximum; it breaks the symmetry that a curved phase alone leaves.',
    { unit: 'rad' },
  ),
  probe_coma_angle_rad: field(anyNumber, 0, 'Direction of the coma, from +x to +y.', { unit: 'rad' }),
  probe_mode_powers: maybe(
    numberList,
    'Powers of incoherent, mutually orthogonal modes, such as 0.7,0.2,0.1 (partial coherence); null: one mode.',
  ),
  aberrations_rad: maybe(
    numberList,
    'Zernike terms 4, 5, 6, … in the order of Noll (defocus, astigmatism ×2, coma ×2, …), rms over the disc, for zernike and zone_plate; null: drawn for zernike, none for zone_plate.',
    { unit: 'rad' },
  ),
  aberration_rms_rad: field(nonNegativeNumber, 1, 'Rms of drawn aberrations, or of the phase of a diffuser.', {
    unit: 'rad',
  }),
  diffuser_grain_px: field(
    positiveNumber,
    3,
    'Grain of the diffuser: standard deviation of what its noise is blurred by.',
    {
      unit: 'px',
    },
  ),
  outer_zone_m: maybe(
    positiveNumber,
    'Width of the outermost zone of the zone plate, about the size of its focus; null: three object pixels.',
    { unit: 'm' },
  ),
  zone_plate_stop: field(belowOne, 0.35, "Diameter of the zone plate's central stop as a share of its own."),
  defocus_m: maybe(
    anyNumber,
    'Distance of the sample behind the focus of the zone plate; null: what makes the lit disc probe_diameter_px wide.',
    { unit: 'm' },
  ),
  probe_file: maybe(text, 'Probe from FILE or FILE:key (NPZ, NPY, HDF5; modes first); null: from input_file.'),
  energy_eV: maybe(positiveNumber, 'Photon energy, for lengths in metres; recorded in the file; null: none.', {
    unit: 'eV',
  }),
  object_pixel_m: maybe(
    positiveNumber,
    'Side of an object pixel, for lengths in metres; recorded in the file; null: everything is in pixels.',
    { unit: 'm' },
  ),
};

/** A detector that is near. */
const nearFieldFields = {
  propagation_distance_m: maybe(
    positiveNumber,
    'Distance from sample to a near detector, whose patterns are images (near fields); needs energy_eV and object_pixel_m; null: the detector is far away.',
    { unit: 'm' },
  ),
  source_distance_m: maybe(
    positiveNumber,
    'In a cone beam, distance from its source or focus to the sample; object_pixel_m is then that of the magnified detector; null: a parallel beam.',
    { unit: 'm' },
  ),
};

/** Where it is scanned. */
const scanFields = {
  scan: field(
    oneOf('jittered_raster', 'fermat_spiral', 'concentric', 'random', 'file'),
    'jittered_raster',
    'Where it is scanned: a raster with random shifts (a plain one leaves a lattice in the image), a Fermat spiral, rings, random positions, or those of a file.',
  ),
  step_px: maybe(
    positiveNumber,
    'Mean distance between neighbouring positions; a third of the probe diameter overlaps well; null: a twelfth of N.',
    { unit: 'px' },
  ),
  n_patterns: maybe(
    positiveInteger,
    'About this many positions on each object (exactly so for random ones), in place of step_px; null: as step_px gives.',
    { unit: 'patterns', aliases: ['n_images'] },
  ),
  jitter: field(nonNegativeNumber, 0.3, 'Largest shift of a raster position along each axis, in steps.'),
  buffer_px: maybe(
    nonNegativeNumber,
    'Positions keep this distance from the edges of the object; null: N/2 + 1, so that patterns see nothing beyond it.',
    { unit: 'px', aliases: ['buffer'] },
  ),
  position_error_px: field(
    nonNegativeNumber,
    0,
    'Standard deviation, along each axis, of the true positions around the recorded ones; the truth is kept as xcoords_true and ycoords_true.',
    { unit: 'px' },
  ),
  fly_way_px: maybe(
    numberPair,
    'Way of the sample during each exposure, y and x, such as 0,6: a fly scan, whose patterns are means over it. Positions are the middles; the file also says where exposures start and end; null: it stands still.',
    { unit: 'px' },
  ),
  positions_file: maybe(
    text,
    'Positions from FILE or FILE:key (.csv holds y,x in metres, .txt x y, else NPY, NPZ or HDF5); moved to the middle of the object where they do not lie on it; null: none.',
  ),
  positions_unit: maybe(oneOf('px', 'm'), 'Unit of positions_file: object pixels or metres; null: as the file says.'),
};

/** What the detector makes of it. */
const detectorFields = {
  photons: field(positiveNumber, 1e6, 'Mean photons per pattern, before beam stop and detector.', {
    unit: 'photons',
    aliases: ['n_photons', 'nphotons'],
  }),
  noise: field(flag, true, 'Draw Poisson counts; false: expected values, without read-out noise.'),
  electrons_per_photon: field(positiveNumber, 1, 'Electrons per photon in a pixel.', { unit: 'electrons' }),
  readout_noise_e: field(nonNegativeNumber, 0, 'Gaussian read-out noise, rms; 0: a photon-counting detector.', {
    unit: 'electrons',
  }),
  full_well_e: maybe(
    positiveNumber,
    'Electrons that a pixel holds; brighter ones are clipped (saturation); null: no limit.',
    { unit: 'electrons' },
  ),
  dead_pixels: field(wholeNumber, 0, 'Pixels at random places that always read 0.', { unit: 'pixels' }),
  hot_pixels: field(
    wholeNumber,
    0,
    'Pixels at random places that always read the full well, or 65535 counts without one.',
    { unit: 'pixels' },
  ),
  beamstop_diameter_px: field(
    nonNegativeNumber,
    0,
    'Diameter of a disc around the zero frequency where no light arrives; 0: none.',
    { unit: 'px' },
  ),
  detector_mask: maybe(
    text,
    'More unusable pixels (true = bad, such as the gaps between modules) from FILE or FILE:key; null: none.',
  ),
  declare_bad_pixels: field(
    flag,
    true,
    'Write all these as bad_pixels, which training leaves out; false: leave them in the patterns undeclared, to see what that does.',
  ),
};

/** How a detector is played. */
const publishFields = {
  publish: maybe(
    streamAddress,
    'Send the frames of the scan as a detector does, to whoever connects to this address: tcp://127.0.0.1:9999; null: no.',
  ),
  publish_hz: field(positiveNumber, 100, 'Frames a second that are sent.', { unit: 'Hz' }),
  publish_encoding: field(
    oneOf('none', 'lz4', 'bslz4'),
    'bslz4',
    'How they are packed; of a simulation, in valid blocks that are not smaller.',
  ),
};

/** The groups in which fields are shown, in order. */
export const SIMULATION_GROUPS = {
  Simulation: outputFields,
  Object: objectFields,
  Probe: probeFields,
  Scan: scanFields,
  'Photons and detector': { ...detectorFields, ...nearFieldFields },
  'Random numbers': seedFields,
  'Playing a detector': publishFields,
} as const;

/** The fields that rules look at; the schema has them all. */
interface Fields {
  readonly object: string;
  readonly probe: string;
  readonly scan: string;
  readonly [name: string]: unknown;
}

/** Fields that play a part only beside one value of another. */
const ONLY_WITH: readonly (readonly [field: string, of: string, value: string])[] = [
  ['object_file', 'object', 'file'],
  ['amplitude_image', 'object', 'image'],
  ['phase_image', 'object', 'image'],
  ['probe_file', 'probe', 'file'],
  ['positions_file', 'scan', 'file'],
  ['outer_zone_m', 'probe', 'zone_plate'],
  ['defocus_m', 'probe', 'zone_plate'],
];

/** Refuses fields that contradict each other or would do nothing. */
function checkSimulation(config: object, context: z.RefinementCtx): void {
  const fields = config as Fields;
  const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
  const has = (name: string) => fields[name] !== null;
  for (const [field, of, value] of ONLY_WITH) {
    if (has(field) && fields[of] !== value) {
      refuse(field, `${field} plays no part with ${of} ${String(fields[of])}; write ${of} ${value}, or leave it out.`);
    }
  }
  if (has('step_px') && has('n_patterns')) {
    refuse('n_patterns', 'step_px and n_patterns both say how dense the scan is; give one of them.');
  }
  if (has('probe_diameter_px') && has('defocus_m')) {
    refuse('defocus_m', 'probe_diameter_px and defocus_m both say how wide the zone-plate beam is; give one of them.');
  }
  if (fields.object === 'file' && !has('object_file') && !has('input_file')) {
    refuse('object', 'object file needs the file: give object_file FILE[:key] or input_file.');
  }
  if (fields.object === 'image' && !has('amplitude_image') && !has('phase_image')) {
    refuse('object', 'object image needs pictures: give amplitude_image, phase_image, or both.');
  }
  if (fields.probe === 'file' && !has('probe_file') && !has('input_file')) {
    refuse('probe', 'probe file needs the file: give probe_file FILE[:key] or input_file.');
  }
  if (fields.scan === 'file' && !has('positions_file')) {
    refuse('scan', 'scan file needs the file of the positions: give positions_file FILE[:key].');
  }
  const drawn = fields.object !== 'file' && fields.object !== 'image';
  if (!drawn && has('object_side_px')) {
    refuse('object_side_px', `object_side_px plays no part with object ${fields.object}, which has its own size.`);
  }
  if (fields.n_objects !== 1 && (!drawn || fields.object === 'blank')) {
    refuse('n_objects', `n_objects needs objects that can be drawn again; object ${fields.object} is always the same.`);
  }
  if (fields.n_objects !== 1 && has('buffer_px')) {
    refuse('buffer_px', 'buffer_px plays no part with n_objects: patterns must not see the neighbouring object.');
  }
  if ((has('outer_zone_m') || has('defocus_m')) && !has('object_pixel_m')) {
    refuse(
      'object_pixel_m',
      'outer_zone_m and defocus_m are in metres; say how large an object pixel is with object_pixel_m.',
    );
  }
  for (const needed of ['energy_eV', 'object_pixel_m'] as const) {
    if (!has('propagation_distance_m') || has(needed)) continue;
    refuse(needed, `propagation_distance_m needs ${needed}: how light goes on depends on wavelength and pixels.`);
  }
  if (has('source_distance_m') && !has('propagation_distance_m')) {
    refuse('source_distance_m', 'source_distance_m plays no part without propagation_distance_m; give that too.');
  }
  if (has('defocus_m') && !has('energy_eV')) {
    refuse('energy_eV', 'defocus_m needs the wavelength; give the photon energy with energy_eV.');
  }
  const range = fields.amplitude_range as readonly [number, number] | null;
  if (range !== null && !(range[0] >= 0 && range[1] > 0 && range[0] <= range[1])) {
    refuse(
      'amplitude_range',
      `amplitude_range must be two rising numbers from 0, such as 0.2,1, got ${range.join(',')}.`,
    );
  }
}

/** A simulated scan with a known object. */
export const simulationConfigSchema = z
  .strictObject({
    ...outputFields,
    ...objectFields,
    ...probeFields,
    ...scanFields,
    ...detectorFields,
    ...nearFieldFields,
    ...seedFields,
    ...publishFields,
  })
  .superRefine(checkSimulation);

export type { SimulationConfig } from '../interfaces.js';
