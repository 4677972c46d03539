/**
 * `npm run docs:pictures [-- NAME …]`: the pictures of docs/pictures anew, each by the command beside its name; then half as wide and
 * high, because the documentation goes into the package. Those of notebooks are made by
 * `npm run notebooks -- --render`.
 *
 * The measured star and `sim_64` come from the folder that PTYCHOPINN_DATA names (`../shared/data` where it names none); what is not
 * there is left out, and said.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { halved } from './halved.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const data = process.env.PTYCHOPINN_DATA ?? path.resolve(root, '../shared/data');
const star = path.join(data, 'siemens_star_128.npz');
const sim64 = path.join(data, 'sim_64_counts.npz');
const nearfield = path.join(data, 'solvers/nearfield_96.npz');
const multislice = path.join(data, 'solvers/multislice_64.npz');
const work = mkdtempSync(path.join(tmpdir(), 'ptychopinn-pictures-'));
const at = (name) => path.join(work, name);

const simulated = ['deadleaves', 'star', 'zone-plate', 'multimode', 'noisy-detector'].map((preset) => ({
  words: ['simulate', '--preset', preset, '--visualize', '--output_file', at(`sim_${preset}.npz`)],
  pictures: { [`sim_${preset}`]: `sim_${preset}.png` },
}));

/** Networks without flags, five minutes each: the runs of docs/results.md. */
const learned = (name, scan, ...more) => {
  const [run, image] = [`${name}_run`, `${name}_image`];
  return {
    needs: scan,
    words: ['train', scan, ...more, '--output_dir', at(run)],
    next: ['infer', scan, ...more, '--model_path', at(run), '--output_dir', at(image)],
    pictures: {
      [`${name}_amplitude`]: `${image}/reconstructed_amplitude.png`,
      [`${name}_phase`]: `${image}/reconstructed_phase.png`,
    },
  };
};

/** What is typed, and which of its pictures go where. */
const COMMANDS = [
  ...simulated,
  {
    needs: star,
    words: ['solve', star, '--algorithm', 'lsqml', '--epochs', '20', '--output_dir', at('star')],
    pictures: {
      star_lsqml_phase: 'star/reconstructed_phase.png',
      star_lsqml_complex: 'star/reconstructed_complex.png',
      star_lsqml_probe: 'star/reconstructed_probe.png',
    },
  },
  {
    needs: multislice,
    words: [
      'solve',
      multislice,
      '--slices',
      '2',
      '--algorithm',
      'lsqml',
      '--epochs',
      '60',
      '--output_dir',
      at('multislice'),
    ],
    pictures: { multislice_slices: 'multislice/slices.png' },
  },
  {
    needs: nearfield,
    words: ['solve', nearfield, '--algorithm', 'lsqml', '--epochs', '60', '--output_dir', at('nearfield')],
    pictures: {
      nearfield_phase: 'nearfield/reconstructed_phase.png',
      nearfield_probe: 'nearfield/reconstructed_probe.png',
    },
  },
  {
    needs: star,
    words: ['orient', star, '--picture', at('orient.png')],
    pictures: { orient_star: 'orient.png' },
  },
  learned('star', star),
  learned('sim64', sim64, '--probe', `${sim64}:probeTrue`),
  {
    words: ['demo', '--output_dir', at('demo')],
    pictures: { demo_comparison: 'demo/comparison_plot.png' },
  },
];

const wanted = process.argv.slice(2);
try {
  for (const { needs, words, next, pictures } of COMMANDS) {
    const names = Object.keys(pictures).filter((name) => wanted.length === 0 || wanted.includes(name));
    if (names.length === 0) continue;
    const lines = next === undefined ? [words] : [words, next];
    for (const line of lines) {
      console.log(`ptychopinn ${line.join(' ').replaceAll(`${work}/`, '').replaceAll(data, 'DATA')}`);
    }
    if (needs !== undefined && !existsSync(needs)) {
      console.log(`  left out: ${path.basename(needs)} is not there`);
      continue;
    }
    for (const line of lines) {
      execFileSync(process.execPath, [path.join(root, 'dist/cli/main.js'), ...line], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    }
    for (const name of names) {
      const file = path.join(root, 'docs/pictures', `${name}.png`);
      writeFileSync(file, halved(readFileSync(at(pictures[name]))));
      console.log(`  docs/pictures/${name}.png`);
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
