/** `reconstruct` on disk: what it writes, being stopped, going on, and what is refused. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReconstructConfig, reconstructConfigSchema } from '../../src/config/schemas/reconstruct.js';
import { readText } from '../../src/data/metadata.js';
import type { RawData } from '../../src/data/rawData.js';
import { usingNpz, writeNpz } from '../../src/formats/npz.js';
import { textArray } from '../../src/formats/outputFiles.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { turnBy } from '../../src/tries/orientation.js';
import { readSearch } from '../../src/tries/state.js';
import { reconstructScanWorkflow } from '../../src/workflows/reconstructScan.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { cli } from '../cli/capture.js';
import { writeSolverScan } from '../support/solverScan.js';
import { tinyRequest } from '../support/tinyRun.js';

let folder: string;
let scan: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
/** One try is enough to see what is written of it. */
const LEFT_OUT = ['flux', 'affine', 'opr_modes', 'modes'];
const request = (name: string, over: Record<string, unknown> = {}) =>
  reconstructConfigSchema.parse({
    test_data_file: scan,
    output_dir: at(name),
    leave_out: LEFT_OUT,
    auto_orient: false,
    execution: { threads: 1, accelerator: 'cpu' },
    ...over,
  }) as ReconstructConfig;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-reconstruct-'));
  scan = at('scan.npz');
  await writeSolverScan(scan);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Stops after so many epochs. */
async function stopped(name: string, epochs: number, over: Record<string, unknown> = {}) {
  const stop = new AbortController();
  const onProgress = ({ stage, done }: { stage: string; done: number }) => {
    if (stage === 'solving' && done >= epochs) stop.abort();
  };
  return reconstructScanWorkflow(request(name, over), { signal: stop.signal, onProgress });
}

describe('reconstruct', () => {
  it('writes image, pictures, table, page and product, and says the same in all of them', async () => {
    const found = await reconstructScanWorkflow(request('whole', { product_file: at('whole.h5') }));
    const files = await readdir(at('whole'));
    for (const name of found.files.filter((file) => !path.isAbsolute(file))) expect(files).toContain(name);
    expect(found.files).toEqual(
      expect.arrayContaining([
        'reconstruction.npz',
        'reconstructed_phase.png',
        'index.html',
        'run.json',
        at('whole.h5'),
      ]),
    );
    const stored = await readReconstruction(at('whole', 'reconstruction.npz'), { probe: true });
    expect(stored.image.re).toEqual(found.image.re);
    expect(stored.algorithm).toBe('PtychoPINN rPIE');
    const { object } = await readProductFile(at('whole.h5'), { note: () => {} });
    expect(object.array.shape.slice(-2)).toEqual(found.image.shape);
    const run = JSON.parse(await readFile(at('whole', 'run.json'), 'utf8'));
    expect(run).toMatchObject({ cancelled: false, r_factor_of: 'all patterns at the end', probe_from: 'scan' });
    expect(run.r_factor_held_out.patterns).toBe(4);
    expect(run.tried.map(({ name }: { name: string }) => name)).toEqual(['positions']);
    const page = await readFile(at('whole', 'index.html'), 'utf8');
    for (const text of ['What was tried', 'corrected positions', 'patterns held out', 'ptychopinn reconstruct']) {
      expect(page).toContain(text);
    }
    const [head, first] = (await readFile(at('whole', 'history.csv'), 'utf8')).split('\n');
    expect(head).toBe('epoch,loss,r_factor,r_factor_held_out');
    expect(first.split(',').every((cell) => Number(cell) > 0)).toBe(true);
    // A finished run is not begun again, and not written over.
    await expect(reconstructScanWorkflow(request('whole'))).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    const again = request('whole', { resume: at('whole') });
    await expect(reconstructScanWorkflow(again)).rejects.toThrow('is finished; begin another with --overwrite');
  });

  it('stopped at any epoch it leaves an image, and comes to the same when it goes on', async () => {
    const whole = await reconstructScanWorkflow(request('reference'));
    for (const epochs of [9, whole.history.length - 2]) {
      const name = `stopped-${epochs}`;
      const first = await stopped(name, epochs);
      expect(first).toMatchObject({ cancelled: true, epoch: epochs });
      const image = await readReconstruction(at(name, 'reconstruction.npz'));
      expect(image.image.re).toEqual(first.image.re);
      const stored = await readSearch(at(name));
      expect(stored?.resumed.begin.state.history).toHaveLength(epochs);
      const second = await reconstructScanWorkflow(request(name, { resume: at(name) }));
      expect(second.cancelled).toBe(false);
      expect(second.history.slice(0, epochs)).toEqual(first.history);
      // Momentum of a line that branched off begins anew.
      expect(second.rFactor).toBeCloseTo(whole.rFactor, 3);
      expect(second.seconds).toBeGreaterThan(first.seconds);
    }
  });

  it('goes on with the same scan and choices only', async () => {
    await stopped('other', 2);
    const other = at('other.npz');
    await writeSolverScan(other, { seed: 5 });
    const on = (over: Record<string, unknown>) => reconstructScanWorkflow(request('other', { resume: at('other'), ...over })); // biome-ignore format: one call
    await expect(on({ test_data_file: other })).rejects.toThrow('was begun with another scan');
    await expect(on({ seed: 1 })).rejects.toThrow('seed is 1, but the run in');
    const other_model = { model_path: at('model', 'wts.zip') };
    await expect(on(other_model)).rejects.toThrow(/^model_path is ".*", but the run in .* was begun with null/);
    await expect(on({ ...other_model, single_pass: true })).rejects.toThrow('was begun with null');
    await expect(on({ auto_orient: true })).rejects.toThrow('auto_orient is true, but the run in');
    await expect(reconstructScanWorkflow(request('none', { resume: at('nowhere') }))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' }); // biome-ignore format: one call
  });
});

describe('a folder that is written to again', () => {
  it('keeps nothing that could pass for the new run, which can go on where it is killed', async () => {
    const again = at('again');
    await cp(at('whole'), again, { recursive: true });
    for (const name of ['positions.npz', 'loss.svg', 'mine.txt']) await writeFile(path.join(again, name), 'earlier');
    const records = ['run.json', 'reconstruct_state.npz'].map((name) => path.join(again, name));
    expect(records.map((file) => existsSync(file))).toEqual([true, true]);
    const stop = new AbortController();
    let left: boolean[] = [];
    const onProgress = ({ stage }: { stage: string }) => {
      if (stage !== 'solving') return;
      left = records.map((file) => existsSync(file));
      stop.abort();
    };
    const over = { overwrite: true, minutes: 0.01 };
    const found = await reconstructScanWorkflow(request('again', over), { signal: stop.signal, onProgress });
    expect(left).toEqual([false, false]);
    const there = await readdir(again);
    expect(there).toEqual(expect.arrayContaining([...found.files, 'mine.txt']));
    expect(there).not.toEqual(expect.arrayContaining(['positions.npz']));
    expect(there).not.toEqual(expect.arrayContaining(['loss.svg']));
    // As if the process had ended before its last file.
    await rm(records[0]);
    const on = await reconstructScanWorkflow(request('again', { resume: again, minutes: 0.01 }));
    expect(on.cancelled).toBe(false);
  });
});

describe('a state that was changed', () => {
  const changed = async (name: string, change: (head: Record<string, unknown>) => void) => {
    await cp(at('whole'), at(name), { recursive: true });
    const file = at(name, 'reconstruct_state.npz');
    const arrays = await usingNpz(file, async (npz) => {
      const text = await readText(npz, 'head');
      const head = JSON.parse('text' in text ? text.text : '') as Record<string, unknown>;
      change(head);
      return { head: textArray(JSON.stringify(head)) };
    });
    await writeNpz(file, arrays);
    return readSearch(at(name));
  };

  it('is refused in one line', async () => {
    await expect(changed('newer', (head) => (head.format_version = 99))).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      message: expect.stringMatching(/has format version 99, .*install a newer ptychopinn\.$/),
    });
    await expect(changed('bare', (head) => delete head.search)).rejects.toMatchObject({
      code: 'CHECKPOINT_INVALID',
      message: expect.stringMatching(
        /^\S+ is damaged or no state of a reconstruction: search: [^\n]*start again without --resume\.$/,
      ),
    });
  });

  it('names an orientation that there is', () => {
    const raw = { xcoords: Float64Array.of(1), ycoords: Float64Array.of(2) } as RawData;
    expect(turnBy(raw, undefined).raw).toBe(raw);
    expect(() => turnBy(raw, '--upside_down')).toThrow('no orientation is called so');
  });
});

describe('a model', () => {
  beforeAll(async () => {
    await trainWorkflow(tinyRequest(scan, at('model'), { nepochs: 1 }));
  });

  it('is the start where its image is better than nothing, and the probe where there is none', async () => {
    const over = { model_path: at('model'), leave_out: [...LEFT_OUT, 'positions'], minutes: 0.05 };
    const found = await reconstructScanWorkflow(request('started', over));
    const [said] = found.notes;
    const [, network, constant] = /\(R ([\d.]+), a constant object ([\d.]+)\)/.exec(said) ?? [];
    // A network that has hardly learned is either; what is said must be what was done.
    const better = Number(network) < Number(constant);
    expect(said).toContain(better ? 'The image of the network is the start' : 'is no better than nothing');
    expect(found.rFactor).toBeLessThan(0.6 * Number(constant));
  });

  it('is the end with single_pass', async () => {
    const found = await reconstructScanWorkflow(request('single', { model_path: at('model'), single_pass: true }));
    expect(found).toMatchObject({ algorithm: 'cnn', engine: 'network', tried: [], history: [] });
    const stored = await readReconstruction(at('single', 'reconstruction.npz'));
    expect(stored.algorithm).toBe('PtychoPINN cnn');
    expect(stored.image.re).toEqual(found.image.re);
    expect(found.rFactor).toBe(found.score?.image);
    expect(await readdir(at('single'))).not.toContain('history.csv');
  });
});

describe('the command', () => {
  it('takes the scan without a flag, prints what it tried and what may help next', async () => {
    const out = at('typed');
    const { code, out: text } = await cli('reconstruct', scan, '--output-dir', out, '--leave-out', 'modes', '--threads', '1', '--no-auto-orient'); // biome-ignore format: one call
    expect(code).toBe(0);
    expect(text).toMatch(/epochs of rPIE on SIMD on the processor, one thread/);
    expect(text).toMatch(/With corrected positions: not kept, R of the patterns held out is/);
    expect(text).toMatch(/R is 0\.\d+ over all \d+ patterns; a constant object has 0\.\d+\./);
    expect(text).toMatch(/R of the 4 patterns that were held out was 0\.\d+/);
    expect(text).toMatch(/Resolution \(two halves of the patterns, half bit\): .* px\./);
    expect(text).toMatch(/You may want --\w+/);
    const page = await readFile(path.join(out, 'index.html'), 'utf8');
    for (const word of ['--seed 0', '--leave_out modes', '--no-auto_orient', '--threads 1'])
      expect(page).toContain(word);
  });

  it('asks for what is missing', async () => {
    const { code, err } = await cli('reconstruct', scan, '--single-pass');
    expect(code).toBe(2);
    expect(err).toContain('name its bundle with model_path');
    expect((await cli('reconstruct', '--help')).out).toContain('--minutes');
  });
});
