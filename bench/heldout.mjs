/**
 * A scan that no network has seen: three networks that learned from another object of the same kind (PINN of gridsize 1 and 2,
 * supervised baseline), an iterative reconstruction, and what no reconstruction at all would score, in both families of metrics.
 *
 *   npm run bench:heldout      (about 20 minutes on two cores; HELDOUT_EPOCHS=1 HELDOUT_SIDE_PX=110 for a quick look)
 *
 * Everything by the commands that users have: `simulate`, `train`, `solve`, `compare`. Writes bench-output/heldout/ and prints the
 * tables of docs/results.md. Finished runs are not repeated, begun trainings go on.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';

const EPOCHS = Number(process.env.HELDOUT_EPOCHS ?? 8);
const SIDE_PX = Number(process.env.HELDOUT_SIDE_PX ?? 200);
const SOLVER_EPOCHS = 60;
const folder = path.join('bench-output', `heldout_${SIDE_PX}px_${EPOCHS}epochs`);
const inside = (...parts) => path.join(folder, ...parts);
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const run = (...args) => execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });

/** Flags from fields: `{ nepochs: 4 }` → `--nepochs 4`. */
const flags = (fields) => Object.entries(fields).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** Two objects of one kind under one probe; the seeds are all that differs. */
const SCANS = {
  train: { object_seed: 1, scan_seed: 2, noise_seed: 3 },
  test: { object_seed: 11, scan_seed: 12, noise_seed: 13 },
};
const RECIPE = {
  object: 'lines',
  object_phase: 'from_amplitude',
  object_side_px: SIDE_PX,
  probe_curvature_rad: 3,
  probe_coma_rad: 2,
  step_px: 6,
  photons: 1e6,
};

const TRAINING = {
  preset: 'published',
  n_groups: 'all',
  n_filters_scale: 1,
  batch_size: 4,
  nepochs: EPOCHS,
  scheduler: 'WarmupCosine',
  lr_warmup_epochs: 1,
  lr_min_ratio: 0.01,
};
const AMPLITUDES = { nll_weight: 0, mae_weight: 1 };
const NETWORKS = {
  PINN_gs1: { ...TRAINING, ...AMPLITUDES, gridsize: 1 },
  PINN_gs2: { ...TRAINING, ...AMPLITUDES, gridsize: 2 },
  Baseline: { ...TRAINING, gridsize: 1, model_type: 'supervised', architecture: 'baseline' },
};

function simulate(part) {
  const file = inside(`${part}.npz`);
  if (!existsSync(file)) {
    const labels = part === 'train' ? ['--labels'] : [];
    run('simulate', '--output_file', file, ...flags({ ...RECIPE, ...SCANS[part] }), ...labels, '--quiet');
  }
  return file;
}

/** Seconds of a piece of work that may be interrupted and gone on with in another process. */
async function timed(name, work) {
  const file = inside(name, 'seconds.json');
  const before = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : { seconds: 0, done: false };
  if (before.done) return before.seconds;
  await mkdir(inside(name), { recursive: true });
  const started = performance.now();
  let done = false;
  const seconds = () => Math.round(before.seconds + (performance.now() - started) / 1000);
  try {
    work();
    done = true;
  } finally {
    await writeFile(file, `${JSON.stringify({ seconds: seconds(), done })}\n`);
  }
  return seconds();
}

const train = (name, scan) =>
  timed(name, () => {
    const begun = existsSync(inside(name, 'checkpoints')) ? ['--resume', inside(name)] : [];
    run('train', '--train_data_file', scan, '--output_dir', inside(name), ...flags(NETWORKS[name]), ...begun);
  });

/** The iterative arm, `FILE` of its reconstruction; undefined, with a sentence, where this version has no `solve`. */
async function solveArm(scan) {
  const help = spawnSync(process.execPath, [cli, 'solve', '--help'], { stdio: 'ignore' });
  if (help.status !== 0) {
    console.log('The iterative arm is left out: this version of ptychopinn has no command "solve".');
    return undefined;
  }
  const file = inside('rPIE', 'reconstruction.npz');
  const seconds = await timed('rPIE', () => {
    const begun = existsSync(file) ? { resume: inside('rPIE') } : {};
    const fields = { algorithm: 'rpie', test_data: scan, output_dir: inside('rPIE'), epochs: SOLVER_EPOCHS, ...begun };
    run('solve', ...flags(fields));
  });
  return { file, seconds };
}

const table = async (name) => parse(await readFile(inside('compared', name)), { columns: true });
/** Amplitude and phase, or the one number that there is; steps of digits that are worth reading. */
function cellOf(found) {
  if (!found) return '–';
  const short = (text) => (text === 'NaN' || text === '' ? '–' : Number(text).toPrecision(3));
  return found.value === '' ? `${short(found.amplitude)} / ${short(found.phase)}` : short(found.value);
}

/** One family as a table: metrics down, models and floors across. */
function familyTable(rows, floors, metrics) {
  const models = [...new Set(rows.map(({ model }) => model))];
  const names = [...new Set(floors.map(({ floor }) => floor))];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    line(['amplitude / phase', ...models, ...names.map((name) => `floor: ${name}`)]),
    line(['---', ...models.map(() => '---'), ...names.map(() => '---')]),
    ...metrics.map((metric) =>
      line([
        metric,
        ...models.map((model) => cellOf(rows.find((row) => row.model === model && row.metric === metric))),
        ...names.map((name) => cellOf(floors.find((row) => row.floor === name && row.metric === metric))),
      ]),
    ),
  ].join('\n');
}

await mkdir(folder, { recursive: true });
const scans = { train: simulate('train'), test: simulate('test') };
const seconds = {};
for (const name of Object.keys(NETWORKS)) seconds[name] = await train(name, scans.train);
const arm = await solveArm(scans.test);
if (arm) seconds.rPIE = arm.seconds;
await rm(inside('compared'), { recursive: true, force: true });
run(
  'compare',
  ...Object.keys(NETWORKS).flatMap((name) => ['--model', `${name}=${inside(name)}`]),
  ...(arm ? ['--arm', `rPIE=${arm.file}`] : []),
  ...['--test_data', scans.test, '--output_dir', inside('compared'), '--overwrite', '--quiet'],
);

const floors = await table('comparison_floors.csv');
const report = ['reference', 'standard'].map(async (family) => {
  const rows = await table(family === 'reference' ? 'comparison_metrics.csv' : 'comparison_metrics_standard.csv');
  const own = floors.filter((row) => row.family === family);
  // What a floor has no number for, such as offsets and seconds, is no metric of the family.
  const metrics = [...new Set(own.map(({ metric }) => metric))].filter((m) => rows.some(({ metric }) => metric === m));
  return `### ${family} family\n\n${familyTable(rows, own, metrics)}`;
});
const spent = Object.entries(seconds).map(([name, s]) => `${name} ${s} s`);
const text = `${(await Promise.all(report)).join('\n\n')}\n\nSpent on training or solving: ${spent.join(', ')}; ${EPOCHS} epochs of training.\n`;
await writeFile(inside('heldout.md'), text);
console.log(`\n${text}`);
