/**
 * The build for browsers, run by Node, which has all that it needs of browsers but threads: opens scans whose files lie in folders of this
 * machine, each in a page folder of its own. Reads orders `{ folder, scan, options }` as JSON and answers what came of each.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { files, openScan, runSolver } from '../../dist/web/bundle/index.js';

const orders = JSON.parse(readFileSync(0, 'utf8'));
const answers = [];
for (const [number, { folder, scan, options, solve }] of orders.entries()) {
  const place = `case${number}`;
  for (const name of readdirSync(folder, { recursive: true })) {
    const file = path.join(folder, name);
    if (statSync(file).isFile()) files.addBytes(`${place}/${name}`, readFileSync(file));
  }
  try {
    // Paths among the options begin in the working folder, of which a page has one for all.
    const placed = options?.positions ? { ...options, positions: `${place}/${options.positions}` } : options;
    const raw = await openScan(`${place}/${scan}`, placed);
    const { format, count, N, domain, notes, geometry } = raw;
    const rFactor = solve ? (await runSolver(raw, solve)).rFactor : undefined;
    const patterns = new Float32Array(N * N * Math.min(3, count));
    await raw.patterns.readAmplitudes([0, Math.floor(count / 2), count - 1].slice(0, Math.min(3, count)), patterns);
    answers.push({
      ...{ format, count, N, domain, geometry, rFactor },
      xs: [...raw.xcoords],
      ys: [...raw.ycoords],
      power: [...raw.patterns.sums.power],
      patterns: [...patterns],
      probe: raw.probeGuess && [...raw.probeGuess.re],
      findings: raw.findings.all.map(({ code, severity }) => `${severity} ${code}`),
      notes: notes.map((note) => note.replaceAll(`${place}/`, '')),
    });
    await raw.close();
  } catch (error) {
    answers.push({
      code: error.code,
      message: String(error.message)
        .replaceAll(`/page/${place}/`, '')
        .replaceAll(`${place}/`, '')
        .replaceAll(`/page/${place}`, ''),
      stack: error.code ? undefined : error.stack,
    });
  }
  files.remove(place);
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
