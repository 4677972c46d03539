/** Which engine solves, and that solving comes to the same on both. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { LegacyRng } from '../../src/core/rng.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openPasses, type PassesChoice, threadsFor } from '../../src/solvers/openPasses.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolveServices } from '../../src/solvers/updates.js';
import { backendCases } from '../support/backends.js';
import { plainPass } from '../support/plainPass.js';
import { dft } from '../support/plainSolver.js';
import { solverProblem } from '../support/solverProblem.js';

let backend: Backend;
beforeAll(async () => {
  backend = await backendCases[0].create(1);
});
afterAll(() => backend.dispose());

describe('the choice', () => {
  const onGpu = (): Backend => ({ ...backend, info: { ...backend.info, device: 'cuda' } });

  async function chosen(N: number, passes: SolverOptions['passes'], choice: PassesChoice) {
    const lines: string[] = [];
    const { scan, sizes, floor } = solverProblem(N, 1, 2);
    const logger = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(`warning: ${line}`) };
    const options = { scan, sizes, floor, keep: 0, storeWaves: false, batch: 2 };
    const opened = await openPasses({ threads: 1, logger, ...choice }, passes, options);
    await opened.close();
    return { name: opened.name, description: opened.description, lines };
  }

  it.each([0, -2, 1.5, Number.NaN])('takes no %s threads, among which nothing would be computed', async (threads) => {
    await expect(chosen(16, 'host', { threads })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      fields: { key: 'threads' },
    });
  });

  it('is the host where it can, whatever backend there is on the processor', async () => {
    expect(await chosen(16, 'auto', {})).toMatchObject({ name: 'host', lines: [] });
    expect(await chosen(16, 'auto', { backend })).toMatchObject({ name: 'host', lines: [] });
  });

  it('are programs on a GPU and for odd sides, and says why', async () => {
    const gpu = await chosen(16, 'auto', { backend: onGpu() });
    expect(gpu.name).toBe('program');
    expect(gpu.lines).toEqual([
      'Solving with tensor programs, onnxruntime-node 1.30.0 on cuda, one thread: the backend runs on a GPU.',
    ]);
    expect(await chosen(18, 'auto', { backend })).toMatchObject({ name: 'host', lines: [] });
    const side = await chosen(17, 'auto', { backend });
    expect(side.name).toBe('program');
    expect(side.lines).toHaveLength(1);
    expect(side.lines[0]).toContain('the patterns have 17');
  });

  it('obeys', async () => {
    expect(await chosen(16, 'host', { backend: onGpu() })).toMatchObject({ name: 'host', lines: [] });
    expect(await chosen(16, 'program', { backend })).toMatchObject({ name: 'program', lines: [] });
  });

  it.each([
    ['auto', 17, /not 17, and there is no backend .* give one .*--crop_px 16\).*--pad_to 18\)/],
    ['program', 16, /passes: "program" computes on a backend, and there is none; give one/],
    ['host', 17, /The passes of the host .* not 17.*--crop_px 16\).*--pad_to 18\)/],
  ] as const)('refuses %s for a side of %i without a backend', async (engine, N, message) => {
    await expect(chosen(N, engine, {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

describe('threads, where their number is left open', () => {
  it('are as many as there are cores, but not for small batches', () => {
    const of = (batch: number, N: number, { modes = 1, slices = 1, points = 1 } = {}) => {
      const { scan, sizes } = solverProblem(4, 1, 2);
      const ways = points > 1 ? { points, ys: scan.ys, xs: scan.xs } : undefined;
      return threadsFor({ batch, scan: { ...scan, N, ways }, sizes: { ...sizes, modes, slices } }, 8);
    };
    expect([of(16, 32), of(32, 32), of(16, 64), of(32, 64), of(32, 128), of(4, 512)]).toEqual([1, 1, 1, 2, 8, 8]);
    expect([of(16, 64, { modes: 3 }), of(16, 64, { slices: 2 }), of(32, 64, { points: 5 })]).toEqual([4, 2, 8]);
  });

  it('are one for patterns of 16 pixels, unless it is given', async () => {
    expect((await chosenThreads(undefined)).endsWith('one thread')).toBe(true);
    expect((await chosenThreads(2)).endsWith('2 threads')).toBe(true);
  });

  async function chosenThreads(threads: number | undefined) {
    const { scan, sizes, floor } = solverProblem(16, 1, 4);
    const opened = await openPasses({ threads }, 'host', {
      ...{ scan, sizes, floor, keep: 0, storeWaves: false },
      batch: 4,
    });
    await opened.close();
    return opened.description;
  }
});

describe('three epochs', () => {
  // Patterns of a scan that there could be: what fits nothing is as sensitive to rounding as to anything else.
  const N = 16;
  const modes = 2;
  const problem = solverProblem(N, modes, 40, 3);
  const { sizes, scan } = problem;
  const smooth = (length: number, of: (i: number) => number) => Float32Array.from({ length }, (_, i) => of(i));
  const [row, column] = [(i: number) => Math.floor(i / sizes.width), (i: number) => i % sizes.width];
  const pixels = sizes.height * sizes.width;
  const object = {
    re: smooth(pixels, (i) => 0.8 + 0.2 * Math.cos(0.9 * row(i))),
    im: smooth(pixels, (i) => 0.4 * Math.sin(0.7 * column(i) + 0.3 * row(i))),
  };
  const probeOf = (width: number) =>
    smooth(modes * N * N, (i) => {
      const [r, c] = [Math.floor((i % (N * N)) / N) - N / 2, (i % N) - N / 2];
      return (i < N * N ? 20 : 4 * c) * Math.exp(-(r * r + c * c) / width);
    });
  // Light at every angle.
  const rng = new LegacyRng(1);
  const rough = smooth(modes * N * N, () => rng.normal());
  const all = Int32Array.from({ length: scan.count }, (_, k) => k);
  const { stored } = plainPass({ ...problem, object, probe: { re: probeOf(12), im: rough }, waves: [] }, all, {
    wave: 'store',
  });
  const diffraction = new Float32Array(scan.count * N * N);
  stored.forEach((waves, k) => {
    const fields = waves.map((wave) => dft(wave, N, -1));
    for (let i = 0; i < N * N; i++) {
      const centred = ((Math.floor(i / N) + N / 2) % N) * N + ((i + N / 2) % N);
      diffraction[k * N * N + centred] = Math.sqrt(
        fields.reduce((sum, { re, im }) => sum + re[i] ** 2 + im[i] ** 2, 0),
      );
    }
  });
  const badPixels = new Uint8Array(N * N);
  badPixels[40] = 1;
  const raw = rawDataFromArrays({
    diffraction: { data: diffraction, shape: [scan.count, N, N] },
    xcoords: [...scan.xs],
    ycoords: [...scan.ys],
    probeGuess: { re: probeOf(16), im: rough, shape: [modes, N, N] },
    badPixels,
    measurement_domain: 'count_amplitude',
  });

  async function last(options: Partial<SolverOptions>, services: SolveServices) {
    let found: { fields: Float32Array[]; losses: number[]; engine: string } | undefined;
    for await (const update of solve(raw, { epochs: 3, batch_size: 7, ...options }, services)) {
      const [{ image }, shown] = [update.object(), update.probe()];
      const { xs, ys } = update.positions();
      found = {
        fields: [image.re, image.im, shown.re, shown.im, Float32Array.from(xs), Float32Array.from(ys)],
        losses: update.history.map(({ loss }) => loss),
        engine: update.engine,
      };
    }
    return found!;
  }

  it.each<Partial<SolverOptions>>([
    { algorithm: 'rpie' },
    { algorithm: 'rpie', noise_model: 'poisson', position_start: 2 },
    { algorithm: 'lsqml', position_start: 2 },
    { algorithm: 'dm' },
    { algorithm: 'rpie', affine: true, affine_start: 1 },
    {
      algorithm: 'lsqml',
      affine: true,
      affine_start: 1,
      affine_rule: 'gain',
      affine_freedom: 'scale,shear',
      epochs: 2,
    },
    { algorithm: 'rpie', position_start: 2, position_method: 'correlation' },
    { algorithm: 'ml' },
    { algorithm: 'rpie', ml_start: 2, ml_method: 'cg', centre_probe: true },
  ])('%o on both engines', async (options) => {
    const host = await last({ ...options, passes: 'host' }, { threads: 1 });
    const program = await last({ ...options, passes: 'program' }, { backend });
    expect(program.engine).toContain('onnxruntime');
    host.fields.forEach((expected, i) => {
      const [apart, power] = [new Float64Array(1), new Float64Array(1)];
      expected.forEach((v, j) => {
        apart[0] += (v - program.fields[i][j]) ** 2;
        power[0] += v * v;
      });
      expect(Math.sqrt(apart[0] / power[0]), `field ${i}`).toBeLessThan(1e-3);
    });
    program.losses.forEach((loss, i) => {
      expect(loss / host.losses[i], `epoch ${i}`).toBeCloseTo(1, 4);
    });
    expect(host.losses[3]).not.toBe(host.losses[0]);
  });
});
