/**
 * One network over four probes, tested on a fifth: beside a network of one probe, at equal data and equal steps, and the floors.
 *
 *   npm run bench:probes -- [--N 32] [--patterns 225] [--epochs 6] [--seed 1] [--threads 1] [--out FILE]
 *
 * Four probes (flat, Gaussian, aberrated disc, ring) with two objects each make eight scans; the network of one probe learns from eight
 * scans with eight objects under the first. Every network is tested on objects that no training saw: under the first probe, under another
 * of the four, and under two probes that no training saw: one between those of the training, and one unlike them. Floors: the best constant
 * object, and the true object (noise alone). R is that of the image on all patterns of the test scan; the error is that of the complex image
 * where the scan went, after the best factor. One JSON line for each network in bench-output/probes/runs.jsonl.
 */
import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { reconstruct } from '../dist/index.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { modelOfScan } from '../dist/reconstruction/matching/modelOfScan.js';
import { scoreImage } from '../dist/reconstruction/scanForModel.js';
import { simulate } from '../dist/simulation/recipe.js';
import { rawDataFromSimulation } from '../dist/simulation/simulateScan.js';
import { trainScans } from '../dist/training/train.js';

const { values: asked } = parseArgs({
  options: {
    N: { type: 'string', default: '32' },
    patterns: { type: 'string', default: '225' },
    epochs: { type: 'string', default: '6' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '1' },
    photons: { type: 'string', default: '1e6' },
    out: { type: 'string', default: path.join('bench-output', 'probes', 'runs.jsonl') },
  },
});
const N = Number(asked.N);
const px = (part) => Math.round(part * N);

/** The beams; sizes as parts of N. */
const PROBES = {
  flat: { probe: 'structured', probe_diameter_px: px(0.32), probe_curvature_rad: 1.2 },
  gaussian: { probe: 'gaussian', probe_diameter_px: px(0.26), probe_curvature_rad: 1.5 },
  disc: { probe: 'zernike', probe_diameter_px: px(0.34), aberrations_rad: [0.8, 0.3, 0, 0.3, 0.2] },
  ring: { probe: 'zone_plate', probe_diameter_px: px(0.34) },
};
const NEW = {
  between: { probe: 'structured', probe_diameter_px: px(0.29), probe_curvature_rad: 1.8, probe_coma_rad: 0.4 },
  unlike: { probe: 'zernike', probe_diameter_px: px(0.42), aberrations_rad: [-1.2, 0, 0.6, 0, 0, 0.5] },
};
const OBJECTS = ['lines', 'dead_leaves'];

function scan(probe, object, seed) {
  const simulated = simulate({
    N,
    photons: Number(asked.photons),
    n_patterns: Number(asked.patterns),
    ...probe,
    object,
    seed,
  });
  return { simulated, raw: { ...rawDataFromSimulation(simulated), source: `scan ${seed}` } };
}

const TRAININGS = {
  'one probe': () => Array.from({ length: 8 }, (_, i) => scan(PROBES.flat, OBJECTS[i % 2], 200 + i).raw),
  'four probes': () =>
    Object.values(PROBES).flatMap((probe, p) => OBJECTS.map((object, o) => scan(probe, object, 200 + 2 * p + o).raw)),
};
const NETWORKS = [
  ['one probe', 'one probe', 'none'],
  ['four probes', 'four probes', 'none'],
  ['four probes, told of the probe', 'four probes', 'film'],
];
const TESTS = {
  'flat (trained)': scan(PROBES.flat, 'lines', 901),
  'ring (trained by four)': scan(PROBES.ring, 'dead_leaves', 902),
  'between (new)': scan(NEW.between, 'lines', 903),
  'unlike (new)': scan(NEW.unlike, 'lines', 904),
};
const quiet = { info() {}, warn() {} };

/** What a model makes of a test scan. */
async function judged(model, { simulated, raw }) {
  const own = await modelOfScan(model, raw, quiet);
  const { stitched } = await reconstruct(own, raw, { logger: quiet });
  const score = scoreAgainstTruth(stitched, simulated.objectGuess, { bounds: scanBounds(raw.xcoords, raw.ycoords) });
  const r = await scoreImage(raw.count, own.bundle, raw, stitched);
  return {
    R: r.image,
    constant: r.constant,
    noise: r.noise,
    error: score.relative_object_error,
    constantError: score.constant_object_error,
    pearson: score.complex_pearson,
  };
}

await mkdir(path.dirname(asked.out), { recursive: true });
const rows = [];
for (const [name, data, probe_conditioning] of NETWORKS) {
  const before = process.cpuUsage();
  const { model, run } = await trainScans(
    {
      ...{ nepochs: Number(asked.epochs), seed: Number(asked.seed), probe_conditioning, val_fraction: 0.02 },
      execution: { threads: Number(asked.threads) },
    },
    TRAININGS[data](),
    { logger: quiet },
  );
  const { user, system } = process.cpuUsage(before);
  const tests = {};
  for (const [test, of] of Object.entries(TESTS)) tests[test] = await judged(model, of);
  await model.dispose();
  const row = {
    name,
    N,
    ...asked,
    restarts: run.result.restarts,
    cpu_seconds: Math.round((user + system) / 1e6),
    tests,
  };
  rows.push(row);
  await appendFile(asked.out, `${JSON.stringify(row)}\n`);
  console.error(`${name}: ${row.cpu_seconds} processor seconds`);
}

const line = (cells) => console.log(`| ${cells.join(' | ')} |`);
const figure = (v) => (typeof v === 'number' ? v.toFixed(3) : '–');
line(['network', ...Object.keys(TESTS).flatMap((test) => [`${test}: R`, 'error'])]);
line(Array.from({ length: 1 + 2 * Object.keys(TESTS).length }, () => '---'));
for (const { name, tests } of rows)
  line([name, ...Object.values(tests).flatMap(({ R, error }) => [figure(R), figure(error)])]);
line([
  'best constant object',
  ...Object.values(rows[0].tests).flatMap(({ constant, constantError }) => [figure(constant), figure(constantError)]),
]);
line(['noise of counting alone', ...Object.values(rows[0].tests).flatMap(({ noise }) => [figure(noise), ''])]);
