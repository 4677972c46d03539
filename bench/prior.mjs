/**
 * Is the network's prior worth it where counts are few? `solve --prior network` beside LSQ-ML with total variation on generated
 * families, at several doses, both beginning with the same probe, which is a little wrong.
 *
 *   npm run bench:prior -- [--families lines,dead_leaves,siemens_star,random_field] [--photons 1e4,1e3] [--seeds 101,102,103] [--tune]
 *                          [--set prior_learning_rate=0.02,epochs=200 …]
 *
 * `--tune` scores LSQ-ML over a grid of its options on seeds 1 and 2, which is how BASELINE was chosen: the best of the grid for each
 * family and dose, which a user would not know. Error: relative L2 distance to the truth within the scan, after the best complex factor and phase ramp.
 */
import { parseArgs } from 'node:util';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { structuredProbe } from '../dist/simulation/probes.js';
import { simulate } from '../dist/simulation/recipe.js';
import { rawDataFromSimulation } from '../dist/simulation/simulateScan.js';
import { runSolver } from '../dist/solvers/run.js';

const N = 32;
const FAMILIES = {
  lines: { object: 'lines' },
  dead_leaves: { object: 'dead_leaves' },
  siemens_star: { object: 'siemens_star' },
  random_field: { object: 'random_field' },
};
/** LSQ-ML with total variation: the best of the grid for each family and dose on the tuning seeds. */
const BASELINE = {
  lines: {
    1e4: { epochs: 50, tv_weight: 0.01, noise_model: 'gaussian' },
    1e3: { epochs: 50, tv_weight: 0.05, noise_model: 'gaussian' },
  },
  dead_leaves: {
    1e4: { epochs: 50, tv_weight: 0.005, noise_model: 'gaussian' },
    1e3: { epochs: 50, tv_weight: 0.02, noise_model: 'poisson' },
  },
  siemens_star: {
    1e4: { epochs: 50, tv_weight: 0, noise_model: 'poisson' },
    1e3: { epochs: 50, tv_weight: 0, noise_model: 'poisson' },
  },
  random_field: {
    1e4: { epochs: 50, tv_weight: 0, noise_model: 'poisson' },
    1e3: { epochs: 50, tv_weight: 0, noise_model: 'poisson' },
  },
};
/** The network goes on where that ends, with the same options. */
const PRIOR = { prior: 'network', prior_start: 51, epochs: 80 };
const GRID = [50].flatMap((epochs) =>
  ['gaussian', 'poisson'].flatMap((noise_model) =>
    [0, 0.005, 0.01, 0.02, 0.05, 0.1].map((tv_weight) => ({ epochs, noise_model, tv_weight })),
  ),
);

const { values: asked } = parseArgs({
  options: {
    families: { type: 'string', default: Object.keys(FAMILIES).join(',') },
    photons: { type: 'string', default: '1e4,1e3' },
    seeds: { type: 'string', default: '101,102,103' },
    tune: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
  },
});

/** A scan, and the probe that both begin with: 15 % wider and with a third less curvature than the true one. */
function scanOf(family, photons, seed) {
  const simulated = simulate({
    ...FAMILIES[family],
    ...{
      N,
      seed,
      photons,
      object_side_px: 80,
      step_px: 3,
      probe: 'structured',
      probe_diameter_px: 10,
      probe_curvature_rad: 3,
    },
  });
  const raw = rawDataFromSimulation(simulated);
  const probeGuess = structuredProbe({ side: N, diameter: 11.5, curvatureRad: 2 });
  return { raw: { ...raw, probeGuess }, truth: simulated.objectGuess };
}

async function errorOf({ raw, truth }, options) {
  const cpu = process.cpuUsage();
  const result = await runSolver(raw, options, { threads: 1 });
  const { user, system } = process.cpuUsage(cpu);
  const { relative_object_error } = scoreAgainstTruth(result, truth, { bounds: scanBounds(raw.xcoords, raw.ycoords) });
  return { error: relative_object_error, seconds: (user + system) / 1e6, r: result.rFactor };
}

const list = (text) => text.split(',').filter((part) => part !== '');
const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
const families = list(asked.families);
const doses = list(asked.photons).map(Number);

if (asked.tune) {
  for (const photons of doses) {
    for (const options of GRID) {
      const errors = [];
      for (const family of families) {
        for (const seed of [1, 2])
          errors.push((await errorOf(scanOf(family, photons, seed), { algorithm: 'lsqml', ...options })).error);
      }
      console.log(
        `${photons} ${JSON.stringify(options)} ${mean(errors).toFixed(4)}  ${errors.map((e) => e.toFixed(3)).join(' ')}`,
      );
    }
  }
} else {
  const more = Object.fromEntries(
    asked.set.flatMap(list).map((pair) => pair.split('=').map((v) => (Number.isNaN(Number(v)) ? v : Number(v)))),
  );
  console.log('| objects | photons | LSQ-ML with total variation | network prior | change | processor seconds |');
  console.log('|---|---|---|---|---|---|');
  for (const family of families) {
    for (const photons of doses) {
      const [solved, painted] = [[], []];
      for (const seed of list(asked.seeds).map(Number)) {
        const scan = scanOf(family, photons, seed);
        solved.push(await errorOf(scan, { algorithm: 'lsqml', ...BASELINE[family][photons] }));
        painted.push(await errorOf(scan, { algorithm: 'lsqml', ...BASELINE[family][photons], ...PRIOR, ...more }));
      }
      const [a, b] = [solved, painted].map((runs) => mean(runs.map(({ error }) => error)));
      const each = (runs) => runs.map(({ error }) => error.toFixed(3)).join(', ');
      const cost = [solved, painted].map((runs) => mean(runs.map(({ seconds }) => seconds)).toFixed(1)).join(' and ');
      console.log(
        `| ${family} | ${photons} | ${a.toFixed(3)} (${each(solved)}) | ${b.toFixed(3)} (${each(painted)}) | ${(100 * (b / a - 1)).toFixed(0)} % | ${cost} |`,
      );
    }
  }
}
