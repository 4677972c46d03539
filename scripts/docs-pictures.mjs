/**
 * `npm run docs:pictures [-- NAME …]`: the pictures of docs/pictures anew, each by the command beside its name; then half as wide and
 * high, because the documentation goes into the package. Those of notebooks are made by `npm run notebooks`.
 *
 * The measured star and `sim_64` come from the folder that PTYCHOPINN_DATA names (`../shared/data` where it names none); what is not
 * there is left out, and said.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'fast-png';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const data = process.env.PTYCHOPINN_DATA ?? path.resolve(root, '../shared/data');
const star = path.join(data, 'siemens_star_128.npz');
const work = mkdtempSync(path.join(tmpdir(), 'ptychopinn-pictures-'));
const at = (name) => path.join(work, name);

const simulated = ['deadleaves', 'star', 'zone-plate', 'multimode', 'noisy-detector'].map((preset) => ({
  words: ['simulate', '--preset', preset, '--visualize', '--output_file', at(`sim_${preset}.npz`)],
  pictures: { [`sim_${preset}`]: `sim_${preset}.png` },
}));

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
    needs: star,
    words: ['orient', star, '--picture', at('orient.png')],
    pictures: { orient_star: 'orient.png' },
  },
  {
    words: ['demo', '--output_dir', at('demo')],
    pictures: { demo_comparison: 'demo/comparison_plot.png' },
  },
];

const wanted = process.argv.slice(2);
try {
  for (const { needs, words, pictures } of COMMANDS) {
    const names = Object.keys(pictures).filter((name) => wanted.length === 0 || wanted.includes(name));
    if (names.length === 0) continue;
    console.log(`ptychopinn ${words.join(' ').replaceAll(`${work}/`, '').replaceAll(data, 'DATA')}`);
    if (needs !== undefined && !existsSync(needs)) {
      console.log(`  left out: ${path.basename(needs)} is not there`);
      continue;
    }
    execFileSync(process.execPath, [path.join(root, 'dist/cli/main.js'), ...words], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    for (const name of names) {
      const file = path.join(root, 'docs/pictures', `${name}.png`);
      writeFileSync(file, halved(decode(readFileSync(at(pictures[name])))));
      console.log(`  docs/pictures/${name}.png`);
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Means of squares of two pixels a side, red, green and blue. */
function halved({ width, height, channels, data: bytes }) {
  const [w, h] = [width >> 1, height >> 1];
  const out = new Uint8Array(3 * w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      for (let c = 0; c < 3; c++) {
        const of = (dy, dx) => bytes[channels * ((2 * y + dy) * width + 2 * x + dx) + c];
        out[3 * (y * w + x) + c] = (of(0, 0) + of(0, 1) + of(1, 0) + of(1, 1)) / 4;
      }
    }
  }
  return encode({ width: w, height: h, channels: 3, depth: 8, data: out }, { zlib: { level: 9 } });
}
