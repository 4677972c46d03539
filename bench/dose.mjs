/**
 * Does the Poisson loss earn its place? The same pair of scans at 1e6 and at 1e4 photons a pattern, trained with either loss.
 *
 *   npm run bench:dose -- [--epochs 18] [--epochs_1e4 18] [--init_1e4 FOLDER]
 *
 * With --init_1e4 both runs at 1e4 photons begin from the network in that folder, at a third of the rate and with averaged
 * weights, for a few epochs: the short way.
 * Writes bench-output/dose/; finished runs are not repeated, begun ones go on. At 1e6 photons and 18 epochs the runs are those
 * of `npm run bench:quality`, and taken from there where they are done.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { alignComplex } from '../dist/evaluation/align.js';
import { fourierRingCorrelation, frcCrossing } from '../dist/evaluation/frc.js';
import { moveToFrame } from '../dist/reconstruction/frame.js';
import { LINES_TRAINING, learn, readObject, row } from './lines/learn.mjs';
import { centreOf, readImage } from './lines/score.mjs';

const { values } = parseArgs({
  options: { epochs: { type: 'string', default: '18' }, epochs_1e4: { type: 'string' }, init_1e4: { type: 'string' } },
});
const folder = path.join('bench-output', 'dose');
await mkdir(folder, { recursive: true });

const losses = { amplitude: { nll_weight: 0, mae_weight: 1 }, poisson: { nll_weight: 1, mae_weight: 0 } };
const results = [];
for (const dose of [1, 0.01]) {
  const start =
    dose === 1 || !values.init_1e4
      ? {}
      : { init: values.init_1e4, learning_rate: 3e-4, lr_warmup_epochs: 0, weight_averaging: 0.995 };
  const nepochs = Number(dose === 1 ? values.epochs : (values.epochs_1e4 ?? values.epochs));
  for (const [loss, weights] of Object.entries(losses)) {
    const shared = dose === 1 && nepochs === 18;
    const place = shared ? path.join('bench-output', 'lines') : folder;
    const name = shared
      ? `gs1_${loss}`
      : `${loss}_${dose === 1 ? '1e6' : '1e4'}_epochs${nepochs}${start.init ? '_init' : ''}`;
    const summary = await learn(place, name, {
      dose,
      train: {
        gridsize: 1,
        ...LINES_TRAINING,
        nepochs,
        ...weights,
        ...start,
      },
    });
    results.push({ ...summary, dose, loss, ...(await rings(place, name, dose)) });
  }
}
await writeFile(path.join(folder, 'dose.json'), `${JSON.stringify(results, null, 2)}\n`);
console.log(
  '\n| run | amplitude SSIM | amplitude Pearson | phase Pearson | complex error | FRC ½, periods across 164 px | mean FRC |',
);
console.log('|---|---|---|---|---|---|---|');
for (const r of results)
  console.log(
    `${row(`${r.loss}, ${r.dose} × photons, ${r.settings.train.nepochs} epochs`, r)} ${r.frc50.toFixed(1)} | ${r.mean_frc.toFixed(3)} |`,
  );

/** Correlation with the truth over rings up to Nyquist's frequency. */
async function rings(place, name, dose) {
  const test = path.join(place, 'data', `lines_test${dose === 1 ? '' : `_dose${dose}`}.npz`);
  const truth = await readObject(test);
  const { image, frame } = await readImage(path.join(place, name, 'reconstruction.npz'));
  const centre = centreOf(truth);
  const reference = moveToFrame(truth, { originYxPx: [0, 0], height: truth.shape[0], width: truth.shape[1] }, centre);
  const { aligned } = alignComplex(moveToFrame(image, frame, centre), reference);
  const curve = fourierRingCorrelation(aligned, reference).subarray(0, centre.width / 2);
  return { frc50: frcCrossing(curve, 0.5), mean_frc: curve.reduce((a, v) => a + v, 0) / curve.length };
}
