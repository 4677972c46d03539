/** What a configuration says about a model against what its bundle says. */

import { PtychoError } from '../core/errors.js';
import { show } from './collect.js';
import type { ModelClaim, ModelConfig } from './schema.js';

/**
 * Compares the fields of a claim with a model; the bundle decides.
 * @param path of the bundle, for the message.
 * @throws PtychoError CONFIG_INVALID for the first field that differs.
 */
export function checkModelClaim(claim: ModelClaim | undefined, model: ModelConfig, path: string): void {
  for (const [name, value] of Object.entries(claim ?? {})) {
    const trained: unknown = Reflect.get(model, name);
    if (value === undefined || show(value) === show(trained)) continue;
    throw new PtychoError(
      'CONFIG_INVALID',
      `${name} is given as ${show(value)}, but the model in ${path} was trained with ${show(trained)}; leave ${name} out, the bundle decides.`,
      { field: name, found: value, expected: trained, path },
    );
  }
}
