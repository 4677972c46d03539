/** The data-making commands: a simulated scan with a known object, and the demonstration. */

import { z } from 'zod';
import { field, required } from '../field.js';
import {
  flag,
  nonNegativeNumber,
  oneOf,
  optional,
  path,
  positiveInteger,
  positiveNumber,
  seedNumber,
} from '../kinds.js';
import { checkEngine, type ExecutionConfig, executionConfigSchema } from './execution.js';
import { modelFields, patternSide } from './model.js';

/** The demonstration: everything else about it is fixed. */
export const demoConfigSchema = z
  .strictObject({
    output_dir: field(
      path,
      'demo-output',
      'Folder of the pictures, the report and the trained bundle; made if missing.',
    ),
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

/** A simulated scan with a known object. */
export const simulationConfigSchema = z
  .strictObject({
    output_file: required(path, 'NPZ file to write.', { legacyKey: null }),
    N: field(patternSide, 64, 'Side of the square diffraction patterns.', { unit: 'px', legacyKey: null }),
    object: field(
      oneOf('lines', 'siemens_star'),
      'lines',
      'What is imaged: random line segments seen at three scales, or a Siemens star.',
      { legacyKey: null },
    ),
    object_side_px: field(optional(positiveInteger), null, 'Side of the object; null: three and a half times N.', {
      unit: 'px',
      legacyKey: null,
    }),
    probe: field(
      oneOf('structured', 'default_disk'),
      'structured',
      'What illuminates: a round probe with curved phase, or the published default disk.',
      { legacyKey: null },
    ),
    probe_diameter_px: field(
      optional(positiveNumber),
      null,
      'Full width at half maximum of the structured probe; null: a third of N.',
      { unit: 'px', legacyKey: null },
    ),
    probe_curvature_rad: field(
      nonNegativeNumber,
      1.2,
      'Curvature of the structured probe: its phase at half maximum minus that at the centre.',
      { unit: 'rad', legacyKey: null },
    ),
    scan: field(
      oneOf('jittered_raster', 'fermat_spiral'),
      'jittered_raster',
      'Where it is scanned: a raster with random shifts, or a Fermat spiral.',
      { legacyKey: null },
    ),
    step_px: field(optional(positiveNumber), null, 'Mean distance of neighbouring positions; null: a twelfth of N.', {
      unit: 'px',
      legacyKey: null,
    }),
    n_patterns: field(
      optional(positiveInteger),
      null,
      'About this many positions, in place of step_px; null: as step_px gives.',
      { unit: 'patterns', legacyKey: null },
    ),
    photons: field(positiveNumber, 1e6, 'Mean counts of a pattern.', { unit: 'photons', legacyKey: null }),
    noise: field(flag, true, 'Draw Poisson counts; false: expected values.', { legacyKey: null }),
    seed: field(seedNumber, 0, 'Seed of the object, the scan and the noise.', { legacyKey: null }),
  })
  .superRefine((config, context) => {
    if (config.step_px !== null && config.n_patterns !== null) {
      context.addIssue({
        code: 'custom',
        path: ['n_patterns'],
        message: 'step_px and n_patterns both say how dense the scan is; give one of them.',
      });
    }
  });

/** See {@link simulationConfigSchema}. */
export type SimulationConfig = Readonly<z.output<typeof simulationConfigSchema>>;
/** See {@link demoConfigSchema}. */
export type DemoConfig = Readonly<
  Omit<z.output<typeof demoConfigSchema>, 'execution'> & { execution: ExecutionConfig }
>;
