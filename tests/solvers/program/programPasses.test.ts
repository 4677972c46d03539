/** Tensor programs do what the host engine does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backends/backend.js';
import { HostPasses } from '../../../src/solvers/host/hostPasses.js';
import { ProgramPasses } from '../../../src/solvers/program/programPasses.js';
import { backendCases } from '../../support/backends.js';
import { type SolverProblem, solverProblem } from '../../support/solverProblem.js';
import { begin, expectClose, planesOf, REQUESTS, SUMS, title } from '../../support/solverRequests.js';

const [onnx, tensorflow] = backendCases;
const BATCH = Int32Array.of(4, 0, 2, 1, 6);

async function openBoth(problem: SolverProblem, backend: Backend, batch: number, planes: boolean) {
  const { scan, sizes, floor } = problem;
  const common = { scan, sizes, floor, storeWaves: true };
  const engines = {
    host: await HostPasses.open({ ...common, threads: 1, keep: scan.count }),
    program: await ProgramPasses.open({ ...common, backend, batch, planes }),
  };
  return engines;
}

describe.each([
  { backend: onnx, requests: REQUESTS, planes: false },
  { backend: onnx, requests: REQUESTS, planes: true },
  { backend: tensorflow, requests: [REQUESTS[4], REQUESTS[6], REQUESTS[9], REQUESTS[10]], planes: false },
  { backend: tensorflow, requests: [REQUESTS[4], REQUESTS[6]], planes: true },
])('on $backend.name, planes kept there: $planes', ({ backend: { create }, requests, planes }) => {
  let backend: Backend;
  let engines: Awaited<ReturnType<typeof openBoth>>;
  const problem = solverProblem(16, 2, 7);

  beforeAll(async () => {
    backend = await create(1);
    // Three runs of two, the last of them half filled.
    engines = await openBoth(problem, backend, 2, planes);
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

it.each([{ coherent: 1 }, { points: 3 }, { probes: 2 }])('planes of a scan with %o', async (more) => {
  const backend = await onnx.create(1);
  const problem = solverProblem(16, 2, 7, 1, more);
  const engines = await openBoth(problem, backend, 2, true);
  const sums = [];
  for (const engine of [engines.program, engines.host]) {
    begin(problem, engine);
    sums.push(await engine.pass(BATCH, { wave: 'amplitude', object: true, probe: true }));
  }
  expectClose([sums[0].square], [sums[1].square], 1e-4, 'square');
  planesOf(engines.program).forEach((plane, i) => {
    expectClose(plane, planesOf(engines.host)[i], 1e-4, `plane ${i}`);
  });
  await engines.program.close();
  await engines.host.close();
  await backend.dispose();
});

it('a pass over planes is fed patterns, and takes planes up and down once', async () => {
  const backend = await onnx.create(1);
  const problem = solverProblem(16, 1, 7);
  const { scan, sizes, floor } = problem;
  const passes = await ProgramPasses.open({ scan, sizes, floor, storeWaves: false, backend, batch: 1, planes: true });
  begin(problem, passes);
  const copied = async (count: number) => {
    const before = await backend.transfers?.();
    await passes.pass(BATCH.subarray(0, count), { wave: 'amplitude', object: true, probe: true });
    const after = await backend.transfers?.();
    return (after?.toEngine ?? 0) - (before?.toEngine ?? 0);
  };
  await copied(1);
  // Each run of one pattern more: the pattern, two kernels of shifts and the corner. (State that is written is not counted on the CPU.)
  expect((await copied(3)) - (await copied(2))).toBe(4 * (16 * 16 + 2 * 16 + 2));
  await passes.close();
  await backend.dispose();
});
