/** Every algorithm against its plain float64 form, step for step. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { integers } from '../../src/core/numbers.js';
import { LegacyRng } from '../../src/core/rng.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { batchesOf } from '../../src/solvers/algorithms/batches.js';
import type { BackgroundFound } from '../../src/solvers/corrections/background.js';
import type { BeamFound } from '../../src/solvers/corrections/beam.js';
import { solve } from '../../src/solvers/solve.js';
import {
  dft,
  type Plain,
  type PlainLikelihood,
  type PlainProblem,
  type PlainState,
  type PlainStray,
  plain,
  plainAffineFit,
  plainBeams,
  plainDifferenceMap,
  plainExtrapolation,
  plainHoldBack,
  plainIllumination,
  plainLikelihood,
  plainLsqml,
  plainPie,
  plainStrayEnd,
  plainWarp,
} from '../support/plainSolver.js';

const N = 12;
const COUNT = 14;
const MODES = 2;

const rng = new LegacyRng(5);
const probe = Array.from({ length: MODES }, (_, m) => {
  const field = plain(N * N);
  for (let i = 0; i < N * N; i++) {
    const r2 = (Math.floor(i / N) - 6) ** 2 + ((i % N) - 5.5) ** 2;
    const size = (m === 0 ? 30 : 12) * Math.exp(-r2 / 14);
    const angle = 0.1 * r2 + m * ((i % N) - 6) + 0.3 * rng.normal();
    field.re[i] = Math.fround(size * Math.cos(angle));
    field.im[i] = Math.fround(size * Math.sin(angle));
  }
  return field;
});
// Not square, off the middle, and not on whole pixels.
const ys = Array.from({ length: COUNT }, () => 10 + 9 * rng.random());
const xs = Array.from({ length: COUNT }, () => 31 + 6 * rng.random());
const patterns = Array.from({ length: COUNT }, () =>
  Float64Array.from({ length: N * N }, (_, i) => {
    const r2 = (Math.floor(i / N) - 6) ** 2 + ((i % N) - 6) ** 2;
    return Math.fround(Math.abs(8 * Math.exp(-r2 / 20) * (1 + 0.5 * rng.normal())));
  }),
);
const bad = new Uint8Array(N * N);
bad[17] = 1;
bad[5 * N + 6] = 1;

const raw = rawDataFromArrays({
  diffraction: { data: Float32Array.from(patterns.flatMap((p) => [...p])), shape: [COUNT, N, N] },
  xcoords: xs,
  ycoords: ys,
  probeGuess: {
    re: Float32Array.from(probe.flatMap((p) => [...p.re])),
    im: Float32Array.from(probe.flatMap((p) => [...p.im])),
    shape: [MODES, N, N],
  },
  badPixels: bad,
  measurement_domain: 'count_amplitude',
});

/** Beams of all patterns, far apart. */
const U = [1, 2].map((seed) => {
  const own = new LegacyRng(seed);
  const field = plain(N * N);
  for (let i = 0; i < N * N; i++) {
    field.re[i] = Math.fround(probe[0].re[i] * own.normal());
    field.im[i] = Math.fround(probe[0].im[i] * own.normal());
  }
  const norm = (f: Plain) => Math.sqrt(f.re.reduce((sum, v, i) => sum + v * v + f.im[i] ** 2, 0));
  const factor = norm(probe[0]) / norm(field);
  return { re: field.re.map((v) => Math.fround(factor * v)), im: field.im.map((v) => Math.fround(factor * v)) };
});
const c = Array.from({ length: COUNT }, () => [0.3 * rng.normal(), 0.2 * rng.normal()]);
const a = Array.from({ length: COUNT }, () => 1 + 0.1 * rng.normal());
const floats = (fields: readonly Plain[], part: 're' | 'im') => Float32Array.from(fields.flatMap((f) => [...f[part]]));

/** No constraints: the bare updates. */
const BARE: Partial<SolverOptions> = {
  rescale_probe: false,
  hold_probe_power: false,
  orthogonalise_stride: null,
  probe_start: 1,
  epochs: 2,
  batch_size: 5,
  batching: 'random',
  seed: 3,
};

/** Ways of all patterns, (y, x), and the scan that says so. */
const ways = Array.from({ length: COUNT }, () => [4 * rng.random() - 2, 3 * rng.random()] as const);
const flown = {
  ...raw,
  ycoordsStart: raw.ycoords.map((y, k) => y - 0.5 * ways[k][0]),
  xcoordsStart: raw.xcoords.map((x, k) => x - 0.5 * ways[k][1]),
};

async function ours(options: Partial<SolverOptions>, threads = 1, beam?: BeamFound, scan = raw) {
  let last:
    | {
        object: Plain32;
        probe: Plain32;
        height: number;
        width: number;
        top: number;
        left: number;
        losses: number[];
        xs: Float64Array;
        ys: Float64Array;
        beam?: BeamFound;
        background?: BackgroundFound;
        /** What holds waves back in the next epoch, zero frequency in the corner. */
        damp?: ArrayLike<number>;
      }
    | undefined;
  for await (const update of solve(scan, { ...BARE, ...options }, { threads, start: { beam } })) {
    if (update.epoch !== update.epochs) continue;
    const { image, frame } = update.object();
    const [top, left] = frame.originYxPx;
    last = {
      object: image,
      probe: update.probe(),
      height: frame.height,
      width: frame.width,
      top,
      left,
      losses: update.history.slice(1).map(({ loss }) => loss),
      ...update.positions(),
      beam: update.beam(),
      background: update.background(),
      damp: update.snapshot().arrays.background_damp,
    };
  }
  return last!;
}

interface Plain32 {
  readonly re: Float32Array;
  readonly im: Float32Array;
}

function problemOf({ height, width, top, left }: Awaited<ReturnType<typeof ours>>): PlainProblem {
  const object = plain(height * width);
  object.re.fill(1);
  return {
    N,
    height,
    width,
    probe,
    object,
    patterns: patterns.map((p) => p.map((v, i) => (bad[i] ? -1 : v))),
    ys: ys.map((y) => y - top),
    xs: xs.map((x) => x - left),
  };
}

/** No background, with smooth planes over a grid of `along` × `along` points: hats from edge to edge. */
function strayOf(along: number): PlainStray {
  const hat = (r: number, i: number) => Math.max(0, 1 - Math.abs((((r + N / 2) % N) / (N - 1)) * (along - 1) - i));
  const planes = Array.from({ length: along * along }, (_, l) =>
    Float64Array.from({ length: N * N }, (_v, i) =>
      Math.fround(hat(Math.floor(i / N), Math.floor(l / along)) * hat(i % N, l % along)),
    ),
  );
  const plane = () => new Float64Array(N * N);
  const g = patterns.map(() => planes.map(() => 0));
  return { B: plane(), g, phi: planes, excess: plane(), weight: plane(), damp: plane() };
}

const stateOf = (problem: PlainProblem): PlainState => ({ object: problem.object, probe: [...problem.probe] });

/** Root mean square distance relative to the root mean square of b. */
function distance(a: Plain32, b: Plain): number {
  let [difference, power] = [0, 0];
  for (let i = 0; i < b.re.length; i++) {
    difference += (a.re[i] - b.re[i]) ** 2 + (a.im[i] - b.im[i]) ** 2;
    power += b.re[i] ** 2 + b.im[i] ** 2;
  }
  return Math.sqrt(difference / power);
}

function expectSame(found: Awaited<ReturnType<typeof ours>>, state: PlainState): void {
  expect(distance(found.object, state.object)).toBeLessThan(2e-5);
  const modes = state.probe;
  const whole: Plain = {
    re: Float64Array.from(modes.flatMap((p) => [...p.re])),
    im: Float64Array.from(modes.flatMap((p) => [...p.im])),
  };
  expect(distance(found.probe, whole)).toBeLessThan(2e-5);
  // A test that compares nothing would pass too.
  const flat = { re: new Float64Array(state.object.re.length).fill(1), im: new Float64Array(state.object.re.length) };
  expect(distance(found.object, flat)).toBeGreaterThan(0.05);
}

const batches = (epoch: number) => batchesOf(integers(COUNT), 5, 3, epoch).map((batch) => [...batch]);

describe('steps of the algorithms, two modes, bad pixels, positions between pixels', () => {
  for (const kind of ['rpie', 'epie', 'pie'] as const) {
    it(kind, async () => {
      const found = await ours({
        algorithm: kind,
        object_step: 0.8,
        probe_step: 0.8,
        object_regularisation: 0.4,
        probe_regularisation: 0.4,
      });
      const problem = problemOf(found);
      const state = stateOf(problem);
      for (const epoch of [1, 2]) {
        plainPie(problem, state, batches(epoch), { kind, gamma: 0.8, alpha: 0.4, beta: 0.4 });
      }
      expectSame(found, state);
    });
  }

  it('rpie, carried on between epochs', async () => {
    const options = { algorithm: 'rpie', object_regularisation: 0.4, probe_regularisation: 0.4 } as const;
    const found = await ours({ ...options, object_step: 0.2, probe_step: 0.2, epochs: 7, acceleration: 0.55 });
    const problem = problemOf(found);
    const state = stateOf(problem);
    let before = stateOf(problem);
    // The misfit falls in every epoch, or the fields would not be carried on.
    expect(found.losses.every((loss, e) => e === 0 || loss < found.losses[e - 1])).toBe(true);
    for (let epoch = 1; epoch <= 7; epoch++) {
      const now = { object: state.object, probe: [...state.probe] };
      const beta = { 5: 0.5, 6: 0.55, 7: 0.55 }[epoch];
      if (beta !== undefined) plainExtrapolation(state, before, beta);
      before = now;
      plainPie(problem, state, batches(epoch), { kind: 'rpie', gamma: 0.2, alpha: 0.4, beta: 0.4 });
    }
    expectSame(found, state);
    const without = await ours({ ...options, object_step: 0.2, probe_step: 0.2, epochs: 7, acceleration: 0 });
    expect(distance(without.object, state.object)).toBeGreaterThan(1e-3);
  });

  for (const algorithm of ['rpie', 'lsqml'] as const) {
    it(`${algorithm}, beams that differ`, async () => {
      const options = { algorithm, epochs: 1, opr_modes: 2, flux: true, opr_start: 1 } as const;
      const found = await ours({ ...options, object_step: 0.8, probe_step: 0.8, object_regularisation: 0.4 }, 1, {
        modes: { re: floats(U, 're'), im: floats(U, 'im'), shape: [2, N, N] },
        weights: { data: Float64Array.from(c.flat()), shape: [COUNT, 2] },
        flux: { data: Float64Array.from(a, (v) => v * v), shape: [COUNT] },
      });
      const beam = { a: [...a], c: c.map((row) => [...row]), U: [...U] };
      const problem = { ...problemOf(found), beam };
      const state = stateOf(problem);
      if (algorithm === 'rpie') {
        plainPie(problem, state, batches(1), { kind: 'rpie', gamma: 0.8, alpha: 0.4, beta: 0.5 });
      } else {
        const illumination = plainIllumination(problem, problem.probe);
        plainLsqml(problem, state, batches(1), { illumination, delta: 0.4, step: 0.8 });
      }
      expect(distance(found.object, state.object)).toBeLessThan(5e-5);
      const { modes, weights, flux } = found.beam!;
      const mean = beam.a.reduce((sum, v) => sum + v, 0) / COUNT;
      const expected = plainBeams(state.probe[0], beam);
      for (let k = 0; k < COUNT; k++) {
        expect(Math.sqrt(flux.data[k])).toBeCloseTo(beam.a[k] / mean, 4);
        const seen = { re: new Float32Array(N * N), im: new Float32Array(N * N) };
        for (const part of ['re', 'im'] as const) {
          for (let i = 0; i < N * N; i++) {
            const own = (m: number) => weights.data[2 * k + m] * modes[part][m * N * N + i];
            seen[part][i] = found.probe[part][i] + own(0) + own(1);
          }
        }
        expect(distance(seen, expected[k])).toBeLessThan(1e-4);
      }
    });
  }

  for (const algorithm of ['rpie', 'lsqml', 'dm'] as const) {
    it(`${algorithm}, ways of three points`, async () => {
      const epochs = algorithm === 'dm' ? 2 : 1;
      const found = await ours({ algorithm, epochs, fly_positions: 3 }, 1, undefined, flown);
      const problem: PlainProblem = { ...problemOf(found), ways: { points: 3, yx: ways } };
      const state = stateOf(problem);
      if (algorithm === 'rpie') {
        plainPie(problem, state, batches(1), { kind: 'rpie', gamma: 0.7, alpha: 0.5, beta: 0.5 });
      } else if (algorithm === 'lsqml') {
        const illumination = plainIllumination(problem, problem.probe);
        plainLsqml(problem, state, batches(1), { illumination, delta: 0.1, step: 0.9 });
      } else {
        for (let e = 0; e < epochs; e++) plainDifferenceMap(problem, state, { beta: 0.75, epsilon: 0.005 });
      }
      expectSame(found, state);
    });
  }

  for (const algorithm of ['rpie', 'lsqml'] as const) {
    it.each(['pixel', 'pattern'] as const)(`${algorithm}, a background: %s`, async (background) => {
      const epochs = algorithm === 'rpie' ? 3 : 1;
      const found = await ours({ algorithm, epochs, background, background_start: 1 });
      const stray = strayOf(background === 'pattern' ? 4 : 0);
      const problem: PlainProblem = { ...problemOf(found), stray };
      const state = stateOf(problem);
      for (let epoch = 1; epoch <= epochs; epoch++) {
        if (algorithm === 'rpie') {
          plainPie(problem, state, batches(epoch), { kind: 'rpie', gamma: 0.7, alpha: 0.5, beta: 0.5 });
        } else {
          const illumination = plainIllumination(problem, problem.probe);
          plainLsqml(problem, state, batches(epoch), { illumination, delta: 0.1, step: 0.9 });
        }
        plainStrayEnd(stray);
        plainHoldBack(problem, state.probe, plainIllumination(problem, state.probe));
      }
      expectSame(found, state);
      const { pixels, weights } = found.background!;
      const half = N / 2;
      const corner = (i: number) => ((Math.floor(i / N) + half) % N) * N + (((i % N) + half) % N);
      const most = Math.max(...stray.B);
      expect(most).toBeGreaterThan(0.1);
      pixels.data.forEach((v, i) => {
        expect(Math.abs(v - stray.B[corner(i)])).toBeLessThan(2e-4 * most);
      });
      const rows = stray.g.flat();
      const strongest = Math.max(1e-9, ...rows);
      rows.forEach((g, i) => {
        expect(Math.abs(weights!.data[i] - g)).toBeLessThan(1e-3 * strongest);
      });
      expect(rows.some((g) => g > 0)).toBe(background === 'pattern');
      // The light of ours is that of the batches, as the probe was: with LSQ-ML half of it from before the first step, which is a long one.
      const apart = algorithm === 'rpie' ? 0.05 : 0.35;
      const mostHeld = Math.max(...stray.damp);
      expect(mostHeld).toBeGreaterThan(0);
      stray.damp.forEach((v, i) => {
        expect(Math.abs(found.damp![i] - v)).toBeLessThan(apart * v + 5e-3 * mostHeld);
      });
    });
  }

  it('lsqml', async () => {
    const found = await ours({ algorithm: 'lsqml', epochs: 1 });
    const problem = problemOf(found);
    const state = stateOf(problem);
    const illumination = plainIllumination(problem, problem.probe);
    plainLsqml(problem, state, batches(1), { illumination, delta: 0.1, step: 0.9 });
    expectSame(found, state);
  });

  it('dm', async () => {
    const found = await ours({
      algorithm: 'dm',
      relaxation: 0.75,
      object_regularisation: 0.05,
      probe_regularisation: 0.05,
      epochs: 3,
    });
    const problem = problemOf(found);
    const state = stateOf(problem);
    for (let epoch = 0; epoch < 3; epoch++) plainDifferenceMap(problem, state, { beta: 0.75, epsilon: 0.05 });
    expectSame(found, state);
  });

  it('rpie, positions and object moved by what all patterns ask for', async () => {
    const options = {
      algorithm: 'rpie',
      affine: true,
      affine_rule: 'gain',
      affine_start: 1,
      affine_freedom: 'scale,asymmetry,shear',
    } as const;
    const found = await ours({ ...options, epochs: 1, object_step: 0.8, probe_step: 0.8, object_regularisation: 0.4 });
    const problem = problemOf(found);
    const state = stateOf(problem);
    const [moves, weights]: [number[][], number[][]] = [[], []];
    const asked = (k: number, move: readonly number[], weight: readonly number[]) => {
      moves[k] = [...move];
      weights[k] = [...weight];
    };
    plainPie(problem, state, batches(1), { kind: 'rpie', gamma: 0.8, alpha: 0.4, beta: 0.5, asked });
    const places = problem.ys.map((y, k) => [y, problem.xs[k]]);
    const B = plainAffineFit(places, moves, weights);
    // No rotation: scale, asymmetry, and what is left is shear, along x.
    const free = [B[0], 0, B[2], B[3]].map((v) => 4 * v);
    const held = Math.min(1, 0.01 / Math.max(...free.map(Math.abs)));
    const M = [1 + held * free[0], 0, held * free[2], 1 + held * free[3]];
    const centre = [0, 1].map((axis) => places.reduce((sum, p) => sum + p[axis], 0) / COUNT);
    const determinant = M[0] * M[3];
    const back = [M[3] / determinant, 0, -M[2] / determinant, M[0] / determinant];
    const warped = plainWarp(state.object, found.height, found.width, back, centre);
    expect(distance(found.object, warped)).toBeLessThan(5e-5);
    expect(distance(found.object, state.object)).toBeGreaterThan(1e-3);
    places.forEach(([y, x], k) => {
      const [r, c] = [y - centre[0], x - centre[1]];
      expect(found.ys[k] - found.top).toBeCloseTo(M[0] * r + centre[0], 4);
      expect(found.xs[k] - found.left).toBeCloseTo(M[2] * r + M[3] * c + centre[1], 4);
    });
  });

  it('rpie, what object and probe are held to afterwards', async () => {
    const limits = {
      ...{
        object_l1: 0.05,
        object_l2: 0.02,
        object_amplitude_max: 1,
        object_phase_min_rad: -0.1,
        object_phase_max_rad: 0.2,
      },
      ...{ probe_radius_px: 4.5, detector_support: 0.05 },
    };
    const steps = { object_step: 0.8, probe_step: 0.8, object_regularisation: 0.4, probe_regularisation: 0.4 };
    const found = await ours({ algorithm: 'rpie', ...steps, ...limits, epochs: 2 });
    const problem = problemOf(found);
    const state = stateOf(problem);
    for (const epoch of [1, 2]) {
      plainPie(problem, state, batches(epoch), { kind: 'rpie', gamma: 0.8, alpha: 0.4, beta: 0.4 });
      state.probe = plainSupport(state.probe, 4.5, 0.05);
      const { re, im } = state.object;
      const size = re.map((v, i) => Math.hypot(v, im[i]));
      const rms = Math.sqrt(size.reduce((sum, v) => sum + v * v, 0) / size.length);
      const polar = size.map((v) => Math.min(1, Math.max(0, v - 0.05 * rms) * 0.98));
      const angle = re.map((v, i) => Math.min(0.2, Math.max(-0.1, Math.atan2(im[i], v))));
      state.object = {
        re: polar.map((v, i) => v * Math.cos(angle[i])),
        im: polar.map((v, i) => v * Math.sin(angle[i])),
      };
    }
    expectSame(found, state);
  });

  it.each([
    ['lbfgs', 'gaussian'],
    ['cg', 'gaussian'],
    ['lbfgs', 'poisson'],
    ['cg', 'poisson'],
  ] as const)('ml, %s, %s', async (ml_method, noise_model) => {
    const likely = noise_model === 'poisson';
    const found = await ours({ algorithm: 'ml', ml_method, noise_model, epochs: 4 });
    const problem = problemOf(found);
    const state = stateOf(problem);
    const memory: PlainLikelihood = { pairs: [] };
    for (let epoch = 0; epoch < 4; epoch++) plainLikelihood(problem, state, memory, ml_method, likely);
    expect(distance(found.object, state.object)).toBeLessThan(1e-3);
    const before = stateOf(problem);
    for (let epoch = 0; epoch < 3; epoch++) plainLikelihood(problem, before, { pairs: [] }, ml_method, likely);
    expect(distance(found.object, before.object)).toBeGreaterThan(1e-2);
  });

  it('ml goes on with the flux, which is expected to flicker alike at all distances', async () => {
    // So that the model is as bright as the patterns.
    const begun = a.map((v) => 0.3 * v);
    const given = {
      modes: { re: new Float32Array(0), im: new Float32Array(0), shape: [0, N, N] },
      weights: { data: new Float64Array(0), shape: [COUNT, 0] },
      flux: { data: Float64Array.from(begun, (v) => v * v), shape: [COUNT] },
    };
    const options = { algorithm: 'rpie', ml_start: 1, flux: true, epochs: 3 } as const;
    const found = await ours(options, 1, given);
    const beam = { a: [...begun], c: a.map(() => []), U: [] };
    const problem = { ...problemOf(found), beam };
    const state = stateOf(problem);
    const memory: PlainLikelihood = { pairs: [] };
    for (let epoch = 0; epoch < 3; epoch++) plainLikelihood(problem, state, memory, 'lbfgs');
    expect(distance(found.object, state.object)).toBeLessThan(1e-3);
    const changes = beam.a.map((v, k) => v / begun[k] - 1);
    expect(Math.max(...changes) - Math.min(...changes)).toBeGreaterThan(0.02);
    beam.a.forEach((v, k) => {
      expect(Math.abs(Math.sqrt(found.beam!.flux.data[k]) / v - 1)).toBeLessThan(1e-3);
    });
    // With poisson or conjugate gradients it stays as it was.
    for (const other of [{ noise_model: 'poisson' }, { ml_method: 'cg' }] as const) {
      const kept = await ours({ ...options, ...other }, 1, given);
      expect([...kept.beam!.flux.data]).toEqual(begun.map((v) => expect.closeTo(v * v, 12)));
    }
  });

  it('are the same on three threads', async () => {
    for (const algorithm of ['rpie', 'lsqml', 'dm', 'ml'] as const) {
      const [one, three] = [await ours({ algorithm }), await ours({ algorithm }, 3)];
      expect(distance(three.object, asPlain(one.object)), algorithm).toBeLessThan(1e-5);
      expect(distance(three.probe, asPlain(one.probe)), algorithm).toBeLessThan(1e-5);
    }
  });
});

/** Modes within a radius; then their far fields where the light of all, smoothed over 5×5 pixels, is above a share of its largest. */
function plainSupport(modes: readonly Plain[], radius: number, share: number): Plain[] {
  const half = N / 2;
  const held = modes.map(({ re, im }) => {
    const inside = (i: number) => Math.hypot(Math.floor(i / N) - half, (i % N) - half) <= radius;
    return { re: re.map((v, i) => (inside(i) ? v : 0)), im: im.map((v, i) => (inside(i) ? v : 0)) };
  });
  const far = held.map((mode) => dft(mode, N, -1));
  // Zero frequency in the middle.
  const corner = (r: number, c: number) => ((r + half) % N) * N + ((c + half) % N);
  const light = (r: number, c: number) =>
    far.reduce((sum, { re, im }) => sum + re[corner(r, c)] ** 2 + im[corner(r, c)] ** 2, 0);
  const near = (at: number) => Array.from({ length: 5 }, (_, d) => at + d - 2).filter((k) => k >= 0 && k < N);
  const smooth = (r: number, c: number) => {
    const values = near(r).flatMap((y) => near(c).map((x) => light(y, x)));
    return values.reduce((sum, v) => sum + v, 0) / values.length;
  };
  const places = Array.from({ length: N * N }, (_, i) => [Math.floor(i / N), i % N] as const);
  const most = Math.max(...places.map(([r, c]) => smooth(r, c)));
  const dim = places.filter(([r, c]) => smooth(r, c) < share * most).map(([r, c]) => corner(r, c));
  for (const field of far) {
    for (const i of dim) {
      field.re[i] = 0;
      field.im[i] = 0;
    }
  }
  return far.map((field) => dft(field, N, 1));
}

const asPlain = ({ re, im }: Plain32): Plain => ({ re: Float64Array.from(re), im: Float64Array.from(im) });
