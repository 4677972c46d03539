/** Tensor programs do what the host engine and plain float64 sums do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backends/backend.js';
import type { FieldEngine, PassRequest } from '../../../src/solvers/engine.js';
import { HostEngine } from '../../../src/solvers/host/hostEngine.js';
import { ProgramEngine } from '../../../src/solvers/program/programEngine.js';
import { backendCases } from '../../support/backends.js';
import { plainMoves, plainPass, plainProducts } from '../../support/plainPass.js';
import { type SolverProblem, solverProblem } from '../../support/solverProblem.js';

const [onnx, tensorflow] = backendCases;
const BATCH = Int32Array.of(4, 0, 2, 1, 6);
const SUMS = { object: true, probe: true } as const;

/** Everything that a pass may be asked for, each flag by itself somewhere. */
const REQUESTS: readonly PassRequest[] = [
  { wave: 'measure' },
  { wave: 'measure', ...SUMS },
  { wave: 'amplitude', object: true },
  { wave: 'amplitude', probe: true, strength: 0.7 },
  { wave: 'amplitude', ...SUMS, keep: true },
  { wave: 'amplitude', ...SUMS, weighted: true },
  { wave: 'poisson', ...SUMS, strength: 0.5, keep: true },
  { wave: 'store' },
  { wave: 'difference', ...SUMS, strength: 0.75 },
  { wave: 'difference', probe: true, keep: true },
  { wave: 'stored', ...SUMS, keep: true },
  { wave: 'stored', object: true, weighted: true },
];
const title = (request: PassRequest) =>
  Object.entries(request)
    .map(([key, value]) => (value === true ? key : `${value}`))
    .join(' ');

async function openBoth(problem: SolverProblem, backend: Backend, batch: number) {
  const { scan, sizes, floor } = problem;
  const common = { scan, sizes, floor, storeWaves: true };
  const engines = {
    host: await HostEngine.open({ ...common, threads: 1, keep: scan.count }),
    program: await ProgramEngine.open({ ...common, backend, batch }),
  };
  return engines;
}

/** Fields, sums and stored waves as they were before each comparison. */
function begin(problem: SolverProblem, engine: FieldEngine): void {
  problem.fill(engine);
  const { sums } = engine.memory;
  for (const plane of planesOf(engine)) plane.fill(0.5);
  expect(sums.object.re[0]).toBe(0.5);
  const waves = engine.storedWaves();
  for (let i = 0; i < waves.length; i++) waves[i] = Math.sin(0.37 * i);
}

function planesOf({ memory }: FieldEngine) {
  const { sums } = memory;
  return [
    sums.object.re,
    sums.object.im,
    sums.illumination.data,
    sums.probe.re,
    sums.probe.im,
    sums.objectIntensity.data,
  ];
}

/** Apart by at most `tolerance` of the largest. */
function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  expect(found.length, what).toBe(expected.length);
  let [most, apart] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(expected[i]));
    const d = Math.abs(found[i] - expected[i]);
    apart = Number.isNaN(d) ? Infinity : Math.max(apart, d);
  }
  expect(apart, `${what}, of ${most}`).toBeLessThanOrEqual(tolerance * most);
}

describe.each([
  { backend: onnx, requests: REQUESTS },
  { backend: tensorflow, requests: [REQUESTS[4], REQUESTS[6], REQUESTS[9], REQUESTS[10]] },
])('on $backend.name', ({ backend: { create }, requests }) => {
  let backend: Backend;
  let engines: Awaited<ReturnType<typeof openBoth>>;
  const problem = solverProblem(16, 2, 7);

  beforeAll(async () => {
    backend = await create(1);
    // Three runs of two, the last of them half filled.
    engines = await openBoth(problem, backend, 2);
  });
  afterAll(async () => {
    await engines.host.close();
    await engines.program.close();
    await backend.dispose();
  });

  it.each(requests.map((request) => ({ request, what: title(request) })))('$what', async ({ request }) => {
    const { host, program } = engines;
    for (const accumulate of [false, true]) {
      begin(problem, host);
      begin(problem, program);
      const [expected, found] = [
        await host.pass(BATCH, { ...request, accumulate }),
        await program.pass(BATCH, { ...request, accumulate }),
      ];
      for (const [name, value] of Object.entries(expected)) {
        expectClose([found[name as keyof typeof found]], [value], 1e-4, name);
      }
      planesOf(program).forEach((plane, i) => {
        expectClose(plane, planesOf(host)[i], 1e-4, `plane ${i}`);
      });
      expectClose(program.storedWaves(), host.storedWaves(), 1e-4, 'stored waves');
      if (!request.keep) continue;
      // Positions move before the products are asked for: what was kept stays where it was.
      problem.scan.ys[0] += 0.2;
      expectClose(await program.moves(), await host.moves(), 1e-4, 'moves');
      expectClose(await program.products(), await host.products(), 1e-4, 'products');
      problem.scan.ys[0] -= 0.2;
    }
  });

  it('forgets what it kept with the next pass, and takes an empty batch', async () => {
    const { program } = engines;
    begin(problem, program);
    await program.pass(BATCH, { wave: 'amplitude', ...SUMS, keep: true });
    const sums = await program.pass(new Int32Array(0), { wave: 'amplitude', ...SUMS });
    expect(sums).toEqual({ square: 0, absolute: 0, amplitude: 0, counts: 0, modelled: 0, change: 0 });
    expect(planesOf(program).every((plane) => plane.every((v) => v === 0))).toBe(true);
    expect(await program.products()).toHaveLength(0);
  });
});

describe.each([15, 18])('sides that the host engine cannot take: %i', (N) => {
  const problem = solverProblem(N, 2, 5, N);
  const batch = Int32Array.of(3, 0, 1);
  const { scan, sizes, floor } = problem;
  let backend: Backend;
  let engine: ProgramEngine;

  beforeAll(async () => {
    backend = await onnx.create(1);
    engine = await ProgramEngine.open({ scan, sizes, floor, storeWaves: true, backend, batch: 2 });
  });
  afterAll(async () => {
    await engine.close();
    await backend.dispose();
  });

  it.each(REQUESTS.map((request) => ({ request, what: title(request) })))('$what', async ({ request }) => {
    begin(problem, engine);
    const { object, probe, sums } = engine.memory;
    const before = { ...problem, object, probe, waves: engine.storedWaves().slice() };
    const expected = plainPass(before, batch, request);
    const found = await engine.pass(batch, request);
    for (const [name, value] of Object.entries(request.wave.startsWith('store') ? {} : expected.sums)) {
      expectClose([found[name as keyof typeof found]], [value], 1e-4, name);
    }
    if (request.object) {
      expectClose([...sums.object.re, ...sums.object.im], expected.planes.object, 1e-4, 'object');
      expectClose(sums.illumination.data, expected.planes.illumination, 1e-4, 'illumination');
    }
    if (request.probe) {
      expectClose([...sums.probe.re, ...sums.probe.im], expected.planes.probe, 1e-4, 'probe');
      expectClose(sums.objectIntensity.data, expected.planes.objectIntensity, 1e-4, 'object intensity');
    }
    if (request.wave === 'store' || request.wave === 'difference') {
      const pixels = sizes.modes * 2 * N * N;
      batch.forEach((k, i) => {
        const stored = expected.stored[i].flatMap(({ re, im }) => [...re, ...im]);
        expectClose(engine.storedWaves().subarray(k * pixels, (k + 1) * pixels), stored, 1e-4, `waves of ${k}`);
      });
    }
    if (!request.keep) return;
    expectClose(await engine.moves(), plainMoves(before, batch, expected), 1e-4, 'moves');
    expectClose(await engine.products(), plainProducts(before, batch, expected, sums), 1e-4, 'products');
  });
});
