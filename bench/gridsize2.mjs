/**
 * Why gridsize 2 is behind gridsize 1, and what mends it: networks of both on one pair of line objects at equal steps, three seeds.
 *
 *   npm run bench:gridsize2 -- [--seeds 101,102,103] [--arms gs1,joint,…] [--N 32] [--epochs 2]
 *
 * Trains on one object and reconstructs another of the same kind (`bench/lines/smallPair.mjs`: here at half the size: N = 32, a probe of 10.5 px,
 * steps of 2.75 px, 784 and 400 patterns, 1e6 photons). An epoch is 196 steps of four groups. Scores are those of bench:quality, on the
 * central pixels that the test scan covers. Results go to bench-output/gridsize2, one line an arm and seed; those that are there are not repeated.
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { reconstruct } from '../dist/index.js';
import { trainScans } from '../dist/training/train.js';
import { smallPart, smallScore } from './lines/smallPair.mjs';

const { values: asked } = parseArgs({
  options: {
    seeds: { type: 'string', default: '101,102,103' },
    arms: { type: 'string' },
    N: { type: 'string', default: '32' },
    epochs: { type: 'string', default: '2' },
  },
});
const N = Number(asked.N);
const EPOCHS = Number(asked.epochs);
const byProbe = { gridsize: 2, training_patch_weighting: 'probe' };

/** What each arm asks for besides; `share` of the epochs, which begin with those of another arm. */
const ARMS = {
  gs1: {},
  'gs1, batch 16': { batch_size: 16, epochs: 4 },
  joint: { gridsize: 2 },
  'joint, twice as wide': { gridsize: 2, n_filters_scale: 2 },
  'joint, members in any order': { gridsize: 2, member_permutations: true },
  'joint, one member a quadrant': {
    gridsize: 2,
    data: { neighbor_function: 'four_quadrants', max_neighbor_distance_px: 6 },
  },
  'joint, merged by probe': byProbe,
  'joint, by probe, aligned': { ...byProbe, align_members: true },
  'joint, by probe, aligned, overlap loss': { ...byProbe, align_members: true, overlap_weight: 0.3 },
  'shared, by probe': { ...byProbe, member_networks: 'shared' },
  'shared, by probe, aligned': { ...byProbe, member_networks: 'shared', align_members: true },
  'shared, by probe, aligned, warm start': { ...byProbe, member_networks: 'shared', align_members: true, warm: 'gs1' },
};

const quiet = { info() {}, warn() {} };
const folder = path.join('bench-output', 'gridsize2');
await mkdir(folder, { recursive: true });
const file = path.join(folder, `runs-${N}-${EPOCHS}.jsonl`);
const known = existsSync(file)
  ? (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  : [];
const train = smallPart(N, 'train');
const test = smallPart(N, 'test');

async function teach(options, seed, nepochs, init) {
  const config = {
    seed,
    nepochs,
    lr_warmup_epochs: 0,
    ...options,
    init,
    execution: { threads: 1, accelerator: 'cpu' },
  };
  return trainScans(config, train.raw, { logger: quiet });
}

async function measure(arm, seed) {
  const { warm, epochs = 1, ...options } = ARMS[arm];
  const cpu = process.cpuUsage();
  let init;
  if (warm) {
    const begun = await teach(ARMS[warm], seed, EPOCHS / 2);
    init = await begun.model.save(path.join(folder, `warm-${seed}`));
    await begun.model.dispose();
  }
  const { model, run } = await teach(options, seed, (warm ? 0.5 : 1) * epochs * EPOCHS, init);
  const { user, system } = process.cpuUsage(cpu);
  const { stitched, phaseSpreadRad } = await reconstruct(model, test.raw, { data: options.data ?? {}, logger: quiet });
  await model.dispose();
  const { val_mae } = run.result.history[run.result.bestEpoch - 1];
  return {
    arm,
    seed,
    ...smallScore(N, stitched, test.object),
    val_mae,
    phaseSpreadRad,
    seconds: (user + system) / 1e6,
  };
}

const arms = asked.arms ? asked.arms.split(';') : Object.keys(ARMS);
for (const seed of asked.seeds.split(',').map(Number)) {
  for (const arm of arms) {
    if (known.some((run) => run.arm === arm && run.seed === seed)) continue;
    const result = await measure(arm, seed);
    known.push(result);
    await appendFile(file, `${JSON.stringify(result)}\n`);
  }
}
console.log('| network | amplitude SSIM | complex error | held-out R | processor seconds |');
console.log('|---|---|---|---|---|');
for (const arm of arms) {
  const runs = known.filter((run) => run.arm === arm);
  const mean = (of) => runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  const each = (of) => runs.map((run) => of(run).toFixed(3)).join(', ');
  console.log(
    `| ${arm} | ${mean((r) => r.ssim).toFixed(3)} (${each((r) => r.ssim)}) | ${mean((r) => r.error).toFixed(3)} (${each((r) => r.error)}) | ${mean((r) => r.val_mae).toFixed(3)} | ${mean((r) => r.seconds).toFixed(0)} |`,
  );
}
