/** A training run on MLflow from its first epoch to the bundle, which is opened from there again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { simulationConfigSchema, trainingRequestSchema } from '../../../src/config/schema.js';
import { PtychoModel } from '../../../src/reconstruction/ptychoModel.js';
import { simulateWorkflow } from '../../../src/workflows/simulate.js';
import { trainWorkflow } from '../../../src/workflows/train.js';
import { MlflowServer } from '../../support/mlflowServer.js';

let folder: string;
const server = new MlflowServer();
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-mlflow-run-'));
  await server.listen();
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

it('logs a run and gives its bundle back', async () => {
  const scan = path.join(folder, 'scan.npz');
  await simulateWorkflow(
    simulationConfigSchema.parse({ output_file: scan, N: 32, object_side_px: 48, n_patterns: 9, seed: 1 }),
  );
  const execution = {
    accelerator: 'cpu',
    threads: 1,
    logger_backend: 'mlflow',
    mlflow_tracking_uri: server.address,
    recon_log_every_n_epochs: 1,
  };
  const request = trainingRequestSchema.parse({
    model: { n_filters_scale: 1 },
    train_data_file: scan,
    output_dir: path.join(folder, 'run'),
    nepochs: 2,
    batch_size: 4,
    execution,
  });
  const { history, bestEpoch } = await trainWorkflow(request);
  const [run] = server.runs.values();
  expect(run.status).toBe('FINISHED');
  expect(run.params).toMatchObject({ nepochs: '2', 'model.N': '32' });
  const losses = run.metrics.filter(({ key }) => key === 'loss').map(({ step, value }) => [step, value]);
  expect(losses).toEqual(history.map(({ epoch, loss }) => [epoch, loss]));
  const names = [...server.artifacts.keys()].map((name) => name.replace(/^.*\/artifacts\//, ''));
  expect(names).toContain('wts.zip');
  expect(names.filter((name) => /^previews\/.*epoch_000[12]\.png$/.test(name))).toHaveLength(2);
  const model = await PtychoModel.read(`runs:/${run.run_id}/wts.zip`, { mlflowTrackingUri: server.address });
  expect(model.bundle.manifest.training?.best_epoch ?? model.bundle.training.bestEpoch).toBe(bestEpoch);
  expect(model.bundle.path).toBe(`runs:/${run.run_id}/wts.zip`);
}, 120_000);
