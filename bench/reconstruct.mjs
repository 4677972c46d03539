/**
 * `ptychopinn reconstruct` without flags beside `solve` with the right ones typed by hand, in the same run; processor seconds of whole
 * commands, pictures and pages included.
 *
 *   npm run bench:reconstruct -- [speed] [hand] [families] [opening] [--threads 1]     (reads the shared folder, see PTYCHOPINN_SHARED)
 *
 * `speed`: the measured star and `sim_64` from its wrong probe. `hand`: positions off by up to 2 px, two modes of which one is known, axes
 * that lie another way. `families`: what a user gets on five generated scans, and without a probe (`--seeds 31` are those to draw with).
 * `opening`: the scans of cases/opening that open, each beside the same scan with nothing wrong. Writes bench-output/reconstruct.json.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LegacyRng } from '../dist/core/rng.js';
import { openDataset } from '../dist/data/openDataset.js';
import { writeScan } from '../dist/data/scanWriter.js';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { openHdf5 } from '../dist/formats/hdf5/file.js';
import { openNpz, writeNpz } from '../dist/formats/npz.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { readReconstruction } from '../dist/reconstruction/reconstructionFile.js';
import { probeRadius_px } from '../dist/solvers/probe.js';
import { solve } from '../dist/solvers/solve.js';
import { chooseHeldOut, rOf } from '../dist/tries/heldOut.js';
import { reconstructScan } from '../dist/tries/reconstructScan.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { threads: { type: 'string', default: '1' }, seeds: { type: 'string', default: '31' } },
});
const wanted = positionals.length > 0 ? positionals : ['speed', 'hand', 'families', 'opening'];
const shared = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared');
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = path.resolve('bench-output/reconstruct');
const data = path.join(root, 'data');
const sim = path.join(shared, 'data/sim_64_counts.npz');
const star = path.join(shared, 'data/siemens_star_128.npz');
await mkdir(data, { recursive: true });

/** Runs a command; processor seconds of the whole process, or why it was refused. */
async function run(name, ...words) {
  const folder = path.join(root, name);
  await rm(folder, { recursive: true, force: true });
  const all = [cli, ...words, '--output_dir', folder, '--threads', values.threads, '--quiet'];
  const began = performance.now();
  try {
    const text = execFileSync('bash', ['-c', `TIMEFORMAT="%U %S"; { time "$0" "$@" 2>"${data}/stderr"; } 2>&1 >/dev/null`, process.execPath, ...all], { encoding: 'utf8' }); // biome-ignore format: one call
    const [user, system] = text.trim().split('\n').at(-1).split(' ').map(Number);
    const json = JSON.parse(await readFile(path.join(folder, 'run.json'), 'utf8'));
    return { folder, cpu: user + system, seconds: (performance.now() - began) / 1000, run: json };
  } catch {
    return { refused: (await readFile(path.join(data, 'stderr'), 'utf8')).trim().split('\n').at(-1) };
  }
}

async function truthOf(file, key) {
  const npz = await openNpz(file);
  try {
    return await npz.read(key);
  } finally {
    await npz.close();
  }
}
async function errorOf({ folder, refused }, truth, places) {
  if (refused || !truth) return undefined;
  const { image, originYxPx } = await readReconstruction(path.join(folder, 'reconstruction.npz'));
  const frame = { originYxPx, height: image.shape[0], width: image.shape[1] };
  const { relative_object_error, constant_object_error } = scoreAgainstTruth({ image, frame }, truth, { bounds: scanBounds(places.xs, places.ys) }); // biome-ignore format: one call
  return { error: relative_object_error, constant: constant_object_error };
}

/** R on the patterns that `reconstruct` holds out, of the solver with options typed by hand that does not learn from them either. */
async function heldOutBy(file, options, probe) {
  const raw = await openDataset(file, { probe });
  const heldOut = chooseHeldOut(raw, probeRadius_px(raw.probeGuess), 0);
  let last;
  for await (const update of solve(raw, options, { threads: Number(values.threads), heldOut })) {
    if (update.epoch === update.epochs) last = rOf(await update.misfits(heldOut));
  }
  await raw.close();
  return last;
}

const flagsOf = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
const show = (value, digits = 3) => (value === undefined || value === null ? '–' : value.toFixed(digits));
const results = {};
const note = (group, row) => {
  results[group] ??= [];
  results[group].push(row);
  console.error(group, JSON.stringify(row));
};

/** One scan: ours without flags, and by hand with each of some options. */
async function beside(group, name, file, { probe, truth, places, hand, more = [], byHand = [], handFile = file }) {
  const flags = probe ? ['--probe', probe] : [];
  const ours = await run(`${name}-ours`, 'reconstruct', file, ...flags, ...more);
  const score = await errorOf(ours, truth, places);
  note(group, {
    name,
    how: 'reconstruct',
    cpu: ours.cpu,
    seconds: ours.seconds,
    r: ours.run?.r_factor,
    heldOut: ours.run?.r_factor_held_out?.r_factor,
    ...score,
    noise: ours.run?.score?.noise,
    constantR: ours.run?.score?.constant,
    epochs: ours.run?.epochs,
    kept: ours.run?.tried?.filter(({ kept }) => kept).map((one) => one.name),
    turned: ours.run?.orientation,
    resolution_px: ours.run?.resolution?.complex?.half_bit?.px,
    refused: ours.refused,
  });
  for (const options of hand) {
    const theirs = await run(`${name}-hand`, 'solve', handFile, ...flags, ...byHand, ...flagsOf(options));
    note(group, {
      name,
      how: `solve ${flagsOf(options).join(' ')}`,
      cpu: theirs.cpu,
      ratio: ours.cpu / theirs.cpu,
      r: theirs.run?.r_factor,
      heldOut: byHand.length === 0 ? await heldOutBy(handFile, options, probe) : undefined,
      ...(await errorOf(theirs, truth, places)),
      refused: theirs.refused,
    });
  }
}

async function placesOf(file, probe) {
  const raw = await openDataset(file, { probe });
  const places = { xs: raw.xcoords, ys: raw.ycoords };
  await raw.close();
  return places;
}

async function speed() {
  const truth = await truthOf(sim, 'objectTrue');
  const best = [{ algorithm: 'rpie', epochs: 60 }, { algorithm: 'rpie', epochs: 40 }, { algorithm: 'lsqml', epochs: 20 }]; // biome-ignore format: one line
  await beside('speed', 'sim_64', sim, { truth, places: await placesOf(sim), hand: best });
  const probe = `${star}:probeGuessInitial`;
  const single = [{ algorithm: 'rpie', epochs: 40 }, { algorithm: 'rpie', epochs: 20 }]; // biome-ignore format: one line
  const right = { algorithm: 'rpie', epochs: 60, probe_modes: 3, position_start: 5 };
  await beside('speed', 'star', star, { probe, hand: [...single, right] });
}

async function hand() {
  const truth = await truthOf(sim, 'objectTrue');
  const raw = await openDataset(sim);
  const places = { xs: raw.xcoords, ys: raw.ycoords };
  const rng = new LegacyRng(1);
  const off = (list) => list.map((v) => v + rng.uniform(-2, 2));
  const moved = path.join(data, 'moved.npz');
  await writeScan(moved, { ...raw, xcoords: off(raw.xcoords), ycoords: off(raw.ycoords) });
  const axis = path.join(data, 'axis.npz');
  await writeScan(axis, { ...raw, xcoords: raw.ycoords.map((v) => 0 - v), ycoords: raw.xcoords });
  await raw.close();
  const correct = (algorithm) => ({ algorithm, epochs: 100, position_start: 5 });
  await beside('hand', 'positions off by 2 px', moved, { truth, places, hand: [correct('rpie'), correct('lsqml')] });
  const byHand = ['--flip_x', '--swap_xy'];
  await beside('hand', 'another axis', axis, { truth, places, byHand, hand: [{ algorithm: 'rpie', epochs: 60 }] });
  for (const seed of values.seeds.split(',')) {
    const scan = await simulated(`two-modes-${seed}`, ['--object', 'dead_leaves', '--probe_mode_powers', '0.8,0.2', '--n_patterns', '300', '--seed', seed]); // biome-ignore format: one call
    const known = await truthOf(scan, 'objectGuess');
    const two = await openDataset(scan);
    const N = two.N;
    const first = { re: two.probeGuess.re.slice(0, N * N), im: two.probeGuess.im.slice(0, N * N), shape: [N, N] };
    const one = path.join(data, `two-modes-${seed}-one.npz`);
    await writeScan(one, { ...two, probeGuess: first, objectGuess: undefined });
    const where = { xs: two.xcoords, ys: two.ycoords };
    await two.close();
    const modes = (algorithm) => ({ algorithm, epochs: 100, probe_modes: 2 });
    await beside('hand', `two modes, seed ${seed}`, one, { truth: known, places: where, hand: [modes('rpie'), modes('lsqml')] }); // biome-ignore format: one call
  }
}

async function simulated(name, flags) {
  const file = path.join(data, `${name}.npz`);
  if (!existsSync(file)) execFileSync(process.execPath, [cli, 'simulate', ...flags, '--output_file', file, '--quiet']);
  return file;
}

const FAMILIES = { star: [], deadleaves: [], 'weak-phase': [], lines: [], 'position-errors': [] };

async function families() {
  for (const seed of values.seeds.split(',')) {
    for (const [preset, more] of Object.entries(FAMILIES)) {
      const scan = await simulated(`${preset}-${seed}`, ['--preset', preset, '--n_patterns', '400', '--seed', seed, ...more]); // biome-ignore format: one call
      const truth = await truthOf(scan, 'objectGuess');
      const places = await placesOf(scan);
      await beside('families', `${preset}, seed ${seed}`, scan, { truth, places, hand: [] });
    }
    const scan = await simulated(`deadleaves-${seed}`, []);
    const raw = await openDataset(scan);
    const blind = path.join(data, `blind-${seed}.npz`);
    await writeScan(blind, { ...raw, probeGuess: undefined, objectGuess: undefined });
    const places = { xs: raw.xcoords, ys: raw.ycoords };
    await raw.close();
    const truth = await truthOf(scan, 'objectGuess');
    await beside('families', `deadleaves without a probe, seed ${seed}`, blind, { truth, places, hand: [] });
  }
}

const N = 64;
const AREA = N * N;
const range = (count) => Array.from({ length: count }, (_, i) => i);
const OPTICS = ['--energy_eV', '8000', '--detector_distance_m', '1', '--detector_pixel_m', '121.0783e-6'];

/** Folder, file, flags that make it open, and what a scan with nothing wrong has of it. */
const CASES = [
  ['01-float-counts-as-amplitudes', 'flat.h5', [], { counts: '/entry/data/data' }],
  ['03-tiff-missing-frame', 'series', ['--positions', 'pos.npz'], { rows: range(49).filter((i) => i !== 5) }],
  ['03-tiff-missing-frame', 'with_dark', ['--positions', 'pos.npz'], { rows: range(48) }],
  ['04-positions-order', 'frames.h5', ['--positions', 'x_y.csv', ...OPTICS], {}],
  ['04-positions-order', 'frames.h5', ['--positions', 'um.csv', ...OPTICS], {}],
  ['04-positions-order', 'frames.h5', ['--positions', 'yx.npy', '--positions_unit', 'px'], {}],
  ['05-dark-frames-of-an-aborted-scan', 'aborted.h5', [], { rows: range(30) }],
  ['07-dead-pixels-in-another-type', 'u16max_in_u32.h5', [], { bad: (r, c) => (r >= 40 && r < 43) || (c >= 20 && c < 23) }],
  ['07-dead-pixels-in-another-type', 'u32max_in_float.h5', [], { bad: (r, c) => (r >= 40 && r < 43) || (c >= 20 && c < 23) }],
  ['08-implausible-units', 'energy_in_eV.cxi', [], {}],
  ['08-implausible-units', 'um.npz', [], {}],
  ['09-opr-probe-as-incoherent-modes', 'scan.npz', ['--probe', 'product.h5'], {}],
  ['09-opr-probe-as-incoherent-modes', 'diffraction.h5', ['--product', 'product.h5'], {}],
  ['10-only-inspect-looks', 'corner.npz', [], {}],
  ['10-only-inspect-looks', 'off_centre.npz', [], {}],
  ['10-only-inspect-looks', 'hot.npz', ['--auto_mask'], { bad: (r, c) => r === 9 && c === 50 }],
  ['10-only-inspect-looks', 'mad_frame.npz', ['--skip_frames', '24'], { rows: range(49).filter((i) => i !== 24) }],
  ['11-4d-datacube', 'cube.npz', [], {}],
  ['11-4d-datacube', 'py4dstem.h5', ['--positions', 'pos.npz', '--positions_unit', 'px'], {}],
  ['11-4d-datacube', 'raster.nxs', ['--object_pixel_m', '2e-8'], {}],
  ['12-cxi-translation-3-by-n', 'pynx.cxi', [], {}],
  ['14-file-not-closed', 'swmr.h5', [], {}],
  ['16-links-to-another-folder', 'process/scan.nxs', ['--allow_links', 'raw'], {}],
  ['17-extra-frame-and-lost-position', 'extra.h5', ['--drop_unpaired'], {}],
  ['17-extra-frame-and-lost-position', 'nan.h5', ['--drop_unpaired'], { rows: range(49).filter((i) => i !== 10 && i !== 30) }],
  ['18-negative-values', 'pilatus.h5', [], { bad: (r) => r >= 40 && r < 43 }],
  ['21-r-factor-of-another-exposure', 'exposure_1_2.npz', [], undefined],
]; // biome-ignore format: a table

async function opening() {
  const at = (...parts) => path.join(shared, 'cases', 'opening', ...parts);
  const train = await openNpz(at('21-r-factor-of-another-exposure', 'train.npz'));
  const counts = Float32Array.from((await train.readReal('diffraction')).data);
  const [x, y] = [(await train.readReal('xcoords')).data, (await train.readReal('ycoords')).data];
  await train.close();
  const product = await openHdf5(at('09-opr-probe-as-incoherent-modes', 'product.h5'));
  const { re, im, shape } = product.read('/object');
  await product.close();
  const truth = { re: Float32Array.from(re), im: Float32Array.from(im), shape: shape.slice(-2) };
  const probe = at('10-only-inspect-looks', 'probe.npz');
  const least = (list) => list.reduce((m, v) => Math.min(m, v), Infinity);
  /** In this process, and nothing written. */
  const inProcess = async (file, options) => {
    try {
      return await reconstructScan(file, { ...options, threads: Number(values.threads) });
    } catch (error) {
      return { refused: error.message };
    }
  };
  /** Positions of some formats count from another corner: compared at the best shift of whole pixels. */
  const bestError = (found) => {
    if (found.refused) return undefined;
    const { image, raw } = found;
    const { originYxPx } = found.frame;
    const bounds = scanBounds(Float64Array.from(x), Float64Array.from(y));
    let best;
    const spot = [Math.round(least(y) - least(raw.ycoords)), Math.round(least(x) - least(raw.xcoords))];
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        const frame = { originYxPx: [originYxPx[0] + spot[0] + dy, originYxPx[1] + spot[1] + dx], height: image.shape[0], width: image.shape[1] }; // biome-ignore format: one value
        const { relative_object_error: error, region_coverage } = scoreAgainstTruth({ image, frame }, truth, {
          bounds,
        });
        if (region_coverage > 0.8 && !(error > best)) best = error;
      }
    }
    return best;
  };
  const clean = async (repair) => {
    const { rows = range(49), bad, counts: from } = repair;
    let all = counts;
    if (from) {
      const opened = await openHdf5(at('01-float-counts-as-amplitudes', 'flat.h5'));
      all = Float32Array.from((await opened.readReal(from)).data);
      await opened.close();
    }
    const patterns = new Float32Array(rows.length * AREA);
    for (const [i, row] of rows.entries()) patterns.set(all.subarray(row * AREA, (row + 1) * AREA), i * AREA);
    const line = (list) => ({ data: Float64Array.from(rows, (row) => list[row]), shape: [rows.length] });
    const mask = Uint8Array.from({ length: AREA }, (_, p) => (bad?.(Math.floor(p / N), p % N) ? 1 : 0));
    const file = path.join(data, 'clean.npz');
    await writeNpz(file, {
      diffraction: { data: patterns, shape: [rows.length, N, N] },
      xcoords: line(x),
      ycoords: line(y),
      bad_pixels: { data: mask, shape: [N, N], dtype: 'bool' },
      measurement_domain: { strings: ['count_intensity'], shape: [] },
    });
    return bestError(await inProcess(file, { probe }));
  };
  const known = new Map();
  for (const [folder, file, flags, repair] of CASES) {
    const options = optionsOf(flags, (word) => (existsSync(at(folder, word)) ? at(folder, word) : word));
    if (!options.product) options.probe ??= at(folder, 'probe.npz');
    const found = await inProcess(at(folder, file), options);
    const error = bestError(found);
    const key = JSON.stringify(repair, (_, v) => (typeof v === 'function' ? String(v) : v));
    if (repair && !known.has(key)) known.set(key, await clean(repair));
    const right = repair && known.get(key);
    note('opening', { name: `${folder} ${file}`, flags: flags.join(' '), error, clean: right, ratio: error / right, r: found.rFactor, kept: found.tried?.filter(({ kept }) => kept).map((one) => one.name), refused: found.refused }); // biome-ignore format: one call
  }
}

/** Flags as options. */
function optionsOf(flags, place) {
  const options = {};
  flags.forEach((word, i) => {
    if (!word.startsWith('--')) return;
    const next = flags[i + 1];
    const name = word.slice(2);
    if (next === undefined || next.startsWith('--')) options[name] = true;
    else if (name === 'allow_links') options[name] = [place(next)];
    else options[name] = Number.isFinite(Number(next)) && name !== 'skip_frames' ? Number(next) : place(next);
  });
  return options;
}

const groups = { speed, hand, families, opening };
for (const name of wanted) await groups[name]();

for (const [group, rows] of Object.entries(results)) {
  console.log(`\n${group}\n`);
  if (group === 'opening') {
    console.log('| case | error | of the clean scan | ratio | R | kept |\n|---|---|---|---|---|---|');
    for (const t of rows) {
      console.log(t.refused ? `| ${t.name} | refused: ${t.refused} | | | | |` : `| ${t.name} | ${show(t.error)} | ${show(t.clean)} | ${show(t.ratio, 2)} | ${show(t.r)} | ${t.kept?.join(', ') ?? ''} |`); // biome-ignore format: one call
    }
    continue;
  }
  console.log('| scan | command | processor, s (ours/its) | wall, s | R (constant, noise) | held out | object error (constant) | kept |\n|---|---|---|---|---|---|---|---|'); // biome-ignore format: one call
  for (const t of rows) {
    const ratio = t.ratio === undefined ? '' : ` (${t.ratio.toFixed(2)})`;
    const floors = t.constantR === undefined ? '' : ` (${show(t.constantR)}, ${show(t.noise)})`;
    const error = t.error === undefined ? '' : `${show(t.error, 4)} (${show(t.constant)})`;
    console.log(t.refused ? `| ${t.name} | ${t.how} | refused: ${t.refused} | | | | | |` : `| ${t.name} | ${t.how} | ${show(t.cpu, 1)}${ratio} | ${show(t.seconds, 0)} | ${show(t.r)}${floors} | ${show(t.heldOut)} | ${error} | ${[...(t.kept ?? []), ...(t.turned ? [t.turned] : [])].join(', ')} |`); // biome-ignore format: one call
  }
}
await mkdir('bench-output', { recursive: true });
await writeFile('bench-output/reconstruct.json', `${JSON.stringify(results, null, 2)}\n`);
