/**
 * Does `orient` find the way the positions lie? Each scan is turned in all eight ways; the right one must come out first.
 *
 *   npm run bench:orient -- [name of one scan]      (reads the shared data folder, see PTYCHOPINN_SHARED)
 */
import path from 'node:path';
import { openDataset } from '../dist/data/openDataset.js';
import { ORIENTATIONS, orientPositions } from '../dist/data/opening/orientation.js';
import { findOrientation } from '../dist/data/orient/orient.js';

const data = (file) => path.join(path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared'), 'data', file);
const cases = [
  ['star', 'siemens_star_128.npz', 'probeGuess'],
  ['star', 'siemens_star_128.npz', 'probeGuessInitial'],
  ['subset96', 'siemens_star_128_subset96.npz', 'probeGuess'],
  ['subset96', 'siemens_star_128_subset96.npz', 'probeGuessInitial'],
  ['sim_64', 'sim_64_counts.npz', 'probeGuess'],
  ['sim_64', 'sim_64_counts.npz', 'probeTrue'],
];
const [wanted] = process.argv.slice(2);
const rows = [];
for (const [scan, file, probe] of cases.filter(([name]) => wanted === undefined || name === wanted)) {
  const raw = await openDataset(data(file), { probe: `${data(file)}:${probe}` });
  const found = { scan, probe, first: 0, R: 0, second_behind_percent: Number.POSITIVE_INFINITY, verdicts: new Set() };
  const started = performance.now();
  for (const preset of ORIENTATIONS) {
    const { xs, ys } = orientPositions(preset, raw.xcoords, raw.ycoords);
    const { ranking, verdict } = await findOrientation({ ...raw, xcoords: xs, ycoords: ys });
    const back = orientPositions(ranking[0].orientation, xs, ys);
    const same = (a, b) => a.every((v, i) => v === b[i]);
    if (same(back.xs, raw.xcoords) && same(back.ys, raw.ycoords)) found.first++;
    found.R = Math.max(found.R, ranking[0].rFactor);
    const behind = 100 * (ranking[1].rFactor / ranking[0].rFactor - 1);
    found.second_behind_percent = Math.min(found.second_behind_percent, behind);
    found.verdicts.add(verdict);
  }
  const seconds = (performance.now() - started) / 1000 / ORIENTATIONS.length;
  await raw.close();
  rows.push({
    ...found,
    R: Number(found.R.toFixed(3)),
    second_behind_percent: Number(found.second_behind_percent.toFixed(1)),
    verdicts: [...found.verdicts].join(', '),
    seconds: Number(seconds.toFixed(1)),
  });
}
console.table(rows);
