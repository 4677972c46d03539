/**
 * What fitting the slow part of patches (`patch_fit`), laying them down twice (`stitching_rounds`), and means of networks are worth, beside the
 * image as it was stitched before.
 *
 *   npm run bench:patch-fit -- [--seeds 101,102,103] [--N 32] [--epochs 4] [--degrees 0,1,2,4] [--architecture cnn]
 *
 * Trains on one small line object (bench/lines/smallPair.mjs), and reconstructs another of the same kind; the same with a tenth, a
 * hundredth and a thousandth of its light; dead leaves; and the lines with a probe that is 10 % too wide, for network and fit alike. Prints amplitude SSIM and
 * complex error of each, mean over the seeds, and the processor time of a pattern.
 */
import { parseArgs } from 'node:util';
import { reconstruct } from '../dist/index.js';
import { deadLeaves } from '../dist/simulation/objects/shapes.js';
import { trainScans } from '../dist/training/train.js';
import { smallPart, smallProbe, smallScore } from './lines/smallPair.mjs';

const { values: asked } = parseArgs({
  options: {
    seeds: { type: 'string', default: '101,102,103' },
    N: { type: 'string', default: '32' },
    epochs: { type: 'string', default: '4' },
    degrees: { type: 'string', default: '0,1,2,4' },
    architecture: { type: 'string', default: 'cnn' },
  },
});
const N = Number(asked.N);
const quiet = { info() {}, warn() {} };
const leaves = (side, seed) => deadLeaves({ rows: side, cols: side, seed });
const CASES = {
  'other lines': smallPart(N, 'test'),
  'a tenth of the light': smallPart(N, 'test', { dose: 0.1 }),
  'a hundredth': smallPart(N, 'test', { dose: 0.01 }),
  'a thousandth': smallPart(N, 'test', { dose: 0.001 }),
  'dead leaves': smallPart(N, 'test', { objectOf: leaves }),
  'probe 10 % too wide': smallPart(N, 'test'),
};
CASES['probe 10 % too wide'].raw = Object.assign(
  Object.create(Object.getPrototypeOf(CASES['probe 10 % too wide'].raw)),
  CASES['probe 10 % too wide'].raw,
  { probeGuess: smallProbe(N, 1.1) },
);
const WAYS = [
  ['as painted', {}],
  ['laid down twice', { stitching_rounds: 2 }],
  ...asked.degrees
    .split(',')
    .map(Number)
    .filter((degree) => degree > 0)
    .map((degree) => [`fitted, degree ${degree}, twice`, { patch_fit: degree, stitching_rounds: 2 }]),
];

const train = smallPart(N, 'train');
const found = new Map();
for (const seed of asked.seeds.split(',').map(Number)) {
  const config = {
    ...{ seed, nepochs: Number(asked.epochs), lr_warmup_epochs: 0 },
    ...(asked.architecture === 'cnn'
      ? {}
      : { architecture: asked.architecture, fno_width: 16, fno_blocks: 3, hybrid_resnet_blocks: 3 }),
    ...(asked.architecture === 'cnn' ? {} : { hybrid_encoder_conv_hidden_scale: 1 }),
    execution: { threads: 1, accelerator: 'cpu' },
  };
  const { model } = await trainScans(config, train.raw, { logger: quiet });
  for (const [name, { raw, object }] of Object.entries(CASES)) {
    for (const [way, options] of WAYS) {
      const before = process.cpuUsage();
      const { stitched } = await reconstruct(model, raw, { ...options, uncertainty: false, logger: quiet });
      const { user, system } = process.cpuUsage(before);
      const key = `${name}|${way}`;
      const all = found.get(key) ?? [];
      all.push({ ...smallScore(N, stitched, object), ms: (user + system) / 1e3 / raw.count });
      found.set(key, all);
    }
  }
  await model.dispose();
}
const of = (key, what) => found.get(key).map((one) => one[what]);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
console.log(`| scan | ${WAYS.map(([way]) => way).join(' | ')} |`);
console.log(`|---|${WAYS.map(() => '---').join('|')}|`);
for (const name of Object.keys(CASES)) {
  const cells = WAYS.map(([way]) => {
    const key = `${name}|${way}`;
    return `${mean(of(key, 'ssim')).toFixed(3)}, ${mean(of(key, 'error')).toFixed(4)}`;
  });
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
console.log(`| ms a pattern | ${WAYS.map(([way]) => mean(of(`other lines|${way}`, 'ms')).toFixed(1)).join(' | ')} |`);
