/** Scans of one object, each with a probe of its own: every algorithm against its plain float64 form, step for step, on both engines. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backends/backend.js';
import type { SolverOptions } from '../../../src/config/schemas/solver.js';
import { integers } from '../../../src/core/numbers.js';
import { LegacyRng } from '../../../src/core/rng.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { batchesOf } from '../../../src/solvers/algorithms/batches.js';
import { solve } from '../../../src/solvers/solve.js';
import { joinScans } from '../../../src/solvers/together/joinScans.js';
import type { SolverUpdate } from '../../../src/solvers/updates.js';
import { backendCases } from '../../support/backends.js';
import {
  type Plain,
  type PlainProblem,
  type PlainState,
  plain,
  plainDifferenceMap,
  plainIllumination,
  plainLsqml,
  plainPie,
} from '../../support/plainSolver.js';

const N = 12;
const COUNTS = [6, 8];
const COUNT = 14;
const MODES = 2;
const OFFSET = [1.3, -2.6] as const;
const rng = new LegacyRng(11);

const probes = COUNTS.map((_, s) =>
  Array.from({ length: MODES }, (_mode, m) => {
    const field = plain(N * N);
    for (let i = 0; i < N * N; i++) {
      const r2 = (Math.floor(i / N) - 6 + 0.4 * s) ** 2 + ((i % N) - 5.5) ** 2;
      const size = (m === 0 ? 30 - 9 * s : 12) * Math.exp(-r2 / (14 + 5 * s));
      const angle = (0.1 - 0.15 * s) * r2 + m * ((i % N) - 6) + 0.3 * rng.normal();
      field.re[i] = Math.fround(size * Math.cos(angle));
      field.im[i] = Math.fround(size * Math.sin(angle));
    }
    return field;
  }),
);
const ys = Array.from({ length: COUNT }, () => 10 + 9 * rng.random());
const xs = Array.from({ length: COUNT }, () => 31 + 6 * rng.random());
const patterns = Array.from({ length: COUNT }, () =>
  Float64Array.from({ length: N * N }, (_, i) => {
    const r2 = (Math.floor(i / N) - 6) ** 2 + ((i % N) - 6) ** 2;
    return Math.fround(Math.abs(8 * Math.exp(-r2 / 20) * (1 + 0.5 * rng.normal())));
  }),
);
/** Each detector has other bad pixels. */
const bad = COUNTS.map((_, s) => {
  const mask = new Uint8Array(N * N);
  mask[17 + 30 * s] = 1;
  mask[5 * N + 6 + s] = 1;
  return mask;
});
const scanOf = (k: number) => (k < COUNTS[0] ? 0 : 1);
const flat = (fields: readonly Plain[], part: 're' | 'im') => Float32Array.from(fields.flatMap((f) => [...f[part]]));

const scans = COUNTS.map((count, s) => {
  const own = integers(COUNT).filter((k) => scanOf(k) === s);
  return rawDataFromArrays({
    diffraction: { data: Float32Array.from([...own].flatMap((k) => [...patterns[k]])), shape: [count, N, N] },
    xcoords: [...own].map((k) => xs[k]),
    ycoords: [...own].map((k) => ys[k]),
    probeGuess: { re: flat(probes[s], 're'), im: flat(probes[s], 'im'), shape: [MODES, N, N] },
    badPixels: bad[s],
    measurement_domain: 'count_amplitude',
  });
});
const joined = joinScans(scans, { share: 'object', offsets_yx_px: [[0, 0], OFFSET] });

let backend: Backend;
beforeAll(async () => {
  backend = await backendCases[0].create(1);
});
afterAll(() => backend.dispose());

async function ours(options: Partial<SolverOptions>, threads = 1) {
  const bare: Partial<SolverOptions> = {
    ...{ rescale_probe: false, hold_probe_power: false, orthogonalise_stride: null, probe_start: 1 },
    ...{ epochs: 2, batch_size: 5, batching: 'random' as const, seed: 3 },
    ...options,
  };
  for await (const update of solve(joined, bare, { threads, backend })) {
    if (update.epoch === update.epochs) return keep(update);
  }
  throw new Error('a run ends');
}

function keep(update: SolverUpdate) {
  const { image, frame } = update.object();
  const found = update.together()!;
  const whole = (part: 're' | 'im') => Float32Array.from(found.probes.flatMap((probe) => [...probe[part]]));
  return { object: image, frame, probe: { re: whole('re'), im: whole('im') }, found };
}

type Found = Awaited<ReturnType<typeof ours>>;

function problemOf({ frame: { height, width, originYxPx } }: Found): PlainProblem {
  const object = plain(height * width);
  object.re.fill(1);
  const at = (values: readonly number[], axis: 0 | 1) =>
    values.map((v, k) => v + scanOf(k) * OFFSET[axis] - originYxPx[axis]);
  return {
    ...{ N, height, width, object, probe: probes.flat() },
    patterns: patterns.map((p, k) => p.map((v, i) => (bad[scanOf(k)][i] ? -1 : v))),
    ...{ ys: at(ys, 0), xs: at(xs, 1) },
    probeOf: patterns.map((_, k) => scanOf(k)),
  };
}

type Parts = { readonly re: ArrayLike<number>; readonly im: ArrayLike<number> };

function distance(a: Parts, b: Parts): number {
  let [difference, power] = [0, 0];
  for (let i = 0; i < b.re.length; i++) {
    difference += (a.re[i] - b.re[i]) ** 2 + (a.im[i] - b.im[i]) ** 2;
    power += b.re[i] ** 2 + b.im[i] ** 2;
  }
  return Math.sqrt(difference / power);
}

function expectSame(found: Found, state: PlainState, begun: PlainProblem): void {
  expect(distance(found.object, state.object)).toBeLessThan(2e-5);
  const all = (fields: readonly Plain[]) => ({ re: flat(fields, 're'), im: flat(fields, 'im') });
  expect(distance(found.probe, all(state.probe))).toBeLessThan(2e-5);
  // A test that compares nothing would pass, too.
  expect(distance(begun.object, state.object)).toBeGreaterThan(0.05);
  for (const s of [0, 1]) {
    const of = (fields: readonly Plain[]) => all(fields.slice(s * MODES, (s + 1) * MODES));
    expect(distance(of(begun.probe), of(state.probe))).toBeGreaterThan(0.01);
  }
}

const batches = (epoch: number) => batchesOf(integers(COUNT), 5, 3, epoch).map((batch) => [...batch]);
const engines = [
  ['host', 2],
  ['program', 1],
] as const;

describe.each(engines)('one object, two probes of two modes, %s passes, %i threads', (passes, threads) => {
  it.each(passes === 'host' ? (['rpie', 'epie', 'pie'] as const) : (['rpie'] as const))('%s', async (kind) => {
    const hold = { object_regularisation: 0.4, probe_regularisation: 0.3 };
    const found = await ours({ algorithm: kind, passes, object_step: 0.8, probe_step: 0.8, ...hold }, threads);
    const problem = problemOf(found);
    const state: PlainState = { object: problem.object, probe: [...problem.probe] };
    for (const epoch of [1, 2]) {
      plainPie(problem, state, batches(epoch), { kind, gamma: 0.8, alpha: 0.4, beta: 0.3 });
    }
    expectSame(found, state, problem);
    expect(found.found.shifts_yx_px).toEqual([[0, 0], OFFSET]);
  });

  it('lsqml', async () => {
    const found = await ours({ algorithm: 'lsqml', epochs: 1, passes }, threads);
    const problem = problemOf(found);
    const state: PlainState = { object: problem.object, probe: [...problem.probe] };
    const illumination = plainIllumination(problem, problem.probe);
    plainLsqml(problem, state, batches(1), { illumination, delta: 0.1, step: 0.9 });
    expectSame(found, state, problem);
  });

  it('dm', async () => {
    const hold = { relaxation: 0.75, object_regularisation: 0.05, probe_regularisation: 0.05 };
    const found = await ours({ algorithm: 'dm', epochs: 3, passes, ...hold }, threads);
    const problem = problemOf(found);
    const state: PlainState = { object: problem.object, probe: [...problem.probe] };
    for (let epoch = 0; epoch < 3; epoch++) plainDifferenceMap(problem, state, { beta: 0.75, epsilon: 0.05 });
    expectSame(found, state, problem);
  });
});
