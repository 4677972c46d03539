/**
 * Does the Poisson loss earn its place? The same pair of scans at 1e6 and at 1e4 photons a pattern, trained with either loss.
 *
 *   npm run bench:dose -- [--epochs 12]
 *
 * Writes bench-output/dose/; finished runs are not repeated, begun ones go on.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { alignComplex } from '../dist/evaluation/align.js';
import { fourierRingCorrelation, frcCrossing } from '../dist/evaluation/frc.js';
import { moveToFrame } from '../dist/reconstruction/frame.js';
import { learn, readObject, row } from './lines/learn.mjs';
import { centreOf, readReconstruction } from './lines/score.mjs';

const { values } = parseArgs({ options: { epochs: { type: 'string', default: '12' } } });
const folder = path.join('bench-output', 'dose');
await mkdir(folder, { recursive: true });

const losses = { amplitude: { nll_weight: 0, mae_weight: 1 }, poisson: { nll_weight: 1, mae_weight: 0 } };
const results = [];
for (const dose of [1, 0.01]) {
  for (const [loss, weights] of Object.entries(losses)) {
    const name = `${loss}_${dose === 1 ? '1e6' : '1e4'}`;
    const summary = await learn(folder, name, {
      dose,
      train: {
        n_groups: 'all',
        n_filters_scale: 1,
        batch_size: 4,
        nepochs: Number(values.epochs),
        scheduler: 'WarmupCosine',
        lr_warmup_epochs: 1,
        lr_min_ratio: 0.01,
        ...weights,
      },
    });
    results.push({ ...summary, dose, loss, ...(await rings(name, dose)) });
  }
}
await writeFile(path.join(folder, 'dose.json'), `${JSON.stringify(results, null, 2)}\n`);
console.log(
  '\n| run | amplitude SSIM | amplitude Pearson | phase Pearson | complex error | FRC ½, periods across 164 px | mean FRC |',
);
console.log('|---|---|---|---|---|---|---|');
for (const r of results) console.log(`${row(r.name, r)} ${r.frc50.toFixed(1)} | ${r.mean_frc.toFixed(3)} |`);

/** Correlation with the truth over rings up to Nyquist's frequency. */
async function rings(name, dose) {
  const test = path.join(folder, 'data', `lines_test${dose === 1 ? '' : `_dose${dose}`}.npz`);
  const truth = await readObject(test);
  const { image, frame } = await readReconstruction(path.join(folder, name, 'reconstruction.npz'));
  const centre = centreOf(truth);
  const reference = moveToFrame(truth, { originYxPx: [0, 0], height: truth.shape[0], width: truth.shape[1] }, centre);
  const { aligned } = alignComplex(moveToFrame(image, frame, centre), reference);
  const curve = fourierRingCorrelation(aligned, reference).subarray(0, centre.width / 2);
  return { frc50: frcCrossing(curve, 0.5), mean_frc: curve.reduce((a, v) => a + v, 0) / curve.length };
}
