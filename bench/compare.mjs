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
import { makeProbe } from '../dist/simulation/probes.js';
import { N, writeBundle, writeScanFile } from './inference/inputs.mjs';

const GROUPS = Number(process.env.BENCH_GROUPS ?? 5216);
const LIMIT_MB = 1500;
const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

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
  await writeBundle(inside('gs2.zip'), { gridsize: 2, n_filters_scale: 1 }, probe);
  await writeBundle(inside('gs1.zip'), { gridsize: 1, n_filters_scale: 1 }, probe);
  await writeBundle(
    inside('baseline.zip'),
    { gridsize: 1, n_filters_scale: 1, architecture: 'baseline', model_type: 'supervised' },
    probe,
  );
  const { peak_mb, seconds } = await run([
    'compare',
    ...['--pinn_dir', inside('gs2.zip'), '--baseline_dir', inside('baseline.zip')],
    ...[
      '--model',
      `PINN_gs1=${inside('gs1.zip')}`,
      '--test_data',
      inside('scan.npz'),
      '--output_dir',
      inside('out'),
      '--overwrite',
    ],
    ...['--measurement_domain', 'count_amplitude', '--accelerator', 'cpu', '--threads', '2', '--quiet'],
  ]);
  console.table([{ groups: GROUPS, models: 3, seconds: Math.round(seconds), peak_mb: Math.round(peak_mb), limit_mb: LIMIT_MB }]); // biome-ignore format: one call
  if (peak_mb === 0) console.error('The peak cannot be read here: /proc/PID/status is needed.');
  if (peak_mb > LIMIT_MB) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
