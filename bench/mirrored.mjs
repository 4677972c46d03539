/**
 * Does a network learn more from a scan and its mirrored copy than from the scan alone? Both at equal steps, scored on another object of the
 * same kind; `another`: a second scan of a further object in place of the copy, for what truly new patterns would bring.
 *
 *   npm run bench:mirrored -- [--families lines,dead_leaves] [--seeds 101,102] [--arms alone,mirrored,another] [--N 64] [--epochs 4]
 *
 * Objects, probe and scores are those of `bench/lines/smallPair.mjs` (784 training and 400 test patterns); `epochs` is that of the scan alone,
 * and half of it are done on two. Results go to bench-output/mirrored, one line a run; those that are there are not repeated.
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { reconstruct } from '../dist/index.js';
import { deadLeaves } from '../dist/simulation/objects/shapes.js';
import { trainScans } from '../dist/training/train.js';
import { smallPart, smallScore } from './lines/smallPair.mjs';

const { values: asked } = parseArgs({
  options: {
    families: { type: 'string', default: 'lines,dead_leaves' },
    seeds: { type: 'string', default: '101,102' },
    arms: { type: 'string', default: 'alone,mirrored' },
    N: { type: 'string', default: '64' },
    epochs: { type: 'string', default: '4' },
  },
});
const N = Number(asked.N);
const EPOCHS = Number(asked.epochs);

const FAMILIES = {
  lines: {},
  dead_leaves: { objectOf: (side, seed) => deadLeaves({ rows: side, cols: side, seed }) },
};

/** What each arm trains on. */
const ARMS = {
  alone: (family) => [smallPart(N, 'train', family).raw],
  mirrored: (family) => [false, true].map((mirrored) => smallPart(N, 'train', { ...family, mirrored }).raw),
  another: (family) => [smallPart(N, 'train', family).raw, smallPart(N, 'more', family).raw],
};

const quiet = { info() {}, warn() {} };
const folder = path.join('bench-output', 'mirrored');
await mkdir(folder, { recursive: true });
const file = path.join(folder, `runs-${N}.jsonl`);
const known = existsSync(file)
  ? (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  : [];

async function measure(name, arm, seed) {
  const family = FAMILIES[name];
  const scans = ARMS[arm](family);
  const cpu = process.cpuUsage();
  const nepochs = EPOCHS / scans.length;
  const config = { seed, nepochs, lr_warmup_epochs: 0, execution: { threads: 1, accelerator: 'cpu' } };
  const { model, run } = await trainScans(config, scans, { logger: quiet });
  const { user, system } = process.cpuUsage(cpu);
  const test = smallPart(N, 'test', family);
  const { stitched } = await reconstruct(model, test.raw, { logger: quiet });
  await model.dispose();
  const steps = nepochs * Math.ceil(run.training.groups.length / run.config.batch_size);
  const seconds = (user + system) / 1e6;
  return { family: name, arm, seed, epochs: EPOCHS, steps, ...smallScore(N, stitched, test.object), seconds };
}

const arms = asked.arms.split(',');
const families = asked.families.split(',');
const seeds = asked.seeds.split(',').map(Number);
const isOf = (family, arm) => (run) => run.family === family && run.arm === arm && run.epochs === EPOCHS;
for (const seed of seeds) {
  for (const family of families) {
    for (const arm of arms) {
      if (known.some((run) => isOf(family, arm)(run) && run.seed === seed)) continue;
      const result = await measure(family, arm, seed);
      known.push(result);
      await appendFile(file, `${JSON.stringify(result)}\n`);
    }
  }
}
console.log('| objects | trained on | steps | amplitude SSIM | complex error | processor seconds |');
console.log('|---|---|---|---|---|---|');
for (const family of families) {
  for (const arm of arms) {
    const runs = known.filter((run) => isOf(family, arm)(run) && seeds.includes(run.seed));
    const mean = (of) => runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
    const each = (of) => `${mean(of).toFixed(3)} (${runs.map((run) => of(run).toFixed(3)).join(', ')})`;
    console.log(
      `| ${family} | ${arm} | ${runs[0].steps} | ${each((r) => r.ssim)} | ${each((r) => r.error)} | ${mean((r) => r.seconds).toFixed(0)} |`,
    );
  }
}
