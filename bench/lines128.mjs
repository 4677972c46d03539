/**
 * `cnn` beside `hybrid_resnet` on a twin of the published grid lines, on dead leaves and on a texture with the spectrum of natural images:
 * two objects of 392×392 pixels to train on, a third to reconstruct, without labels, the probe known (a structured one in place of the
 * measured probe of the published set, which is not public).
 *
 *   npm run bench:lines128                        reduced: N = 64, few patterns, narrow networks; equal steps, then equal time
 *   npm run bench:lines128 -- --full              the published contract, N = 128: for a GPU
 *   … -- --kinds lines,leaves,texture --networks cnn,hybrid_resnet --epochs 4 --seed 3 --threads 1 --learning_rate 1e-3
 *   … -- --steps_only                             without the runs at equal time
 *
 * Every network is trained with the same steps; the cheaper one then once more with as many epochs as the other took processor time for.
 * Scores are those of the published contract on the central 266×266 pixels: amplitude scaled to the mean of the truth, MAE in its
 * units, of the image as painted, with `stitching_rounds` 2, and with `patch_fit` 4 besides; the global phase is taken out before angles are, then a plane from image and truth; SSIM with 7×7 windows. Finished runs are
 * not repeated. Writes bench-output/lines128/.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { removePhasePlane } from '../dist/evaluation/phase.js';
import { uniformSsim } from '../dist/evaluation/similarity.js';
import { gaussianBlur } from '../dist/physics/gaussian.js';
import { moveToFrame } from '../dist/reconstruction/frame.js';
import { deadLeaves } from '../dist/simulation/objects/shapes.js';
import { randomField } from '../dist/simulation/objects/textures.js';
import { structuredProbe } from '../dist/simulation/probes.js';
import { simulateScan } from '../dist/simulation/simulateScan.js';
import { inferWorkflow } from '../dist/workflows/infer.js';
import { writeSimulatedScan } from '../dist/workflows/simulate.js';
import { trainWorkflow } from '../dist/workflows/train.js';
import { gridLineObjects, SIDE } from './lines/gridLines.mjs';
import { readImage } from './lines/score.mjs';

const { values: asked } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    kinds: { type: 'string', default: 'lines' },
    networks: { type: 'string', default: 'cnn,hybrid_resnet' },
    epochs: { type: 'string' },
    seed: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1' },
    learning_rate: { type: 'string' },
    step: { type: 'string' },
    steps_only: { type: 'boolean', default: false },
    folder: { type: 'string', default: path.join('bench-output', 'lines128') },
  },
});

/** The published contract, and what a CPU does of it. */
const CONTRACTS = {
  full: {
    N: 128,
    trainStep: 4,
    epochs: 40,
    probe: { diameter: 60, curvatureRad: 6, comaRad: 2, comaAngleRad: 0.6 },
    training: {
      preset: 'published',
      batch_size: 16,
      learning_rate: 2e-4,
      scheduler: 'ReduceLROnPlateau',
      plateau_factor: 0.5,
      plateau_patience: 2,
      plateau_min_lr: 1e-4,
      plateau_threshold: 0,
      intensity_scale_trainable: false,
    },
    networks: { cnn: { n_filters_scale: 2 }, hybrid_resnet: {} },
  },
  reduced: {
    N: 64,
    trainStep: 8,
    epochs: 4,
    probe: { diameter: 30, curvatureRad: 3, comaRad: 2, comaAngleRad: 0.6 },
    training: {
      batch_size: 4,
      learning_rate: 1e-3,
      scheduler: 'WarmupCosine',
      lr_warmup_epochs: 1,
      lr_min_ratio: 0.01,
    },
    networks: {
      cnn: { n_filters_scale: 1 },
      hybrid_resnet: { fno_width: 16, fno_blocks: 3, hybrid_resnet_blocks: 3, hybrid_encoder_conv_hidden_scale: 1 },
    },
  },
};
const contract = CONTRACTS[asked.full ? 'full' : 'reduced'];
const trainStep = Number(asked.step ?? contract.trainStep);
const epochs = Number(asked.epochs ?? contract.epochs);
const folder = path.join(asked.folder, asked.full ? 'full' : 'reduced');
const TEST_STEP = 10;
const PHOTONS = 1e9;

const shape = { rows: SIDE, cols: SIDE };
const OBJECTS = {
  lines: { train: () => gridLineObjects(1), test: () => gridLineObjects(2).slice(0, 1) },
  leaves: {
    train: () => [11, 12].map((seed) => deadLeaves({ ...shape, seed })),
    test: () => [deadLeaves({ ...shape, seed: 13 })],
  },
  // The spectrum of photographs falls as 1/k.
  texture: {
    train: () => [21, 22].map((seed) => randomField({ ...shape, seed, exponent: 1 })),
    test: () => [randomField({ ...shape, seed: 23, exponent: 1 })],
  },
};

/** Objects side by side, with room between, and where the beam goes on each: every `step` pixels. */
function laidOut(objects, step) {
  const { N } = contract;
  const pitch = SIDE + 8;
  const cols = objects.length * pitch;
  const object = { re: new Float32Array(SIDE * cols), im: new Float32Array(SIDE * cols), shape: [SIDE, cols] };
  const [xs, ys] = [[], []];
  objects.forEach((one, k) => {
    for (let r = 0; r < SIDE; r++) {
      object.re.set(one.re.subarray(r * SIDE, (r + 1) * SIDE), r * cols + k * pitch);
      object.im.set(one.im.subarray(r * SIDE, (r + 1) * SIDE), r * cols + k * pitch);
    }
    for (let y = N / 2; y <= SIDE - N / 2; y += step)
      for (let x = N / 2; x <= SIDE - N / 2; x += step) {
        xs.push(k * pitch + x);
        ys.push(y);
      }
  });
  return { object, xs, ys };
}

async function scanFile(kind, part) {
  const step = part === 'train' ? trainStep : TEST_STEP;
  const file = path.join(folder, 'data', `${kind}_${part}_${contract.N}_${step}.npz`);
  if (existsSync(file)) return file;
  await mkdir(path.dirname(file), { recursive: true });
  const probe = structuredProbe({ side: contract.N, ...contract.probe });
  const seed = part === 'train' ? 301 : 302;
  const input = { ...laidOut(OBJECTS[kind][part](), step), probe, photons: PHOTONS, seed, notes: { kind, part } };
  await writeSimulatedScan(file, simulateScan(input));
  return file;
}

const CENTRE = 266;
const centre = { originYxPx: [(SIDE - CENTRE) / 2, (SIDE - CENTRE) / 2], height: CENTRE, width: CENTRE };
const wholeFrame = { originYxPx: [0, 0], height: SIDE, width: SIDE };
const image64 = (data) => ({ data: Float64Array.from(data), shape: [CENTRE, CENTRE] });
const amplitudeOf = (z) => image64(z.re.map((v, i) => Math.hypot(v, z.im[i])));
const turned = (phase) => image64(phase.data.map((v) => v + Math.PI));
const meanOf = (x) => x.reduce((a, b) => a + b, 0) / x.length;

/** Amplitude and phase MAE and SSIM of an image of the test object. */
function scoreOf({ image, frame }, truth) {
  const reference = moveToFrame(truth, wholeFrame, centre);
  const found = moveToFrame(image, frame, centre);
  const [a, t] = [amplitudeOf(found), amplitudeOf(reference)];
  const scale = meanOf(t.data) / meanOf(a.data);
  const scaled = image64(a.data.map((v) => v * scale));
  // Removes the global phase on the complex image, and the plane.
  const [p, q] = [found, reference].map((z) => image64(removePhasePlane(z).phase.data));
  const mae = (x, y) => meanOf(x.data.map((v, i) => Math.abs(v - y.data[i])));
  return {
    amplitude_mae: mae(scaled, t),
    amplitude_ssim: uniformSsim(scaled, t),
    phase_mae: mae(p, q),
    // Of angles from 0 to 2π, as published: a flat phase scores high.
    phase_ssim: uniformSsim(turned(p), turned(q), 2 * Math.PI),
  };
}

const row = (name, s, more = '') =>
  `| ${name} | ${s.amplitude_mae.toFixed(4)} | ${s.amplitude_ssim.toFixed(3)} | ${s.phase_mae.toFixed(4)} | ${s.phase_ssim.toFixed(3)} | ${more} |`;

function blurred(truth, sigma) {
  const part = (data) =>
    Float32Array.from(gaussianBlur({ data: Float64Array.from(data), shape: truth.shape }, sigma).data);
  return { image: { re: part(truth.re), im: part(truth.im), shape: truth.shape }, frame: wholeFrame };
}

/** Trains a network, or finds it trained, reconstructs the test object and scores the image. */
async function run(kind, name, nepochs, truth) {
  const output = path.join(folder, `${kind}_${name}_${nepochs}_${asked.seed}`);
  const file = path.join(output, 'score.json');
  const services = { logger: { info: () => {}, warn: (text) => console.error(`warning: ${text}`) } };
  const scoresWith = async (output_dir, options) => {
    await inferWorkflow(
      {
        ...{ model_path: output, test_data_file: await scanFile(kind, 'test'), output_dir, overwrite: true },
        ...{ threads: 1, ...options },
      },
      services,
    );
    return scoreOf(await readImage(path.join(output_dir, 'reconstruction.npz')), truth);
  };
  const withMore = async (result) => ({
    ...result,
    twice: await scoresWith(path.join(output, 'twice'), { stitching_rounds: 2 }),
    fitted: await scoresWith(path.join(output, 'fitted'), { patch_fit: 4, stitching_rounds: 2 }),
  });
  if (existsSync(file)) {
    const known = JSON.parse(await readFile(file, 'utf8'));
    if (known.twice) return known;
    const whole = await withMore(known);
    await writeFile(file, `${JSON.stringify(whole, null, 2)}\n`);
    return whole;
  }
  const [train, test] = [await scanFile(kind, 'train'), await scanFile(kind, 'test')];
  const before = process.cpuUsage();
  const started = performance.now();
  const summary = await trainWorkflow(
    {
      architecture: name,
      ...contract.networks[name],
      ...contract.training,
      ...(asked.learning_rate ? { learning_rate: Number(asked.learning_rate) } : {}),
      ...(asked.full ? { test_data_file: test } : {}),
      nll_weight: 0,
      mae_weight: 1,
      n_groups: 'all',
      seed: Number(asked.seed),
      nepochs,
      train_data_file: train,
      output_dir: output,
      overwrite: true,
      threads: Number(asked.threads),
    },
    services,
  );
  const { user, system } = process.cpuUsage(before);
  const scores = await scoresWith(output, {});
  const result = await withMore({
    kind,
    name,
    nepochs,
    parameters: summary.parameters,
    processor_seconds: Math.round((user + system) / 1e6),
    seconds: Math.round((performance.now() - started) / 1000),
    ...scores,
  });
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

const results = [];
for (const kind of asked.kinds.split(',')) {
  const [truth] = OBJECTS[kind].test();
  const names = asked.networks.split(',');
  const table = [
    `| ${kind}, N ${contract.N}, every ${trainStep} px | amplitude MAE | SSIM | phase MAE | SSIM | epochs, processor seconds |`,
    '|---|---|---|---|---|---|',
    row(
      'constant object',
      scoreOf(
        { image: { re: truth.re.map(() => 1), im: truth.im.map(() => 0), shape: truth.shape }, frame: wholeFrame },
        truth,
      ),
    ),
    row('truth blurred by 1 px', scoreOf(blurred(truth, 1), truth)),
    row('truth blurred by 5 px', scoreOf(blurred(truth, 5), truth)),
  ];
  const add = (result, note) => {
    results.push(result);
    table.push(row(`${result.name}${note}`, result, `${result.nepochs}, ${result.processor_seconds}`));
    table.push(row('– laid down twice', result.twice), row('– patches fitted, too', result.fitted));
    console.log(`\n${table.join('\n')}\n`);
  };
  const equal = [];
  for (const name of names) {
    equal.push(await run(kind, name, epochs, truth));
    add(equal[equal.length - 1], ', equal steps');
  }
  const slowest = Math.max(...equal.map((r) => r.processor_seconds));
  for (const { name, processor_seconds } of equal) {
    const more = Math.round((epochs * slowest) / Math.max(1, processor_seconds));
    if (!asked.full && !asked.steps_only && more > epochs) add(await run(kind, name, more, truth), ', equal time');
  }
  await writeFile(path.join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
}
