/**
 * MLflow over its REST interface 2.0: the few calls that a training run needs.
 *
 * @example
 * const client = new MlflowClient('http://localhost:5000');
 * const run = await client.createRun(await client.experimentId('ptychopinn'), 'my run');
 * await client.logBatch(run.runId, { metrics: [{ key: 'loss', value: 0.5, step: 1, timestamp: Date.now() }] });
 */
import { z } from 'zod';
import { messageOf, PtychoError } from '../core/errors.js';
import { formatBytes } from '../core/words.js';
import { parseBoundedJson } from './json.js';

/** Most entries of one `log-batch`, by kind, and of all kinds together. */
export const BATCH_LIMITS = { metrics: 1000, params: 100, all: 1000 } as const;
/** Letters of a parameter's value that every server takes. */
const PARAM_LENGTH = 6000;
/** Letters of a key that every server takes. */
const KEY_LENGTH = 250;
/** Bytes of an answer that is read; what a run is told is far less. */
const ANSWER_BYTES = 16 * 2 ** 20;

/** A number at a step of a run. */
export interface MlflowMetric {
  readonly key: string;
  readonly value: number;
  readonly step: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** A run on a server. */
export interface MlflowRun {
  readonly runId: string;
  /** Where its artifacts lie: `mlflow-artifacts:/…`, `file:///…` or another store. */
  readonly artifactUri: string;
}

/** How a run ended, in the server's words. */
export type MlflowStatus = 'RUNNING' | 'FINISHED' | 'FAILED' | 'KILLED';

/** Environment variables by which MLflow's own tools find a server and log in. */
export type MlflowEnvironment = Readonly<
  Partial<
    Record<
      'MLFLOW_TRACKING_URI' | 'MLFLOW_TRACKING_TOKEN' | 'MLFLOW_TRACKING_USERNAME' | 'MLFLOW_TRACKING_PASSWORD',
      string
    >
  >
>;

/** What may be set besides the address. */
export interface MlflowOptions {
  readonly environment?: MlflowEnvironment;
  /** Limit of a call; 10 seconds where not given. Artifacts have their own. */
  readonly timeoutMs?: number;
  /**
   * The folder of this machine within which artifacts may lie that the server keeps in files (`file:`); where not given, no answer
   * of a server leads to a file here.
   */
  readonly allowFile?: string | null;
}

/** An answer that says no, or no answer; `status` is null where there was none. */
export class MlflowError extends Error {
  readonly status: number | null;
  /** `RESOURCE_DOES_NOT_EXIST` and the like. */
  readonly errorCode: string | null;

  constructor(message: string, status: number | null, errorCode: string | null, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'MlflowError';
    this.status = status;
    this.errorCode = errorCode;
  }
}

/**
 * The address of the tracking server: what is given, else `MLFLOW_TRACKING_URI`.
 * @throws PtychoError CONFIG_INVALID where there is none, it is no http address, or it holds a password.
 */
export function trackingAddress(
  given: string | null | undefined,
  environment: MlflowEnvironment = process.env,
): string {
  const written = given ?? environment.MLFLOW_TRACKING_URI;
  const bad = (message: string) => new PtychoError('CONFIG_INVALID', message, { field: 'mlflow_tracking_uri' });
  if (!written) {
    throw bad(
      'MLflow needs the address of a tracking server: give --mlflow_tracking_uri http://HOST:5000 or set MLFLOW_TRACKING_URI.',
    );
  }
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw bad(
      `mlflow_tracking_uri must be the http or https address of a tracking server, such as http://localhost:5000, got ${JSON.stringify(written)}; "mlflow server" starts one on a folder.`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    // The address ends up in config.json and in logs.
    throw bad(
      'mlflow_tracking_uri holds a user name or password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN) instead.',
    );
  }
  return written.replace(/\/+$/, '');
}

/** Talks to one tracking server. */
export class MlflowClient {
  readonly address: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  /** See {@link MlflowOptions}. */
  readonly allowFile: string | undefined;

  /** @param address as {@link trackingAddress} gives it. */
  constructor(address: string, options: MlflowOptions = {}) {
    this.address = address;
    this.#headers = authorisation(options.environment ?? process.env);
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.allowFile = options.allowFile ?? undefined;
  }

  /**
   * The id of the experiment of this name, which is made if it is missing.
   * @throws MlflowError, also for an experiment that was deleted
   */
  async experimentId(name: string): Promise<string> {
    const found = await this.#experiment(name);
    if (found !== undefined) return found;
    try {
      const made = await this.#post('experiments/create', { name });
      return answered(createdExperiment, made).experiment_id;
    } catch (error) {
      // Another run made it at the same moment.
      if (!(error instanceof MlflowError) || error.errorCode !== 'RESOURCE_ALREADY_EXISTS') throw error;
      const late = await this.#experiment(name);
      if (late === undefined) throw error;
      return late;
    }
  }

  /** Starts a run. @throws MlflowError */
  async createRun(experimentId: string, name: string, startTime: number = Date.now()): Promise<MlflowRun> {
    return runOf(
      await this.#post('runs/create', { experiment_id: experimentId, run_name: name, start_time: startTime }),
    );
  }

  /** A run that is there already. @throws MlflowError */
  async getRun(runId: string): Promise<MlflowRun> {
    return runOf(await this.#call('GET', `mlflow/runs/get?run_id=${encodeURIComponent(runId)}`));
  }

  /** Says how a run stands; `endTime` in milliseconds since 1970. @throws MlflowError */
  async updateRun(runId: string, status: MlflowStatus, endTime?: number): Promise<void> {
    await this.#post('runs/update', { run_id: runId, status, end_time: endTime });
  }

  /** @throws MlflowError */
  async setTag(runId: string, key: string, value: string): Promise<void> {
    await this.#post('runs/set-tag', { run_id: runId, key: key.slice(0, KEY_LENGTH), value });
  }

  /**
   * Writes metrics and parameters, in as many calls as their limits ask for. A value that is no number is left out:
   * not every store of a server can hold it.
   * @throws MlflowError
   */
  async logBatch(
    runId: string,
    batch: { readonly metrics?: readonly MlflowMetric[]; readonly params?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const metrics = (batch.metrics ?? []).filter(({ value }) => Number.isFinite(value));
    const params = Object.entries(batch.params ?? {}).map(([key, value]) => ({
      key: key.slice(0, KEY_LENGTH),
      value: value.slice(0, PARAM_LENGTH),
    }));
    for (const part of chunks(params, BATCH_LIMITS.params)) await this.#logBatch(runId, [], part);
    for (const part of chunks(metrics, BATCH_LIMITS.metrics)) await this.#logBatch(runId, part, []);
  }

  async #logBatch(runId: string, metrics: readonly MlflowMetric[], params: readonly unknown[]): Promise<void> {
    await this.#post('runs/log-batch', { run_id: runId, metrics, params, tags: [] });
  }

  /**
   * Calls an address of the server with its login and gives the bytes of the answer if it is a good one.
   * @throws MlflowError, also for an answer that is longer than `mostBytes` or does not end in time
   */
  async fetch(
    method: string,
    url: string,
    body?: string | Uint8Array,
    { timeoutMs = this.#timeoutMs, mostBytes = ANSWER_BYTES }: { timeoutMs?: number; mostBytes?: number } = {},
  ): Promise<Uint8Array> {
    const type = typeof body === 'string' ? 'application/json' : 'application/octet-stream';
    let answer: Response;
    let content: Uint8Array;
    try {
      answer = await fetch(url, {
        method,
        body: body as RequestInit['body'],
        headers: body === undefined ? this.#headers : { ...this.#headers, 'content-type': type },
        signal: AbortSignal.timeout(timeoutMs),
      });
      content = await bodyOf(answer, mostBytes);
    } catch (error) {
      if (error instanceof MlflowError) throw error;
      const timedOut = error instanceof Error && error.name === 'TimeoutError';
      const why = timedOut ? `no answer within ${timeoutMs / 1000} s` : messageOf(reasonOf(error));
      throw new MlflowError(`${this.address} cannot be reached (${why})`, null, null, { cause: error });
    }
    if (answer.ok) return content;
    const { errorCode, message } = refusal(answer, content);
    throw new MlflowError(message, answer.status, errorCode);
  }

  async #experiment(name: string): Promise<string | undefined> {
    let answer: unknown;
    try {
      answer = await this.#call('GET', `mlflow/experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`);
    } catch (error) {
      if (error instanceof MlflowError && error.errorCode === 'RESOURCE_DOES_NOT_EXIST') return undefined;
      throw error;
    }
    const { experiment } = answered(namedExperiment, answer);
    if (experiment.lifecycle_stage === 'deleted') {
      throw new MlflowError(
        `the experiment ${name} was deleted there: restore it, or name another with --mlflow_experiment`,
        null,
        null,
      );
    }
    return experiment.experiment_id;
  }

  #post(call: string, body: unknown): Promise<unknown> {
    return this.#call('POST', `mlflow/${call}`, body);
  }

  async #call(method: string, call: string, body?: unknown): Promise<unknown> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const text = Buffer.from(await this.fetch(method, `${this.address}/api/2.0/${call}`, content)).toString('utf8');
    try {
      return text === '' ? {} : parseBoundedJson(text);
    } catch {
      throw new MlflowError(`${this.address} does not answer like an MLflow server`, 200, null);
    }
  }
}

/** What a refusal says; servers answer in JSON, what stands before them in HTML. */
function refusal(answer: Response, content: Uint8Array): { errorCode: string | null; message: string } {
  if (answer.status === 401 || answer.status === 403) {
    return {
      errorCode: 'PERMISSION_DENIED',
      message: `the server refuses the login (HTTP ${answer.status}); set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD`,
    };
  }
  const said = spokenRefusal(content);
  const text = said?.message?.split('\n')[0].slice(0, 300) ?? answer.statusText;
  return {
    errorCode: said?.error_code ?? null,
    message: `the server answers HTTP ${answer.status}${text ? `: ${text}` : ''}`,
  };
}

function authorisation(environment: MlflowEnvironment): Record<string, string> {
  const {
    MLFLOW_TRACKING_TOKEN: token,
    MLFLOW_TRACKING_USERNAME: user,
    MLFLOW_TRACKING_PASSWORD: password,
  } = environment;
  // As in MLflow's own client: name and password win over a token.
  if (user && password) {
    return { authorization: `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}` };
  }
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** `fetch` hides the reason one level down. */
function reasonOf(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors[0];
  return cause ?? error;
}

/** What answers hold of what is used of them. */
const experimentId = z.string().min(1).max(256);
const createdExperiment = z.object({ experiment_id: experimentId });
const namedExperiment = z.object({
  experiment: z.object({ experiment_id: experimentId, lifecycle_stage: z.string().optional() }),
});
const foundRun = z.object({
  run: z.object({ info: z.object({ run_id: z.string().min(1).max(256), artifact_uri: z.string().min(1).max(4096) }) }),
});
const refused = z.object({ error_code: z.string().optional(), message: z.string().optional() });

function runOf(answer: unknown): MlflowRun {
  const { run_id, artifact_uri } = answered(foundRun, answer).run.info;
  return { runId: run_id, artifactUri: artifact_uri };
}

/** @throws MlflowError where the answer is not what a server of MLflow says */
function answered<T>(schema: z.ZodType<T>, answer: unknown): T {
  const { success, data, error } = schema.safeParse(answer);
  if (success) return data;
  const key = error.issues[0].path.join('.') || 'content';
  throw new MlflowError(`the server's answer holds no ${key} that can be used; is it an MLflow server?`, null, null);
}

function spokenRefusal(content: Uint8Array): z.output<typeof refused> | undefined {
  try {
    return refused.safeParse(parseBoundedJson(Buffer.from(content).toString('utf8'))).data;
  } catch {
    // The status says enough.
    return undefined;
  }
}

/** The bytes of an answer. @throws MlflowError beyond `mostBytes` */
async function bodyOf(answer: Response, mostBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    length += part.length;
    // Leaving the loop closes the connection.
    if (length > mostBytes) {
      throw new MlflowError(`the server's answer is longer than ${formatBytes(mostBytes)}`, answer.status, null);
    }
    parts.push(part);
  }
  return Uint8Array.from(Buffer.concat(parts, length));
}

function* chunks<T>(values: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < values.length; i += size) yield values.slice(i, i + size);
}
