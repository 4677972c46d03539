/**
 * Runs the checks of Ptychodus on a real checkout: our reconstructors in its menus, its batch mode and its window, and files both ways.
 *
 * node scripts/check-ptychodus.mjs CHECKOUT [--python PYTHON] [--commit HASH] [--write]
 *
 * PYTHON must have what Ptychodus needs (NumPy, SciPy, h5py, matplotlib, …, and PyQt5 for the window). `--write` puts the table into
 * docs/ptychodus.md. Needs `npm run build`. Nothing of the checkout is changed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    commit: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const [checkout] = positionals;
if (checkout === undefined) throw new Error('Name the folder of a checkout of Ptychodus.');
const commit = (
  flags.commit ?? execFileSync('git', ['-C', checkout, 'rev-parse', 'HEAD'], { encoding: 'utf8' })
).trim();
const cli = [process.execPath, path.join(root, 'dist/cli/main.js')];
const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-ptychodus-'));
const file = (name) => path.join(folder, name);

const run = ([program, ...words]) => execFileSync(program, words, { stdio: ['ignore', 'ignore', 'inherit'] });

/** What a script of tests/adapters/worker saw; undefined with its last line of error where it did not come to its end. */
function python(script, options) {
  const environment = {
    ...process.env,
    PYTHONPATH: path.join(checkout, 'src'),
    QT_QPA_PLATFORM: 'offscreen',
    PTYCHOPINN_WORKER: [...cli, 'worker', '--quiet'].join(' '),
  };
  const words = ['-B', path.join(root, 'tests/adapters/worker', script), JSON.stringify(options)];
  const { status, stdout, stderr } = spawnSync(flags.python, words, {
    env: environment,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status === 0) return { seen: JSON.parse(stdout.trim().split('\n').at(-1)) };
  return { failed: stderr.trim().split('\n').at(-1) ?? `exit code ${status}` };
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const SOLVERS = ['DM', 'LSQML', 'PIE', 'ePIE', 'rPIE'].map((name) => `PtychoPINN/${name}`);
const NETWORKS = ['PtychoPINN', 'PtychoPINN-onnx', 'PtychoPINN-tf'].flatMap((l) => [`${l}/PINN`, `${l}/Supervised`]);

/** What is claimed, and whether a script saw it. */
const CHECKS = {
  host: [
    [
      'all our reconstructors are in the menu, each once',
      (s) => same([...s.names].filter((n) => n.startsWith('PtychoPINN')).sort(), [...SOLVERS, ...NETWORKS].sort()),
    ],
    ['`Algorithm = PtychoPINN/rPIE` of a settings file chooses it', (s) => s.algorithm[0] === 'PtychoPINN/rPIE'],
    [
      'every name selects what it names, trainable or not',
      (s) => [...SOLVERS, ...NETWORKS].every((n) => same(s.selected[n], [n, NETWORKS.includes(n)])),
    ],
    ['reconstructors and libraries are instances of its abstract classes', (s) => s.abstract.every(Boolean)],
    ['settings of a file, and later ones, reach the worker', (s) => s.first[1] === 2 && s.second[1] === 3],
    [
      'our settings are in the file that it saves',
      (s) => s.saved.join(' ').includes('[PtychoPINNSolver] NumEpochs = 3'),
    ],
    ['the object comes back in its geometry, and changed', (s) => s.geometry.every(Boolean) && s.changed > 0.01],
    ['a reconstruction that fails ends, and says so', (s) => s.failed[0].includes('failed') && s.failed[1] === 0],
    ['a worker that was killed is started again', (s) => s.after_kill[0] === 3],
    ['export of training data, training, saving', (s) => same(s.trained, [0, 2, 2])],
    [
      'opening a model; settings follow it; it survives a killed worker',
      (s) => s.follows[0] === 1 && s.network[1] === '' && s.network[2],
    ],
    [
      'batch mode reconstructs, and saves what was reconstructed',
      (s) => s.batch.code === 0 && s.batch_product[1] === 2 && s.batch_product[2] > 0.01,
    ],
    ['batch mode with a network', (s) => s.batch_network.code === 0],
    [
      'batch mode that fails ends with code 1 and no product',
      (s) => s.batch_fails.code === 1 && s.batch_fails.files.length === 0,
    ],
    ['batch mode trains', (s) => s.batch_train.code === 0 && same(s.batch_train.files, ['wts.zip'])],
    ['no name twice in developer mode', (s) => s.developer === '0'],
  ],
  files: [
    ['it opens our product', (s) => s.export[0] === 0 && s.opened[1] > 0],
    ['it imports our `diffraction.h5`: patterns, indexes, mask', (s) => s.patterns[0] && s.patterns[1]],
    ['our object is large enough for its check, and has the pixels of the probe', (s) => s.geometry[0] && s.one_pixel],
    [
      'its product of ours, imported and exported, is the same',
      (s) => s.round_trip.object && s.round_trip.probe && s.round_trip.indexes && s.round_trip.metres < 1e-15,
    ],
    [
      'patterns of its writers NPY, NPZ and fold_slice pair with a product of gapped indexes',
      (s) => ['NPY', 'NPZ', 'fold_slice'].every((w) => same(s.writers[w], [true, true])),
    ],
  ],
  window: [
    [
      'the window starts, and every reconstructor has its view',
      (s) => s.names.length >= 11 && Object.values(s.views).every(([chosen, kind]) => chosen && kind !== 'QLabel'),
    ],
    ['a reconstruction from the window puts its result into the product', (s) => s.reconstructed[1] === 3],
  ],
};

try {
  run([
    ...cli,
    'simulate',
    '--N',
    '64',
    '--n_patterns',
    '49',
    '--photons',
    '1e5',
    '--output_file',
    file('scan.npz'),
    '--quiet',
  ]);
  const physics = ['--object_pixel_m', '1e-8', '--energy_eV', '9000', '--detector_distance_m', '2'];
  run([...cli, 'solve', file('scan.npz'), '--epochs', '2', '--output_dir', file('image'), '--quiet', ...physics]);
  run([
    ...cli,
    'product',
    'export',
    file('scan.npz'),
    '--output_file',
    file('product-in.h5'),
    '--patterns',
    '--name',
    'check',
    '--quiet',
    ...physics,
  ]);
  const common = {
    launcher: path.join(root, 'examples/python'),
    patterns: file('diffraction.h5'),
    product: file('product-in.h5'),
  };
  const seen = {};
  for (const [kind, script] of Object.entries({
    host: 'host_checks.py',
    files: 'host_files.py',
    window: 'host_window.py',
  })) {
    run(['mkdir', '-p', file(kind)]);
    seen[kind] = python(script, { ...common, cli, folder: file(kind), scan: file('scan.npz'), image: file('image') });
  }
  const rows = Object.entries(CHECKS).flatMap(([kind, checks]) =>
    checks.map(([claim, holds]) => {
      const { seen: saw, failed } = seen[kind];
      return [claim, saw === undefined ? `not run: ${failed}` : holds(saw) ? 'yes' : '**no**'];
    }),
  );
  const table = ['| check | |', '|---|---|', ...rows.map(([claim, result]) => `| ${claim} | ${result} |`)].join('\n');
  const version = execFileSync(flags.python, ['--version'], { encoding: 'utf8' }).trim();
  const text = `Ptychodus ${commit.slice(0, 7)}, ${version}:\n\n${table}`;
  process.stdout.write(`${text}\n`);
  if (flags.write) {
    const docs = path.join(root, 'docs/ptychodus.md');
    const marked = /(<!-- checks: scripts\/check-ptychodus\.mjs -->\n)[\s\S]*?(<!-- end of checks -->)/;
    writeFileSync(docs, readFileSync(docs, 'utf8').replace(marked, `$1${text.replaceAll('$', '$$$$')}\n$2`));
  }
  process.exitCode = rows.every(([, result]) => result === 'yes') ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
