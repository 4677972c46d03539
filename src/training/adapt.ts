/**
 * Test-time fitting: a trained network goes on on the very scan that it is to reconstruct, without labels, and is kept only where it
 * explains patterns better that it did not go on with.
 *
 * @example
 * const model = await PtychoModel.open('run');
 * const { model: adapted, record } = await adaptModel(model, raw, { adapt: 8 });
 * console.log(record.before, record.after, record.kept);
 * const { stitched } = await reconstruct(adapted, raw);
 */
import { trainingDefinition } from '../config/commands.js';
import { completeConfig } from '../config/resolve.js';
import type { InferenceConfig, TrainingRequest } from '../config/schema.js';
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import { PtychoError } from '../core/errors.js';
import { valuesAt } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';
import type { Services } from '../core/services.js';
import { type Groups, groupsFromMembers } from '../data/grouping/grouping.js';
import { measureGroups } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import type { Bundle } from '../persistence/bundle.js';
import { hasOwnProbe } from '../persistence/bundleConfig.js';
import { scaleComplex } from '../physics/probe.js';
import { modelOfScan } from '../reconstruction/matching/modelOfScan.js';
import { type ImageSettings, reconstructPrepared } from '../reconstruction/pipeline.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { exposedRFactor, type MeasuredScan } from '../reconstruction/rFactor.js';
import { probeFor, requireSide, scanForModel } from '../reconstruction/scanForModel.js';
import { initialOf } from './init.js';
import { type PreparedTraining, prepareTraining } from './prepare.js';
import { trainPrepared } from './train.js';

/** What adapting came to. */
export interface AdaptationRecord {
  readonly epochs: number;
  readonly learningRate: number;
  /** Patterns that the network did not go on with. */
  readonly heldOut: number;
  /** R of those, explained by the image of the others: with the weights of the bundle, and with those that were adapted. */
  readonly before: number;
  readonly after: number;
  /** Whose weights an image is to be made with. */
  readonly kept: 'adapted' | 'bundle';
  readonly seconds: number;
}

/** How a network goes on, and how the images are made that judge it. */
export interface AdaptOptions extends Partial<Omit<ImageSettings, 'refine' | 'refine_positions' | 'weightProbe'>> {
  /** Epochs. */
  readonly adapt: number;
  /** 5e-4 where not given. */
  readonly adapt_learning_rate?: InferenceConfig['adapt_learning_rate'];
}

/** Share of the patterns that is held out, of at least this many. */
const HELD_OUT = 0.05;
const LEAST_HELD_OUT = 4;
/** Where fewer patterns are left, they are needed. */
const LEAST_PATTERNS = 16;

/**
 * Goes on with a model on a scan. Its groups train, but those with a pattern that is held out (one in twenty); the best epoch by the loss
 * of the others is compared with the model as it was, by R of the held-out patterns in the image of all others.
 * @param given on an engine; it stays as it is
 * @returns the adapted model on the same engine, or the given one where that explains the held-out patterns as well
 * @throws PtychoError MODEL_UNSUPPORTED for a supervised or an imported network; DATASET_SHAPE for a scan of fewer than 16 patterns, or of
 * another side; those of training; CANCELLED before it is judged
 */
export async function adaptModel(
  given: PtychoModel,
  raw: RawData,
  options: AdaptOptions,
  services: Services = {},
): Promise<{ readonly model: PtychoModel; readonly record: AdaptationRecord }> {
  requireAdaptable(given.bundle);
  requireSide(raw, given.N, 'the model');
  const model = await modelOfScan(given, raw, services.logger);
  const { bundle } = model;
  if (raw.count < LEAST_PATTERNS) throw tooFew(raw);
  const { engine } = model;
  const started = performance.now();
  const { adapt, adapt_learning_rate = 5e-4, seed = 0 } = options;
  const request = requestOf(bundle, { adapt, adapt_learning_rate, seed });
  // A probe of the model's own stays: what goes on is the network.
  const solvedProbes = hasOwnProbe(bundle.config) ? [bundle.probe] : undefined;
  const { provenance: _, ...quiet } = services;
  const prepared = await prepareTraining(request, { train: raw, solvedProbes }, quiet);
  const heldOut = chooseHeldOut(raw.count, seed);
  const parted = withoutHeldOut(prepared, heldOut);
  const { network } = prepared;
  const trained = await trainPrepared(parted, engine, quiet, { initial: initialOf(bundle, network, raw) });
  const adapted = PtychoModel.of(trained.content, engine);
  const judge = await judgeOf(raw, parted, heldOut, options, quiet);
  const [before, after] = [await judge(model), await judge(adapted)];
  const kept = after < before ? 'adapted' : 'bundle';
  const record: AdaptationRecord = {
    epochs: trained.result.history.length,
    learningRate: adapt_learning_rate,
    heldOut: heldOut.length,
    ...{ before, after, kept },
    seconds: (performance.now() - started) / 1000,
  };
  return { model: kept === 'adapted' ? adapted : model, record };
}

/** @throws PtychoError MODEL_UNSUPPORTED */
function requireAdaptable({ config, scale, imported }: Bundle): void {
  const why =
    config.model.model_type === 'supervised'
      ? 'it learned from labels, which a scan to be reconstructed does not have'
      : imported || scale.amplitudeOffset
        ? 'another program trained it, and how is not known'
        : undefined;
  if (why === undefined) return;
  throw new PtychoError('MODEL_UNSUPPORTED', `The model cannot be adapted: ${why}; leave adapt out.`, { key: 'adapt' });
}

const tooFew = (raw: RawData) =>
  new PtychoError(
    'DATASET_SHAPE',
    `adapt holds out some patterns and needs ${LEAST_PATTERNS} or more, but ${raw.source} has ${raw.count}; leave adapt out.`,
    { found: raw.count, expected: LEAST_PATTERNS },
  );

/** The training of the bundle, shorter, on all patterns of the scan, with what the scan does not have left out. */
function requestOf(
  { config }: Bundle,
  { adapt, adapt_learning_rate, seed }: Required<Pick<AdaptOptions, 'adapt' | 'adapt_learning_rate' | 'seed'>>,
): TrainingRequest {
  const ofObject = config.realspace_weight > 0 && config.tv_weight > 0;
  return completeConfig(trainingDefinition, {
    ...config,
    nepochs: adapt,
    ...{ epochs_fine_tune: 0, fine_tune_gamma: 0.1 },
    learning_rate: adapt_learning_rate,
    ...{ scheduler: 'WarmupCosine', lr_warmup_epochs: 0 },
    ...{ stage_1_epochs: 0, stage_2_epochs: 0, auto_restart: false },
    ...{ n_groups: 'all', n_subsample: null, enable_oversampling: false, seed, measurement_domain: null },
    ...{ probe_trainable: false, probe_learning_rate: null, position_trainable: false },
    ...{ realspace_mae_weight: 0, realspace_weight: ofObject ? config.realspace_weight : 0 },
    probe: hasOwnProbe(config) ? SOLVE_PROBE : null,
  });
}

/** One pattern in twenty, at random. */
function chooseHeldOut(count: number, seed: number): Int32Array {
  const wanted = Math.max(LEAST_HELD_OUT, Math.round(HELD_OUT * count));
  return Int32Array.from(new LegacyRng(seed).permutation(count).slice(0, wanted)).sort();
}

/** Groups without a held-out pattern train, the others validate. @throws PtychoError DATASET_SHAPE where none is left */
function withoutHeldOut(prepared: PreparedTraining, heldOut: Int32Array): PreparedTraining {
  const { scan, training, validation } = prepared;
  const { count, C, members } = scan.groups;
  const held = new Set(heldOut);
  const holds = (g: number) => members.subarray(g * C, (g + 1) * C).some((k) => held.has(k));
  const all = Array.from({ length: count }, (_, g) => g);
  const groups = Int32Array.from(all.filter((g) => !holds(g)));
  if (groups.length === 0) throw tooFew(scan.raw);
  return {
    ...prepared,
    training: { ...training, groups },
    validation: { ...validation, groups: Int32Array.from(all.filter(holds)) },
  };
}

/** R of the held-out patterns by the image that a model makes of the groups that train. */
async function judgeOf(
  raw: RawData,
  { scan, training }: PreparedTraining,
  heldOut: Int32Array,
  options: AdaptOptions,
  services: Services,
): Promise<(model: PtychoModel) => Promise<number>> {
  const seen = await measureGroups(raw, partOf(scan.groups, training.groups, raw));
  const data = new Float32Array(heldOut.length * raw.N ** 2);
  await raw.patterns.readAmplitudes(heldOut, data);
  const measured: Omit<MeasuredScan, 'probe'> = {
    diffraction: { data, shape: [heldOut.length, raw.N, raw.N] },
    ...{ xs: valuesAt(raw.xcoords, heldOut), ys: valuesAt(raw.ycoords, heldOut) },
    badPixels: raw.badPixels,
  };
  return async (model) => {
    const { probe, factor } = probeFor(model.bundle, raw);
    const settings: ImageSettings = {
      ...{ batch_size: 32, patch_weighting: 'probe', align_phases: true, stitch_crop_px: null },
      ...options,
      uncertainty: false,
    };
    const { stitched, cancelled } = await reconstructPrepared(
      model,
      scanForModel(seen, model.bundle),
      settings,
      services,
    );
    if (cancelled) throw new PtychoError('CANCELLED', 'Adapting the network was cancelled.', {});
    const { overlapCount } = stitched;
    const own = probe ? scaleComplex(probe, factor) : model.bundle.probe;
    return exposedRFactor({ ...measured, probe: own }, stitched, { overlapCount }).r;
  };
}

/** Some groups of a scan. */
function partOf({ C, members }: Groups, groups: Int32Array, raw: RawData): Groups {
  const kept = new Int32Array(groups.length * C);
  groups.forEach((g, i) => {
    kept.set(members.subarray(g * C, (g + 1) * C), i * C);
  });
  return groupsFromMembers(kept, C, raw.xcoords, raw.ycoords);
}
