/**
 * Do calibrated intervals cover the truth on scans that nobody calibrated on? Simulates scans of one kind with objects of their own,
 * trains an ensemble on the first, calibrates on six and measures the coverage on four others, as a user would. Four scans are few: how
 * scans differ is told by each that calibrates, covered by what the others calibrate.
 *
 *   npm run bench:coverage -- [--snapshots] [--scans 6] [lines] [dead_leaves] [random_field]   (about three minutes of one core each; finished
 *   steps are not repeated; --snapshots: snapshots of one training in place of networks that differ in their seeds; --scans: how many calibrate)
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const run = (...args) => execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
const MEMBERS = 5;
const { values: given, positionals: asked } = parseArgs({
  options: { snapshots: { type: 'boolean', default: false }, scans: { type: 'string', default: '6' } },
  allowPositionals: true,
});
const SNAPSHOTS = given.snapshots;
const SCAN = '--N 32 --step_px 3 --object_side_px 96 --photons 1e5'.split(' ');
const seedsFrom = (first, count) => Array.from({ length: count }, (_, i) => first + i);
const COUNT = Number(given.scans);
const [TRAIN, CALIBRATE, TEST] = [[11], seedsFrom(12, COUNT), seedsFrom(12 + COUNT, 4)];

async function measure(object) {
  const folder = path.join('bench-output', 'coverage', object);
  await mkdir(folder, { recursive: true });
  const scan = (seed) => path.join(folder, `scan-${seed}.npz`);
  for (const seed of [...TRAIN, ...CALIBRATE, ...TEST].filter((seed) => !existsSync(scan(seed)))) {
    run('simulate', '--object', object, ...SCAN, '--seed', String(seed), '--output_file', scan(seed));
  }
  const model = path.join(folder, SNAPSHOTS ? 'snapshots' : 'ensemble');
  if (!existsSync(path.join(model, 'ensemble.json'))) {
    const begun = existsSync(path.join(model, 'config.json')) ? ['--resume', model] : [];
    const how = [
      '--ensemble',
      String(MEMBERS),
      '--nepochs',
      '8',
      '--threads',
      '1',
      ...(SNAPSHOTS ? ['--ensemble_from', 'snapshots'] : []),
    ];
    run('train', scan(TRAIN[0]), '--output_dir', model, ...how, ...begun);
  }
  const tests = TEST.flatMap((seed) => ['--test_data', scan(seed)]);
  run('calibrate', ...CALIBRATE.map(scan), '--model_path', model, ...tests, '--overwrite');
  const [head, ...lines] = (await readFile(path.join(model, 'coverage.csv'), 'utf8')).trim().split('\n');
  const names = head.split(',');
  const rows = lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [names[i], value])));
  for (const { scan: file, spread, quantity, ...r } of rows.filter((r) => r.used_to === 'test' && r.level === '0.9')) {
    const [coverage, bare, correlation] = [r.coverage, r.coverage_uncalibrated, r.rank_correlation].map(Number);
    console.log(
      `| ${object} | ${file.slice(1, -1)} | ${spread} | ${quantity} | ${(100 * coverage).toFixed(1)} % | ${(100 * bare).toFixed(1)} % | ${Number(r.mean_half_width).toPrecision(3)} | ${correlation.toFixed(2)} |`,
    );
  }
  const left = rows.filter((r) => r.used_to === 'left_out' && r.level === '0.9');
  for (const kind of new Set(left.map(({ spread, quantity }) => `${spread} | ${quantity}`))) {
    const shares = left
      .filter(({ spread, quantity }) => `${spread} | ${quantity}` === kind)
      .map((r) => 100 * Number(r.coverage));
    const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
    const deviation = Math.sqrt(shares.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (shares.length - 1));
    console.log(
      `| ${object} | each of ${COUNT} by the others | ${kind} | ${mean.toFixed(1)} % (deviation of single scans ${deviation.toFixed(1)}, ${Math.min(...shares).toFixed(1)}–${Math.max(...shares).toFixed(1)}) | | | |`,
    );
  }
}

console.log(
  '| objects | scan | spread | of | 90 % interval covers | uncalibrated | mean half-width | rank correlation |',
);
console.log('|---|---|---|---|---|---|---|---|');
for (const object of asked.length > 0 ? asked : ['lines', 'dead_leaves', 'random_field']) await measure(object);
