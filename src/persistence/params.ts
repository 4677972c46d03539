/**
 * `params.json`: the configuration under the flat names of the Python tools, for programs that know those.
 *
 * @example
 * bundleParams(bundle)['object.big']; // true
 */
import { derivedParams, type LegacyConfig, toLegacyParams } from '../config/legacy/params.js';
import { PtychoError } from '../core/errors.js';
import { LOG_INTENSITY_SCALE } from '../model/network.js';
import { bundleConfig } from './bundleConfig.js';
import type { Bundle } from './content.js';
import { canonicalJson } from './json.js';

/** `_version` of the published snapshots whose keys these are. */
export const PARAMS_VERSION = '1.0';

/** √counts per unit of normalised amplitude: the trained scale, where it was trained. */
export function trainedIntensityScale({ weights, scale }: Pick<Bundle, 'weights' | 'scale'>): number {
  const trained = weights[LOG_INTENSITY_SCALE];
  return trained ? Math.exp(trained.data[0]) : scale.intensityScale;
}

/** What `params.json` holds: the fields that shape the model, `intensity_scale` and `_version`; a fresh dictionary each time. */
export function bundleParams(content: Pick<Bundle, 'config' | 'weights' | 'scale'>): Record<string, unknown> {
  const params = toLegacyParams(bundleConfig(content.config) as unknown as LegacyConfig);
  return { ...params, intensity_scale: trainedIntensityScale(content), _version: PARAMS_VERSION };
}

/**
 * Side of the group canvas that the published tools derive from a dictionary, px, made even; N for one member a group.
 * @param params what a file says; keys that are missing have their published default.
 */
export function publishedCanvas(params: Readonly<Record<string, unknown>>, N: number, gridsize: number): number {
  if (gridsize === 1) return N;
  const numbers = Object.entries(params).filter(([, value]) => typeof value === 'number');
  const { padded_size } = derivedParams({ ...Object.fromEntries(numbers), N, gridsize });
  return 2 * Math.ceil(padded_size / 2);
}

/**
 * Checks a parsed `params.json` against what the other members say; keys that came after it was written may be missing.
 * @throws PtychoError BUNDLE_INVALID naming the first key that is unknown or says something else.
 */
export function checkParams(found: unknown, content: Pick<Bundle, 'config' | 'weights' | 'scale'>): void {
  const bad = (why: string) => new PtychoError('BUNDLE_INVALID', `params.json: ${why}.`, { member: 'params.json' });
  if (typeof found !== 'object' || found === null || Array.isArray(found)) throw bad('it is not a dictionary');
  const expected = bundleParams(content);
  for (const [key, value] of Object.entries(found)) {
    if (!Object.hasOwn(expected, key)) throw bad(`${key} is no key of this configuration`);
    if (canonicalJson(value) !== canonicalJson(expected[key])) {
      throw bad(`${key} is ${JSON.stringify(value)}, but the other members say ${JSON.stringify(expected[key])}`);
    }
  }
  for (const key of ['_version', 'intensity_scale']) if (!Object.hasOwn(found, key)) throw bad(`it lacks ${key}`);
}
