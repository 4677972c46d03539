/**
 * The logger that a configuration asks for.
 *
 * @example
 * const metrics = await createLoggers(config, config.output_dir, logger);
 * await metrics.start({ config, outputDir: config.output_dir, resumed: false });
 * await metrics.epoch({ epoch: 1, loss: 0.5 });
 * await metrics.finish('finished');
 */
import type { TrainingConfig } from '../../config/schema.js';
import { messageOf } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import type { MetricLogger } from './logger.js';

export type { MetricLogger } from './logger.js';

/**
 * Makes the logger of `logger_backend`; nothing is written or sent before its `start`.
 * @param outputDir the folder that warnings name.
 * @param logger hears once of a logger that stops working in the middle of a run.
 */
export async function createLoggers(
  config: Pick<TrainingConfig, 'execution'>,
  outputDir: string,
  logger: Logger = silentLogger,
): Promise<MetricLogger> {
  switch (config.execution.logger_backend) {
    case 'csv': {
      const { CsvLogger } = await import('./files.js');
      return new GuardedLogger(new CsvLogger(), `The metrics in ${outputDir}`, logger);
    }
    case 'tensorboard': {
      const { TensorBoardLogger } = await import('./files.js');
      return new GuardedLogger(new TensorBoardLogger(), `The TensorBoard files in ${outputDir}`, logger);
    }
    case 'mlflow': {
      const { MlflowLogger } = await import('./mlflow.js');
      return new GuardedLogger(new MlflowLogger(logger), 'The MLflow run', logger);
    }
    case 'none':
      return silentMetrics;
  }
}

/** Takes nothing down. */
const silentMetrics: MetricLogger = {
  async start() {},
  async epoch() {},
  async image() {},
  async artifact() {},
  async finish() {},
};

/** Lets only `start` fail: a full disk in the last epoch must not cost the training. */
class GuardedLogger implements MetricLogger {
  #told = false;

  constructor(
    private readonly inner: MetricLogger,
    private readonly what: string,
    private readonly logger: Logger,
  ) {}

  start: MetricLogger['start'] = (run) => this.inner.start(run);
  epoch: MetricLogger['epoch'] = (record) => this.#try(() => this.inner.epoch(record));
  image: MetricLogger['image'] = (tag, epoch, png) => this.#try(() => this.inner.image(tag, epoch, png));
  artifact: MetricLogger['artifact'] = (file) => this.#try(() => this.inner.artifact(file));
  finish: MetricLogger['finish'] = (status) => this.#try(() => this.inner.finish(status));

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#told) return;
      this.#told = true;
      this.logger.warn(`${this.what} can no longer be written: ${messageOf(error)}. Training continues without it.`);
    }
  }
}
