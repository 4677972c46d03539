/**
 * The WebGPU execution provider on a software adapter: every program stays on the device, and computes what the CPU computes. A part of it
 * with PTYCHOPINN_SLOW_SAMPLE=1.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { rulesOf } from '../../src/backends/onnx/accelerators.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { Engine, ioOf } from '../../src/backends/onnx/engine.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';
import type { PtychoNetwork } from '../../src/model/network.js';
import { optimiserDefaults } from '../../src/model/trainingSteps.js';
import { ARCHITECTURES, architecturesWith } from '../../src/networks/architectures.js';
import { HostPasses } from '../../src/solvers/host/hostPasses.js';
import { movesProgram, passProgram, planePassProgram, productsProgram } from '../../src/solvers/program/passProgram.js';
import { ProgramPasses } from '../../src/solvers/program/programPasses.js';
import type { PassSums } from '../../src/solvers/wavePasses.js';
import { relativeErrors } from '../backends/backendParity.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';
import { describeWebGpu } from '../support/softwareGpu.js';
import { solverProblem } from '../support/solverProblem.js';
import { begin, expectClose, planesOf } from '../support/solverRequests.js';
import { SMALL_SPECTRAL } from '../support/trainAndInfer.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
const BATCH = 2;
const small = { N: 16, gridsize: 1, architecture: 'cnn', loss: 'nll', n_filters_scale: 1, batch: BATCH } as const;
const SPECTRAL = ARCHITECTURES.filter((name) => architecturesWith('fno_modes').includes(name));
const rate = (value: number): Tensor => ({ data: Float32Array.of(value), shape: [] });
type Named = Record<string, Tensor>;

describeWebGpu('which operators fall back to the CPU', () => {
  let engine: Engine;
  const { provider, lacking } = rulesOf('webgpu');
  beforeAll(async () => {
    engine = new Engine();
    // A session with an operator that the provider does not take is refused then.
    const options = { extra: { session: { disable_cpu_ep_fallback: '1' } }, logSeverityLevel: 4 };
    await engine.open({ module: 'onnxruntime-node', providers: [provider], threads: 1, resident: true, options });
  });
  afterAll(() => engine.close());

  type Kind = 'train' | 'evaluate' | 'predict' | 'autoencode' | 'accumulate' | 'apply' | 'calibrate';
  const build: Readonly<Record<Kind, (network: PtychoNetwork) => Program>> = {
    train: (network) => network.trainStep(BATCH),
    evaluate: (network) => network.evaluate(BATCH),
    predict: (network) => network.predict(BATCH),
    autoencode: (network) => network.autoencode(BATCH),
    accumulate: (network) => network.accumulateStep(BATCH),
    apply: (network) => network.applyStep(),
    calibrate: (network) => network.calibrate(BATCH),
  };
  const withWeights: readonly Kind[] = ['predict', 'autoencode', 'calibrate'];
  const optimiser = (of: object) => ({ spec: { optimiser: { ...optimiserDefaults, ...of } } });

  it.each<[string, Partial<SimulatedOptions>, readonly Kind[]]>([
    ['the default', {}, ['train', 'evaluate', 'predict', 'autoencode', 'accumulate', 'apply']],
    ['gridsize 2', { gridsize: 2 }, ['train', 'evaluate', 'predict', 'autoencode']],
    ['attention', { architecture: 'cnn_cbam' }, ['train', 'predict']],
    ['labels', { architecture: 'baseline', loss: 'mae', model: { model_type: 'supervised' } }, ['train', 'predict']],
    ...SPECTRAL.map((architecture): [string, Partial<SimulatedOptions>, readonly Kind[]] => [
      architecture,
      { architecture, model: SMALL_SPECTRAL },
      ['train', 'evaluate', 'predict'],
    ]),
    [
      'the options of hybrid_resnet',
      {
        architecture: 'hybrid_resnet',
        model: {
          ...SMALL_SPECTRAL,
          hybrid_downsample_op: 'blurpool_conv',
          hybrid_skip_connections: true,
          fno_input_transform: 'log1p',
          generator_output_mode: 'amp_phase',
        },
      },
      ['train'],
    ],
    ['mean absolute error', { loss: 'mae' }, ['train']],
    ['AdamW', optimiser({ kind: 'adamw', averaging: 0.99 }), ['train']],
    ['gradient descent', optimiser({ kind: 'sgd', momentum: 0.9 }), ['train']],
    ['limits of the norm', optimiser({ clip: { algorithm: 'norm', limit: 1 } }), ['train']],
    ['limits of values', optimiser({ clip: { algorithm: 'value', limit: 1 } }), ['train']],
    ['adaptive limits', optimiser({ clip: { algorithm: 'agc', limit: 1 } }), ['train']],
    ['a trained probe', { spec: { probe_trainable: true } }, ['train']],
    ['moving positions', { spec: { position_trainable: true } }, ['train']],
    ['an input reference', { spec: { inputReference: 'mean', patternSpread: true } }, ['train']],
    ['bad pixels', { spec: { badPixels: Array.from({ length: 256 }, (_, i) => i % 7) } }, ['train']],
    ['a smooth detector', { model: { gaussian_smoothing_sigma: 1 } }, ['train']],
    [
      'scaled parts',
      { model: { physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' } },
      ['train', 'calibrate'],
    ],
    ['stages', { spec: { staged: true } }, ['train']],
    ['a wide probe', { model: { probe_big: true } }, ['train']],
    ['a whole object', { model: { pad_object: false } }, ['train']],
    ['losses of the object', { spec: { realspace_weight: 0.1, realspace_mae_weight: 1, tv_weight: 0.1 } }, ['train']],
  ])('none of %s', async (_, options, kinds) => {
    const { network } = simulated({ ...small, ...options });
    for (const kind of kinds) {
      const constants = withWeights.includes(kind) ? network.initialWeights(1) : undefined;
      const program = build[kind](network);
      const id = await engine.compile(
        encodeOnnx(program, { constants, lacking }),
        'extended',
        ioOf(program, constants),
      );
      await engine.dropProgram(id);
    }
  });

  it('none of a pass of a solver', async () => {
    const sizes = { batch: 3, N: 16, modes: 2 };
    const none = { keep: false, scaled: false, background: false };
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
      planePassProgram({ wave: 'amplitude', ...on }, sizes, { height: 40, width: 36 }, 1e-6),
      planePassProgram({ wave: 'difference', ...on }, sizes, { height: 40, width: 36 }, 1e-6),
      productsProgram(sizes),
      movesProgram(sizes),
    ];
    for (const program of programs) {
      await engine.dropProgram(await engine.compile(encodeOnnx(program, { lacking }), 'extended', ioOf(program)));
    }
  });
});

describeWebGpu('WebGPU beside the CPU', () => {
  let backends: { readonly cpu: Backend; readonly gpu: Backend };
  beforeAll(async () => {
    backends = {
      cpu: await createOnnxBackend({ accelerator: 'cpu', threads: 1 }),
      gpu: await createOnnxBackend({ accelerator: 'webgpu', threads: 1 }),
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

  describe.each([1, 2] as const)('gridsize %i', (gridsize) => {
    const { network, feeds } = simulated({ ...small, gridsize });
    const initial = (): Named => ({ ...network.initialWeights(3), ...network.initialOptimiserState() });
    const names = network.parameters.map(({ name }) => name);
    const batches = [0, 1, 2].map((seed) => ({ ...feeds(seed), learning_rate: rate(3e-4) }));

    /** Weights, gradients and losses of single steps, each from the CPU's state. */
    async function singleSteps(count: number) {
      const program = network.trainStep(BATCH);
      const [onCpu, onGpu] = [await backends.cpu.compile(program), await backends.gpu.compile(program)];
      const [cpu, gpu] = [await backends.cpu.createState(initial()), await backends.gpu.createState(initial())];
      let before = await cpu.read();
      const steps = [];
      for (let i = 0; i < count; i++) {
        const losses = [await onGpu.run(batches[i % 3], gpu), await onCpu.run(batches[i % 3], cpu)];
        const [found, expected] = [await gpu.read(), await cpu.read()];
        const changes = (of: Named, name: string, kept: number) => ({
          data: of[name].data.map((v, k) => v - kept * before[name].data[k]),
          shape: of[name].shape,
        });
        const all = (of: Named, prefix: string, kept: number): Named =>
          Object.fromEntries(names.map((name) => [name, changes(of, `${prefix}${name}`, kept)]));
        steps.push({
          loss: Math.abs(losses[0].loss.data[0] / losses[1].loss.data[0] - 1),
          update: relativeErrors(all(found, '', 1), all(expected, '', 1)).all,
          // Of Adam's first moments: m′ − β₁m = (1 − β₁)g.
          gradient: relativeErrors(all(found, 'adam.m/', 0.9), all(expected, 'adam.m/', 0.9)).all,
        });
        before = expected;
        await gpu.write(expected);
      }
      for (const part of [onCpu, onGpu, cpu, gpu]) await part.dispose();
      return steps;
    }

    it('predicts the same', async () => {
      const weights = network.initialWeights(3);
      const predictions: Named[] = [];
      for (const backend of [backends.gpu, backends.cpu]) {
        const predict = await backend.compile(network.predict(BATCH), { constants: weights });
        predictions.push(await predict.run(feeds(5)));
        await predict.dispose();
      }
      expect(relativeErrors(predictions[0], predictions[1]).all).toBeLessThan(1e-4);
    });

    it(`has the same losses, gradients and updates in ${sample ? 2 : 20} steps from the same state`, async () => {
      for (const [i, { loss, gradient, update }] of (await singleSteps(sample ? 2 : 20)).entries()) {
        expect(loss, `loss of step ${i}`).toBeLessThan(1e-4);
        expect(gradient, `gradient of step ${i}`).toBeLessThan(1e-3);
        expect(update, `update of step ${i}`).toBeLessThan(1e-3);
      }
    });

    it.skipIf(sample)('stays within 2 % of the losses over 20 chained steps', async () => {
      const losses: number[][] = [];
      for (const backend of [backends.gpu, backends.cpu]) {
        const step = await backend.compile(network.trainStep(BATCH));
        const state = await backend.createState(initial());
        const own: number[] = [];
        for (let i = 0; i < 20; i++) own.push((await step.run(batches[i % 3], state)).loss.data[0]);
        losses.push(own);
        await state.dispose();
        await step.dispose();
      }
      losses[1].forEach((expected, i) => {
        expect(Math.abs(losses[0][i] / expected - 1), `loss of step ${i}`).toBeLessThan(0.02);
      });
    });
  });

  it.each(SPECTRAL)('%s: the same prediction, loss, gradients and update', async (architecture) => {
    const { network, feeds } = simulated({ ...small, architecture, model: SMALL_SPECTRAL });
    const names = network.parameters.map(({ name }) => name);
    const found: { prediction: Named; loss: number; gradients: Named; weights: Named }[] = [];
    for (const backend of [backends.gpu, backends.cpu]) {
      const weights = network.initialWeights(3);
      const predict = await backend.compile(network.predict(BATCH), { constants: weights });
      const prediction = await predict.run(feeds(5));
      const step = await backend.compile(network.trainStep(BATCH));
      const state = await backend.createState({ ...weights, ...network.initialOptimiserState() });
      const { loss } = await step.run({ ...feeds(), learning_rate: rate(3e-4) }, state);
      const after = await state.read();
      const of = (prefix: string) => Object.fromEntries(names.map((name) => [name, after[`${prefix}${name}`]]));
      found.push({ prediction, loss: loss.data[0], gradients: of('adam.m/'), weights: of('') });
      for (const part of [predict, step, state]) await part.dispose();
    }
    const [gpu, cpu] = found;
    expect(relativeErrors(gpu.prediction, cpu.prediction).all).toBeLessThan(1e-4);
    expect(gpu.loss / cpu.loss).toBeCloseTo(1, 4);
    expect(relativeErrors(gpu.gradients, cpu.gradients).all).toBeLessThan(1e-3);
    expect(relativeErrors(gpu.weights, cpu.weights).all).toBeLessThan(1e-3);
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
