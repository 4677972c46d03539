/** Packs a trained bundle, judges it on scans that no training saw, and writes its card and its line of `index.json`. */
import { createWriteStream, existsSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import yazl from 'yazl';
import { openScan } from '../dist/data/findings/survey.js';
import { scoreAgainstTruth } from '../dist/evaluation/score.js';
import { readZip } from '../dist/formats/zip.js';
import { PtychoModel, reconstruct } from '../dist/index.js';
import { openBundle } from '../dist/persistence/bundle.js';
import { scanBounds } from '../dist/reconstruction/frame.js';
import { modelOfScan } from '../dist/reconstruction/matching/modelOfScan.js';
import { bestFit } from '../dist/reconstruction/matching/probeFit.js';
import { scoreImage } from '../dist/reconstruction/scanForModel.js';

const quiet = { info() {}, warn() {} };
const LIMIT = { maxMemberBytes: 2 ** 27, maxTotalBytes: 2 ** 28 };

/** Numbers with the 11 significant bits of half precision; what is cut off are zeros, which an archive compresses away. */
function rounded({ data, shape }) {
  const values = Float32Array.from(data);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] + 0x1000) & 0xffffe000;
  return { data: values, shape };
}

/** Writes the same members, compressed; equal content gives equal bytes. */
async function compress(from, to) {
  const zip = new yazl.ZipFile();
  for (const [name, data] of await readZip(from, LIMIT)) {
    zip.addBuffer(Buffer.from(data), name, { mtime: new Date(1980, 1, 1), compressionLevel: 9 });
  }
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(to));
}

/** What a model makes of a scan. */
async function judge(model, file) {
  const raw = await openScan(file, { logger: quiet });
  try {
    const own = await modelOfScan(model, raw, quiet);
    const { stitched } = await reconstruct(own, raw, { logger: quiet });
    const { relative_object_error: error, constant_object_error: constantError } = scoreAgainstTruth(
      stitched,
      raw.objectGuess,
      { bounds: scanBounds(raw.xcoords, raw.ycoords) },
    );
    const { image: R, constant, noise } = await scoreImage(raw.count, own.bundle, raw, stitched);
    return { fit: bestFit(model.bundle, raw.probeGuess).fit, R, constant, noise, error, constantError };
  } finally {
    await raw.close();
  }
}

const SETTINGS = [
  'probe',
  'probe_diameter_px',
  'probe_curvature_rad',
  'probe_coma_rad',
  'aberrations_rad',
  'object',
  'photons',
  'seed',
];
const described = (scan) =>
  SETTINGS.filter((key) => key in scan)
    .map((key) => `${key} ${[scan[key]].flat().join(',')}`)
    .join(', ');
const figure = (v) => (typeof v === 'number' ? v.toFixed(3) : '–');

export async function pack({ name, recipe, bundle, test, folder }) {
  const whole = await openBundle(bundle);
  const { path: _, manifest: __, model: ___, autoencoder: ____, ...content } = whole;
  const small = Object.fromEntries(
    Object.entries(content.weights).map(([key, tensor]) => [
      key,
      /\.(weight|bias)$/.test(key) ? rounded(tensor) : tensor,
    ]),
  );
  const stored = path.join(path.dirname(bundle), 'small.zip');
  await PtychoModel.of({ ...content, weights: small }).save(stored);
  const packed = path.join(folder, `${name}.zip`);
  await rm(packed, { force: true });
  await compress(stored, packed);

  const precise = await PtychoModel.open(bundle, { threads: 1 });
  const shipped = (await PtychoModel.read(packed)).on(precise.engine);
  const rows = [];
  for (const [i, file] of test.entries()) {
    const [before, after] = [await judge(precise, file), await judge(shipped, file)];
    rows.push({ ...after, lost: after.error - before.error, scan: described(recipe.test[i]) });
    console.log(JSON.stringify({ name, ...rows.at(-1) }));
  }
  await precise.dispose();
  const { size } = await stat(packed);
  const { training, scans } = whole;
  const lost = Math.max(...rows.map((row) => Math.abs(row.lost)));
  const fields = Object.entries(recipe.training ?? {});
  const asked = fields.map(([field, value]) => `, \`${field} ${value}\``).join('');
  const card = `# ${name}

A network for ${recipe.summary}. Used by \`ptychopinn reconstruct SCAN --model auto\` where the probe of the scan fits.

| what | |
|---|---|
| network | \`${whole.config.model.architecture}\`, N ${recipe.N}, gridsize ${whole.config.model.gridsize}, \`n_filters_scale\` ${whole.config.model.n_filters_scale} |
| trained on | ${scans.length} simulated scans of ${recipe.patterns} patterns or a few more, each with a probe, an object and an exposure of its own; no labels |
| training | ${training.epochs} epochs, seed ${recipe.seed}${asked}, best epoch ${training.bestEpoch} (${training.monitor} ${training.value.toPrecision(4)}) |
| counts a pattern | ${Math.min(...scans.map((s) => s.statistics.meanCounts)).toExponential(0)} to ${Math.max(...scans.map((s) => s.statistics.meanCounts)).toExponential(0)} |
| file | \`${name}.zip\`, ${(size / 1e6).toFixed(1)} MB: weights with 11 significant bits, which changes the errors below by ${lost.toExponential(0)} at most; the archive is compressed |

## The scans that it learned from

${recipe.train.map((scan) => `- ${described(scan)}`).join('\n')}

## What it makes of scans that it did not see

R is that of the image on all patterns; the error is that of the complex image where the scan went, after the best factor and phase ramp.
The floors are the best constant object and, for R, the noise of counting alone.

| scan | probe fit | R | constant object | noise | error | constant object |
|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row.scan} | ${row.fit.toFixed(2)} | ${figure(row.R)} | ${figure(row.constant)} | ${figure(row.noise)} | ${figure(row.error)} | ${figure(row.constantError)} |`).join('\n')}

## What it is bad at

- It is a head start for a solver, no image to publish: R stays well above the noise.
${(recipe.bad_at ?? []).map((sentence) => `- ${sentence}\n`).join('')}- Probes that are unlike those above: the last scan of the table is one. \`--model auto\` does not take it there.
- Patterns that hold far fewer or far more counts than those of its training; near fields; thick samples.
- All of its training is simulated: no detector but a perfect one, no partial coherence, no errors of positions.

\`npm run models:train -- ${name}\` in the repository trains it again.
`;
  await writeFile(path.join(folder, `${name}.md`), card);
  const file = path.join(folder, 'index.json');
  const index = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {};
  index[name] = { N: recipe.N, summary: recipe.summary };
  const sorted = Object.fromEntries(Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFile(file, `${JSON.stringify(sorted, null, 2)}\n`);
}
