/**
 * Several networks that differ in their seeds: what each is asked for, and training them without files.
 *
 * @example
 * const models = await trainEnsemble({ nepochs: 20 }, raw, 5);
 * const { stitched, spread } = await reconstructEnsemble(models, other);
 */
import { startEngines } from '../backends/peers.js';
import { trainingDefinition } from '../config/commands.js';
import { resolvePart } from '../config/resolve.js';
import type { TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { MOST_MEMBERS } from '../persistence/ensemble.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import type { TrainSummary } from './summary.js';
import { type TrainingOptions, type TrainingScans, type TrainServices, train } from './train.js';

/**
 * The seed of a member, counted from 1: the first has that of the ensemble, the others are far from it and from the seeds of restarts.
 */
export const memberSeed = (seed: number, member: number): number => (seed + (member - 1) * 0x85ebca6b) >>> 0;

/**
 * What a member is trained by: patterns and groups are drawn alike for all; weights, order and held-out groups are its own. The first is
 * what a training alone would be.
 */
export function ofMember<T extends Pick<Partial<TrainingRequest>, 'seed' | 'subsample_seed'>>(
  request: T,
  member: number,
) {
  const { seed = 0, subsample_seed = null } = request;
  const drawn = member === 1 ? subsample_seed : (subsample_seed ?? seed);
  return {
    ...request,
    ensemble: 1,
    ensemble_from: 'seeds' as const,
    seed: memberSeed(seed, member),
    subsample_seed: drawn,
  };
}

/** Of the epochs of the first network, so many does each snapshot behind it go on. */
const SNAPSHOT_SHARE = 0.25;

/**
 * What a snapshot is trained by: it goes on from the one before it, with the groups of the same seed held out, from the full rate down again.
 * The first is what a training alone would be.
 * @param before the run of the network before it and the epochs of the first; undefined for the first
 * @see Huang et al., "Snapshot ensembles: train 1, get M for free", ICLR 2017
 */
export function ofSnapshot(
  request: TrainingRequest,
  before: { readonly run: string; readonly epochs: number } | undefined,
): TrainingRequest {
  const alone = { ...request, ensemble: 1, ensemble_from: 'seeds' as const };
  if (before === undefined) return alone;
  return {
    ...alone,
    init: before.run,
    nepochs: Math.max(1, Math.round(SNAPSHOT_SHARE * before.epochs)),
    lr_warmup_epochs: 0,
    // Positions begin as the file has them, under a network that knows where they moved.
    position_start_epoch: 0,
    // What a training begins and ends with is done once, so that what belongs to it is refused.
    ...{ stage_1_epochs: 0, stage_2_epochs: 0, epochs_fine_tune: 0, fine_tune_gamma: 0.1 },
    torch_mae_pred_l2_match_target: request.torch_mae_pred_l2_match_target && request.mae_weight > 0,
  };
}

/**
 * Trains networks that differ in their seeds, one after another, on one engine; the first of them owns it where it was started here.
 * @param count how many, 2 to 99
 * @throws PtychoError as `train`; CONFIG_INVALID for another count
 */
export async function trainEnsemble(
  config: TrainingOptions,
  data: TrainingScans,
  count: number,
  services: TrainServices = {},
): Promise<readonly PtychoModel[]> {
  if (!(Number.isInteger(count) && count >= 2 && count <= MOST_MEMBERS)) {
    throw new PtychoError('CONFIG_INVALID', `An ensemble has 2 to ${MOST_MEMBERS} networks, got ${count}.`, {
      key: 'ensemble',
      found: count,
    });
  }
  if (config.ensemble_from === 'snapshots') {
    throw new PtychoError(
      'CONFIG_INVALID',
      'ensemble_from snapshots goes on from runs in folders, which the command train and trainWorkflow write; leave it out here.',
      { key: 'ensemble_from' },
    );
  }
  const engine =
    services.backend ?? (await startEngines(resolvePart(trainingDefinition, config).config, services.logger));
  const models: PtychoModel[] = [];
  try {
    for (let member = 1; member <= count; member++) {
      const { bundle } = await train(ofMember(config, member), data, { ...services, backend: engine });
      models.push(PtychoModel.of(bundle, engine, member === 1 && engine !== services.backend));
    }
  } catch (error) {
    if (engine !== services.backend) await engine.dispose();
    throw error;
  }
  return models;
}

/** The summaries of the members as that of the whole: figures of the first, times and files of all. */
export function summaryOfEnsemble(
  members: readonly TrainSummary[],
  outputDir: string,
  files: readonly string[],
): TrainSummary {
  const seconds = members.reduce((sum, member) => sum + member.seconds, 0);
  const patterns = members.reduce((sum, member) => sum + member.seconds * member.patternsPerSecond, 0);
  return {
    ...members[0],
    members,
    outputDir,
    files,
    seconds,
    patternsPerSecond: seconds > 0 ? patterns / seconds : 0,
    cancelled: members.some(({ cancelled }) => cancelled),
  };
}
