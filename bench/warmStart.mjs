/**
 * Does a network's image save a solver work? The test scan of the line pair, solved from nothing and from the image that the network
 * of `bench:quality` (row gs1_amplitude) made of it: epochs until the object error falls below fixed values.
 *
 *   npm run bench:quality -- lines && npm run bench:warm-start -- [--epochs 80] [--probe known|free|wrong]
 *
 * `known` keeps the true probe, `free` begins with it and refines it, `wrong` begins with one that is out of focus.
 * `--scan`, `--truth` and `--network` (a folder that `infer` wrote)
 * ask the same of other data. Writes bench-output/warm/.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openDataset } from '../dist/data/openDataset.js';
import { openNpz } from '../dist/formats/npz.js';
import { solve } from '../dist/solvers/solve.js';
import { readImage, score } from './lines/score.mjs';

const { values } = parseArgs({
  options: {
    epochs: { type: 'string', default: '80' },
    probe: { type: 'string', default: 'known' },
    scan: { type: 'string', default: 'bench-output/lines/data/lines_test.npz' },
    truth: { type: 'string', default: 'objectGuess' },
    network: { type: 'string', default: 'bench-output/lines/gs1_amplitude' },
  },
});
const epochs = Number(values.epochs);
const raw = await openDataset(values.scan);
const scanFile = await openNpz(values.scan);
const truth = await scanFile.read(values.truth);
await scanFile.close();
const network = path.join(values.network, 'reconstruction.npz');
const image = await readImage(network);
const npz = await openNpz(network);
const covered = await npz.readReal('overlap_count');
await npz.close();
const fromNetwork = { ...image, covered };

/** The probe out of focus: a quadratic phase of two radians at half the side. */
function outOfFocus(probe) {
  const N = probe.shape.at(-1);
  const turned = { re: probe.re.slice(), im: probe.im.slice(), shape: probe.shape };
  for (let i = 0; i < turned.re.length; i++) {
    const at = i % (N * N);
    const phase = (2 * ((Math.floor(at / N) - N / 2) ** 2 + ((at % N) - N / 2) ** 2)) / (N / 2) ** 2;
    turned.re[i] = probe.re[i] * Math.cos(phase) - probe.im[i] * Math.sin(phase);
    turned.im[i] = probe.re[i] * Math.sin(phase) + probe.im[i] * Math.cos(phase);
  }
  return turned;
}

const probe = values.probe === 'wrong' ? outOfFocus(raw.probeGuess) : raw.probeGuess;
const runs = [];
for (const algorithm of ['rpie', 'lsqml']) {
  for (const [name, object] of [
    ['cold', undefined],
    ['warm', fromNetwork],
  ]) {
    const errors = [];
    const options = { algorithm, epochs, ...(values.probe === 'known' ? { probe_start: epochs + 1 } : {}) };
    for await (const update of solve(raw, options, { start: { object, probe } })) {
      errors.push(score(update.object(), truth).complex_error);
    }
    runs.push({ algorithm, name, errors });
    console.error(
      algorithm,
      name,
      errors
        .filter((_, k) => k % 10 === 0)
        .map((v) => v.toFixed(4))
        .join(' '),
    );
  }
}

const reached = (errors, level) => {
  const epoch = errors.findIndex((error) => error <= level);
  return epoch < 0 ? `not in ${errors.length - 1}` : String(epoch);
};
console.log(`Object error of the network's image: ${runs[1].errors[0].toFixed(3)}; probe ${values.probe}.\n`);
console.log('| algorithm | level | cold, epochs | warm, epochs |\n|---|---|---|---|');
for (const algorithm of ['rpie', 'lsqml']) {
  const of = (name) => runs.find((run) => run.algorithm === algorithm && run.name === name).errors;
  const best = Math.min(...of('cold'), ...of('warm'));
  for (const level of [0.06, 0.05, 0.04, 0.03].filter((l) => l > best)) {
    console.log(`| ${algorithm} | ${level} | ${reached(of('cold'), level)} | ${reached(of('warm'), level)} |`);
  }
  console.log(`| ${algorithm} | after ${epochs} | ${of('cold').at(-1).toFixed(4)} | ${of('warm').at(-1).toFixed(4)} |`);
}
const folder = path.join('bench-output', 'warm');
await mkdir(folder, { recursive: true });
await writeFile(
  path.join(folder, `${path.basename(values.scan, '.npz')}_${values.probe}.json`),
  `${JSON.stringify({ probe: values.probe, runs }, null, 1)}\n`,
);
await raw.close();
