/**
 * The data layer on a scan that does not fit into memory: 50,000 patterns of 128² (uint16 counts, 1.6 GB), as NPZ and as HDF5,
 * opened, grouped, measured and iterated once in a process of its own, so that its peak memory is known. Then the search for
 * neighbours among 100,000 positions.
 *
 *   npm run bench:data       (BENCH_PATTERNS=50000; the files go to the system's temporary folder, one at a time)
 *
 * Peers in the same run: reading the same bytes with fs.read, and h5py/NumPy doing the same work (amplitudes, scaled, as
 * float32 batches) where a python3 with both is there. The files have just been written, so all of them read from the
 * operating system's cache of the disk: what is compared is the work, not the disk.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const COUNT = Number(process.env.BENCH_PATTERNS ?? 50_000);
const N = 128;
const BATCH = 64;
const LIMIT_MB = 1000;
const SELF = fileURLToPath(import.meta.url);
const PYTHON_PEER = fileURLToPath(new URL('./peers/data_peer.py', import.meta.url));

const round = (v, digits = 2) => Number(v.toFixed(digits));
const MB = 1e6;

async function timed(work) {
  const start = performance.now();
  const result = await work();
  return [(performance.now() - start) / 1000, result];
}

/** Positions of a jittered raster, 4 px apart. */
function positions(count) {
  const side = Math.ceil(Math.sqrt(count));
  const jitter = (i, a) => ((Math.sin(i * a) * 43758.5453) % 1) * 1.2;
  return [
    Float64Array.from({ length: count }, (_, i) => 100 + 4 * (i % side) + jitter(i, 12.9898)),
    Float64Array.from({ length: count }, (_, i) => 100 + 4 * Math.floor(i / side) + jitter(i, 78.233)),
  ];
}

/** Counts around a bright middle; a few patterns made once and dealt out in turn, because making them is not what is measured. */
function templates() {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: 32 }, () =>
    Uint16Array.from({ length: N * N }, (_, p) => {
      const r2 = (Math.floor(p / N) - N / 2) ** 2 + ((p % N) - N / 2) ** 2;
      return Math.floor(2000 * Math.exp(-r2 / 200) * random() + 4 * random());
    }),
  );
}

function probe() {
  const re = new Float32Array(N * N);
  for (let p = 0; p < N * N; p++) {
    re[p] = Math.exp(-((Math.floor(p / N) - N / 2) ** 2 + ((p % N) - N / 2) ** 2) / 500);
  }
  return { re, im: new Float32Array(N * N), shape: [N, N] };
}

/** Runs a command that prints one line of JSON; undefined where it cannot run. */
async function reply(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await Promise.race([once(child, 'close'), once(child, 'error').then(() => [127])]);
  return { code, err, result: code === 0 ? JSON.parse(out.trim().split('\n').at(-1)) : undefined };
}

async function findPython() {
  for (const python of [process.env.PYTHON, '/usr/bin/python3', 'python3']) {
    if (!python) continue;
    const { result } = await reply(python, [PYTHON_PEER, 'about']);
    if (result) return { python, about: result };
  }
  return undefined;
}

/** Writes the scan, a few patterns at a time. */
async function writeNpzScan(file) {
  const { encodeNpy, npyPreamble } = await import('../dist/formats/npyWrite.js');
  const { writeZip } = await import('../dist/formats/zip.js');
  const patterns = templates();
  const [x, y] = positions(COUNT);
  const preamble = npyPreamble('uint16', 2, [COUNT, N, N]);
  const block = Buffer.concat(patterns.map((p) => new Uint8Array(p.buffer)));
  const small = (name, input) => ({ name: `${name}.npy`, data: encodeNpy(input) });
  await writeZip(file, [
    {
      name: 'diffraction.npy',
      size: preamble.length + COUNT * N * N * 2,
      *chunks() {
        yield preamble;
        for (let at = 0; at < COUNT; at += 32) yield block.subarray(0, Math.min(32, COUNT - at) * N * N * 2);
      },
    },
    small('xcoords', { data: x, shape: [COUNT] }),
    small('ycoords', { data: y, shape: [COUNT] }),
    small('probeGuess', probe()),
    small('measurement_domain', { strings: ['count_intensity'], shape: [] }),
  ]);
}

/** The same as HDF5, one chunk a frame, as detectors write it. */
async function writeHdf5Scan(file) {
  const { default: h5wasm } = await import('h5wasm/node');
  await h5wasm.ready;
  const patterns = templates();
  const block = new Uint16Array(32 * N * N);
  patterns.forEach((pattern, i) => {
    block.set(pattern, i * N * N);
  });
  const h5 = new h5wasm.File(file, 'w');
  const frames = { maxshape: [COUNT, N, N], chunks: [1, N, N], dtype: '<H' };
  const data = h5.create_dataset({ name: 'diffraction', data: block, shape: [32, N, N], ...frames });
  data.resize([COUNT, N, N]);
  for (let at = 32; at < COUNT; at += 32) {
    const rows = Math.min(32, COUNT - at);
    const place = [
      [at, at + rows],
      [0, N],
      [0, N],
    ];
    data.write_slice(place, block.subarray(0, rows * N * N));
  }
  positions(COUNT).forEach((values, axis) => {
    h5.create_dataset({ name: ['xcoords', 'ycoords'][axis], data: values, shape: [COUNT], dtype: '<d' });
  });
  h5.create_attribute('measurement_domain', 'count_intensity');
  h5.close();
}

/** One process's work: open, group, measure, iterate. */
async function ours(file, gridsize) {
  const { openDataset } = await import('../dist/data/openDataset.js');
  const { DiffractionDataset } = await import('../dist/data/dataset.js');
  const { groupScan } = await import('../dist/data/grouping/grouping.js');
  const { groupedStatistics } = await import('../dist/data/normalise.js');
  const { keepPatterns } = await import('../dist/data/patternCache.js');
  const baseline = process.resourceUsage().maxRSS * 1024;
  const [openSeconds, raw] = await timed(() => openDataset(file));
  const [groupSeconds, groups] = await timed(() =>
    groupScan(raw.xcoords, raw.ycoords, { gridsize, n_groups: raw.count, neighbor_count: 7, seed: 0 }),
  );
  // As training prepares a scan; 50,000 patterns are too many to be kept.
  const patterns = keepPatterns(raw.patterns, groups.members);
  const [statisticsSeconds, statistics] = await timed(() => groupedStatistics(patterns, groups));
  const dataset = new DiffractionDataset(raw, groups, statistics.inputScale, { patterns });
  let power = 0;
  const batchFrom = (from) =>
    dataset.batch(Array.from({ length: Math.max(0, Math.min(BATCH, dataset.size - from)) }, (_, i) => from + i));
  const cpu = process.cpuUsage();
  const [iterateSeconds] = await timed(async () => {
    // One batch ahead, as training reads.
    let next = batchFrom(0);
    for (let from = 0; from < dataset.size; from += BATCH) {
      const { diffraction } = await next;
      next = batchFrom(from + BATCH);
      power += diffraction.data[(N * N) / 2 + N / 2];
    }
    await next;
  });
  const { user, system } = process.cpuUsage(cpu);
  await raw.close();
  return {
    groups: groups.count,
    checksum: power / groups.count,
    openSeconds,
    groupSeconds,
    statisticsSeconds,
    iterateSeconds,
    iterateCpuSeconds: (user + system) / 1e6,
    peakRss: process.resourceUsage().maxRSS * 1024,
    baseline,
  };
}

/** The floor: every byte of the file once, 2 MB at a time (as much as a batch of ours). */
async function plainRead(file) {
  const handle = await open(file);
  const buffer = Buffer.alloc(BATCH * N * N * 2);
  const [seconds] = await timed(async () => {
    for (;;) if ((await handle.read(buffer, 0, buffer.length, null)).bytesRead === 0) return;
  });
  await handle.close();
  return { seconds };
}

async function neighbours(python) {
  const { NeighbourGrid } = await import('../dist/data/grouping/neighbourGrid.js');
  const [x, y] = positions(100_000);
  const out = new Int32Array(8);
  const seconds = [];
  let checksum = 0;
  for (let r = 0; r < 5; r++) {
    const [s] = await timed(() => {
      const grid = new NeighbourGrid(x, y);
      checksum = 0;
      for (let i = 0; i < x.length; i++) {
        grid.nearest(i, 8, out);
        checksum += out[7];
      }
    });
    seconds.push(s);
  }
  seconds.sort((a, b) => a - b);
  const peer = python && (await reply(python.python, [PYTHON_PEER, 'neighbours', String(x.length)])).result;
  return {
    positions: x.length,
    k: 8,
    ours_s: round(seconds[2], 3),
    checksum,
    peer: peer?.peer ?? null,
    peer_s: peer ? round(peer.seconds, 3) : null,
    ratio: peer ? round(peer.seconds / seconds[2], 1) : null,
  };
}

async function measure(format, file, python) {
  const rows = [];
  const bytes = COUNT * N * N * 2;
  const rate = (seconds, times = 1) => Math.round((times * bytes) / seconds / MB);
  const { result: plain } = await reply(process.execPath, [SELF, 'plain', file]);
  for (const gridsize of [1, 2]) {
    const C = gridsize * gridsize;
    const { result, err } = await reply(process.execPath, [SELF, 'ours', file, String(gridsize)]);
    if (!result) throw new Error(`${format}: ${err}`);
    const peer =
      python && (await reply(python.python, [PYTHON_PEER, 'iterate', file, String(C), String(BATCH)])).result;
    const peak = Math.round(result.peakRss / MB);
    rows.push({
      format,
      gridsize,
      open_s: round(result.openSeconds),
      group_s: round(result.groupSeconds),
      statistics_MB_per_s: rate(result.statisticsSeconds),
      iterate_s: round(result.iterateSeconds),
      iterate_cpu_s: round(result.iterateCpuSeconds),
      // Bytes of the file that the batches are made of; with gridsize 2 each pattern is in four groups on average.
      iterate_MB_per_s: rate(result.iterateSeconds, C),
      patterns_per_s: Math.round((COUNT * C) / result.iterateSeconds),
      peak_rss_MB: peak,
      within_limit: peak < LIMIT_MB,
      fs_read_MB_per_s: rate(plain.seconds),
      python_MB_per_s: peer ? rate(peer.seconds, C) : null,
      python_cpu_s: peer ? round(peer.cpu_seconds) : null,
      python_peak_rss_MB: peer ? Math.round(peer.peak_rss / MB) : null,
      ratio_to_python: peer ? round(peer.seconds / result.iterateSeconds) : null,
    });
  }
  return rows;
}

async function main() {
  const python = await findPython();
  console.log(
    python
      ? `peer: ${python.about.peer}`
      : 'No python3 with numpy and h5py here (Debian: apt install python3-h5py): fs.read is the only peer.',
  );
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bench-'));
  const rows = [];
  try {
    const { bavail, bsize } = await statfs(folder);
    const needed = COUNT * N * N * 2 * 1.1;
    if (bavail * bsize < needed) {
      throw new Error(
        `${folder} has ${Math.round((bavail * bsize) / MB)} MB free, ${Math.round(needed / MB)} MB are needed: set TMPDIR, or BENCH_PATTERNS to fewer.`,
      );
    }
    for (const [format, name, write] of [
      ['npz', 'scan.npz', writeNpzScan],
      ['hdf5', 'scan.h5', writeHdf5Scan],
    ]) {
      const file = path.join(folder, name);
      const [seconds] = await timed(() => write(file));
      console.log(`wrote ${name}: ${COUNT} patterns of ${N}², ${round(seconds, 1)} s`);
      rows.push(...(await measure(format, file, python)));
      await rm(file);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const knn = await neighbours(python);
  console.table(rows);
  console.table([knn]);
  await mkdir('bench-output', { recursive: true });
  await writeFile(
    'bench-output/data.json',
    `${JSON.stringify({ patterns: COUNT, N, dtype: 'uint16', batch: BATCH, limit_MB: LIMIT_MB, peer: python?.about ?? null, rows, neighbours: knn }, null, 2)}\n`,
  );
  if (rows.some((row) => !row.within_limit)) {
    console.error(`Peak memory is above ${LIMIT_MB} MB.`);
    process.exitCode = 1;
  }
}

const [task, ...args] = process.argv.slice(2);
if (task === 'ours') console.log(JSON.stringify(await ours(args[0], Number(args[1]))));
else if (task === 'plain') console.log(JSON.stringify(await plainRead(args[0])));
else await main();
