/**
 * What it costs to open a scan and to read all of it once, beside an earlier build: 2,000 patterns of 128² as uint16 counts and as
 * float32 amplitudes with a curved probe's light. Both builds run in turn, each round in a process of its own; the least time of each
 * counts, because other work on the machine only ever adds.
 *
 *   PTYCHOPINN_BASE=../earlier npm run bench:opening       (a built checkout; BENCH_ROUNDS=7)
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SELF = fileURLToPath(import.meta.url);
const HERE = path.dirname(path.dirname(SELF));
const [COUNT, N] = [2000, 128];

if (process.argv[2] === 'run') await run(process.argv[3], process.argv[4]);
else await main();

/** Opens and reads once, in this process; prints milliseconds. */
async function run(root, file) {
  const { openDataset } = await import(path.join(root, 'dist/data/openDataset.js'));
  const survey = await import(path.join(root, 'dist/data/findings/survey.js')).catch(() => undefined);
  const { groupedStatistics } = await import(path.join(root, 'dist/data/normalise.js'));
  const { keepPatterns } = await import(path.join(root, 'dist/data/patternCache.js'));
  const members = Int32Array.from({ length: COUNT }, (_, i) => i);
  const times = [];
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const opened = await openDataset(file, {});
    const between = performance.now();
    // The first full pass as `train` makes it: every pattern is measured and kept.
    const raw = survey ? await survey.surveyScan(opened) : opened;
    const patterns = survey ? raw.patterns : keepPatterns(raw.patterns, members);
    await groupedStatistics(patterns, { members }, { badPixels: raw.badPixels });
    times.push([between - start, performance.now() - between]);
    await raw.close();
  }
  console.log(JSON.stringify([0, 1].map((k) => Math.min(...times.map((t) => t[k])))));
}

async function main() {
  const base = process.env.PTYCHOPINN_BASE;
  if (!base) throw new Error('Name a built checkout of the version to compare with: PTYCHOPINN_BASE=DIR.');
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bench-'));
  try {
    for (const kind of ['uint16 counts', 'float32 amplitudes']) {
      const file = path.join(folder, `${kind.split(' ')[0]}.npz`);
      await writeScan(file, kind.startsWith('uint16'));
      const least = { base: [Infinity, Infinity], now: [Infinity, Infinity] };
      for (let round = 0; round < Number(process.env.BENCH_ROUNDS ?? 7); round++) {
        for (const [name, root] of [
          ['base', path.resolve(base)],
          ['now', HERE],
        ]) {
          // biome-ignore format: two builds
          const { stdout, stderr, status } = spawnSync(process.execPath, [SELF, 'run', root, file], { encoding: 'utf8' });
          if (status !== 0) throw new Error(stderr);
          const times = JSON.parse(stdout.trim().split('\n').at(-1));
          least[name] = least[name].map((v, k) => Math.min(v, times[k]));
        }
      }
      const row = (k) =>
        `${least.base[k].toFixed(1)} → ${least.now[k].toFixed(1)} ms (${(least.now[k] / least.base[k]).toFixed(2)})`;
      console.log(`${kind}: opening ${row(0)}, first full pass ${row(1)}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Light of a curved probe through a weak object, dealt out in turn. */
async function writeScan(file, counts) {
  const { encodeNpy } = await import('../dist/formats/npyWrite.js');
  const { writeZip } = await import('../dist/formats/zip.js');
  const { simulateScan } = await import('../dist/simulation/simulateScan.js');
  const { makeObject } = await import('../dist/simulation/objects.js');
  const { makeProbe } = await import('../dist/simulation/probes.js');
  const some = Array.from({ length: 32 }, (_, i) => [90 + 5 * (i % 8), 90 + 5 * Math.floor(i / 8)]);
  const { diffraction, probeGuess } = simulateScan({
    object: makeObject('lines', { rows: 220, cols: 220, seed: 1 }),
    xs: Float64Array.from(some, ([x]) => x),
    ys: Float64Array.from(some, ([, y]) => y),
    probe: makeProbe('structured', { side: N, diameter: 40 }),
    ...{ photons: 1e5, seed: 1 },
  });
  const size = N * N;
  const data = counts ? new Uint16Array(COUNT * size) : new Float32Array(COUNT * size);
  for (let i = 0; i < data.length; i++) {
    const d = diffraction.data[i % diffraction.data.length];
    data[i] = counts ? Math.round(d * d) : d;
  }
  const side = Math.ceil(Math.sqrt(COUNT));
  const axis = (of) => ({ data: Float64Array.from({ length: COUNT }, (_, i) => 100 + 5 * of(i)), shape: [COUNT] });
  const member = (name, input) => ({ name: `${name}.npy`, data: encodeNpy(input) });
  await writeZip(file, [
    member('diffraction', { data, shape: [COUNT, N, N] }),
    member(
      'xcoords',
      axis((i) => i % side),
    ),
    member(
      'ycoords',
      axis((i) => Math.floor(i / side)),
    ),
    member('probeGuess', probeGuess),
  ]);
}
