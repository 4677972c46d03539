/**
 * Throughput of every accelerator that works on this machine: training steps, predictions and solver passes of the published network's sides,
 * beside PyTorch with CUDA where it is there. One table with device names, to be sent to us.
 *
 *   npm run bench:device -- [--sides 64,128,256] [--seconds 5] [--software] [--only cpu,webgpu]
 *
 * A step that keeps its state on the device takes the batch up and scalars down; the last columns are what was copied.
 */
import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { thisMachine } from '../dist/backends/gpus.js';
import { possibleAccelerators } from '../dist/backends/onnx/accelerators.js';
import { createOnnxBackend } from '../dist/backends/onnx/backend.js';
import { createdBy } from '../dist/core/version.js';
import { median, networkWork, solverWork } from './deviceWork.mjs';

const { values } = parseArgs({
  options: {
    sides: { type: 'string', default: '64,128,256' },
    seconds: { type: 'string', default: '5' },
    software: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const sides = values.sides.split(',').map(Number);
const limit = 1000 * Number(values.seconds);
const dist = new URL('../dist/', import.meta.url).href;
const machine = thisMachine();
const said = [];
const rows = [];

console.log(
  `ptychopinn ${createdBy.version}, Node ${process.version}, ${process.platform} ${process.arch}, ${cpus()[0]?.model}`,
);
console.log(
  machine.gpus.length > 0 ? `GPU: ${machine.gpus.map((g) => `${g.name} (${g.driver})`).join('; ')}` : 'No GPU found.',
);

const wanted = values.only?.split(',') ?? ['cpu', ...possibleAccelerators(machine)];
for (const accelerator of wanted) {
  let backend;
  try {
    backend = await createOnnxBackend({ accelerator });
  } catch (error) {
    said.push(`${accelerator}: ${error.message}`);
    continue;
  }
  const { adapter, engine } = backend.info;
  if (adapter?.software && !values.software)
    said.push(`${accelerator}: only ${adapter.name}, software; measured with --software`);
  else {
    const device = adapter?.name ?? (accelerator === 'cpu' ? `CPU, ${backend.info.threads} threads` : accelerator);
    for (const N of sides) rows.push({ accelerator, device, engine, N, ...(await measured(backend, N)) });
  }
  await backend.dispose();
}
for (const N of sides) {
  const peer = await torchOnCuda(N);
  if (typeof peer === 'string') {
    said.push(peer);
    break;
  }
  rows.push(peer);
}

const shown = (v) => (v === undefined ? '–' : v >= 100 ? v.toFixed(0) : v.toPrecision(3));
console.log(
  '\n| accelerator | device | N | training, patterns/s | prediction, patterns/s | solver, positions/s | up, kB/step | down, kB/step |',
);
console.log('|---|---|---|---|---|---|---|---|');
for (const { accelerator, device, N, train, predict, solve, up, down } of rows) {
  console.log(`| ${accelerator} | ${device} | ${N} | ${[train, predict, solve, up, down].map(shown).join(' | ')} |`);
}
if (said.length > 0) console.log(`\nNot measured:\n${said.map((line) => `- ${line}`).join('\n')}`);
const onGpu = rows.some(({ accelerator, device }) => accelerator !== 'cpu' && !/SwiftShader|llvmpipe/.test(device));
if (!onGpu) console.log('\nNo accelerator works on a GPU here: these are no figures of a GPU.');

async function measured(backend, N) {
  const work = await networkWork(dist, backend, N);
  await work.train();
  const before = await backend.transfers();
  await work.train();
  const after = await backend.transfers();
  const train = work.batch / (await seconds(work.train));
  const predict = work.batch / (await seconds(work.predict));
  await work.dispose();
  const solver = await solverWork(dist, backend, N);
  const solve = solver.positions / (await seconds(solver.epoch));
  await solver.close();
  return {
    train,
    predict,
    solve,
    up: (after.toEngine - before.toEngine) / 1000,
    down: (after.fromEngine - before.fromEngine) / 1000,
  };
}

/** Of one call, the median; the first one compiles. */
async function seconds(work) {
  await work();
  const taken = [];
  const end = performance.now() + limit;
  do {
    const start = performance.now();
    await work();
    taken.push((performance.now() - start) / 1000);
  } while (performance.now() < end);
  return median(taken);
}

/** A row, or why there is none. */
async function torchOnCuda(N) {
  const script = fileURLToPath(new URL('./peers/torch_peer.py', import.meta.url));
  for (const command of ['python3', '/usr/bin/python3']) {
    const env = { ...process.env, PEER_DEVICE: 'cuda', PEER_SIDE: String(N) };
    const child = spawn(command, [script], { stdio: ['pipe', 'pipe', 'ignore'], env });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ended = new Promise((resolve) => {
      child.on('error', resolve);
      child.on('exit', resolve);
    });
    child.stdin.on('error', () => {});
    const first = await Promise.race([lines.next(), ended.then(() => ({ done: true }))]);
    if (first.done) continue;
    const ask = async (what) => {
      child.stdin.write(`${JSON.stringify({ what, batch: 16, threads: 1, repeats: 40 })}\n`);
      return 16 / median(JSON.parse((await lines.next()).value).seconds.slice(10));
    };
    const row = { accelerator: 'PyTorch', device: `CUDA, torch ${JSON.parse(first.value).torch}`, N };
    row.train = await ask('train');
    row.predict = await ask('predict');
    child.stdin.end();
    await ended;
    return row;
  }
  return 'PyTorch with CUDA: not here';
}
