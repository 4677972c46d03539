/** The solvers on the scans that the published package was measured on; a part of it with PTYCHOPINN_SLOW_SAMPLE=1. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openDataset } from '../../src/data/openDataset.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { openNpz } from '../../src/formats/npz.js';
import { incoherentModes } from '../../src/physics/probe.js';
import { type Frame, scanBounds } from '../../src/reconstruction/frame.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { solve } from '../../src/solvers/solve.js';
import { describeShared, sharedFile } from '../support/shared.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';

describeShared('sim_64_counts.npz from its wrong probe guess', () => {
  const file = sharedFile('data/sim_64_counts.npz');

  /** Object errors after every so many epochs; positions disturbed by up to `error_px` along both axes. */
  async function errors(options: Partial<SolverOptions>, error_px = 0, every = 20): Promise<number[]> {
    const raw = await openDataset(file);
    const npz = await openNpz(file);
    try {
      const truth = (await npz.read('objectTrue')) as ComplexImage;
      const bounds = scanBounds(raw.xcoords, raw.ycoords);
      const rng = new LegacyRng(1);
      const disturbed = (values: Float64Array) => values.map((v) => v + rng.uniform(-error_px, error_px));
      const scan = { ...raw, xcoords: disturbed(raw.xcoords), ycoords: disturbed(raw.ycoords) };
      const found: number[] = [];
      for await (const update of solve(scan, { epochs: 60, ...options }, { threads: 2 })) {
        if (update.epoch === 0 || update.epoch % every > 0) continue;
        found.push(scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error);
      }
      return found;
    } finally {
      await raw.close();
      await npz.close();
    }
  }

  // The published package: 0.0315, 0.0289 and 0.040.
  it.each([
    ['rpie', 0.032],
    ['epie', 0.03],
    ['pie', 0.04],
    ['lsqml', 0.041],
  ] as const)('%s, 60 epochs: object error at most %f', async (algorithm, bound) => {
    expect((await errors({ algorithm })).at(-1)).toBeLessThan(bound);
  });

  it.each(['lbfgs', 'cg'] as const)('ml by %s, 20 epochs: at most 0.035', async (ml_method) => {
    expect((await errors({ algorithm: 'ml', ml_method, epochs: 20 })).at(-1)).toBeLessThan(0.035);
  });

  it('lsqml, 10 epochs: at most 0.04 from three seeds', async () => {
    for (const seed of [0, 1, 2]) {
      expect((await errors({ algorithm: 'lsqml', epochs: 10, seed }, 0, 10)).at(-1)).toBeLessThan(0.04);
    }
  });

  it('dm comes to rest (published: 0.064 after 10 epochs, 0.304 after 60)', async () => {
    const found = await errors({ algorithm: 'dm' });
    expect(Math.max(...found)).toBeLessThan(0.064);
    expect(found[2]).toBeLessThan(1.05 * Math.min(...found));
  });

  it.each(sample ? (['lsqml'] as const) : (['rpie', 'lsqml'] as const))(
    '%s corrects positions that are up to 2 px off',
    async (algorithm) => {
      const exact = (await errors({ algorithm })).at(-1)!;
      const corrected = (await errors({ algorithm, epochs: 100, position_start: 5 }, 2)).at(-1)!;
      const uncorrected = (await errors({ algorithm, epochs: 100 }, 2)).at(-1)!;
      expect(corrected).toBeLessThan(1.5 * exact);
      expect(uncorrected).toBeGreaterThan(2 * corrected);
    },
  );
});

describeShared('opr_64.npz: a beam that drifts and flickers', () => {
  const file = sharedFile('data/solvers/opr_64.npz');

  async function errorOf(options: Partial<SolverOptions>): Promise<number> {
    const raw = await openDataset(file);
    const npz = await openNpz(file);
    try {
      const truth = (await npz.read('objectTrue')) as ComplexImage;
      const bounds = scanBounds(raw.xcoords, raw.ycoords);
      let error = Number.NaN;
      for await (const update of solve(raw, options, { threads: 2 })) {
        if (update.epoch < update.epochs) continue;
        error = scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error;
      }
      return error;
    } finally {
      await raw.close();
      await npz.close();
    }
  }

  it.each(['lsqml', 'rpie', 'epie', 'pie'] as const)('%s: at most 0.06 in 30 epochs', async (algorithm) => {
    expect(await errorOf({ algorithm, epochs: 30, opr_modes: 2, flux: true })).toBeLessThan(0.06);
  });

  it('one beam for all patterns: 0.25', async () => {
    expect(await errorOf({ algorithm: 'lsqml', epochs: 30 })).toBeGreaterThan(0.2);
  });
});

describeShared('flyscan9_64.npz: a sample that moves by 9 px during exposures', () => {
  const file = sharedFile('data/solvers/flyscan9_64.npz');

  it.each([
    ['lsqml', 6, 0, 0.06],
    ['lsqml', 3, 0, 0.06],
    ['lsqml', 1, 0.12, 0.2],
  ] as const)('%s over %i points, 30 epochs: from %f to %f', async (algorithm, fly_positions, low, high) => {
    const raw = await openDataset(file);
    const npz = await openNpz(file);
    try {
      const truth = (await npz.read('objectTrue')) as ComplexImage;
      const bounds = scanBounds(raw.xcoords, raw.ycoords);
      for await (const update of solve(raw, { algorithm, fly_positions, epochs: 30 }, { threads: 2 })) {
        if (update.epoch < update.epochs) continue;
        const error = scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error;
        expect(error).toBeGreaterThan(low);
        expect(error).toBeLessThan(high);
      }
    } finally {
      await raw.close();
      await npz.close();
    }
  });
});

describeShared('affine_64.npz: positions with errors that all share', () => {
  const file = sharedFile('data/solvers/affine_64.npz');

  it.each([
    ['lsqml', { affine: true }, 0, 0.05],
    ['lsqml', { affine: true, affine_rule: 'gain' }, 0, 0.065],
    ['lsqml', {}, 0.1, 0.2],
  ] as const)('%s, %o, 40 epochs: from %f to %f', async (algorithm, options, low, high) => {
    const raw = await openDataset(file);
    const npz = await openNpz(file);
    try {
      const truth = (await npz.read('objectTrue')) as ComplexImage;
      const [xs, ys] = [await npz.readReal('xcoords_true'), await npz.readReal('ycoords_true')];
      const bounds = scanBounds(xs.data, ys.data);
      for await (const update of solve(raw, { algorithm, ...options, epochs: 40 }, { threads: 2 })) {
        if (update.epoch < update.epochs) continue;
        const error = scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error;
        expect(error).toBeGreaterThan(low);
        expect(error).toBeLessThan(high);
      }
    } finally {
      await raw.close();
      await npz.close();
    }
  });
});

describeShared('multislice_64.npz: two slices', () => {
  const file = sharedFile('data/solvers/multislice_64.npz');

  it.each(['lsqml', 'rpie'] as const)(
    '%s: product at most 0.06, slices at most 0.07 in 60 epochs',
    async (algorithm) => {
      const raw = await openDataset(file);
      const npz = await openNpz(file);
      try {
        const truth = (await npz.read('objectTrue')) as ComplexImage;
        const slices = (await npz.read('slicesTrue')) as ComplexImage;
        const [, height, width] = slices.shape;
        const bounds = scanBounds(raw.xcoords, raw.ycoords);
        const errorOf = (found: { image: ComplexImage; frame: Frame }, expected: ComplexImage) =>
          scoreAgainstTruth(found, expected, { bounds }).relative_object_error;
        const cut = (of: ComplexImage, s: number, rows: number, columns: number): ComplexImage => {
          const part = (values: Float32Array) => values.slice(s * rows * columns, (s + 1) * rows * columns);
          return { re: part(of.re), im: part(of.im), shape: [rows, columns] };
        };
        for await (const update of solve(raw, { algorithm, epochs: 60, slices: 2 }, { threads: 2 })) {
          if (update.epoch < update.epochs) continue;
          const found = update.object();
          const { frame } = found;
          expect(errorOf(found, truth)).toBeLessThan(0.06);
          for (const s of [0, 1]) {
            const image = cut(update.layers()!.array, s, frame.height, frame.width);
            expect(errorOf({ image, frame }, cut(slices, s, height, width))).toBeLessThan(0.07);
          }
        }
      } finally {
        await raw.close();
        await npz.close();
      }
    },
  );
});

describeShared('nearfield_96.npz: images behind the sample', () => {
  const file = sharedFile('data/solvers/nearfield_96.npz');

  // With batches as long from the beginning: 0.038, 0.043, 0.061 and 0.055.
  it.each([
    ['lsqml', 0.037],
    ['rpie', 0.041],
    ['epie', 0.059],
    ['pie', 0.054],
    // As for far fields: 0.107.
    ['dm', 0.075],
  ] as const)('%s: at most %f in 60 epochs', async (algorithm, bound) => {
    const raw = await openDataset(file);
    const npz = await openNpz(file);
    try {
      const truth = (await npz.read('objectTrue')) as ComplexImage;
      const { xMin, xMax, yMin, yMax } = scanBounds(raw.xcoords, raw.ycoords);
      // Where light falls from most positions.
      const bounds = { xMin: xMin - 22, xMax: xMax + 22, yMin: yMin - 22, yMax: yMax + 22 };
      for await (const update of solve(raw, { algorithm, epochs: 60 }, { threads: 1 })) {
        if (update.epoch < update.epochs) continue;
        expect(scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error).toBeLessThan(bound);
      }
    } finally {
      await raw.close();
      await npz.close();
    }
  });
});

describeShared('sim_64_counts.npz with positions that are 2 % too far apart', () => {
  const file = sharedFile('data/sim_64_counts.npz');

  it('a scale of 0.98 is found by trial', async () => {
    const raw = await openDataset(file);
    const npz = await openNpz(file);
    try {
      const truth = (await npz.read('objectTrue')) as ComplexImage;
      const bounds = scanBounds(raw.xcoords, raw.ycoords);
      const larger = (values: Float64Array) => {
        const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
        return values.map((v) => mean + (v - mean) / 0.98);
      };
      const scan = { ...raw, xcoords: larger(raw.xcoords), ycoords: larger(raw.ycoords) };
      const options = { algorithm: 'lsqml', affine: true, affine_freedom: 'scale', epochs: 30 } as const;
      for await (const update of solve(scan, options, { threads: 2 })) {
        if (update.epoch < update.epochs) continue;
        expect(Math.abs(update.affine()!.scale - 0.98)).toBeLessThan(0.006);
        expect(scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error).toBeLessThan(0.05);
      }
    } finally {
      await raw.close();
      await npz.close();
    }
  });
});

/** Discs and bars, smooth over 1.6 pixels, amplitude 0.75 to 1 and phase ±0.6 rad apart: as the shared scans have it. */
function smoothObject(side: number, rng: LegacyRng): ComplexImage {
  const plane = () => {
    const sharp = new Float64Array(side * side);
    for (let n = 0; n < (side * side) / 220; n++) {
      const [cy, cx, radius, value] = [
        side * rng.random(),
        side * rng.random(),
        rng.uniform(2.5, 9),
        rng.uniform(-1, 1),
      ];
      const [bar, turn, thick] = [rng.random() < 0.5, rng.uniform(0, Math.PI), rng.uniform(1, 2.5)];
      for (let i = 0; i < sharp.length; i++) {
        const [y, x] = [Math.floor(i / side) - cy, (i % side) - cx];
        const [u, v] = [x * Math.cos(turn) + y * Math.sin(turn), y * Math.cos(turn) - x * Math.sin(turn)];
        const inside = bar ? Math.abs(u) < 2.2 * radius && Math.abs(v) < thick : y * y + x * x < radius * radius;
        if (inside) sharp[i] += value;
      }
    }
    const kernel = Array.from({ length: 13 }, (_, i) => Math.exp(-((i - 6) ** 2) / (2 * 1.6 ** 2)));
    const total = kernel.reduce((sum, v) => sum + v, 0);
    const blurred = (values: Float64Array, step: number) =>
      values.map((_, i) => {
        const at = Math.floor(i / step) % side;
        return kernel.reduce((sum, w, d) => {
          const to = Math.min(side - 1, Math.max(0, at + d - 6));
          return sum + (w / total) * values[i + (to - at) * step];
        }, 0);
      });
    const smooth = blurred(blurred(sharp, 1), side);
    const sorted = Float64Array.from(smooth).sort();
    const [low, high] = [0.01, 0.99].map((q) => sorted[Math.floor(q * sorted.length)]);
    return smooth.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low))));
  };
  const [amplitude, phase] = [plane(), plane()];
  const part = (of: (angle: number) => number) =>
    Float32Array.from(amplitude, (a, i) => (0.75 + 0.25 * a) * of(1.2 * (phase[i] - 0.5)));
  return { re: part(Math.cos), im: part(Math.sin), shape: [side, side] };
}

describe('three incoherent modes of falling power', () => {
  // As data/solvers/make_opr.py makes beams: a soft disc out of focus, astigmatism with coma, and another focus.
  it.each([1, 2])('rPIE: object error at most 0.045 in 60 epochs, object %i', async (seed) => {
    const N = 64;
    const beam = (fwhm: number, curvature: number, astigmatism: number) => {
      const out = { re: new Float32Array(N * N), im: new Float32Array(N * N), shape: [N, N] };
      for (let i = 0; i < N * N; i++) {
        const [y, x] = [Math.floor(i / N) - N / 2, (i % N) - N / 2];
        const amplitude = 1 / (1 + Math.exp((Math.hypot(y, x) - fwhm / 2) / 1.2));
        const phase = curvature * (x * x + y * y) + astigmatism * (x * x - y * y);
        out.re[i] = amplitude * Math.cos(phase);
        out.im[i] = amplitude * Math.sin(phase);
      }
      return out;
    };
    const first = beam(22, 0.018, 0.004);
    const modes = incoherentModes(first, [0.7, 0.2, 0.1]);
    const rng = new LegacyRng(seed + 10);
    const object = smoothObject(190, rng);
    const places = Array.from({ length: 289 }, (_, k) => [Math.floor(k / 17), k % 17]);
    const at = (axis: 0 | 1) => Float64Array.from(places, (p) => 36.4 + 7 * p[axis] + rng.uniform(-1.6, 1.6));
    const [ys, xs] = [at(0), at(1)];
    const simulated = simulateScan({ object, probe: modes, xs, ys, photons: 4e4, seed: seed + 20 });
    const raw = rawDataFromArrays({
      diffraction: simulated.diffraction,
      xcoords: xs,
      ycoords: ys,
      probeGuess: beam(24, 0.014, 0),
      measurement_domain: 'count_amplitude',
    });
    const bounds = scanBounds(xs, ys);
    for await (const update of solve(raw, { algorithm: 'rpie', probe_modes: 3, epochs: 60 }, { threads: 2 })) {
      if (update.epoch < update.epochs) continue;
      expect(scoreAgainstTruth(update.object(), object, { bounds }).relative_object_error).toBeLessThan(0.045);
    }
  });
});

describe('scatter besides what the sample sends', () => {
  const N = 64;
  const COUNTS = 3e4;
  const rng = new LegacyRng(41);
  const object = smoothObject(150, rng);
  const probe = { re: new Float32Array(N * N), im: new Float32Array(N * N), shape: [N, N] };
  for (let i = 0; i < N * N; i++) {
    const [y, x] = [Math.floor(i / N) - N / 2, (i % N) - N / 2];
    const amplitude = 1 / (1 + Math.exp((Math.hypot(y, x) - 7) / 1.2));
    const phase = 0.05 * (x * x + y * y) + 0.01 * (x * x - y * y);
    probe.re[i] = amplitude * Math.cos(phase);
    probe.im[i] = amplitude * Math.sin(phase);
  }
  const places = Array.from({ length: 225 }, (_, k) => [Math.floor(k / 15), k % 15]);
  const at = (axis: 0 | 1) => Float64Array.from(places, (p) => 40.4 + 4.6 * p[axis] + rng.uniform(-0.8, 0.8));
  const [ys, xs] = [at(0), at(1)];
  const { diffraction } = simulateScan({ object, probe, xs, ys, photons: COUNTS, seed: 42 });
  const bounds = scanBounds(xs, ys);

  /** Mean counts of pattern k. @param share of the counts @param moves to and fro over the detector */
  function scatterOf(share: number, k: number, moves: boolean): Float32Array {
    const [y, x] = moves ? [12 * Math.sin(k / 24), 10 * Math.cos(k / 10)] : [5, -3];
    const light = Float32Array.from({ length: N * N }, (_, i) => {
      const r2 = (Math.floor(i / N) - N / 2 - y) ** 2 + ((i % N) - N / 2 - x) ** 2;
      return Math.exp(-r2 / 300) + 0.15;
    });
    const total = light.reduce((sum, v) => sum + v, 0);
    return light.map((v) => (share * COUNTS * v) / total);
  }

  function scanWith(share: number, moves: boolean) {
    const noise = new LegacyRng(43);
    const data = Float32Array.from(diffraction.data);
    for (let k = 0; share > 0 && k < places.length; k++) {
      const light = scatterOf(share, k, moves);
      for (let i = 0; i < N * N; i++) {
        data[k * N * N + i] = Math.sqrt(data[k * N * N + i] ** 2 + noise.poisson(light[i]));
      }
    }
    return rawDataFromArrays({
      ...{ diffraction: { data, shape: diffraction.shape }, xcoords: xs, ycoords: ys, probeGuess: probe },
      measurement_domain: 'count_amplitude',
    });
  }

  /** With the background as it is from the first epoch on, or fitted. */
  async function errorOf(
    share: number,
    background: SolverOptions['background'] | 'given',
    moves = false,
  ): Promise<number> {
    const given = background === 'given';
    const start = given ? { background: { pixels: { data: scatterOf(share, 0, false), shape: [N, N] } } } : undefined;
    const options = given ? ({ background: 'pixel', background_start: 1000 } as const) : { background };
    let error = Number.NaN;
    const raw = scanWith(share, moves);
    for await (const update of solve(raw, { algorithm: 'lsqml', epochs: 30, ...options }, { threads: 1, start })) {
      if (update.epoch < update.epochs) continue;
      error = scoreAgainstTruth(update.object(), object, { bounds }).relative_object_error;
    }
    return error;
  }

  it('a fifth of the counts: hardly worse than with the true background, which leaves the noise of the scatter', async () => {
    const [known, fitted] = [await errorOf(0.2, 'given'), await errorOf(0.2, 'pixel')];
    expect(fitted).toBeLessThan(1.3 * known);
    expect(await errorOf(0.2, 'none')).toBeGreaterThan(2 * fitted);
  });

  it.skipIf(sample)('a fiftieth: at most 1.3 times the error without', async () => {
    expect(await errorOf(0.02, 'pixel')).toBeLessThan(1.3 * (await errorOf(0, 'none')));
  });

  it.skipIf(sample)('a fifth that moves: smooth planes follow it', async () => {
    expect(await errorOf(0.2, 'pattern', true)).toBeLessThan(0.4 * (await errorOf(0.2, 'pixel', true)));
  });
});

describeShared('the real Siemens star from probeGuessInitial', () => {
  const file = sharedFile('data/siemens_star_128.npz');

  // The published package: 0.1516 and 0.160.
  it.skipIf(sample).each([
    ['rpie', 40, 0.152],
    ['lsqml', 20, 0.16],
  ] as const)('%s, %i epochs: amplitude R at most %f', async (algorithm, epochs, bound) => {
    const raw = await openDataset(file, { probe: `${file}:probeGuessInitial` });
    try {
      for await (const update of solve(raw, { algorithm, epochs }, { threads: 2 })) {
        if (update.epoch === epochs) expect((await update.measure()).rFactor).toBeLessThan(bound);
      }
    } finally {
      await raw.close();
    }
  });
});
