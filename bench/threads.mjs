/**
 * How far do the solvers' threads scale? For an idle machine with at least as many cores.
 *
 *   npm run bench:threads -- [--threads 1,2] [--rounds 5] [--only star] [--against DIR]     (shared data; DIR: a built checkout)
 *
 * Seconds of the epochs by the clock, all numbers of threads in turn, medians of the rounds, of one thread's; the same of the later half of the
 * epochs, when the code of new threads has been compiled (by threads that need the same cores); the processor time of all
 * threads together; and, on Linux, that of the first thread alone: what it does is its share and all that is not shared, so that on a machine
 * which others use its ratio says more than the clock's (it knows nothing of waiting for threads that were kept from their work).
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './deviceWork.mjs';

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: `1,2${availableParallelism() >= 8 ? ',4,8' : ''}` },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    against: { type: 'string' },
  },
});
const shared = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared', 'data');
const star = path.join(shared, 'siemens_star_128.npz');
const rows = [
  { name: 'star rpie', file: star, epochs: 40, algorithm: 'rpie' },
  { name: 'star lsqml', file: star, epochs: 20, algorithm: 'lsqml' },
  { name: 'sim rpie', epochs: 60, algorithm: 'rpie' },
  { name: 'sim lsqml', epochs: 60, algorithm: 'lsqml' },
].filter(({ name }) => name.includes(values.only));
const counts = values.threads.split(',').map(Number);
const dist = values.against
  ? pathToFileURL(`${path.resolve(values.against, 'dist')}/`).href
  : new URL('../dist/', import.meta.url).href;
const { openDataset } = await import(`${dist}data/openDataset.js`);
const { solve } = await import(`${dist}solvers/solve.js`);

/** Processor seconds of this thread; 0 where that is not told. */
function ownSeconds() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
  } catch {
    return 0;
  }
}

async function run(raw, { algorithm, epochs }, threads) {
  let [began, used, own] = [0, undefined, 0];
  let seconds;
  let middle = 0;
  for await (const { epoch } of solve(raw, { algorithm, epochs }, { threads })) {
    if (epoch === 0) [began, used, own] = [performance.now(), process.cpuUsage(), ownSeconds()];
    if (epoch === Math.floor(epochs / 2)) middle = performance.now();
    if (epoch === epochs) {
      const { user, system } = process.cpuUsage(used);
      seconds = {
        clock: (performance.now() - began) / 1000,
        later: (performance.now() - middle) / 1000,
        all: (user + system) / 1e6,
        first: ownSeconds() - own,
      };
    }
  }
  return seconds;
}

console.log(`load ${loadavg()[0].toFixed(1)}, ${availableParallelism()} cores\n`);
console.log(
  '| scan, algorithm | threads | clock, s (of one) | later half, s (of one) | all threads, s (of one) | first thread, s (of one) |',
);
console.log('|---|---|---|---|---|---|');
for (const row of rows) {
  const raw = row.file
    ? await openDataset(row.file, { probe: `${row.file}:probeGuessInitial` })
    : await openDataset(path.join(shared, 'sim_64_counts.npz'));
  const found = new Map(counts.map((threads) => [threads, []]));
  for (const threads of counts) await run(raw, { ...row, epochs: 1 }, threads);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const threads of round % 2 ? counts.toReversed() : counts)
      found.get(threads).push(await run(raw, row, threads));
  }
  const of = (threads, what) => median(found.get(threads).map((seconds) => seconds[what]));
  for (const threads of counts) {
    const cell = (what) => `${of(threads, what).toFixed(2)} (${(of(threads, what) / of(counts[0], what)).toFixed(2)})`;
    const cells = ['clock', 'later', 'all', 'first'].map(cell);
    console.log(`| ${row.name} | ${threads} | ${cells.join(' | ')} |`);
  }
  await raw.close();
}
