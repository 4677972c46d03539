/**
 * A tracking server of MLflow as far as its clients see it: the calls that a run needs, refused where the real server
 * refuses them (limits, missing fields, parameters that change, unknown runs, logins).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Run {
  run_id: string;
  experiment_id: string;
  run_name: string;
  status: string;
  start_time: number;
  end_time?: number;
  params: Record<string, string>;
  tags: Record<string, string>;
  metrics: { key: string; value: number; step: number; timestamp: number }[];
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const invalid = (message: string) => new Refusal(400, 'INVALID_PARAMETER_VALUE', message);

export class MlflowServer {
  readonly experiments = new Map<string, { id: string; lifecycle_stage: string }>();
  readonly runs = new Map<string, Run>();
  readonly artifacts = new Map<string, Buffer>();
  /** Method and path of every request, in order. */
  readonly requests: string[] = [];
  /** The `authorization` header that is asked for. */
  login: string | undefined;
  /** What `artifact_uri` of new runs begins with. */
  artifactRoot = 'mlflow-artifacts:';
  /** Answer nothing, as a server that hangs. */
  hangs = false;
  #server: Server | undefined;
  #port = 0;

  get address(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens; a second call listens at the same address again. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.hangs) return;
    const url = new URL(request.url ?? '/', this.address);
    this.requests.push(`${request.method} ${url.pathname}`);
    const say = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
    };
    try {
      if (this.login !== undefined && request.headers.authorization !== this.login) {
        response.writeHead(401, { 'content-type': 'text/html' });
        response.end('<p>You are not authenticated.</p>');
        return;
      }
      say(200, this.#serve(request, url, Buffer.concat(chunks)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(error.status, { error_code: error.code, message: error.message });
    }
  }

  #serve(request: IncomingMessage, url: URL, body: Buffer): unknown {
    const proxied = /^\/api\/2\.0\/mlflow-artifacts\/artifacts\/(.+)$/.exec(url.pathname);
    if (proxied) return this.#artifact(request.method, decodeURIComponent(proxied[1]), body);
    const call = `${request.method} ${url.pathname.replace('/api/2.0/mlflow/', '')}`;
    if (request.method === 'POST' && request.headers['content-type'] !== 'application/json') {
      throw new Refusal(400, 'BAD_REQUEST', 'Bad Request. Content-Type must be application/json.');
    }
    if (body.length > 1_000_000) throw new Refusal(413, 'BAD_REQUEST', 'Request too large');
    const given = (body.length > 0 ? JSON.parse(body.toString('utf8')) : {}) as Record<string, never>;
    switch (call) {
      case 'GET experiments/get-by-name':
        return this.#byName(needed(url.searchParams.get('experiment_name'), 'experiment_name'));
      case 'POST experiments/create':
        return this.#createExperiment(needed(given.name, 'name'));
      case 'POST runs/create':
        return this.#createRun(given);
      case 'GET runs/get':
        return { run: { info: this.#info(this.#run(url.searchParams.get('run_id'))) } };
      case 'POST runs/update':
        return this.#update(given);
      case 'POST runs/log-batch':
        return this.#logBatch(given);
      case 'POST runs/set-tag':
        this.#run(given.run_id).tags[needed(given.key, 'key')] = needed(given.value, 'value');
        return {};
      default:
        throw new Refusal(404, 'ENDPOINT_NOT_FOUND', `No such call: ${call}`);
    }
  }

  #byName(name: string): unknown {
    const found = this.experiments.get(name);
    if (!found) throw new Refusal(404, 'RESOURCE_DOES_NOT_EXIST', `Could not find experiment with name '${name}'`);
    return { experiment: { experiment_id: found.id, name, lifecycle_stage: found.lifecycle_stage } };
  }

  #createExperiment(name: string): unknown {
    if (this.experiments.has(name)) {
      throw new Refusal(400, 'RESOURCE_ALREADY_EXISTS', `Experiment(name=${name}) already exists.`);
    }
    const id = String(this.experiments.size + 1);
    this.experiments.set(name, { id, lifecycle_stage: 'active' });
    return { experiment_id: id };
  }

  #createRun(given: Record<string, never>): unknown {
    const experiment_id = needed(given.experiment_id, 'experiment_id');
    if (![...this.experiments.values()].some(({ id }) => id === experiment_id)) {
      throw new Refusal(404, 'RESOURCE_DOES_NOT_EXIST', `No Experiment with id=${experiment_id} exists`);
    }
    const run_id = (this.runs.size + 1).toString(16).padStart(32, '0');
    const run: Run = {
      run_id,
      experiment_id,
      run_name: given.run_name,
      status: 'RUNNING',
      start_time: given.start_time,
      params: {},
      tags: {},
      metrics: [],
    };
    this.runs.set(run_id, run);
    return { run: { info: this.#info(run), data: {} } };
  }

  #info(run: Run): unknown {
    const artifact_uri = `${this.artifactRoot}/${run.experiment_id}/${run.run_id}/artifacts`;
    return { run_id: run.run_id, run_uuid: run.run_id, status: run.status, artifact_uri };
  }

  #run(id: unknown): Run {
    const run = this.runs.get(needed(id, 'run_id'));
    if (!run) throw new Refusal(404, 'RESOURCE_DOES_NOT_EXIST', `Run with id=${String(id)} not found`);
    return run;
  }

  #update(given: Record<string, never>): unknown {
    const run = this.#run(given.run_id);
    const status = needed(given.status, 'status');
    if (!['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'].includes(status)) {
      throw invalid(`Invalid value ${status} for parameter 'status'`);
    }
    Object.assign(run, { status, end_time: given.end_time });
    return { run_info: this.#info(run) };
  }

  #logBatch(given: Record<string, never>): unknown {
    const run = this.#run(given.run_id);
    const metrics = (given.metrics ?? []) as Run['metrics'];
    const params = (given.params ?? []) as { key: string; value: string }[];
    if (metrics.length > 1000) throw invalid('A batch logging request can contain at most 1000 metrics.');
    if (params.length > 100) throw invalid('A batch logging request can contain at most 100 params.');
    if (metrics.length + params.length > 1000)
      throw invalid('A batch logging request can contain at most 1000 entities.');
    for (const { key, value, step, timestamp } of metrics) {
      checkKey(key);
      if (typeof value !== 'number') throw invalid(`Got invalid value ${String(value)} for metric '${key}'`);
      if (!Number.isInteger(step) || !Number.isInteger(timestamp)) throw invalid(`metric ${key} has no step or time`);
    }
    for (const { key, value } of params) {
      checkKey(key);
      if (typeof value !== 'string') throw invalid(`Invalid value ${String(value)} for parameter 'value'`);
      if (value.length > 6000) throw invalid(`Param value '${key}' had length ${value.length}, which exceeds 6000`);
      if (Object.hasOwn(run.params, key) && run.params[key] !== value) {
        throw invalid(`Changing param values is not allowed. Param with key='${key}' was already logged.`);
      }
    }
    run.metrics.push(...metrics);
    for (const { key, value } of params) run.params[key] = value;
    return {};
  }

  #artifact(method: string | undefined, path: string, body: Buffer): unknown {
    if (path.split('/').includes('..')) throw invalid('Invalid path');
    if (method === 'PUT') {
      this.artifacts.set(path, body);
      return {};
    }
    const found = this.artifacts.get(path);
    if (!found) throw new Refusal(404, 'RESOURCE_DOES_NOT_EXIST', 'No such artifact');
    return found;
  }
}

function needed(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`Missing value for required parameter '${name}'.`);
}

function checkKey(key: unknown): void {
  const name = needed(key, 'key');
  if (name.length > 250) throw invalid(`Metric or param name had length ${name.length}, which exceeds 250`);
  if (!/^[/\w.\- :]*$/.test(name)) throw invalid(`Invalid name: '${name}'.`);
}
