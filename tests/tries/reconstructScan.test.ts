/** The whole way on small scans with a known object: what is chosen, being stopped, wrong axes, missing probes. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { ORIENTATIONS, orientPositions } from '../../src/data/opening/orientation.js';
import type { RawData } from '../../src/data/rawData.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import type { SolvedImage } from '../../src/solvers/run.js';
import { combined, orientScan, turnBy } from '../../src/tries/orientation.js';
import { type ReconstructScanOptions, reconstructScan } from '../../src/tries/reconstructScan.js';
import { TRIES } from '../../src/tries/tries.js';
import { solverScan } from '../support/solverScan.js';

let raw: RawData;
let truth: ComplexImage;
const options: ReconstructScanOptions = { execution: { threads: 1, accelerator: 'cpu' } };
const errorOf = (found: SolvedImage) =>
  scoreAgainstTruth(found, truth, { bounds: scanBounds(raw.xcoords, raw.ycoords) }).relative_object_error;

beforeAll(() => {
  const scan = solverScan();
  raw = rawDataFromSimulation(scan);
  truth = scan.objectGuess;
});

describe('reconstructScan', () => {
  it('finds the object of a plain scan, keeps nothing that it does not need, and says over which patterns R is', async () => {
    const said: string[] = [];
    const logger = { info: (m: string) => void said.push(m), warn: (m: string) => void said.push(m) };
    const found = await reconstructScan(raw, { ...options, logger });
    expect(errorOf(found)).toBeLessThan(0.06);
    // The file of a fly scan says its ways.
    const tried = TRIES.filter(({ name }) => name !== 'fly_positions');
    expect(found.tried.map(({ name, kept }) => [name, kept])).toEqual(tried.map(({ name }) => [name, false]));
    expect(found.notes.filter((note) => note.startsWith('With'))).toHaveLength(tried.length);
    expect(said).toEqual(expect.arrayContaining([...found.notes]));
    expect(found).toMatchObject({ cancelled: false, measured: true, probeFrom: 'scan', moved: false, hurried: false });
    expect(found.heldOut?.patterns).toBe(4);
    expect(found.rFactor).toBeLessThan(found.heldOut!.rFactor);
    expect(found.heldOut!.rFactor).toBeLessThan(0.7 * found.score!.constant);
    expect(found.resolution?.patterns).toEqual([Math.ceil(raw.count / 2), Math.floor(raw.count / 2)]);
    expect(found.next.length).toBeGreaterThan(0);
    expect(found.next.length).toBeLessThanOrEqual(2);
  });

  it('turns positions that lie another way, and leaves them where it is told to', async () => {
    const { xs, ys } = orientPositions({ flip_x: true, flip_y: false, swap_xy: true }, raw.xcoords, raw.ycoords);
    const wrong = { ...raw, xcoords: xs, ycoords: ys };
    const turned = await orientScan(wrong);
    expect(turned.flags).toBe('--flip_y --swap_xy');
    expect(turned.notes[0]).toContain('were turned by --flip_y --swap_xy: R ');
    // Right again but for where zero is.
    const dx = turned.raw.xcoords.map((v, k) => v - raw.xcoords[k]);
    const dy = turned.raw.ycoords.map((v, k) => v - raw.ycoords[k]);
    for (const d of [dx, dy]) for (const v of d) expect(v).toBeCloseTo(d[0], 9);
    expect(turnBy(wrong, turned.flags).raw.xcoords).toEqual(turned.raw.xcoords);
    expect(await orientScan(raw)).toEqual({ raw, notes: [] });
    const left = await reconstructScan(wrong, {
      ...options,
      auto_orient: false,
      leave_out: TRIES.map(({ name }) => name),
      minutes: 0.02,
    });
    expect(left.orientation).toBeUndefined();
  });

  it('gives the image of the last epoch when it is stopped, and previews on the way', async () => {
    const stop = new AbortController();
    const shown: SolvedImage[] = [];
    const found = await reconstructScan(raw, {
      ...options,
      ...{ auto_orient: false, preview_seconds: 1e-3, signal: stop.signal },
      onPreview: (image, { search }) => {
        shown.push(image);
        if (search.state.history.length === 4) stop.abort();
      },
    });
    expect(found).toMatchObject({ cancelled: true, measured: false, epoch: 4 });
    expect(shown).toHaveLength(4);
    expect(found.image.re).toEqual(shown[3].image.re);
    expect(found.rFactor).toBe(found.history[3].rFactor);
    expect(errorOf(found)).toBeLessThan(errorOf(shown[0]));
    stop.abort();
    await expect(reconstructScan(raw, { ...options, signal: stop.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('begins with a guess where there is no probe, and says so', async () => {
    const found = await reconstructScan(
      { ...raw, probeGuess: undefined },
      { ...options, leave_out: TRIES.map(({ name }) => name), minutes: 0.03 },
    );
    expect(found.probeFrom).toBe('guess');
    expect(found.notes[0]).toContain('holds no probe');
    expect(found.next.some(({ flag }) => flag.includes('--probe'))).toBe(true);
    expect(found.rFactor).toBeLessThan(found.score!.constant);
  });

  it('refuses choices that lack what they need', async () => {
    await expect(reconstructScan(raw, { single_pass: true })).rejects.toThrow('name its bundle with model_path');
    await expect(reconstructScan(raw, { probe: 'zone_plate' })).rejects.toThrow('give probe_outer_zone_m');
    await expect(reconstructScan(raw, { probe: 'aperture', probe_diameter_m: 1e-6 })).rejects.toThrow(
      '--object_pixel_m',
    );
  });
});

it('combined: two turns are one', () => {
  const at = (by: (typeof ORIENTATIONS)[number], x: number, y: number) => {
    const { xs, ys } = orientPositions(by, Float64Array.of(x), Float64Array.of(y));
    return [xs[0], ys[0]] as const;
  };
  for (const a of ORIENTATIONS) {
    for (const b of ORIENTATIONS) expect(at(combined(a, b), 3, 5)).toEqual(at(b, ...at(a, 3, 5)));
  }
});
