/** Patterns that are held out teach neither object nor probe, whatever is in them; their positions follow those of the others. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { solverOptionsSchema } from '../../src/config/schemas/solver.js';
import type { RawData } from '../../src/data/rawData.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import { loadScan } from '../../src/solvers/scan.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverUpdate, SolveServices } from '../../src/solvers/updates.js';
import { solverScan } from '../support/solverScan.js';

const raw = rawDataFromSimulation(solverScan());
const heldOut = Int32Array.of(9, 17, 24, 33);

/** The same scan with the held-out patterns exchanged, each with the next. */
const exchanged: RawData = {
  ...raw,
  patterns: {
    ...raw.patterns,
    count: raw.count,
    N: raw.N,
    readAmplitudes: (rows, out) =>
      raw.patterns.readAmplitudes(
        Int32Array.from(rows, (k) => {
          const at = heldOut.indexOf(k);
          return at < 0 ? k : heldOut[(at + 1) % heldOut.length];
        }),
        out,
      ),
  },
};

async function last(
  scan: RawData,
  options: Partial<SolverOptions>,
  services: SolveServices = {},
): Promise<SolverUpdate> {
  let found: SolverUpdate | undefined;
  for await (const update of solve(scan, { epochs: 3, passes: 'host', ...options }, { threads: 1, ...services })) {
    found = update;
  }
  return found!;
}

const sum = (values: Float64Array) => values.reduce((total, v) => total + v, 0);

describe('patterns that are held out', () => {
  it.each(['rpie', 'lsqml', 'dm'] as const)('change nothing: %s', async (algorithm) => {
    const [a, b] = [await last(raw, { algorithm }, { heldOut }), await last(exchanged, { algorithm }, { heldOut })];
    expect(a.object().image.re).toEqual(b.object().image.re);
    expect(a.probe().re).toEqual(b.probe().re);
    expect(a.rFactor).toBe(b.rFactor);
    // Without them being held out, the exchange is seen.
    const [c, d] = [await last(raw, { algorithm }), await last(exchanged, { algorithm })];
    expect(c.object().image.re).not.toEqual(d.object().image.re);
    const [seen, other] = [await a.misfits(heldOut), await b.misfits(heldOut)];
    expect(sum(other.misfit)).toBeGreaterThan(1.1 * sum(seen.misfit));
  });

  it('are moved with the others, and only they by what they hold', async () => {
    const options = { epochs: 5, position_start: 2 };
    const [a, b] = [await last(raw, options, { heldOut }), await last(exchanged, options, { heldOut })];
    const moved = a.positions().xs.map((x, k) => Math.abs(x - raw.xcoords[k]));
    for (const k of heldOut) expect(moved[k]).toBeGreaterThan(0);
    // The common drift is that of all, so that others differ by it alone.
    const drift = a.positions().xs.map((x, k) => x - b.positions().xs[k]);
    const free = Array.from(drift.keys()).filter((k) => !heldOut.includes(k));
    for (const k of free) expect(Math.abs(drift[k])).toBeLessThan(0.1);
  });

  it('go along with what all positions share, which is found without them', async () => {
    const options = { epochs: 5, affine: true, affine_rule: 'gain', affine_start: 2, position_stop: 1 } as const;
    const [a, b] = [await last(raw, options, { heldOut }), await last(exchanged, options, { heldOut })];
    expect(a.affine()!.matrix_yx).not.toEqual([1, 0, 0, 1]);
    expect(a.affine()).toEqual(b.affine());
    expect(a.positions()).toEqual(b.positions());
    expect(a.object().image.re).toEqual(b.object().image.re);
    for (const k of heldOut) expect(a.positions().xs[k]).not.toBe(raw.xcoords[k]);
    // A line that branches off goes on from what was found: the limit of a position counts from there.
    const start = { positions: a.positions(), affine: a.affine(), epoch: 5 };
    const on = await last(raw, { ...options, epochs: 6, affine_stop: 5 }, { heldOut, start });
    expect(on.affine()!.matrix_yx).toEqual(a.affine()!.matrix_yx);
    expect(on.positions().xs[0]).toBeCloseTo(a.positions().xs[0], 9);
  });

  it.each([
    ['', {}],
    [', maximum likelihood', { probe_start: 1, ml_start: 2 }],
  ])('have fluxes of their own, of which object and probe take no notice%s', async (_, more) => {
    const brighter: RawData = {
      ...raw,
      patterns: {
        ...raw.patterns,
        count: raw.count,
        N: raw.N,
        readAmplitudes: async (rows, out) => {
          await raw.patterns.readAmplitudes(rows, out);
          const size = raw.N ** 2;
          Array.from(rows).forEach((k, i) => {
            if (!heldOut.includes(k)) return;
            for (let p = i * size; p < (i + 1) * size; p++) out[p] *= 1.2;
          });
        },
      },
    };
    const options = { epochs: 8, flux: true, opr_start: 1, ...more };
    const [a, b] = [await last(raw, options, { heldOut }), await last(brighter, options, { heldOut })];
    const [was, is] = [a, b].map((update) => update.beam()!.flux.data);
    // The mean is 1, and nothing but that is shared.
    for (const k of heldOut) expect(is[k] / is[0] / (was[k] / was[0])).toBeCloseTo(1.44, 1);
    const [plain, bright] = [await a.misfits(heldOut), await b.misfits(heldOut)];
    expect(sum(bright.misfit) / sum(bright.measured)).toBeCloseTo(sum(plain.misfit) / sum(plain.measured), 2);
    const contrast = ({ image: { re, im } }: ReturnType<SolverUpdate['object']>) => {
      const size = Float64Array.from(re, (v, i) => Math.hypot(v, im[i]));
      const mean = sum(size) / size.length;
      return size.map((v) => v / mean);
    };
    const [A, B] = [contrast(a.object()), contrast(b.object())];
    expect(Math.sqrt(sum(A.map((v, i) => (v - B[i]) ** 2)) / A.length)).toBeLessThan(0.01);
  });

  it('misfits add up to R', async () => {
    const update = await last(raw, {});
    const all = Int32Array.from({ length: raw.count }, (_, k) => k);
    const { misfit, measured } = await update.misfits(all);
    expect(sum(misfit) / sum(measured)).toBeCloseTo((await update.measure()).rFactor, 6);
  });
});

it('a scan that is loaded before is not moved, and gives the same', async () => {
  const options = solverOptionsSchema.parse({ epochs: 4, position_start: 2, passes: 'host' });
  const loaded = await loadScan(raw, options);
  const before = Array.from(loaded.scan.xs);
  const [a, b] = [await last(raw, options), await last(raw, options, { loaded })];
  expect(b.object().image.re).toEqual(a.object().image.re);
  expect(Array.from(loaded.scan.xs)).toEqual(before);
  expect(a.shift_px).toBeGreaterThan(0);
});

it('a start with positions goes on from there, and counts from where they were measured', async () => {
  const xs = raw.xcoords.map((x, k) => x + (k % 2 === 0 ? 1 : -1));
  const found = await last(raw, { epochs: 1, position_start: 9 }, { start: { positions: { xs, ys: raw.ycoords } } });
  expect(found.shift_px).toBeCloseTo(1, 9);
  expect(Math.max(...found.positions().xs.map((x, k) => Math.abs(x - xs[k])))).toBeLessThan(1e-9);
});
