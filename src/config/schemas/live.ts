/**
 * `live`: a scan that is being measured, and the detector that a simulation plays.
 *
 * @example
 * liveConfigSchema.parse({ source: 'tcp://127.0.0.1:9999' }).every_seconds; // 1
 */

import { z } from 'zod';
import {
  field,
  frameSource,
  maybe,
  offByDefault,
  oneOf,
  path,
  positiveInteger,
  positiveNumber,
  required,
} from '../../core/field.js';
import { dataConfigSchema } from './data.js';
import { deviceConfigSchema } from './execution.js';
import { overwriteFields, sourceFields } from './shared.js';
import { SOLVER_ALGORITHMS } from './solver.js';

const { probe, measurement_domain } = sourceFields;

/** `live`. */
export const liveConfigSchema = z.strictObject({
  source: required(
    frameSource,
    'Where frames come from: tcp://HOST:PORT of a detector (Dectris stream, version 1), an HDF5 file that grows, or a folder of frames.',
  ),
  output_dir: field(
    path,
    'live_outputs',
    'Folder for the record of a stream, previews and the image; created if missing.',
  ),
  ...overwriteFields,
  resume: offByDefault('Go on with the record of a stream that is in output_dir.'),
  model_path: maybe(path, 'Bundle of a network, which sees every pattern as it comes; null: none.'),
  algorithm: maybe(
    oneOf(...SOLVER_ALGORITHMS),
    'Solver that goes over all patterns that have come, again and again; null: rpie where there is no network, none beside one.',
  ),
  epochs: field(positiveInteger, 40, 'Passes over the whole scan when it has ended, without a network.', {
    unit: 'epochs',
  }),
  every_seconds: field(positiveNumber, 1, 'Between two previews.', { unit: 's' }),
  idle_seconds: field(positiveNumber, 10, 'A file or folder that has not grown for so long is finished.', {
    unit: 's',
  }),
  n_frames: maybe(
    positiveInteger,
    'The scan is finished after so many frames, and those are used; null: when the stream says so, or nothing comes any more.',
    {
      unit: 'frames',
    },
  ),
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
  execution: deviceConfigSchema.prefault({}),
});

export type LiveConfig = Readonly<z.output<typeof liveConfigSchema>>;
