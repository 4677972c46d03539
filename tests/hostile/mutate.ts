/** Damage at random: what transport, disks and ill will do to a file. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPtychoError, messageOf } from '../../src/core/errors.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { ReaderOptions } from '../../src/data/options.js';
import { openScanFile } from '../../src/data/readers/registry.js';
import { writeNpz } from '../../src/formats/npz.js';
import { soundScan } from './corpus.js';

const fixtures = fileURLToPath(new URL('../../fixtures/formats', import.meta.url));

/** Scan files of every format, as h5py, NumPy and others write them, and what is needed to open them. */
export const SCANS: readonly (readonly [name: string, options: ReaderOptions])[] = [
  ['scan.npz', {}],
  ['packed.npz', {}],
  ['diffraction.h5', { product: 'product.h5' }],
  ['bundle.h5', {}],
  ['nexus_master.h5', { positions: 'positions.csv' }],
  ['virtual.h5', {}],
  ['scan.cxi', {}],
  ['frames.npy', { positions: 'positions.csv' }],
  ['stack.tiff', { positions: 'positions.csv' }],
  ['big.tif', { positions: 'positions.csv' }],
];

/** Copies of the fixtures in a folder of their own, because some lead to others; remove it when done. */
export async function scanFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-damaged-'));
  await cp(fixtures, folder, { recursive: true });
  await writeNpz(path.join(folder, 'scan.npz'), soundScan(1));
  await writeNpz(path.join(folder, 'packed.npz'), soundScan(1), { compress: true });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Bytes with a few of them flipped, a stretch overwritten, or the end cut off. */
export function mutate(bytes: Buffer, rng: LegacyRng): Buffer {
  const out = Buffer.from(bytes);
  // Headers are where lies hurt most.
  const place = () => rng.interval((rng.uniform() < 0.5 ? Math.min(out.length, 4096) : out.length) - 1);
  switch (rng.interval(3)) {
    case 0:
      return out.subarray(0, place());
    case 1: {
      const from = place();
      out.fill(rng.interval(255), from, Math.min(out.length, from + 1 + rng.interval(15)));
      return out;
    }
    default:
      for (let i = rng.interval(7); i >= 0; i--) out[place()] ^= 1 << rng.interval(7);
      return out;
  }
}

/** Opens a scan file as `openDataset` does and reads every frame. */
export async function readAll(file: string, options: ReaderOptions): Promise<void> {
  const folder = path.dirname(file);
  const beside = (name?: string) => name && path.join(folder, name);
  const scan = await openScanFile(file, 'auto', {
    ...options,
    product: beside(options.product),
    positions: beside(options.positions),
  });
  try {
    const { count, height, width } = scan.patterns;
    const frame = new Float32Array(height * width);
    for (let i = 0; i < count; i++) await scan.patterns.readRowsInto([i], frame);
  } finally {
    await scan.close();
  }
}

/**
 * Reads `count` damaged copies of a file; counts what came of them.
 * @throws Error for anything that is not a sentence of ours.
 */
export async function readDamaged(file: string, options: ReaderOptions, count: number, seed: number) {
  const sound = await readFile(file);
  const rng = new LegacyRng(seed);
  const outcome = { read: 0, refused: 0 };
  try {
    for (let i = 0; i < count; i++) {
      await writeFile(file, mutate(sound, rng));
      try {
        await readAll(file, options);
        outcome.read++;
      } catch (error) {
        const what = `copy ${i} (seed ${seed}) of ${path.basename(file)}: ${messageOf(error)}`;
        if (!isPtychoError(error)) throw new Error(what, { cause: error });
        if (error.message.includes('\n')) throw new Error(`${what} is more than one line`);
        outcome.refused++;
      }
    }
  } finally {
    await writeFile(file, sound);
  }
  return outcome;
}
