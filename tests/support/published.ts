/** Configurations with the defaults of the published tools, which tests of their numbers are about. */
import { PUBLISHED_MODEL, PUBLISHED_TRAINING } from '../../src/config/trainingPresets.js';

/** Fields of a training, its block `model` merged: what is not given has its published default. */
export function published<T extends { readonly model?: object }>(over: T) {
  return { ...PUBLISHED_TRAINING, ...over, model: { ...PUBLISHED_MODEL, ...over.model } };
}
