/** Both engines against plain float64 sums, on sides of every kind. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { HostPasses } from '../../src/solvers/host/hostPasses.js';
import { ProgramPasses } from '../../src/solvers/program/programPasses.js';
import type { PassRequest, WavePasses } from '../../src/solvers/wavePasses.js';
import { backendCases } from '../support/backends.js';
import {
  plainBeamProducts,
  plainBeamSums,
  plainCorrelations,
  plainCurvatures,
  plainDeviances,
  plainMoves,
  plainPass,
  plainProducts,
  plainStretches,
} from '../support/plainPass.js';
import { type MoreOfAScan, solverProblem } from '../support/solverProblem.js';
import { begin, expectClose, REQUESTS, title } from '../support/solverRequests.js';

const [onnx] = backendCases;
const VARYING: readonly PassRequest[] = [
  { wave: 'measure' },
  { wave: 'amplitude', object: true, probe: true, keep: true, beam: true },
  { wave: 'poisson', object: true, probe: true, weighted: true, keep: true, beam: true, strength: 0.6 },
];
const SLICED = REQUESTS.filter(({ wave }) => ['measure', 'amplitude', 'poisson', 'likelihood'].includes(wave));
const STRAY: readonly PassRequest[] = [
  { wave: 'measure', background: true },
  { wave: 'amplitude', object: true, probe: true, keep: true, background: true },
  { wave: 'poisson', object: true, background: true },
  { wave: 'amplitude', object: true, probe: true, keep: true, strength: 0.8, damp: true },
  { wave: 'poisson', object: true, background: true, damp: true },
  { wave: 'likelihood', object: true, probe: true, background: true },
  { wave: 'difference', probe: true, strength: 0.75, background: true },
];
const LARGE = REQUESTS.filter(({ wave, keep }) => keep && wave !== 'stored');

interface Case {
  readonly N: number;
  readonly passes: string;
  readonly modes: number;
  readonly more?: MoreOfAScan;
  readonly requests: readonly PassRequest[];
}

// Multiples of 4 with an even and an odd number of stages; no multiples of 4, large prime factors, and an odd side, which the program engine alone takes.
describe.each([
  ...[16, 20, 32].map((N) => ({ N, passes: 'host', modes: 2, requests: REQUESTS })),
  ...[10, 14, 30].map((N) => ({ N, passes: 'host', modes: 2, requests: REQUESTS })),
  ...[62, 94, 100].map((N) => ({ N, passes: 'host', modes: 1, requests: LARGE.slice(-1) })),
  { N: 126, passes: 'host', modes: 1, requests: LARGE.slice(0, 1) },
  // Beams of their own: two coherent modes beside one or two incoherent ones.
  ...[14, 16].map((N) => ({ N, passes: 'host', modes: N === 14 ? 1 : 2, more: { coherent: 2 }, requests: VARYING })),
  ...[15, 16].map((N) => ({ N, passes: 'program', modes: N === 15 ? 1 : 2, more: { coherent: 2 }, requests: VARYING })),
  // Ways of three points, and probes of several scans.
  ...(['host', 'program'] as const).flatMap((passes) => [
    { N: 14, passes, modes: 2, more: { points: 3 }, requests: REQUESTS },
    { N: 10, passes, modes: 2, more: { probes: 3 }, requests: REQUESTS },
    { N: 12, passes, modes: 2, more: { points: 2, probes: 2, coherent: 2 }, requests: VARYING },
  ]),
  ...[15, 18].map((N) => ({ N, passes: 'program', modes: 2, requests: REQUESTS })),
  // Detectors that are near, objects of several slices, and both.
  ...(['host', 'program'] as const).flatMap((passes) => [
    { N: passes === 'host' ? 14 : 15, passes, modes: 2, more: { near: true }, requests: REQUESTS },
    { N: 16, passes, modes: 1, more: { coherent: 2, near: true }, requests: VARYING },
    { N: passes === 'host' ? 14 : 15, passes, modes: 2, more: { slices: 3 }, requests: SLICED },
    { N: 16, passes, modes: 1, more: { coherent: 2, slices: 2, near: true }, requests: VARYING },
    ...[0, 16].map((background) => ({ N: 10, passes, modes: 2, more: { background }, requests: STRAY })),
    // Everything at a time.
    { N: 12, passes, modes: 2, more: { points: 2, probes: 2, coherent: 1, slices: 2, near: true }, requests: VARYING },
  ]),
  ...[62, 94].map((N) => ({ N, passes: 'program', modes: 1, requests: LARGE.slice(-1) })),
] as readonly Case[])('patterns of side $N, passes $passes, $more', ({ N, passes: name, modes, requests, more }) => {
  const problem = solverProblem(N, modes, 4, N, more);
  const batch = N > 50 ? Int32Array.of(3) : Int32Array.of(3, 0, 1);
  const { scan, sizes, floor } = problem;
  let backend: Backend | undefined;
  let engine: WavePasses;

  beforeAll(async () => {
    const common = { scan, sizes, floor, storeWaves: true, bends: true };
    if (name === 'host') {
      engine = await HostPasses.open({ ...common, threads: 1, keep: scan.count });
    } else {
      backend = await onnx.create(1);
      engine = await ProgramPasses.open({ ...common, backend, batch: 2 });
    }
  });
  afterAll(async () => {
    await engine.close();
    await backend?.dispose();
  });

  // Those of one slice are all that is asked. Those of large sides take seconds, and go through the transforms of the passes below.
  it.runIf(more?.slices === undefined && N < 60)('curvatures', async () => {
    begin(problem, engine);
    const { memory } = engine;
    const { object, probe, variation } = memory;
    const along = [0, 1].map((d) => {
      const planes = { object: memory.planes(object.re.length), probe: memory.planes(probe.re.length) };
      for (const [name, { re, im }] of Object.entries(planes)) {
        const size = name === 'object' ? 0.1 : 0.3;
        for (let i = 0; i < re.length; i++) {
          re[i] = size * Math.sin(1.3 * i + d);
          im[i] = size * Math.cos(0.7 * i + 2 * d);
        }
      }
      return planes;
    });
    const before = { ...problem, object, probe, variation, background: memory.background, waves: [] };
    for (const raised of [false, true]) {
      const expected = plainDeviances(before, batch, raised);
      expectClose(await engine.deviances(batch, raised), expected, 1e-4, 'deviances');
    }
    for (const [asked, statistics] of [
      [along, 'gaussian'],
      [along.slice(1), 'gaussian'],
      [along, 'poisson'],
      [along.slice(1), 'poisson'],
    ] as const) {
      const expected = plainCurvatures(before, batch, asked, statistics);
      const found = await engine.curvatures(batch, asked, statistics);
      // Slopes are what is left of terms that are larger.
      const { square } = plainPass(before, batch, { wave: 'measure' }).sums;
      const most = Math.sqrt(2 * square * expected.widths[0]);
      expectClose([...found.slopes, most], [...expected.slopes, most], 1e-4, 'slopes');
      // √I/√J³ of a pixel that the model leaves nearly dark is what single precision makes of it.
      expectClose(found.bends, expected.bends, more?.near ? 4e-3 : 3e-4, 'bends');
      expectClose(found.widths, expected.widths, 1e-4, 'widths');
    }
  });

  it.each(requests.map((request) => ({ request, what: title(request) })))('$what', async ({ request }) => {
    begin(problem, engine);
    const { object, probe, variation, sums } = engine.memory;
    const { background } = engine.memory;
    const before = { ...problem, object, probe, variation, background, waves: engine.storedWaves().slice() };
    const expected = plainPass(before, batch, request);
    const found = await engine.pass(batch, request);
    for (const [name, value] of Object.entries(request.wave.startsWith('store') ? {} : expected.sums)) {
      expectClose([found[name as keyof typeof found]], [value], 1e-4, name);
    }
    scan.beam?.fits.forEach((fit, k) => {
      if (batch.includes(k)) expectClose([fit], [expected.fits[[...batch].indexOf(k)]], 1e-4, `fit of ${k}`);
    });
    if (request.background) {
      const { excess, weight, asked } = expected.background;
      expectClose(sums.background.re, excess, 2e-4, 'excess');
      expectClose(sums.background.im, weight, 2e-4, 'weight');
      const terms = sizes.background ?? 0;
      for (const [i, k] of batch.entries()) {
        const own = scan.background!.asked.subarray(2 * k * terms, 2 * (k + 1) * terms);
        if (terms > 0) expectClose(own, asked[i], 2e-4, `asked by ${k}`);
      }
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
      const pixels = (sizes.points ?? 1) * sizes.modes * 2 * N * N;
      batch.forEach((k, i) => {
        const stored = expected.stored[i].flatMap(({ re, im }) => [...re, ...im]);
        expectClose(engine.storedWaves().subarray(k * pixels, (k + 1) * pixels), stored, 1e-4, `waves of ${k}`);
      });
    }
    if (!request.keep) return;
    expectClose(await engine.moves(), plainMoves(before, batch, expected), 1e-4, 'moves');
    expectClose(await engine.correlations(), plainCorrelations(before, batch, expected), 1e-4, 'correlations');
    expectClose(await engine.stretches(), plainStretches(before, batch, expected), 1e-4, 'stretches');
    expectClose(await engine.products(), plainProducts(before, batch, expected, sums), 1e-4, 'products');
    if (!request.beam) return;
    expectClose(await engine.beamProducts(), plainBeamProducts(before, batch, expected), 1e-4, 'beam products');
    const asked = Float64Array.from({ length: batch.length * 2 }, (_, i) => Math.sin(1 + i));
    await engine.beamSums(asked);
    const found2 = [...sums.variation.re, ...sums.variation.im];
    expectClose(found2, plainBeamSums(before, batch, expected, asked), 1e-4, 'beam sums');
  });
});
