/**
 * What an engine of the solvers has to compute, written down once more in float64 and as slowly as formulas read, one pattern and one
 * mode at a time. For any side of the patterns.
 */

import type { FieldMemory, Planes } from '../../src/solvers/fieldMemory.js';
import type { PassRequest, PassSums, SolverScan } from '../../src/solvers/wavePasses.js';
import { dft, type Plain as Field, plain, shifted } from './plainSolver.js';

/** Everything that a pass leaves behind. */
export interface PlainResult {
  readonly sums: PassSums;
  /** Σ√(IJ)/ΣJ of each pattern of the batch. */
  readonly fits: readonly number[];
  /** By names of `FieldMemory.sums`; fields are re, then im. */
  readonly planes: Readonly<Record<'object' | 'illumination' | 'probe' | 'objectIntensity', Float64Array>>;
  /** By pattern of the batch and mode: shifted probes, what went into the sums, what is stored. */
  readonly probes: readonly Field[][];
  readonly changes: readonly Field[][];
  readonly stored: readonly Field[][];
}

type Sizes = FieldMemory['sizes'];

/** The fields of a scan; `waves` are stored waves, (count, modes, 2, N, N). */
export interface PlainProblem {
  readonly scan: SolverScan;
  readonly sizes: Sizes;
  readonly object: Pick<Planes, 're' | 'im'>;
  readonly probe: Pick<Planes, 're' | 'im'>;
  /** U of a beam that varies. */
  readonly variation?: Pick<Planes, 're' | 'im'>;
  readonly waves: ArrayLike<number>;
  readonly floor: number;
}

const times = (a: Field, b: Field): Field => ({
  re: a.re.map((v, i) => v * b.re[i] - a.im[i] * b.im[i]),
  im: a.re.map((v, i) => v * b.im[i] + a.im[i] * b.re[i]),
});
const conj = (a: Field): Field => ({ re: a.re, im: a.im.map((v) => -v) });
const scaleBy = (a: Field, f: (i: number) => number): Field => ({
  re: a.re.map((v, i) => v * f(i)),
  im: a.im.map((v, i) => v * f(i)),
});
const sum = (a: Field, b: Field, gain = 1): Field => ({
  re: a.re.map((v, i) => v + gain * b.re[i]),
  im: a.im.map((v, i) => v + gain * b.im[i]),
});
const light = (a: Field) => a.re.map((v, i) => v * v + a.im[i] * a.im[i]);
const dot = (a: Field, b: Field): [re: number, im: number] => {
  const product = times(a, conj(b));
  const total = (x: Float64Array) => x.reduce((s, v) => s + v, 0);
  return [total(product.re), total(product.im)];
};

/** Where pattern k sees the object, and what is left of its position. */
function placeOf({ scan, sizes }: PlainProblem, k: number) {
  const { N, width } = sizes;
  const half = Math.floor(N / 2);
  const [row, column] = [Math.round(scan.ys[k]), Math.round(scan.xs[k])];
  return { at: (row - half) * width + column - half, y: scan.ys[k] - row, x: scan.xs[k] - column };
}

function patch(plane: Pick<Planes, 're' | 'im'>, at: number, { N, width }: Sizes): Field {
  const out = plain(N * N);
  for (let i = 0; i < N * N; i++) {
    const from = at + Math.floor(i / N) * width + (i % N);
    out.re[i] = plane.re[from];
    out.im[i] = plane.im[from];
  }
  return out;
}

function mode(plane: Pick<Planes, 're' | 'im'>, m: number, N: number): Field {
  const [from, to] = [m * N * N, (m + 1) * N * N];
  return { re: Float64Array.from(plane.re.slice(from, to)), im: Float64Array.from(plane.im.slice(from, to)) };
}

function storedMode({ waves, sizes }: PlainProblem, k: number, m: number): Field {
  const { N, modes } = sizes;
  const area = N * N;
  const part = (p: number) =>
    Float64Array.from({ length: area }, (_, i) => waves[((k * modes + m) * 2 + p) * area + i]);
  return { re: part(0), im: part(1) };
}

/** a of pattern k, 1 where all beams are alike. */
const fluxOf = ({ scan }: PlainProblem, k: number): number => scan.beam?.flux[k] ?? 1;

/** Mode m as pattern k saw it, before it is shifted. */
function beamOf(problem: PlainProblem, k: number, m: number): Field {
  const { sizes, scan, variation, probe } = problem;
  const { N, coherent = 0 } = sizes;
  let field = mode(probe, m, N);
  for (let j = 0; m === 0 && variation && scan.beam && j < coherent; j++) {
    field = sum(field, mode(variation, j, N), scan.beam.weights[k * coherent + j]);
  }
  return scaleBy(field, () => fluxOf(problem, k));
}

/** a·conj(O)χ of the first mode, shifted back. */
function residueOf(problem: PlainProblem, k: number, change: Field): Field {
  const { at, y, x } = placeOf(problem, k);
  const product = times(conj(patch(problem.object, at, problem.sizes)), change);
  return scaleBy(shifted(product, problem.sizes.N, y, x, true), () => fluxOf(problem, k));
}

/** `WavePasses.beamProducts`. */
export function plainBeamProducts(problem: PlainProblem, batch: Int32Array, { changes }: PlainResult): Float64Array {
  const { N, coherent = 0 } = problem.sizes;
  const rows = [...batch].flatMap((k, i) => {
    const residue = residueOf(problem, k, changes[i][0]);
    const lit = light(patch(problem.object, placeOf(problem, k).at, problem.sizes));
    return Array.from({ length: coherent }, (_, j) => {
      const U = mode(problem.variation!, j, N);
      const both = light(U).reduce((total, v, p) => total + v * lit[p], 0);
      return [...dot(residue, U), fluxOf(problem, k) ** 2 * both];
    }).flat();
  });
  return Float64Array.from(rows);
}

/** `WavePasses.beamSums`, re before im. */
export function plainBeamSums(
  problem: PlainProblem,
  batch: Int32Array,
  { changes }: PlainResult,
  weights: Float64Array,
): Float64Array {
  const { N, coherent = 0 } = problem.sizes;
  const out = Array.from({ length: coherent }, () => plain(N * N));
  batch.forEach((k, i) => {
    const residue = residueOf(problem, k, changes[i][0]);
    for (let j = 0; j < coherent; j++) out[j] = sum(out[j], residue, weights[i * coherent + j]);
  });
  return Float64Array.from([...out.flatMap(({ re }) => [...re]), ...out.flatMap(({ im }) => [...im])]);
}

/** One pass; sums begin at 0. */
export function plainPass(problem: PlainProblem, batch: Int32Array, request: PassRequest): PlainResult {
  const { scan, sizes, floor } = problem;
  const { N, modes, height, width } = sizes;
  const area = N * N;
  const planes = {
    object: new Float64Array(2 * height * width),
    illumination: new Float64Array(height * width),
    probe: new Float64Array(2 * modes * area),
    objectIntensity: new Float64Array(area),
  };
  const sums = { square: 0, absolute: 0, amplitude: 0, counts: 0, modelled: 0, change: 0 };
  const found: { probes: Field[][]; changes: Field[][]; stored: Field[][] } = { probes: [], changes: [], stored: [] };
  const each = Array.from({ length: modes }, (_, m) => m);
  const fits: number[] = [];
  for (const k of batch) {
    const { at, y, x } = placeOf(problem, k);
    const object = patch(problem.object, at, sizes);
    const probes = each.map((m) => shifted(beamOf(problem, k, m), N, y, x));
    const before = problem.waves.length > 0 ? each.map((m) => storedMode(problem, k, m)) : [];
    const measured = scan.amplitudes.subarray(k * area, (k + 1) * area);
    const products = probes.map((p) => times(object, p));
    const { square, counts, modelled } = { ...sums };
    const changes = changesOf(products, before, measured, N, request, floor, sums);
    const model = sums.modelled - modelled;
    fits.push((sums.counts - counts + model - (sums.square - square)) / (2 * model));
    found.probes.push(probes);
    found.changes.push(changes);
    found.stored.push(request.wave === 'store' ? products : changes);
    if (request.wave === 'measure' || request.wave === 'store') continue;
    const weight = (z: Field) => (request.weighted ? scaleBy(z, (i) => Math.hypot(z.re[i], z.im[i])) : z);
    each.forEach((m) => {
      const toObject = times(conj(weight(probes[m])), changes[m]);
      const lit = light(probes[m]);
      const back = shifted(times(conj(weight(object)), changes[m]), N, y, x, true);
      const toProbe = scaleBy(back, () => fluxOf(problem, k));
      for (let i = 0; i < area; i++) {
        const to = at + Math.floor(i / N) * width + (i % N);
        planes.object[to] += toObject.re[i];
        planes.object[height * width + to] += toObject.im[i];
        planes.illumination[to] += lit[i];
        planes.probe[m * area + i] += toProbe.re[i];
        planes.probe[(modes + m) * area + i] += toProbe.im[i];
      }
    });
    light(object).forEach((v, i) => {
      planes.objectIntensity[i] += v;
    });
  }
  return { sums, fits, planes, ...found };
}

/** χ by modes, or the waves that take its place. */
function changesOf(
  products: Field[],
  before: Field[],
  measured: Float32Array,
  N: number,
  { wave, strength = 1 }: PassRequest,
  floor: number,
  sums: { -readonly [K in keyof PassSums]: number },
): Field[] {
  if (wave === 'store') return products;
  if (wave === 'stored') return before;
  const started =
    wave === 'difference'
      ? products.map((q, m) =>
          sum(
            scaleBy(q, () => 2),
            before[m],
            -1,
          ),
        )
      : products;
  const fields = started.map((z) => dft(z, N, -1));
  const modelled = new Float64Array(N * N);
  for (const f of fields.map(light)) for (let i = 0; i < f.length; i++) modelled[i] += f[i];
  measured.forEach((a, i) => {
    if (a < 0) return;
    const root = Math.sqrt(modelled[i]);
    sums.square += (a - root) ** 2;
    sums.absolute += Math.abs(a - root);
    sums.amplitude += a;
    sums.counts += a * a;
    sums.modelled += modelled[i];
  });
  const factor = (i: number) => {
    if (measured[i] < 0) return 0;
    const root = Math.sqrt(modelled[i]);
    const wanted = wave === 'poisson' ? (root + Math.sqrt(modelled[i] + 8 * measured[i] ** 2)) / 4 : measured[i];
    return strength * (wanted / (root + floor) - 1);
  };
  const changes = fields.map((f) => dft(scaleBy(f, factor), N, 1));
  if (wave !== 'difference') return changes;
  return products.map((q, m) => {
    const next = sum(q, changes[m]);
    sums.change += light(sum(next, before[m], -1)).reduce((s, v) => s + v, 0);
    return next;
  });
}

/** `WavePasses.products` for directions in the sums. */
export function plainProducts(
  problem: PlainProblem,
  batch: Int32Array,
  { probes, changes }: PlainResult,
  directions: { readonly object: Pick<Planes, 're' | 'im'>; readonly probe: Pick<Planes, 're' | 'im'> },
): Float64Array {
  const { N, modes } = problem.sizes;
  const out = new Float64Array(6 * batch.length);
  batch.forEach((k, i) => {
    const { at, y, x } = placeOf(problem, k);
    const [d, o] = [patch(directions.object, at, problem.sizes), patch(problem.object, at, problem.sizes)];
    for (let m = 0; m < modes; m++) {
      const a = times(d, probes[i][m]);
      const direction = scaleBy(mode(directions.probe, m, N), () => fluxOf(problem, k));
      const b = times(o, shifted(direction, N, y, x));
      const chi = changes[i][m];
      const row = [dot(a, a)[0], dot(b, b)[0], ...dot(a, b), dot(chi, a)[0], dot(chi, b)[0]];
      row.forEach((v, j) => {
        out[6 * i + j] += v;
      });
    }
  });
  return out;
}

/** `WavePasses.moves`. */
export function plainMoves(problem: PlainProblem, batch: Int32Array, { probes, changes }: PlainResult): Float64Array {
  const { modes, width } = problem.sizes;
  const out = new Float64Array(5 * batch.length);
  batch.forEach((k, i) => {
    const { at } = placeOf(problem, k);
    const slope = (step: number) => {
      const [next, last] = [
        patch(problem.object, at + step, problem.sizes),
        patch(problem.object, at - step, problem.sizes),
      ];
      return scaleBy(sum(next, last, -1), () => 0.5);
    };
    const [dy, dx] = [slope(width), slope(1)];
    for (let m = 0; m < modes; m++) {
      const [y, x] = [times(dy, probes[i][m]), times(dx, probes[i][m])];
      const chi = changes[i][m];
      const row = [dot(y, y)[0], dot(x, x)[0], dot(y, x)[0], dot(chi, y)[0], dot(chi, x)[0]];
      row.forEach((v, j) => {
        out[5 * i + j] += v;
      });
    }
  });
  return out;
}
