/** What the benchmarks of devices run: the published default network's training step and prediction, and an epoch of a solver. */

const BATCH = 16;

/** The published default network of this side (n_filters_scale 2), from the build in `dist` (an URL that ends with a slash). */
async function networkOf(dist, N) {
  const { PtychoNetwork } = await import(`${dist}model/network.js`);
  const { modelConfigSchema } = await import(`${dist}config/schema.js`);
  const probe = { re: new Float32Array(N * N), im: new Float32Array(N * N), shape: [N, N] };
  for (let i = 0; i < N * N; i++) {
    const r2 = (Math.floor(i / N) - N / 2) ** 2 + ((i % N) - N / 2) ** 2;
    probe.re[i] = 20 * Math.exp(-r2 / 128) * Math.cos(0.01 * r2);
    probe.im[i] = 20 * Math.exp(-r2 / 128) * Math.sin(0.01 * r2);
  }
  return new PtychoNetwork({
    // Spelt out: defaults change, and a build is compared with another one and with PyTorch.
    config: modelConfigSchema.parse({ N, n_filters_scale: 2, probe_big: true, pad_object: true }),
    scale: { intensityScale: 10, meanCounts: 1e5, probe, probeFactor: 1, amplitudeGauge: 2 },
    canvasSide_px: N,
    meanAmplitude: 0.3,
    nll_weight: 1,
    mae_weight: 0,
    intensity_scale_trainable: true,
  });
}

/** Steps and predictions of `BATCH` patterns on a backend, compiled: `{ batch, train(), predict(), dispose() }`. */
export async function networkWork(dist, backend, N) {
  const network = await networkOf(dist, N);
  const data = new Float32Array(BATCH * N * N).map((_, i) => Math.abs(Math.sin(i * 12.9898) * 0.9));
  const feeds = {
    input: { data, shape: [BATCH, 1, N, N] },
    input_positions: { data: new Float32Array(BATCH * 2), shape: [BATCH, 1, 1, 2] },
  };
  const rate = { data: Float32Array.of(1e-4), shape: [] };
  const weights = network.initialWeights(0);
  const step = await backend.compile(network.trainStep(BATCH));
  const predictor = await backend.compile(network.predict(BATCH), { constants: weights });
  const state = await backend.createState({ ...weights, ...network.initialOptimiserState() });
  return {
    batch: BATCH,
    train: () => step.run({ ...feeds, learning_rate: rate }, state),
    predict: () => predictor.run(feeds),
    async dispose() {
      for (const part of [state, step, predictor]) await part.dispose();
    },
  };
}

/** A pass of rPIE over 256 patterns: `{ positions, epoch(), close() }`. */
export async function solverWork(dist, backend, N) {
  const { ProgramPasses } = await import(`${dist}solvers/program/programPasses.js`);
  const { LegacyRng } = await import(`${dist}core/rng.js`);
  const rng = new LegacyRng(1);
  const count = 256;
  const [height, width] = [N + 80, N + 96];
  const shared = (Kind, length) => new Kind(new SharedArrayBuffer(Kind.BYTES_PER_ELEMENT * length));
  const amplitudes = shared(Float32Array, count * N * N).map(() => 10 * rng.random());
  const [ys, xs] = [shared(Float64Array, count), shared(Float64Array, count)];
  for (let k = 0; k < count; k++) {
    ys[k] = N / 2 + 2 + 74 * rng.random();
    xs[k] = N / 2 + 2 + 90 * rng.random();
  }
  const scan = { N, count, amplitudes, ys, xs };
  const passes = await ProgramPasses.open({
    scan,
    sizes: { modes: 1, height, width },
    storeWaves: false,
    floor: 1e-5,
    backend,
  });
  const { object, probe } = passes.memory;
  object.re.fill(1);
  for (const part of [probe.re, probe.im]) for (let i = 0; i < part.length; i++) part[i] = rng.normal();
  const all = Int32Array.from({ length: count }, (_, k) => k);
  return {
    positions: count,
    epoch: () => passes.pass(all, { wave: 'amplitude', object: true, probe: true }),
    close: () => passes.close(),
  };
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
