/**
 * The WebGPU execution provider on a software adapter: every program stays on the device, and computes what the CPU computes. A part of it
 * with PTYCHOPINN_SLOW_SAMPLE=1.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { rulesOf } from '../../src/backends/onnx/accelerators.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { Engine, ioOf } from '../../src/backends/onnx/engine.js';
import { inferenceConfigSchema } from '../../src/config/schema.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';
import { ImagePrior } from '../../src/model/imagePrior.js';
import { type NetworkSpec, PtychoNetwork } from '../../src/model/network.js';
import { objectStepProgram, positionFitProgram } from '../../src/model/positionFit.js';
import { optimiserDefaults } from '../../src/model/trainingSteps.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { HostPasses } from '../../src/solvers/host/hostPasses.js';
import { bendsProgram, modelProgram } from '../../src/solvers/program/bendsProgram.js';
import { correlationsProgram, stretchesProgram } from '../../src/solvers/program/momentsProgram.js';
import {
  beamProductsProgram,
  beamSumsProgram,
  movesProgram,
  passProgram,
  planePassProgram,
  productsProgram,
} from '../../src/solvers/program/passProgram.js';
import { ProgramPasses } from '../../src/solvers/program/programPasses.js';
import type { PassSums } from '../../src/solvers/wavePasses.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { relativeErrors } from '../backends/backendParity.js';
import { BATCH, everyNetwork, optionsTogether, smallNetwork } from '../support/everyNetwork.js';
import { derivedOps, expectGradients } from '../support/gradientCases.js';
import { expectOp, opsWithCases } from '../support/opCases.js';
import { expectWholeRange } from '../support/rangeCases.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';
import { describeWebGpu } from '../support/softwareGpu.js';
import { solverProblem } from '../support/solverProblem.js';
import { begin, expectClose, planesOf } from '../support/solverRequests.js';
import { tinyRequest, writeTinyScan } from '../support/tinyRun.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
const small = smallNetwork('cnn');
const rate = (value: number): Tensor => ({ data: Float32Array.of(value), shape: [] });
type Named = Record<string, Tensor>;
type Simulated = ReturnType<typeof simulated>;

describeWebGpu('the commands with accelerator webgpu', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-webgpu-'));
    await writeTinyScan(path.join(folder, 'scan.npz'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.skipIf(sample).each(everyNetwork)('train and infer with %s', async (architecture, { model }) => {
    const at = (name: string) => path.join(folder, `${architecture}-${name}`);
    const [scan, run] = [path.join(folder, 'scan.npz'), at('run')];
    const execution = { accelerator: 'webgpu', threads: 1 };
    const weights = architecture === 'baseline' ? { nll_weight: 0, mae_weight: 0 } : {};
    await trainWorkflow(
      tinyRequest(scan, run, { model: { architecture, ...model }, ...weights, nepochs: 1, execution }),
    );
    const { backend } = JSON.parse(await readFile(path.join(run, 'run.json'), 'utf8'));
    expect(backend).toMatchObject({ device: 'webgpu', adapter: { software: true } });
    const images: Named[] = [];
    for (const accelerator of ['webgpu', 'cpu']) {
      const output_dir = at(accelerator);
      const request = { model_path: run, test_data_file: scan, output_dir, execution: { ...execution, accelerator } };
      await inferWorkflow(inferenceConfigSchema.parse(request));
      const { re, im, shape } = (await readReconstruction(path.join(output_dir, 'reconstruction.npz'))).image;
      images.push({ re: { data: Float32Array.from(re), shape }, im: { data: Float32Array.from(im), shape } });
    }
    expect(relativeErrors(images[0], images[1]).all).toBeLessThan(1e-4);
  });
});

/** Every program that is compiled on this backend has all its operators on the device, or is refused. */
const strictEngine = new URL('../support/strictEngine.mjs', import.meta.url).href;
const strictBackend = () => createOnnxBackend({ accelerator: 'webgpu', threads: 1, engineModule: strictEngine });

describeWebGpu('which operators fall back to the CPU', () => {
  let gpu: Backend;
  beforeAll(async () => {
    gpu = await strictBackend();
  });
  afterAll(() => gpu.dispose());

  type Build = (network: PtychoNetwork) => Program;
  const train: Build = (network) => network.trainStep(BATCH);
  const evaluate: Build = (network) => network.evaluate(BATCH);
  const predict: Build = (network) => network.predict(BATCH);
  const autoencode: Build = (network) => network.autoencode(BATCH);
  const calibrate: Build = (network) => network.calibrate(BATCH);
  const accumulate: Build = (network) => network.accumulateStep(BATCH);
  const apply: Build = (network) => network.applyStep();
  const withWeights = [predict, autoencode, calibrate];
  type More = Partial<NetworkSpec> | ((spec: NetworkSpec) => Partial<NetworkSpec>);
  const optimiser = (of: object): More => ({ optimiser: { ...optimiserDefaults, ...of } });
  const film = { probeConditioning: true } as const;
  const scans: More = ({ scale, meanAmplitude }) => ({
    scans: [0, 1].map((i) => ({ scale, meanAmplitude, inputFactor: 1 + i, badPixels: i ? holes : undefined })),
  });
  const holes = Array.from({ length: 256 }, (_, i) => (i % 7 ? 0 : 1));
  const modes: More = ({ scale: { probe, ...scale } }) => ({
    scale: { ...scale, probe: { re: twice(probe.re), im: twice(probe.im), shape: [2, ...probe.shape] } },
  });
  const twice = (x: Float32Array) => Float32Array.of(...x, ...x.map((v) => v / 3));

  it('is refused by this engine', async () => {
    const engine = new Engine();
    const { provider, lacking, ...rules } = rulesOf('webgpu');
    await engine.open({ module: strictEngine, providers: [provider, 'cpu'], threads: 1, ...rules });
    const program = defineProgram({ name: 'lacking', outputs: { y: op.sign(op.input('x', [3])) } });
    const compiled = (without: ReadonlySet<string>) =>
      engine.compile(encodeOnnx(program, { lacking: without }), 'extended', ioOf(program));
    await expect(compiled(new Set())).rejects.toThrow(/fallback/i);
    await engine.dropProgram(await compiled(lacking));
    await engine.close();
  });

  // What networks and their own options are made of is computed below.
  it.each<[string, Partial<SimulatedOptions>, readonly Build[], More?]>([
    ['the default', {}, [autoencode, accumulate, apply]],
    ['gridsize 2', { gridsize: 2 }, [evaluate, autoencode]],
    ['mean absolute error', { loss: 'mae' }, [train]],
    ['patterns scaled to the norm', { loss: 'mae' }, [train], { matchPredictedNorm: true }],
    ['AdamW', {}, [train], optimiser({ kind: 'adamw' })],
    ['moving averages', {}, [train, (n) => n.evaluate(BATCH, { averaged: true })], optimiser({ averaging: 0.99 })],
    ['gradient descent', {}, [train], optimiser({ kind: 'sgd', momentum: 0.9 })],
    ['limits of the norm', {}, [train], optimiser({ clip: { algorithm: 'norm', limit: 1 } })],
    ['limits of values', {}, [train], optimiser({ clip: { algorithm: 'value', limit: 1 } })],
    ['adaptive limits', {}, [train], optimiser({ clip: { algorithm: 'agc', limit: 1 } })],
    ['an encoder that stays', {}, [(n) => n.trainStep(BATCH, { frozen: true })]],
    ['shares of a batch', {}, [(n) => n.accumulateStep(1, { share: true }), (n) => n.spread(BATCH)]],
    ['a trained probe', {}, [train], { probe_trainable: true }],
    ['modes of the probe', {}, [train, autoencode], modes],
    ['a probe mask', {}, [train], { probeMask: holes.map((v) => 1 - v) }],
    ['moving positions', {}, [train], { position_trainable: true }],
    ['an input reference', {}, [train], { inputReference: 'mean', patternSpread: true }],
    ['a constant reference', {}, [train], { inputReference: 'constant' }],
    ['bad pixels', {}, [train], { badPixels: holes }],
    [
      'scaled parts',
      { model: { physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' } },
      [calibrate],
    ],
    ['stages', {}, [train], { staged: true }],
    ['losses of the object', {}, [train], { realspace_weight: 0.1, realspace_mae_weight: 1, tv_weight: 0.1 }],
    ['overlaps', { gridsize: 2 }, [train], { overlap_weight: 1, realspace_weight: 0.1 }],
    [
      'losses of amplitude and phase',
      {},
      [train],
      { amplitudeLoss: { kind: 'Total_Variation', weight: 1 }, phaseLoss: { kind: 'Mean_Deviation', weight: 1 } },
    ],
    [
      'inputs by group',
      { gridsize: 2 },
      [train, predict],
      { inputScaling: { normalize: 'Group', data_scaling: 'Max' } },
    ],
    ['inputs by scan', {}, [train, predict], { inputScaling: { normalize: 'None', data_scaling: 'Parseval' } }],
    ['several scans', {}, [train, evaluate], scans],
    ['several scans in groups', { gridsize: 2, model: { member_networks: 'shared' } }, [train], scans],
    ['a probe that is told', {}, [train, predict], film],
    ['it, with spectral layers', smallNetwork('hybrid_resnet'), [train, predict], film],
    ['it, of several scans', {}, [train], (spec) => ({ ...film, ...(scans as (of: NetworkSpec) => object)(spec) })],
  ])('none of %s', async (_, options, builds, more = {}) => {
    const { spec } = simulated({ ...small, ...options }).network;
    const network = new PtychoNetwork({ ...spec, ...(typeof more === 'function' ? more(spec) : more) });
    for (const build of builds) {
      const constants = withWeights.includes(build) ? network.initialWeights(1) : undefined;
      await (await gpu.compile(build(network), { constants })).dispose();
    }
  });

  it('none of fitted positions, and of a network that paints the image of a solver', async () => {
    const { probe } = simulated(small).network.spec.scale;
    const fit = { batch: 2, probe, gaussian_smoothing_sigma: 1, badPixels: holes };
    const prior = new ImagePrior({ height: 20, width: 24, channels: 4, seed: 0 });
    for (const program of [positionFitProgram(fit), objectStepProgram(fit), prior.image(), prior.step()]) {
      await (await gpu.compile(program)).dispose();
    }
  });

  it('none of a pass of a solver', async () => {
    const sizes = { batch: 3, N: 16, modes: 2 };
    const none = { keep: false, scaled: false, background: false, damp: false };
    const on = { object: true, probe: true, weighted: true, ...none };
    const off = { ...on, object: false, probe: false, weighted: false };
    const programs = [
      passProgram({ wave: 'amplitude', ...on, keep: true, scaled: true }, sizes, 1e-6),
      passProgram({ wave: 'poisson', ...on }, sizes, 1e-6),
      passProgram({ wave: 'likelihood', ...on }, sizes, 1e-6),
      passProgram({ wave: 'difference', ...on }, sizes, 1e-6),
      passProgram({ wave: 'stored', ...on }, sizes, 1e-6),
      passProgram({ wave: 'measure', ...off }, sizes, 1e-6),
      passProgram({ wave: 'store', ...off }, sizes, 1e-6),
      passProgram({ wave: 'amplitude', ...on, background: true }, { ...sizes, background: 16, spread: 1 }, 1e-6),
      planePassProgram({ wave: 'amplitude', ...on }, sizes, { height: 40, width: 36 }, 1e-6),
      planePassProgram({ wave: 'difference', ...on }, sizes, { height: 40, width: 36 }, 1e-6),
      productsProgram(sizes),
      movesProgram(sizes),
      beamProductsProgram({ ...sizes, coherent: 2 }),
      beamSumsProgram({ ...sizes, coherent: 2 }),
      correlationsProgram(sizes),
      stretchesProgram(sizes),
      modelProgram(sizes),
      bendsProgram(sizes, 1, 1e-6),
      bendsProgram(sizes, 2, 1e-6, 'poisson'),
    ];
    for (const program of programs) await (await gpu.compile(program)).dispose();
  });
});

describeWebGpu('WebGPU beside the CPU', () => {
  let backends: { readonly cpu: Backend; readonly gpu: Backend };
  beforeAll(async () => {
    backends = {
      cpu: await createOnnxBackend({ accelerator: 'cpu', threads: 1 }),
      gpu: await strictBackend(),
    };
  });
  afterAll(async () => {
    await backends.cpu.dispose();
    await backends.gpu.dispose();
  });

  it('says on what it runs', () => {
    const { device, adapter } = backends.gpu.info;
    expect(device).toBe('webgpu');
    expect(adapter).toMatchObject({ name: expect.any(String), software: expect.any(Boolean) });
  });

  /** Weights, gradients and losses of single steps of both, each from the CPU's state. */
  async function singleSteps({ network, feeds, labels }: Simulated, count: number) {
    const { cpu, gpu } = backends;
    const program = network.trainStep(BATCH);
    const [onCpu, onGpu] = [await cpu.compile(program), await gpu.compile(program)];
    const initial = { ...network.initialWeights(3), ...network.initialOptimiserState() };
    const [there, here] = [await gpu.createState(initial), await cpu.createState(initial)];
    const trained = network.parameters.filter(({ fixed }) => !fixed);
    let before = await here.read();
    const steps = [];
    for (let i = 0; i < count; i++) {
      const seed = i % 3;
      const batch = { ...feeds(seed), ...(network.needsLabels ? labels(seed) : {}), learning_rate: rate(3e-4) };
      const losses = [await onGpu.run(batch, there), await onCpu.run(batch, here)];
      const [found, expected] = [await there.read(), await here.read()];
      const changes = (of: Named, prefix: string, name: string, kept: number): Tensor => ({
        data: of[prefix + name].data.map((v, k) => v - kept * before[prefix + name].data[k]),
        shape: of[prefix + name].shape,
      });
      // Of Adam's first moments: m′ − β₁m = (1 − β₁)g.
      const gradients = (of: Named) =>
        Object.fromEntries(trained.map(({ name }) => [name, changes(of, 'adam.m/', name, 0.9)]));
      const [foundGradients, gradient] = [gradients(found), gradients(expected)];
      const squares = Object.values(gradient).flatMap(({ data }) => Array.from(data, (v) => v * v));
      const least = 1e-3 * Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length);
      // Adam makes steps of one size of any gradient: of one that is 0 but for rounding (a bias before a normalisation) it tells the sign.
      const updates = (of: Named) =>
        Object.fromEntries(
          network.parameters.map(({ name }) => {
            const { data, shape } = changes(of, '', name, 1);
            return [
              name,
              { data: data.map((v, k) => (Math.abs(gradient[name]?.data[k] ?? 1) > least ? v : 0)), shape },
            ];
          }),
        );
      steps.push({
        loss: Math.abs(losses[0].loss.data[0] / losses[1].loss.data[0] - 1),
        // Statistics of batches, too.
        update: relativeErrors(updates(found), updates(expected)).all,
        gradient: relativeErrors(foundGradients, gradient).all,
      });
      before = expected;
      await there.write(expected);
    }
    for (const part of [onCpu, onGpu, here, there]) await part.dispose();
    return steps;
  }

  async function expectSameSteps(of: Simulated, count: number): Promise<void> {
    for (const [i, { loss, gradient, update }] of (await singleSteps(of, count)).entries()) {
      expect(loss, `loss of step ${i}`).toBeLessThan(1e-4);
      expect(gradient, `gradient of step ${i}`).toBeLessThan(1e-3);
      expect(update, `update of step ${i}`).toBeLessThan(1e-3);
    }
  }

  async function expectSamePrediction({ network, feeds }: Simulated): Promise<void> {
    const predictions: Named[] = [];
    for (const backend of [backends.gpu, backends.cpu]) {
      const predict = await backend.compile(network.predict(BATCH), { constants: network.initialWeights(3) });
      predictions.push(await predict.run(feeds(5)));
      await predict.dispose();
    }
    expect(relativeErrors(predictions[0], predictions[1]).all).toBeLessThan(1e-4);
  }

  describe.each([1, 2] as const)('gridsize %i', (gridsize) => {
    const of = simulated({ ...small, gridsize });
    const { network, feeds } = of;

    it('predicts the same', () => expectSamePrediction(of));

    it(`has the same losses, gradients and updates in ${sample ? 2 : 20} steps from the same state`, () =>
      expectSameSteps(of, sample ? 2 : 20));

    it.skipIf(sample)('stays within 2 % of the losses over 20 chained steps', async () => {
      const losses: number[][] = [];
      for (const backend of [backends.gpu, backends.cpu]) {
        const step = await backend.compile(network.trainStep(BATCH));
        const state = await backend.createState({ ...network.initialWeights(3), ...network.initialOptimiserState() });
        const own: number[] = [];
        for (let i = 0; i < 20; i++) {
          const batch = { ...feeds(i % 3), learning_rate: rate(3e-4) };
          own.push((await step.run(batch, state)).loss.data[0]);
        }
        losses.push(own);
        await state.dispose();
        await step.dispose();
      }
      losses[1].forEach((expected, i) => {
        expect(Math.abs(losses[0][i] / expected - 1), `loss of step ${i}`).toBeLessThan(0.02);
      });
    });
  });

  // The first one is watched above.
  it.each(everyNetwork.slice(1))('%s: the same prediction, losses, gradients and updates', async (_, options) => {
    const of = simulated(options);
    await expectSamePrediction(of);
    await expectSameSteps(of, sample ? 1 : 5);
  });

  it.each(sample ? [] : optionsTogether())('%s: the same', async (_, options) => {
    const of = simulated(options);
    await expectSamePrediction(of);
    await expectSameSteps(of, 2);
  });

  it.each(derivedOps)('the gradient of %s', async (name, list) => {
    await expectGradients(backends.gpu, name, list, 1e-5);
  });

  // Convolutions of large images take the interpreter long; small ones are in their gradients, above.
  const others = opsWithCases.filter(([name]) => !/conv2d/i.test(name));
  it.skipIf(sample).each(others)('%s', async (name, list) => {
    await expectOp(backends.gpu, name, list);
  });

  it('functions are right for every number, large, small and far below 0', async () => {
    await expectWholeRange(backends.gpu, true);
  });

  it.each([true, false])('sums a pass of a solver as the host does, planes kept there: %s', async (planes) => {
    const problem = solverProblem(16, 1, 7);
    const { scan, sizes, floor } = problem;
    const common = { scan, sizes, floor, storeWaves: false };
    const engines = [
      await ProgramPasses.open({ ...common, backend: backends.gpu, batch: 2, planes }),
      await HostPasses.open({ ...common, threads: 1, keep: 0 }),
    ] as const;
    const batch = Int32Array.of(4, 0, 2, 1, 6);
    const request = { wave: 'amplitude', object: true, probe: true } as const;
    const sums: PassSums[] = [];
    for (const engine of engines) {
      begin(problem, engine);
      sums.push(await engine.pass(batch, request));
    }
    expectClose([sums[0].square], [sums[1].square], 1e-4, 'square');
    planesOf(engines[0]).forEach((plane, i) => {
      expectClose(plane, planesOf(engines[1])[i], 1e-4, `plane ${i}`);
    });
    if (planes) {
      // Up: object and probe, sums that begin at 0, and what belongs to six patterns; down: sums once, and three lines of each run.
      const [N, count] = [16, 6];
      const before = await backends.gpu.transfers!();
      await engines[0].pass(batch, request);
      const after = await backends.gpu.transfers!();
      const objects = sizes.height * sizes.width;
      expect(after.toEngine - before.toEngine).toBe(4 * (5 * objects + 5 * N * N + count * (N * N + 2 * N + 2)));
      expect(after.fromEngine - before.fromEngine).toBe(4 * (3 * objects + 3 * N * N + count * 3 * N));
    }
    for (const engine of engines) await engine.close();
  });

  it('keeps state on the device: a step takes the batch up and scalars down', async () => {
    const { network, feeds } = simulated(small);
    const batch = { ...feeds(), learning_rate: rate(3e-4) };
    const program = network.trainStep(BATCH);
    const bytes = (shapes: Iterable<{ readonly shape: readonly number[] }>) =>
      [...shapes].reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
    const step = await backends.gpu.compile(program);
    const state = await backends.gpu.createState({ ...network.initialWeights(3), ...network.initialOptimiserState() });
    await step.run(batch, state);
    const before = await backends.gpu.transfers!();
    await step.run(batch, state);
    const after = await backends.gpu.transfers!();
    expect(after.toEngine - before.toEngine).toBe(bytes(program.inputs.values()));
    expect(after.fromEngine - before.fromEngine).toBe(bytes(program.outputs.values()));
    expect([...program.outputs.values()].every(({ shape }) => sizeOf(shape) === 1)).toBe(true);
    // Reading takes down what is read, once.
    const [name] = network.parameters.map((p) => p.name);
    const { [name]: value } = await state.read([name]);
    expect((await backends.gpu.transfers!()).fromEngine - after.fromEngine).toBe(4 * value.data.length);
    await state.dispose();
    await step.dispose();
  });

  it('does not grow in 200 steps', async () => {
    // A megabyte of state: kept once more at every step it would be 200.
    const shape = [512, 512];
    const w = op.state('w', shape);
    const updates = { w: op.add(op.mul(w, 0.5), op.input('x', [512])) };
    const step = await backends.gpu.compile(
      defineProgram({ name: 'grow', outputs: { mean: op.reduceMean(w) }, updates }),
    );
    const state = await backends.gpu.createState({ w: { data: new Float32Array(512 * 512), shape } });
    const fed = { x: { data: new Float32Array(512).fill(1), shape: [512] } };
    const steps = async (count: number) => {
      for (let i = 0; i < count; i++) await step.run(fed, state);
    };
    // SwiftShader's device memory is that of the process.
    await steps(30);
    const before = process.memoryUsage.rss();
    await steps(200);
    expect(process.memoryUsage.rss() - before).toBeLessThan(60 * 2 ** 20);
    expect((await state.read()).w.data[0]).toBeCloseTo(2);
    await state.dispose();
    await step.dispose();
  });
});
