/** What a run leaves in its folder while it is under way: checkpoints, previews, and the figures that go to the logger. */
import type { Backend, BackendInfo } from '../backends/backend.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import type { CheckpointEngine } from '../persistence/checkpoint.js';
import { CheckpointFolder, type FoundCheckpoint } from './checkpoints.js';
import { createLoggers, type MetricLogger } from './loggers/create.js';
import type { EpochView, LoopState } from './loop.js';
import type { PreparedTraining } from './prepare.js';
import { Previews } from './previews.js';
import { type EpochRecord, monitorOf } from './records.js';
import { EpochJudge } from './stopping.js';

/** A run and where it comes from. */
export interface RecordedRun {
  readonly prepared: PreparedTraining;
  readonly backend: Backend;
  readonly services: Services;
  /** See `scanFingerprint`. */
  readonly scan: Readonly<Record<string, string>>;
  readonly init: string | null;
  /** The checkpoint that it goes on from. */
  readonly resumed?: FoundCheckpoint;
}

/** Follows a run. */
export class RunRecorder {
  private constructor(
    private readonly run: RecordedRun,
    readonly metrics: MetricLogger,
    private readonly previews: Previews,
    private readonly checkpoints: CheckpointFolder | undefined,
  ) {}

  /**
   * Makes the folders and starts the logger.
   * @throws PtychoError OUTPUT_UNWRITABLE, or CONFIG_INVALID for a logger or previews that cannot be.
   */
  static async open(run: RecordedRun): Promise<RunRecorder> {
    const { prepared, backend, services, resumed } = run;
    const { config, provenance, network, scan, training, validation } = prepared;
    const { output_dir: outputDir, execution } = config;
    const metrics = await createLoggers(config, outputDir, services.logger);
    const previews = await Previews.open({
      config,
      network,
      backend,
      scan,
      measured: validation.groups.length > 0 ? validation : training,
      outputDir,
      image: (tag, epoch, png) => metrics.image(tag, epoch, png),
      epochsDone: resumed?.content.epoch ?? 0,
    });
    const checkpoints = execution.enable_checkpointing ? new CheckpointFolder(outputDir) : undefined;
    if (checkpoints) await prepareFolder(checkpoints, run);
    const sameFolder = resumed !== undefined && new CheckpointFolder(outputDir).holds(resumed.file);
    await metrics.start({ config, provenance, outputDir, resumed: sameFolder, epochsDone: resumed?.content.epoch });
    // Elsewhere the logger knows nothing of the epochs that are done.
    if (resumed && !sameFolder) for (const record of resumed.content.history) await metrics.epoch(record);
    return new RunRecorder(run, metrics, previews, checkpoints);
  }

  /** After an epoch; the checkpoint comes last, so that what is before it is done again rather than left out. */
  async epoch(record: EpochRecord, view: EpochView): Promise<void> {
    await this.metrics.epoch(withoutGaps(record));
    await this.previews.epoch(record.epoch, () => view.weights());
    const { prepared, backend, scan, init } = this.run;
    if (!this.checkpoints) return;
    const { best, ...state } = await view.snapshot();
    await this.checkpoints.save(
      {
        ...state,
        engine: engineOf(backend.info),
        config: prepared.config,
        scan,
        init,
        bestEpoch: best.epoch,
        bestWeights: best.weights,
        bestPositions: best.positions,
      },
      view.judge,
      prepared.config.execution.checkpoint_save_top_k,
    );
  }
}

/** Who trains, as a checkpoint records it. */
export function engineOf({ name, engine, device, threads }: BackendInfo): CheckpointEngine {
  return { version: createdBy.version, backend: name, engine, device, threads };
}

/** Where the loop goes on. */
export function loopStateOf({ content }: FoundCheckpoint): LoopState {
  const { epoch, history, shuffle, state, positions, bestEpoch, bestWeights, bestPositions } = content;
  return {
    epoch,
    history: history as readonly EpochRecord[],
    shuffle,
    state,
    positions,
    best: { epoch: bestEpoch, weights: bestWeights, positions: bestPositions },
  };
}

async function prepareFolder(checkpoints: CheckpointFolder, { prepared, services, resumed }: RecordedRun) {
  const { config, validation } = prepared;
  await checkpoints.make();
  if (!resumed) {
    if ((await checkpoints.files()).length > 0) {
      (services.logger ?? silentLogger).info(
        `${checkpoints.folder} holds checkpoints of an earlier run; they are replaced after the first epoch (to go on with that run instead: --resume ${config.output_dir}).`,
      );
    }
    return;
  }
  const judge = new EpochJudge(monitorOf(config.execution, validation.groups.length > 0), config);
  for (const record of loopStateOf(resumed).history) judge.add(record);
  const { epoch } = resumed.content;
  await checkpoints.takeOver(resumed.file, judge, { epoch, keep: config.execution.checkpoint_save_top_k });
}

function withoutGaps(record: EpochRecord): Readonly<Record<string, number | null>> & { readonly epoch: number } {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, value ?? null])) as never;
}
