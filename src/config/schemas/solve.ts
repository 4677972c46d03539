/**
 * `solve`: a scan, or several together, reconstructed by an iterative solver without a network.
 *
 * @example
 * solveConfigSchema.parse({ test_data_file: 'scan.npz', algorithm: 'lsqml' }).output_dir; // 'solver_outputs'
 */

import { z } from 'zod';
import {
  field,
  maybe,
  nonNegativeNumber,
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
import {
  algorithmFields,
  objectFields,
  passesFields,
  priorFields,
  probeFields,
  progressiveFields,
  seedFields,
  sliceFields,
  smoothingFields,
  solverFields,
  stepFields,
} from './solver.js';
import { affineFields, backgroundFields, beamFields, flyFields, positionFields } from './solverCorrections.js';

const scanFields = {
  test_data_file: required(path, 'Scan to reconstruct.', { aliases: ['test_data'] }),
  ...moreScansFields,
  ...shareFields,
  output_dir: field(path, 'solver_outputs', 'Folder for the reconstruction and its pictures; created if missing.'),
  ...overwriteFields,
  n_subsample: maybe(positiveInteger, 'Number of patterns to use, drawn at random; null: all.', {
    unit: 'patterns',
  }),
  subsample_seed: maybe(seedNumber, 'Seed for that draw, NumPy-compatible; null: the value of seed.'),
};

const beginningFields = {
  init: maybe(
    text,
    'Start from an image: a trained bundle (which reconstructs the scan first), reconstruction.npz or the folder of infer or solve, or a Ptychodus product; null: an empty object and the probe of the scan.',
  ),
  resume: maybe(
    path,
    'Continue the run in this folder from its last state; the result is the same as without the interruption. More epochs extend a finished run.',
  ),
};

/** One scan on several processes. */
const tileFields = {
  tile: maybe(
    text,
    'Solve only one of several parts of the scan, such as 2/4, with the patterns around it: for several processes, each with the same other flags; 1/1 is the whole scan as one part; null: the whole scan.',
  ),
  tile_margin_px: maybe(
    nonNegativeNumber,
    'How far around a tile patterns are taken, too; null: the radius of the probe.',
    { unit: 'px' },
  ),
  from_tiles: field(
    textList,
    [],
    'Make the image of the parts that --tile solved: their folders, or a folder that holds these; may be repeated.',
  ),
};

const outputFields = {
  save_every: field(
    optional(positiveInteger),
    10,
    'Save the state from which the run can be resumed every so many epochs; null: only at the end.',
    { unit: 'epochs' },
  ),
  preview_seconds: maybe(positiveNumber, 'Update the pictures this often while it works; null: only at the end.', {
    unit: 's',
  }),
  ...pictureFields,
  product_file: maybe(path, 'Also write the result as a Ptychodus product, HDF5 (.h5) or NPZ (.npz); null: none.'),
  ...strictFields,
};

/** The fields under the titles of the help. */
export const SOLVE_GROUPS = {
  Solving: { ...scanFields, ...algorithmFields, ...passesFields, ...seedFields, ...beginningFields },
  Steps: { ...stepFields, ...progressiveFields },
  Object: { ...objectFields, ...sliceFields, ...smoothingFields, ...priorFields },
  Probe: probeFields,
  Beam: { ...beamFields, ...backgroundFields },
  Positions: { ...positionFields, ...affineFields, ...flyFields },
  Tiles: tileFields,
  Output: outputFields,
  Source: sourceFields,
};

/** A scan and how it is solved. */
export const solveConfigSchema = z
  .strictObject({
    ...scanFields,
    ...solverFields,
    ...beginningFields,
    ...tileFields,
    ...outputFields,
    ...sourceFields,
    data: dataConfigSchema.prefault({}),
    execution: deviceConfigSchema.prefault({}),
  })
  .superRefine(checkShare)
  .superRefine(({ passes, execution }, context) => {
    const { accelerator } = execution;
    if (passes !== 'host' || accelerator === 'auto' || accelerator === 'cpu') return;
    context.addIssue({
      code: 'custom',
      path: ['passes'],
      message: `passes: host computes on the processor, but accelerator is ${accelerator}; leave one of them out.`,
    });
  });

export type { SolveConfig } from '../interfaces.js';
