/** `reconstruct` on several scans at once: what they share, what is tried, how far they lie apart, and going on. */
import { describe, expect, it } from 'vitest';
import { solverOptionsSchema } from '../../src/config/schemas/solver.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import type { RawData } from '../../src/data/rawData.js';
import { requireTogether } from '../../src/solvers/together/refusals.js';
import { scansOf } from '../../src/solvers/together/scansOf.js';
import { reconstructScan } from '../../src/tries/reconstructScan.js';
import { TRIES, triesOf } from '../../src/tries/tries.js';
import { solverScan } from '../support/solverScan.js';

const { diffraction, xcoords, ycoords, probeGuess } = solverScan({ N: 32, probe_diameter_px: 16, object_side_px: 84 });

/** Every second pattern, moved. */
function part(from: number, [dy, dx] = [0, 0]): RawData {
  const [count, N] = diffraction.shape;
  const rows = Array.from({ length: Math.ceil((count - from) / 2) }, (_, i) => from + 2 * i);
  return rawDataFromArrays({
    diffraction: {
      data: Float32Array.from(rows.flatMap((k) => [...diffraction.data.subarray(k * N * N, (k + 1) * N * N)])),
      shape: [rows.length, N, N],
    },
    xcoords: rows.map((k) => xcoords.data[k] + dx),
    ycoords: rows.map((k) => ycoords.data[k] + dy),
    probeGuess,
    measurement_domain: 'count_amplitude',
  });
}
const scans = [part(0), part(1, [2.6, -1.7])];
const plain = { auto_orient: false, execution: { threads: 1, accelerator: 'cpu' } } as const;

describe('several scans', () => {
  it.each(['object', 'probe'] as const)('that share the %s are tried only what solvers take', (share) => {
    for (const { name, options } of triesOf(share)) {
      const given = solverOptionsSchema.parse({ ...options({}) });
      expect(() => requireTogether({ share, scans, firsts: new Int32Array(3) }, given, {}), name).not.toThrow();
    }
    for (const { name, options } of TRIES.filter((one) => !triesOf(share).includes(one))) {
      const given = solverOptionsSchema.parse({ ...options({}) });
      expect(() => requireTogether({ share, scans, firsts: new Int32Array(3) }, given, {}), name).toThrow(/share/);
    }
  });

  it('of one object give one image, and how far they lie apart', async () => {
    const tries = ['positions', 'fly_positions'];
    const options = { ...plain, share: 'object' as const, leave_out: ['modes'] };
    const found = await reconstructScan(scans, options);
    expect(found.tried.map(({ name }) => name).filter((name) => !tries.includes(name))).toEqual([]);
    expect(found.tried.some(({ name }) => name === 'positions')).toBe(true);
    const [, { offset_yx_px, score, patterns }] = found.scans!;
    expect(Math.hypot(offset_yx_px[0] + 2.6, offset_yx_px[1] - 1.7)).toBeLessThan(0.3);
    expect(patterns).toBe(scans[1].count);
    for (const one of found.scans!) expect(one.score!.image).toBeLessThan(0.7 * one.score!.constant);
    expect(found.score!.image).toBeGreaterThanOrEqual(score!.image);
    expect(found.heldOut!.rFactor).toBeLessThan(0.7 * found.score!.constant);
    expect(found.resolution!.patterns.reduce((sum, n) => sum + n)).toBe(scans[0].count + scans[1].count);
    expect(scansOf(found).map(({ positions }) => positions.xs.length)).toEqual(scans.map(({ count }) => count));
  });

  it('of one probe give an image each', async () => {
    const found = await reconstructScan(scans, { ...plain, share: 'probe', leave_out: ['modes', 'opr_modes', 'positions', 'flux'] }); // biome-ignore format: one call
    for (const one of found.scans!) expect(one.score!.image).toBeLessThan(0.7 * one.score!.constant);
    const [a, b] = scansOf(found);
    expect([a.image.shape, b.image.shape].every(([rows]) => rows < 100)).toBe(true);
    // Of one of the objects.
    expect(found.resolution!.patterns.reduce((sum, n) => sum + n)).toBeLessThanOrEqual(Math.max(...scans.map(({ count }) => count))); // biome-ignore format: one call
  });

  it('are refused where nothing says what they share', async () => {
    await expect(reconstructScan(scans, plain)).rejects.toThrow(/There are 2 scans, but nothing says/);
    await expect(reconstructScan(scans[0], { ...plain, share: 'object' })).rejects.toThrow(/for several scans, but there is one/); // biome-ignore format: one call
    const model = { ...plain, share: 'object', model_path: 'wts.zip' } as const;
    await expect(reconstructScan(scans, model)).rejects.toThrow(/^model_path does not go together with share object/);
  });
});
