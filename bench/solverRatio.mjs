/**
 * Are the solvers as fast on the processor as those of another build? Both in turn in one process, one thread; processor time of the epochs,
 * which other processes change less than the clock on the wall.
 *
 *   npm run build && npm run bench:solver-ratio -- --against DIR [--rounds 7] [--only star]     (DIR: a built checkout; shared data)
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './deviceWork.mjs';

const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    only: { type: 'string', default: '' },
    epochs: { type: 'string' },
  },
});
if (!values.against) throw new Error('--against DIR: a built checkout to compare with');
const shared = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared', 'data');
const star = path.join(shared, 'siemens_star_128.npz');
const before = { batching: 'random', acceleration: 0 };
const rows = [
  { name: 'star rpie', file: star, epochs: 5, options: { algorithm: 'rpie' } },
  { name: 'star lsqml', file: star, epochs: 4, options: { algorithm: 'lsqml' } },
  { name: 'sim rpie', epochs: 10, options: { algorithm: 'rpie' } },
  { name: 'sim lsqml', epochs: 10, options: { algorithm: 'lsqml' } },
  { name: 'sim lsqml, options of before', epochs: 10, options: { algorithm: 'lsqml', ...before } },
  { name: 'sim lsqml poisson', epochs: 10, options: { algorithm: 'lsqml', noise_model: 'poisson' } },
  { name: 'sim lsqml positions', epochs: 10, options: { algorithm: 'lsqml', position_start: 2 } },
  { name: 'sim rpie three modes', epochs: 5, options: { algorithm: 'rpie', probe_modes: 3 } },
  { name: 'sim pie', epochs: 10, options: { algorithm: 'pie' } },
  { name: 'sim epie', epochs: 10, options: { algorithm: 'epie' } },
  { name: 'sim dm', epochs: 10, options: { algorithm: 'dm' } },
  {
    name: 'opr lsqml',
    data: 'solvers/opr_64.npz',
    epochs: 10,
    options: { algorithm: 'lsqml', opr_modes: 2, flux: true },
  },
].filter(({ name }) => name.includes(values.only));

const builds = {
  old: pathToFileURL(`${path.resolve(values.against, 'dist')}/`).href,
  new: new URL('../dist/', import.meta.url).href,
};
const sides = {};
for (const [name, dist] of Object.entries(builds)) {
  const { openDataset } = await import(`${dist}data/openDataset.js`);
  const { solve } = await import(`${dist}solvers/solve.js`);
  sides[name] = { openDataset, solve };
}

/** Processor milliseconds of the epochs. */
async function work({ solve }, raw, options) {
  let began;
  for await (const { epoch } of solve(raw, options, { threads: 1 })) if (epoch === 0) began = process.cpuUsage();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

for (const { name, file, data = 'sim_64_counts.npz', epochs, options } of rows) {
  const given = { ...options, epochs: Number(values.epochs ?? epochs) };
  const scans = {};
  for (const [side, { openDataset }] of Object.entries(sides)) {
    scans[side] = file
      ? await openDataset(file, { probe: `${file}:probeGuessInitial` })
      : await openDataset(path.join(shared, data));
  }
  const milliseconds = { old: [], new: [] };
  for (const side of ['old', 'new']) await work(sides[side], scans[side], given);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const side of round % 2 ? ['new', 'old'] : ['old', 'new']) {
      milliseconds[side].push(await work(sides[side], scans[side], given));
    }
  }
  const ratios = milliseconds.old.map((old, i) => old / milliseconds.new[i]);
  const [was, is] = [median(milliseconds.old), median(milliseconds.new)];
  console.log(
    `${name}: ${was.toFixed(0)} ms before, ${is.toFixed(0)} ms now (${given.epochs} epochs, medians of ${values.rounds}); time now/before ${(is / was).toFixed(2)}, median ratio of speeds ${median(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(' ')})`,
  );
  for (const scan of Object.values(scans)) await scan.close();
}
