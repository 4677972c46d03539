/**
 * Refinement of scan positions on a simulated scan with known truth (a star, 289 patterns of 64², probe known): positions off by
 * up to 2 px in x and in y, evenly distributed.
 *
 *   npm run bench:positions -- [gridsize1] [gridsize2]      (reads the shared data folder, see PTYCHOPINN_SHARED;
 *                                                            BENCH_EPOCHS: epochs of training, 40)
 *
 * gridsize1: trains on the wrong positions (which training at gridsize 1 does not see), then `infer` without and with
 * `--refine_positions`. gridsize2: trains without and with `--position_trainable`, and infers at the positions that came out.
 * Position errors are mean distances from the true positions after the common shift was removed; the object error is that of
 * `scoreAgainstTruth` within the true scan. Runs the command-line tool as a user would; a training that is there already
 * (bench-output/positions/…/wts.zip) is not repeated. Writes bench-output/positions.json.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LegacyRng } from '../dist/core/rng.js';
import { openDataset } from '../dist/data/openDataset.js';
import { writeScan } from '../dist/data/scanWriter.js';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { openNpz } from '../dist/formats/npz.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { readReconstruction } from '../dist/reconstruction/reconstructionFile.js';

const OFF_PX = 2;
const ROUNDS = 5;
const EPOCHS = Number(process.env.BENCH_EPOCHS ?? 40);
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const file = path.join(path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared'), 'data/sim_64_counts.npz');
const root = 'bench-output/positions';
const recipe = `--preset published --n_groups all --batch_size 4 --n_filters_scale 1 --nepochs ${EPOCHS} --nll_weight 0 --mae_weight 1 --scheduler WarmupCosine --lr_warmup_epochs 1 --lr_min_ratio 0.01 --threads 1`;

const truth = await openDataset(file, { probe: `${file}:probeTrue` });
const { xcoords: xs, ycoords: ys } = truth;
const source = await openNpz(file);
const object = await source.read('objectTrue');
await source.close();
const rng = new LegacyRng(14);
const off = () => (2 * rng.random() - 1) * OFF_PX;
const wrong = { xs: Float64Array.from(xs, (x) => x + off()), ys: Float64Array.from(ys, (y) => y + off()) };

const run = (...args) => execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
const mean = (values) => values.reduce((a, b) => a + b) / values.length;
const round = (v, digits = 3) => Number(v.toFixed(digits));

/** Mean distance from the true positions, the common shift removed. */
function positionError(at) {
  const dx = Array.from(at.xs, (v, k) => v - xs[k]);
  const dy = Array.from(at.ys, (v, k) => v - ys[k]);
  return mean(dx.map((v, k) => Math.hypot(v - mean(dx), dy[k] - mean(dy))));
}

async function scanAt(name, at) {
  const target = path.join(root, `${name}.npz`);
  await writeScan(target, { ...truth, xcoords: Float64Array.from(at.xs), ycoords: Float64Array.from(at.ys) });
  return target;
}

async function positionsOf(folder) {
  const npz = await openNpz(path.join(folder, 'positions.npz'));
  const read = async (key) => (await npz.readReal(key)).data;
  const found = { xs: await read('xcoords'), ys: await read('ycoords') };
  await npz.close();
  return found;
}

function train(folder, scan, ...more) {
  if (!existsSync(path.join(folder, 'wts.zip'))) {
    run('train', '--train_data_file', scan, '--output_dir', folder, ...recipe.split(' '), ...more);
  }
}

async function infer(model, scan, folder, ...more) {
  const started = performance.now();
  run(
    'infer',
    '--model_path',
    model,
    '--test_data',
    scan,
    '--output_dir',
    folder,
    '--overwrite',
    '--threads',
    '1',
    ...more,
  );
  const { image, originYxPx } = await readReconstruction(path.join(folder, 'reconstruction.npz'));
  const frame = { originYxPx, height: image.shape[0], width: image.shape[1] };
  const score = scoreAgainstTruth({ image, frame }, object, { bounds: scanBounds(xs, ys) });
  return {
    object_error: round(score.relative_object_error, 4),
    constant_object_error: round(score.constant_object_error, 4),
    seconds: round((performance.now() - started) / 1000, 1),
  };
}

async function gridsize1() {
  const [wrongScan, trueScan] = [await scanAt('scan_wrong', wrong), await scanAt('scan_true', { xs, ys })];
  const model = path.join(root, 'gridsize1');
  train(model, wrongScan);
  const refined = path.join(root, 'refined');
  return {
    patterns: xs.length,
    without: {
      position_error_px: round(positionError(wrong)),
      ...(await infer(model, wrongScan, path.join(root, 'plain'))),
    },
    with: {
      rounds: ROUNDS,
      ...(await infer(model, wrongScan, refined, '--refine_positions', String(ROUNDS))),
      position_error_px: round(positionError(await positionsOf(refined))),
    },
    true_positions: await infer(model, trueScan, path.join(root, 'true')),
  };
}

async function gridsize2() {
  const wrongScan = await scanAt('scan_wrong', wrong);
  const [plain, moving] = [path.join(root, 'gridsize2'), path.join(root, 'gridsize2_trainable')];
  train(plain, wrongScan, '--gridsize', '2');
  train(moving, wrongScan, '--gridsize', '2', '--position_trainable', '--position_step_limit_px', '3');
  const found = await positionsOf(moving);
  const movedScan = await scanAt('scan_trained', found);
  return {
    without: {
      position_error_px: round(positionError(wrong)),
      ...(await infer(plain, wrongScan, path.join(root, 'plain2'))),
    },
    trained: {
      position_error_px: round(positionError(found)),
      ...(await infer(moving, movedScan, path.join(root, 'trained2'))),
    },
  };
}

const cases = { gridsize1, gridsize2 };
const chosen = process.argv.slice(2).length > 0 ? process.argv.slice(2) : Object.keys(cases);
await mkdir(root, { recursive: true });
const results = { off_px: OFF_PX, epochs: EPOCHS };
for (const name of chosen) {
  results[name] = await cases[name]();
  console.log(name, JSON.stringify(results[name], null, 2));
}
await truth.close();
await writeFile('bench-output/positions.json', `${JSON.stringify(results, null, 2)}\n`);
