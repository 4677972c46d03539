/**
 * Solvers and networks in a page beside Node, in one run, in turns: `npm run bench:web`. Needs chromium (PTYCHOPINN_CHROMIUM, or
 * Debian's). The page computes in Node's own words: rPIE of 96 patterns of 128 × 128, and the single pass of a small network.
 *
 *   node bench/web.mjs [--rounds 3] [--epochs 10] [--scan FILE]
 */
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import {
  openScan,
  PtychoModel,
  rawDataFromSimulation,
  reconstruct,
  runSolver,
  simulate,
  train,
  writeScan,
} from 'ptychopinn';

const { values } = parseArgs({
  options: { rounds: { type: 'string' }, epochs: { type: 'string' }, scan: { type: 'string' } },
});
const [rounds, epochs] = [Number(values.rounds ?? 3), Number(values.epochs ?? 10)];
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-bench-'));
const options = { algorithm: 'rpie', epochs };

async function serve(isolated, files) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    if (isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    const [, where, name] = /^\/(lib|ort|files)\/(.+)$/.exec(pathname) ?? [];
    const file = {
      lib: path.join(root, 'dist/web/bundle', name ?? ''),
      ort: path.join(root, 'node_modules/onnxruntime-web/dist', name ?? ''),
      files: files[name],
    }[where]; // prettier-ignore
    if (file === undefined || !existsSync(file)) return response.end('<!doctype html><title>bench</title>');
    response.setHeader(
      'content-type',
      /\.m?js$/.test(file)
        ? 'text/javascript'
        : file.endsWith('.wasm')
          ? 'application/wasm'
          : 'application/octet-stream',
    ); // prettier-ignore
    response.setHeader('content-length', statSync(file).size);
    createReadStream(file).pipe(response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { server, address: `http://127.0.0.1:${server.address().port}/` };
}

/** A page with the scan open, in a browser of its own, so that the processor time of its process is known. */
async function openPage(address) {
  const browser = await chromium.launch({
    executablePath: process.env.PTYCHOPINN_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  }); // prettier-ignore
  const page = await browser.newPage();
  page.setDefaultTimeout(600_000);
  await page.goto(address);
  await page.evaluate(`(async () => {
    const { connect } = await import('/lib/session.js');
    window.session = connect(new Worker('/lib/worker.js', { type: 'module' }));
    await session.engineFiles(new URL('/ort/', location.href));
    for (const name of ['scan.npz', 'wts.zip']) await session.addUrl(new URL('/files/' + name, location.href));
    window.scan = (await session.openScan('scan.npz').done).scan;
  })()`);
  const protocol = await browser.newBrowserCDPSession();
  const renderer = async () => {
    const { processInfo } = await protocol.send('SystemInfo.getProcessInfo');
    return processInfo.filter(({ type }) => type === 'renderer').sort((a, b) => b.cpuTime - a.cpuTime)[0];
  };
  return { browser, page, renderer };
}

/** What some work takes of the clock and of the processor; `processorSeconds` tells how much was used so far. */
async function measured(processorSeconds, patterns, work) {
  const before = await processorSeconds();
  const { rFactor, seconds } = await work();
  return { rFactor, wall: patterns / seconds, processor: patterns / ((await processorSeconds()) - before) };
}

const inPage = ({ page, renderer }, patterns, call) =>
  measured(
    async () => (await renderer()).cpuTime,
    patterns,
    () =>
      page.evaluate(
        `${call}.done.then(({ rFactor, seconds, result }) => session.dropResult(result).then(() => ({ rFactor, seconds })))`,
      ),
  );
const here = (patterns, work) =>
  measured(async () => Object.values(process.cpuUsage()).reduce((sum, each) => sum + each, 0) / 1e6, patterns, work);
/** What a process takes of the memory, most of it at any time, in MB. */
const peakOf = ({ id }) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))[1]) / 1000;
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

try {
  let file = values.scan;
  if (file === undefined) {
    file = path.join(folder, 'scan.npz');
    await writeScan(file, await rawDataFromSimulation(simulate({ N: 128, n_patterns: 96, seed: 1 })));
  }
  const raw = await openScan(file);
  const model = await train(
    {
      nepochs: 1,
      n_groups: 16,
      n_filters_scale: 1,
      auto_restart: false,
      execution: { accelerator: 'cpu', threads: 1 },
    },
    raw,
  ); // prettier-ignore
  const bundle = await model.save(folder);
  await model.dispose();
  const network = await PtychoModel.open(bundle, { accelerator: 'cpu', threads: 1 });
  const files = { 'scan.npz': file, 'wts.zip': bundle };
  const [isolated, plain] = [await serve(true, files), await serve(false, files)];
  const [one, two] = [await openPage(plain.address), await openPage(isolated.address)];
  await one.page.evaluate(
    `session.openModel('wts.zip', { accelerator: 'cpu', threads: 1 }).then((opened) => { window.model = opened.model; })`,
  );
  const work = raw.count * epochs;
  const solving = (page, threads) => inPage(page, work, `session.solve(scan, ${JSON.stringify({ options, threads })})`);
  const kinds = {
    'solve, Node, 1 thread': () => here(work, () => runSolver(raw, options, { threads: 1 })),
    'solve, page, 1 thread': () => solving(one, 1),
    'solve, Node, 2 threads': () => here(work, () => runSolver(raw, options, { threads: 2 })),
    'solve, isolated page, 2 threads': () => solving(two, 2),
    'infer, Node, 1 thread': () => here(raw.count, () => reconstruct(network, raw)),
    'infer, page, 1 thread': () => inPage(one, raw.count, 'session.infer(model, scan, { showEvery_s: 1e6 })'),
  };
  const rates = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
  const found = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(kinds)) {
      const result = await run();
      if (round > 0) rates[name].push(result);
      else if (result.rFactor !== undefined) found.push(result.rFactor);
    }
  }
  for (const [name, list] of Object.entries(rates)) {
    const of = (what) => median(list.map((rate) => rate[what])).toFixed(1);
    console.log(`${name}: ${of('wall')} patterns/s, ${of('processor')} for each second of a core`);
  }
  const ratio = (a, b, what) => median(rates[a].map((rate, i) => rate[what] / rates[b][i][what])).toFixed(2);
  const both = (a, b) => `${ratio(a, b, 'wall')} by the clock, ${ratio(a, b, 'processor')} by the processor`;
  console.log(
    `page against Node, solve, 1 thread: ${both('solve, page, 1 thread', 'solve, Node, 1 thread')} (0.5 or more)`,
  );
  console.log(
    `2 threads against 1 in pages: ${both('solve, isolated page, 2 threads', 'solve, page, 1 thread')} (1.5 or more by the clock, on an idle machine)`,
  );
  console.log(`2 threads against 1 in Node: ${both('solve, Node, 2 threads', 'solve, Node, 1 thread')}`);
  console.log(
    `page against Node, single pass: ${both('infer, page, 1 thread', 'infer, Node, 1 thread')} (0.22 or more)`,
  );
  console.log(`R: ${found.map((r) => r.toFixed(6)).join(' ')}`);
  const bound = 250 + (3 * 4 * raw.count * raw.N ** 2) / 1e6;
  console.log(
    `most memory of the process of the isolated page: ${peakOf(await two.renderer()).toFixed(0)} MB (page without engine: ${bound.toFixed(0)} or less)`,
  );
  for (const { browser } of [one, two]) await browser.close();
  for (const { server } of [isolated, plain]) {
    server.closeAllConnections();
    server.close();
  }
  await network.dispose();
  await raw.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
