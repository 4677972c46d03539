/** What each verb may say, checked; one sentence where it says something else. */
import { z } from 'zod';
import { PtychoError } from '../../core/errors.js';
import { malformed, type RequestId, VERBS, type Verb } from './messageFrame.js';

const id = z.union([z.number().int().nonnegative(), z.string().min(1).max(64)]);
const text = z.string().min(1).max(4096);
const number = z.number().default(0);

/** What a product says besides its arrays; the names are those of the NPZ file. */
export const productHeader = z.strictObject({
  name: z.string().default(''),
  comments: z.string().default(''),
  detector_object_distance_m: number,
  probe_energy_eV: number,
  exposure_time_s: number,
  probe_photon_count: number,
  mass_attenuation_m2_kg: number,
  tomography_angle_deg: number,
  probe_pixel_width_m: z.number(),
  probe_pixel_height_m: z.number(),
  object_pixel_width_m: z.number(),
  object_pixel_height_m: z.number(),
  object_center_x_m: number,
  object_center_y_m: number,
});
export type ProductHeader = z.output<typeof productHeader>;

const byPath = z.strictObject({ path: text });
const input = {
  reconstructor: text,
  /** Left out: the array `patterns`. */
  patterns: byPath.optional(),
  product: z.union([byPath, productHeader]),
};
const settings = z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])));

const SCHEMAS = {
  initialize: { protocol: z.number().int(), log_level: text.optional(), settings: settings.optional() },
  'settings/describe': {},
  'settings/set': { settings },
  'log/level': { level: text },
  'model/open': { reconstructor: text, path: text },
  'model/save': { reconstructor: text, path: text },
  'training/export': { ...input, path: text },
  'reconstruct/start': {
    ...input,
    output: z
      .strictObject({
        /** Folder for `product-out.h5`, or a product file. */
        path: text.optional(),
        arrays: z.boolean().optional(),
      })
      .default({}),
    previews: z
      .strictObject({ interval_s: z.number().nonnegative().default(0), arrays: z.boolean().default(true) })
      .prefault({}),
  },
  'train/start': { reconstructor: text, input_dir: text, output_dir: text.optional() },
  cancel: { request: id.optional() },
  shutdown: {},
} as const satisfies Record<Verb, z.ZodRawShape>;

/** The fields of a request, besides its verb and id. */
export type RequestOf<V extends Verb> = z.output<z.ZodObject<(typeof SCHEMAS)[V], z.core.$strict>>;

/** What every request has. */
export interface Envelope {
  readonly id: RequestId;
  readonly verb: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Verb and id of a header.
 * @throws PtychoError PROTOCOL without them: nobody could be told what became of the request
 */
export function envelopeOf(header: Readonly<Record<string, unknown>>, frame: number): Envelope {
  const { id: given, verb, ...fields } = header;
  const parsed = id.safeParse(given);
  if (!parsed.success) {
    throw malformed(`The header of frame ${frame} needs an "id": a whole number from 0, or up to 64 letters.`, {
      key: 'id',
    });
  }
  if (typeof verb !== 'string') throw malformed(`The header of frame ${frame} needs a "verb".`, { key: 'verb' });
  return { id: parsed.data, verb, fields };
}

/** @throws PtychoError USAGE for a verb that this version does not know */
export function verbOf(word: string): Verb {
  const verb = VERBS.find((known) => known === word);
  if (verb) return verb;
  throw new PtychoError('USAGE', `There is no verb "${word.slice(0, 64)}"; the verbs are ${VERBS.join(', ')}.`, {
    expected: VERBS,
  });
}

/**
 * The fields of a request.
 * @throws PtychoError USAGE with the first field that is wrong
 */
export function parseRequest<V extends Verb>(verb: V, fields: Readonly<Record<string, unknown>>): RequestOf<V> {
  const parsed = z.strictObject(SCHEMAS[verb] as z.ZodRawShape).safeParse(fields);
  if (parsed.success) return parsed.data as RequestOf<V>;
  const [issue] = parsed.error.issues;
  const key = issue.path.join('.');
  throw new PtychoError('USAGE', `${verb}: ${key === '' ? '' : `${key}: `}${issue.message}; see specs/worker.md.`, {
    verb,
    key,
  });
}
