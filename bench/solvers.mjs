/**
 * The iterative solvers: quality and speed on data they did not make, beside a PyTorch peer in the same run and the recorded figures of
 * the published package (same class of machine, one thread).
 *
 *   npm run bench:solvers -- [sim] [star] [positions] [large] [--rounds 1] [--peer PATH] [--python python3]
 *
 * sim and star read the shared data folder (see PTYCHOPINN_SHARED). With --peer, a checkout of Pty-Chi solves the same scans in the same run, from
 * the same probe and with the same number of patterns a batch, on one thread; images of both are compared with the truth in the same pixels, by the
 * same scorer, each at the whole-pixel shift of up to six that suits it best (object and probe are determined up to that).
 *
 * `positions` is sim with positions that are up to 2 px off along both axes, `large` is a simulated scan of 1,000 patterns 256². Writes bench-output/solvers.json.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LegacyRng } from '../dist/core/rng.js';
import { rawDataFromArrays } from '../dist/data/arrays.js';
import { openDataset } from '../dist/data/openDataset.js';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { openNpz } from '../dist/formats/npz.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { makeObject } from '../dist/simulation/objects.js';
import { makeProbe } from '../dist/simulation/probes.js';
import { makeScan } from '../dist/simulation/scans.js';
import { simulateScan } from '../dist/simulation/simulateScan.js';
import { solve } from '../dist/solvers/solve.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '1' },
    peer: { type: 'string' },
    python: { type: 'string', default: 'python3' },
  },
});
const shared = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared');
const peer = fileURLToPath(new URL('peers/rpie_peer.py', import.meta.url));
const ptychi = fileURLToPath(new URL('peers/ptychi_peer.py', import.meta.url));
const sim = path.join(shared, 'data/sim_64_counts.npz');
const star = path.join(shared, 'data/siemens_star_128.npz');

/**
 * `published`: seconds, and object error or R, of the published package (Pty-Chi 8aee9c2) as recorded, not in this run. Errors are those of its
 * stored images under this scorer; what was not stored has none.
 */
const rows = [
  { group: 'sim', algorithm: 'rpie', epochs: 60, published: { seconds: 7.4 }, peer: 'probeGuess' },
  { group: 'sim', algorithm: 'epie', epochs: 60, published: { seconds: 7.7 } },
  { group: 'sim', algorithm: 'pie', epochs: 60 },
  { group: 'sim', algorithm: 'lsqml', epochs: 60, published: { error: 0.0269 } },
  { group: 'sim', algorithm: 'lsqml', epochs: 60, noise_model: 'poisson' },
  { group: 'sim', algorithm: 'dm', epochs: 60, published: { error: 0.08 } },
  { group: 'star', algorithm: 'rpie', epochs: 40, published: { seconds: 38.8, r: 0.1516 }, peer: 'probeGuessInitial' },
  { group: 'star', algorithm: 'lsqml', epochs: 20, published: { seconds: 40.5, r: 0.16 } },
  { group: 'positions', algorithm: 'rpie', epochs: 100 },
  { group: 'positions', algorithm: 'rpie', epochs: 100, position_start: 5 },
  { group: 'positions', algorithm: 'lsqml', epochs: 100, position_start: 5 },
  { group: 'large', algorithm: 'rpie', epochs: 5 },
  { group: 'large', algorithm: 'lsqml', epochs: 5 },
];
const wanted = rows.filter(({ group }) => positionals.length === 0 || positionals.includes(group));

async function scanOf(group) {
  if (group === 'sim') return openDataset(sim);
  if (group === 'positions') {
    const raw = await openDataset(sim);
    const rng = new LegacyRng(1);
    const disturbed = (values) => values.map((v) => v + rng.uniform(-2, 2));
    return { ...raw, xcoords: disturbed(raw.xcoords), ycoords: disturbed(raw.ycoords) };
  }
  if (group === 'star') return openDataset(star, { probe: `${star}:probeGuessInitial` });
  const [side, stepPx] = [256, 12];
  const size = side + stepPx * 33;
  const object = makeObject('lines', { rows: size, cols: size, seed: 1 });
  const probe = makeProbe('structured', { side, diameter: 80, comaRad: 2 });
  const { xs, ys } = makeScan('jittered_raster', { rows: size, cols: size, side, stepPx, seed: 2 });
  const [x, y] = [xs.slice(0, 1000), ys.slice(0, 1000)];
  const { diffraction } = simulateScan({ object, probe, xs: x, ys: y, photons: 1e6, seed: 3, noise: 'none' });
  return rawDataFromArrays({
    diffraction,
    xcoords: x,
    ycoords: y,
    probeGuess: probe,
    measurement_domain: 'count_amplitude',
  });
}

async function truthOf(group) {
  if (group !== 'sim' && group !== 'positions') return undefined;
  const npz = await openNpz(sim);
  try {
    return await npz.read('objectTrue');
  } finally {
    await npz.close();
  }
}

/** The error at the whole-pixel shift that suits the image best. */
function errorOf({ image, frame }, truth, raw) {
  const bounds = scanBounds(raw.xcoords, raw.ycoords);
  let least = Number.POSITIVE_INFINITY;
  for (let dy = -6; dy <= 6; dy++) {
    for (let dx = -6; dx <= 6; dx++) {
      const originYxPx = [frame.originYxPx[0] + dy, frame.originYxPx[1] + dx];
      const moved = { image, frame: { ...frame, originYxPx } };
      least = Math.min(least, scoreAgainstTruth(moved, truth, { bounds }).relative_object_error);
    }
  }
  return least;
}

/** Pty-Chi on the same file. */
async function runPtychi({ group, algorithm, epochs }, raw, truth) {
  const file = group === 'sim' ? sim : star;
  const key = group === 'sim' ? 'probeGuess' : 'probeGuessInitial';
  const batch = String(Math.min(32, Math.max(16, Math.round(raw.count / 8))));
  await mkdir('bench-output', { recursive: true });
  const out = path.resolve('bench-output/ptychi.npz');
  const args = [ptychi, path.resolve(values.peer), file, key, algorithm, String(epochs), batch, out];
  const answer = JSON.parse(execFileSync(values.python, args).toString().trim().split('\n').at(-1));
  const npz = await openNpz(out);
  try {
    const image = await npz.readComplex64('object');
    const [height, width] = image.shape;
    const originYxPx = Array.from((await npz.readReal('origin_yx')).data);
    const error = truth && errorOf({ image, frame: { originYxPx, height, width } }, truth, raw);
    return { ...answer, error };
  } finally {
    await npz.close();
  }
}

async function run({ group: _group, published: _published, peer: _peer, ...options }, raw, threads) {
  let began = 0;
  let seconds = 0;
  let last;
  let scores;
  // Reading and the start are not part of the epochs, as with the peer and in the recorded figures.
  for await (const update of solve(raw, options, { threads })) {
    if (update.epoch === 0) began = performance.now();
    last = update;
    if (update.epoch < update.epochs) continue;
    seconds = (performance.now() - began) / 1000;
    scores = await update.measure();
  }
  return { seconds, last, scores };
}

const table = [];
let [openGroup, raw, truth] = [];
for (const row of wanted) {
  if (row.group !== openGroup) {
    await raw?.close();
    [openGroup, raw, truth] = [row.group, await scanOf(row.group), await truthOf(row.group)];
  }
  const seconds = { 1: [], 2: [], peer: [] };
  let found;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const threads of [1, 2]) {
      const result = await run(row, raw, threads);
      seconds[threads].push(result.seconds);
      found ??= {
        ...result.scores,
        error: truth && errorOf(result.last.object(), truth, raw),
      };
    }
    if (row.peer) {
      const file = row.group === 'sim' ? sim : star;
      const batch = Math.min(32, Math.max(16, Math.round(raw.count / 8)));
      const answer = execFileSync('python3', [peer, file, row.peer, String(row.epochs), String(batch), '1']);
      seconds.peer.push(JSON.parse(answer).seconds);
    }
  }
  const asked = values.peer !== undefined && (row.group === 'sim' || row.group === 'star') && !row.noise_model;
  const beside = asked ? await runPtychi(row, raw, truth) : undefined;
  const best = (list) => (list.length > 0 ? Math.min(...list) : undefined);
  table.push({
    ...row,
    patterns: raw.count,
    oneThread: best(seconds[1]),
    twoThreads: best(seconds[2]),
    torch: best(seconds.peer),
    error: found.error,
    ptychi: beside,
    r: found.rFactor,
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  });
  console.error(JSON.stringify(table.at(-1)));
}
await raw?.close();

const show = (value, digits = 1) => (value === undefined ? '–' : value.toFixed(digits));
const ratio = (a, b) => (a === undefined || b === undefined ? '' : ` (${(a / b).toFixed(2)})`);
console.log(
  '| scan | algorithm | epochs | 1 thread, s | 2 threads, s (of 1) | PyTorch, 1 thread, s (ours/its) | published, recorded, s (ours/its) | object error (published) | Pty-Chi in this run, s (ours/its), object error | R (published) | peak MiB |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|---|');
for (const t of table) {
  const name = `${t.algorithm}${t.noise_model ? ` ${t.noise_model}` : ''}${t.position_start ? ', positions corrected' : ''}`;
  const p = t.published ?? {};
  console.log(
    `| ${t.group} (${t.patterns}) | ${name} | ${t.epochs} | ${show(t.oneThread)} | ${show(t.twoThreads)}${ratio(t.twoThreads, t.oneThread)} | ${show(t.torch)}${ratio(t.oneThread, t.torch)} | ${show(p.seconds)}${ratio(t.oneThread, p.seconds)} | ${show(t.error, 4)} (${show(p.error, 4)}) | ${show(t.ptychi?.seconds)}${ratio(t.oneThread, t.ptychi?.seconds)}, ${show(t.ptychi?.error, 4)} | ${show(t.r, 4)} (${show(p.r, 4)}) | ${t.peakMiB} |`,
  );
}
await mkdir('bench-output', { recursive: true });
await writeFile('bench-output/solvers.json', `${JSON.stringify(table, null, 2)}\n`);
