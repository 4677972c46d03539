/** Several scans solved as one: how far they lie apart, objects side by side, going on from a state, what is refused. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../../src/config/schemas/solver.js';
import { LegacyRng } from '../../../src/core/rng.js';
import type { ComplexImage } from '../../../src/core/tensor.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { scoreAgainstTruth } from '../../../src/evaluation/score.js';
import { hashOf } from '../../../src/persistence/runState.js';
import { scanBounds } from '../../../src/reconstruction/frame.js';
import { runSolver } from '../../../src/solvers/run.js';
import type { ScanToSolve } from '../../../src/solvers/scan.js';
import { solve } from '../../../src/solvers/solve.js';
import { apartBy, type LitImage } from '../../../src/solvers/together/correlate.js';
import { joinScans } from '../../../src/solvers/together/joinScans.js';
import { centreOf, shiftFields } from '../../../src/solvers/together/offsets.js';
import { scansOf } from '../../../src/solvers/together/scansOf.js';
import { solverScan } from '../../support/solverScan.js';

/** A simulated scan, and every second pattern of it from pattern `from` on, moved. */
const whole = (over: Record<string, unknown> = {}) => {
  const { diffraction, xcoords, ycoords, probeGuess, objectGuess } = solverScan({
    step_px: 8,
    object_side_px: 128,
    photons: 3e4,
    ...over,
  });
  return { diffraction, xcoords, ycoords, probeGuess, truth: objectGuess };
};
const first = whole();

function part(of: ReturnType<typeof whole>, from: number, [dy, dx] = [0, 0], brighter = 1): ScanToSolve {
  const [count, N] = of.diffraction.shape;
  const rows = Array.from({ length: Math.ceil((count - from) / 2) }, (_, i) => from + 2 * i);
  const area = N * N;
  return rawDataFromArrays({
    diffraction: {
      data: Float32Array.from(
        rows.flatMap((k) => Array.from(of.diffraction.data.subarray(k * area, (k + 1) * area), (v) => brighter * v)),
      ),
      shape: [rows.length, N, N],
    },
    xcoords: rows.map((k) => of.xcoords.data[k] + dx),
    ycoords: rows.map((k) => of.ycoords.data[k] + dy),
    probeGuess: of.probeGuess,
    measurement_domain: 'count_amplitude',
  });
}

const errorOf = (
  image: ComplexImage,
  frame: Parameters<typeof scoreAgainstTruth>[0]['frame'],
  raw: ScanToSolve,
  truth = first.truth,
) => scoreAgainstTruth({ image, frame }, truth, { bounds: scanBounds(raw.xcoords, raw.ycoords) }).relative_object_error;

describe('images that lie apart', () => {
  /** Waves of long and short lengths, moved. */
  const field = (
    [dy, dx]: readonly number[],
    ramp: number,
    size: number,
    origin: readonly [number, number],
  ): LitImage => {
    const rng = new LegacyRng(3);
    const waves = Array.from({ length: 30 }, () => [rng.normal(), rng.normal(), 6 * rng.random(), 6 * rng.random()]);
    const [height, width] = [60, 70];
    const re = new Float32Array(height * width);
    const im = new Float32Array(height * width);
    for (let r = 0; r < height; r++) {
      for (let c = 0; c < width; c++) {
        const [y, x] = [r + origin[0] - dy, c + origin[1] - dx];
        const [phase, shade] = waves.reduce(
          ([p, a], [ky, kx, p0, a0]) => [p + 0.2 * Math.sin(0.3 * (ky * y + kx * x) + p0), a + 0.02 * Math.sin(0.3 * (kx * y - ky * x) + a0)], // biome-ignore format: one wave a line
          [ramp * y, 1],
        );
        re[r * width + c] = size * shade * Math.cos(phase);
        im[r * width + c] = size * shade * Math.sin(phase);
      }
    }
    const coverage = { data: new Float32Array(height * width).fill(1), shape: [height, width] };
    return { image: { re, im, shape: [height, width] }, frame: { originYxPx: origin, height, width }, coverage };
  };

  it.each([{ shift: [0, 0] }, { shift: [3.4, -2.1] }, { shift: [-11.7, 8.25] }] as const)(
    'are found $shift px apart, whatever their ramps, factors and frames',
    ({ shift }) => {
      const apart = apartBy(field([0, 0], 0.03, 1, [5, -20]), field([-shift[0], -shift[1]], -0.05, 0.4, [9, -26]))!;
      expect(Math.abs(apart.shift_yx_px[0] - shift[0])).toBeLessThan(0.2);
      expect(Math.abs(apart.shift_yx_px[1] - shift[1])).toBeLessThan(0.2);
      expect(apart.agreement).toBeGreaterThan(0.95);
      expect(apart.distinct).toBeGreaterThan(6);
    },
  );

  it('are not found where they never meet, or one is dark', () => {
    const dark = field([0, 0], 0, 1, [0, 0]);
    expect(apartBy(dark, { ...dark, coverage: { ...dark.coverage, data: new Float32Array(60 * 70) } })).toBeUndefined();
  });
});

it('moves probes between pixels, and knows where their light is', () => {
  const N = 16;
  const re = Float32Array.from({ length: N * N }, (_, i) =>
    Math.exp(-((Math.floor(i / N) - 8) ** 2 + ((i % N) - 7) ** 2) / 6),
  );
  const im = re.map((v) => 0.5 * v);
  shiftFields([[re, im]], N, [1.25, -0.5]);
  const [y, x] = centreOf({ re, im }, N);
  expect(y).toBeCloseTo(9.25, 2);
  expect(x).toBeCloseTo(6.5, 2);
  const at = (r: number, c: number) => Math.exp(-((r - 9.25) ** 2 + (c - 6.5) ** 2) / 6);
  expect(re[9 * N + 7]).toBeCloseTo(at(9, 7), 3);
  expect(im[8 * N + 4]).toBeCloseTo(0.5 * at(8, 4), 3);
});

describe('one object, two scans', () => {
  it('is better than that of each alone, and how far they lie apart is found', async () => {
    const [a, b] = [part(first, 0), part(first, 1, [3.4, -2.1], 0.7)];
    const options = { algorithm: 'lsqml', epochs: 25 } as const;
    const solved = await runSolver(joinScans([a, b], { share: 'object' }), options, { threads: 1 });
    const alone = await runSolver(a, options, { threads: 1 });
    const error = errorOf(solved.image, solved.frame, a);
    expect(error).toBeLessThan(0.95 * errorOf(alone.image, alone.frame, a));
    const [one, other] = scansOf(solved);
    expect(one.offset_yx_px).toEqual([0, 0]);
    expect(Math.abs(other.offset_yx_px[0] + 3.4)).toBeLessThan(0.2);
    expect(Math.abs(other.offset_yx_px[1] - 2.1)).toBeLessThan(0.2);
    // In the pixels of its own positions, to half a pixel.
    other.positions.ys.forEach((y, k) => {
      expect(y).toBeCloseTo(b.ycoords[k] + other.offset_yx_px[0] + 3, 6);
    });
    expect(other.frame.originYxPx).toEqual([solved.frame.originYxPx[0] + 3, solved.frame.originYxPx[1] - 2]);
    // Each probe has the light of its own patterns.
    const power = ({ re, im }: ComplexImage) => re.reduce((sum, v, i) => sum + v * v + im[i] ** 2, 0);
    expect(power(other.probe) / power(one.probe)).toBeGreaterThan(0.45);
    expect(power(other.probe) / power(one.probe)).toBeLessThan(0.53);
  });

  it('goes on from a state to the byte, with offsets and positions that move', async () => {
    const options = { algorithm: 'rpie', epochs: 8, position_start: 4, momentum: 0.3, acceleration: 0.5 } as const;
    const joined = joinScans([part(first, 0), part(first, 1, [1.7, 0.6])], { share: 'object' });
    const last = async (over: Partial<SolverOptions>, resume?: Awaited<ReturnType<typeof runSolver>>['snapshot']) =>
      runSolver(joined, { ...options, ...over }, { threads: 1, resume });
    const straight = await last({});
    const begun = await last({ epochs: 5 });
    const gone = await last({}, begun.snapshot);
    for (const [name, array] of Object.entries(straight.snapshot.arrays)) {
      expect(hashOf(gone.snapshot.arrays[name]), name).toBe(hashOf(array));
    }
    expect(gone.together).toEqual(straight.together);
    expect(gone.history).toEqual(straight.history);
    expect(straight.together!.shifts_yx_px[1]).not.toEqual(begun.together!.shifts_yx_px[1]);
  });

  it('is refused for what does not go together, in one sentence', async () => {
    const joined = joinScans([part(first, 0), part(first, 1)], { share: 'object' });
    const refusal = async (options: Partial<SolverOptions>, scan = joined) => {
      for await (const _ of solve(scan, options, { threads: 1 })) throw new Error('it was not refused');
    };
    for (const [options, message] of [
      [{ opr_modes: 1 }, /^opr_modes does not go together with share object: .*leave one of them out\.$/],
      [{ flux: true }, /^flux /],
      [{ algorithm: 'ml' }, /^algorithm /],
      [{ ml_start: 4 }, /^ml_start /],
      [{ centre_probe: true }, /^centre_probe /],
      [{ affine: true }, /^affine /],
      [{ progressive_levels: 2 }, /^progressive_levels /],
      [{ probe_power_counts: 1e4 }, /^probe_power_counts /],
    ] as const) {
      await expect(refusal(options)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(message),
      });
    }
    const probes = joinScans([part(first, 0), part(first, 1)], { share: 'probe' });
    await expect(refusal({ grid_period_px: 5 }, probes)).rejects.toThrow(/^grid_period_px /);
  });

  it('says what can be done where a scan cannot be solved alone', async () => {
    const lonely = part(first, 1);
    const apart = { ...lonely, xcoords: lonely.xcoords.map((x, k) => x + 40 * k) };
    const joined = joinScans([part(first, 0), apart], { share: 'object' });
    await expect(runSolver(joined, { epochs: 2 }, { threads: 1 })).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/share no light .*So it cannot be found how far .* align_scans false\.$/),
    });
  });

  it('is refused for scans of two objects', async () => {
    const other = part(whole({ seed: 9 }), 1);
    const joined = joinScans([part(first, 0), other], { share: 'object' });
    await expect(runSolver(joined, { epochs: 2 }, { threads: 1 })).rejects.toMatchObject({
      code: 'SOLVER_FAILED',
      message: expect.stringContaining('do not tell how far they lie apart'),
    });
  });
});

describe('one probe, two objects', () => {
  const others = whole({ seed: 9 });
  const [a, b] = [part(first, 0), part(others, 0, [40, -3], 0.6)];

  it('gives each scan its own image, as bright as its patterns say', async () => {
    const options = { algorithm: 'lsqml', epochs: 20, position_start: 10 } as const;
    const solved = await runSolver(joinScans([a, b], { share: 'probe' }), options, { threads: 1 });
    const [one, other] = scansOf(solved);
    expect(one.probe).toEqual(other.probe);
    expect(errorOf(one.image, one.frame, a)).toBeLessThan(0.2);
    const { frame } = other;
    const back = { ...frame, originYxPx: [frame.originYxPx[0] - 40, frame.originYxPx[1] + 3] as const };
    expect(errorOf(other.image, back, part(others, 0), others.truth)).toBeLessThan(0.2);
    expect(other.positions.ys.every((y, k) => Math.abs(y - b.ycoords[k]) < 3)).toBe(true);
    const mean = ({ image, weight }: typeof one) => {
      let [sum, light] = [0, 0];
      weight.data.forEach((w, i) => {
        sum += w * Math.hypot(image.re[i], image.im[i]);
        light += w;
      });
      return sum / light;
    };
    expect(mean(other) / mean(one)).toBeGreaterThan(0.5);
    expect(mean(other) / mean(one)).toBeLessThan(0.7);
  });
});

describe('scans that cannot be joined', () => {
  const a = part(first, 0);
  it.each([
    ['one scan', [a], 'object', 'CONFIG_INVALID', /for several scans, but there is one/],
    ['no scan', [], 'probe', 'CONFIG_INVALID', /but there is none/],
    ['another word', [a, a], 'both', 'CONFIG_INVALID', /say "object" or "probe"/],
    ['other sides', [a, { ...a, N: 32 }], 'object', 'DATASET_SHAPE', /patterns of 64 and 32 pixels a side/],
    ['other pixels', [{ ...a, geometry: { objectPixel_m: { x: 1e-8, y: 1e-8 } } }, { ...a, geometry: { objectPixel_m: { x: 2e-8, y: 1e-8 } } }], 'probe', 'DATASET_UNITS', /object pixels/], // biome-ignore format: one case a line
    [
      'counts beside amplitudes',
      [a, { ...a, domain: 'normalized_amplitude' }],
      'object',
      'DATASET_UNITS',
      /counts and normalised/,
    ],
  ] as const)('%s', (_name, scans, share, code, message) => {
    const join = () => joinScans(scans as readonly ScanToSolve[], { share: share as 'object' });
    expect(join).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
