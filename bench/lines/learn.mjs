/**
 * One learning run as a user would do it: `ptychopinn train`, `infer`, score; finished runs are not repeated, begun ones go on.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { openNpz } from '../../dist/formats/npz.js';
import { partFile } from './pairs.mjs';
import { readImage, score } from './score.mjs';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const run = (...args) => execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });

/** What all trainings of the line benches share. */
export const LINES_TRAINING = {
  preset: 'published',
  n_groups: 'all',
  n_filters_scale: 1,
  batch_size: 4,
  scheduler: 'WarmupCosine',
  lr_warmup_epochs: 1,
  lr_min_ratio: 0.01,
};

/** Flags from fields: `{ nepochs: 4 }` → `--nepochs 4`. */
const flags = (fields) => Object.entries(fields).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** Trains, or goes on; the seconds are kept in the folder, because an interrupted training goes on in another process. */
async function teach(runFolder, scan, train) {
  const file = path.join(runFolder, 'seconds.json');
  const before = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : 0;
  const begun = existsSync(path.join(runFolder, 'checkpoints')) ? ['--resume', runFolder] : [];
  const started = performance.now();
  const seconds = () => Math.round(before + (performance.now() - started) / 1000);
  try {
    run('train', '--train_data_file', scan, '--output_dir', runFolder, ...flags(train), ...begun);
  } finally {
    await writeFile(file, String(seconds()));
  }
  return seconds();
}

/**
 * Trains on the training part of a pair (or on the part that `on` names), reconstructs its test part and scores the image;
 * with `model`, the folder of a trained network, there is no training.
 * @returns the scores, with what was trained and how long it took
 */
export async function learn(folder, name, { kind = 'lines', dose = 1, on = 'train', model, train, infer = {} }) {
  const runFolder = path.join(folder, name);
  const result = path.join(runFolder, 'score.json');
  const settings = { kind, dose, ...(on === 'train' ? {} : { on }), ...(model ? { model } : { train }), infer };
  if (existsSync(result)) {
    const known = JSON.parse(await readFile(result, 'utf8'));
    if (isDeepStrictEqual(known.settings, settings)) return known;
  }
  await mkdir(runFolder, { recursive: true });
  const data = path.join(folder, 'data');
  const testFile = await partFile(data, kind, 'test', { dose });
  const seconds = model ? 0 : await teach(runFolder, await partFile(data, kind, on, { dose }), train);
  const network = model ?? runFolder;
  run(
    'infer',
    '--model_path',
    network,
    '--test_data',
    testFile,
    '--output_dir',
    runFolder,
    '--overwrite',
    ...flags(infer),
  );
  const truth = await readObject(testFile);
  const scores = score(await readImage(path.join(runFolder, 'reconstruction.npz')), truth);
  const summary = { name, ...scores, train_seconds: seconds, settings };
  await writeFile(result, `${JSON.stringify(summary, null, 2)}\n`);
  await rm(path.join(runFolder, 'seconds.json'), { force: true });
  return summary;
}

/** The true object of a scan file. */
export async function readObject(file) {
  const npz = await openNpz(file);
  try {
    return await npz.read('objectGuess');
  } finally {
    await npz.close();
  }
}

/** A line of a Markdown table. */
export const row = (name, s) =>
  `| ${name} | ${s.amplitude_ssim.toFixed(2)} | ${s.amplitude_pearson.toFixed(3)} | ${s.phase_pearson.toFixed(3)} | ${s.complex_error.toFixed(3)} |`;
