/** Small scans for tests: made in the test, written where the test says. */
import { LegacyRng } from '../../src/core/rng.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';

/** Arrays by key; `undefined` takes one away. */
export type ArrayChanges = Readonly<Record<string, NpyInput | undefined>>;

/** Writes arrays with changes as an NPZ file and gives back its path. */
export async function writeArrays(file: string, arrays: ArrayChanges, changes: ArrayChanges = {}): Promise<string> {
  const present = Object.entries({ ...arrays, ...changes }).filter(([, input]) => input !== undefined);
  await writeNpz(file, Object.fromEntries(present) as Record<string, NpyInput>);
  return file;
}

/** The arrays of a scan of n patterns of N×N, √counts of Poisson noise around a spot in the middle. */
export function scanArrays(n: number, N: number, seed = 1) {
  const rng = new LegacyRng(seed);
  const diffraction = new Float32Array(n * N * N);
  for (let p = 0; p < diffraction.length; p++) {
    const [row, column] = [Math.floor((p % (N * N)) / N) - N / 2, (p % N) - N / 2];
    diffraction[p] = Math.sqrt(rng.poisson(400 * Math.exp(-(row * row + column * column) / (N / 4) ** 2)));
  }
  const side = Math.ceil(Math.sqrt(n));
  const coordinates = (at: (i: number) => number) =>
    Float64Array.from({ length: n }, (_, i) => at(i) * 2 + rng.uniform(-0.5, 0.5));
  const disc = Float32Array.from({ length: N * N }, (_, p) => {
    const [row, column] = [Math.floor(p / N) - N / 2, (p % N) - N / 2];
    return row * row + column * column < (N / 3) ** 2 ? 1 : 0;
  });
  return {
    diffraction: { data: diffraction, shape: [n, N, N] },
    xcoords: { data: coordinates((i) => i % side), shape: [n] },
    ycoords: { data: coordinates((i) => Math.floor(i / side)), shape: [n] },
    probeGuess: { re: disc, im: disc.map((v) => v / 2), shape: [N, N] },
    objectGuess: { re: new Float32Array(400).fill(1), im: new Float32Array(400), shape: [20, 20] },
    scan_index: { data: Int32Array.from({ length: n }, (_, i) => i % 3), shape: [n], dtype: 'int64' as const },
  } satisfies Record<string, NpyInput>;
}
