/** Damage at random: what transport, disks and ill will do to a file. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPtychoError, messageOf } from '../../src/core/errors.js';
import { LegacyRng } from '../../src/core/rng.js';
import { measureStatistics } from '../../src/data/normalise.js';
import { openDataset } from '../../src/data/openDataset.js';

const fixtures = fileURLToPath(new URL('../../fixtures/formats', import.meta.url));

/** Scan files of every format, as h5py, NumPy and others write them. */
export async function scanFixtures(): Promise<string[]> {
  const names = await readdir(fixtures);
  return names
    .filter((name) => /\.(npz|npy|h5|cxi|nxs|tif|tiff)$/.test(name) && !/truth/.test(name))
    .sort()
    .map((name) => path.join(fixtures, name));
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

/**
 * Opens `count` damaged copies of a file; counts what came of them.
 * @throws Error for anything that is not a sentence of ours.
 */
export async function openDamaged(source: string, folder: string, count: number, seed: number) {
  const bytes = await readFile(source);
  const rng = new LegacyRng(seed);
  const file = path.join(folder, `damaged-${path.basename(source)}`);
  const outcome = { opened: 0, refused: 0 };
  for (let i = 0; i < count; i++) {
    await writeFile(file, mutate(bytes, rng));
    try {
      const raw = await openDataset(file, { positions_unit: 'px' });
      try {
        await measureStatistics(raw.patterns);
        outcome.opened++;
      } finally {
        await raw.close();
      }
    } catch (error) {
      if (!isPtychoError(error)) {
        throw new Error(`copy ${i} (seed ${seed}) of ${path.basename(source)}: ${messageOf(error)}`, { cause: error });
      }
      if (error.message.includes('\n')) throw new Error(`copy ${i}: not one line: ${error.message}`);
      outcome.refused++;
    }
  }
  return outcome;
}
