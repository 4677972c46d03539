/**
 * What does a part of a scan take beside the whole, and what do the parts come to?
 *
 *   npm run bench:parts -- [--verb infer] [--parts 4] [--patterns 3000] [--step 25] [--keep FOLDER]
 *
 * Every job is a process of its own, as on a cluster; processor seconds and the largest memory are those of its record. A job with next to
 * no patterns gives what every process takes (`base`); ratios are of what lies above it. `infer` takes a fresh network: how well it
 * learned changes no time.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    verb: { type: 'string', default: 'infer' },
    parts: { type: 'string', default: '4' },
    patterns: { type: 'string', default: '3000' },
    step: { type: 'string', default: '25' },
    keep: { type: 'string' },
  },
});
const dist = new URL('../dist/', import.meta.url);
const main = new URL('cli/main.js', dist).pathname;
const folder = values.keep ?? mkdtempSync(path.join(tmpdir(), 'ptychopinn-parts-'));
const cli = (...words) => execFileSync(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'ignore'] });

const N = 64;
const side = Math.ceil(Math.sqrt(Number(values.patterns)) * Number(values.step)) + N + 2;
const scan = path.join(folder, 'scan.npz');
cli(
  'simulate',
  '--output_file',
  scan,
  '--overwrite',
  '--object_side_px',
  String(side),
  '--step_px',
  values.step,
  '--seed',
  '5',
);
const flags = ['--r_factor_patterns', '0', '--threads', '1', '--accelerator', 'cpu', '--model_path', folder];
if (values.verb === 'infer') await freshModel();

const plans = [
  { name: 'base', more: ['--n_subsample', '8'] },
  { name: 'whole', more: [] },
  { name: 'parts', more: ['--shards', values.parts] },
];
const rows = [];
for (const { name, more } of plans) {
  const root = path.join(folder, name);
  cli('jobs', 'plan', scan, '--verb', values.verb, '--output_root', root, '--overwrite', ...more, ...flags);
  for (const line of readFileSync(path.join(root, 'plan.jsonl'), 'utf8').trim().split('\n')) {
    const { id } = JSON.parse(line);
    cli('jobs', 'run', root, '--index', id);
    const record = JSON.parse(readFileSync(path.join(root, 'jobs', id, 'record.json'), 'utf8'));
    if (record.state !== 'done') throw new Error(`${id}: ${record.message}`);
    rows.push({ name, id, seconds: record.processor_seconds, mb: record.memory_bytes / 1e6 });
  }
}
const base = rows.find(({ name }) => name === 'base');
const whole = rows.find(({ name }) => name === 'whole');
const share = (row, of) => ((row[of] - base[of]) / (whole[of] - base[of])).toFixed(3);
console.log(
  `${values.patterns} patterns of ${N}×${N} on ${side}×${side} px, ${values.parts} parts; base ${base.seconds.toFixed(1)} s, ${base.mb.toFixed(0)} MB`,
);
for (const row of rows.slice(1)) {
  console.log(
    `${row.name.padEnd(6)} ${row.id.padEnd(22)} ${row.seconds.toFixed(1)} s (${share(row, 'seconds')}) ${row.mb.toFixed(0)} MB (${share(row, 'mb')})`,
  );
}
const parts = rows.filter(({ name }) => name === 'parts');
const sum = parts.reduce((total, { seconds }) => total + seconds, 0);
console.log(`all parts together: ${(sum / whole.seconds).toFixed(2)} of the processor time of the whole`);
if (!values.keep) rmSync(folder, { recursive: true });

async function freshModel() {
  const { PtychoModel } = await import(new URL('reconstruction/ptychoModel.js', dist));
  const { networkOfBundle } = await import(new URL('reconstruction/networkSpec.js', dist));
  const { openBundle } = await import(new URL('persistence/bundle.js', dist));
  // A network that was trained for one step says how bundles are made.
  cli(
    'train',
    scan,
    '--output_dir',
    path.join(folder, 'run'),
    '--overwrite',
    '--n_subsample',
    '16',
    '--nepochs',
    '1',
    '--no-auto_restart',
    '--threads',
    '1',
    '--accelerator',
    'cpu',
  );
  const bundle = await openBundle(path.join(folder, 'run'));
  await PtychoModel.of({ ...bundle, weights: networkOfBundle(bundle, bundle.canvasSide_px).initialWeights(1) }).save(
    folder,
  );
}
