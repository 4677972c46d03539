/**
 * Both backends through the library: train, save, open on the other one, reconstruct, compare.
 *
 *   npm run build && node examples/node/api-demo.mjs [SCAN] [--output_dir DIR] [--epochs N]
 *
 * SCAN is any scan file; left out, 25 simulated patterns that come with the repository. The network is small and sees few
 * patterns, so that this takes less than a minute: images come out of a real training (`ptychopinn train`, docs/training.md).
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { display, openScan, PtychoModel, reconstruct, train } from 'ptychopinn';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output_dir: { type: 'string' }, epochs: { type: 'string', default: '1' } },
});
const scan = positionals[0] ?? fileURLToPath(new URL('../../fixtures/lines64.npz', import.meta.url));
const folder = values.output_dir ?? (await mkdtemp(path.join(tmpdir(), 'ptychopinn-api-demo-')));
const execution = { accelerator: 'cpu', threads: 1 };

/** Two images agree when no pixel differs by more than this share of the brightest. */
const TOLERANCE = 1e-5;

const raw = await openScan(scan);
console.log(`${raw.source}: ${raw.count} patterns of ${raw.N} × ${raw.N}`);
let disagreements = 0;
for (const [backend, other] of [
  ['onnx', 'tensorflow'],
  ['tensorflow', 'onnx'],
]) {
  const started = performance.now();
  const model = await train(
    {
      backend,
      execution,
      nepochs: Number(values.epochs),
      seed: 1,
    },
    raw,
  );
  const { loss } = model.bundle.history.at(-1);
  console.log(`${backend}: trained in ${seconds(started)} s by ${model.info.engine}, loss ${loss.toFixed(4)}`);

  const file = await model.save(path.join(folder, backend));
  const opened = await PtychoModel.open(file, { backend: other, execution });
  const ours = await reconstruct(model, raw);
  const theirs = await reconstruct(opened, raw);
  const difference = largestDifference(ours.stitched.image, theirs.stitched.image);
  const agree = difference < TOLERANCE;
  if (!agree) disagreements++;
  console.log(
    `${backend}: opened with ${other}, images ${agree ? 'agree' : 'DIFFER'} (${difference.toExponential(1)})`,
  );
  await display(ours, {
    title: `trained with ${backend}`,
    file: path.join(folder, `${backend}.png`),
    phaseRange: 'auto',
  });
  await opened.dispose();
  await model.dispose();
}
await raw.close();
console.log(`models and pictures are in ${folder}`);
if (disagreements > 0) process.exitCode = 1;

/** Largest |a − b| over the largest |a|. */
function largestDifference(a, b) {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < a.re.length; i++) {
    difference = Math.max(difference, Math.hypot(a.re[i] - b.re[i], a.im[i] - b.im[i]));
    largest = Math.max(largest, Math.hypot(a.re[i], a.im[i]));
  }
  return difference / largest;
}

function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1);
}
