/** Every option of the solvers does what it says, and failures are said. */
import { describe, expect, it } from 'vitest';
import { type SolverOptions, solverFields } from '../../src/config/schemas/solver.js';
import type { ComplexTensor } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { totalIntensity } from '../../src/physics/probe.js';
import { frameOfObject } from '../../src/reconstruction/frame.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulate } from '../../src/simulation/recipe.js';
import { rawDataFromSimulation, simulateScan } from '../../src/simulation/simulateScan.js';
import { runSolver } from '../../src/solvers/run.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverSnapshot, SolverUpdate } from '../../src/solvers/updates.js';
import { modePowers, totalVariation } from '../support/reference/fields.js';

const N = 16;
const AREA = N * N;
const truth = makeObject('lines', { rows: 40, cols: 48, seed: 4 });
const beam = makeProbe('structured', { side: N, diameter: 7, comaRad: 1 });
// 5 × 6 positions, 3 px apart, off the whole pixels.
const xs = Float64Array.from({ length: 30 }, (_, k) => 12.3 + 3.1 * (k % 6));
const ys = Float64Array.from({ length: 30 }, (_, k) => 10.6 + 3.1 * Math.floor(k / 6));
const measured = simulateScan({ object: truth, probe: beam, xs, ys, photons: 1e5, seed: 2 });

const scan = (changes: Partial<Parameters<typeof rawDataFromArrays>[0]> = {}) =>
  rawDataFromArrays({
    diffraction: measured.diffraction,
    xcoords: xs,
    ycoords: ys,
    probeGuess: measured.probeGuess,
    measurement_domain: 'count_amplitude',
    source: 'scan.npz',
    geometry: { energy_eV: 8000, objectPixel_m: { x: 1e-8, y: 1e-8 } },
    ...changes,
  });

async function updates(options: Partial<SolverOptions>, services = {}, raw = scan()): Promise<SolverUpdate[]> {
  const seen: SolverUpdate[] = [];
  for await (const update of solve(raw, { epochs: 3, ...options }, { threads: 1, ...services })) {
    // What the functions answer belongs to this moment.
    const [object, probe, positions] = [update.object(), update.probe(), update.positions()];
    seen.push({ ...update, object: () => object, probe: () => probe, positions: () => positions });
  }
  return seen;
}

const last = async (...given: Parameters<typeof updates>) => (await updates(...given)).at(-1)!;

const resultOf = (update: SolverUpdate) =>
  JSON.stringify(
    [update.object().image.re, update.probe().re, update.positions()].map((v) => Array.from(Object.values(v))),
  );

describe('options', () => {
  /** Each option with a value that must change the result, and what it needs beside it. */
  const changes: Partial<Record<keyof SolverOptions, readonly [unknown, Partial<SolverOptions>?]>> = {
    algorithm: ['lsqml'],
    epochs: [2],
    batch_size: [5],
    batching: ['compact', { batch_size: 10 }],
    acceleration: [0, { epochs: 6 }],
    object_step: [0.2],
    probe_step: [0.2],
    object_regularisation: [0.9],
    probe_regularisation: [0.9],
    momentum: [0.5],
    noise_model: ['poisson', { algorithm: 'ml' }],
    relaxation: [1, { algorithm: 'dm' }],
    seed: [9],
    object_start: [2],
    object_stop: [1],
    object_stride: [2],
    probe_start: [3],
    probe_stop: [2],
    probe_stride: [2],
    probe_modes: [2],
    probe_mode_share: [0.2, { probe_modes: 2 }],
    orthogonalise_stride: [null, { probe_modes: 2 }],
    slices: [2, { slice_distance_m: 1e-5 }],
    slice_distance_m: [2e-5, { slices: 2, slice_distance_m: 1e-5 }],
    slice_regularisation: [0.5, { slices: 2, slice_distance_m: 1e-5 }],
    rescale_probe: [false],
    hold_probe_power: [false],
    probe_power_counts: [123],
    probe_support: [0.05],
    opr_modes: [1],
    opr_start: [2, { opr_modes: 1, flux: true }],
    opr_smooth: [1, { opr_modes: 1, opr_start: 2 }],
    flux: [true, { opr_start: 2 }],
    ml_start: [3],
    ml_method: ['cg', { algorithm: 'ml' }],
    probe_radius_px: [5],
    detector_support: [0.05],
    progressive_levels: [2],
    progressive_epochs: [3, { progressive_levels: 2 }],
    object_l1: [0.05],
    object_l2: [0.05],
    object_amplitude_min: [0.9],
    object_amplitude_max: [0.9],
    object_phase_min_rad: [-0.01],
    object_phase_max_rad: [0.01],
    grid_period_px: [3.1],
    grid_window: [2, { grid_period_px: 3.1 }],
    tv_weight: [0.05],
    prior: ['network', { prior_start: 2, prior_width: 2 }],
    prior_start: [2, { prior: 'network', prior_start: 3, prior_width: 2 }],
    prior_width: [3, { prior: 'network', prior_start: 2, prior_width: 2 }],
    prior_learning_rate: [0.01, { prior: 'network', prior_start: 2, prior_width: 2 }],
    position_start: [1],
    position_stop: [1, { position_start: 1 }],
    position_stride: [2, { position_start: 1 }],
    position_step: [0.3, { position_start: 1 }],
    position_momentum: [0, { position_start: 1 }],
    position_update_limit_px: [0.01, { position_start: 1 }],
    position_limit_px: [0.01, { position_start: 1 }],
    affine: [true, { epochs: 6 }],
    position_method: ['correlation', { position_start: 1 }],
    affine_rule: ['published', { affine: true, affine_start: 2, epochs: 4 }],
    affine_freedom: ['scale', { affine: true, affine_rule: 'gain', epochs: 6 }],
    affine_start: [2, { affine: true, epochs: 6 }],
    affine_stop: [5, { affine: true, affine_rule: 'gain', epochs: 7 }],
    background: ['pixel', { epochs: 6 }],
    background_start: [3, { background: 'pattern', epochs: 6 }],
    fly_positions: [3, { fly_duty: 1 }],
    fly_duty: [0.5, { fly_positions: 3, fly_duty: 1 }],
  };

  it('are all tried here', () => {
    const untried = Object.keys(solverFields).filter((name) => !(name in changes));
    // Those of host and programs are compared with each other elsewhere: they must not change the result, nor must where patterns
    // are kept; this probe is in the middle.
    expect(untried).toEqual(['centre_probe', 'passes', 'stream']);
  });

  it.each(Object.entries(changes))('%s changes the result', async (name, [value, needs = {}]) => {
    const without = resultOf(await last(needs));
    expect(resultOf(await last({ ...needs, [name]: value }))).not.toBe(without);
    expect(resultOf(await last(needs))).toBe(without);
  });

  it('keep object and probe as they are until their first epoch', async () => {
    const seen = await updates({ epochs: 4, object_start: 3, probe_start: 4, hold_probe_power: false });
    const objects = seen.map((u) => Array.from(u.object().image.re));
    expect(objects[2]).toEqual(objects[0]);
    expect(objects[3]).not.toEqual(objects[0]);
    const probes = seen.map((u) => Array.from(u.probe().re));
    expect(probes[3]).toEqual(probes[0]);
    expect(probes[4]).not.toEqual(probes[0]);
  });

  it.each(['rpie', 'lsqml'] as const)('%s with Poisson statistics explains the counts', async (algorithm) => {
    const found = await last({ algorithm, noise_model: 'poisson', epochs: 30 });
    const amplitudes = await last({ algorithm, epochs: 30 });
    expect(found.rFactor).toBeLessThan(1.3 * amplitudes.rFactor);
  });

  it('tv_weight lowers the total variation', async () => {
    const variation = ({ object }: SolverUpdate) => {
      const { image, frame } = object();
      return totalVariation(image, frame);
    };
    const plain = variation(await last({ epochs: 10 }));
    expect(variation(await last({ epochs: 10, tv_weight: 0.02 }))).toBeLessThan(0.8 * plain);
  });

  it('probe_support blanks the dim parts of the probe', async () => {
    const dark = ({ probe }: SolverUpdate) => probe().re.filter((v, i) => v === 0 && probe().im[i] === 0).length;
    expect(dark(await last({}))).toBe(0);
    expect(dark(await last({ probe_support: 0.01 }))).toBeGreaterThan(AREA / 4);
  });

  it('the power of the probe is held, set, or let go', async () => {
    const power = ({ probe }: SolverUpdate) => totalIntensity(probe());
    const held = await updates({ epochs: 5 });
    expect(power(held.at(-1)!) / power(held[0])).toBeCloseTo(1, 4);
    expect(power(await last({ probe_power_counts: 5000 })) / 5000).toBeCloseTo(1, 4);
    const free = await updates({ epochs: 5, hold_probe_power: false });
    expect(Math.abs(power(free.at(-1)!) / power(free[0]) - 1)).toBeGreaterThan(1e-3);
  });

  it('rescale_probe makes the power explain the counts', async () => {
    const small = { re: beam.re.map((v) => v * 1e-4), im: beam.im.map((v) => v * 1e-4), shape: beam.shape };
    const raw = scan({ probeGuess: small });
    const [start] = await updates({ epochs: 1 }, {}, raw);
    expect(start.loss).toBeLessThan(0.5);
    const [unscaled] = await updates({ epochs: 1, rescale_probe: false }, {}, raw);
    expect(unscaled.loss).toBeGreaterThan(0.9);
  });

  it('modes are made orthogonal, the strongest first, with the same power', async () => {
    const overlap = ({ re, im }: ComplexTensor) => {
      let [a, b] = [0, 0];
      for (let i = 0; i < AREA; i++) {
        a += re[i] * re[AREA + i] + im[i] * im[AREA + i];
        b += re[i] * im[AREA + i] - im[i] * re[AREA + i];
      }
      const [p, q] = modePowers({ re, im }, AREA);
      return Math.hypot(a, b) / Math.sqrt(p * q);
    };
    for (const algorithm of ['rpie', 'dm'] as const) {
      const turned = (await last({ algorithm, probe_modes: 2, epochs: 5 })).probe();
      expect(overlap(turned), algorithm).toBeLessThan(1e-5);
      const [strong, weak] = modePowers(turned, AREA);
      expect(strong).toBeGreaterThan(weak);
    }
    const left = (await last({ probe_modes: 2, epochs: 5, orthogonalise_stride: null })).probe();
    expect(overlap(left)).toBeGreaterThan(1e-3);
  });

  it('positions go no further than allowed, and not all the same way', async () => {
    const moved = await last({ epochs: 6, position_start: 1, position_limit_px: 0.05 });
    const found = moved.positions();
    let [dx, dy] = [0, 0];
    for (let k = 0; k < xs.length; k++) {
      // Taking away the common shift may move one by as much again.
      expect(Math.hypot(found.xs[k] - xs[k], found.ys[k] - ys[k])).toBeLessThan(0.051);
      dx += found.xs[k] - xs[k];
      dy += found.ys[k] - ys[k];
    }
    expect(Math.hypot(dx, dy) / xs.length).toBeLessThan(0.02);
    expect(moved.shift_px).toBeGreaterThan(0.005);
    expect(Array.from((await last({})).positions().xs)).toEqual(Array.from(xs, (x) => expect.closeTo(x, 9)));
  });
});

describe('start and state', () => {
  it('begins with a given image, and with its mean where it does not reach', async () => {
    const half = { re: truth.re.map((v) => v * 0.5), im: truth.im.map((v) => v * 0.5), shape: truth.shape };
    const start = { object: { image: half, frame: frameOfObject(half) }, probe: beam };
    const [first] = await updates({ epochs: 1 }, { start });
    const { image, frame } = first.object();
    const [row, column] = [12 - frame.originYxPx[0], 20 - frame.originYxPx[1]];
    expect(image.re[row * frame.width + column]).toBeCloseTo(0.5 * truth.re[12 * 48 + 20], 5);
    const [empty] = await updates({ epochs: 1 });
    expect(first.loss).toBeLessThan(0.5 * empty.loss);
  });

  it.each([
    { algorithm: 'rpie', momentum: 0.5, position_start: 2 },
    { algorithm: 'rpie', batching: 'compact', batch_size: 10 },
    { algorithm: 'lsqml', probe_modes: 2 },
    { algorithm: 'lsqml', opr_modes: 2, flux: true, probe_modes: 2 },
    { algorithm: 'rpie', opr_modes: 1, opr_smooth: 2, position_start: 3 },
    { algorithm: 'lsqml', affine: true, affine_rule: 'gain', affine_start: 1, affine_stop: 5 },
    { algorithm: 'rpie', affine: true, affine_start: 2, affine_rule: 'published' },
    { algorithm: 'rpie', affine: true, affine_start: 1, affine_rule: 'search' },
    { algorithm: 'rpie', position_start: 2, position_method: 'correlation' },
    { algorithm: 'rpie', momentum: 0.3, centre_probe: true, detector_support: 0.01, object_l1: 0.01 },
    { algorithm: 'dm', probe_modes: 2 },
    { algorithm: 'ml', probe_modes: 2 },
    { algorithm: 'lsqml', opr_modes: 1, opr_start: 2, ml_start: 4, ml_method: 'cg' },
    { algorithm: 'rpie', ml_start: 3, position_start: 2 },
    { algorithm: 'rpie', flux: true, opr_start: 1, ml_start: 3 },
    { algorithm: 'lsqml', fly_positions: 3, fly_duty: 1, position_start: 2 },
    { algorithm: 'dm', fly_positions: 2, fly_duty: 0.5 },
    { algorithm: 'lsqml', background: 'pattern', background_start: 2 },
    { algorithm: 'dm', background: 'pixel', background_start: 2 },
  ] as const)('goes on from a snapshot as if it had never stopped: %o', async (options) => {
    const whole = await last({ ...options, epochs: 7 });
    let snapshot: ReturnType<SolverUpdate['snapshot']> | undefined;
    for await (const update of solve(scan(), { ...options, epochs: 7 }, { threads: 1 })) {
      if (update.epoch !== 5) continue;
      snapshot = update.snapshot();
      break;
    }
    const resumed = await last({ ...options, epochs: 7 }, { resume: snapshot });
    expect(resultOf(resumed)).toBe(resultOf(whole));
    expect(resumed.history).toEqual(whole.history);
    await expect(last({ ...options, epochs: 7, probe_modes: 3 }, { resume: snapshot })).rejects.toMatchObject({
      code: 'CHECKPOINT_INVALID',
    });
  });

  it.each([
    { algorithm: 'lsqml', position_start: 2 },
    { algorithm: 'rpie', momentum: 0.4 },
    { algorithm: 'lsqml', flux: true, opr_start: 2, ml_start: 4 },
    { algorithm: 'dm' },
  ] as const)('of near fields, too: %o', async (options) => {
    const given = { preset: 'near-field', N: 32, object_side_px: 44, n_patterns: 24, photons: 1e5 } as const;
    const near = rawDataFromSimulation(
      simulate({ ...given, diffuser_grain_px: 2, propagation_distance_m: 5e-4, seed: 3 }),
    );
    expect(near.geometry?.nearField).toBeDefined();
    const states: SolverSnapshot[] = [];
    for await (const update of solve(near, { ...options, epochs: 6 }, { threads: 1 })) states.push(update.snapshot());
    const again = await runSolver(near, { ...options, epochs: 6 }, { threads: 1, resume: states[4] });
    expect(again.snapshot).toEqual(states[6]);
    expect(states[6].arrays).not.toEqual(states[4].arrays);
  });

  it('guesses a probe where the scan has none', async () => {
    const seen = await updates({ epochs: 20 }, {}, scan({ probeGuess: undefined }));
    expect(totalIntensity(seen[0].probe())).toBeGreaterThan(0);
    expect(seen[20].rFactor).toBeLessThan(0.7 * seen[0].rFactor);
  });

  it('stops between batches when asked', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      for await (const update of solve(scan(), { epochs: 50 }, { threads: 1, signal: controller.signal })) {
        seen.push(update.epoch);
        if (update.epoch === 1) controller.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(seen).toEqual([0, 1]);
  });
});

describe('what callers in JavaScript pass', () => {
  const refused = (options: object) => last(options as Partial<SolverOptions>);

  it('wrong options fail with a code and a sentence', async () => {
    await expect(refused({ epoch: 2 })).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
    await expect(refused({ algorithm: 'epi' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(runSolver(scan(), { epochs: 0 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('former names work, with a warning; what is left out has its default', async () => {
    const warnings: string[] = [];
    const logger = { info: () => {}, warn: (message: string) => void warnings.push(message) };
    const former = { epochs: 2, engine: 'host' } as Partial<SolverOptions>;
    const { epoch } = await runSolver(scan(), former, { threads: 1, logger });
    expect(epoch).toBe(2);
    expect(warnings).toEqual(['engine is the former name of passes; write passes.']);
    expect(await runSolver(scan(), { epochs: 1, passes: 'host' })).toMatchObject({ epoch: 1, cancelled: false });
  });
});

describe('failures', () => {
  it('divergence', async () => {
    await expect(last({ object_step: 200, probe_step: 200, epochs: 10 })).rejects.toMatchObject({
      code: 'SOLVER_FAILED',
      message: expect.stringMatching(/rpie diverged in epoch \d+.*object_step/),
    });
  });

  it.each([
    ['rpie', { object_step: 1e38 }],
    ['lsqml', { object_step: 1e38 }],
    ['epie', { object_step: 1e38, position_start: 1 }],
  ] as const)('a last step that breaks all: %s with %o', async (algorithm, options) => {
    // The misfit of the epoch is that before its only step.
    const given = { algorithm, ...options, batch_size: 30, epochs: 1, rescale_probe: false };
    await expect(runSolver(scan(), given, { threads: 1 })).rejects.toMatchObject({
      code: 'SOLVER_FAILED',
      message: expect.stringMatching(new RegExp(`${algorithm} diverged in epoch 1: values of the \\w+ are not finite`)),
    });
  });

  it.each([
    ['opr_modes', { opr_modes: 30 }, /^opr_modes is 30, but scan.npz has 30 patterns, which differ in 29 ways at most/],
    ['slices', { slices: 1000, slice_distance_m: 1e-6 }, /^slices is 1000, .* nothing determines them \(8 at most\)/],
  ] as const)('more %s than patterns determine', async (key, options, message) => {
    await expect(last(options)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
      fields: expect.objectContaining({ key }),
    });
  });

  it('slices so far apart that their light leaves the patches', async () => {
    // 2·16·(10 nm)²/0.155 nm.
    await expect(last({ slices: 2, slice_distance_m: 2.1e-5 })).rejects.toMatchObject({
      code: 'DATASET_UNITS',
      message: expect.stringMatching(
        /^scan.npz: slices 0.000021 m apart are too far .* in 0.0000206 m \(2·N·pixel²\/λ\)/,
      ),
    });
  });

  it('a start with a value that is none', async () => {
    const object = { re: new Float32Array(400).fill(1), im: new Float32Array(400), shape: [20, 20] };
    object.im[3] = Number.NaN;
    const frame = { originYxPx: [20, 20] as const, height: 20, width: 20 };
    await expect(last({ epochs: 1 }, { start: { object: { image: object, frame } } })).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/^Solving cannot begin: values of the object to begin with are not finite/),
    });
  });

  it('patterns that share no light', async () => {
    const far = { xcoords: xs.map((_, k) => 100 * k), ycoords: ys };
    await expect(last({}, {}, scan(far))).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringContaining('30 of 30 patterns share no light with another'),
    });
  });

  it('a probe of another size', async () => {
    const probe = makeProbe('structured', { side: 32, diameter: 7 });
    await expect(last({}, { start: { probe } })).rejects.toMatchObject({
      code: 'PROBE_SHAPE',
      message: expect.stringContaining('the patterns are 16×16'),
    });
  });

  it('dark patterns', async () => {
    const dark = { data: new Float32Array(30 * AREA), shape: [30, N, N] };
    await expect(last({}, {}, scan({ diffraction: dark }))).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringContaining('none of the 30 patterns has a single count'),
    });
  });

  it('beams asked of the difference map', async () => {
    await expect(last({ algorithm: 'dm', opr_modes: 1 })).rejects.toMatchObject({ fields: { key: 'opr_modes' } });
    await expect(last({ algorithm: 'dm', flux: true })).rejects.toMatchObject({ fields: { key: 'flux' } });
    // Nor where no epoch would do it.
    for (const never of [{ epochs: 2 }, { epochs: 9, ml_start: 3 }, { epochs: 9, probe_start: 10 }]) {
      await expect(last({ flux: true, ...never })).rejects.toThrow(/flux: no epoch would tell beams apart/);
      await expect(last({ opr_modes: 1, ...never })).rejects.toMatchObject({ fields: { key: 'opr_modes' } });
    }
  });

  it('what maximum likelihood does not find', async () => {
    await expect(last({ algorithm: 'ml', position_start: 1 })).rejects.toMatchObject({
      fields: { key: 'position_start' },
    });
    await expect(last({ algorithm: 'ml', flux: true })).rejects.toMatchObject({ fields: { key: 'flux' } });
  });

  it('positions asked of the difference map', async () => {
    await expect(last({ algorithm: 'dm', position_start: 1 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      fields: { key: 'position_start', algorithm: 'dm' },
    });
  });
});

describe('maximum likelihood from a probe that is far off', () => {
  // A pedestal and another beam: the first steps along both unknowns lead astray.
  const diffraction = { ...measured.diffraction, data: measured.diffraction.data.map((v) => Math.sqrt(v * v + 600)) };
  const raw = scan({ diffraction, probeGuess: makeProbe('structured', { side: N, diameter: 11, comaRad: 3 }) });
  const run = (options: Partial<SolverOptions>, services = {}) =>
    runSolver(raw, { algorithm: 'ml', ...options }, { threads: 1, ...services });

  it.each([{}, { tv_weight: 0.02 }, { ml_method: 'cg' }, { noise_model: 'poisson' }] as const)(
    'takes shorter steps where one went astray: %o',
    async (options) => {
      const { rFactor, history } = await run({ epochs: 9, ...options });
      expect(rFactor).toBeLessThan(0.2);
      expect(rFactor).toBeLessThan(history[9].rFactor);
    },
  );

  it('keeps no step that went astray where object and probe change no more', async () => {
    const { history, rFactor } = await run({ epochs: 4, object_stop: 2, probe_stop: 2 });
    expect(history[4].rFactor).toBe(history[2].rFactor);
    expect(rFactor).toBeCloseTo(history[2].rFactor, 5);
  });

  it('ends with no step that went astray, and goes on as if it had not ended', async () => {
    const whole = await run({ epochs: 6 });
    expect(whole.history[3].rFactor).toBe(whole.history[2].rFactor);
    const part = await run({ epochs: 2 });
    expect(part.rFactor).toBeCloseTo(whole.history[2].rFactor, 5);
    const rest = await run({ epochs: 6 }, { resume: part.snapshot });
    expect(rest.image.re).toEqual(whole.image.re);
    expect(rest.probe.im).toEqual(whole.probe.im);
  });
});
