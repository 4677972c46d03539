/** A run on an MLflow tracking server: parameters, metrics, previews, the bundle. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TrainingConfig } from '../../config/schema.js';
import { messageOf, PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { createdBy } from '../../core/version.js';
import { counted } from '../../core/words.js';
import { makeOutputFolder, writeAtomically } from '../../formats/outputFiles.js';
import {
  MlflowClient,
  MlflowError,
  type MlflowMetric,
  type MlflowOptions,
  type MlflowRun,
  type MlflowStatus,
  trackingAddress,
} from '../../persistence/mlflow.js';
import { uploadArtifact } from '../../persistence/mlflowArtifacts.js';
import type { EpochFigures, LoggedRun, MetricLogger, RunStatus } from './logger.js';

/** The file below the output folder that says which run on which server this is; a resumed run goes on with it. */
const MLFLOW_FILE = path.join('logs', 'mlflow.json');

/** Between two attempts at a server that has gone away: an attempt may cost a whole timeout. */
const RETRY_MS = 30_000;

const STATUS: Readonly<Record<RunStatus, MlflowStatus>> = {
  finished: 'FINISHED',
  cancelled: 'KILLED',
  failed: 'FAILED',
};

/** What may be replaced, by tests. */
export interface MlflowLoggerOptions extends MlflowOptions {
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Logs to MLflow. A server that goes away costs one warning; what it missed is sent when it is back. */
export class MlflowLogger implements MetricLogger {
  readonly #logger: Logger;
  readonly #options: MlflowLoggerOptions;
  readonly #now: () => number;
  #client: MlflowClient | undefined;
  #run: MlflowRun | undefined;
  /** Metrics that the server has not seen yet. */
  #waiting: MlflowMetric[] = [];
  #lostSince: number | undefined;
  #lostArtifacts = 0;

  constructor(logger: Logger, options: MlflowLoggerOptions = {}) {
    this.#logger = logger;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async start({ config, outputDir, resumed }: LoggedRun): Promise<void> {
    const { mlflow_tracking_uri, mlflow_allow_file: allowFile, mlflow_experiment } = config.execution;
    const address = trackingAddress(mlflow_tracking_uri, this.#options.environment);
    const client = new MlflowClient(address, { allowFile, ...this.#options });
    try {
      const known = resumed ? await readRun(outputDir, client.address) : undefined;
      const reopened = known === undefined ? undefined : await this.#reopen(client, known);
      const run = reopened ?? (await this.#begin(client, mlflow_experiment, config));
      this.#client = client;
      this.#run = run;
      await rememberRun(outputDir, client.address, run.runId);
      this.#logger.info(`MLflow: run ${run.runId} of experiment ${mlflow_experiment} at ${client.address}.`);
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      throw new PtychoError(
        'CONFIG_INVALID',
        `The run cannot be logged to MLflow: ${error.message}; start the server, correct --mlflow_tracking_uri, or train with --logger none.`,
        { field: 'logger_backend', found: client.address },
        { cause: error },
      );
    }
  }

  async epoch(record: EpochFigures): Promise<void> {
    const { epoch, ...figures } = record;
    for (const [key, value] of Object.entries(figures)) {
      if (value !== null) this.#waiting.push({ key, value, step: epoch, timestamp: this.#now() });
    }
    if (this.#mayTry()) await this.#deliver();
  }

  async image(tag: string, epoch: number, png: Uint8Array): Promise<void> {
    await this.#upload(`${tag}/epoch_${String(epoch).padStart(4, '0')}.png`, png);
  }

  async artifact(file: string): Promise<void> {
    await this.#upload(path.basename(file), { file });
  }

  async finish(status: RunStatus): Promise<void> {
    // A last attempt, however short ago the one before was.
    const { runId } = this.#reached();
    await this.#deliver();
    await this.#attempt((client) => client.updateRun(runId, STATUS[status], this.#now()));
    const missing = [
      this.#waiting.length > 0 ? counted(this.#waiting.length, 'figure') : '',
      this.#lostArtifacts > 0 ? counted(this.#lostArtifacts, 'file') : '',
    ].filter((part) => part !== '');
    if (missing.length > 0) {
      this.#logger.warn(`MLflow did not get ${missing.join(' and ')} of this run; the output folder has all of it.`);
    }
  }

  async #begin(client: MlflowClient, experiment: string, config: TrainingConfig): Promise<MlflowRun> {
    const name = path.basename(path.resolve(config.output_dir));
    const run = await client.createRun(await client.experimentId(experiment), name, this.#now());
    await client.logBatch(run.runId, { params: flatten(config) });
    await client.setTag(run.runId, 'ptychopinn.version', createdBy.version);
    return run;
  }

  /** Undefined where the server has forgotten the run: then a new one begins. */
  async #reopen(client: MlflowClient, runId: string): Promise<MlflowRun | undefined> {
    try {
      const run = await client.getRun(runId);
      await client.updateRun(runId, 'RUNNING');
      return run;
    } catch (error) {
      if (error instanceof MlflowError && error.status !== null && error.status !== 401 && error.status !== 403) {
        return undefined;
      }
      throw error;
    }
  }

  async #upload(name: string, content: Uint8Array | { readonly file: string }): Promise<void> {
    const { artifactUri } = this.#reached();
    try {
      const sent =
        this.#mayTry() && (await this.#attempt((client) => uploadArtifact(client, artifactUri, name, content)));
      if (!sent) this.#lostArtifacts++;
    } catch (error) {
      // The figures still have their way.
      if (this.#lostArtifacts++ === 0) this.#logger.warn(messageOf(error));
    }
  }

  async #deliver(): Promise<void> {
    const { runId } = this.#reached();
    const metrics = this.#waiting;
    if (metrics.length > 0 && (await this.#attempt((client) => client.logBatch(runId, { metrics })))) {
      this.#waiting = this.#waiting.slice(metrics.length);
    }
  }

  #reached(): MlflowRun {
    if (this.#run === undefined) throw new Error('the logger was not started');
    return this.#run;
  }

  #mayTry(): boolean {
    return this.#lostSince === undefined || this.#now() - this.#lostSince >= RETRY_MS;
  }

  /** True where it worked; the first failure of a row is told. */
  async #attempt(work: (client: MlflowClient) => Promise<void>): Promise<boolean> {
    try {
      await work(this.#client as MlflowClient);
      if (this.#lostSince !== undefined) this.#logger.info('MLflow answers again.');
      this.#lostSince = undefined;
      return true;
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      if (this.#lostSince === undefined) {
        this.#logger.warn(
          `MLflow does not accept what this run logs: ${messageOf(error)}. Training continues without it.`,
        );
      }
      this.#lostSince = this.#now();
      return false;
    }
  }
}

/** The configuration by dotted names, as MLflow shows parameters. */
export function flatten(config: object, prefix = ''): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [key, value] of Object.entries(config) as [string, unknown][]) {
    const name = `${prefix}${key}`;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      Object.assign(params, flatten(value, `${name}.`));
    } else if (value !== undefined) {
      params[name] = typeof value === 'string' ? value : JSON.stringify(value);
    }
  }
  return params;
}

async function rememberRun(outputDir: string, address: string, runId: string): Promise<void> {
  const file = path.join(outputDir, MLFLOW_FILE);
  await makeOutputFolder(path.dirname(file));
  await writeAtomically(file, `${JSON.stringify({ tracking_uri: address, run_id: runId }, null, 2)}\n`);
}

/** The run that this folder was logged as, if it was on that server. */
async function readRun(outputDir: string, address: string): Promise<string | undefined> {
  try {
    const said: unknown = JSON.parse(await readFile(path.join(outputDir, MLFLOW_FILE), 'utf8'));
    const { tracking_uri, run_id } = said as { tracking_uri?: unknown; run_id?: unknown };
    return tracking_uri === address && typeof run_id === 'string' ? run_id : undefined;
  } catch {
    return undefined;
  }
}
