/** The networks by their configured name. */
import type { ModelConfig } from '../../config/schema.js';
import { PtychoError } from '../../core/errors.js';
import { baseline } from './baseline.js';
import { cnn } from './cnn.js';
import { cnnCbam } from './cnnCbam.js';
import type { Generator } from './generator.js';

const generators: Readonly<Record<ModelConfig['architecture'], Generator>> = { cnn, cnn_cbam: cnnCbam, baseline };

/**
 * The network called `architecture`.
 * @throws PtychoError MODEL_UNSUPPORTED for a name that is not registered.
 */
export function generatorOf(architecture: string): Generator {
  if (Object.hasOwn(generators, architecture)) return generators[architecture as ModelConfig['architecture']];
  throw new PtychoError(
    'MODEL_UNSUPPORTED',
    `architecture: "${architecture}" is not known; choose one of ${Object.keys(generators).join(', ')}.`,
    { found: architecture, expected: Object.keys(generators) },
  );
}
