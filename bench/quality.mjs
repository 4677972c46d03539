/**
 * What the command-line tool learns: on pairs of scans that it simulates itself (`lines`: three runs beside published figures of
 * the same size, data and number of epochs), and, by name, on data that it did not make (`sim`: a simulated scan with known
 * truth, `star`: a real Siemens star).
 *
 *   npm run bench:quality -- [lines] [sim] [star]      (the last two read the shared data folder, see PTYCHOPINN_SHARED)
 *
 * Runs `ptychopinn train` and `infer` as a user would, scores the image and prints the figures of docs/results.md. Runs of `lines`
 * that are finished are not repeated, begun ones go on where they were.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDataset } from '../dist/data/openDataset.js';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { openNpz } from '../dist/formats/npz.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { readReconstruction } from '../dist/reconstruction/reconstructionFile.js';
import { amplitudeRFactor, constantObjectRFactor } from '../dist/reconstruction/rFactor.js';
import { LINES_TRAINING, learn, row } from './lines/learn.mjs';
import { makePart } from './lines/pairs.mjs';
import { blurredScan, score } from './lines/score.mjs';

const shared = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared');
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const cases = {
  sim: {
    file: path.join(shared, 'data/sim_64_counts.npz'),
    truthKey: 'objectTrue',
    probe: `${path.join(shared, 'data/sim_64_counts.npz')}:probeTrue`,
    train: '--nepochs 40 --batch_size 4 --n_filters_scale 1',
  },
  star: {
    file: path.join(shared, 'data/siemens_star_128.npz'),
    truthKey: 'objectGuess',
    maskKey: 'objectMask',
    train: '--nepochs 16 --batch_size 4 --n_filters_scale 1',
  },
};
const recipe =
  '--preset published --n_groups all --nll_weight 0 --mae_weight 1 --scheduler WarmupCosine --lr_warmup_epochs 1 --lr_min_ratio 0.01';

function run(...args) {
  execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function measure(name) {
  const c = cases[name];
  const folder = path.join('bench-output', name);
  await mkdir(folder, { recursive: true });
  const probe = c.probe ? ['--probe', c.probe] : [];
  const started = performance.now();
  run(
    'train',
    '--train_data_file',
    c.file,
    '--output_dir',
    folder,
    ...probe,
    ...c.train.split(' '),
    ...recipe.split(' '),
  );
  const trainSeconds = (performance.now() - started) / 1000;
  run('infer', '--model_path', folder, '--test_data', c.file, '--output_dir', folder, '--overwrite', ...probe);

  const raw = await openDataset(c.file, c.probe ? { probe: c.probe } : {});
  const all = Int32Array.from({ length: raw.count }, (_, i) => i);
  const diffraction = { data: new Float32Array(raw.count * raw.N * raw.N), shape: [raw.count, raw.N, raw.N] };
  await raw.patterns.readAmplitudes(all, diffraction.data);
  const { image, originYxPx, overlapCount } = await readReconstruction(path.join(folder, 'reconstruction.npz'));
  const stitched = {
    image,
    frame: { originYxPx, height: image.shape[0], width: image.shape[1] },
  };
  const data = await openNpz(c.file);
  const truth = await data.read(c.truthKey);
  const mask = c.maskKey ? await data.readReal(c.maskKey) : undefined;
  const scan = { diffraction, xs: raw.xcoords, ys: raw.ycoords, probe: raw.probeGuess };
  const score = scoreAgainstTruth(stitched, truth, { bounds: scanBounds(raw.xcoords, raw.ycoords), mask });
  const r = Object.fromEntries(
    ['fourier', 'bilinear'].map((shift) => [
      `r_factor_${shift}`,
      amplitudeRFactor(scan, stitched, { shift, overlapCount }),
    ]),
  );
  const result = {
    name,
    train_seconds: Math.round(trainSeconds),
    ...score,
    ...r,
    constant_r_factor: constantObjectRFactor(scan).best,
  };
  await data.close();
  await raw.close();
  await writeFile(path.join(folder, 'quality.json'), `${JSON.stringify(result, null, 2)}\n`);
  console.log(result);
  return result;
}

/** The published PyTorch code on pairs of this kind: 584k parameters, batch 16, Adam 1e-3, plateau schedule; one seed. */
const PUBLISHED = {
  gs1_amplitude: { amplitude_ssim: 0.6, amplitude_pearson: 0.961, phase_pearson: 0.969, complex_error: 0.095 },
  gs1_poisson: { amplitude_ssim: 0.49, amplitude_pearson: 0.938, phase_pearson: 0.751, complex_error: 0.202 },
  gs2_poisson: { amplitude_ssim: 0.49, amplitude_pearson: 0.933, phase_pearson: 0.923, complex_error: 0.14 },
};
/** The same size and data here, and about half the epochs: all three fit into 75 minutes on two cores. */
const RUNS = {
  gs1_amplitude: { gridsize: 1, nepochs: 18, nll_weight: 0, mae_weight: 1 },
  gs1_poisson: { gridsize: 1, nepochs: 18, nll_weight: 1, mae_weight: 0 },
  gs2_poisson: { gridsize: 2, nepochs: 15, nll_weight: 1, mae_weight: 0 },
};

/** The three runs on the pair whose phase follows its amplitude, beside the published ones and the image without a network. */
async function measureLines() {
  const folder = path.join('bench-output', 'lines');
  await mkdir(folder, { recursive: true });
  const test = makePart('lines', 'test');
  const table = [
    '| run | amplitude SSIM | amplitude Pearson | phase Pearson | complex error |',
    '|---|---|---|---|---|',
    row('blurred scan image, no network', score(blurredScan(test), test.objectGuess)),
  ];
  const results = [];
  for (const [name, run] of Object.entries(RUNS)) {
    const train = { ...LINES_TRAINING, ...run };
    const result = await learn(folder, name, { train });
    results.push(result);
    table.push(row(`${name}, ${run.nepochs} epochs`, result), row(`${name}, published`, PUBLISHED[name]));
    console.log(`\n${table.join('\n')}\n`);
  }
  await writeFile(path.join(folder, 'lines.json'), `${JSON.stringify(results, null, 2)}\n`);
}

const wanted = process.argv.slice(2);
if (wanted.length === 0 || wanted.includes('lines')) await measureLines();
const results = [];
for (const name of wanted.filter((a) => a in cases)) results.push(await measure(name));
if (results.length > 0) await writeFile('bench-output/quality.json', `${JSON.stringify(results, null, 2)}\n`);
