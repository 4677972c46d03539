/**
 * Does it pay to share a training out among engines (`train --workers`), beside one engine with as many threads in all?
 *
 *   npm run bench:workers -- [--workers 2] [--rounds 3] [--steps 12] [--batch 16] [--side 64] [--only cnn]
 *
 * Both take the same steps of the same network on a simulated scan, in turn. Printed are medians of the rounds, a step: seconds by the clock;
 * processor seconds of all threads; and, on Linux, the longest way: the processor time of the busiest thread of the engines and that of the
 * first thread, which hands out the work. On a machine that others use the clock says little, and the longest way is what an idle machine
 * with a core for each thread would need at least. (A thread of ONNX Runtime spins while it waits, so that of one engine with several
 * threads the processor time is more than its work.)
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { startEngines } from '../dist/backends/peers.js';
import { trainingDefinition } from '../dist/config/commands.js';
import { completeConfig } from '../dist/config/resolve.js';
import { simulate } from '../dist/simulation/recipe.js';
import { rawDataFromSimulation } from '../dist/simulation/simulateScan.js';
import { Crew } from '../dist/training/crew.js';
import { prepareTraining } from '../dist/training/prepare.js';
import { Averages, batchesOf } from '../dist/training/programs.js';
import { Stepper } from '../dist/training/stepper.js';
import { median } from './deviceWork.mjs';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '12' },
    batch: { type: 'string', default: '16' },
    side: { type: 'string', default: '64' },
    only: { type: 'string', default: '' },
  },
});
const [workers, rounds, steps, batch, N] = ['workers', 'rounds', 'steps', 'batch', 'side'].map((key) =>
  Number(values[key]),
);
const networks = [
  { name: 'cnn', model: { architecture: 'cnn' } },
  { name: 'cnn, gridsize 2', model: { architecture: 'cnn', gridsize: 2 } },
  { name: 'hybrid_resnet', model: { architecture: 'hybrid_resnet' } },
].filter(({ name }) => name.startsWith(values.only));

/** Processor seconds of every thread of this process; empty where that is not told. */
function threadSeconds() {
  try {
    const of = (id) => Number(readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
    return new Map(readdirSync('/proc/self/task').map((id) => [Number(id), of(id)]));
  } catch {
    return new Map();
  }
}

/** Steps on engines that are ready; the first two are not measured, for in them programs are compiled and buffers made. */
async function measure(prepared, engines) {
  const { network, config, training } = prepared;
  const begin = { ...network.initialWeights(1), ...network.initialOptimiserState() };
  const { state, crew } = await Crew.begin(network, engines, begin, false);
  const stepper = new Stepper({ network, backend: engines, state, accumulate: 1, crew });
  const groups = Int32Array.from(
    { length: (steps + 2) * batch },
    (_, i) => training.groups[i % training.groups.length],
  );
  let [taken, began, used, threads] = [0, 0, undefined, undefined];
  const rates = { learningRate: config.learning_rate, physicsWeight: 1 };
  for await (const each of batchesOf({ dataset: training.dataset, groups }, batch)) {
    if (taken++ === 2) [began, used, threads] = [performance.now(), process.cpuUsage(), threadSeconds()];
    await stepper.add(each, rates, new Averages());
  }
  const clock = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(used);
  const spent = new Map([...threadSeconds()].map(([id, seconds]) => [id, seconds - (threads.get(id) ?? 0)]));
  const first = spent.get(process.pid) ?? 0;
  spent.delete(process.pid);
  await stepper.dispose();
  await crew?.dispose();
  await state.dispose();
  const way = spent.size > 0 ? first + Math.max(...spent.values()) : Number.NaN;
  return { clock: clock / steps, all: (user + system) / 1e6 / steps, way: way / steps };
}

console.log(
  `load ${loadavg()[0].toFixed(1)}, ${availableParallelism()} cores; batch ${batch}, ${N}×${N}, ${steps} steps, ${rounds} rounds; a step:\n`,
);
console.log('| network | engines × threads | clock, s (of one) | all threads, s (of one) | longest way, s (of one) |');
console.log('|---|---|---|---|---|');
const scan = rawDataFromSimulation(
  simulate({ N, object: 'lines', object_side_px: 3 * N, probe: 'structured', step_px: N / 8, photons: 1e6, seed: 1 }),
);
for (const { name, model } of networks) {
  const request = completeConfig(trainingDefinition, {
    ...{
      batch_size: batch,
      nepochs: 1,
      n_groups: 'all',
      val_fraction: 0,
      auto_restart: true,
      train_data_file: 'scan.npz',
    },
    model,
  });
  const prepared = await prepareTraining(request, { train: scan });
  const rows = [
    { what: `1 × ${workers}`, threads: workers, devices: 1 },
    { what: `${workers} × 1`, threads: workers, devices: workers },
  ];
  for (const row of rows) {
    row.engines = await startEngines({
      backend: 'onnx',
      execution: { accelerator: 'cpu', threads: row.threads, devices: row.devices },
    });
    row.found = [];
  }
  for (let round = 0; round < rounds; round++) {
    for (const row of round % 2 ? rows.toReversed() : rows) row.found.push(await measure(prepared, row.engines));
  }
  const of = (row, what) => median(row.found.map((each) => each[what]));
  for (const row of rows) {
    const cells = ['clock', 'all', 'way'].map(
      (what) => `${of(row, what).toFixed(3)} (${(of(row, what) / of(rows[0], what)).toFixed(2)})`,
    );
    console.log(`| ${name} | ${row.what} | ${cells.join(' | ')} |`);
    await row.engines.dispose();
  }
}
