/**
 * Trains the networks of this package again: simulates their scans, trains, packs the bundles and judges them on scans that no training saw.
 *
 *   npm run models:train                    all of them, about half an hour of one core
 *   npm run models:train -- n64-round       one of them
 *   npm run models:train -- --pack          packs and judges again what a training left in models/.work
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { simulateWorkflow } from '../dist/workflows/simulate.js';
import { trainWorkflow } from '../dist/workflows/train.js';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const recipes = JSON.parse(await readFile(path.join(HERE, 'recipes.json'), 'utf8'));
const words = process.argv.slice(2);
const packOnly = words.includes('--pack');
const asked = words.filter((word) => !word.startsWith('--'));

/** The scans of a recipe as files. */
export async function writeScans(name, which, { N, patterns, [which]: scans }) {
  const folder = path.join(HERE, '.work', name);
  await mkdir(folder, { recursive: true });
  const files = [];
  for (const [i, scan] of scans.entries()) {
    const file = path.join(folder, `${which}-${i + 1}.npz`);
    files.push(file);
    if (existsSync(file)) continue;
    await simulateWorkflow({ N, n_patterns: patterns, ...scan, output_file: file });
  }
  return files;
}

for (const [name, recipe] of Object.entries(recipes)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const run = path.join(HERE, '.work', name, 'run');
  if (!packOnly) {
    const [first, ...more] = await writeScans(name, 'train', recipe);
    const summary = await trainWorkflow(
      {
        train_data_file: first,
        train_data_files: more,
        ...{
          nepochs: recipe.epochs,
          seed: recipe.seed,
          val_fraction: 0.03,
          ...recipe.training,
          output_dir: run,
          overwrite: true,
        },
        execution: { threads: 1, accelerator: 'cpu', logger_backend: 'none' },
      },
      { logger: { info: (text) => console.log(text), warn: (text) => console.log(`warning: ${text}`) } },
    );
    console.log(JSON.stringify({ name, seconds: summary.seconds, scans: summary.scans }, null, 1));
  }
  const test = await writeScans(name, 'test', recipe);
  const { pack } = await import('./pack.mjs');
  await pack({ name, recipe, bundle: path.join(run, 'wts.zip'), test, folder: HERE });
}
