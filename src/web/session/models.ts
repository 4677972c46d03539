/** Networks in a session: opened, trained, and run on scans. */
import { trainingDefinition } from '../../config/commands.js';
import { resolvePart } from '../../config/resolve.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Tensor } from '../../core/tensor.js';
import type { RawData } from '../../data/rawData.js';
import { startEngine } from '../../reconstruction/inputs.js';
import type { StitchedImage } from '../../reconstruction/patchStitcher.js';
import { reconstructStream } from '../../reconstruction/pipeline.js';
import { PtychoModel } from '../../reconstruction/ptychoModel.js';
import { type Reconstruction, reconstructDataset } from '../../reconstruction/reconstruct.js';
import { probeInCounts } from '../../reconstruction/scanForModel.js';
import { type PreparedTraining, prepareTraining } from '../../training/prepare.js';
import { trainPrepared } from '../../training/train.js';
import { reconstruct } from '../../workflows/reconstruct.js';
import type { Results } from './results.js';
import { every, type Run } from './run.js';
import type {
  InferRequest,
  InferUpdate,
  ModelView,
  ResultView,
  ShownImage,
  TrainRequest,
  TrainUpdate,
} from './views.js';

export class Models {
  readonly #models = new Map<number, PtychoModel>();
  #next = 1;

  constructor(
    private readonly results: Results,
    private readonly logger: Logger,
  ) {}

  get(model: number): PtychoModel {
    const found = this.#models.get(model);
    if (found) return found;
    throw new PtychoError('USAGE', `There is no model ${model} in this session any more.`, { model });
  }

  async open(path: string, options: { accelerator?: 'auto' | 'webgpu' | 'cpu'; threads?: number }): Promise<ModelView> {
    return this.#add(await PtychoModel.open(path, { ...options, logger: this.logger }));
  }

  async close(model: number): Promise<void> {
    const found = this.#models.get(model);
    this.#models.delete(model);
    await found?.dispose();
  }

  async infer(
    run: Run,
    number: number,
    raw: RawData,
    { options = {}, showEvery_s = 0.5 }: InferRequest,
  ): Promise<ResultView> {
    const model = this.get(number);
    const services = { ...options, signal: run.signal, onProgress: run.onProgress, logger: this.logger };
    // What needs the whole scan has nothing to show on the way.
    const whole = (options.refine_positions ?? 0) > 0 || (options.refine ?? null) !== null;
    let last: Reconstruction | undefined;
    if (whole) last = await reconstruct(model, raw, services);
    else {
      const { refine: _, refine_positions: __, position_step_limit_px: ___, ...streamed } = services;
      for await (const preview of reconstructStream(model, raw, {
        ...streamed,
        every: { seconds: Math.max(showEvery_s, 0.05) },
      })) {
        last = preview;
        if (preview.final) break;
        const { patterns, total, rate } = preview;
        run.update({ patterns, total, rate, shown: shownOf(preview.stitched) } satisfies InferUpdate);
        await run.gate();
      }
    }
    const { stitched, patterns, seconds, cancelled } = last as Reconstruction;
    return this.results.add({
      kind: 'inferred',
      title: titleOf(model),
      ...shownOf(stitched),
      probe: probeInCounts(model.bundle, raw) ?? raw.probeGuess,
      ...{ history: [], engine: model.info.engine, patterns, seconds, cancelled },
      pixel_m: raw.geometry.objectPixel_m,
      inferred: { raw },
    });
  }

  async train(run: Run, raw: RawData, { config = {}, showEvery_s = 10 }: TrainRequest): Promise<ModelView> {
    const { logger } = this;
    const { config: request, provenance } = resolvePart(trainingDefinition, config, logger);
    const engine = await startEngine({ backend: request.backend, execution: request.execution }, logger);
    const due = every(showEvery_s);
    try {
      const services = { logger, signal: run.signal, onProgress: run.onProgress, provenance };
      const prepared = await prepareTraining(request, { train: raw }, services);
      const trained = await trainPrepared(prepared, engine, services, {
        onEpoch: async (record, view) => {
          const shown = due() ? await painted(prepared, await view.weights(), engine) : undefined;
          const { epoch } = record;
          run.update({ epoch, epochs: prepared.config.nepochs, record: { ...record }, shown } satisfies TrainUpdate);
          await run.gate();
        },
      });
      if (trained.result.failure) throw trained.result.failure;
      return this.#add(PtychoModel.of(trained.content, engine, true));
    } catch (error) {
      await engine.dispose();
      throw error;
    }
  }

  #add(opened: PtychoModel): ModelView {
    const model = this.#next++;
    this.#models.set(model, opened);
    const { bundle, info } = opened;
    return {
      ...{ model, title: titleOf(opened), N: opened.N, gridsize: opened.gridsize },
      ...{ epochs: bundle.training.epochs, history: bundle.history as ModelView['history'] },
      ...{ engine: info.engine, device: info.device, threads: info.threads, config: bundle.config },
    };
  }
}

const titleOf = ({ bundle }: PtychoModel): string => `PtychoPINN ${bundle.config.model.architecture}`;

/** What the network makes of the scan with these weights. */
async function painted(
  { network, scan, config }: PreparedTraining,
  weights: Readonly<Record<string, Tensor>>,
  backend: Parameters<typeof reconstructDataset>[0]['backend'],
): Promise<ShownImage> {
  const { stitched } = await reconstructDataset({
    ...{ network, weights, backend, dataset: scan.dataset, batch_size: config.batch_size },
    ...{ crop_px: Math.floor(config.model.N / 2), patch_weighting: 'probe', probe: scan.raw.probeGuess },
  });
  return shownOf(stitched);
}

/** Weights of patches, 1 at the largest. */
function shownOf({ image, frame, weight }: StitchedImage): ShownImage {
  const most = weight.data.reduce((largest, value) => Math.max(largest, value), 0) || 1;
  return { image, frame, coverage: { data: weight.data.map((value) => value / most), shape: weight.shape } };
}
