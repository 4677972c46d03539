/**
 * What would a thousand scans, or one very large one, take on 1, 8 and 64 nodes, and what would hold them up? Costs of every stage are
 * measured here in processor time (of whole commands, of which several are run); the rest is arithmetic.
 *
 *   npm run bench:scale -- [--patterns 2000] [--cores 32] [--read_gb_s 2] [--files_s 20000] [--slurm_jobs_s 10] [--scans 1000] [--large 1000000]
 *
 * The file system and Slurm are not measured but said: bytes and files that all nodes together get in a second, and jobs that Slurm starts in
 * a second. Files that a job opens are counted by strace, and what a queue takes is measured on redis-server, where they are installed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    patterns: { type: 'string', default: '2000' },
    cores: { type: 'string', default: '32' },
    read_gb_s: { type: 'string', default: '2' },
    files_s: { type: 'string', default: '20000' },
    slurm_jobs_s: { type: 'string', default: '10' },
    scans: { type: 'string', default: '1000' },
    large: { type: 'string', default: '1000000' },
  },
});
const dist = new URL('../dist/', import.meta.url);
const main = new URL('cli/main.js', dist).pathname;
const model = new URL('../models/n64-ring.zip', import.meta.url).pathname;
const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-scale-'));
const at = (name) => path.join(folder, name);
const load = async (name) => import(new URL(name, dist));
const N = 64;
const [FEW, EPOCHS] = [100, 4];
const n = Number(values.patterns);

/** Processor seconds of a command, of all its threads. */
function secondsOf(...words) {
  const quoted = [process.execPath, main, ...words].map((word) => `'${word}'`).join(' ');
  const { stderr, status } = spawnSync('bash', ['-c', `TIMEFORMAT='used %U %S'; time ${quoted} > ${at('said')} 2> ${at('error')}`], { cwd: folder, encoding: 'utf8' }); // biome-ignore format: one call
  if (status !== 0) throw new Error(`${words.join(' ')}: ${readFileSync(at('error'), 'utf8')}`);
  const [, user, system] = /used ([\d.]+) ([\d.]+)/.exec(stderr);
  return Number(user) + Number(system);
}
/** Processor seconds of some work in this process. */
async function seconds(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const scan = at('scan.npz');
const simulate = (file, count, seed) =>
  execFileSync(process.execPath, [main, 'simulate', '--N', N, '--object', 'dead_leaves', '--object_side_px', Math.ceil(N + 3 * Math.sqrt(count)), '--step_px', 3, '--photons', '1e6', '--seed', seed, '--probe', 'zone_plate', '--output_file', file, '--no-visualize'].map(String), { stdio: 'ignore' }); // biome-ignore format: one call
simulate(scan, n, 4);
simulate(at('few.npz'), FEW, 4);

// Stages in this process.
const { openDataset } = await load('data/openDataset.js');
const { groupScan } = await load('data/grouping/grouping.js');
const { PatchStitcher } = await load('reconstruction/patchStitcher.js');
const { scanBounds } = await load('reconstruction/frame.js');
const { solve } = await load('solvers/solve.js');
const opening = async (file) => {
  const times = [];
  for (let k = 0; k < 4; k++) times.push(await seconds(async () => (await openDataset(file)).close()));
  // The first one loads what it needs.
  return Math.min(...times.slice(1));
};
const [openFew, openMany] = [await opening(at('few.npz')), await opening(scan)];
const raw = await openDataset(scan);
const count = raw.count;
const group = await seconds(async () =>
  groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, neighbor_count: 7, n_groups: raw.count, seed: 0 }),
);
const patches = new Float32Array(64 * N * N).fill(0.5);
const stitcher = new PatchStitcher(scanBounds(raw.xcoords, raw.ycoords), N / 2);
const stitch = await seconds(async () => {
  for (let from = 0; from + 64 <= count; from += 64) {
    stitcher.add(patches, patches, 64, N, raw.xcoords.subarray(from), raw.ycoords.subarray(from));
  }
  stitcher.finish();
});
let epochs;
let before;
for await (const { epoch } of solve(raw, { algorithm: 'rpie', epochs: EPOCHS }, { threads: 1 })) {
  if (epoch === 1) before = process.cpuUsage();
  else if (epoch === EPOCHS) {
    const { user, system } = process.cpuUsage(before);
    epochs = (user + system) / 1e6 / (EPOCHS - 1);
  }
}
await raw.close();

// Whole commands: what a process takes besides.
const cpu = ['--threads', '1', '--accelerator', 'cpu'];
const net = [...cpu, '--model_path', model, '--r_factor_patterns', '0'];
const start = Math.min(secondsOf('--version'), secondsOf('--version'));
const solveFew = secondsOf('solve', at('few.npz'), '--epochs', '1', '--threads', '1', '--output_dir', 'solve-few');
const inferFew = secondsOf('infer', at('few.npz'), ...net, '--output_dir', 'infer-few');
const infer = secondsOf('infer', scan, ...net, '--output_dir', 'infer');
const shards = [1, 2].map((k) => secondsOf('infer', scan, ...net, '--shard', `${k}/2`, '--output_dir', `parts/${k}`));
const merge = secondsOf('infer', scan, ...net, '--from_shards', 'parts', '--output_dir', 'merged');
const shardBytes = bytesBelow(at('parts'));

// Plans: many copies of a small scan.
const COPIES = 20;
for (let k = 0; k < COPIES; k++) cpSync(at('few.npz'), at(`copy${k}.npz`));
const copies = Array.from({ length: COPIES }, (_, k) => `copy${k}.npz`);
const planned = (how, root) => secondsOf('jobs', 'plan', ...how, '--verb', 'solve', '--output_root', root, '--epochs', '1', '--threads', '1'); // biome-ignore format: one call
const plan = (planned(copies, 'plan') - planned(copies.slice(0, 1), 'plan-of-one')) / (COPIES - 1);
secondsOf('jobs', 'run', 'plan', '--index', '1');
const again = secondsOf('jobs', 'run', 'plan', '--index', '1');
const files = filesOf('jobs', 'run', 'plan', '--index', '2');
const { statesOf } = await load('jobs/record.js');
const { readPlan } = await load('jobs/plan.js');
const { runJob } = await load('jobs/runJob.js');
const jobs = await readPlan(at('plan'));
const nothing = async () => ({ cancelled: false, files: [], figures: {} });
// The first one loads what it needs.
await runJob({ root: at('noop'), job: jobs[0], work: nothing });
const rest = jobs.slice(1);
const job =
  (await seconds(async () => {
    for (const each of rest) await runJob({ root: at('noop'), job: each, work: nothing });
  })) / rest.length;
const ROUNDS = 10;
const status =
  (await seconds(async () => {
    for (let k = 0; k < ROUNDS; k++) await statesOf(at('plan'), jobs);
  })) /
  ROUNDS /
  jobs.length;
const queue = await queueSeconds();
const written = bytesBelow(at('solve-few'));

const perPattern = {
  open: Math.max(0, (openMany - openFew) / (count - FEW)),
  group: group / count,
  infer: (infer - inferFew) / (count - FEW),
  stitch: stitch / count,
  // What two shards take more than the whole: each reads all of it to normalise it.
  read: Math.max(0, shards[0] + shards[1] - infer - inferFew) / count,
  solve: epochs / count,
  merge: Math.max(0, merge - inferFew) / count,
};
const perJob = {
  start,
  open: openFew - FEW * perPattern.open,
  solve: solveFew,
  infer: inferFew,
  plan,
  job,
  again,
  status,
  queue,
};
const table = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) console.log(row.map((cell, k) => (k === 0 ? String(cell).padEnd(widths[k]) : String(cell).padStart(widths[k]))).join('  ')); // biome-ignore format: one line
};
const ms = (value) => (value === undefined ? 'not measured' : (1000 * value).toPrecision(3));

console.log(
  `Processor milliseconds, one thread, patterns of ${N}²; load ${loadavg()[0].toFixed(1)}, ${process.version}\n`,
);
table([
  ['for each pattern', 'ms'],
  ['open and look (positions, findings)', ms(perPattern.open)],
  ['group (gridsize 2)', ms(perPattern.group)],
  ['infer, with stitching and phases (n64-ring)', ms(perPattern.infer)],
  ['  of which stitching', ms(perPattern.stitch)],
  ['  of which reading, to normalise', ms(perPattern.read)],
  ['lay shards together', ms(perPattern.merge)],
  ['solve, one epoch of rPIE', ms(perPattern.solve)],
]);
console.log('');
table([
  ['for each job', 'ms'],
  ['start of a process (--version)', ms(start)],
  ['open a scan', ms(perJob.open)],
  [`solve ${FEW} patterns for one epoch, write and draw: whole command`, ms(solveFew)],
  [`infer ${FEW} patterns, write and draw: whole command`, ms(inferFew)],
  ['a job besides: record, lock, fingerprint', ms(job)],
  ['a job that was done before', ms(again)],
  ['plan it', ms(plan)],
  ['look how far it is (jobs status)', ms(status)],
  ['Redis: into the queue and out', ms(queue)],
]);
const fileWords = files
  ? `${files.data} calls with names of files for plan, scan and results, ${files.program} for the program (${files.distinct} files)`
  : 'calls for files were not counted (no strace)';
console.log(`\na job makes ${fileWords}, and writes ${(written / 1e6).toFixed(1)} MB; a shard has ${(shardBytes / count / 1e3).toFixed(1)} kB a pattern`); // biome-ignore format: one line

// The model.
const [cores, bandwidth, metadata, slurm] = [
  values.cores,
  1e9 * values.read_gb_s,
  values.files_s,
  values.slurm_jobs_s,
].map(Number);
const opened = files ? files.data : 300;
const scanBytes = statSync(scan).size / count;
const scans = Number(values.scans);
console.log(`\nModel: ${cores} cores a node, a job on each; the file system serves ${values.read_gb_s} GB and ${metadata} calls a second to all nodes together; the files of the program are cached by each node; Slurm starts ${slurm} jobs a second.\n`); // biome-ignore format: one line
const size = 2000;
const manyRows = [
  [`${scans} scans of ${size} patterns`, 'nodes', 'minutes', 'scans/s', 'of the cores', 'held up by', 'next limit'],
];
const verbs = {
  infer: inferFew + (size - FEW) * perPattern.infer + job,
  'solve, 60 epochs': solveFew + size * 60 * perPattern.solve + job,
};
for (const [verb, taken] of Object.entries(verbs)) {
  for (const nodes of [1, 8, 64]) {
    const limits = [
      ['processors', (nodes * cores) / taken],
      ['bytes', bandwidth / (size * scanBytes + written)],
      ['files', metadata / opened],
      ['Slurm', slurm],
      ...(queue ? [['Redis', 1 / queue]] : []),
    ].sort((a, b) => a[1] - b[1]);
    const [[first, rate], [second, more]] = limits;
    // Jobs are whole: the last round may be less than full.
    const rounds = Math.ceil(scans / (nodes * cores)) * taken;
    const time = Math.max(rounds, scans / rate + taken);
    const held = rounds >= scans / rate + taken && scans < nodes * cores * 8 ? 'whole jobs' : first;
    manyRows.push([verb, nodes, (time / 60).toFixed(1), (scans / time).toFixed(2), `${((100 * scans * taken) / (time * nodes * cores)).toFixed(0)} %`, held, `${second} at ${more.toFixed(1)}/s`]); // biome-ignore format: one line
  }
}
table(manyRows);

const large = Number(values.large);
console.log('');
const largeRows = [[`one scan of ${large} patterns, infer in shards`, 'nodes', 'shards', 'minutes', 'predict', 'read it all', 'lay together', 'held up by']]; // biome-ignore format: one line
for (const [how, each] of [
  ['a shard a node, on all its cores', 1],
  ['a shard a core', cores],
]) {
  for (const nodes of [1, 8, 64]) {
    const parts = nodes * each;
    // Every process opens and normalises the whole scan.
    const reading = Math.max((parts * large * scanBytes) / bandwidth, large * (perPattern.open + perPattern.read));
    const stages = {
      processors: inferFew + (large / (nodes * cores)) * perPattern.infer,
      'reading the scan in every process': reading,
      'laying together in one process': inferFew + large * (perPattern.open + perPattern.merge),
    };
    const [[held]] = Object.entries(stages).sort((x, y) => y[1] - x[1]);
    const taken = Object.values(stages);
    largeRows.push([how, nodes, parts, (taken.reduce((sum, value) => sum + value) / 60).toFixed(1), ...taken.map((value) => `${value.toFixed(0)} s`), held]); // biome-ignore format: one line
  }
}
table(largeRows);
rmSync(folder, { recursive: true, force: true });

function bytesBelow(name) {
  return readdirSync(name, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(path.join(entry.parentPath ?? entry.path, entry.name)).size, 0);
}

/** Calls with a name of a file, by where it lies; undefined without strace. */
function filesOf(...words) {
  const log = at('calls');
  const { error } = spawnSync('strace', ['-f', '-qq', '-e', 'trace=file', '-o', log, process.execPath, main, ...words], { cwd: folder, stdio: 'ignore' }); // biome-ignore format: one call
  if (error) return undefined;
  const lines = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"'));
  const isData = (line) => line.includes(folder) || /"(plan|few|copy)/.test(line);
  const program = lines.filter((line) => !isData(line) && /node_modules|\/dist\/|package\.json/.test(line));
  const distinct = new Set(program.map((line) => line.split('"')[1])).size;
  return { program: program.length, distinct, data: lines.filter(isData).length };
}

/** Processor seconds of this process for a message in and out, which is at least what the server takes; undefined without Redis. */
async function queueSeconds() {
  if (spawnSync('which', ['redis-server']).status !== 0) return undefined;
  const { spawn } = await import('node:child_process');
  const port = 20_000 + (process.pid % 20_000);
  const server = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', folder], { stdio: 'ignore' }); // biome-ignore format: one call
  try {
    const { openQueue } = await load('jobs/queues/openQueue.js');
    let queue;
    for (let tries = 0; !queue && tries < 50; tries++) {
      await new Promise((done) => setTimeout(done, 200));
      queue = await openQueue({ redis: `redis://127.0.0.1:${port}`, postgres: null, queue: 'scale' }).catch(
        () => undefined,
      );
    }
    if (!queue) return undefined;
    const messages = Array.from({ length: 500 }, (_, k) => ({ root: folder, id: String(k), seconds: 1 }));
    const stop = new AbortController();
    let taken = 0;
    const used = await seconds(async () => {
      await queue.add(messages);
      await queue.take(async () => {
        if (++taken === messages.length) setTimeout(() => stop.abort(), 10);
        return 'done';
      }, stop.signal);
    });
    await queue.close();
    return used / messages.length;
  } finally {
    server.kill();
  }
}
