/** Both published stitching rules in one frame, and a canvas that grows. */
import { describe, expect, it } from 'vitest';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStitcher, type StitchedImage, type StitcherOptions } from '../../src/reconstruction/patchStitcher.js';
import { readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

const RULES = ['shift-and-sum', 'barycentric'] as const;

const N = 12;
const COUNT = 9;
const wave = (n: number, salt: number) =>
  Float32Array.from({ length: n }, (_, i) => 1 + 0.5 * Math.sin(1.3 * i + salt));
const xs = Float64Array.from({ length: COUNT }, (_, k) => 30 + 4.3 * (k % 3) + 0.17 * k);
const ys = Float64Array.from({ length: COUNT }, (_, k) => -12 + 3.7 * Math.floor(k / 3) - 0.11 * k);
const patchWeights = {
  data: Float32Array.from({ length: N * N }, (_, i) =>
    Math.exp(-((Math.floor(i / N) - 6) ** 2 + ((i % N) - 6) ** 2) / 12),
  ),
  shape: [N, N],
};

function stitched(options: StitcherOptions): StitchedImage {
  const stitcher = new PatchStitcher(scanBounds(xs, ys), 8, options);
  stitcher.add(wave(COUNT * N * N, 0), wave(COUNT * N * N, 2), COUNT, N, xs, ys);
  return stitcher.finish();
}
const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);

describe('stitching rules', () => {
  it('are the same sum where patches count evenly', () => {
    const [a, b] = RULES.map((rule) => stitched({ rule }));
    expect(worst(a.image.re, b.image.re)).toBeLessThan(1e-5);
    expect(worst(a.weight.data, b.weight.data)).toBe(0);
  });

  it('weight before or after interpolating', () => {
    const [a, b] = RULES.map((rule) => stitched({ rule, patchWeights }));
    expect(worst(a.weight.data, b.weight.data)).toBeLessThan(1e-6);
    expect(worst(a.image.re, b.image.re)).toBeGreaterThan(1e-3);
    // One patch between pixels: its interpolated value, or the mean of its pixels weighted by what they give away.
    const one = (rule: (typeof RULES)[number]) => {
      const w = { data: new Float32Array(4).fill(1), shape: [2, 2] };
      w.data[1] = 3;
      const stitcher = new PatchStitcher(scanBounds([10.5], [10]), 2, { rule, patchWeights: w });
      stitcher.add(Float32Array.of(2, 6, 2, 6), new Float32Array(4), 1, 2, [10.5], [10]);
      const { image } = stitcher.finish();
      return image.re[1];
    };
    expect(one('shift-and-sum')).toBeCloseTo((2 + 6) / 2, 5);
    expect(one('barycentric')).toBeCloseTo((1 * 2 + 3 * 6) / 4, 5);
  });

  it('use every patch', () => {
    for (const rule of RULES) {
      const { patches, overlapCount } = stitched({ rule, patchWeights });
      expect(patches).toBe(COUNT);
      expect(overlapCount.data.reduce((s, v) => s + v, 0)).toBeCloseTo(COUNT * 64, 3);
    }
  });
});

describe('a growing canvas', () => {
  it('ends with the image of one that was large enough from the start', () => {
    for (const options of [{}, { patchWeights, uncertainty: true }]) {
      const whole = stitched(options);
      const stitcher = new PatchStitcher(scanBounds([xs[4]], [ys[4]]), 8, { ...options, grow: true });
      const [re, im] = [wave(COUNT * N * N, 0), wave(COUNT * N * N, 2)];
      for (let k = 0; k < COUNT; k++) {
        const part = (v: Float32Array) => v.subarray(k * N * N, (k + 1) * N * N);
        stitcher.add(part(re), part(im), 1, N, [xs[k]], [ys[k]]);
      }
      const grown = stitcher.finish();
      expect(grown.frame).toEqual(whole.frame);
      expect(worst(grown.image.re, whole.image.re)).toBeLessThan(1e-5);
      expect(worst(grown.overlapCount.data, whole.overlapCount.data)).toBeLessThan(1e-5);
      if (whole.uncertainty) {
        const finite = (v: Float32Array) => v.map((x) => (Number.isNaN(x) ? -1 : x));
        expect(worst(finite(grown.uncertainty!.amplitude.data), finite(whole.uncertainty.amplitude.data))).toBeLessThan(1e-4); // biome-ignore format: one line
      }
    }
  });

  it('may jump far, to either side', () => {
    const stitcher = new PatchStitcher(scanBounds([0], [0]), 2, { grow: true });
    for (const at of [0, 500, -300])
      stitcher.add(new Float32Array(4).fill(at + 1), new Float32Array(4), 1, 2, [at], [at]);
    const { image, frame, patches } = stitcher.finish();
    expect(frame).toEqual({ originYxPx: [-301, -301], height: 802, width: 802 });
    expect([image.re[0], image.re[301 * 802 + 301], image.re[802 * 802 - 1]].map(Math.round)).toEqual([-299, 1, 501]);
    expect(patches).toBe(3);
    expect(() => stitcher.add(new Float32Array(4), new Float32Array(4), 1, 2, [Number.NaN], [0])).toThrow(/finite/);
  });
});

describeShared('golden: both rules in our frame', () => {
  it('shift-and-sum, M = 20', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const patches = await golden.complex('rp_patches');
    const { data: offsets } = await golden.real('rp_offsets_xy');
    const theirs = await golden.complex('rp_M20_out');
    const side = theirs.shape[0];
    const n = offsets.length / 2;
    // Their canvas has its centre at the mean position; placed there, ours has whole pixels in common with it.
    const axis = (a: number) => {
      const values = Float64Array.from({ length: n }, (_, k) => offsets[2 * k + a]);
      const mean = values.reduce((s, v) => s + v, 0) / n;
      return values.map((v) => v - mean + side / 2);
    };
    expectInside(n, 64, axis(0), axis(1), patches, 20, { rule: 'shift-and-sum' }, theirs);
    await golden.close();
  });

  it('barycentric, plain and weighted by |P|²', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const patches = await golden.complex('bary_patches');
    const { data: at } = await golden.real('bary_positions_xy');
    const n = at.length / 2;
    const [x, y] = [0, 1].map((a) => Float64Array.from({ length: n }, (_, k) => at[2 * k + a]));
    for (const [sum, norm, weights] of [
      ['bary_canvas', 'bary_counts', undefined],
      ['baryw_canvas', 'baryw_weights', await golden.float32('baryw_probe_mag_sq')],
    ] as const) {
      const canvas = await golden.complex(sum);
      const divisor = (await golden.real(norm)).data;
      const image = {
        ...canvas,
        re: canvas.re.map((v, i) => v / divisor[i]),
        im: canvas.im.map((v, i) => v / divisor[i]),
      };
      expectInside(n, 32, x, y, patches, 32, { rule: 'barycentric', patchWeights: weights }, image);
    }
    await golden.close();
  });
});

/** Our image equals theirs wherever patches give it noticeable weight. */
function expectInside(
  n: number,
  side: number,
  x: Float64Array,
  y: Float64Array,
  patches: { re: Float32Array; im: Float32Array },
  crop: number,
  options: StitcherOptions,
  theirs: { re: Float32Array; im: Float32Array; shape: readonly number[] },
): void {
  const stitcher = new PatchStitcher(scanBounds(x, y), crop, options);
  stitcher.add(patches.re, patches.im, n, side, x, y);
  const { image, weight, frame } = stitcher.finish();
  const heaviest = Math.max(...weight.data);
  let [compared, difference] = [0, 0];
  for (let r = 0; r < frame.height; r++) {
    for (let c = 0; c < frame.width; c++) {
      const i = r * frame.width + c;
      if (weight.data[i] < 1e-2 * heaviest) continue;
      const j = (frame.originYxPx[0] + r) * theirs.shape[1] + frame.originYxPx[1] + c;
      difference = Math.max(difference, Math.abs(image.re[i] - theirs.re[j]), Math.abs(image.im[i] - theirs.im[j]));
      compared++;
    }
  }
  expect(difference).toBeLessThan(1e-4);
  expect(compared).toBeGreaterThan(1000);
}
