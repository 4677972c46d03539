/**
 * The build for browsers opens what Node opens, finds what it finds, refuses what it refuses in the same words, and solves to the same R.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isPtychoError } from '../../src/core/errors.js';
import { openScan } from '../../src/data/findings/survey.js';
import type { OpenDatasetOptions } from '../../src/data/options.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';
import { runSolver } from '../../src/solvers/run.js';
import { sharedFile } from '../support/shared.js';

interface Order {
  readonly folder: string;
  readonly scan: string;
  readonly options?: OpenDatasetOptions;
  readonly solve?: { readonly algorithm: 'rpie'; readonly epochs: number };
}

const fixtures = path.resolve('fixtures/formats');
const scratch = mkdtempSync(path.join(tmpdir(), 'ptychopinn-web-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A folder with some of the fixtures. */
function folderOf(name: string, ...files: readonly string[]): string {
  const folder = mkdtempSync(path.join(scratch, `${name}-`));
  for (const file of files) copyFileSync(path.join(fixtures, file), path.join(folder, file));
  return folder;
}

const leftOpen = sharedFile('cases', 'opening', '14-file-not-closed');
const raster = { scan_shape: [1, 2], scan_step: '2px' } as unknown as OpenDatasetOptions;
const orders: Order[] = [
  { folder: path.resolve('fixtures'), scan: 'lines64.npz', solve: { algorithm: 'rpie', epochs: 2 } },
  { folder: folderOf('cxi', 'scan.cxi'), scan: 'scan.cxi' },
  { folder: folderOf('ptychodus', 'diffraction.h5', 'product.h5'), scan: 'diffraction.h5' },
  {
    folder: folderOf('nexus', 'nexus_master.h5', 'nexus_data_000001.h5', 'nexus_data_000002.h5'),
    scan: 'nexus_master.h5',
  },
  { folder: folderOf('alone', 'nexus_master.h5'), scan: 'nexus_master.h5' },
  {
    folder: folderOf('tiff', 'stack.tiff', 'positions.npz'),
    scan: 'stack.tiff',
    options: { positions: 'positions.npz', positions_unit: 'px' },
  },
  { folder: folderOf('big', 'big.tif'), scan: 'big.tif', options: raster },
  {
    folder: folderOf('npy', 'frames.npy', 'positions.npz'),
    scan: 'frames.npy',
    options: { positions: 'positions.npz', positions_unit: 'px' },
  },
  { folder: folderOf('fortran', 'frames_fortran.npy'), scan: 'frames_fortran.npy' },
  { folder: folderOf('hostile', 'hostile.h5'), scan: 'hostile.h5' },
  { folder: folderOf('types', 'types.h5'), scan: 'types.h5' },
  {
    folder: folderOf('lzf', 'layouts.h5'),
    scan: 'layouts.h5',
    options: {
      diffraction_path: '/lzf',
      scan_shape: [1, 23],
      scan_step: '2px',
      crop_px: 6,
    },
  },
  { folder: folderOf('virtual', 'virtual.h5'), scan: 'virtual.h5' },
  ...(existsSync(leftOpen) ? [{ folder: leftOpen, scan: 'swmr.h5' }] : []),
  { folder: folderOf('missing'), scan: 'nothing.npz' },
];

let answers: Record<string, unknown>[];

beforeAll(async () => {
  // Deflated members go through another inflater there, and damaged ones must be told of as here.
  const folder = mkdtempSync(path.join(scratch, 'deflated-'));
  const count = 40;
  const arrays: Record<string, NpyInput> = {
    diffraction: { data: Float32Array.from({ length: count * 1024 }, (_, i) => Math.round(40 * Math.exp(-(((i % 32) - 16) ** 2 + ((Math.floor(i / 32) % 32) - 16) ** 2) / 20))), shape: [count, 32, 32] }, // biome-ignore format: one array
    xcoords: { data: Float64Array.from({ length: count }, (_, i) => 4 * (i % 8)), shape: [count] },
    ycoords: { data: Float64Array.from({ length: count }, (_, i) => 4 * Math.floor(i / 8)), shape: [count] },
    probeGuess: { re: new Float32Array(1024).fill(1), im: new Float32Array(1024), shape: [32, 32] },
  };
  await writeNpz(path.join(folder, 'scan.npz'), arrays, { compress: true });
  orders.push({ folder, scan: 'scan.npz' });
  const bytes = readFileSync(path.join(folder, 'scan.npz'));
  const damage = (name: string, change: (copy: Buffer) => Buffer) => {
    const place = mkdtempSync(path.join(scratch, `${name}-`));
    writeFileSync(path.join(place, 'scan.npz'), change(Buffer.from(bytes)));
    orders.push({ folder: place, scan: 'scan.npz' });
  };
  damage('cut', (copy) => copy.subarray(0, copy.length - 30));
  damage('flipped', (copy) => {
    copy[400] ^= 0xff;
    return copy;
  });
  damage('empty', () => Buffer.alloc(0));
  const page = fileURLToPath(new URL('./pageSide.mjs', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [page], { input: JSON.stringify(orders), encoding: 'utf8', maxBuffer: 2 ** 28 }); // biome-ignore format: one call
  expect(status, stderr).toBe(0);
  answers = JSON.parse(stdout);
});

async function here({ folder, scan, options, solve }: Order): Promise<Record<string, unknown>> {
  const before = process.cwd();
  process.chdir(folder);
  try {
    const raw = await openScan(scan, options);
    const { format, count, N, domain, notes, geometry } = raw;
    const rFactor = solve ? (await runSolver(raw, solve, { threads: 1 })).rFactor : undefined;
    const patterns = new Float32Array(N * N * Math.min(3, count));
    await raw.patterns.readAmplitudes([0, Math.floor(count / 2), count - 1].slice(0, Math.min(3, count)), patterns);
    await raw.close();
    return JSON.parse(
      JSON.stringify({
        ...{ format, count, N, domain, geometry, rFactor, notes },
        ...{
          xs: [...raw.xcoords],
          ys: [...raw.ycoords],
          power: [...raw.patterns.sums!.power],
          patterns: [...patterns],
        },
        probe: raw.probeGuess && [...raw.probeGuess.re],
        findings: raw.findings!.all.map(({ code, severity }) => `${severity} ${code}`),
      }),
    );
  } catch (error) {
    if (!isPtychoError(error)) throw error;
    return { code: error.code, message: error.message.replaceAll(`${folder}/`, '').replaceAll(folder, '') };
  } finally {
    process.chdir(before);
  }
}

it('opens, refuses and solves as Node does', async () => {
  expect(existsSync('dist/web/bundle/index.js')).toBe(true);
  expect(answers).toHaveLength(orders.length);
  let opened = 0;
  for (const [i, order] of orders.entries()) {
    const node = await here(order);
    // Where a damaged file is damaged, zlib and fflate say in words of their own.
    const same = (text: unknown) =>
      String(text)
        .replace(/is damaged \([^)]*\)/, 'is damaged')
        .replaceAll(`${scratch}/`, '')
        .replaceAll('/page/', '');
    if (node.code) {
      expect({ ...answers[i], message: same(answers[i].message) }, `${order.scan} of ${order.folder}`).toEqual({ code: node.code, message: same(node.message) }); // biome-ignore format: one call
      continue;
    }
    opened++;
    expect(answers[i], `${order.scan} of ${order.folder}`).toEqual(node);
  }
  expect(opened).toBeGreaterThanOrEqual(7);
});
