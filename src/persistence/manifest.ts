/**
 * `manifest.json`: what a bundle is, in one page, with the hash of every other member. Fields: `specs/bundle.md`.
 */
import { z } from 'zod';
import { messageOf, PtychoError } from '../core/errors.js';
import { sha256 as hashOf } from '../core/hash.js';
import type { ScaleRecord } from '../model/scale.js';
import {
  type Bundle,
  type BundleScan,
  type BundleStatistics,
  TRAINED_ELSEWHERE,
  UNKNOWN_MEAN_AMPLITUDE,
} from './content.js';
import { invalidMember, parseBoundedJson, readUtf8 } from './json.js';
import { modelSignatures } from './models.js';
import { PARAMS_VERSION } from './params.js';

const BUNDLE_FORMAT = 'ptychopinn-bundle';
/** The version that this library writes, and the newest that it reads. */
const BUNDLE_FORMAT_VERSION = 1;
/** What `input` of the exported model is; N, and the mean over the patterns that are fed. */
const INPUT_DEFINITION = 'amplitude * (N/2) / sqrt(mean(sum(amplitude^2)))';
/** The same for the contract `ci_intensity_v2`: counts stay counts. */
const COUNT_INPUT_DEFINITION = 'sqrt(counts) / intensity_scale';

/** Members besides `manifest.json`, in the order in which they are written. */
export const MEMBERS = [
  'config.json',
  'params.json',
  'weights.safetensors',
  'autoencoder.onnx',
  'diffraction_to_obj.onnx',
  'probe.npy',
  'history.csv',
] as const;
export type MemberName = (typeof MEMBERS)[number];
/** The member that only models of several scans have: what each of them has for itself, but for the first. */
export const SCANS_FILE = 'scans.safetensors';
/** The most scans of a model: each is a line of the manifest, which is bounded. */
export const MOST_SCANS = 1024;
/** Members that are read into many small objects are bounded, whatever the archive's size. */
export const MEMBER_LIMITS: Readonly<Record<string, number>> = {
  'manifest.json': 2 ** 20,
  'config.json': 2 ** 20,
  'params.json': 2 ** 20,
  'history.csv': 2 ** 23,
};

/** Members that came later: bundles without both (and without `schema_versions`) still open. */
const ADDED: readonly MemberName[] = ['params.json', 'autoencoder.onnx'];

/** Versions of what lies inside: the fields of `config.json`, the names of the weights, the keys of `params.json`. */
const SCHEMA_VERSIONS = { config: 1, weights: 1, params: PARAMS_VERSION } as const;

const count = z.int().positive();
/** Scales between which single precision holds every product with counts and amplitudes; no scan comes near either. */
const SCALE_BOUNDS = { low: 1e-18, high: 1e18 } as const;
const positive = z
  .number()
  .positive()
  .refine((value) => value >= SCALE_BOUNDS.low && value <= SCALE_BOUNDS.high, {
    error: ({ input }) =>
      `${String(input)} is no scale of a measurement (${SCALE_BOUNDS.low} to ${SCALE_BOUNDS.high}); the bundle was damaged or changed`,
  });
const value = z.strictObject({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.union([z.int().nonnegative(), z.string()])).readonly(),
});

const scaleContract = z.strictObject({
  version: z.enum(['counts_v1', 'ci_intensity_v2']),
  measurement_domain: z.enum(['normalized_amplitude', 'count_amplitude', 'count_intensity']),
  input: z.enum([INPUT_DEFINITION, COUNT_INPUT_DEFINITION]),
  amplitude_gauge: positive,
  amplitude_offset: z.number().optional(),
  probe_factor: positive,
  rms_input_scale: positive.optional(),
  mean_measured_intensity: positive.optional(),
});
const dataset = z.strictObject({
  mean_power: positive,
  mean_counts: positive,
  mean_amplitude: positive.nullable(),
  n_patterns: count.nullable(),
});
const signature = z.strictObject({ inputs: z.array(value), outputs: z.array(value) });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const manifestSchema = z.strictObject({
  format: z.literal(BUNDLE_FORMAT),
  format_version: z.literal(BUNDLE_FORMAT_VERSION),
  schema_versions: z.strictObject({ config: count, weights: count, params: z.string() }).optional(),
  created_by: z.strictObject({ package: z.string(), version: z.string() }),
  backend: z.enum(['onnx', 'tensorflow']),
  engine: z.string(),
  architecture: z.string(),
  N: count,
  gridsize: count,
  canvas_side_px: count,
  intensity_scale: positive,
  scale_contract: scaleContract,
  dataset,
  scans: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(255),
        role: z.enum(['train', 'validation']),
        probe_sha256: sha256,
        intensity_scale: positive,
        scale_contract: scaleContract,
        dataset,
      }),
    )
    .min(2)
    .max(MOST_SCANS)
    .optional(),
  seeds: z.strictObject({ seed: z.int().nonnegative(), subsample_seed: z.int().nonnegative().nullable() }),
  training: z
    .strictObject({
      epochs: count,
      best_epoch: count,
      monitor: z.string(),
      value: z.number(),
      init: sha256.optional(),
    })
    .nullable(),
  imported: z.strictObject({ format: z.enum(['npz', 'keras']), sha256 }).optional(),
  models: z.strictObject({ autoencoder: signature.optional(), diffraction_to_obj: signature }),
  members: z.record(z.string(), z.strictObject({ sha256, bytes: z.int().nonnegative() })),
});

/** The parsed `manifest.json`. */
export type Manifest = Readonly<z.output<typeof manifestSchema>>;

/** The members that a manifest must list: all, but for a bundle from before {@link ADDED}. */
function membersOf(manifest: Manifest): readonly string[] {
  const usual = isComplete(manifest) ? MEMBERS : MEMBERS.filter((name) => !ADDED.includes(name));
  return manifest.scans ? [...usual, SCANS_FILE] : usual;
}

/** Whether a bundle has everything that this version writes. */
export function isComplete(manifest: Manifest): boolean {
  return manifest.schema_versions !== undefined;
}

/** The manifest of a content, given hash and size of the other members. */
export function makeManifest(content: Bundle, members: Manifest['members']): Manifest {
  const { config, scale, statistics, training, imported } = content;
  return {
    format: BUNDLE_FORMAT,
    format_version: BUNDLE_FORMAT_VERSION,
    schema_versions: { ...SCHEMA_VERSIONS },
    created_by: { ...content.createdBy },
    backend: content.backend,
    engine: content.engine,
    architecture: config.model.architecture,
    N: config.model.N,
    gridsize: config.model.gridsize,
    canvas_side_px: content.canvasSide_px,
    intensity_scale: scale.intensityScale,
    scale_contract: contractOf(scale),
    dataset: datasetOf(statistics, imported !== undefined),
    ...(content.scans ? { scans: content.scans.map(scanOf) } : {}),
    seeds: { seed: config.seed, subsample_seed: config.subsample_seed },
    training: imported
      ? null
      : {
          epochs: training.epochs,
          best_epoch: training.bestEpoch,
          monitor: training.monitor,
          value: training.value,
          ...(training.init === undefined ? {} : { init: training.init }),
        },
    ...(imported ? { imported: { ...imported } } : {}),
    models: modelSignatures(config.model),
    members,
  };
}

function contractOf(scale: ScaleRecord): Manifest['scale_contract'] {
  return {
    version: scale.version,
    measurement_domain: scale.domain,
    input: scale.version === 'ci_intensity_v2' ? COUNT_INPUT_DEFINITION : INPUT_DEFINITION,
    amplitude_gauge: scale.amplitudeGauge,
    ...(scale.amplitudeOffset ? { amplitude_offset: scale.amplitudeOffset } : {}),
    probe_factor: scale.probeFactor,
    ...(scale.countIntensity
      ? {
          rms_input_scale: scale.countIntensity.rmsInputScale,
          mean_measured_intensity: scale.countIntensity.meanMeasuredIntensity,
        }
      : {}),
  };
}

function datasetOf(statistics: BundleStatistics, imported: boolean): Manifest['dataset'] {
  return {
    mean_power: statistics.meanPower,
    mean_counts: statistics.meanCounts,
    mean_amplitude: imported ? null : statistics.meanAmplitude,
    n_patterns: imported ? null : statistics.nPatterns,
  };
}

type ManifestScan = NonNullable<Manifest['scans']>[number];

function scanOf({ name, role, probeSha256, scale, statistics }: BundleScan): ManifestScan {
  return {
    name,
    role,
    probe_sha256: probeSha256,
    intensity_scale: scale.intensityScale,
    scale_contract: contractOf(scale),
    dataset: datasetOf(statistics, false),
  };
}

/** The scale that a manifest gives of the model, or of one of its scans. */
export function scaleIn(part: Pick<Manifest, 'intensity_scale' | 'scale_contract'>): ScaleRecord {
  const { scale_contract: contract } = part;
  return {
    version: contract.version,
    domain: contract.measurement_domain,
    intensityScale: part.intensity_scale,
    amplitudeGauge: contract.amplitude_gauge,
    ...(contract.amplitude_offset ? { amplitudeOffset: contract.amplitude_offset } : {}),
    probeFactor: contract.probe_factor,
    ...countIntensityOf(part),
  };
}

/** What `ci_intensity_v2` needs; a manifest that lacks it cannot be used, one that has it without that contract is confused. */
function countIntensityOf({ scale_contract }: Pick<Manifest, 'scale_contract'>): Pick<ScaleRecord, 'countIntensity'> {
  const { version, measurement_domain, rms_input_scale, mean_measured_intensity } = scale_contract;
  if (version === 'counts_v1') {
    if (rms_input_scale === undefined && mean_measured_intensity === undefined) return {};
    throw bad('scale_contract holds statistics of ci_intensity_v2, but its version is counts_v1');
  }
  if (rms_input_scale === undefined || mean_measured_intensity === undefined) {
    throw bad(
      `scale_contract lacks ${rms_input_scale === undefined ? 'rms_input_scale' : 'mean_measured_intensity'}, without which a model of ${version} cannot be used`,
    );
  }
  if (measurement_domain === 'normalized_amplitude') {
    throw bad(`scale_contract says ${version} of normalized_amplitude, but that contract is for counts`);
  }
  return { countIntensity: { rmsInputScale: rms_input_scale, meanMeasuredIntensity: mean_measured_intensity } };
}

/** The statistics that a manifest gives of the model, or of one of its scans. */
export function statisticsIn({ dataset: said }: Pick<Manifest, 'dataset'>): BundleStatistics {
  return {
    meanPower: said.mean_power,
    meanCounts: said.mean_counts,
    meanAmplitude: said.mean_amplitude ?? UNKNOWN_MEAN_AMPLITUDE,
    nPatterns: said.n_patterns ?? 0,
  };
}

/** The summary that a manifest gives; that of a model which was trained elsewhere. */
export function trainingOf({ training }: Manifest): Bundle['training'] {
  if (training === null) return TRAINED_ELSEWHERE;
  const { epochs, best_epoch, monitor, value, init } = training;
  return { epochs, bestEpoch: best_epoch, monitor, value, ...(init === undefined ? {} : { init }) };
}

/**
 * Reads the manifest among the members of a bundle, and checks that the others are those that it describes.
 * @throws PtychoError BUNDLE_INVALID for what is no manifest of ours and for members of other sizes or hashes; FORMAT_UNSUPPORTED for a
 * newer format version.
 */
export function readManifest(members: ReadonlyMap<string, Uint8Array>): Manifest {
  for (const [name, bytes] of members) {
    const limit = MEMBER_LIMITS[name] ?? Number.POSITIVE_INFINITY;
    if (bytes.length > limit) {
      throw invalidMember(name, `it has ${bytes.length} bytes, more than the ${limit} that are read`);
    }
  }
  const manifest = parseManifest(readUtf8(memberOf(members, 'manifest.json'), 'manifest.json'));
  checkHashes(manifest, members);
  return manifest;
}

/** The bytes of a member. @throws PtychoError BUNDLE_INVALID where it is missing */
export function memberOf(members: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const bytes = members.get(name);
  if (bytes === undefined) throw invalidMember(name, 'the bundle lacks this member; copy or write it again');
  return bytes;
}

function checkHashes(manifest: Manifest, members: ReadonlyMap<string, Uint8Array>): void {
  const listed = Object.keys(manifest.members).sort();
  const expectedNames = membersOf(manifest);
  if (listed.join() !== [...expectedNames].sort().join()) {
    throw invalidMember(
      'manifest.json',
      `members lists ${listed.join(', ') || 'nothing'}; expected ${expectedNames.join(', ')}`,
    );
  }
  const stray = [...members.keys()].find((name) => name !== 'manifest.json' && !Object.hasOwn(manifest.members, name));
  if (stray !== undefined) throw invalidMember(stray, 'the manifest does not list this member; the bundle was changed');
  for (const name of expectedNames) {
    const bytes = memberOf(members, name);
    const { sha256: expected, bytes: size } = manifest.members[name];
    if (bytes.length !== size || hashOf(bytes) !== expected) {
      throw invalidMember(
        name,
        'it is not the file that the manifest describes (size or SHA-256 differs); the bundle was damaged or changed',
      );
    }
  }
}

function parseManifest(text: string): Manifest {
  let json: unknown;
  try {
    json = parseBoundedJson(text);
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
  checkSchemas(parsed.data);
  return parsed.data;
}

/** What a newer writer put inside in another form is refused by name; what came together must be there together. */
function checkSchemas({ schema_versions: versions, models, training, imported }: Manifest): void {
  if ((versions === undefined) !== (models.autoencoder === undefined)) {
    throw bad(
      `schema_versions and models.autoencoder belong together, ${versions ? 'the second' : 'the first'} is missing`,
    );
  }
  if ((training === null) !== (imported !== undefined)) {
    throw bad('a model has either training or imported, as it was trained here or elsewhere');
  }
  for (const part of ['config', 'weights'] as const) {
    if (versions === undefined || versions[part] <= SCHEMA_VERSIONS[part]) continue;
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `This bundle has ${part} of version ${versions[part]}, this ptychopinn reads up to ${SCHEMA_VERSIONS[part]}; install a newer ptychopinn.`,
      { formatVersion: versions[part], expected: SCHEMA_VERSIONS[part] },
    );
  }
}

const bad = (why: string, cause?: unknown) => invalidMember('manifest.json', why, cause);
