/**
 * Do both backends learn the same? Ten epochs on a simulated Siemens star, three seeds each; the medians of the last losses are set
 * against each other. Same groups, same start, other arithmetic: single runs drift apart, their medians should not.
 *
 *   npm run bench:backends -- [--epochs 10] [--seeds 3] [--patterns 324]    (all patterns: about an hour on one core)
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { trainCdiModelWithBackend } from '../dist/adapters/compat/cdi.js';
import { trainingRequestSchema } from '../dist/config/schema.js';
import { openDataset } from '../dist/data/openDataset.js';
import { simulate, writeSimulatedScan } from '../dist/workflows/simulate.js';

const { values } = parseArgs({
  options: {
    epochs: { type: 'string', default: '10' },
    seeds: { type: 'string', default: '3' },
    patterns: { type: 'string' },
  },
});
const epochs = Number(values.epochs);
const patterns = values.patterns && Number(values.patterns);
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bench-'));
const results = { epochs, seeds, patterns: patterns ?? 'all', backends: {} };
try {
  const file = path.join(folder, 'scan.npz');
  await writeSimulatedScan(
    file,
    simulate({
      ...{ N: 64, object: 'siemens_star', object_side_px: 153, scan: 'jittered_raster', step_px: 5 },
      ...{ probe: 'structured', probe_diameter_px: 16, probe_curvature_rad: 1.2, photons: 1e6, noise: true },
      ...{ seed: 0, object_seed: 0, scan_seed: 1, noise_seed: 2 },
    }),
  );
  for (const backend of ['onnx', 'tensorflow']) {
    const runs = [];
    for (const seed of seeds) {
      const raw = await openDataset(file, patterns ? { n_subsample: patterns } : {});
      const config = trainingRequestSchema.parse({
        model: { n_filters_scale: 1 },
        n_groups: 'all',
        nepochs: epochs,
        batch_size: 4,
        nll_weight: 0,
        mae_weight: 1,
        scheduler: 'WarmupCosine',
        lr_warmup_epochs: 1,
        lr_min_ratio: 0.01,
        subsample_seed: 0,
        seed,
        backend,
        execution: { accelerator: 'cpu', threads: 1 },
      });
      const started = performance.now();
      const { history, engine, model_instance } = await trainCdiModelWithBackend(raw, null, config);
      await model_instance.dispose();
      await raw.close();
      const run = {
        seed,
        engine,
        loss: history.train_loss.at(-1),
        val_loss: history.val_loss.at(-1),
        seconds: (performance.now() - started) / 1000,
      };
      runs.push(run);
      console.log(
        `${engine}, seed ${seed}: loss ${run.loss.toFixed(5)}, val_loss ${run.val_loss.toFixed(5)}, ${run.seconds.toFixed(0)} s`,
      );
    }
    results.backends[backend] = {
      runs,
      loss: median(runs.map((r) => r.loss)),
      val_loss: median(runs.map((r) => r.val_loss)),
    };
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const { onnx, tensorflow } = results.backends;
for (const key of ['loss', 'val_loss']) {
  const difference = Math.abs(tensorflow[key] / onnx[key] - 1);
  results[`${key}_difference`] = difference;
  console.log(
    `median ${key}: onnx ${onnx[key].toFixed(5)}, tensorflow ${tensorflow[key].toFixed(5)}, ${(100 * difference).toFixed(2)} % apart (asked: 5 %)`,
  );
}
await mkdir('bench-output', { recursive: true });
await writeFile('bench-output/backends.json', `${JSON.stringify(results, null, 2)}\n`);
