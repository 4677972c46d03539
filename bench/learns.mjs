/**
 * Does a training that is told nothing learn? Eight families of simulated scans, each with several seeds: `train` with no flags at all,
 * looked at within its first three epochs.
 *
 *   npm run bench:learns -- [--families lines,siemens] [--seeds 1,2,3] [--patterns 1024] [--epochs 3] [--set field=value …]
 *                           [--threads 1] [--whole] [--out FILE]
 *
 * A run has learned when the amplitude loss on held-out patterns is at most 0.85 of that of the best constant object, and the image
 * correlates with the truth by at least 0.5: complex Pearson, or that of the amplitude where the phase is constant or the contrast weak.
 * It is stopped after the first epoch with both (`--whole`: after the last one). The training is not told that it will be stopped: its
 * schedule is that of the whole run. `--set` tries other values of fields, and is how the defaults were chosen. One JSON line for each
 * run in bench-output/learns/runs.jsonl; runs that are in it are not repeated, so that a list can be run in pieces.
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { reconstruct } from '../dist/index.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { simulate } from '../dist/simulation/recipe.js';
import { rawDataFromSimulation } from '../dist/simulation/simulateScan.js';
import { trainScans } from '../dist/training/train.js';

/** What differs from the defaults of `simulate`; `by`: the correlation that counts. */
const FAMILIES = {
  lines: { scan: { object: 'lines' } },
  dead_leaves: { scan: { object: 'dead_leaves' } },
  siemens: { scan: { object: 'siemens_star' } },
  gaussian_field: { scan: { object: 'random_field', random_field_exponent: 1.5 } },
  constant_phase: { scan: { object: 'lines', object_phase: 'none' }, by: 'amplitude_pearson' },
  weak_contrast: {
    scan: { object: 'dead_leaves', amplitude_range: [0.8, 1], phase_span_rad: 0.3 },
    by: 'amplitude_pearson',
  },
  photons_1e4: { scan: { object: 'lines', photons: 1e4 } },
  n128: { scan: { object: 'dead_leaves', N: 128 } },
};

/** At most this share of the constant object's loss, at least this correlation. */
const LEARNED = { loss: 0.85, correlation: 0.5 };

const { values: asked } = parseArgs({
  options: {
    families: { type: 'string', default: Object.keys(FAMILIES).join(',') },
    seeds: { type: 'string', default: '101,102,103' },
    patterns: { type: 'string', default: '1024' },
    epochs: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1' },
    whole: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: path.join('bench-output', 'learns', 'runs.jsonl') },
  },
});

/** `field=value` pairs; values as JSON, else as text. */
function settings(pairs) {
  const value = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  };
  return Object.fromEntries(
    pairs
      .flatMap((pair) => pair.split(','))
      .map((pair) => [pair.split('=')[0], value(pair.slice(pair.indexOf('=') + 1))]),
  );
}

const quiet = {
  info() {},
  warn(message) {
    if (/stuck/.test(message)) console.log(`  ${message}`);
  },
};

/**
 * Trains on one scan for at least `least` and at most `most` epochs, stopped after the first whose loss is low enough; reconstructs it
 * and scores the image.
 */
async function attempt({ scan, by }, seed, { patterns, set }, [least, most]) {
  const simulated = simulate({ ...scan, seed, n_patterns: patterns });
  const raw = rawDataFromSimulation(simulated);
  const ending = new AbortController();
  const curve = [];
  // Known before the first epoch: of the held-out patterns under the true probe.
  let constant;
  const { model, run } = await trainScans({ seed, ...set, execution: { threads: Number(asked.threads) } }, raw, {
    signal: ending.signal,
    logger: quiet,
    onProgress: ({ note = '' }) => {
      constant ??= Number(/constant object ([\d.]+)/.exec(note)?.[1]);
    },
    onEpoch: ({ val_mae, restarts = 0, pattern_spread }) => {
      curve.push({ val_mae, restarts, pattern_spread });
      const low = val_mae <= LEARNED.loss * constant;
      if (curve.length >= most || (low && curve.length >= least)) ending.abort();
    },
  });
  const { stitched } = await reconstruct(model, raw);
  await model.dispose();
  const score = scoreAgainstTruth(stitched, simulated.objectGuess, { bounds: scanBounds(raw.xcoords, raw.ycoords) });
  const loss = run.result.history[run.result.bestEpoch - 1].val_mae;
  const ratio = loss / run.constantLoss;
  return {
    epochs: curve.length,
    learned: ratio <= LEARNED.loss && score[by] >= LEARNED.correlation,
    patterns: raw.count,
    ...{ loss, constant: run.constantLoss, ratio, by, ...score, restarts: run.result.restarts, curve },
  };
}

/** As few epochs as it takes, `plan.epochs` at most. */
async function measure(name, seed, plan) {
  const family = { by: 'complex_pearson', ...FAMILIES[name] };
  const before = process.cpuUsage();
  const started = performance.now();
  let least = asked.whole ? plan.epochs : 1;
  let result;
  do {
    // What did not reach the correlation begins again for an epoch more: rare, and the same training.
    result = await attempt(family, seed, plan, [least, plan.epochs]);
    least = result.epochs + 1;
  } while (!result.learned && result.epochs < plan.epochs);
  const { user, system } = process.cpuUsage(before);
  return { ...result, seconds: (performance.now() - started) / 1000, cpu_seconds: (user + system) / 1e6 };
}

const line = (cells) => `| ${cells.join(' | ')} |`;

await mkdir(path.dirname(asked.out), { recursive: true });
const done = existsSync(asked.out)
  ? (await readFile(asked.out, 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((text) => JSON.parse(text))
  : [];
const plan = { patterns: Number(asked.patterns), epochs: Number(asked.epochs), set: settings(asked.set) };
const results = [];
for (const family of asked.families.split(',')) {
  for (const seed of asked.seeds.split(',').map(Number)) {
    const key = JSON.stringify({ family, seed, ...plan, whole: asked.whole });
    let result = done.find((run) => run.key === key);
    if (!result) {
      result = { key, family, seed, ...(await measure(family, seed, plan)) };
      await appendFile(asked.out, `${JSON.stringify(result)}\n`);
    }
    results.push(result);
    const { loss, constant, ratio, by } = result;
    console.log(
      `${family} ${seed}: epoch ${result.epochs}, loss ${loss.toFixed(4)} of ${constant.toFixed(4)} (${ratio.toFixed(3)}), ${by} ${result[by].toFixed(3)}, restarts ${result.restarts}, ${result.cpu_seconds.toFixed(0)} s: ${result.learned ? 'learned' : 'NOT learned'}`,
    );
  }
}

const titles = ['family', 'seed', 'patterns', 'epochs', 'held-out loss', 'constant object', 'ratio'];
console.log(
  `\n${line([...titles, 'complex / amplitude / phase Pearson', 'restarts', 'processor seconds', 'learned'])}`,
);
console.log(line(Array.from({ length: titles.length + 4 }, () => '---')));
for (const r of results) {
  const figures = [r.loss.toFixed(4), r.constant.toFixed(4), r.ratio.toFixed(3)];
  const correlations = ['complex', 'amplitude', 'phase'].map((part) => r[`${part}_pearson`].toFixed(2)).join(' / ');
  const row = [r.family, r.seed, r.patterns, r.epochs, ...figures, correlations, r.restarts, r.cpu_seconds.toFixed(0)];
  console.log(line([...row, r.learned ? 'yes' : '**no**']));
}
console.log(`\n${results.filter((r) => r.learned).length} of ${results.length} learned.`);
