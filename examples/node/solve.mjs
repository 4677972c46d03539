/**
 * A scan solved without a network, watched while it works; then finer, from there.
 *
 *   npm run build && node examples/node/solve.mjs [SCAN] [--output_dir DIR] [--epochs N]
 *
 * SCAN is any scan file; left out, 25 simulated patterns that come with the repository.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openScan, runSolver, solve } from 'ptychopinn';
import { drawPng, figure, imagePanel, renderPhase } from 'ptychopinn/reconstruction';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output_dir: { type: 'string' }, epochs: { type: 'string', default: '20' } },
});
const scan = positionals[0] ?? fileURLToPath(new URL('../../fixtures/lines64.npz', import.meta.url));
const folder = values.output_dir ?? (await mkdtemp(path.join(tmpdir(), 'ptychopinn-solve-')));

const raw = await openScan(scan);
let start;
for await (const update of solve(raw, { algorithm: 'rpie', epochs: Number(values.epochs) }, { threads: 1 })) {
  console.log(`epoch ${update.epoch}: R ${update.rFactor.toFixed(4)}`);
  // What an update shows is copied when it is asked for.
  if (update.epoch === update.epochs) start = { object: update.object(), probe: update.probe() };
}

// From the image of one algorithm (or of a network) to another, to its end.
const { image, rFactor, engine } = await runSolver(raw, { algorithm: 'lsqml', epochs: 10 }, { start, threads: 1 });
console.log(`after 10 epochs of LSQ-ML: R ${rFactor.toFixed(4)} on ${engine}`);
await raw.close();

const picture = path.join(folder, 'phase.png');
await writeFile(picture, await drawPng(figure([imagePanel(renderPhase(image), { title: 'phase', quantity: 'rad' })])));
console.log(picture);
