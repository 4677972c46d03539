/**
 * Is this build as fast on the CPU as another one? Training steps and predictions of the default network, one thread, the two builds in
 * turn in one process; processor time, which other processes change less than the clock on the wall.
 *
 *   npm run build && node bench/cpuRatio.mjs --against DIR [--rounds 7] [--sides 64]      (DIR: a built checkout)
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { median, networkWork } from './deviceWork.mjs';

const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    sides: { type: 'string', default: '64' },
  },
});
if (!values.against) throw new Error('--against DIR: a built checkout to compare with');
const builds = {
  old: pathToFileURL(`${path.resolve(values.against, 'dist')}/`).href,
  new: new URL('../dist/', import.meta.url).href,
};
const REPEATS = { train: 3, predict: 8 };

for (const N of values.sides.split(',').map(Number)) {
  const sides = {};
  for (const [name, dist] of Object.entries(builds)) {
    const { createOnnxBackend } = await import(`${dist}backends/onnx/backend.js`);
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
    sides[name] = { backend, work: await networkWork(dist, backend, N) };
  }
  for (const what of ['train', 'predict']) {
    const milliseconds = { old: [], new: [] };
    for (const { work } of Object.values(sides)) await work[what]();
    for (let round = 0; round < Number(values.rounds); round++) {
      const order = round % 2 ? ['new', 'old'] : ['old', 'new'];
      for (const name of order) {
        const before = process.cpuUsage();
        for (let i = 0; i < REPEATS[what]; i++) await sides[name].work[what]();
        const { user, system } = process.cpuUsage(before);
        milliseconds[name].push((user + system) / 1000 / REPEATS[what]);
      }
    }
    const ratios = milliseconds.old.map((old, i) => old / milliseconds.new[i]);
    const [before, after] = [median(milliseconds.old), median(milliseconds.new)];
    console.log(
      `N ${N} ${what}: ${before.toFixed(1)} ms before, ${after.toFixed(1)} ms now (CPU time, medians of ${values.rounds}); median ratio of speeds ${median(ratios).toFixed(3)} (${ratios.map((r) => r.toFixed(2)).join(' ')})`,
    );
  }
  for (const { backend, work } of Object.values(sides)) {
    await work.dispose();
    await backend.dispose();
  }
}
