/**
 * Inference end to end (open the file → group → predict → stitch → write) against the engine's own rate of prediction, with
 * the default network on 5,000 patterns of 64²; and the peak memory of processes that reconstruct 5,000 and 50,000 patterns.
 *
 *   node bench/endToEnd.mjs            (part of `npm run bench`; BENCH_PATTERNS=300 BENCH_LONG=3000 for a quick look)
 *
 * Every measurement has a process of its own. In the first, prediction alone comes before and after the run, so that a machine
 * whose speed drifts is fair to both; it keeps two batches with the engine, so that the engine never waits. Peak memory is
 * VmHWM of /proc/self/status. Both scans cover the same field of view (the longer one is denser), since the image itself is what
 * is asked for; the network of the memory runs is the smallest, to be done in minutes.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { selectBackend } from '../dist/backends/select.js';
import { inferenceConfigSchema } from '../dist/config/schema.js';
import { PtychoModel } from '../dist/reconstruction/ptychoModel.js';
import { makeProbe } from '../dist/simulation/probes.js';
import { inferWorkflow } from '../dist/workflows/infer.js';
import { N, writeBundle, writeScanFile } from './inference/inputs.mjs';

const BATCH = 32;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const configOf = ({ model, scan, out, threads }) =>
  inferenceConfigSchema.parse({
    model_path: model,
    test_data_file: scan,
    output_dir: out,
    overwrite: true,
    measurement_domain: 'count_amplitude',
    batch_size: BATCH,
    r_factor_patterns: 0,
    execution: { accelerator: 'cpu', threads },
  });

/** Patterns per second of prediction alone, two batches with the engine at a time. */
async function predictOnly({ model, threads }, patterns) {
  const opened = await PtychoModel.read(model);
  const config = configOf({ model, scan: 'none', out: 'none', threads });
  const backend = await selectBackend(config);
  const program = await backend.compile(opened.network().predict(BATCH), { constants: opened.bundle.weights });
  const input = { data: new Float32Array(BATCH * N * N).map((_, i) => Math.abs(Math.sin(i))), shape: [BATCH, 1, N, N] };
  const feeds = { input, input_positions: { data: new Float32Array(BATCH * 2), shape: [BATCH, 1, 1, 2] } };
  await program.run(feeds);
  const batches = Math.max(3, Math.ceil(patterns / BATCH));
  const start = performance.now();
  let [running, queued] = [program.run(feeds), program.run(feeds)];
  for (let b = 2; b < batches; b++) {
    await running;
    [running, queued] = [queued, program.run(feeds)];
  }
  await running;
  await queued;
  const rate = (batches * BATCH * 1000) / (performance.now() - start);
  await backend.dispose();
  return rate;
}

async function peakMiB() {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** What a process of its own does. */
async function child(task) {
  const patterns = task.patterns;
  const before = task.compare ? await predictOnly(task, patterns / 4) : undefined;
  const start = performance.now();
  const { stages, coverage } = await inferWorkflow(configOf(task));
  const seconds = (performance.now() - start) / 1000;
  const peak_mib = await peakMiB();
  const after = task.compare ? await predictOnly(task, patterns / 4) : undefined;
  return { seconds, peak_mib, coverage, before, after, stages };
}

function inProcess(task) {
  return new Promise((resolve, reject) => {
    const args = [fileURLToPath(import.meta.url), '--child', JSON.stringify(task)];
    const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    process_.stdout.on('data', (chunk) => {
      text += chunk;
    });
    process_.on('error', reject);
    process_.on('exit', (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`a measurement ended with exit code ${code}`));
    });
  });
}

/**
 * Measures throughput and memory; prints nothing.
 * @returns rows for tables: `throughput`, `stages`, `memory`
 */
export async function endToEnd({
  patterns = Number(process.env.BENCH_PATTERNS ?? 5000),
  long = Number(process.env.BENCH_LONG ?? 50_000),
  rounds = Number(process.env.BENCH_E2E_ROUNDS ?? 1),
  threads = 2,
} = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bench-'));
  const inside = (name) => path.join(folder, name);
  try {
    const probe = await writeScanFile(inside('scan.npz'), patterns, makeProbe('structured', { side: N, diameter: 21 }));
    await writeBundle(inside('default.zip'), {}, probe);
    await writeBundle(inside('small.zip'), { n_filters_scale: 1 }, probe);
    const task = { model: inside('default.zip'), scan: inside('scan.npz'), out: inside('out'), threads, patterns };
    const runs = [];
    for (let r = 0; r < rounds; r++) runs.push(await inProcess({ ...task, compare: true }));
    const of = (f) => median(runs.map(f));
    const predict = of(({ before, after }) => 2 / (1 / before + 1 / after));
    const throughput = {
      patterns,
      threads,
      batch: BATCH,
      seconds: of((r) => r.seconds),
      end_to_end_per_second: of((r) => patterns / r.seconds),
      predict_only_per_second: predict,
      ratio: of((r) => patterns / r.seconds / (2 / (1 / r.before + 1 / r.after))),
    };
    const small = { ...task, model: inside('small.zip') };
    const memory = [{ patterns, ...(await inProcess(small)) }];
    await writeScanFile(inside('long.npz'), long, probe);
    memory.push({ patterns: long, ...(await inProcess({ ...small, scan: inside('long.npz'), patterns: long })) });
    const rows = memory.map(({ patterns: count, seconds, peak_mib, coverage }) => ({
      patterns: count,
      seconds,
      per_second: count / seconds,
      peak_mib,
      relative_peak: peak_mib / memory[0].peak_mib,
      coverage,
    }));
    return { throughput, stages: runs[runs.length - 1].stages, memory: rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === '--child') {
  process.stdout.write(JSON.stringify(await child(JSON.parse(process.argv[3]))));
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { throughput, stages, memory } = await endToEnd();
  console.table([throughput]);
  console.table(stages);
  console.table(memory);
}
