/**
 * Peak memory of a comparison: `ptychopinn compare` of three models (gridsize 2, gridsize 1, baseline) on 5,216 groups, in a process
 * of its own, whose peak is read from VmHWM of /proc/PID/status while it runs.
 *
 *   node bench/compare.mjs            (npm run bench:compare; BENCH_GROUPS=300 for a quick look)
 *
 * Networks are the smallest, so that it takes minutes; weights are a small part of the memory either way. What a model paints does
 * not matter here. It must stay below 1.5 GB.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { trainingConfigSchema } from '../dist/config/schema.js';
import { writeNpz } from '../dist/formats/npz.js';
import { encodeModels, saveBundle } from '../dist/persistence/bundle.js';
import { makeObject } from '../dist/simulation/objects.js';
import { makeProbe } from '../dist/simulation/probes.js';
import { simulateScan } from '../dist/simulation/simulateScan.js';
import { networkOfBundle } from '../dist/workflows/networkSpec.js';

const N = 64;
const GROUPS = Number(process.env.BENCH_GROUPS ?? 5216);
const LIMIT_MB = 1500;
const FIELD = 424;
/** Patterns that are simulated; the file repeats them, since no figure here depends on what they show. */
const DISTINCT = 256;
const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

async function writeScanFile(file, count, probe) {
  const side = Math.ceil(Math.sqrt(count));
  const at = (k) => 40 + (k * FIELD) / (side - 1);
  const xs = Float64Array.from({ length: count }, (_, k) => at(k % side) + 0.5 * Math.sin(k));
  const ys = Float64Array.from({ length: count }, (_, k) => at(Math.floor(k / side)) + 0.5 * Math.cos(3 * k));
  const object = makeObject('lines', { rows: 512, cols: 512, seed: 1 });
  const some = Array.from({ length: Math.min(count, DISTINCT) }, (_, i) => Math.floor((i * count) / DISTINCT) % count);
  const scan = simulateScan({ object, probe, xs: some.map((k) => xs[k]), ys: some.map((k) => ys[k]), photons: 1e6, seed: 2 }); // biome-ignore format: one call
  const patterns = scan.diffraction.data;
  await writeNpz(file, {
    diffraction: {
      dtype: 'float32',
      shape: [count, N, N],
      async *pieces() {
        for (let done = 0; done < count; done += some.length) {
          yield patterns.subarray(0, Math.min(some.length, count - done) * N * N);
        }
      },
    },
    xcoords: { data: xs, shape: [count] },
    ycoords: { data: ys, shape: [count] },
    probeGuess: scan.probeGuess,
    objectGuess: object,
  });
}

/** An untrained network in a bundle. */
async function writeBundle(file, model, probe) {
  const config = trainingConfigSchema.parse({ model: { N, n_filters_scale: 1, ...model }, nepochs: 1 });
  const canvasSide_px = config.model.gridsize === 1 ? N : N + 32;
  const bundle = {
    createdBy: { package: 'ptychopinn', version: '0.0.0' },
    backend: 'onnx',
    engine: 'none',
    config,
    canvasSide_px,
    scale: { version: 'counts_v1', domain: 'count_amplitude', intensityScale: 1000 / 32, amplitudeGauge: 1, probeFactor: 1 }, // biome-ignore format: one line
    statistics: { meanPower: 1e6, meanCounts: 1e6, meanAmplitude: 0.2, nPatterns: 1 },
    training: { epochs: 1, bestEpoch: 1, monitor: 'loss', value: 1 },
    history: [{ epoch: 1, loss: 1 }],
    probe,
  };
  const network = networkOfBundle(bundle, canvasSide_px);
  await saveBundle(file, { ...bundle, weights: network.initialWeights(0) }, encodeModels(network));
}

/** Runs the command line and watches its memory. */
function run(args) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
    process.once('exit', () => child.kill());
    let peak_mb = 0;
    const look = setInterval(async () => {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
      peak_mb = Math.max(peak_mb, (Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024) / 1e6);
    }, 100);
    child.on('error', reject);
    child.on('exit', (code) => {
      clearInterval(look);
      if (code === 0) resolve({ peak_mb, seconds: (performance.now() - start) / 1000 });
      else reject(new Error(`compare ended with exit code ${code}`));
    });
  });
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bench-'));
const inside = (name) => path.join(folder, name);
try {
  const probe = makeProbe('structured', { side: N, diameter: 21 });
  await writeScanFile(inside('scan.npz'), GROUPS, probe);
  await writeBundle(inside('gs2.zip'), { gridsize: 2 }, probe);
  await writeBundle(inside('gs1.zip'), { gridsize: 1 }, probe);
  await writeBundle(inside('baseline.zip'), { gridsize: 1, architecture: 'baseline', model_type: 'supervised' }, probe);
  const { peak_mb, seconds } = await run([
    'compare',
    ...['--pinn_dir', inside('gs2.zip'), '--baseline_dir', inside('baseline.zip')],
    ...['--model', `PINN_gs1=${inside('gs1.zip')}`, '--test_data', inside('scan.npz'), '--output_dir', inside('out')],
    ...['--measurement_domain', 'count_amplitude', '--accelerator', 'cpu', '--threads', '2', '--quiet'],
  ]);
  console.table([{ groups: GROUPS, models: 3, seconds: Math.round(seconds), peak_mb: Math.round(peak_mb), limit_mb: LIMIT_MB }]); // biome-ignore format: one call
  if (peak_mb === 0) console.error('The peak cannot be read here: /proc/PID/status is needed.');
  if (peak_mb > LIMIT_MB) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
