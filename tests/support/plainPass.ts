/**
 * What an engine of the solvers has to compute, written down once more in float64 and as slowly as formulas read, one pattern and one
 * mode at a time. For any side of the patterns.
 */

import type { FieldMemory, Planes } from '../../src/solvers/fieldMemory.js';
import type { Curvatures, PassRequest, PassSums, SolverScan, Statistics } from '../../src/solvers/wavePasses.js';
import { dft, type Plain as Field, plain, shifted, through } from './plainSolver.js';

/** Everything that a pass leaves behind. */
export interface PlainResult {
  readonly sums: PassSums;
  /** Σ√(IJ)/ΣJ of each pattern of the batch. */
  readonly fits: readonly number[];
  /** Σe and Σw of every pixel over the batch, and (terms, 2) of each pattern. */
  readonly background: { readonly excess: Float64Array; readonly weight: Float64Array; readonly asked: number[][] };
  /** By names of `FieldMemory.sums`; fields are re, then im. */
  readonly planes: Readonly<Record<'object' | 'illumination' | 'probe' | 'objectIntensity', Float64Array>>;
  /** By pattern of the batch, slice and mode: what comes in (shifted probes, first), what went into the sums. */
  readonly incoming: readonly Field[][][];
  readonly changes: readonly Field[][][];
  /** By pattern and mode. */
  readonly stored: readonly Field[][];
}

type Sizes = FieldMemory['sizes'];

/** Counts by which Poisson statistics are raised. */
const PEDESTAL = 0.375;

/** The fields of a scan; `waves` are stored waves, (count, modes, 2, N, N). */
export interface PlainProblem {
  readonly scan: SolverScan;
  readonly sizes: Sizes;
  readonly object: Pick<Planes, 're' | 'im'>;
  readonly probe: Pick<Planes, 're' | 'im'>;
  /** B, hold, damp and φ. */
  readonly background?: FieldMemory['background'];
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

/** Where pattern k sees the object from the points of its way, and what is left of their positions. */
function placesOf({ scan, sizes }: PlainProblem, k: number) {
  const { N, width } = sizes;
  const half = Math.floor(N / 2);
  const points = scan.ways?.points ?? 1;
  return Array.from({ length: points }, (_, p) => {
    const share = (2 * p + 1 - points) / (2 * points);
    const y = scan.ys[k] + share * (scan.ways?.ys[k] ?? 0);
    const x = scan.xs[k] + share * (scan.ways?.xs[k] ?? 0);
    const [row, column] = [Math.round(y), Math.round(x)];
    return { at: (row - half) * width + column - half, y: y - row, x: x - column };
  });
}

function patch(plane: Pick<Planes, 're' | 'im'>, at: number, { N, width, height }: Sizes, slice = 0): Field {
  const out = plain(N * N);
  for (let i = 0; i < N * N; i++) {
    const from = slice * height * width + at + Math.floor(i / N) * width + (i % N);
    out.re[i] = plane.re[from];
    out.im[i] = plane.im[from];
  }
  return out;
}

function mode(plane: Pick<Planes, 're' | 'im'>, m: number, N: number): Field {
  const [from, to] = [m * N * N, (m + 1) * N * N];
  return { re: Float64Array.from(plane.re.slice(from, to)), im: Float64Array.from(plane.im.slice(from, to)) };
}

/** @param m counts modes of the first point, then of the next */
function storedMode({ waves, sizes, scan }: PlainProblem, k: number, m: number): Field {
  const { N, modes } = sizes;
  const area = N * N;
  const all = (scan.ways?.points ?? 1) * modes;
  const part = (p: number) => Float64Array.from({ length: area }, (_, i) => waves[((k * all + m) * 2 + p) * area + i]);
  return { re: part(0), im: part(1) };
}

/** a of pattern k, 1 where all beams are alike, shared by the points of its way. */
const fluxOf = ({ scan }: PlainProblem, k: number): number =>
  (scan.beam?.flux[k] ?? 1) / Math.sqrt(scan.ways?.points ?? 1);

/** The number of the first mode of pattern k's probe. */
const firstModeOf = ({ scan, sizes }: PlainProblem, k: number): number => (scan.probeOf?.[k] ?? 0) * sizes.modes;

/** Mode m as pattern k saw it, before it is shifted. */
function beamOf(problem: PlainProblem, k: number, m: number): Field {
  const { sizes, scan, variation, probe } = problem;
  const { N, coherent = 0 } = sizes;
  let field = mode(probe, firstModeOf(problem, k) + m, N);
  for (let j = 0; m === 0 && variation && scan.beam && j < coherent; j++) {
    field = sum(field, mode(variation, j, N), scan.beam.weights[k * coherent + j]);
  }
  return scaleBy(field, () => fluxOf(problem, k));
}

/** a·conj(O)χ of the first mode, shifted back, over all points. */
function residueOf(problem: PlainProblem, k: number, changes: readonly Field[]): Field {
  const { N, modes } = problem.sizes;
  return placesOf(problem, k).reduce(
    (total, { at, y, x }, p) => {
      const product = times(conj(patch(problem.object, at, problem.sizes)), changes[p * modes]);
      return sum(total, shifted(product, N, y, x, true), fluxOf(problem, k));
    },
    plain(N * N),
  );
}

/** `WavePasses.beamProducts`. */
export function plainBeamProducts(problem: PlainProblem, batch: Int32Array, { changes }: PlainResult): Float64Array {
  const { N, coherent = 0 } = problem.sizes;
  const rows = [...batch].flatMap((k, i) => {
    const residue = residueOf(problem, k, changes[i][0]);
    const lights = placesOf(problem, k).map(({ at }) => light(patch(problem.object, at, problem.sizes)));
    const lit = lights[0].map((_, q) => lights.reduce((total, one) => total + one[q], 0));
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
  const { N, modes, height, width, slices = 1, probes = 1 } = sizes;
  const area = N * N;
  const pixels = slices * height * width;
  const gaps = scan.propagation?.slices ?? [];
  const planes = {
    object: new Float64Array(2 * pixels),
    illumination: new Float64Array(pixels),
    probe: new Float64Array(2 * probes * modes * area),
    objectIntensity: new Float64Array(probes * area),
  };
  const sums = { square: 0, absolute: 0, amplitude: 0, counts: 0, modelled: 0, change: 0 };
  const found: { incoming: Field[][][]; changes: Field[][][]; stored: Field[][] } = {
    ...{ incoming: [], changes: [], stored: [] },
  };
  const fits: number[] = [];
  const background = { excess: new Float64Array(area), weight: new Float64Array(area), asked: [] as number[][] };
  for (const k of batch) {
    // A wave for each mode at each point, in each slice.
    const each = placesOf(problem, k).flatMap((place) => Array.from({ length: modes }, (_, m) => ({ ...place, m })));
    const objects = Array.from({ length: slices }, (_, s) => each.map(({ at }) => patch(problem.object, at, sizes, s)));
    const incoming = [each.map(({ m, y, x }) => shifted(beamOf(problem, k, m), N, y, x))];
    for (let s = 1; s < slices; s++) {
      incoming.push(incoming[s - 1].map((p, w) => through(times(objects[s - 1][w], p), N, gaps[s - 1])));
    }
    const before = problem.waves.length > 0 ? each.map((_, w) => storedMode(problem, k, w)) : [];
    const measured = scan.amplitudes.subarray(k * area, (k + 1) * area);
    const products = incoming[slices - 1].map((p, w) => times(objects[slices - 1][w], p));
    const { square, counts, modelled } = { ...sums };
    const detectors = each.map(({ y, x }) => detectorOf(problem, y, x));
    const stray = strayOf(problem, k);
    const ask = (modelled: Float64Array) =>
      background.asked.push(askedOf(problem, measured, modelled, stray, background));
    const pull = request.damp && sizes.background !== undefined ? problem.background?.damp.data : undefined;
    const changes = [changesOf(products, before, measured, detectors, request, floor, sums, stray, ask, pull)];
    for (let s = slices - 1; s > 0; s--) {
      changes.unshift(changes[0].map((c, w) => through(times(conj(objects[s][w]), c), N, gaps[s - 1], true)));
    }
    const model = sums.modelled - modelled;
    fits.push((sums.counts - counts + model - (sums.square - square)) / (2 * model));
    found.incoming.push(incoming);
    found.changes.push(changes);
    found.stored.push(request.wave === 'store' ? products : changes[slices - 1]);
    if (request.wave === 'measure' || request.wave === 'store') continue;
    const weight = (z: Field) => (request.weighted ? scaleBy(z, (i) => Math.hypot(z.re[i], z.im[i])) : z);
    const own = firstModeOf(problem, k);
    each.forEach(({ at, y, x, m }, w) => {
      const object = objects[0][w];
      const back = shifted(times(conj(weight(object)), changes[0][w]), N, y, x, true);
      const toProbe = scaleBy(back, () => fluxOf(problem, k));
      incoming.forEach((waves, s) => {
        const toObject = times(conj(weight(waves[w])), changes[s][w]);
        const lit = light(waves[w]);
        for (let i = 0; i < area; i++) {
          const to = s * height * width + at + Math.floor(i / N) * width + (i % N);
          planes.object[to] += toObject.re[i];
          planes.object[pixels + to] += toObject.im[i];
          planes.illumination[to] += lit[i];
        }
      });
      for (let i = 0; i < area; i++) {
        planes.probe[(own + m) * area + i] += toProbe.re[i];
        planes.probe[(probes * modes + own + m) * area + i] += toProbe.im[i];
      }
      light(object).forEach((v, i) => {
        planes.objectIntensity[(own / modes) * area + i] += v / each.length;
      });
    });
  }
  return { sums, fits, planes, background, ...found };
}

/** The background of pattern k. */
function strayOf({ scan, sizes, background }: PlainProblem, k: number): Float64Array {
  const { N, background: terms } = sizes;
  const out = new Float64Array(N * N);
  if (terms === undefined || !background) return out;
  return out.map((_, i) => {
    const smooth = Array.from({ length: terms }, (_t, l) => l);
    return smooth.reduce(
      (sum, l) => sum + scan.background!.weights[k * terms + l] * background.terms.data[l * N * N + i],
      background.pixels.data[i],
    );
  });
}

/** What a pattern asks of its background; adds to the sums. */
function askedOf(
  { sizes, background }: PlainProblem,
  measured: Float32Array,
  modelled: Float64Array,
  stray: Float64Array,
  sums: { readonly excess: Float64Array; readonly weight: Float64Array },
): number[] {
  const { background: terms = 0 } = sizes;
  const asked = new Array<number>(2 * terms).fill(0);
  measured.forEach((a, i) => {
    if (a < 0 || !background) return;
    const hold = background.hold.data[i];
    const v = 1 / (modelled[i] + hold);
    const w = (hold * v) ** 5;
    const J = modelled[i];
    const e = a * a - J - (J > 0 ? (1 - stray[i] / J) * Math.min(J, 0.25) : 0);
    sums.excess[i] += w * e;
    sums.weight[i] += w;
    for (let l = 0; l < terms; l++) {
      const phi = background.terms.data[l * measured.length + i];
      asked[2 * l] += phi * v * e;
      asked[2 * l + 1] += phi * v;
    }
  });
  return asked;
}

/** What the detector sees of an exit wave of a pattern that is (y, x) from whole pixels, and the way back. */
interface Detector {
  forward(wave: Field): Field;
  back(field: Field): Field;
}

function detectorOf({ scan, sizes: { N } }: PlainProblem, y: number, x: number): Detector {
  const near = scan.propagation?.detector;
  if (!near) return { forward: (wave) => dft(wave, N, -1), back: (field) => dft(field, N, 1) };
  return {
    forward: (wave) => through(shifted(wave, N, y, x, true), N, near),
    back: (field) => shifted(through(field, N, near, true), N, y, x),
  };
}

/** χ by modes, or the waves that take its place. */
function changesOf(
  products: Field[],
  before: Field[],
  measured: Float32Array,
  detectors: readonly Detector[],
  { wave, strength = 1 }: PassRequest,
  floor: number,
  sums: { -readonly [K in keyof PassSums]: number },
  stray: Float64Array,
  ask: (modelled: Float64Array) => void,
  pull?: ArrayLike<number>,
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
  const fields = started.map((z, w) => detectors[w].forward(z));
  const modelled = stray.slice();
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
  ask(modelled);
  const factor = (i: number) => {
    if (measured[i] < 0) return 0;
    const root = Math.sqrt(modelled[i]);
    if (wave === 'likelihood') {
      const ratio = (measured[i] ** 2 + PEDESTAL) / (modelled[i] + PEDESTAL);
      return strength * (ratio - 1);
    }
    const wanted = wave === 'poisson' ? (root + Math.sqrt(modelled[i] + 8 * measured[i] ** 2)) / 4 : measured[i];
    return strength * (wanted / (root + floor) - 1 - (wave === 'difference' ? 0 : (pull?.[i] ?? 0)));
  };
  const changes = fields.map((f, w) => detectors[w].back(scaleBy(f, factor)));
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
  { incoming, changes }: PlainResult,
  directions: { readonly object: Pick<Planes, 're' | 'im'>; readonly probe: Pick<Planes, 're' | 'im'> },
): Float64Array {
  const { N, modes, slices = 1 } = problem.sizes;
  const gaps = problem.scan.propagation?.slices ?? [];
  const out = new Float64Array(6 * batch.length);
  batch.forEach((k, i) => {
    const places = placesOf(problem, k);
    for (let w = 0; w < places.length * modes; w++) {
      const { at, y, x } = places[Math.floor(w / modes)];
      const patches = (plane: Pick<Planes, 're' | 'im'>) =>
        Array.from({ length: slices }, (_, s) => patch(plane, at, problem.sizes, s));
      const [d, o] = [patches(directions.object), patches(problem.object)];
      let a = times(d[0], incoming[i][0][w]);
      const own = mode(directions.probe, firstModeOf(problem, k) + (w % modes), N);
      const direction = scaleBy(own, () => fluxOf(problem, k));
      let b = times(o[0], shifted(direction, N, y, x));
      for (let s = 1; s < slices; s++) {
        a = sum(times(o[s], through(a, N, gaps[s - 1])), times(d[s], incoming[i][s][w]));
        b = times(o[s], through(b, N, gaps[s - 1]));
      }
      const chi = changes[i][slices - 1][w];
      const row = [dot(a, a)[0], dot(b, b)[0], ...dot(a, b), dot(chi, a)[0], dot(chi, b)[0]];
      row.forEach((v, j) => {
        out[6 * i + j] += v;
      });
    }
  });
  return out;
}

/** `WavePasses.correlations`: the peak as its formula says. */
export function plainCorrelations(
  problem: PlainProblem,
  batch: Int32Array,
  { incoming, changes }: PlainResult,
): Float64Array {
  const { N, slices = 1, modes } = problem.sizes;
  const middle = Math.floor(slices / 2);
  const rows = [...batch].flatMap((k, i) => {
    const row = [0, 0, 0, 0, 0];
    placesOf(problem, k).forEach(({ at }, point) => {
      const object = patch(problem.object, at, problem.sizes, middle);
      const lights = new Float64Array(N * N);
      let step = plain(N * N);
      for (let w = point * modes; w < (point + 1) * modes; w++) {
        const p = incoming[i][middle][w];
        for (const [j, v] of light(p).entries()) lights[j] += v;
        step = sum(step, times(conj(p), changes[i][middle][w]));
      }
      const most = Math.max(...lights);
      const lit = (j: number) => (lights[j] > 0.01 * most ? 1 : 0);
      const [R, Q] = [object, sum(object, step, 1 / most)].map((f) => dft(scaleBy(f, lit), N, -1));
      const cross = times(conj(R), Q);
      for (let j = 0; j < N * N; j++) {
        const [y, x] = [Math.floor(j / N), j % N].map((n) =>
          2 * n === N ? 0 : (2 * Math.PI * (n < N / 2 ? n : n - N)) / N,
        );
        for (const [c, w] of [y * y, x * x, y * x].entries()) row[c] += w * cross.re[j];
        row[3] += y * cross.im[j];
        row[4] += x * cross.im[j];
      }
    });
    return row;
  });
  return Float64Array.from(rows);
}

/** `WavePasses.stretches`. */
export function plainStretches(
  problem: PlainProblem,
  batch: Int32Array,
  { incoming, changes }: PlainResult,
): Float64Array {
  const { N, slices = 1, modes, width } = problem.sizes;
  const middle = Math.floor(slices / 2);
  const rows = [...batch].flatMap((k, i) => {
    const row = new Array<number>(24).fill(0);
    const places = placesOf(problem, k);
    for (let w = 0; w < places.length * modes; w++) {
      const { at } = places[Math.floor(w / modes)];
      const [y, x] = [width, 1].map((step) => {
        const [next, last] = [step, -step].map((d) => patch(problem.object, at + d, problem.sizes, middle));
        return times(
          scaleBy(sum(next, last, -1), () => 0.5),
          incoming[i][middle][w],
        );
      });
      const chi = changes[i][middle][w];
      const against = (a: Field, b: Field, j: number) => a.re[j] * b.re[j] + a.im[j] * b.im[j];
      for (let j = 0; j < N * N; j++) {
        const [u, v] = [Math.floor(j / N) - Math.floor(N / 2), (j % N) - Math.floor(N / 2)];
        for (const [n, q] of [against(y, y, j), against(y, x, j), against(x, x, j)].entries()) {
          for (const [c, m] of [1, u, v, u * u, u * v, v * v].entries()) row[6 * n + c] += m * q;
        }
        for (const [n, q] of [against(y, chi, j), against(x, chi, j)].entries()) {
          for (const [c, m] of [1, u, v].entries()) row[18 + 3 * n + c] += m * q;
        }
      }
    }
    return row;
  });
  return Float64Array.from(rows);
}

/** `WavePasses.deviances` of a scan whose detector is that of the problem. */
export function plainDeviances(problem: PlainProblem, batch: Int32Array, raised = false): Float64Array {
  const { scan, sizes, floor } = problem;
  const { N, modes } = sizes;
  return Float64Array.from(batch, (k) => {
    const model = strayOf(problem, k);
    for (const { at, y, x } of placesOf(problem, k)) {
      const detector = detectorOf(problem, y, x);
      for (let m = 0; m < modes; m++) {
        const wave = times(patch(problem.object, at, sizes), shifted(beamOf(problem, k, m), N, y, x));
        for (const [i, v] of light(detector.forward(wave)).entries()) model[i] += v;
      }
    }
    let deviance = 0;
    for (let i = 0; i < N * N; i++) {
      const a = scan.amplitudes[k * N * N + i];
      const J = Math.max(model[i], (1e5 * floor) ** 2);
      const [more, dark] = [a * a + PEDESTAL, model[i] + PEDESTAL];
      if (raised && a >= 0) deviance += 2 * (dark - more + more * Math.log(more / dark));
      else if (a >= 0) deviance += 2 * (J - a * a + (a > 0 ? a * a * Math.log((a * a) / J) : 0));
    }
    return deviance;
  });
}

/** A change of object and probe. */
export type PlainDirection = Readonly<Record<'object' | 'probe', Pick<Planes, 're' | 'im'>>>;

/**
 * `WavePasses.curvatures` from waves along the path alone: Ψ(s, t) of O + s·δO₁ + t·δO₂ and the same of P is a polynomial, so that
 * differences of it are exact; what E is of J is differentiated twice.
 */
export function plainCurvatures(
  problem: PlainProblem,
  batch: Int32Array,
  along: readonly PlainDirection[],
  statistics: Statistics = 'gaussian',
): Curvatures {
  const { scan, sizes } = problem;
  const { N, modes } = sizes;
  const [first, second = first] = along;
  const out = { slopes: [0, 0], bends: [0, 0, 0], widths: [0, 0, 0] };
  const moved = (field: Pick<Planes, 're' | 'im'>, d: readonly Pick<Planes, 're' | 'im'>[], s: number, t: number) => ({
    re: Float64Array.from(field.re, (v, i) => v + s * d[0].re[i] + t * d[1].re[i]),
    im: Float64Array.from(field.im, (v, i) => v + s * d[0].im[i] + t * d[1].im[i]),
  });
  for (const k of batch) {
    const measured = scan.amplitudes.subarray(k * N * N, (k + 1) * N * N);
    const stray = strayOf(problem, k);
    const fields = (s: number, t: number) => {
      const whole = moved(problem.object, [first.object, second.object], s, t) as never;
      const changed = { ...problem, probe: moved(problem.probe, [first.probe, second.probe], s, t) as never };
      return placesOf(problem, k).flatMap(({ at, y, x }) =>
        Array.from({ length: modes }, (_, m) =>
          detectorOf(problem, y, x).forward(times(patch(whole, at, sizes), shifted(beamOf(changed, k, m), N, y, x))),
        ),
      );
    };
    const [here, a, b, a2, b2, both] = [
      fields(0, 0),
      fields(1, 0),
      fields(0, 1),
      fields(-1, 0),
      fields(0, -1),
      fields(1, 1),
    ];
    for (let i = 0; i < N * N; i++) {
      if (measured[i] < 0) continue;
      const value = (f: Field[]) => f.flatMap(({ re, im }) => [re[i], im[i]]);
      const [h, va, vb, va2, vb2, vab] = [here, a, b, a2, b2, both].map(value);
      const da = va.map((v, j) => (v - va2[j]) / 2);
      const db = vb.map((v, j) => (v - vb2[j]) / 2);
      const daa = va.map((v, j) => v + va2[j] - 2 * h[j]);
      const dbb = vb.map((v, j) => v + vb2[j] - 2 * h[j]);
      const dab = vab.map((v, j) => v - h[j] - da[j] - db[j] - (daa[j] + dbb[j]) / 2);
      const inner = (p: number[], q: number[]) => p.reduce((total, v, j) => total + v * q[j], 0);
      const J = inner(h, h) + stray[i];
      const [w, second] = derivativesOf(measured[i], J, statistics);
      const wide = statistics === 'poisson' ? 4 : 2;
      // d²E = E'·d²J + E''·dJ·d'J, dJ = 2Ψ·d, d²J = 2(d·d' + Ψ·d²Ψ)
      const bend = (p: number[], q: number[], pq: number[]) =>
        2 * w * (inner(p, q) + inner(h, pq)) + 4 * second * inner(h, p) * inner(h, q);
      out.slopes[0] += 2 * w * inner(h, da);
      out.bends[0] += bend(da, da, daa);
      out.widths[0] += wide * inner(da, da);
      if (along.length === 1) continue;
      out.slopes[1] += 2 * w * inner(h, db);
      out.bends[1] += bend(da, db, dab);
      out.bends[2] += bend(db, db, dbb);
      out.widths[1] += wide * inner(da, db);
      out.widths[2] += wide * inner(db, db);
    }
  }
  return out as unknown as Curvatures;
}

/** First and second derivative of E along J where √I is `a`. */
function derivativesOf(a: number, J: number, statistics: Statistics): readonly [number, number] {
  if (statistics === 'gaussian') return [1 - a / Math.sqrt(J), (0.5 * a) / J ** 1.5];
  const ratio = (a * a + PEDESTAL) / (J + PEDESTAL);
  return [1 - ratio, ratio / (J + PEDESTAL)];
}

/** `WavePasses.moves`. */
export function plainMoves(problem: PlainProblem, batch: Int32Array, { incoming, changes }: PlainResult): Float64Array {
  const { modes, width, slices = 1 } = problem.sizes;
  const middle = Math.floor(slices / 2);
  const out = new Float64Array(5 * batch.length);
  batch.forEach((k, i) => {
    const places = placesOf(problem, k);
    for (let w = 0; w < places.length * modes; w++) {
      const { at } = places[Math.floor(w / modes)];
      const slope = (step: number) => {
        const [next, last] = [
          patch(problem.object, at + step, problem.sizes, middle),
          patch(problem.object, at - step, problem.sizes, middle),
        ];
        return scaleBy(sum(next, last, -1), () => 0.5);
      };
      const [y, x] = [times(slope(width), incoming[i][middle][w]), times(slope(1), incoming[i][middle][w])];
      const chi = changes[i][middle][w];
      const row = [dot(y, y)[0], dot(x, x)[0], dot(y, x)[0], dot(chi, y)[0], dot(chi, x)[0]];
      row.forEach((v, j) => {
        out[5 * i + j] += v;
      });
    }
  });
  return out;
}
