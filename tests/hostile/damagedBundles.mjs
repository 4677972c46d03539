/**
 * Opens and verifies damaged copies of a bundle, in a process of its own so that its memory can be measured; prints what came of them.
 *
 * node --expose-gc damagedBundles.mjs BUNDLE COPIES SEED
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { LegacyRng } from '../../dist/core/rng.js';
import { openBundle } from '../../dist/persistence/bundle.js';
import { verifyBundle } from '../../dist/workflows/bundle.js';

const [file, copies, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const damaged = `${file}.damaged.zip`;
const sound = await readFile(file);
const rng = new LegacyRng(seed);
const identity = async (path) => JSON.stringify((await openBundle(path)).manifest);

/** Half of the damage is where lies hurt most: the head, and the directory at the end. */
function place() {
  if (rng.uniform() < 0.5) return rng.interval(sound.length - 1);
  const edge = rng.interval(2047);
  return rng.uniform() < 0.5 ? edge : sound.length - 1 - edge;
}

function mutate() {
  if (rng.uniform() < 0.3) return sound.subarray(0, place());
  const out = Buffer.from(sound);
  out[place()] ^= 1 + rng.interval(254);
  return out;
}

/** The message of a refusal; undefined: accepted. Anything but a sentence of ours ends the process. */
async function refusal(work) {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error?.name !== 'PtychoError' || error.message.includes('\n')) throw error;
    return error.message;
  }
}

/** The most memory this process had since the last {@link forgetPeak}; where the system does not tell, what it has now. */
function peakBytes() {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {
    return process.memoryUsage().rss;
  }
}

function forgetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Only Linux has it; the peak is then that of the whole process.
  }
}

const original = await identity(file);
await verifyBundle(file);
globalThis.gc();
forgetPeak();
const before = peakBytes();
const outcome = { opened: 0, refused: 0, verified: [], changed: [], peakGrowth: 0, slowest_ms: 0 };
for (let i = 0; i < copies; i++) {
  const bytes = mutate();
  await writeFile(damaged, bytes);
  const start = performance.now();
  forgetPeak();
  let found;
  const why = await refusal(async () => {
    found = await identity(damaged);
  });
  outcome.peakGrowth = Math.max(outcome.peakGrowth, peakBytes() - before);
  if (why === undefined) {
    outcome.opened++;
    if (found !== original) outcome.changed.push(i);
  } else outcome.refused++;
  if ((await refusal(() => verifyBundle(damaged))) === undefined) outcome.verified.push(i);
  outcome.slowest_ms = Math.max(outcome.slowest_ms, performance.now() - start);
  found = undefined;
  globalThis.gc();
}
process.stdout.write(JSON.stringify({ ...outcome, bytes: sound.length }));
