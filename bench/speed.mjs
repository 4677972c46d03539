/**
 * Speed against PyTorch in the same run: one training step and one prediction of the default network (N=64,
 * n_filters_scale 2, gridsize 1, batch 16), one and two threads; the same on the wasm engine of TensorFlow.js, against the
 * ONNX backend and against TensorFlow.js with its own gradients, one thread each; stitching on one core; and inference end to
 * end with its peak memory (`endToEnd.mjs`).
 *
 *   npm run bench -- processor   networks beside PyTorch by processor time, one thread, and nothing else
 *   npm run bench            (needs a python3 with torch, Debian: python3-torch; says so, and measures ours only, without)
 *   npm run bench -- processor --peer /path/to/python3    another Python than $PYTHON, /usr/bin/python3 and python3, the first that has torch
 *
 * Both sides take turns (A B A B …) so that a machine whose speed drifts is fair to both; ratios are peer time / our time.
 */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createOnnxBackend } from '../dist/backends/onnx/backend.js';
import { createTensorflowBackend } from '../dist/backends/tf/backend.js';
import { modelConfigSchema } from '../dist/config/schema.js';
import { PtychoNetwork } from '../dist/model/network.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { PatchStitcher } from '../dist/reconstruction/patchStitcher.js';
import { endToEnd } from './endToEnd.mjs';

const BATCH = 16;
const N = 64;
const { values: options, positionals } = parseArgs({ options: { peer: { type: 'string' } }, allowPositionals: true });
/** Which Pythons are asked for torch, in this order. */
const PYTHONS = options.peer ? [options.peer] : [process.env.PYTHON, '/usr/bin/python3', 'python3'].filter(Boolean);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const round = (v, digits = 2) => Number(v.toFixed(digits));

/** A peer program that reads commands and answers with seconds; undefined where it does not start. */
async function startPeer(commands, file, env = {}) {
  const script = fileURLToPath(new URL(`./peers/${file}`, import.meta.url));
  for (const command of commands) {
    const child = spawn(command, [script], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let said = '';
    child.stderr.on('data', (text) => {
      said = `${said}${text}`.slice(-2000);
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const failed = new Promise((resolve) => {
      child.on('error', (error) => resolve({ done: true, why: error.message }));
      child.on('close', () => resolve({ done: true, why: said.trim().split('\n').pop() }));
    });
    let first = await Promise.race([lines.next(), failed]);
    // What it said on stderr comes after the end of what it answers.
    if (first.done && first.why === undefined) first = await failed;
    if (first.done) {
      console.warn(`${command} ${file}: ${first.why || 'ended without a word'}`);
      continue;
    }
    return {
      about: JSON.parse(first.value),
      async seconds(what, threads, repeats) {
        return (await this.times(what, threads, repeats)).seconds;
      },
      async times(what, threads, repeats) {
        child.stdin.write(`${JSON.stringify({ what, batch: BATCH, threads, repeats })}\n`);
        return JSON.parse((await lines.next()).value);
      },
      close: () => child.stdin.end(),
    };
  }
  return undefined;
}

function network(model = { n_filters_scale: 2 }) {
  const probe = { re: new Float32Array(N * N), im: new Float32Array(N * N), shape: [N, N] };
  for (let i = 0; i < N * N; i++) {
    const r2 = (Math.floor(i / N) - N / 2) ** 2 + ((i % N) - N / 2) ** 2;
    probe.re[i] = 20 * Math.exp(-r2 / 128) * Math.cos(0.01 * r2);
    probe.im[i] = 20 * Math.exp(-r2 / 128) * Math.sin(0.01 * r2);
  }
  return new PtychoNetwork({
    config: modelConfigSchema.parse({ N, ...model }),
    scale: { intensityScale: 10, meanCounts: 1e5, probe, probeFactor: 1, amplitudeGauge: 2 },
    canvasSide_px: N,
    meanAmplitude: 0.3,
    nll_weight: 1,
    mae_weight: 0,
    intensity_scale_trainable: true,
  });
}

const data = new Float32Array(BATCH * N * N).map((_, i) => Math.abs(Math.sin(i * 12.9898) * 0.9));
const feeds = {
  input: { data, shape: [BATCH, 1, N, N] },
  input_positions: { data: new Float32Array(BATCH * 2), shape: [BATCH, 1, 1, 2] },
};
const rate = { data: Float32Array.of(1e-4), shape: [] };

async function timed(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** One training step and one prediction on a backend, ready to be timed. */
async function workOn(backend, net) {
  const weights = net.initialWeights(0);
  const state = await backend.createState({ ...weights, ...net.initialOptimiserState() });
  const step = await backend.compile(net.trainStep(BATCH));
  const predict = await backend.compile(net.predict(BATCH), { constants: weights });
  return {
    train: () => timed(() => step.run({ ...feeds, learning_rate: rate }, state)),
    predict: () => timed(() => predict.run(feeds)),
  };
}

async function compare(peer, net, threads) {
  const backend = await createOnnxBackend({ accelerator: 'cpu', threads });
  const ours = await workOn(backend, net);
  const rows = [];
  for (const what of ['train', 'predict']) {
    const [a, b] = [[], []];
    await ours[what]();
    if (peer) await peer.seconds(what, threads, 1);
    for (let r = 0; r < ROUNDS; r++) {
      a.push(await ours[what]());
      if (peer) b.push((await peer.seconds(what, threads, 1))[0]);
    }
    rows.push({
      what,
      threads,
      ours_ms: round(1000 * median(a), 1),
      torch_ms: peer ? round(1000 * median(b), 1) : null,
      ratio_of_medians: peer ? round(median(b) / median(a)) : null,
      ratio_of_minima: peer ? round(Math.min(...b) / Math.min(...a)) : null,
      patterns_per_second: round(BATCH / median(a), 1),
    });
  }
  await backend.dispose();
  return rows;
}

/** Networks beside PyTorch by the time of one processor, which a busy machine disturbs less. */
async function compareProcessor(name, model) {
  // Threads of its own BLAS, which PyTorch's setting does not reach, would wait in a loop, and their time be counted.
  const peer = await startPeer(PYTHONS, 'torch_peer.py', { PEER_NETWORK: name, OPENBLAS_NUM_THREADS: '1' });
  const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
  const ours = await workOn(backend, network(model));
  const used = async (work) => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  const rows = [];
  for (const what of ['train', 'predict']) {
    const [a, b] = [[], []];
    await ours[what]();
    if (peer) await peer.times(what, 1, 1);
    for (let r = 0; r < ROUNDS; r++) {
      a.push(await used(ours[what]));
      if (peer) b.push((await peer.times(what, 1, 1)).processor[0]);
    }
    rows.push({
      network: name,
      what,
      ours_processor_ms: round(1000 * median(a), 1),
      torch_processor_ms: peer ? round(1000 * median(b), 1) : null,
      ratio_of_medians: peer ? round(median(b) / median(a)) : null,
      ratio_of_minima: peer ? round(Math.min(...b) / Math.min(...a)) : null,
    });
  }
  peer?.close();
  await backend.dispose();
  return rows;
}

/** The wasm engine of TensorFlow.js beside the ONNX backend and beside plain TensorFlow.js, one thread each. */
async function compareTensorflow(net) {
  const backends = [
    await createOnnxBackend({ accelerator: 'cpu', threads: 1 }),
    await createTensorflowBackend({ accelerator: 'cpu', engine: 'wasm', threads: 1 }),
  ];
  const [onnx, wasm] = [await workOn(backends[0], net), await workOn(backends[1], net)];
  const plain = await startPeer([process.execPath], 'tfjs_peer.mjs');
  if (!plain) throw new Error('bench/peers/tfjs_peer.mjs does not start');
  const rows = [];
  for (const what of ['train', 'predict']) {
    const turns = [() => onnx[what](), () => wasm[what](), async () => (await plain.seconds(what, 1, 1))[0]];
    const times = turns.map(() => []);
    for (const turn of turns) await turn();
    for (let r = 0; r < ROUNDS; r++) for (const [i, turn] of turns.entries()) times[i].push(await turn());
    const [a, b, c] = times.map(median);
    const least = times.map((t) => Math.min(...t));
    rows.push({
      what,
      wasm_ms: round(1000 * b, 1),
      onnx_ms: round(1000 * a, 1),
      plain_tfjs_ms: round(1000 * c, 1),
      rate_of_onnx: round(a / b, 3),
      rate_of_onnx_minima: round(least[0] / least[1], 3),
      rate_of_plain_tfjs: round(c / b),
      rate_of_plain_tfjs_minima: round(least[2] / least[1]),
      patterns_per_second: round(BATCH / b, 2),
    });
  }
  plain.close();
  for (const backend of backends) await backend.dispose();
  return { about: plain.about, rows };
}

/** Patches per second of the streaming stitcher, one core. */
function stitching(crop, weighted) {
  const count = 512;
  const rounds = crop < 64 ? 20 : 5;
  const re = new Float32Array(count * N * N).fill(0.5);
  const im = new Float32Array(count * N * N).fill(0.25);
  // A raster with jitter, as scans are: neighbours in the file are neighbours on the object.
  const xs = Float64Array.from({ length: count }, (_, i) => 40 + (i % 32) * 6.3 + ((i * 0.731) % 1));
  const ys = Float64Array.from({ length: count }, (_, i) => 40 + Math.floor(i / 32) * 6.3 + ((i * 0.377) % 1));
  const patchWeights = weighted ? { data: new Float32Array(N * N).fill(1), shape: [N, N] } : undefined;
  const stitcher = new PatchStitcher(scanBounds(xs, ys), crop, { patchWeights });
  stitcher.add(re, im, count, N, xs, ys);
  const seconds = [];
  for (let r = 0; r < 5; r++) {
    const start = performance.now();
    for (let k = 0; k < rounds; k++) stitcher.add(re, im, count, N, xs, ys);
    seconds.push((performance.now() - start) / 1000);
  }
  return {
    what: 'stitch',
    crop_px: crop,
    weighting: weighted ? 'probe' : 'uniform',
    patches_per_second: Math.round((count * rounds) / median(seconds)),
  };
}

const byProcessor = [
  ...(await compareProcessor('cnn', { n_filters_scale: 2 })),
  ...(await compareProcessor('hybrid_resnet', { architecture: 'hybrid_resnet' })),
];
console.table(byProcessor);
if (positionals[0] === 'processor') process.exit(0);
const peer = await startPeer(PYTHONS, 'torch_peer.py');
console.log(
  peer
    ? `peer: PyTorch ${peer.about.torch}`
    : `No Python with torch among ${PYTHONS.join(', ')} (Debian: apt install python3-torch; --peer PATH): ours only.`,
);
const net = network();
const rows = [];
for (const threads of [1, 2]) rows.push(...(await compare(peer, net, threads)));
peer?.close();
console.table(rows);
const tensorflow = await compareTensorflow(net);
console.table(tensorflow.rows);
const stitched = [stitching(20, false), stitching(20, true), stitching(64, false), stitching(64, true)];
console.table(stitched);
const inference = await endToEnd();
console.table([inference.throughput]);
console.table(inference.stages);
console.table(inference.memory);
await mkdir('bench-output', { recursive: true });
await writeFile(
  'bench-output/speed.json',
  `${JSON.stringify({ peer: peer?.about ?? null, byProcessor, rows, tensorflow, stitching: stitched, inference }, null, 2)}\n`,
);
