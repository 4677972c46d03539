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

async function openBoth(problem: SolverProblem, backend: Backend, batch: number) {
  const { scan, sizes, floor } = problem;
  const common = { scan, sizes, floor, storeWaves: true };
  const engines = {
    host: await HostPasses.open({ ...common, threads: 1, keep: scan.count }),
    program: await ProgramPasses.open({ ...common, backend, batch }),
  };
  return engines;
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
