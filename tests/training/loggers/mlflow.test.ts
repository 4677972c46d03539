/** Runs on MLflow, against a server that refuses what the real one refuses. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TrainingConfig, trainingConfigSchema } from '../../../src/config/schema.js';
import { openBundle } from '../../../src/persistence/bundle.js';
import { BATCH_LIMITS, MlflowClient, trackingAddress } from '../../../src/persistence/mlflow.js';
import { downloadArtifact, fetchMlflowBundle, uploadArtifact } from '../../../src/persistence/mlflowArtifacts.js';
import { MlflowLogger, type MlflowLoggerOptions } from '../../../src/training/loggers/mlflow.js';
import { MlflowServer } from '../../support/mlflowServer.js';

let folder: string;
let server: MlflowServer;
let said: string[];
let clock: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-mlflow-test-'));
  server = new MlflowServer();
  await server.listen();
  said = [];
  clock = 1_000_000;
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const config = (mlflow_tracking_uri: string | null = server.address): TrainingConfig =>
  trainingConfigSchema.parse({
    model: { N: 64 },
    output_dir: join(folder, 'my run'),
    execution: { logger_backend: 'mlflow', mlflow_tracking_uri, mlflow_experiment: 'stars & lines' },
  });
const run = (resumed = false) => ({ config: config(), outputDir: folder, resumed });
const create = (options: MlflowLoggerOptions = {}) =>
  new MlflowLogger(
    { info: (text) => said.push(`info ${text}`), warn: (text) => said.push(`warn ${text}`) },
    { environment: {}, now: () => clock, ...options },
  );
const only = () => [...server.runs.values()][0];

describe('a run', () => {
  it('has parameters, metrics, pictures, the bundle and an end', async () => {
    const logger = create();
    await logger.start(run());
    expect([...server.experiments.keys()]).toEqual(['stars & lines']);
    expect(only()).toMatchObject({ run_name: 'my run', status: 'RUNNING', start_time: 1_000_000 });
    expect(only().params).toMatchObject({
      nepochs: '50',
      'model.gridsize': '1',
      'model.object_big': 'true',
      init: 'null',
    });
    expect(Object.keys(only().params).length).toBeGreaterThan(BATCH_LIMITS.params);
    expect(only().tags['ptychopinn.version']).toMatch(/^\d+\.\d+/);
    await logger.epoch({ epoch: 1, loss: 0.5, val_loss: null, odd: Number.NaN });
    await logger.epoch({ epoch: 2, loss: 0.25, val_loss: 0.125, odd: 1 });
    expect(only().metrics.map(({ key, value, step }) => [key, value, step])).toEqual([
      ['loss', 0.5, 1],
      ['loss', 0.25, 2],
      ['val_loss', 0.125, 2],
      ['odd', 1, 2],
    ]);
    await logger.image('previews/amplitude', 2, Uint8Array.of(1, 2));
    const bundle = join(folder, 'wts.zip');
    await writeFile(bundle, 'a bundle');
    await logger.artifact(bundle);
    clock += 5000;
    await logger.finish('finished');
    const root = `1/${only().run_id}/artifacts`;
    expect(server.artifacts.get(`${root}/previews/amplitude/epoch_0002.png`)).toEqual(Buffer.of(1, 2));
    expect(server.artifacts.get(`${root}/wts.zip`)?.toString()).toBe('a bundle');
    expect(only()).toMatchObject({ status: 'FINISHED', end_time: 1_005_000 });
    expect(said).toEqual([`info MLflow: run ${only().run_id} of experiment stars & lines at ${server.address}.`]);
  });

  it.each([
    ['cancelled', 'KILLED'],
    ['failed', 'FAILED'],
  ] as const)('that is %s is %s', async (status, word) => {
    const logger = create();
    await logger.start(run());
    await logger.finish(status);
    expect(only().status).toBe(word);
  });

  it('goes on in the same run when it is resumed in its folder', async () => {
    await create().start(run());
    const second = create();
    await second.start(run(true));
    await second.epoch({ epoch: 3, loss: 0.1 });
    expect(server.runs.size).toBe(1);
    expect(only().metrics).toHaveLength(1);
    // A run that the server no longer knows becomes a new one.
    server.runs.clear();
    await create().start(run(true));
    expect(server.runs.size).toBe(1);
    const saved = JSON.parse(await readFile(join(folder, 'logs', 'mlflow.json'), 'utf8')) as unknown;
    expect(saved).toEqual({ tracking_uri: server.address, run_id: only().run_id });
  });

  it('copies artifacts to the folder that was named, where the server keeps them in one', async () => {
    await mkdir(join(folder, 'store'));
    server.artifactRoot = `file://${folder}/store`;
    const logger = create({ allowFile: join(folder, 'store') });
    await logger.start(run());
    await logger.image('previews/phase', 1, Uint8Array.of(7));
    const kept = join(folder, 'store', '1', only().run_id, 'artifacts', 'previews', 'phase', 'epoch_0001.png');
    expect(await readFile(kept)).toEqual(Buffer.of(7));
    // What is there stays.
    await logger.image('previews/phase', 1, Uint8Array.of(8));
    expect(await readFile(kept)).toEqual(Buffer.of(7));
    expect(said.at(-1)).toMatch(/^warn .*epoch_0001\.png is there already and stays as it is\.$/);
  });

  it('says once that artifacts lie where only the server can write', async () => {
    server.artifactRoot = 's3://bucket';
    const logger = create();
    await logger.start(run());
    await logger.image('a', 1, Uint8Array.of(7));
    await logger.image('a', 2, Uint8Array.of(7));
    await logger.finish('finished');
    expect(said.filter((line) => line.startsWith('warn'))).toEqual([
      expect.stringMatching(/lie in s3:\/\/bucket.* only the server can write; start it with --serve-artifacts\.$/),
      'warn MLflow did not get 2 files of this run; the output folder has all of it.',
    ]);
    expect(only().status).toBe('FINISHED');
  });
});

describe('logins', () => {
  it.each([
    ['a token', { MLFLOW_TRACKING_TOKEN: 'abc' }, 'Bearer abc'],
    [
      'a name and a password, which win over a token',
      { MLFLOW_TRACKING_USERNAME: 'ann', MLFLOW_TRACKING_PASSWORD: 'pä', MLFLOW_TRACKING_TOKEN: 'abc' },
      `Basic ${Buffer.from('ann:pä', 'utf8').toString('base64')}`,
    ],
  ])('by %s', async (_name, environment, header) => {
    server.login = header;
    await create({ environment }).start(run());
    expect(server.runs.size).toBe(1);
  });

  it('that are refused say which variables to set', async () => {
    server.login = 'Bearer other';
    await expect(create().start(run())).rejects.toThrow(
      /refuses the login \(HTTP 401\); set MLFLOW_TRACKING_TOKEN, or .*--logger none\.$/,
    );
  });
});

describe('a server that is not there', () => {
  it('at the start is one sentence with what to do', async () => {
    await server.close();
    await expect(create().start(run())).rejects.toThrow(
      /^The run cannot be logged to MLflow: http:\/\/127\.0\.0\.1:\d+ cannot be reached \(connect ECONNREFUSED .*\); start the server, correct --mlflow_tracking_uri, or train with --logger none\.$/,
    );
  });

  it('or does not answer in time', async () => {
    server.hangs = true;
    await expect(create({ timeoutMs: 50 }).start(run())).rejects.toThrow(/no answer within 0\.05 s/);
  });

  it('or is another kind of server', async () => {
    const other = new MlflowClient(`${server.address}/elsewhere`, { environment: {} });
    await expect(other.experimentId('x')).rejects.toThrow(/HTTP 404: No such call/);
  });

  it('in the middle costs one warning, and gets what it missed when it is back', async () => {
    const logger = create();
    await logger.start(run());
    await logger.epoch({ epoch: 1, loss: 1 });
    await server.close();
    for (let epoch = 2; epoch <= 5; epoch++) {
      clock += 20_000;
      await logger.epoch({ epoch, loss: 1 / epoch });
    }
    await logger.image('a', 5, Uint8Array.of(1));
    expect(said.filter((line) => line.startsWith('warn'))).toEqual([
      expect.stringMatching(
        /^warn MLflow does not accept what this run logs: .*cannot be reached.*Training continues without it\.$/,
      ),
    ]);
    await server.listen();
    await logger.finish('finished');
    expect(only().metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    expect(only().status).toBe('FINISHED');
    expect(said.slice(-2)).toEqual([
      'info MLflow answers again.',
      'warn MLflow did not get 1 file of this run; the output folder has all of it.',
    ]);
  });

  it('until the end says what is missing there', async () => {
    const logger = create();
    await logger.start(run());
    await server.close();
    await logger.epoch({ epoch: 1, loss: 1, nll: 2 });
    await logger.finish('failed');
    expect(said.at(-1)).toBe('warn MLflow did not get 2 figures of this run; the output folder has all of it.');
  });
});

describe('the address', () => {
  it('comes from the configuration or the environment', () => {
    const environment = { MLFLOW_TRACKING_URI: 'https://there/' };
    expect(trackingAddress(null, environment)).toBe('https://there');
    expect(trackingAddress('http://here:5000//', environment)).toBe('http://here:5000');
  });

  it.each([
    [null, /^MLflow needs the address .*set MLFLOW_TRACKING_URI\.$/],
    ['./mlruns', /must be the http or https address/],
    ['file:///mlruns', /must be the http or https address/],
    ['http://ann:secret@here', /^mlflow_tracking_uri holds a user name or password; set MLFLOW_TRACKING_USERNAME/],
  ])('%s is refused', (given, message) => {
    expect(() => trackingAddress(given, {})).toThrow(message);
  });
});

describe('calls', () => {
  it('stay within the limits of the server', async () => {
    const client = new MlflowClient(server.address, { environment: {} });
    const { runId } = await client.createRun(await client.experimentId('x'), 'x');
    const metrics = Array.from({ length: 2001 }, (_, step) => ({ key: 'loss', value: step, step, timestamp: 1 }));
    await client.logBatch(runId, { metrics, params: { long: 'x'.repeat(7000), ['k'.repeat(300)]: 'v' } });
    expect(only().metrics).toHaveLength(2001);
    expect(only().params.long).toHaveLength(6000);
    expect(server.requests.filter((request) => request.endsWith('log-batch'))).toHaveLength(4);
  });

  it('meet an experiment that another run made at the same moment, or that was deleted', async () => {
    const client = new MlflowClient(server.address, { environment: {} });
    expect(await Promise.all([client.experimentId('x'), client.experimentId('x')])).toEqual(['1', '1']);
    server.experiments.set('gone', { id: '9', lifecycle_stage: 'deleted' });
    await expect(client.experimentId('gone')).rejects.toThrow(/was deleted there: restore it, or name another/);
  });
});

describe('bundles', () => {
  it.each([
    ['runs:/ID/wts.zip', 'wts.zip'],
    ['runs:/ID', 'wts.zip'],
    ['runs:/ID/models/best 1.zip', 'models/best 1.zip'],
    ['mlflow-artifacts:/1/ID/artifacts/wts.zip', 'wts.zip'],
  ])('are fetched as %s', async (uri, name) => {
    const client = new MlflowClient(server.address, { environment: {} });
    const { runId, artifactUri } = await client.createRun(await client.experimentId('x'), 'x');
    await uploadArtifact(client, artifactUri, name, Buffer.from('bytes'));
    expect(await downloadArtifact(client, artifactUri, name)).toEqual(new Uint8Array(Buffer.from('bytes')));
    const fetched = await fetchMlflowBundle(uri.replace('ID', runId), server.address, { environment: {} });
    expect(await readFile(fetched.path, 'utf8')).toBe('bytes');
    await fetched.dispose();
    await expect(readFile(fetched.path)).rejects.toThrow(/ENOENT/);
  });

  it.each([
    ['runs:/nobody/wts.zip', /^The bundle runs:\/nobody\/wts\.zip cannot be fetched .*Run with id=nobody not found/],
    ['mlflow-artifacts:/1/wts.zip', /cannot be fetched from MLflow at .*No such artifact/],
    ['runs:', /^runs: is no artifact of MLflow; write runs:\/RUN_ID\/wts\.zip/],
  ])('%s that are not there', async (uri, message) => {
    await expect(fetchMlflowBundle(uri, server.address, { environment: {} })).rejects.toThrow(message);
  });

  it('that are none are refused like any file, by the name that was given', async () => {
    server.artifacts.set('1/wts.zip', Buffer.from('no zip'));
    await expect(openBundle('mlflow-artifacts:/1/wts.zip', { mlflowTrackingUri: server.address })).rejects.toThrow(
      /^mlflow-artifacts:\/1\/wts\.zip /,
    );
  });
});
