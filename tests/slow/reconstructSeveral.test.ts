/** `reconstruct` on several scans at once: at the target of `solve --share`, on disk, stopped and gone on with. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ReconstructConfig, reconstructConfigSchema } from '../../src/config/schemas/reconstruct.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { openDataset } from '../../src/data/openDataset.js';
import { writeScan } from '../../src/data/scanWriter.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { openNpz, usingNpz } from '../../src/formats/npz.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { reconstructScanWorkflow } from '../../src/workflows/reconstructScan.js';
import { describeShared, sharedFile } from '../support/shared.js';

let folder: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const request = (name: string, over: Record<string, unknown> = {}) =>
  reconstructConfigSchema.parse({
    test_data_file: sharedFile('data/solvers/twoscans_64_a.npz'),
    test_data_files: [at('b.npz')],
    share: 'object',
    output_dir: at(name),
    execution: { threads: 1, accelerator: 'cpu' },
    ...over,
  }) as ReconstructConfig;
const runOf = async (name: string) => JSON.parse(await readFile(at(name, 'run.json'), 'utf8'));

describeShared('twoscans_64 with one command', () => {
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-reconstruct-several-'));
    const b = await openDataset(sharedFile('data/solvers/twoscans_64_b.npz'));
    await writeScan(at('b.npz'), { ...b, ycoords: b.ycoords.map((y) => y - 3.4), xcoords: b.xcoords.map((x) => x + 2.1) }); // biome-ignore format: one call
    await b.close();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is better than each scan alone (0.15 and 0.42), and leaves a folder and a product for each', async () => {
    const found = await reconstructScanWorkflow(request('whole', { product_file: at('p.h5') }));
    const npz = await openNpz(sharedFile('data/solvers/twoscans_64_a.npz'));
    const truth = (await npz.read('objectTrue')) as ComplexImage;
    await npz.close();
    const bounds = scanBounds(found.positions.xs, found.positions.ys);
    const { relative_object_error } = scoreAgainstTruth(found, truth, { bounds });
    // 100 epochs of solve come below 0.07: R, which says when to end, rests at the noise long before.
    expect(relative_object_error).toBeLessThan(0.13);
    const run = await runOf('whole');
    const [y, x] = run.scans[1].offset_yx_px;
    expect(Math.hypot(y - 3.4, x + 2.1)).toBeLessThan(0.4);
    expect(run.score.image).toBe(Math.max(...run.scans.map((one: { score: { image: number } }) => one.score.image)));
    const own = await readReconstruction(at('whole', 'scan_2', 'reconstruction.npz'));
    expect(own.image.shape).toEqual(found.image.shape);
    const products = await Promise.all([1, 2].map((s) => readProductFile(at(`p-${s}.h5`))));
    expect(products.map(({ positions }) => positions.indexes.length)).toEqual(run.scans.map(({ patterns }: { patterns: number }) => patterns)); // biome-ignore format: one call
    const page = await readFile(at('whole', 'index.html'), 'utf8');
    expect(page).toContain('px (x) off the first');
    expect(page).toMatch(/ptychopinn reconstruct \S*twoscans_64_a\.npz \S*b\.npz .*--share object/);
  });

  it('goes on where it was stopped, with the offsets that were found', async () => {
    const stop = new AbortController();
    let alone = 0;
    const onProgress = ({ stage, done }: { stage: string; done: number }) => {
      if (stage === 'solving alone') alone++;
      if (stage === 'solving' && done >= 9) stop.abort();
    };
    const first = await reconstructScanWorkflow(request('stopped'), { signal: stop.signal, onProgress });
    expect([first.cancelled, alone > 0]).toEqual([true, true]);
    alone = 0;
    const on = request('stopped', { resume: at('stopped') });
    const second = await reconstructScanWorkflow(on, { onProgress: ({ stage }) => void (stage === 'solving alone' && alone++) }); // biome-ignore format: one call
    expect([second.cancelled, alone]).toEqual([false, 0]);
    const whole = await runOf('whole');
    expect(second.rFactor).toBeCloseTo(whole.r_factor, 2);
    const offsets = await usingNpz(at('stopped', 'reconstruction.npz'), async (npz) => (await npz.readReal('scan_offsets_yx_px')).data); // biome-ignore format: one call
    for (const [k, v] of whole.scans[1].offset_yx_px.entries()) expect(Math.abs(offsets[2 + k] - v)).toBeLessThan(0.2);
    const other = request('stopped', { resume: at('stopped'), share: 'probe' });
    await expect(reconstructScanWorkflow(other)).rejects.toThrow(/share is "probe", but the run in/);
  });
});
