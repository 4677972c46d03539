/**
 * `manifest.json`: what a bundle is, in one page, with the hash of every other member. Fields: `specs/bundle.md`.
 */
import { z } from 'zod';
import { messageOf, PtychoError } from '../core/errors.js';
import type { BundleContent } from './content.js';
import type { OnnxFacts, ValueSignature } from './onnxReferences.js';

export const BUNDLE_FORMAT = 'ptychopinn-bundle';
/** The version that this library writes, and the newest that it reads. */
export const BUNDLE_FORMAT_VERSION = 1;
/** What `input` of the exported model is; N, and the mean over the patterns that are fed. */
export const INPUT_DEFINITION = 'amplitude * (N/2) / sqrt(mean(sum(amplitude^2)))';
/** The same for the contract `ci_intensity_v2`: counts stay counts. */
export const COUNT_INPUT_DEFINITION = 'sqrt(counts) / intensity_scale';

/** Members besides `manifest.json`, in the order in which they are written. */
export const MEMBERS = [
  'config.json',
  'weights.safetensors',
  'diffraction_to_obj.onnx',
  'probe.npy',
  'history.csv',
] as const;
export type MemberName = (typeof MEMBERS)[number];

const count = z.int().positive();
const positive = z.number().positive();
const value = z.strictObject({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.union([z.int().nonnegative(), z.string()])).readonly(),
});

const manifestSchema = z.strictObject({
  format: z.literal(BUNDLE_FORMAT),
  format_version: z.literal(BUNDLE_FORMAT_VERSION),
  created_by: z.strictObject({ package: z.string(), version: z.string() }),
  backend: z.enum(['onnx', 'tensorflow']),
  engine: z.string(),
  architecture: z.string(),
  N: count,
  gridsize: count,
  canvas_side_px: count,
  intensity_scale: positive,
  scale_contract: z.strictObject({
    version: z.enum(['counts_v1', 'ci_intensity_v2']),
    measurement_domain: z.enum(['normalized_amplitude', 'count_amplitude', 'count_intensity']),
    input: z.enum([INPUT_DEFINITION, COUNT_INPUT_DEFINITION]),
    amplitude_gauge: positive,
    probe_factor: positive,
    rms_input_scale: positive.optional(),
    mean_measured_intensity: positive.optional(),
  }),
  dataset: z.strictObject({ mean_power: positive, mean_counts: positive, mean_amplitude: positive, n_patterns: count }),
  seeds: z.strictObject({ seed: z.int().nonnegative(), subsample_seed: z.int().nonnegative().nullable() }),
  training: z.strictObject({
    epochs: count,
    best_epoch: count,
    monitor: z.string(),
    value: z.number(),
    init: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  }),
  models: z.strictObject({
    diffraction_to_obj: z.strictObject({ inputs: z.array(value), outputs: z.array(value) }),
  }),
  members: z.record(
    z.string(),
    z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().nonnegative() }),
  ),
});

/** The parsed `manifest.json`. */
export type Manifest = Readonly<z.output<typeof manifestSchema>>;

/** The manifest of a content, given hash and size of the other members. */
export function makeManifest(content: BundleContent, members: Manifest['members']): Manifest {
  const { config, scale, statistics, training } = content;
  return {
    format: BUNDLE_FORMAT,
    format_version: BUNDLE_FORMAT_VERSION,
    created_by: { ...content.createdBy },
    backend: content.backend,
    engine: content.engine,
    architecture: config.model.architecture,
    N: config.model.N,
    gridsize: config.model.gridsize,
    canvas_side_px: content.canvasSide_px,
    intensity_scale: scale.intensityScale,
    scale_contract: {
      version: scale.version,
      measurement_domain: scale.domain,
      input: scale.version === 'ci_intensity_v2' ? COUNT_INPUT_DEFINITION : INPUT_DEFINITION,
      amplitude_gauge: scale.amplitudeGauge,
      probe_factor: scale.probeFactor,
      ...(scale.countIntensity
        ? {
            rms_input_scale: scale.countIntensity.rmsInputScale,
            mean_measured_intensity: scale.countIntensity.meanMeasuredIntensity,
          }
        : {}),
    },
    dataset: {
      mean_power: statistics.meanPower,
      mean_counts: statistics.meanCounts,
      mean_amplitude: statistics.meanAmplitude,
      n_patterns: statistics.nPatterns,
    },
    seeds: { seed: config.seed, subsample_seed: config.subsample_seed },
    training: {
      epochs: training.epochs,
      best_epoch: training.bestEpoch,
      monitor: training.monitor,
      value: training.value,
      ...(training.init === undefined ? {} : { init: training.init }),
    },
    models: { diffraction_to_obj: modelSignature(config.model) },
    members,
  };
}

/** Inputs and outputs of `diffraction_to_obj.onnx`, C = gridsize² channels. */
export function modelSignature(model: { readonly N: number; readonly gridsize: number }): {
  inputs: ValueSignature[];
  outputs: ValueSignature[];
} {
  const channels = model.gridsize ** 2;
  const image = { dtype: 'float32', shape: ['batch', channels, model.N, model.N] };
  return {
    inputs: [
      { name: 'input', ...image },
      { name: 'input_positions', dtype: 'float32', shape: ['batch', channels, 1, 2] },
    ],
    outputs: [
      { name: 'object_real', ...image },
      { name: 'object_imag', ...image },
    ],
  };
}

/**
 * Checks that a model has the inputs and outputs that it should, by name, type and shape, in order.
 * @throws PtychoError BUNDLE_INVALID naming the first that differs.
 */
export function checkSignature(facts: OnnxFacts, expected: ReturnType<typeof modelSignature>, source: string): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const want = expected[side].map(describe);
    const have = facts[side].map(describe);
    if (want.join() !== have.join()) {
      throw new PtychoError(
        'BUNDLE_INVALID',
        `${source}: the ${side} are ${have.join(', ') || 'none'}; expected ${want.join(', ')}.`,
        { member: source, expected: expected[side], found: facts[side] },
      );
    }
  }
}

const describe = (v: ValueSignature) => `${v.name} ${v.dtype}[${v.shape.join(', ')}]`;

/**
 * Reads `manifest.json`.
 * @throws PtychoError BUNDLE_INVALID for text that is no manifest of ours, FORMAT_UNSUPPORTED for a newer format version.
 */
export function parseManifest(text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw bad(`it is not JSON (${messageOf(cause)})`, cause);
  }
  const { format, format_version: version } = (json ?? {}) as { format?: unknown; format_version?: unknown };
  if (format !== BUNDLE_FORMAT) throw bad(`format is ${JSON.stringify(format)}, expected "${BUNDLE_FORMAT}"`);
  if (typeof version === 'number' && version > BUNDLE_FORMAT_VERSION) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `This bundle has format version ${version}, this ptychopinn reads up to ${BUNDLE_FORMAT_VERSION}; install a newer ptychopinn.`,
      { formatVersion: version, expected: BUNDLE_FORMAT_VERSION },
    );
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0];
    throw bad(`${path.length > 0 ? `${path.join('.')}: ` : ''}${message.replace(/\.$/, '')}`);
  }
  return parsed.data;
}

function bad(why: string, cause?: unknown): PtychoError {
  return new PtychoError('BUNDLE_INVALID', `manifest.json: ${why}.`, { member: 'manifest.json' }, { cause });
}
