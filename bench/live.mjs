/**
 * A detector at 500 frames per second, and `live` on the same machine: is everything kept, how much of it is in the image while the scan
 * runs, what does each stage cost, and is the last image that of `infer` afterwards?
 *
 *   npm run bench:live -- [--frames 4000] [--hz 500] [--encoding bslz4] [--model models/n64-ring.zip] [--algorithm rpie] [--keep DIR] [--first]
 *
 * Processor milliseconds a frame, by stage: of the first thread by a profile, of other threads as the system counts them (Linux). They say
 * more than the clock on a machine that others use; `--first` runs detector and receiver before all others there (nice −19, as root). `--algorithm` instead of a network: `--model none --algorithm rpie`.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '4000' },
    hz: { type: 'string', default: '500' },
    encoding: { type: 'string', default: 'bslz4' },
    model: { type: 'string', default: 'models/n64-ring.zip' },
    algorithm: { type: 'string' },
    keep: { type: 'string' },
    first: { type: 'boolean', default: false },
  },
});
/** Of a solver, when the scan has ended. */
const EPOCHS = 20;
const root = new URL('..', import.meta.url).pathname;
const cli = path.join(root, 'dist/cli/main.js');
const { readReconstruction } = await import('../dist/reconstruction/reconstructionFile.js');
const { openDataset } = await import('../dist/data/openDataset.js');
const { relativeObjectError } = await import('../dist/evaluation/align.js');

const folder = values.keep ? path.resolve(values.keep) : await mkdtemp(path.join(tmpdir(), 'ptychopinn-bench-live-'));
const at = (name) => path.join(folder, name);
const model = values.model === 'none' ? null : path.resolve(values.model);
const run = promisify(execFile);
const side = Math.ceil(64 + 3 * Math.sqrt(Number(values.frames)));
const recipe = ['--N', '64', '--object', 'dead_leaves', '--object_side_px', side, '--step_px', 3, '--photons', '1e6', '--seed', 4, '--probe', 'zone_plate'].map(String); // biome-ignore format: one line
const port = 20_000 + (process.pid % 20_000);
const address = `tcp://127.0.0.1:${port}`;

// The scan first, so that making it is no part of what is measured.
await run(process.execPath, [
  cli,
  'simulate',
  ...recipe,
  '--output_file',
  at('scan.npz'),
  '--overwrite',
  '--no-visualize',
]);
const detector = spawn(...program(path.join(root, 'bench/liveDetector.mjs'), at('scan.npz'), address, values.hz, values.encoding, values.frames), { stdio: ['ignore', 'pipe', 'inherit'] }); // biome-ignore format: one call
const config = {
  source: address,
  output_dir: at('live'),
  overwrite: true,
  epochs: EPOCHS,
  model_path: model,
  algorithm: values.algorithm ?? null,
};
const receiver = spawn(...program(path.join(root, 'bench/liveReceiver.mjs'), JSON.stringify(config)), { stdio: ['ignore', 'pipe', 'inherit'] }); // biome-ignore format: one call
const [sent, received] = (await Promise.all([output(detector), output(receiver)])).map((text) => JSON.parse(text));

const record = ['--positions', at('live/record/positions.csv'), '--measurement_domain', 'count_intensity'];
const patterns = at('live/record/patterns.npy');
const again = model ? ['infer', '--model_path', model, '--test_data_file', patterns] : ['solve', patterns, '--algorithm', values.algorithm ?? 'rpie', '--epochs', String(EPOCHS)]; // biome-ignore format: one line
await run(process.execPath, [cli, ...again, ...record, '--output_dir', at('offline'), '--overwrite']);
const [live, offline] = await Promise.all(['live', 'offline'].map((name) => readReconstruction(at(`${name}/reconstruction.npz`)))); // biome-ignore format: one line
const kept = await openDataset(patterns, { positions: at('live/record/positions.csv') });

const { summary } = received;
const { stages, threads, wall, cpu } = received.live;
const frames = kept.count;
const perFrame = (seconds) => `${((1000 * seconds) / frames).toFixed(3)} ms`;
const first = threads.find(({ name }) => name === 'first').seconds;
const network = threads.filter(({ name }) => name.startsWith('ZMQ')).reduce((sum, { seconds }) => sum + seconds, 0);
const profiled = Object.entries(stages).filter(([name]) => name !== 'idle' && name !== 'program');
const busy = profiled.reduce((sum, [, seconds]) => sum + seconds, 0);
console.log(`${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}; ${process.version}`);
const rate = (count) => `${count} in ${summary.scanSeconds.toFixed(2)} s, ${(count / summary.scanSeconds).toFixed(0)} per second`; // biome-ignore format: one line
console.log(`kept ${rate(frames)}; ${sent.frames - frames} of ${sent.frames} were lost; the detector took ${perFrame(sent.cpu)} of processor time a frame`); // biome-ignore format: one line
if (model) console.log(`in the image while the scan ran: ${rate(summary.predictedLive)}`);
console.log(
  `${summary.previews} previews, the first ${summary.firstPreviewSeconds?.toFixed(2)} s after the tenth frame`,
);
console.log(`last image and that of ${again[0]} afterwards: relative difference ${relativeObjectError(live.image, offline.image).toExponential(1)}`); // biome-ignore format: one line
console.log(`until the scan had ended: ${wall.toFixed(2)} s by the clock, ${cpu.toFixed(2)} s of processor time, of which the first thread ${first.toFixed(2)} s, the network's ${network.toFixed(2)} s, others ${(cpu - first - network).toFixed(2)} s`); // biome-ignore format: one line
console.log('first thread, by stage:');
for (const [name, seconds] of profiled.sort((a, b) => b[1] - a[1])) {
  console.log(`  ${name.padEnd(12)} ${((first * seconds) / busy).toFixed(2).padStart(6)} s  ${perFrame((first * seconds) / busy)}`); // biome-ignore format: one line
}
for (const warning of received.warnings) console.log(`said: ${warning}`);
await kept.close();
if (!values.keep) await rm(folder, { recursive: true, force: true });

/** A process that others do not keep from its work, with --first (needs root). */
function program(...words) {
  return values.first ? ['nice', ['-n', '-19', process.execPath, ...words]] : [process.execPath, words];
}

/** What a process prints. @throws Error with its code */
async function output(child) {
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  const code = await new Promise((done) => child.once('close', done));
  if (code !== 0) throw new Error(`${child.spawnargs[1]} ended with ${code}`);
  return text.trim().split('\n').at(-1);
}
