/** Solvers and networks hand each other images and probes; what a solver writes is taken by everything that takes images. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InferenceConfig, inferenceConfigSchema } from '../../src/config/schema.js';
import { comparisonConfigSchema } from '../../src/config/schemas/comparison.js';
import { parseStudy } from '../../src/config/schemas/study.js';
import { openDataset } from '../../src/data/openDataset.js';
import { openNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { reconstructStream } from '../../src/reconstruction/pipeline.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { ARM_SOURCES, armSourceOf } from '../../src/study/arms.js';
import { compareModels } from '../../src/workflows/compare.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { reconstruct } from '../../src/workflows/reconstruct.js';
import { solveWorkflow } from '../../src/workflows/solve.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { cli } from '../cli/capture.js';
import { writeNetworkBundle } from '../support/networkBundle.js';
import { solveRequest, writeSolverScan } from '../support/solverScan.js';
import { tinyRequest } from '../support/tinyRun.js';

let folder: string;
let scan: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const solveInto = (name: string, over: Record<string, unknown> = {}) =>
  solveWorkflow(solveRequest(scan, at(name), over));
const inferConfig = (name: string, over: Record<string, unknown> = {}) =>
  inferenceConfigSchema.parse({
    model_path: at('net.zip'),
    test_data_file: scan,
    output_dir: at(name),
    overwrite: true,
    execution: { accelerator: 'cpu', threads: 1 },
    ...over,
  }) as InferenceConfig;
const runOf = async (name: string) => JSON.parse(await readFile(at(name, 'run.json'), 'utf8'));

/** R of the cold start, and of what twelve epochs come to. */
let cold: number;
let done: number;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-together-'));
  scan = at('scan.npz');
  await writeSolverScan(scan);
  await writeNetworkBundle(at('net.zip'));
  const { rFactor, rFactorStart } = await solveInto('solved', { epochs: 12, product_file: at('solved.npz') });
  [cold, done] = [rFactorStart, rFactor];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('solve --init', () => {
  it.each([
    ['reconstruction.npz', () => at('solved', 'reconstruction.npz')],
    ['FILE:key', () => `${at('solved', 'reconstruction.npz')}:reconstructed_object`],
    ['the folder of a run', () => at('solved')],
    ['a product', () => at('solved.npz')],
  ])('%s: begins where the image is', async (_, init) => {
    const { rFactorStart, rFactor } = await solveInto('again', { init: init(), algorithm: 'lsqml', epochs: 1 });
    expect(Math.abs(rFactorStart - done)).toBeLessThan(0.03 * (cold - done));
    expect(rFactor).toBeLessThan(rFactorStart);
  });

  it('a bundle: the network reconstructs the scan first', async () => {
    const stages = new Set<string>();
    const config = solveRequest(scan, at('warm'), { init: at('net.zip'), epochs: 1 });
    const { rFactorStart } = await solveWorkflow(config, { onProgress: ({ stage }) => stages.add(stage) });
    expect([...stages]).toEqual(['reconstructing', 'reading', 'solving']);
    // The image of an untrained network is worse than an empty object; a rate of its own shows that it was begun with.
    const refined = await inferWorkflow(inferConfig('warm_infer', { refine: 'rpie:1' }));
    expect(refined.solver?.rFactorBefore).toBeCloseTo(rFactorStart, 6);
    expect(rFactorStart).not.toBeCloseTo(cold, 3);
  });

  it('a probe that is named comes before the one beside the image', async () => {
    await writeSolverScan(at('other.npz'), { probe_diameter_px: 30 });
    const init = at('solved', 'reconstruction.npz');
    const { rFactorStart } = await solveInto('named', { init, epochs: 1, probe: `${at('other.npz')}:probeGuess` });
    expect(rFactorStart).toBeGreaterThan(1.5 * done);
  });

  it('says what is wrong with what is named', async () => {
    const message = (init: string, file = scan) =>
      solveWorkflow(solveRequest(file, at('none'), { init })).then(
        () => '',
        (error: Error) => error.message,
      );
    expect(await message(at('absent.zip'))).toMatch(/^There is no bundle .*absent\.zip/);
    expect(await message(at('absent.h5'))).toMatch(/absent\.h5/);
    await writeSolverScan(at('scan128.npz'), { N: 128, object_side_px: 140 });
    expect(await message(at('net.zip'), at('scan128.npz'))).toMatch(
      /patterns of 128×128 pixels, but .*net\.zip was trained on 64×64/,
    );
    expect(await message(at('solved'), at('scan128.npz'))).toMatch(/reconstructed_probe.*\(64, 64\)/);
  });
});

describe('infer --refine', () => {
  it('a solver goes on from the image and its numbers are told', async () => {
    const words = ['--model_path', at('net.zip'), '--test_data', scan, '--output_dir', at('refined')];
    const { code, out } = await cli('infer', ...words, '--refine', 'lsqml:8', '--threads', '1', '--accelerator', 'cpu');
    expect(code).toBe(0);
    expect(out).toMatch(
      /LSQML refined image and probe in 8 epochs: R-factor by its own model \d\S* before, \d\S* after\./,
    );
    const { solver, r_factor, config } = await runOf('refined');
    expect(config.refine).toBe('lsqml:8');
    expect(solver).toMatchObject({ algorithm: 'LSQML', epochs: 8, cancelled: false });
    expect(solver.r_factor_after).toBeLessThan(0.5 * solver.r_factor_before);
    // The scan's own forward model, another measure, agrees about the image and the probe that were written.
    expect(r_factor.image).toBeLessThan(1.5 * solver.r_factor_after);
    const npz = await openNpz(at('refined', 'reconstruction.npz'));
    try {
      expect((await npz.readComplex64('reconstructed_probe')).shape).toEqual([64, 64]);
      expect(npz.has('amplitude_uncertainty')).toBe(false);
      expect(await npz.read('algorithm')).toMatchObject({ strings: ['PtychoPINN cnn refined by LSQML'] });
    } finally {
      await npz.close();
    }
  });

  it('after positions were refined, at those', async () => {
    const { refinement, solver } = await inferWorkflow(
      inferConfig('both', { n_subsample: 25, refine: 'rpie:2', refine_positions: 1, position_step_limit_px: 2 }),
    );
    expect(refinement?.meanMove_px).toBeGreaterThan(0);
    const alone = await inferWorkflow(inferConfig('one', { n_subsample: 25, refine: 'rpie:2' }));
    expect(solver?.rFactor).not.toBe(alone.solver?.rFactor);
  });

  it('interrupted, keeps what the finished epochs made', async () => {
    const stop = new AbortController();
    const raw = await openDataset(scan);
    const onProgress = ({ stage, done }: { stage: string; done: number }) => {
      if (stage === 'solving' && done > 2 * raw.count) stop.abort();
    };
    const summary = await inferWorkflow(inferConfig('cut', { refine: 'rpie:5' }), { signal: stop.signal, onProgress });
    await raw.close();
    expect(summary).toMatchObject({ cancelled: true, solver: { epochs: 2 } });
    expect((await runOf('cut')).solver).toMatchObject({ cancelled: true, epochs: 2 });
  });

  it('in the library, where streams refuse it', async () => {
    const model = await PtychoModel.open(at('net.zip'), { execution: { accelerator: 'cpu', threads: 1 } });
    try {
      const { solver, stitched } = await reconstruct(model, scan, { refine: 'epie:3' });
      expect(solver?.solved.rFactor).toBeLessThan(solver?.rFactorBefore ?? 0);
      expect(stitched.image).toBe(solver?.solved.image);
      const stream = reconstructStream(model, scan, { refine: 'epie:3' } as object);
      await expect(stream.next()).rejects.toThrow('refine needs the whole scan');
    } finally {
      await model.dispose();
    }
    const wrong = await cli('infer', '--model_path', 'x', '--test_data', scan, '--refine', 'fast:3');
    expect(wrong).toMatchObject({ code: 2, err: expect.stringMatching(/^ptychopinn: refine must be algorithm:epochs, such as lsqml:20 /) }); // biome-ignore format: one line
  });
});

describe('what a solver made', () => {
  it('gives labels for supervised training', async () => {
    await writeSolverScan(at('wide.npz'), { object_side_px: 150, step_px: 11 });
    await solveWorkflow(solveRequest(at('wide.npz'), at('wide'), { epochs: 10 }));
    const given = ['--reconstruction', at('wide', 'reconstruction.npz'), '--output_file', at('labelled.npz')];
    const { code, out } = await cli('label', at('wide.npz'), ...given);
    expect([code, out]).toEqual([0, expect.stringMatching(/\d+ patterns with labels/)]);
    const raw = await openDataset(at('labelled.npz'));
    try {
      expect(raw.count).toBeGreaterThan(5);
      expect(raw.labels?.count).toBe(raw.count);
    } finally {
      await raw.close();
    }
  });

  it('gives training its probe, all modes of it', async () => {
    await solveInto('modes', { probe_modes: 2, epochs: 4 });
    const probe = `${at('modes', 'reconstruction.npz')}:reconstructed_probe`;
    await trainWorkflow(tinyRequest(scan, at('trained'), { probe, nepochs: 1 }));
    const bundle = await openBundle(at('trained'));
    expect(bundle.probe.shape).toEqual([2, 64, 64]);
  });

  it('is an arm of a comparison under its own name', async () => {
    const config = comparisonConfigSchema.parse({
      arms: [at('solved', 'reconstruction.npz')],
      test_data_file: scan,
      output_dir: at('compared'),
      execution: { accelerator: 'cpu', threads: 1 },
    });
    const { models } = await compareModels(config as Parameters<typeof compareModels>[0]);
    expect(models.map(({ name }) => name)).toEqual(['rPIE']);
    expect(models[0].reference?.ms_ssim.phase).toBeGreaterThan(0.8);
    expect(models[0].seconds).toBeGreaterThan(0);
    expect(models[0].warnings).toEqual([
      expect.stringMatching(/^R was measured with the probe that .* holds, not with that of the scan\.$/),
    ]);
  });

  it('is an arm of a study, with what it was made of', async () => {
    const study = (options: object) => parseStudy({ iterative: { source: 'solve', options } }, 'study.yaml').iterative;
    const request = study({ algorithm: 'lsqml', epochs: 5 });
    if (!request) throw new Error('there is an arm');
    expect(request.name).toBe('LSQML');
    const source = armSourceOf(request, ARM_SOURCES);
    source.check?.(request, 'study.yaml');
    expect(() => source.check?.({ ...request, options: { epoch: 5 } }, 'study.yaml')).toThrow(
      'study.yaml, iterative.options: unknown key epoch; did you mean epochs?',
    );
    const job = { dose: 1e5, view: 'dense', split: 'test', seed: 3, outputFile: at('arm.npz') } as const;
    const outcome = await source.provide({ ...job, request, scanFile: scan }, {});
    expect(outcome).toMatchObject({
      facts: { options: { algorithm: 'lsqml', epochs: 5, seed: 3 }, epochs: 5, r_factor: expect.any(Number) },
    });
    const npz = await openNpz(at('arm.npz'));
    expect(npz.keys).toContain('reconstructed_probe');
    await npz.close();
    await writeSolverScan(at('apart.npz'), { step_px: 60, object_side_px: 320, probe_diameter_px: 12 });
    const apart = await source.provide({ ...job, request, scanFile: at('apart.npz') }, {});
    expect(apart).toMatchObject({ skipped: expect.stringMatching(/share no light/) });
  });

  it('is exported as a product from its folder, too', async () => {
    const { code } = await cli('product', 'export', at('solved'), '--output_file', at('exported.npz'), '--quiet');
    expect(code).toBe(0);
    const [direct, exported] = [await readProductFile(at('solved.npz')), await readProductFile(at('exported.npz'))];
    expect(exported.object).toEqual(direct.object);
    expect(exported.probe).toEqual(direct.probe);
    expect(exported.positions).toEqual(direct.positions);
    expect(exported.losses).toEqual(direct.losses);
  });
});
