/** `prior: network`: the object as what a network paints. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { ImagePrior } from '../../src/model/imagePrior.js';
import { startEngine } from '../../src/reconstruction/inputs.js';
import { simulate } from '../../src/simulation/recipe.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import { runSolver, type SolverResult } from '../../src/solvers/run.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverSnapshot } from '../../src/solvers/updates.js';

let backend: Backend;
beforeAll(async () => {
  backend = await startEngine({ accelerator: 'cpu', threads: 1 });
});
afterAll(() => backend.dispose());

const scan = rawDataFromSimulation(
  simulate({ object: 'dead_leaves', N: 16, object_side_px: 40, step_px: 3, photons: 2000, seed: 5 }),
);
const options = { algorithm: 'lsqml', prior: 'network', epochs: 10, prior_start: 5, prior_width: 4 } as const;

describe('an image prior', () => {
  const prior = new ImagePrior({ height: 19, width: 26, channels: 4, seed: 3 });

  it('begins near an empty object, alike for a seed', async () => {
    const image = await backend.compile(prior.image());
    const state = await backend.createState({ ...prior.initialWeights(), ...prior.initialOptimiserState() });
    const { object_real: re, object_imag: im } = await image.run({}, state);
    expect(re.shape).toEqual([19, 26]);
    expect(Math.max(...re.data.map((v) => Math.abs(v - 1)), ...im.data.map(Math.abs))).toBeLessThan(0.3);
    // And it is not flat: another seed paints another one.
    expect(new Set(re.data).size).toBeGreaterThan(100);
    const other = new ImagePrior({ ...prior.spec, seed: 4 });
    expect(other.initialWeights()).not.toEqual(prior.initialWeights());
    await state.dispose();
    await image.dispose();
  });

  it('moves down a gradient by its image', async () => {
    const [image, step] = [await backend.compile(prior.image()), await backend.compile(prior.step())];
    const state = await backend.createState({ ...prior.initialWeights(), ...prior.initialOptimiserState() });
    const target = { re: 0.5, im: 0.8 };
    const distance = async () => {
      const { object_real: re, object_imag: im } = await image.run({}, state);
      const away = (data: ArrayLike<number>, to: number) => Float32Array.from(data, (v) => (v - to) / data.length);
      const gradient = { re: away(re.data, target.re), im: away(im.data, target.im) };
      const squares = (g: Float32Array) => g.reduce((sum, v) => sum + (v * g.length) ** 2, 0);
      await step.run(
        {
          gradient_real: { data: gradient.re, shape: re.shape },
          gradient_imag: { data: gradient.im, shape: im.shape },
          learning_rate: { data: Float32Array.of(0.03), shape: [] },
        },
        state,
      );
      return squares(gradient.re) + squares(gradient.im);
    };
    const first = await distance();
    for (let k = 0; k < 80; k++) await distance();
    expect(await distance()).toBeLessThan(0.15 * first);
    for (const held of [state, image, step]) await held.dispose();
  });
});

describe('a solver with the prior of a network', () => {
  const run = (over: object = {}, services: object = {}): Promise<SolverResult> =>
    runSolver(scan, { ...options, ...over }, { threads: 1, backend, ...services });

  it('takes over the image of the algorithm before, and improves what it paints of it', async () => {
    const { history, image } = await run({ epochs: 25, prior_start: 11, prior_width: 8 });
    const loss = (epoch: number) => history[epoch].loss;
    // The first look at what it paints comes after it has learned the image.
    expect(loss(11)).toBeLessThan(0.7 * loss(0));
    expect(loss(25)).toBeLessThan(loss(11));
    expect(image.re.every(Number.isFinite)).toBe(true);
  });

  it('is the algorithm alone until it begins', async () => {
    const alone = await run({ prior: 'none', epochs: 4 });
    const with_ = await run();
    expect(with_.history.slice(0, 5)).toEqual(alone.history);
    // The object is what was painted, up to the factor that the power of the probe leaves.
    expect(with_.image.re).not.toEqual((await run({ prior: 'none' })).image.re);
  });

  it.each([2, 7])('goes on from the state after epoch %i, bit for bit', async (at) => {
    let kept: SolverSnapshot | undefined;
    for await (const update of solve(scan, options, { threads: 1, backend })) {
      if (update.epoch === at) kept = update.snapshot();
    }
    const whole = await run();
    const resumed = await run({}, { resume: kept });
    expect(resumed.image).toEqual(whole.image);
    expect(resumed.probe).toEqual(whole.probe);
    // Members of a state are files.
    expect(Object.keys(whole.snapshot.arrays).filter((name) => name.includes('/'))).toEqual([]);
  });

  it.each([
    [{ algorithm: 'dm' }, 'algorithm'],
    [{ algorithm: 'ml' }, 'algorithm'],
    [{ ml_start: 7 }, 'ml_start'],
    [{ prior_start: 11 }, 'prior_start'],
    [{ flux: true }, 'flux'],
    [{ affine: true }, 'affine'],
  ])('refuses %j', async (over, key) => {
    await expect(run(over)).rejects.toMatchObject({ code: 'CONFIG_INVALID', fields: { key } });
  });

  it('starts an engine of its own where none is given', async () => {
    const { history } = await runSolver(scan, { ...options, epochs: 5 }, { threads: 1 });
    expect(history).toHaveLength(6);
  });
});
