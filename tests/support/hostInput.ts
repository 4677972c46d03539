/** What a Ptychodus-style host hands over: counts, a product in metres with an object that is not centred on the scan. */
import type { PatternStack, ReconstructInput } from '../../src/adapters/ptychodus/types.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage, ComplexTensor } from '../../src/core/tensor.js';
import type { Product } from '../../src/persistence/product/product.js';
import { extractPatches } from '../../src/physics/sampling.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { makeScan } from '../../src/simulation/scans.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';

export const N = 64;
/** The object's size, pixels and centre; nothing is square or at 0. */
export const OBJECT = {
  rows: 118,
  cols: 140,
  width_m: 8e-9,
  height_m: 1.1e-8,
  center_x_m: 3.1e-6,
  center_y_m: -1.7e-6,
};

/** An input whose parts are known. */
export interface HostInput extends ReconstructInput {
  readonly patterns: PatternStack;
}

/** Positions, pixels of the object's array, in the right upper part of the object. */
export function offCentreScan(stepPx = 9, seed = 5): { xs: Float64Array; ys: Float64Array } {
  const { xs, ys } = makeScan('jittered_raster', { rows: 92, cols: 100, side: N, stepPx, seed });
  return { xs: xs.map((x) => x + 37.25), ys: ys.map((y) => y + 3.5) };
}

/** Metres of a position in pixels of the object's array. */
export const toMetres = (xs: Float64Array, ys: Float64Array) => ({
  x_m: xs.map((x) => (x - OBJECT.cols / 2) * OBJECT.width_m + OBJECT.center_x_m),
  y_m: ys.map((y) => (y - OBJECT.rows / 2) * OBJECT.height_m + OBJECT.center_y_m),
});

/** A product with positions, a probe (coherent, incoherent, N, N) and an object that is 1, except for a marked corner. */
export function productOf(
  xs: Float64Array,
  ys: Float64Array,
  probe: ComplexTensor,
  over: Partial<Product> = {},
): Product {
  const { rows, cols, width_m, height_m, center_x_m, center_y_m } = OBJECT;
  const area = rows * cols;
  const object = { re: new Float32Array(area).fill(1), im: new Float32Array(area), shape: [1, rows, cols] };
  object.im[area - 1] = 0.25;
  const modes = probe.shape.length === 3 ? probe.shape[0] : 1;
  return {
    metadata: {
      name: 'test',
      comments: 'made up',
      detector_object_distance_m: 2,
      probe_energy_eV: 8800,
      exposure_time_s: 0.1,
      probe_photon_count: 0,
      mass_attenuation_m2_kg: 0,
      tomography_angle_deg: 12,
    },
    positions: { indexes: Int32Array.from(xs, (_, i) => i), ...toMetres(xs, ys) },
    probe: { array: { ...probe, shape: [1, modes, N, N] }, pixel: { width_m, height_m } },
    object: {
      array: object,
      pixel: { width_m, height_m },
      center_x_m,
      center_y_m,
      layer_spacing_m: new Float64Array(0),
    },
    losses: { epochs: new Int32Array(0), values: new Float64Array(0) },
    ...over,
  };
}

/** Simulated counts of the lines object with an off-centre scan. */
export function simulatedInput(photons = 1e5, seed = 5, stepPx = 9): HostInput & { readonly truth: ComplexImage } {
  const { rows, cols } = OBJECT;
  const truth = makeObject('lines', { rows, cols, seed });
  const { xs, ys } = offCentreScan(stepPx, seed);
  const { diffraction, probeGuess } = simulateScan({
    ...{ object: truth, xs, ys, photons, seed },
    probe: makeProbe('structured', { side: N, diameter: 20 }),
  });
  const counts = Int32Array.from(diffraction.data, (d) => Math.round(d * d));
  return { patterns: { data: counts, shape: diffraction.shape }, product: productOf(xs, ys, probeGuess), truth };
}

/** A smooth, lopsided, positive truth (rows, cols). */
export function smoothTruth(): ComplexImage {
  const { rows, cols } = OBJECT;
  const re = new Float32Array(rows * cols);
  const bumps = [
    [20, 70, 8, 0.6],
    [48, 104, 9, -0.4],
    [60, 82, 7, 0.5],
    [35, 92, 10, 0.3],
  ];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      re[r * cols + c] =
        1 + bumps.reduce((s, [y, x, w, h]) => s + h * Math.exp(-((r - y) ** 2 + (c - x) ** 2) / (2 * w * w)), 0);
    }
  }
  return { re, im: new Float32Array(rows * cols), shape: [rows, cols] };
}

/** Patterns whose amplitudes are the patches of the truth themselves, for an engine that hands back what it is given. */
export function mirroredInput(): HostInput & { readonly truth: ComplexImage } {
  const truth = smoothTruth();
  const { xs, ys } = offCentreScan();
  const { re } = extractPatches(truth, xs, ys, N);
  const data = Float32Array.from(re, (v) => 1e3 * v * v);
  const probe = makeProbe('structured', { side: N, diameter: 40 });
  return { patterns: { data, shape: [xs.length, N, N] }, product: productOf(xs, ys, probe), truth };
}

/** The patterns in another order, with the indexes that belong to them; positions in a third order. */
export function shuffled<T extends HostInput>(input: T, name: (i: number) => number = (i) => i): T {
  const { data, shape } = input.patterns;
  const [n] = shape;
  const [a, b] = [new LegacyRng(1).permutation(n), new LegacyRng(2).permutation(n)];
  const moved = data.slice();
  a.forEach((from, to) => {
    moved.set(data.subarray(from * N * N, (from + 1) * N * N), to * N * N);
  });
  const { x_m, y_m } = input.product.positions;
  const positions = {
    indexes: Int32Array.from(b, name),
    x_m: Float64Array.from(b, (i) => x_m[i]),
    y_m: Float64Array.from(b, (i) => y_m[i]),
  };
  return {
    ...input,
    patterns: { data: moved, shape, indexes: Array.from(a, name) },
    product: { ...input.product, positions },
  };
}

/** Pixels of the input's object within `reach` of a position: well lit by a probe as wide. */
export function litPixels({ product }: HostInput, reach = 8): Uint8Array {
  const { rows, cols, width_m, height_m, center_x_m, center_y_m } = OBJECT;
  const lit = new Uint8Array(rows * cols);
  const { x_m, y_m } = product.positions;
  for (let k = 0; k < x_m.length; k++) {
    const x = Math.round((x_m[k] - center_x_m) / width_m + cols / 2);
    const y = Math.round((y_m[k] - center_y_m) / height_m + rows / 2);
    for (let r = y - reach; r < y + reach; r++) lit.fill(1, r * cols + x - reach, r * cols + x + reach);
  }
  return lit;
}

/** How far a reconstruction is from the truth over lit pixels, after the complex factor f that no measurement settles. */
export interface Deviation {
  /** ‖f·made − truth‖/‖truth‖ */
  readonly error: number;
  /** By how much it lies away from the truth, pixels [x, y], by least squares: f·made − truth ≈ −(dx ∂x + dy ∂y) truth. */
  readonly shift_px: readonly [number, number];
}

/** Compares objects of the input's size; lit pixels must have neighbours. */
export function deviation(made: ComplexTensor, truth: ComplexTensor, lit: Uint8Array): Deviation {
  const pixels = [...lit.keys()].filter((i) => lit[i]);
  let [ar, ai, mm] = [0, 0, 0];
  for (const i of pixels) {
    ar += made.re[i] * truth.re[i] + made.im[i] * truth.im[i];
    ai += made.re[i] * truth.im[i] - made.im[i] * truth.re[i];
    mm += made.re[i] ** 2 + made.im[i] ** 2;
  }
  const [fr, fi] = [ar / mm, ai / mm];
  const parts = [
    [truth.re, (i: number) => made.re[i] * fr - made.im[i] * fi],
    [truth.im, (i: number) => made.re[i] * fi + made.im[i] * fr],
  ] as const;
  let [error, power, xx, yy, xy, dx, dy] = [0, 0, 0, 0, 0, 0, 0];
  for (const [part, turned] of parts) {
    for (const i of pixels) {
      const gx = (part[i + 1] - part[i - 1]) / 2;
      const gy = (part[i + OBJECT.cols] - part[i - OBJECT.cols]) / 2;
      const d = part[i] - turned(i);
      error += d * d;
      power += part[i] ** 2;
      xx += gx * gx;
      yy += gy * gy;
      xy += gx * gy;
      dx += gx * d;
      dy += gy * d;
    }
  }
  const det = xx * yy - xy * xy;
  return { error: Math.sqrt(error / power), shift_px: [(yy * dx - xy * dy) / det, (xx * dy - xy * dx) / det] };
}
