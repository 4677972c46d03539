/** What object and probe are held to besides total variation, support and power. */
import { describe, expect, it } from 'vitest';
import { type SolverOptions, solverOptionsSchema } from '../../src/config/schemas/solver.js';
import { LegacyRng } from '../../src/core/rng.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { requireCombination } from '../../src/solvers/combinations.js';
import { limitObject, type ObjectLimits, removeGrid } from '../../src/solvers/corrections/objectLimits.js';
import { blankBeyond, blankFarField, movePlanes, offCentre } from '../../src/solvers/corrections/probeLimits.js';
import { solve } from '../../src/solvers/solve.js';
import { dft, plain } from '../support/plainSolver.js';
import { solverScan } from '../support/solverScan.js';

const rng = new LegacyRng(3);
const random = (length: number, scale = 1) => Float32Array.from({ length }, () => scale * rng.normal());
const NONE: ObjectLimits = {
  ...{ object_l1: 0, object_l2: 0, object_amplitude_min: null, object_amplitude_max: null },
  ...{ object_phase_min_rad: null, object_phase_max_rad: null },
};

describe('the object', () => {
  const field = () => ({ re: Float32Array.of(1, 0.1, -0.6, 0), im: Float32Array.of(0, 0.1, 0.8, 0) });
  const polar = ({ re, im }: ReturnType<typeof field>) =>
    Array.from(re, (v, i) => [Math.hypot(v, im[i]), Math.atan2(im[i], v)]);
  const limited = (options: Partial<ObjectLimits>) => {
    const found = field();
    limitObject(found, { ...NONE, ...options });
    return polar(found);
  };

  it('is drawn towards 0 by L1 and L2, without a turn', () => {
    const before = polar(field());
    const rms = Math.sqrt(before.reduce((sum, [a]) => sum + a * a, 0) / 4);
    limited({ object_l1: 0.4, object_l2: 0.25 }).forEach(([amplitude, phase], i) => {
      expect(amplitude).toBeCloseTo(0.75 * Math.max(0, before[i][0] - 0.4 * rms), 6);
      if (amplitude > 0) expect(phase).toBeCloseTo(before[i][1], 6);
    });
    expect(limited({})).toEqual(before);
  });

  it('stays within limits of amplitude and phase', () => {
    const found = limited({ object_amplitude_min: 0.3, object_amplitude_max: 0.9, object_phase_max_rad: 0.5 });
    const expected = [
      [0.9, 0],
      [0.3, 0.5],
      [0.9, 0.5],
      [0.3, 0],
    ];
    found.forEach(([a, p], i) => {
      expect(a).toBeCloseTo(expected[i][0], 6);
      expect(p).toBeCloseTo(expected[i][1], 6);
    });
    // No phase to keep: what had none is positive.
    expect(limited({ object_amplitude_min: 0.3 })[3]).toEqual([expect.closeTo(0.3, 6), 0]);
  });

  it('loses what repeats with the scan, and nothing else', () => {
    const [height, width, period] = [60, 48, 6];
    const smooth = (r: number, c: number) =>
      0.4 * Math.sin((2 * Math.PI * 2 * r) / height + 1) + 0.2 * Math.cos((2 * Math.PI * 3 * c) / width);
    const phase = (grid: number) =>
      Float64Array.from({ length: height * width }, (_, i) => {
        const [r, c] = [Math.floor(i / width), i % width];
        const angles = [(2 * Math.PI * r) / period, (2 * Math.PI * (r + 2 * c)) / period];
        return smooth(r, c) + grid * (Math.sin(angles[0]) + 0.5 * Math.cos(angles[1]));
      });
    const made = (grid: number) => {
      const angles = phase(grid);
      return {
        re: Float32Array.from(angles, (v) => 0.8 * Math.cos(v)),
        im: Float32Array.from(angles, (v) => 0.8 * Math.sin(v)),
      };
    };
    const found = made(0.15);
    removeGrid(found, { height, width }, { period_px: period, window: 1 });
    const wanted = made(0);
    const apart = (a: typeof found) =>
      Math.sqrt(
        a.re.reduce((sum, v, i) => sum + (v - wanted.re[i]) ** 2 + (a.im[i] - wanted.im[i]) ** 2, 0) / a.re.length,
      );
    expect(apart(made(0.15))).toBeGreaterThan(0.05);
    expect(apart(found)).toBeLessThan(1e-5);
  });
});

describe('the probe', () => {
  const N = 12;
  const field = () => ({ re: random(2 * N * N), im: random(2 * N * N) });

  it('is blank beyond a radius', () => {
    const found = field();
    const before = found.re.slice();
    blankBeyond([found], N, 3.5);
    for (let i = 0; i < found.re.length; i++) {
      const [r, c] = [Math.floor((i % (N * N)) / N) - 6, (i % N) - 6];
      expect(found.re[i]).toBe(Math.hypot(r, c) <= 3.5 ? before[i] : 0);
    }
  });

  it('has a far field of a support that all modes share', () => {
    // Two modes, each in a half of the detector: the support is that of both.
    const far = [0, 1].map((m) => {
      const one = plain(N * N);
      for (let r = 4; r < 9; r++) {
        for (let c = m === 0 ? 2 : 6; c < (m === 0 ? 6 : 10); c++) one.re[r * N + c] = 5;
      }
      for (let i = 0; i < N * N; i++) one.im[i] = 1e-3 * rng.normal();
      return one;
    });
    const corner = ({ re, im }: (typeof far)[0]) => {
      const out = plain(N * N);
      for (let i = 0; i < N * N; i++) {
        const t = ((Math.floor(i / N) + 6) % N) * N + (((i % N) + 6) % N);
        out.re[t] = re[i];
        out.im[t] = im[i];
      }
      return out;
    };
    const near = far.map((one) => dft(corner(one), N, 1));
    const probe = {
      re: Float32Array.from(near.flatMap(({ re }) => [...re])),
      im: Float32Array.from(near.flatMap(({ im }) => [...im])),
    };
    blankFarField(probe, N, 0.05);
    const after = [0, 1].map((m) =>
      dft(
        {
          re: Float64Array.from(probe.re.slice(m * N * N, (m + 1) * N * N)),
          im: Float64Array.from(probe.im.slice(m * N * N, (m + 1) * N * N)),
        },
        N,
        -1,
      ),
    );
    const at = (m: number, r: number, c: number) => {
      const i = ((r + 6) % N) * N + ((c + 6) % N);
      return Math.hypot(after[m].re[i], after[m].im[i]);
    };
    expect(at(0, 6, 3)).toBeCloseTo(5, 4);
    expect(at(1, 6, 8)).toBeCloseTo(5, 4);
    // Dim light where the other mode is bright stays; far outside nothing does.
    expect(at(0, 6, 8)).toBeGreaterThan(0);
    for (const m of [0, 1]) expect(at(m, 0, 0)).toBeLessThan(1e-6);
  });

  it('is moved into the middle', () => {
    const found = { re: new Float32Array(N * N), im: new Float32Array(N * N) };
    found.re[8 * N + 5] = 1;
    expect(offCentre(found, N)).toEqual([2, -1]);
    movePlanes([found.re], { height: N, width: N }, [2, -1], true);
    expect(found.re[6 * N + 6]).toBe(1);
    expect(offCentre(found, N)).toEqual([0, 0]);
  });
});

describe('centre_probe', () => {
  it('is refused where the detector is near', () => {
    const options = solverOptionsSchema.parse({ centre_probe: true });
    expect(() => requireCombination(options, { near: true })).toThrow(/moves over its patterns/);
    expect(() => requireCombination(options)).not.toThrow();
    const crossed = solverOptionsSchema.parse({ object_phase_min_rad: 1, object_phase_max_rad: 0.5 });
    expect(() => requireCombination(crossed)).toThrow(/1 is no less than object_phase_max_rad \(0.5\)/);
  });

  it.each([{}, { algorithm: 'lsqml' }, { momentum: 0.5 }, { opr_modes: 1 }] as Partial<SolverOptions>[])(
    'changes where object and probe are, and nothing else: %o',
    async (options) => {
      const simulated = solverScan();
      const { probeGuess } = simulated;
      const N = probeGuess.shape[0];
      const off = { ...probeGuess, re: probeGuess.re.slice(), im: probeGuess.im.slice() };
      movePlanes([off.re, off.im], { height: N, width: N }, [3, -4], true);
      const raw = rawDataFromArrays({
        diffraction: simulated.diffraction,
        xcoords: simulated.xcoords.data as Float64Array,
        ycoords: simulated.ycoords.data as Float64Array,
        probeGuess: off,
        measurement_domain: 'count_amplitude',
      });
      const run = async (centre_probe: boolean) => {
        for await (const update of solve(raw, { epochs: 8, centre_probe, ...options }, { threads: 1 })) {
          if (update.epoch === 8) return { history: update.history, probe: update.probe() };
        }
        throw new Error('no last epoch');
      };
      const [moved, left] = [await run(true), await run(false)];
      expect(offCentre(moved.probe, N)).toEqual([0, 0]);
      expect(Math.abs(offCentre(left.probe, N)[0])).toBeGreaterThan(1);
      moved.history.forEach(({ rFactor }, e) => {
        expect(Math.abs(rFactor / left.history[e].rFactor - 1)).toBeLessThan(0.02);
      });
    },
  );
});
