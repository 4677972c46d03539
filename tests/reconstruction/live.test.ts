/** A scan in progress: patterns pushed while the reconstruction runs. */
import { describe, expect, it } from 'vitest';
import { extractPatches } from '../../src/physics/sampling.js';
import { LiveScan, type LiveScanOptions, type Preview, streamDataset } from '../../src/reconstruction/reconstruct.js';
import { mirrorBackend, mirrorNetwork } from '../support/mirrorBackend.js';

const N = 16;
const SIDE = 90;
const OBJECT = {
  re: Float32Array.from({ length: SIDE * SIDE }, (_, i) => 2 + 0.02 * Math.floor(i / SIDE) - 0.01 * (i % SIDE)),
  im: new Float32Array(SIDE * SIDE),
  shape: [SIDE, SIDE],
};

/** Pattern k of a raster of 8 columns, 6 px apart. */
const place = (k: number) => ({ x: 15 + 6 * (k % 8), y: 14 + 6 * Math.floor(k / 8) });
function pattern(x: number, y: number) {
  const { re } = extractPatches(OBJECT, [x], [y], N);
  return { diffraction: { data: Float32Array.from(re), shape: [N, N] }, xs: [x], ys: [y] };
}
const pushed = (k: number) => pattern(place(k).x, place(k).y);

function live(options: Partial<LiveScanOptions> = {}, signal?: AbortSignal) {
  const scan = new LiveScan({ N, inputScale: 0.5, ...options });
  const backend = mirrorBackend();
  const previews = streamDataset({
    network: mirrorNetwork(N),
    weights: {},
    backend,
    dataset: scan,
    batch_size: 4,
    crop_px: 10,
    patch_weighting: 'uniform',
    signal,
    every: { patterns: 1 },
  });
  return { scan, previews, backend };
}

function distance({ stitched }: Preview): number {
  const { image, weight, frame } = stitched;
  const [top, left] = frame.originYxPx;
  return image.re.reduce((m, v, i) => {
    if (weight.data[i] === 0) return m;
    const truth = OBJECT.re[(top + Math.floor(i / frame.width)) * SIDE + left + (i % frame.width)];
    return Math.max(m, Math.abs(v / 0.5 - truth));
  }, 0);
}
const next = async (previews: AsyncGenerator<Preview, void, void>) => (await previews.next()).value as Preview;

describe('LiveScan', () => {
  it('sharpens the picture as patterns come, in a frame that grows', async () => {
    const { scan, previews, backend } = live();
    void scan.push(pushed(0));
    const first = await next(previews);
    expect(first).toMatchObject({ patterns: 1, final: false });
    expect(first.stitched.frame).toEqual({ originYxPx: [9, 10], height: 10, width: 10 });
    for (let k = 1; k < 20; k++) void scan.push(pushed(k));
    const coverage: number[] = [];
    let last = first;
    scan.close();
    for await (const preview of previews) {
      last = preview;
      coverage.push(preview.stitched.frame.width);
    }
    expect(last).toMatchObject({ patterns: 20, total: 20, unused: 0, final: true, cancelled: false });
    expect(last.stitched.frame).toEqual({ originYxPx: [9, 10], height: 22, width: 52 });
    expect(distance(last)).toBeLessThan(1e-5);
    expect(backend.open()).toBe(0);
    expect(scan.received).toBe(20);
  });

  it('waits for patterns, and shows what it has in the meantime', async () => {
    const { scan, previews } = live();
    const waiting = next(previews);
    await new Promise((resolve) => setTimeout(resolve, 10));
    void scan.push(pushed(3));
    expect((await waiting).patterns).toBe(1);
    const second = next(previews);
    void scan.push(pushed(4));
    expect((await second).patterns).toBe(2);
    scan.close();
    expect(await next(previews)).toMatchObject({ final: true, patterns: 2 });
    expect((await previews.next()).done).toBe(true);
  });

  it('begins with the frame that is expected, and leaves it where it must', async () => {
    const { scan, previews } = live({ bounds: { xMin: 15, xMax: 39, yMin: 14, yMax: 26 } });
    void scan.push(pushed(0));
    expect((await next(previews)).stitched.frame).toEqual({ originYxPx: [9, 10], height: 22, width: 34 });
    void scan.push(pattern(60, 14));
    expect((await next(previews)).stitched.frame).toEqual({ originYxPx: [9, 10], height: 22, width: 55 });
    scan.close();
    await previews.return();
  });

  it('forms groups of neighbours as soon as they are there, each pattern starting one', async () => {
    const { scan, previews } = live({ gridsize: 2, reach_px: 8 });
    for (let k = 0; k < 3; k++) void scan.push(pushed(k));
    expect([scan.waiting, scan.total]).toEqual([0, 0]);
    // Beyond the reach of all others.
    void scan.push(pattern(80, 80));
    expect(scan.waiting).toBe(0);
    // In a row of four, 18 px long, the first and the last are 9 px from the centre.
    void scan.push(pushed(3));
    expect(scan.waiting).toBe(0);
    for (let k = 8; k < 12; k++) void scan.push(pushed(k));
    scan.close();
    let last: Preview | undefined;
    for await (const preview of previews) last = preview;
    expect(last).toMatchObject({ unused: 1, final: true });
    expect(last!.patterns).toBe(8 * 4);
    expect(distance(last!)).toBeLessThan(1e-5);
  });

  it('gives the network offsets from the centre of each group', async () => {
    const scan = new LiveScan({ N, inputScale: 1, gridsize: 2, reach_px: 8 });
    for (const k of [0, 1, 8, 9]) void scan.push(pushed(k));
    const { value } = await scan.batches(1).next();
    expect([...value!.members].sort((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    for (let c = 0; c < 4; c++) {
      expect(value!.positions.data[2 * c]).toBe(18 - value!.xs[c]);
      expect(value!.positions.data[2 * c + 1]).toBe(17 - value!.ys[c]);
    }
  });

  it('leaves a usable preview when cancelled while it waits', async () => {
    const stop = new AbortController();
    const { scan, previews } = live({}, stop.signal);
    void scan.push(pushed(0));
    await next(previews);
    const last = next(previews);
    stop.abort();
    expect(await last).toMatchObject({ final: true, cancelled: true, patterns: 1 });
  });

  it('takes counts, blanks bad pixels and normalises', async () => {
    const badPixels = new Uint8Array(N * N);
    badPixels[5] = 1;
    const scan = new LiveScan({ N, inputScale: 0.25, domain: 'count_intensity', badPixels });
    const counts = new Uint16Array(2 * N * N).fill(16);
    counts[5] = 65535;
    void scan.push({ diffraction: { data: counts, shape: [2, N, N] }, xs: [1, 2], ys: [3, 4] });
    const { value } = await scan.batches(8).next();
    expect(value!.diffraction.shape).toEqual([2, 1, N, N]);
    expect([...value!.diffraction.data.subarray(4, 7)]).toEqual([1, 0, 1]);
    expect([[...value!.xs], [...value!.ys]]).toEqual([[1, 2], [3, 4]]); // biome-ignore format: one line
  });

  it('asks a fast source for patience', async () => {
    const { scan, previews } = live({ maxWaiting: 2 });
    await scan.push(pushed(0));
    let relieved = false;
    const patience = scan.push(pushed(1)).then(() => {
      relieved = true;
    });
    await Promise.resolve();
    expect(relieved).toBe(false);
    await next(previews);
    await patience;
    expect(relieved).toBe(true);
    scan.close();
    await previews.return();
  });

  it('says what is wrong with what is pushed, and when', async () => {
    const { scan, previews } = live();
    const { diffraction } = pushed(0);
    expect(() => scan.push({ diffraction, xs: [1, 2], ys: [1, 2] })).toThrow(/\(2, 16, 16\)/);
    expect(() => scan.push({ diffraction, xs: [Number.NaN], ys: [1] })).toThrow(/position/);
    const dark = Float32Array.from(diffraction.data);
    dark[3] = -1;
    expect(() => scan.push({ diffraction: { data: dark, shape: [N, N] }, xs: [1], ys: [1] })).toThrow(/value -1 in row 0, column 3/); // biome-ignore format: one line
    expect(scan.received).toBe(0);
    scan.close();
    expect(() => scan.push(pushed(0))).toThrow(/closed/);
    await expect(next(previews)).rejects.toThrow(/closed before any pattern/);
    expect(() => new LiveScan({ N, inputScale: 0 })).toThrow(/positive/);
    expect(() => new LiveScan({ N, inputScale: 1, gridsize: 2 })).toThrow(/reach_px/);
  });
});
