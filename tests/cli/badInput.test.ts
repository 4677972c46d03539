/** What people do wrong, through the real command: one clear sentence, a non-zero exit, nothing left behind. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { thisMachine } from '../../src/backends/gpus.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';

const cli = path.resolve('dist/cli/main.js');
const n = 6;
const scan = (N = 64): Record<string, NpyInput> => ({
  diffraction: { data: new Float32Array(n * N * N).fill(3), shape: [n, N, N] },
  xcoords: { data: Float64Array.from({ length: n }, (_, i) => 40 + 5 * i), shape: [n] },
  ycoords: { data: Float64Array.from({ length: n }, (_, i) => 40 + 3 * i), shape: [n] },
  probeGuess: { re: new Float32Array(N * N).fill(1), im: new Float32Array(N * N), shape: [N, N] },
});
const without = (key: string) => Object.fromEntries(Object.entries(scan()).filter(([k]) => k !== key));
const nan = () => {
  const arrays = scan();
  (arrays.diffraction as { data: Float32Array }).data[2 * 4096 + 70] = Number.NaN;
  return arrays;
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bad-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

const cases: { name: string; make: (file: string) => Promise<unknown>; says: RegExp; flags?: string[] }[] = [
  { name: 'missing file', make: async () => {}, says: /scan\.npz/ },
  {
    name: 'missing diffraction',
    make: (f) => writeNpz(f, without('diffraction')),
    says: /diffraction.*diff3d/,
  },
  { name: 'missing coordinates', make: (f) => writeNpz(f, without('xcoords')), says: /xcoords/ },
  { name: 'missing probe', make: (f) => writeNpz(f, without('probeGuess')), says: /probeGuess.*--probe/ },
  {
    name: 'wrong rank',
    make: (f) => writeNpz(f, { ...scan(), diffraction: { data: new Float32Array(n * 64), shape: [n, 64] } }),
    says: /diffraction.*\(6, 64\)/,
  },
  {
    name: 'patterns that are not square',
    make: (f) =>
      writeNpz(f, { ...scan(), diffraction: { data: new Float32Array(n * 64 * 32).fill(1), shape: [n, 64, 32] } }),
    says: /\(6, 64, 32\)/,
  },
  {
    name: 'coordinates of another length',
    make: (f) => writeNpz(f, { ...scan(), ycoords: { data: new Float64Array(n - 1), shape: [n - 1] } }),
    says: /ycoords/,
  },
  { name: 'NaN in a pattern', make: (f) => writeNpz(f, nan()), says: /diffraction.*pattern 2|pattern 2.*NaN/i },
  {
    name: 'probe of another size',
    make: (f) => writeNpz(f, { ...scan(), probeGuess: scan(32).probeGuess }),
    says: /probeGuess.*32.*64/,
  },
  {
    name: 'truncated archive',
    make: async (f) => {
      await writeNpz(f, scan());
      const bytes = await readFile(f);
      await writeFile(f, bytes.subarray(0, bytes.length >> 1));
    },
    says: /truncated|incomplete|cut/i,
  },
  { name: 'unsupported N', make: (f) => writeNpz(f, scan(100)), says: /100.*--crop_px 96.*--pad_to 112/ },
  {
    name: 'a group larger than the data',
    make: (f) => writeNpz(f, scan()),
    flags: ['--gridsize', '3', '--neighbor_count', '9'],
    says: /9.*6|6.*9/,
  },
  {
    name: 'a learning rate that is no number',
    make: (f) => writeNpz(f, scan()),
    flags: ['--learning_rate', 'fast'],
    says: /learning_rate/,
  },
  { name: 'a flag that does not exist', make: (f) => writeNpz(f, scan()), flags: ['--nepoch', '3'], says: /nepoch/ },
];

it.concurrent.each(cases)('train: $name', async ({ name, make, says, flags = [] }) => {
  const home = path.join(folder, name.replaceAll(' ', '_'));
  const file = `${home}_scan.npz`;
  await make(file);
  const { code, stdout, stderr } = await command(
    ...['train', '--train_data_file', file, '--output_dir', home, '--accelerator', 'cpu', '--quiet', ...flags],
  );
  expect(code, stderr).toBeGreaterThan(0);
  expect(stdout).toBe('');
  const lines = stderr.trim().split('\n');
  expect(lines.length, stderr).toBe(1);
  expect(lines[0]).toMatch(says);
  expect(lines[0]).not.toMatch(/\bat .*\.js:\d+/);
  await expect(stat(home)).rejects.toThrow();
});

it('infer: a bundle that is none', async () => {
  const file = path.join(folder, 'scan_ok.npz');
  await writeNpz(file, scan());
  const fake = path.join(folder, 'wts.zip');
  await writeFile(fake, 'hello');
  const home = path.join(folder, 'infer_out');
  for (const model of [fake, path.join(folder, 'nowhere'), file]) {
    const { code, stderr } = await command('infer', '--model_path', model, '--test_data', file, '--output_dir', home);
    expect(code).toBeGreaterThan(0);
    expect(stderr.trim().split('\n').length, stderr).toBe(1);
    await expect(stat(home)).rejects.toThrow();
  }
});

it('cuda where there is none is an error with an install hint, auto one warning', async () => {
  const file = path.join(folder, 'scan_cuda.npz');
  await writeNpz(file, scan());
  const home = path.join(folder, 'cuda_out');
  const args = [
    'train',
    '--train_data_file',
    file,
    '--output_dir',
    home,
    '--nepochs',
    '1',
    '--n_filters_scale',
    '1',
    '--threads',
    '1',
  ];
  const explicit = await command(...args, '--accelerator', 'cuda');
  if (explicit.code === 0) return; // a machine with CUDA: nothing is missing
  expect(explicit.stderr).toMatch(/cuda/i);
  expect(explicit.stderr).toMatch(/setup-cuda/);
  await expect(stat(path.join(home, 'wts.zip'))).rejects.toThrow();
  const auto = await command(...args, '--accelerator', 'auto', '--quiet');
  expect(auto.code, auto.stderr).toBe(0);
  // A warning where a GPU is there that cannot be used, and nowhere else.
  expect(auto.stderr.match(/POLICY-001/g) ?? []).toHaveLength(thisMachine().gpus.length > 0 ? 1 : 0);
});

it('simulate makes the fixture byte for byte', async () => {
  const file = path.join(folder, 'lines64.npz');
  const { code, stderr } = await command(
    ...[
      'simulate',
      '--output_file',
      file,
      '--object_side_px',
      '96',
      '--step_px',
      '7.5',
      '--photons',
      '1e5',
      '--object_seed',
      '11',
      '--scan_seed',
      '12',
      '--noise_seed',
      '13',
    ],
  );
  expect(code, stderr).toBe(0);
  const sha = async (f: string) =>
    createHash('sha256')
      .update(await readFile(f))
      .digest('hex');
  expect(await sha(file)).toBe(await sha('fixtures/lines64.npz'));
});
