/**
 * The build for browsers in a browser: the same numbers as Node, from files that are dropped on a page. A part of it with
 * PTYCHOPINN_SLOW_SAMPLE=1. Needs `npm run build`.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'; // biome-ignore format: one line
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { ModelConfig } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { openScan } from '../../src/data/findings/survey.js';
import { Hdf5Writer } from '../../src/formats/hdf5/writer.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { runSolver } from '../../src/solvers/run.js';
import { train } from '../../src/training/train.js';
import { reconstruct } from '../../src/workflows/reconstruct.js';
import { describeBrowser, drop, openSession, PageServer, startBrowser } from '../support/browserPage.js';
import { everyNetwork } from '../support/everyNetwork.js';
import { writeNetworkBundle } from '../support/networkBundle.js';
import { sharedFile } from '../support/shared.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
const lines = path.resolve('fixtures/lines64.npz');
const star = sharedFile('data/siemens_star_128_subset96.npz');

describeBrowser('in a page', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-page-'));
  let browser: Browser;
  let isolated: PageServer;
  let plain: PageServer;
  let open: { readonly page: Page; readonly said: readonly string[] } | undefined;

  beforeAll(async () => {
    browser = await startBrowser();
    isolated = await PageServer.start(true);
    plain = await PageServer.start(false);
  });
  afterAll(async () => {
    await browser?.close();
    isolated?.close();
    plain?.close();
    rmSync(folder, { recursive: true });
  });
  afterEach(async () => {
    await open?.page.close();
    open = undefined;
  });

  async function session(server = isolated): Promise<Page> {
    open = await openSession(browser, server);
    return open.page;
  }

  async function solved(
    page: Page,
    file: string,
    options: object,
  ): Promise<{ rFactor: number; engine: string; threads: number }> {
    const [scan] = await drop(page, file);
    return page.evaluate(
      `(async () => {
        const { scan } = await session.openScan(${JSON.stringify(scan)}).done;
        const { rFactor, engine } = await session.solve(scan, ${JSON.stringify({ options })}).done;
        return { rFactor, engine, threads: await session.threads() };
      })()`,
    );
  }

  it.each(['isolated', 'not isolated'])('solves NPZ and HDF5 to the same R as Node: %s', async (kind) => {
    const page = await session(kind === 'isolated' ? isolated : plain);
    const product = path.join(folder, 'ptychodus');
    const options = { algorithm: 'rpie', epochs: 10 } as const;
    const files = [existsSync(star) ? star : lines, await withPatterns(product)];
    for (const file of files) {
      const raw = await openScan(file);
      const { rFactor } = await runSolver(raw, options, { threads: 1 });
      await raw.close();
      const found = await solved(page, file, options);
      expect(Math.abs(found.rFactor - rFactor), file).toBeLessThan(1e-4);
      expect(found.threads > 1).toBe(kind === 'isolated');
      expect(found.engine).toContain(kind === 'isolated' ? `${found.threads} threads` : 'one thread');
    }
    expect(open?.said.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  /** The star as one HDF5 file, bitshuffled. */
  async function withPatterns(name: string): Promise<string> {
    const file = `${name}.h5`;
    if (existsSync(file)) return file;
    const raw = await openScan(existsSync(star) ? star : lines);
    const { N, count } = raw;
    const amplitudes = new Float32Array(count * N * N);
    await raw.patterns.readAmplitudes(Int32Array.from({ length: count }, (_, i) => i), amplitudes); // biome-ignore format: one call
    const writer = await Hdf5Writer.create(file);
    const counts = Uint16Array.from(amplitudes, (a) => Math.round(a * a));
    writer.write('/entry/data/data', { data: counts, shape: [count, N, N] }, { chunks: [1, N, N], filter: { id: 32008, options: [0, 2] } }); // biome-ignore format: one call
    writer.write('/xcoords', { data: raw.xcoords, shape: [count] });
    writer.write('/ycoords', { data: raw.ycoords, shape: [count] });
    writer.write('/probeGuess', raw.probeGuess!);
    await writer.close();
    await raw.close();
    return file;
  }

  it('pauses, goes on and is cancelled; says errors in the words of the command line', async () => {
    const page = await session();
    const [scan] = await drop(page, lines);
    const seen = await page.evaluate<Record<string, unknown>>(
      `(async () => {
        const { scan } = await session.openScan(${JSON.stringify(scan)}).done;
        const epochs = [];
        const run = session.solve(scan, { options: { epochs: 200 }, showEvery_s: 0 }, { onUpdate: ({ epoch }) => epochs.push(epoch) });
        const reach = (epoch) => new Promise((done) => { const look = () => (epochs.at(-1) >= epoch ? done() : setTimeout(look, 5)); look(); });
        await reach(3);
        run.pause();
        await new Promise((done) => setTimeout(done, 500));
        const paused = epochs.length;
        await new Promise((done) => setTimeout(done, 500));
        const stillPaused = epochs.length;
        run.continue();
        await reach(stillPaused + 2);
        run.cancel();
        const result = await run.done;
        const early = session.solve(scan, { options: { epochs: 200 } });
        early.cancel();
        return {
          paused, stillPaused, epochs: result.history.length - 1, cancelled: result.cancelled, shape: result.image.shape,
          early: await told(early.done),
          wrong: await told(session.solve(scan, { options: { epochs: 0 } }).done),
          missing: await told(session.openScan('nothing.npz').done),
          unknown: await told(session.fields('nothing')),
        };
      })()`,
    );
    expect(seen.stillPaused).toBe(seen.paused);
    expect(seen.cancelled).toBe(true);
    expect(seen.epochs as number).toBeGreaterThan(3);
    expect(seen.epochs as number).toBeLessThan(200);
    expect(seen.early).toMatchObject({ code: 'CANCELLED' });
    expect(seen.wrong).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('epochs') });
    expect(seen.missing).toEqual({
      code: 'FILE_NOT_FOUND',
      message: 'Cannot read nothing.npz: there is no such file.',
    });
    expect(seen.unknown).toMatchObject({ code: 'USAGE' });
  });

  it('goes on after a reload from the state that it kept', async () => {
    const page = await session();
    await drop(page, lines);
    const request = `{ options: { algorithm: 'rpie', epochs: 12 }, stateFolder: 'run', stateEvery_s: 0 }`;
    await page.evaluate(
      `(async () => {
        const { scan } = await session.openScan('lines64.npz').done;
        window.whole = (await session.solve(scan, { options: { algorithm: 'rpie', epochs: 12 } }).done).rFactor;
        await session.forget('run');
        await new Promise((done) => session.solve(scan, ${request}, { onUpdate: ({ epoch }) => epoch >= 6 && done() }));
        // The state of that epoch is on its way.
        for (;;) if ((await session.kept()).some(({ path }) => path === 'run/solver_state.npz')) break;
      })()`,
    );
    const whole = await page.evaluate('window.whole');
    await page.reload();
    await page.evaluate(`(async () => {
      const { connect } = await import('/lib/session.js');
      window.session = connect(new Worker('/lib/worker.js', { type: 'module' }));
    })()`);
    await page.locator('input').setInputFiles(lines);
    const resumed = await page.evaluate<{ first: number; rFactor: number; kept: string[] }>(
      `(async () => {
        const path = await session.addFile(document.querySelector('input').files[0]);
        const { scan } = await session.openScan(path).done;
        const kept = await session.restore('run');
        let first;
        const { rFactor } = await session.solve(scan, { options: { algorithm: 'rpie', epochs: 12 }, resume: 'run' }, { onUpdate: ({ epoch }) => { first ??= epoch; } }).done;
        return { first, rFactor, kept };
      })()`,
    );
    expect(resumed.kept).toEqual(['run/solver_state.npz']);
    expect(resumed.first).toBeGreaterThan(1);
    expect(Math.abs(resumed.rFactor - (whole as number))).toBeLessThan(1e-5);
  });

  it('opens a large HDF5 file, dropped or behind an address, without loading it', async () => {
    const file = path.join(folder, 'large.h5');
    const [count, N] = [sample ? 2000 : 8500, 256];
    const writer = await Hdf5Writer.create(file);
    writer.growing('/entry/data/data', 'uint32', [N, N], {});
    const row = Uint32Array.from({ length: N * N }, (_, i) => Math.round(1e4 * Math.exp(-(((i % N) - N / 2) ** 2 + (Math.floor(i / N) - N / 2) ** 2) / 300))); // biome-ignore format: one array
    for (let k = 0; k < count; k++) writer.append('/entry/data/data', { data: row, shape: [1, N, N] });
    await writer.close();
    expect(statSync(file).size).toBeGreaterThan(count * N * N * 4);
    const page = await session();
    await drop(page, file);
    const url = isolated.serve(file, 'remote.h5');
    const before = isolated.requests.length;
    const options = `{ scan_shape: [${count / 100}, 100], scan_step: '4px', n_subsample: 20 }`;
    const look = (name: string) =>
      page.evaluate<number[]>(
        `(async () => { const { scan, count, N } = await session.openScan(${name}, ${options}).done; const { shape } = await session.patterns(scan, [0, count - 1]); return [count, N, ...shape]; })()`,
      );
    expect(await look(`'large.h5'`)).toEqual([20, N, 2, N, N]);
    expect(await look(`await session.addUrl(${JSON.stringify(url)})`)).toEqual([20, N, 2, N, N]);
    const ranges = isolated.requests.slice(before).filter((request) => request.startsWith('/files/remote.h5 bytes='));
    // Some hundred frames of a quarter of a megabyte, of thousands.
    expect(ranges.length).toBeGreaterThan(10);
    const asked = ranges.reduce((sum, request) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request) as unknown as string[];
      return sum + Math.min(Number(to), statSync(file).size - 1) - Number(from) + 1;
    }, 0);
    expect(asked).toBeLessThan(statSync(file).size / 3);
  });

  it('runs networks as Node does', async () => {
    const page = await session();
    const config = { nepochs: 10, gridsize: 1, n_filters_scale: 1, batch_size: 16, n_groups: 16, val_fraction: 0, seed: 3, input_reference: 'none', auto_restart: false } as const; // biome-ignore format: a list
    const execution = { accelerator: 'cpu', threads: 1 } as const;
    const raw = await openScan(lines);
    const records: object[] = [];
    const model = await train({ ...config, execution }, raw, { onEpoch: (record) => void records.push(record) });
    const bundle = await model.save(folder);
    const { stitched } = await reconstruct(model, raw, { batch_size: 8 });
    await model.dispose();
    await raw.close();
    await drop(page, [lines, bundle]);
    const [height, width] = stitched.image.shape;
    const found = await page.evaluate<{
      re: number[];
      im: number[];
      shape: number[];
      engine: string;
      updates: number;
      records: object[];
      title: string;
      painted: number[];
    }>(
      `(async () => {
        const { scan } = await session.openScan('lines64.npz').done;
        const { model, engine, title } = await session.openModel('wts.zip', { accelerator: 'cpu', threads: 1 });
        let updates = 0;
        const { image } = await session.infer(model, scan, { showEvery_s: 0, options: { batch_size: 8 } }, { onUpdate: () => updates++ }).done;
        const records = [];
        let painted;
        const trained = await session.train(scan, { config: ${JSON.stringify({ ...config, execution })}, showEvery_s: 0 }, { onUpdate: ({ record, shown }) => { records.push(record); painted = shown.image.shape; } }).done;
        const saved = await session.readFile(await session.saveModel(trained.model, 'again/wts.zip'));
        return { re: [...image.re], im: [...image.im], shape: image.shape, engine, title, updates, records, painted, saved: saved.length };
      })()`,
    );
    expect(found.shape).toEqual([height, width]);
    expect(found.engine).toMatch(/^onnxruntime-web 1\.30\.0 \(wasm\)$/);
    expect(distance(found, stitched.image)).toBeLessThan(1e-5);
    expect(found.updates).toBeGreaterThan(0);
    // Ten epochs of one step each, so that the loss of each step is compared. (With four patterns a batch one and two threads of Node part
    // by more than this in nine steps: small batches make rounding grow.)
    expect(found.records).toHaveLength(10);
    for (const [k, record] of records.entries()) {
      const [here, there] = [record, found.records[k]] as Record<string, number>[];
      for (const name of ['loss', 'mae']) {
        expect(Math.abs(there[name] / here[name] - 1), `${name} of step ${k}`).toBeLessThan(1e-4);
      }
    }
    expect((records[9] as { loss: number }).loss).toBeLessThan((records[0] as { loss: number }).loss);
    expect(found.painted).toHaveLength(2);
  });

  /** Relative distance of an image from that of Node. */
  function distance(found: { re: readonly number[]; im: readonly number[] }, image: ComplexImage): number {
    let [squares, power] = [0, 0];
    for (let i = 0; i < image.re.length; i++) {
      squares += (found.re[i] - image.re[i]) ** 2 + (found.im[i] - image.im[i]) ** 2;
      power += image.re[i] ** 2 + image.im[i] ** 2;
    }
    return Math.sqrt(squares / power);
  }

  it('runs a bundle of every network, in WebAssembly and by WebGPU', async () => {
    const execution = { accelerator: 'cpu', threads: 1 } as const;
    const few = { n_subsample: 6, subsample_seed: 1 };
    const raw = await openScan(lines, few);
    const images = new Map<string, ComplexImage>();
    const bundles: string[] = [];
    for (const [architecture, { model }] of everyNetwork) {
      const fields = { ...model, architecture: architecture as ModelConfig['architecture'] };
      bundles.push(await writeNetworkBundle(path.join(folder, `${architecture}.zip`), { model: fields }));
      const opened = await PtychoModel.open(bundles.at(-1)!, execution);
      images.set(architecture, (await reconstruct(opened, raw, { batch_size: 3 })).stitched.image);
      await opened.dispose();
    }
    await raw.close();
    // SwiftShader in the place of a GPU.
    const withGpu = await startBrowser('--enable-unsafe-webgpu');
    try {
      const { page, said } = await openSession(withGpu, isolated);
      await drop(page, lines);
      for (const [k, [architecture]] of everyNetwork.entries()) {
        // SwiftShader takes seconds for each.
        const devices = sample && architecture !== 'hybrid_resnet' ? ['cpu'] : ['cpu', 'webgpu'];
        await page.locator('input').setInputFiles(bundles[k]);
        const found = await page.evaluate<Record<string, { re: number[]; im: number[]; engine: string }>>(
          `(async () => {
            const bundle = await session.addFile(document.querySelector('input').files[0], ${JSON.stringify(`${architecture}.zip`)});
            const { scan } = await session.openScan('lines64.npz', ${JSON.stringify(few)}).done;
            const found = {};
            for (const accelerator of ${JSON.stringify(devices)}) {
              const { model, engine } = await session.openModel(bundle, { accelerator, threads: 1 });
              const { image } = await session.infer(model, scan, { options: { batch_size: 3 } }).done;
              found[accelerator] = { re: [...image.re], im: [...image.im], engine };
              await session.closeModel(model);
            }
            return found;
          })()`,
        );
        expect(found.cpu.engine).toMatch(/\(wasm\)$/);
        const image = images.get(architecture)!;
        expect(distance(found.cpu, image), `${architecture} in WebAssembly`).toBeLessThan(1e-5);
        if (!devices.includes('webgpu')) continue;
        expect(found.webgpu.engine).toMatch(/\(WebGPU\)$/);
        expect(distance(found.webgpu, image), `${architecture} by WebGPU`).toBeLessThan(1e-4);
      }
      expect(said.filter((line) => line.startsWith('error'))).toEqual([]);
    } finally {
      await withGpu.close();
    }
  });

  it('says where the engine is to be found, and that there is no GPU', async () => {
    const page = await session();
    const model = path.join(folder, 'wts.zip');
    if (!existsSync(model)) return;
    await drop(page, model);
    const found = await page.evaluate<Record<string, { code: string; message: string }>>(
      `(async () => {
        const webgpu = await told(session.openModel('wts.zip', { accelerator: 'webgpu' }));
        await session.engineFiles(new URL('/nowhere/', location.href));
        return { webgpu, nowhere: await told(session.openModel('wts.zip', { accelerator: 'cpu' })) };
      })()`,
    );
    if (found.webgpu.code) expect(found.webgpu).toMatchObject({ code: 'ACCELERATOR_MISSING' });
    expect(found.nowhere).toMatchObject({ code: 'BACKEND_MISSING', message: expect.stringContaining('engineFiles') });
  });

  it('saves what other programs read, and compares', async () => {
    const page = await session();
    await drop(page, lines);
    const found = await page.evaluate<{
      saved: Record<string, string[]>;
      compared: { relativeError: number };
      bytes: number[];
    }>(
      `(async () => {
        const { scan } = await session.openScan('lines64.npz').done;
        const a = await session.solve(scan, { options: { epochs: 6 } }).done;
        const b = await session.solve(scan, { options: { epochs: 6, seed: 1 } }).done;
        const saved = {};
        for (const format of ['npz', 'product', 'tiff', 'cxi', 'svg']) saved[format] = await session.save(a.result, format, 'out');
        const again = await session.openResult('out/reconstruction.npz');
        const compared = await session.compare(a.result, b.result);
        const same = await session.compare(a.result, again.result);
        return { saved, compared: { relativeError: compared.relativeError, same: same.relativeError }, bytes: [...await session.readFile('out/product.h5')] };
      })()`,
    );
    expect(found.saved).toMatchObject({
      npz: ['out/reconstruction.npz'],
      product: ['out/product.h5'],
      tiff: ['out/amplitude.tif', 'out/phase.tif', 'out/export.json'],
      cxi: [expect.stringMatching(/^out\/.*\.cxi$/)],
    });
    expect(found.compared).toMatchObject({ same: expect.closeTo(0, 5) });
    expect(found.compared.relativeError).toBeGreaterThan(0);
    expect(found.compared.relativeError).toBeLessThan(0.2);
    expect(Buffer.from(found.bytes).subarray(1, 4).toString()).toBe('HDF');
  });

  it.each(['vite', 'esbuild'])('the example of docs/web.md works, built with %s', async (bundler) => {
    const place = path.join(folder, bundler);
    cpSync('examples/web', place, { recursive: true });
    mkdirSync(path.join(place, 'node_modules'));
    symlinkSync(process.cwd(), path.join(place, 'node_modules/ptychopinn'));
    for (const name of ['vite', 'esbuild'])
      symlinkSync(path.resolve('node_modules', name), path.join(place, 'node_modules', name));
    const command = { vite: ['node_modules/vite/bin/vite.js', 'build'], esbuild: ['esbuild.mjs'] }[bundler] as string[];
    execFileSync(process.execPath, command, { cwd: place, stdio: 'pipe' });
    const page = await browser.newPage();
    try {
      const errors: string[] = [];
      page.on('pageerror', ({ message }) => errors.push(message));
      await page.goto(isolated.serveFolder(path.join(place, 'dist'), bundler));
      await page.locator('input').setInputFiles(await withPatterns(path.join(folder, 'ptychodus')));
      const save = page.locator('.save:not([hidden])');
      await save.waitFor({ timeout: 120_000 });
      expect(await page.locator('output').textContent()).toMatch(/^R 0\.\d{4} after .* threads$/);
      expect(await page.evaluate("document.querySelector('canvas').width")).toBeGreaterThan(50);
      const download = page.waitForEvent('download');
      await save.click();
      const saved = path.join(place, 'saved.npz');
      await (await download).saveAs(saved);
      expect((await readReconstruction(saved)).algorithm).toBe('PtychoPINN rPIE');
      // What is no scan is said, and the page goes on.
      await page.locator('input').setInputFiles('package.json');
      await expect
        .poll(() => page.locator('output').textContent(), { timeout: 20_000 })
        .toContain('package.json is a file of no kind');
      expect(errors).toEqual([]);
    } finally {
      await page.close();
    }
  });

  const cases = sharedFile('cases/opening');
  it.skipIf(!existsSync(cases))('tells of wrong and hostile files what Node tells', async () => {
    const page = await session();
    const names = readdirSync(cases).filter((name) => statSync(path.join(cases, name)).isDirectory());
    let told = 0;
    for (const name of sample ? names.slice(0, 5) : names) {
      const place = path.join(cases, name);
      const scans = readdirSync(place).filter(
        (file) => /\.(h5|npz|cxi|npy|nxs|hdf5)$/.test(file) && file !== 'probe.npz',
      );
      await page.locator('input').setInputFiles(readdirSync(place).map((file) => path.join(place, file)).filter((file) => statSync(file).isFile())); // biome-ignore format: one call
      await page.evaluate(`(async () => { for (const file of document.querySelector('input').files) await session.addFile(file, ${JSON.stringify(name)} + '/' + file.name); })()`); // biome-ignore format: one call
      for (const scan of scans) {
        const here = await openScan(path.join(place, scan)).then(
          async ({ count, N, patterns, close }) => {
            const [power] = patterns.sums!.power;
            await close();
            return { value: [count, N, power] };
          },
          (error) => {
            if (!isPtychoError(error)) throw error;
            return { code: error.code, message: error.message.replaceAll(`${place}/`, '') };
          },
        );
        const there = await page.evaluate<{ code?: string; message?: string; value?: number[] }>(
          `told(session.openScan(${JSON.stringify(`${name}/${scan}`)}).done.then(({ count, N, power }) => [count, N, power[0]]))`,
        );
        if (there.message) there.message = there.message.replaceAll(`/page/${name}/`, '').replaceAll(`${name}/`, '');
        expect(there, `${name}/${scan}`).toEqual(here);
        told++;
      }
    }
    expect(told).toBeGreaterThan(4);
    // The tab lives.
    expect(await page.evaluate('session.threads()')).toBeGreaterThan(0);
  });

  // The browser measures with its next collection, a minute later.
  it.skipIf(sample)('takes no more memory than the patterns need', async () => {
    const page = await session();
    const file = path.join(folder, 'memory.npz');
    copyFileSync(existsSync(star) ? star : lines, file);
    await drop(page, file);
    const [count, N] = await page.evaluate<number[]>(
      `(async () => { const { scan, count, N } = await session.openScan('memory.npz').done; await session.solve(scan, { options: { algorithm: 'rpie', epochs: 5 } }).done; return [count, N]; })()`,
    );
    const used = await page.evaluate<number>(
      `performance.measureUserAgentSpecificMemory ? performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes) : 0`,
    );
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThan(250e6 + 3 * 4 * count * N * N);
  });
});
