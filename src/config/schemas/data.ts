/**
 * How a scan file is opened and its patterns are grouped: the block `data` of training, inference and the data tools.
 *
 * @example
 * dataConfigSchema.parse({ flip_y: true, crop_px: 128 }).neighbor_function; // 'nearest'
 */

import { z } from 'zod';
import {
  field,
  flag,
  maybe,
  nonNegativeNumber,
  numberPair,
  offByDefault,
  oneOf,
  orWord,
  patternSide,
  positiveInteger,
  positiveNumber,
  text,
  textList,
  wholeNumber,
} from '../../core/field.js';

/** The families of scan files; `data_format` names one, or `auto`. */
export const SCAN_FORMATS = ['npz', 'ptychodus', 'hdf5', 'cxi', 'npy', 'tiff'] as const;
/** The name of a format of scan files. */
export type ScanFormat = (typeof SCAN_FORMATS)[number];

/** What a scan file holds and where, how frames become patterns, and the geometry of the experiment. */
const fileFields = {
  data_format: field(
    oneOf('auto', ...SCAN_FORMATS),
    'auto',
    'Format of the scan files; auto recognises it from the file.',
  ),
  diffraction_path: maybe(
    text,
    'Where the patterns are inside the file: an HDF5 dataset such as /entry/data/data, or an NPZ key; null: the usual places.',
  ),
  positions: maybe(
    text,
    'Scan positions from FILE or FILE:key: a table whose titles name x, y, their unit and an index (without titles .csv is y,x in metres, .txt x y), NPY, NPZ or HDF5; null: those of the scan file.',
  ),
  positions_unit: maybe(oneOf('px', 'm'), 'Unit of the positions: object pixels or metres; null: as the format says.'),
  product: maybe(
    text,
    'Ptychodus product file with positions, probe and object for a diffraction.h5; null: a product beside it, if there is one.',
  ),
  bad_pixels: maybe(
    text,
    'Mask of unusable detector pixels (true = bad) from FILE or FILE:key; null: the mask of the scan file, if it has one.',
    { aliases: ['mask'] },
  ),
  invert_mask: offByDefault('In the mask, true means good.'),
  auto_mask: offByDefault('Also mask hot and dead pixels found in the patterns.'),
  valid_range: maybe(
    text,
    'Range of valid stored values, LO:HI (either may be left out); pixels outside it are masked, single later values clipped to it; null: all.',
  ),
  dark: maybe(
    text,
    'Dark frame to subtract from every pattern, from FILE or FILE:key (several frames are averaged), or one number for all pixels; null: none.',
  ),
  flat: maybe(text, 'Flat field to divide every pattern by, from FILE or FILE:key; its mean becomes 1; null: none.'),
  gain: maybe(positiveNumber, 'Detector units per photon; patterns are divided by it; null: 1.'),
  frames: maybe(
    text,
    'Frames to use, counted from 0 as in the file: FROM:TO:STEP, a list such as 0,4,9:20, or a text file of numbers; null: all.',
  ),
  skip_frames: maybe(
    text,
    'Frames to leave out, written in the same way; the word unreadable leaves out frames that cannot be decoded; null: none.',
  ),
  min_counts: maybe(
    nonNegativeNumber,
    'Leave out frames with fewer counts than this in total; null: dark frames only.',
    { unit: 'counts' },
  ),
  drop_unpaired: offByDefault(
    'Leave out frames without a position, positions without a frame, and those that are NaN; where nothing numbers them, those at the end.',
  ),
  channel: maybe(
    wholeNumber,
    'Which threshold or energy to use, counted from 0, where frames hold several (n, channels, rows, columns); null: there is only one.',
  ),
  scan_shape: maybe(
    numberPair,
    'Rows and columns of a raster scan, such as 40,60: the positions follow from it and scan_step (an array of four axes needs scan_step only); leave out fly-back frames with frames; null: none.',
  ),
  scan_step: maybe(
    text,
    'Step of that raster with its unit (px, m, um, nm, A), such as 5px or 20nm; y and x separated by a comma if they differ; null: none.',
  ),
  fftshift: field(
    oneOf('auto', 'yes', 'no'),
    'auto',
    'Move the zero frequency from the corners of the frames to their middle; auto does so when it clearly lies in the corners.',
  ),
  crop_px: maybe(patternSide, 'Cut patterns to a square of this side; null: as they are.', {
    unit: 'px',
  }),
  crop_center_px: maybe(
    orWord(numberPair, 'auto'),
    'Row and column of the pixel that becomes the zero frequency; auto finds the beam; null: the middle of the frame.',
    { unit: 'px', aliases: ['centre'] },
  ),
  pad_to: maybe(
    patternSide,
    'Surround patterns with empty pixels up to this side, after the crop; null: as they are.',
    { unit: 'px' },
  ),
  rebin: field(positiveInteger, 1, 'Sum squares of this many pixels on a side, after cropping and padding.', {
    unit: 'px',
  }),
  allow_links: field(
    textList,
    [],
    'Folder that links inside an HDF5 file may lead to, besides its own; may be repeated.',
  ),
  accept: field(textList, [], 'Code of a finding that would stop the command, which then goes on; may be repeated.'),
  energy_eV: maybe(positiveNumber, "Photon energy; null: the file's.", { unit: 'eV' }),
  electron_keV: maybe(
    positiveNumber,
    'Kinetic energy of electrons (4D-STEM), for their relativistic wavelength; null: photons.',
    { unit: 'keV' },
  ),
  detector_distance_m: maybe(positiveNumber, "Distance from sample to detector; null: the file's.", {
    unit: 'm',
  }),
  detector_pixel_m: maybe(positiveNumber, "Side of a detector pixel; null: the file's.", { unit: 'm' }),
  object_pixel_m: maybe(
    positiveNumber,
    "Side of an object pixel, by which positions in metres are divided; null: the file's, or wavelength · distance / (N · detector pixel).",
    { unit: 'm' },
  ),
  near_field: maybe(
    flag,
    'Patterns are near fields, images of the sample a little behind it; null: where propagation_distance_m is given, here or in the file.',
  ),
  propagation_distance_m: maybe(positiveNumber, "Near fields: distance from sample to detector; null: the file's.", {
    unit: 'm',
  }),
  source_distance_m: maybe(
    positiveNumber,
    "Near fields in a cone beam: distance from source or focus to sample, which gives magnification and effective distance; null: the file's, or a parallel beam.",
    { unit: 'm' },
  ),
};

/** Which way the positions lie. */
const orientationFields = {
  flip_x: offByDefault('Negate the x coordinates (first of the orientation options).'),
  flip_y: offByDefault('Negate the y coordinates (second).'),
  swap_xy: offByDefault('Exchange x and y coordinates (third, after the flips).'),
};

/** What else happens to positions and patterns. */
const coordinateFields = {
  coord_scale: field(positiveNumber, 1, 'Multiply the coordinates by this (fourth).'),
  transpose: offByDefault(
    'Exchange rows and columns of every pattern and of the bad-pixel mask, not of the probe (fifth).',
  ),
  x_bounds: maybe(
    numberPair,
    'Use only positions whose x lies between these fractions of its range, such as 0.1,0.9; null: all.',
  ),
  y_bounds: maybe(numberPair, 'Use only positions whose y lies between these fractions of its range; null: all.'),
};

/** How patterns become groups. */
const groupingFields = {
  neighbor_function: field(
    oneOf('nearest', 'min_distance', 'four_quadrants'),
    'nearest',
    'How members of a group are chosen: among the nearest, the nearest beyond a distance, or one from each quadrant (gridsize 2).',
  ),
  min_neighbor_distance_px: field(
    nonNegativeNumber,
    0,
    'Members are at least this far from the seed position (min_distance, four_quadrants).',
    { unit: 'px' },
  ),
  max_neighbor_distance_px: field(
    positiveNumber,
    3,
    'Members are closer to the seed position than this (four_quadrants).',
    { unit: 'px' },
  ),
  quadrant_candidates: field(
    positiveInteger,
    30,
    'Number of nearest neighbours to sort into quadrants (four_quadrants).',
  ),
  scan_pattern: field(
    oneOf('isotropic', 'rectangular'),
    'isotropic',
    'Where the quadrants of four_quadrants lie: at the axes through the seed position, or (rectangular, for rows that lie farther apart than positions in them) left and right in its own row, from 0.7 px before it to 2 px behind it, and left and right in rows more than 2 px before it, up to 12 px to either side.',
  ),
  cache_groups: offByDefault(
    'Cache the groups in a file beside the scan and reuse them as long as nothing they depend on has changed.',
  ),
};

/** Fields of {@link dataConfigSchema}. */
export const dataFields = { ...fileFields, ...orientationFields, ...coordinateFields, ...groupingFields };
/** Those of commands that make no groups. */
export const openingFields = { ...fileFields, ...orientationFields, ...coordinateFields };
/** Those of the command that finds out the orientation. */
export const orientingFields = { ...fileFields, ...coordinateFields };
const { product: _, ...fileOfProduct } = fileFields;
/** Those of the command whose argument is the product. */
export const productFields = { ...fileOfProduct, ...orientationFields, ...coordinateFields };

/** Fields that describe one file, and say nothing of several. */
export const FIELDS_OF_ONE_SCAN = ['positions', 'product', 'frames', 'skip_frames', 'scan_shape'] as const;

/** How scan files are read and grouped; every field has a default. */
export const dataConfigSchema = z.strictObject(dataFields).superRefine((config, context) => {
  for (const name of ['x_bounds', 'y_bounds'] as const) {
    const bounds = config[name];
    if (bounds === null) continue;
    const [low, high] = bounds;
    if (low >= 0 && high <= 1 && low < high) continue;
    context.addIssue({
      code: 'custom',
      path: [name],
      message: `${name} must be two rising fractions from 0 to 1, such as 0.1,0.9, got ${low},${high}.`,
    });
  }
});

export type { DataConfig } from '../interfaces.js';
