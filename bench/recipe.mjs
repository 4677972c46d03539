/**
 * The best recipes found for the pairs of line objects, within an hour of training each on two cores: gridsize 1, gridsize 2, and the
 * pair of constant phase, which begins with the network that learned from the other pair; and how far today's default recipe gets in that
 * time, with `cnn` and with `hybrid_resnet`.
 *
 *   npm run bench:recipe -- [gs1] [gs2] [flat] [cnn] [hybrid]
 *
 * Each recipe is a row of stages. A stage begins from the weights of the one before (`train --init`) with a schedule of its own;
 * the last one learns, without labels as always, from the patterns of the scan that is reconstructed; `…_refined` lets a solver finish
 * what the network of the stage before began. The image is scored after every stage. Writes bench-output/recipe/; finished stages are not repeated, begun ones go on. The first stage of gs1 is a row of
 * `npm run bench:quality` and taken from there where it is done.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { LINES_TRAINING, learn, row } from './lines/learn.mjs';

const folder = path.join('bench-output', 'recipe');
const base = {
  ...LINES_TRAINING,
  nll_weight: 0,
  mae_weight: 1,
};
const again = { ...base, learning_rate: 5e-4 };
const wide = { gridsize: 2, n_filters_scale: 2, training_patch_weighting: 'probe' };

/** As narrow as in `bench:lines128`, about as dear a step as the default `cnn`. */
const hybrid = {
  architecture: 'hybrid_resnet',
  fno_width: 16,
  fno_blocks: 3,
  hybrid_resnet_blocks: 3,
  hybrid_encoder_conv_hidden_scale: 1,
};

/** Stages of each recipe; `on: 'test'`: on the patterns of the scan that is reconstructed; without `train`: as it came. */
const lines = {
  name: 'gs1_amplitude',
  folder: path.join('bench-output', 'lines'),
  train: { ...base, gridsize: 1, nepochs: 18 },
};
const RECIPES = {
  gs1: [
    lines,
    { name: 'gs1_refined', infer: { refine: 'lsqml:20' } },
    { name: 'gs1_own_scan', on: 'test', train: { ...again, gridsize: 1, nepochs: 8 } },
  ],
  gs2: [
    { name: 'gs2_wide', train: { ...base, ...wide, nepochs: 6 } },
    { name: 'gs2_own_scan', on: 'test', train: { ...again, ...wide, nepochs: 8 } },
  ],
  flat: [
    lines,
    { name: 'flat_untrained', kind: 'flat' },
    { name: 'flat_refined', kind: 'flat', infer: { refine: 'lsqml:20' } },
    { name: 'flat_own_scan', kind: 'flat', on: 'test', train: { ...again, gridsize: 1, nepochs: 8 } },
  ],
  cnn: [
    { name: 'cnn_long', train: { nepochs: 48, threads: 1 } },
    { name: 'cnn_long_twice', infer: { stitching_rounds: 2 } },
  ],
  hybrid: [
    { name: 'hybrid_long', train: { ...hybrid, nepochs: 36, threads: 1 } },
    { name: 'hybrid_long_twice', infer: { stitching_rounds: 2 } },
  ],
};

const wanted = process.argv.slice(2).filter((name) => name in RECIPES);
const results = [];
await mkdir(folder, { recursive: true });
for (const recipe of wanted.length > 0 ? wanted : Object.keys(RECIPES)) {
  let before = null;
  let minutes = 0;
  for (const { folder: place = folder, name, train, ...part } of RECIPES[recipe]) {
    const start = before ? { init: before } : {};
    const result = await learn(
      place,
      name,
      train ? { ...part, train: { ...train, ...start } } : { ...part, model: before },
    );
    if (train) before = path.join(place, name);
    minutes += result.train_seconds / 60;
    results.push({ recipe, minutes, ...result });
  }
}
console.log(
  '\n| after stage | amplitude SSIM | amplitude Pearson | phase Pearson | complex error | minutes of training so far |',
);
console.log('|---|---|---|---|---|---|');
for (const r of results) console.log(`${row(r.name, r)} ${r.minutes.toFixed(0)} |`);
