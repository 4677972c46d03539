/** What is tried, on scans of which it is known whether it helps. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import type { RawData } from '../../src/data/rawData.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import { type ReconstructedImage, reconstructScan } from '../../src/tries/reconstructScan.js';
import { movesPositions, TRIES } from '../../src/tries/tries.js';
import { solverScan } from '../support/solverScan.js';

const scan = solverScan({ object_side_px: 150, seed: 6 });
const raw = rawDataFromSimulation(scan);

/** The same scan with a share of the photons of every pattern: what is left is as random as before. */
function thinned(share: (k: number) => number): RawData {
  const { N, count, diffraction } = { N: raw.N, count: raw.count, diffraction: scan.diffraction };
  const rng = new LegacyRng(3);
  const data = Float32Array.from(diffraction.data);
  for (let k = 0; k < count; k++) {
    for (let i = k * N * N; i < (k + 1) * N * N; i++) {
      let left = 0;
      for (let photon = Math.round(data[i] ** 2); photon > 0; photon--) if (rng.random() < share(k)) left++;
      data[i] = Math.sqrt(left);
    }
  }
  return rawDataFromSimulation({ ...scan, diffraction: { ...diffraction, data } });
}

/** With everything else left out. */
function withTries(of: RawData, ...names: string[]): Promise<ReconstructedImage> {
  const leave_out = TRIES.map(({ name }) => name).filter((name) => !names.includes(name));
  return reconstructScan(of, { leave_out, auto_orient: false, execution: { threads: 1, accelerator: 'cpu' } });
}

const keptOf = (found: ReconstructedImage) => found.tried.map(({ name, kept }) => [name, kept]);

describe('flux', () => {
  it('is kept where the beam flickers, and found', async () => {
    const rng = new LegacyRng(5);
    const flux = Float64Array.from(raw.xcoords, () => 1 + rng.uniform(-0.15, 0.15));
    const found = await withTries(
      thinned((k) => flux[k] / 1.15),
      'flux',
    );
    expect(keptOf(found)).toEqual([['flux', true]]);
    const mean = flux.reduce((sum, v) => sum + v, 0) / flux.length;
    const off = found.beam!.flux.data.map((v, k) => (v - flux[k] / mean) ** 2);
    // ±15 % is 0.087.
    expect(Math.sqrt(off.reduce((sum, v) => sum + v, 0) / off.length)).toBeLessThan(0.03);
    expect(found.resolution).toBeDefined();
  });

  it('is not kept where the beam does not', async () => {
    expect(
      keptOf(
        await withTries(
          thinned(() => 1 / 1.15),
          'flux',
        ),
      ),
    ).toEqual([['flux', false]]);
  });
});

describe('affine', () => {
  /** Positions about their mean, turned by 2°. */
  function rotated({ xcoords, ycoords }: RawData) {
    const mean = (v: Float64Array) => v.reduce((sum, x) => sum + x, 0) / v.length;
    const [cx, cy] = [mean(xcoords), mean(ycoords)];
    const [c, s] = [Math.cos(Math.PI / 90), Math.sin(Math.PI / 90)];
    return {
      xcoords: xcoords.map((x, k) => cx + c * (x - cx) - s * (ycoords[k] - cy)),
      ycoords: ycoords.map((y, k) => cy + s * (xcoords[k] - cx) + c * (y - cy)),
    };
  }

  it('is kept where the scan is turned, and found', async () => {
    const found = await withTries({ ...raw, ...rotated(raw) }, 'affine');
    expect(keptOf(found)).toEqual([['affine', true]]);
    expect(found.moved).toBe(true);
    expect(Math.abs(found.affine!.rotation_deg)).toBeGreaterThan(1.5);
    expect(Math.abs(found.affine!.rotation_deg)).toBeLessThan(2.5);
    const [off, before] = [found.positions, { xs: rotated(raw).xcoords, ys: rotated(raw).ycoords }].map((at) =>
      distance_px(at, { xs: raw.xcoords, ys: raw.ycoords }),
    );
    expect(off).toBeLessThan(0.4 * before);
  });

  it('leaves scale and asymmetry, which take up a mode that is wanting while R of held-out patterns falls', () => {
    const affine = TRIES.find(({ name }) => name === 'affine')!;
    expect(affine.options({})).toMatchObject({ affine: true, affine_freedom: 'rotation,shear' });
    expect(affine.options({ position_start: 1 })).toBeUndefined();
  });

  it('is not kept where it is not', async () => {
    const found = await withTries(raw, 'affine');
    expect(keptOf(found)).toEqual([['affine', false]]);
    expect(found).toMatchObject({ moved: false, affine: undefined });
  });
});

/** Root mean square, but for a common shift. */
function distance_px(a: ReconstructedImage['positions'], b: ReconstructedImage['positions']): number {
  const along = (p: Float64Array, q: Float64Array) => {
    const d = p.map((v, k) => v - q[k]);
    const mean = d.reduce((sum, v) => sum + v, 0) / d.length;
    return d.reduce((sum, v) => sum + (v - mean) ** 2, 0) / d.length;
  };
  return Math.sqrt(along(a.xs, b.xs) + along(a.ys, b.ys));
}

it('positions move together or each by itself', () => {
  expect(movesPositions({})).toBe(false);
  expect(movesPositions({ position_start: 1 })).toBe(true);
  expect(movesPositions({ affine: true, position_stop: 1 })).toBe(true);
});
