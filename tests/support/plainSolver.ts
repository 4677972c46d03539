/**
 * Iterative algorithms written down plainly, in float64 and with sums instead of fast transforms, for comparison step by step. One
 * epoch works on given batches; nothing is shared with `src/solvers`.
 */

/** A complex array. */
export interface Plain {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

export interface PlainProblem {
  readonly N: number;
  readonly height: number;
  readonly width: number;
  /** (modes) planes of N×N. */
  readonly probe: readonly Plain[];
  /** height × width. */
  readonly object: Plain;
  /** Centred √counts, N×N each; below 0: bad. */
  readonly patterns: readonly Float64Array[];
  /** Positions of patch centres (index ⌊N/2⌋) in object pixels. */
  readonly ys: readonly number[];
  readonly xs: readonly number[];
  /** Every pattern's own beam; changes as the state does. */
  readonly beam?: PlainBeam;
  /** Ways over which patterns were recorded, (y, x) in pixels, and how many points of them stand for them. */
  readonly ways?: { readonly points: number; readonly yx: readonly (readonly [number, number])[] };
  /** What the detector sees beside the sample; changes as the state does. */
  readonly stray?: PlainStray;
  /** The probe of each pattern, where there are several: `probe` has all modes of the first, then those of the next. */
  readonly probeOf?: readonly number[];
}

/** B + Σ_l g_kl·φ_l, zero frequency in the corner, and what is asked of B in an epoch. */
export interface PlainStray {
  readonly B: Float64Array;
  /** (patterns, terms) */
  readonly g: number[][];
  /** (terms) */
  readonly phi: readonly Float64Array[];
  readonly excess: Float64Array;
  readonly weight: Float64Array;
  /** What holds waves back in an epoch. */
  readonly damp: Float64Array;
}

/** a_k·(P + Σ_j c_kj·U_j) of the first mode, a_k·P of the others. */
export interface PlainBeam {
  readonly a: number[];
  readonly c: number[][];
  U: Plain[];
}

/** State that an epoch changes. */
export interface PlainState {
  object: Plain;
  probe: Plain[];
  /** Light on the object over the last epoch of the PIE family. */
  light?: Float64Array;
  /** Stored waves of the difference map: [pattern][mode]. */
  waves?: Plain[][];
}

export const plain = (length: number): Plain => ({ re: new Float64Array(length), im: new Float64Array(length) });

const add = (to: Plain, i: number, re: number, im: number) => {
  to.re[i] += re;
  to.im[i] += im;
};

/** Σ f·e^{∓2πi(kr + lc)/N}/N, zero frequency in the corner: unitary. */
export function dft({ re, im }: Plain, N: number, sign: -1 | 1): Plain {
  const out = plain(N * N);
  const half = plain(N * N);
  const [cos, sin] = [0, 1].map((part) =>
    Float64Array.from({ length: N }, (_, k) => (part ? Math.sin : Math.cos)((sign * 2 * Math.PI * k) / N)),
  );
  for (let r = 0; r < N; r++) {
    for (let l = 0; l < N; l++) {
      for (let c = 0; c < N; c++) {
        const [a, b] = [cos[(l * c) % N], sin[(l * c) % N]];
        add(half, r * N + l, re[r * N + c] * a - im[r * N + c] * b, re[r * N + c] * b + im[r * N + c] * a);
      }
    }
  }
  for (let k = 0; k < N; k++) {
    for (let l = 0; l < N; l++) {
      for (let r = 0; r < N; r++) {
        const [a, b] = [cos[(k * r) % N] / N, sin[(k * r) % N] / N];
        const [x, y] = [half.re[r * N + l], half.im[r * N + l]];
        add(out, k * N + l, x * a - y * b, x * b + y * a);
      }
    }
  }
  return out;
}

/** f moved by (dy, dx) pixels in Fourier space; `back`: the adjoint. */
export function shifted(f: Plain, N: number, dy: number, dx: number, back = false): Plain {
  const spectrum = dft(f, N, -1);
  const ramp = (k: number, d: number) => {
    const angle = (-2 * Math.PI * (k < N / 2 ? k : k - N) * d) / N;
    return [Math.cos(angle), 2 * k === N ? 0 : Math.sin(angle)];
  };
  for (let k = 0; k < N; k++) {
    for (let l = 0; l < N; l++) {
      const [a, b] = ramp(k, dy);
      const [c, d] = ramp(l, dx);
      const [wr, wi] = [a * c - b * d, (back ? -1 : 1) * (a * d + b * c)];
      const i = k * N + l;
      const [x, y] = [spectrum.re[i], spectrum.im[i]];
      spectrum.re[i] = x * wr - y * wi;
      spectrum.im[i] = x * wi + y * wr;
    }
  }
  return dft(spectrum, N, 1);
}

/** f times a transfer function in Fourier space; `back`: the adjoint. */
export function through(f: Plain, N: number, { re, im }: Plain, back = false): Plain {
  const spectrum = dft(f, N, -1);
  const sign = back ? -1 : 1;
  for (let i = 0; i < N * N; i++) {
    const [x, y] = [spectrum.re[i], spectrum.im[i]];
    spectrum.re[i] = x * re[i] - sign * y * im[i];
    spectrum.im[i] = sign * x * im[i] + y * re[i];
  }
  return dft(spectrum, N, 1);
}

const times = (f: Plain, by: number): Plain => ({ re: f.re.map((v) => by * v), im: f.im.map((v) => by * v) });

/** to += (re + i·im)·from. */
function plusTimes(to: Plain, from: Plain, re: number, im = 0): void {
  for (let i = 0; i < to.re.length; i++) {
    add(to, i, re * from.re[i] - im * from.im[i], re * from.im[i] + im * from.re[i]);
  }
}

/** Σ conj(a)·b. */
const inner = (a: Plain, b: Plain): [re: number, im: number] => [
  a.re.reduce((sum, v, i) => sum + v * b.re[i] + a.im[i] * b.im[i], 0),
  a.re.reduce((sum, v, i) => sum + v * b.im[i] - a.im[i] * b.re[i], 0),
];

/**
 * One step of the beams of a batch (M. Odstrčil et al., Opt. Express 26, 3108, 2018), from χ with the fields as they were:
 * residues r_k = δP_k less their mean, each mode turned along Σp_k·r_k, weights by least squares.
 */
function plainBeamStep(
  problem: PlainProblem,
  object: Plain,
  probe: Plain,
  views: readonly { view: View; chi: Plain[]; fit: number }[],
): void {
  const { N, beam } = problem;
  if (!beam) return;
  const size = Math.sqrt(inner(probe, probe)[0]);
  const deltas = views.map(({ view, chi }) => {
    const delta = plain(N * N);
    chi.forEach((c, w) => {
      const { mode, dy, dx } = view.waveAt[w];
      if (mode > 0) return;
      const product = plain(N * N);
      for (let i = 0; i < N * N; i++) {
        const [a, b] = [object.re[view.at(i, w)], object.im[view.at(i, w)]];
        add(product, i, a * c.re[i] + b * c.im[i], a * c.im[i] - b * c.re[i]);
      }
      plusTimes(delta, shifted(product, N, dy, dx, true), view.a);
    });
    return delta;
  });
  const mean = plain(N * N);
  for (const delta of deltas) plusTimes(mean, delta, 1 / deltas.length);
  const residues = deltas.map((delta) => {
    const r = clone(delta);
    plusTimes(r, mean, -1);
    return r;
  });
  const rho = Math.min(0.1, views.length / problem.patterns.length);
  const old = beam.U.map(clone);
  beam.U = old.map((U, j) => {
    const G = plain(N * N);
    views.forEach(({ view }, b) => {
      const r = clone(residues[b]);
      for (const before of old.slice(0, j)) {
        const [re, im] = inner(before, residues[b]);
        const power = inner(before, before)[0];
        plusTimes(r, before, -re / power, -im / power);
      }
      plusTimes(G, r, inner(U, r)[0] / inner(U, U)[0] + beam.c[view.k][j]);
    });
    const turned = clone(U);
    plusTimes(turned, G, (rho * size) / Math.sqrt(inner(G, G)[0]));
    return times(turned, size / Math.sqrt(inner(turned, turned)[0]));
  });
  beam.U.forEach((U, j) => {
    const lights = views.map(({ view }) =>
      view.waveAt.reduce((sum, { mode }, w) => {
        if (mode > 0) return sum;
        const lit = U.re.reduce((total, _, i) => total + square(U, i) * square(object, view.at(i, w)), 0);
        return sum + view.a ** 2 * lit;
      }, 0),
    );
    const usual = lights.reduce((sum, v) => sum + v, 0) / lights.length;
    views.forEach(({ view }, b) => {
      beam.c[view.k][j] += inner(U, deltas[b])[0] / (lights[b] + 0.1 * usual);
    });
  });
  for (const { view, fit } of views) beam.a[view.k] *= 1 + 0.5 * (fit - 1);
}

/** P + Σ_j c_kj·U_j of each pattern as an epoch ends: the mean of c belongs to P, and U has nothing of that P. */
export function plainBeams(probe: Plain, { c, U }: PlainBeam): Plain[] {
  const common = clone(probe);
  const means = U.map((_, j) => c.reduce((sum, row) => sum + row[j], 0) / c.length);
  for (const [j, field] of U.entries()) plusTimes(common, field, means[j]);
  const power = inner(common, common)[0];
  const own = U.map((field) => {
    const [re, im] = inner(common, field);
    const rest = clone(field);
    plusTimes(rest, common, -re / power, -im / power);
    return rest;
  });
  return c.map((row) => {
    const beam = clone(common);
    for (const [j, field] of own.entries()) plusTimes(beam, field, row[j] - means[j]);
    return beam;
  });
}

/** One pattern: its shifted modes at each point of its way, exit waves and where their patches begin. */
class View {
  /** One for each wave: modes of the first point, then of the next. */
  readonly waveAt: readonly { top: number; left: number; dy: number; dx: number; mode: number }[];
  readonly P: Plain[];
  /** Of the flux and the way. */
  readonly a: number;
  readonly points: number;
  /** The number of the first of its modes. */
  readonly first: number;

  constructor(
    private readonly problem: PlainProblem,
    readonly k: number,
    probe: readonly Plain[],
  ) {
    const { N, ys, xs, ways, probeOf } = problem;
    const probes = probeOf ? Math.max(...probeOf) + 1 : 1;
    const modes = probe.length / probes;
    this.first = (probeOf?.[k] ?? 0) * modes;
    this.points = ways?.points ?? 1;
    this.waveAt = Array.from({ length: this.points * modes }, (_, w) => {
      const share = (Math.floor(w / modes) + 0.5) / this.points - 0.5;
      const [y, x] = [ys[k] + share * (ways?.yx[k][0] ?? 0), xs[k] + share * (ways?.yx[k][1] ?? 0)];
      const [row, column] = [Math.round(y), Math.round(x)];
      const [top, left] = [row - Math.floor(N / 2), column - Math.floor(N / 2)];
      return { top, left, dy: y - row, dx: x - column, mode: w % modes };
    });
    const { beam } = problem;
    this.a = (beam?.a[k] ?? 1) / Math.sqrt(this.points);
    this.P = this.waveAt.map(({ mode: m, dy, dx }) => {
      const own = clone(probe[this.first + m]);
      for (const [j, U] of (m === 0 && beam ? beam.U : []).entries()) plusTimes(own, U, beam!.c[k][j]);
      return shifted(times(own, this.a), N, dy, dx);
    });
  }

  /** Object pixel of patch pixel i of a wave. */
  at(i: number, wave: number): number {
    const { N, width } = this.problem;
    const { top, left } = this.waveAt[wave];
    return (top + Math.floor(i / N)) * width + left + (i % N);
  }

  waves(object: Plain): Plain[] {
    return this.P.map((p, w) => {
      const psi = plain(p.re.length);
      for (let i = 0; i < p.re.length; i++) {
        const [a, b] = [object.re[this.at(i, w)], object.im[this.at(i, w)]];
        add(psi, i, a * p.re[i] - b * p.im[i], a * p.im[i] + b * p.re[i]);
      }
      return psi;
    });
  }

  /** The background of a pixel, zero frequency in the corner. */
  stray(i: number): number {
    const { stray } = this.problem;
    return stray ? stray.phi.reduce((sum, phi, l) => sum + stray.g[this.k][l] * phi[i], stray.B[i]) : 0;
  }

  /** ΣJ over good pixels. */
  modelled(object: Plain): number {
    const { N, patterns } = this.problem;
    const fields = this.waves(object).map((w) => dft(w, N, -1));
    const half = Math.floor(N / 2);
    let sum = 0;
    for (let i = 0; i < N * N; i++) {
      const a = patterns[this.k][((Math.floor(i / N) + half) % N) * N + (((i % N) + half) % N)];
      if (a >= 0) sum += fields.reduce((total, f) => total + square(f, i), 0);
    }
    return sum;
  }

  /** Σ√(IJ)/ΣJ over good pixels. */
  fit(waves: readonly Plain[]): number {
    const { N, patterns } = this.problem;
    const fields = waves.map((w) => dft(w, N, -1));
    const half = Math.floor(N / 2);
    let [cross, model] = [0, 0];
    for (let i = 0; i < N * N; i++) {
      const [r, c] = [(Math.floor(i / N) + half) % N, ((i % N) + half) % N];
      const a = patterns[this.k][r * N + c];
      if (a < 0) continue;
      const J = fields.reduce((sum, f) => sum + square(f, i), 0);
      cross += a * Math.sqrt(J);
      model += J;
    }
    return cross / model;
  }

  /** Σ(√I − √J)² over good pixels, or Σ(J − (I + 3/8)·ln(J + 3/8)). */
  misfit(object: Plain, likely = false): number {
    const { N, patterns } = this.problem;
    const fields = this.waves(object).map((w) => dft(w, N, -1));
    const half = Math.floor(N / 2);
    let sum = 0;
    for (let i = 0; i < N * N; i++) {
      const a = patterns[this.k][((Math.floor(i / N) + half) % N) * N + (((i % N) + half) % N)];
      const J = fields.reduce((total, f) => total + square(f, i), 0);
      if (a >= 0) sum += likely ? J - (a * a + 0.375) * Math.log(J + 0.375) : (a - Math.sqrt(J)) ** 2;
    }
    return sum;
  }

  /** What brings the waves to the measured amplitudes, or down the gradient of the likelihood. */
  change(waves: readonly Plain[], likely = false): Plain[] {
    const { N, patterns } = this.problem;
    const fields = waves.map((w) => dft(w, N, -1));
    const measured = patterns[this.k];
    const half = Math.floor(N / 2);
    for (let k = 0; k < N; k++) {
      for (let l = 0; l < N; l++) {
        const i = k * N + l;
        const a = measured[((k + half) % N) * N + ((l + half) % N)];
        const model = Math.sqrt(fields.reduce((sum, f) => sum + f.re[i] ** 2 + f.im[i] ** 2, this.stray(i)));
        const ratio = likely ? (a * a + 0.375) / (model ** 2 + 0.375) : a / model;
        const factor = a < 0 || model === 0 ? 0 : ratio - 1 - (this.problem.stray?.damp[i] ?? 0);
        for (const f of fields) {
          f.re[i] *= factor;
          f.im[i] *= factor;
        }
      }
    }
    return fields.map((f) => dft(f, N, 1));
  }
}

/**
 * What pattern k asks of its background: with d = I − J − (1 − b/J)·min(J, ¼), g_l goes by Σφ_l·d/(J + h) over Σφ_l/(J + h), and B, when the
 * epoch ends, by Σw·d/Σw, w = (h/(J + h))⁵; by half of it where there are both.
 */
function askStray({ N, patterns, stray }: PlainProblem, view: View, waves: readonly Plain[]): void {
  if (!stray) return;
  const half = Math.floor(N / 2);
  const centred = (i: number) => ((Math.floor(i / N) + half) % N) * N + (((i % N) + half) % N);
  const fields = waves.map((w) => dft(w, N, -1));
  const counts = patterns.map((pattern) => (i: number) => pattern[centred(i)]);
  const all = patterns.flatMap((pattern) => [...pattern].filter((a) => a >= 0).map((a) => a * a));
  const least = (1e-3 * all.reduce((sum, v) => sum + v, 0)) / all.length;
  const asked = stray.phi.map(() => [0, 0]);
  for (let i = 0; i < N * N; i++) {
    const a = counts[view.k](i);
    if (a < 0) continue;
    const seen = counts.map((of) => of(i)).filter((v) => v >= 0);
    const h = (0.02 * seen.reduce((sum, v) => sum + v * v, 0)) / seen.length + least;
    const J = fields.reduce((sum, f) => sum + square(f, i), view.stray(i));
    const d = a * a - J - (1 - view.stray(i) / J) * Math.min(J, 0.25);
    const w = (h / (J + h)) ** 5;
    stray.excess[i] += w * d;
    stray.weight[i] += w;
    for (const [l, phi] of stray.phi.entries()) {
      asked[l][0] += (phi[i] * d) / (J + h);
      asked[l][1] += phi[i] / (J + h);
    }
  }
  const g = stray.g[view.k];
  for (const [l, [of, over]] of asked.entries()) g[l] = Math.max(0, g[l] + (0.5 * of) / over);
}

/** The end of an epoch: B moves, and takes up what all patterns have of the smooth planes. */
export function plainStrayEnd({ B, g, phi, excess, weight }: PlainStray): void {
  const step = phi.length > 0 ? 0.5 : 1;
  B.forEach((b, i) => {
    if (weight[i] > 0) B[i] = Math.max(0, b + (step * excess[i]) / weight[i]);
  });
  for (const [l, plane] of phi.entries()) {
    const least = Math.min(...g.map((row) => row[l]));
    for (const row of g) row[l] -= least;
    for (const [i, v] of plane.entries()) B[i] += least * v;
  }
  excess.fill(0);
  weight.fill(0);
}

/**
 * What holds waves back in the next epoch: 0.03·½·b/(n·J̄·(J̄ + b)), at most ½, with b and J̄ = mean I − b over 5×5 pixels, and n the patterns
 * that see a place: count·(Σp)²/Σp²·Σw²/(Σw)² of the probe's |P|² = p and of the light w on the object.
 */
export function plainHoldBack(problem: PlainProblem, probe: readonly Plain[], light: Float64Array): void {
  const { N, patterns, stray } = problem;
  if (!stray) return;
  const half = Math.floor(N / 2);
  const centred = (r: number, c: number) => ((r + half) % N) * N + ((c + half) % N);
  const extent = (v: Float64Array) => v.reduce((sum, x) => sum + x, 0) ** 2 / v.reduce((sum, x) => sum + x * x, 0);
  const power = Float64Array.from({ length: N * N }, (_, i) => probe.reduce((sum, p) => sum + square(p, i), 0));
  const overlap = (patterns.length * extent(power)) / extent(light);
  for (let r = 0; r < N; r++) {
    for (let c = 0; c < N; c++) {
      let [b, J, good] = [0, 0, 0];
      for (let q = 0; q < 25; q++) {
        const [y, x] = [(r + Math.floor(q / 5) - 2 + N) % N, (c + (q % 5) - 2 + N) % N];
        const seen = patterns.map((pattern) => pattern[centred(y, x)]).filter((a) => a >= 0);
        if (seen.length === 0) continue;
        const smooth = (row: readonly number[]) => row.reduce((sum, g, l) => sum + g * stray.phi[l][y * N + x], 0);
        const own = stray.B[y * N + x] + stray.g.reduce((sum, row) => sum + smooth(row), 0) / patterns.length;
        good++;
        b += own;
        J += seen.reduce((sum, a) => sum + a * a, 0) / seen.length - own;
      }
      [b, J] = [b / good, Math.max(0, J / good)];
      stray.damp[r * N + c] = b > 0 ? Math.min(0.5, (0.015 * b) / (overlap * J * (J + b))) : 0;
    }
  }
}

const square = (f: Plain, i: number) => f.re[i] ** 2 + f.im[i] ** 2;
const most = (values: Float64Array) => values.reduce((m, v) => Math.max(m, v), 0);
const clone = (f: Plain): Plain => ({ re: f.re.slice(), im: f.im.slice() });

/** Sums over a batch. */
interface Sums {
  readonly object: Plain;
  readonly light: Float64Array;
  readonly probe: Plain[];
  /** Of each mode of each probe. */
  readonly objectLight: Float64Array[];
}

function sumsOf(
  problem: PlainProblem,
  object: Plain,
  views: readonly { view: View; chi: Plain[] }[],
  power: 0 | 1,
): Sums {
  const { N, height, width } = problem;
  const modes = problem.probe.length;
  const sums: Sums = {
    object: plain(height * width),
    light: new Float64Array(height * width),
    probe: Array.from({ length: modes }, () => plain(N * N)),
    objectLight: Array.from({ length: modes }, () => new Float64Array(N * N)),
  };
  for (const { view, chi } of views) {
    chi.forEach((c, w) => {
      const p = view.P[w];
      const { mode, dy, dx } = view.waveAt[w];
      const m = view.first + mode;
      const products = plain(N * N);
      for (let i = 0; i < N * N; i++) {
        const o = view.at(i, w);
        const wp = power ? Math.sqrt(square(p, i)) : 1;
        const wo = power ? Math.sqrt(square(object, o)) : 1;
        add(sums.object, o, wp * (p.re[i] * c.re[i] + p.im[i] * c.im[i]), wp * (p.re[i] * c.im[i] - p.im[i] * c.re[i]));
        sums.light[o] += square(p, i);
        add(
          products,
          i,
          wo * (object.re[o] * c.re[i] + object.im[o] * c.im[i]),
          wo * (object.re[o] * c.im[i] - object.im[o] * c.re[i]),
        );
      }
      const back = shifted(products, N, dy, dx, true);
      for (let i = 0; i < N * N; i++) {
        add(sums.probe[m], i, view.a * back.re[i], view.a * back.im[i]);
        sums.objectLight[m][i] += square(object, view.at(i, w)) / view.points;
      }
    });
  }
  return sums;
}

/** One epoch of the PIE family: see `src/solvers/algorithms/pie.ts` for the formulas' sources. */
export function plainPie(
  problem: PlainProblem,
  state: PlainState,
  batches: readonly (readonly number[])[],
  rule: {
    readonly kind: 'rpie' | 'epie' | 'pie';
    readonly gamma: number;
    readonly alpha: number;
    readonly beta: number;
    /** Is told what move every pattern asks for, and its weights, y before x. */
    readonly asked?: (k: number, move: readonly number[], weights: readonly number[]) => void;
  },
): void {
  state.light = undefined;
  for (const batch of batches) {
    const views = batch.map((k) => {
      const view = new View(problem, k, state.probe);
      const waves = view.waves(state.object);
      const found = { view, chi: view.change(waves), fit: view.fit(waves) };
      askStray(problem, view, waves);
      return found;
    });
    if (rule.asked) askedOf(problem, state.object, views, rule.asked);
    const sums = sumsOf(problem, state.object, views, rule.kind === 'pie' ? 1 : 0);
    state.light = state.light ? state.light.map((v, i) => v + sums.light[i]) : sums.light;
    plainBeamStep(problem, state.object, state.probe[0], views);
    const strongest = (fields: readonly Plain[]) =>
      Math.sqrt(most(Float64Array.from(fields.flatMap((f) => Array.from(f.re, (_, i) => square(f, i))))));
    const [ofProbe, ofObject] = [strongest(state.probe), strongest([state.object])];
    const step = (field: Plain, sum: Plain, light: Float64Array, hold: number, brightest: number) => {
      const top = most(light);
      for (let i = 0; i < field.re.length; i++) {
        const below =
          rule.kind === 'epie'
            ? top / hold
            : rule.kind === 'pie'
              ? brightest * (light[i] + hold * top)
              : (1 - hold) * light[i] + hold * top;
        add(field, i, (rule.gamma * sum.re[i]) / below, (rule.gamma * sum.im[i]) / below);
      }
    };
    const object = clone(state.object);
    step(object, sums.object, sums.light, rule.alpha, ofProbe);
    const probe = state.probe.map(clone);
    probe.forEach((p, m) => {
      // A probe that no pattern of the batch saw stays.
      if (most(sums.objectLight[m]) > 0) step(p, sums.probe[m], sums.objectLight[m], rule.beta, ofObject);
    });
    state.object = object;
    state.probe = probe;
  }
}

/** Newton's moves of a batch from the derivatives of exit waves, damped by a tenth of the batch's mean. */
function askedOf(
  { N, width }: PlainProblem,
  object: Plain,
  views: readonly { view: View; chi: Plain[] }[],
  tell: (k: number, move: readonly number[], weights: readonly number[]) => void,
): void {
  const rows = views.map(({ view, chi }) => {
    const row = [0, 0, 0, 0, 0];
    chi.forEach((c, m) => {
      const P = view.P[m];
      for (let i = 0; i < N * N; i++) {
        const o = view.at(i, m);
        const [y, x] = [width, 1].map((step) => {
          const [a, b] = [
            (object.re[o + step] - object.re[o - step]) / 2,
            (object.im[o + step] - object.im[o - step]) / 2,
          ];
          return [a * P.re[i] - b * P.im[i], a * P.im[i] + b * P.re[i]];
        });
        const real = (p: number[], q: number[]) => p[0] * q[0] + p[1] * q[1];
        const chi2 = [c.re[i], c.im[i]];
        [real(y, y), real(x, x), real(y, x), real(y, chi2), real(x, chi2)].forEach((v, n) => {
          row[n] += v;
        });
      }
    });
    return row;
  });
  const mean = (n: number) => rows.reduce((sum, row) => sum + row[n], 0) / rows.length;
  rows.forEach(([yy, xx, yx, yc, xc], b) => {
    const [a, d] = [yy + 0.1 * mean(0), xx + 0.1 * mean(1)];
    const determinant = a * d - yx * yx;
    // An empty object has no derivatives.
    if (!(determinant > 0)) tell(views[b].view.k, [0, 0], [0, 0]);
    else tell(views[b].view.k, [(d * yc - yx * xc) / determinant, (a * xc - yx * yc) / determinant], [yy, xx]);
  });
}

/** Weighted least squares of move = B·(position − centre) + shift, axis by axis; [B_yy, B_yx, B_xy, B_xx]. */
export function plainAffineFit(
  positions: readonly (readonly number[])[],
  moves: readonly (readonly number[])[],
  weights: readonly (readonly number[])[],
): number[] {
  const centre = [0, 1].map((axis) => positions.reduce((sum, p) => sum + p[axis], 0) / positions.length);
  return [0, 1].flatMap((axis) => {
    const terms = positions.map((p) => [p[0] - centre[0], p[1] - centre[1], 1]);
    const matrix = [0, 1, 2].map((i) =>
      [0, 1, 2].map((j) => terms.reduce((sum, t, k) => sum + weights[k][axis] * t[i] * t[j], 0)),
    );
    const right = [0, 1, 2].map((i) => terms.reduce((sum, t, k) => sum + weights[k][axis] * t[i] * moves[k][axis], 0));
    return solveDense(matrix, right).slice(0, 2);
  });
}

/** Gaussian elimination. */
function solveDense(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]]);
  for (let i = 0; i < n; i++) {
    const pivot = rows
      .slice(i)
      .reduce((best, row, r) => (Math.abs(row[i]) > Math.abs(rows[best][i]) ? i + r : best), i);
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let r = 0; r < n; r++) {
      if (r === i) continue;
      const factor = rows[r][i] / rows[i][i];
      for (let c = i; c <= n; c++) rows[r][c] -= factor * rows[i][c];
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}

/** field(r) ← field(M·(r − centre) + centre): the cubic spline through all pixels, mirrored at the rims. */
export function plainWarp(
  { re, im }: Plain,
  height: number,
  width: number,
  M: readonly number[],
  centre: readonly number[],
): Plain {
  const mirrored = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i);
  const coefficients = (line: readonly number[]) => {
    const n = line.length;
    const matrix = line.map((_, i) => {
      const row = new Array<number>(n).fill(0);
      for (const [d, w] of [
        [-1, 1 / 6],
        [0, 4 / 6],
        [1, 1 / 6],
      ] as const) {
        row[mirrored(i + d, n)] += w;
      }
      return row;
    });
    return solveDense(matrix, line);
  };
  const weight = (d: number) => {
    const t = Math.abs(d);
    return t < 1 ? 2 / 3 - t * t + t ** 3 / 2 : t < 2 ? (2 - t) ** 3 / 6 : 0;
  };
  const warped = (plane: Float64Array) => {
    const rows = Array.from({ length: height }, (_, r) =>
      coefficients([...plane.subarray(r * width, (r + 1) * width)]),
    );
    const columns = Array.from({ length: width }, (_, c) => coefficients(rows.map((row) => row[c])));
    return plane.map((_, i) => {
      const [r, c] = [Math.floor(i / width) - centre[0], (i % width) - centre[1]];
      const y = Math.min(height - 1, Math.max(0, M[0] * r + M[1] * c + centre[0]));
      const x = Math.min(width - 1, Math.max(0, M[2] * r + M[3] * c + centre[1]));
      let sum = 0;
      for (let a = Math.floor(y) - 1; a <= Math.floor(y) + 2; a++) {
        for (let b = Math.floor(x) - 1; b <= Math.floor(x) + 2; b++) {
          sum += weight(y - a) * weight(x - b) * columns[mirrored(b, width)][mirrored(a, height)];
        }
      }
      return sum;
    });
  };
  return { re: warped(re), im: warped(im) };
}

/** One epoch of LSQ-ML with the illumination given. */
export function plainLsqml(
  problem: PlainProblem,
  state: PlainState,
  batches: readonly (readonly number[])[],
  { illumination, delta, step }: { readonly illumination: Float64Array; readonly delta: number; readonly step: number },
): void {
  const top = most(illumination);
  for (const batch of batches) {
    const views = batch.map((k) => {
      const view = new View(problem, k, state.probe);
      const waves = view.waves(state.object);
      const found = { view, chi: view.change(waves), fit: view.fit(waves) };
      askStray(problem, view, waves);
      return found;
    });
    const sums = sumsOf(problem, state.object, views, 0);
    for (let i = 0; i < sums.object.re.length; i++) {
      const below = Math.hypot(illumination[i], delta * top);
      sums.object.re[i] /= below;
      sums.object.im[i] /= below;
    }
    const modes = views[0].view.P.length / views[0].view.points;
    const seen = (m: number) => views.filter(({ view }) => view.first === m - (m % modes)).length;
    sums.probe.forEach((p, m) => {
      const n = seen(m) || 1;
      for (let i = 0; i < p.re.length; i++) {
        p.re[i] /= n;
        p.im[i] /= n;
      }
    });
    const rows = views.map(({ view, chi }) => {
      const row = { aa: 0, bb: 0, ab: 0, ac: 0, bc: 0 };
      chi.forEach((c, w) => {
        const { mode, dy, dx } = view.waveAt[w];
        const direction = shifted(times(sums.probe[view.first + mode], view.a), problem.N, dy, dx);
        for (let i = 0; i < c.re.length; i++) {
          const o = view.at(i, w);
          const [pr, pi] = [view.P[w].re[i], view.P[w].im[i]];
          const [ar, ai] = [
            sums.object.re[o] * pr - sums.object.im[o] * pi,
            sums.object.re[o] * pi + sums.object.im[o] * pr,
          ];
          const [br, bi] = [
            state.object.re[o] * direction.re[i] - state.object.im[o] * direction.im[i],
            state.object.re[o] * direction.im[i] + state.object.im[o] * direction.re[i],
          ];
          row.aa += ar * ar + ai * ai;
          row.bb += br * br + bi * bi;
          row.ab += ar * br + ai * bi;
          row.ac += ar * c.re[i] + ai * c.im[i];
          row.bc += br * c.re[i] + bi * c.im[i];
        }
      });
      return row;
    });
    const mean = (of: 'aa' | 'bb') => rows.reduce((sum, row) => sum + row[of], 0) / rows.length;
    const [meanA, meanB] = [mean('aa'), mean('bb')];
    const steps = rows.map(({ aa, bb, ab, ac, bc }) => {
      const [a, d] = [aa + 0.1 * meanA, bb + 0.1 * meanB];
      const determinant = a * d - ab * ab;
      return [Math.max(0, (d * ac - ab * bc) / determinant), Math.max(0, (a * bc - ab * ac) / determinant)];
    });
    const sorted = steps.map(([o]) => o).sort((a, b) => a - b);
    const cut = Math.floor(sorted.length / 10);
    const kept = sorted.slice(cut, sorted.length - cut);
    const ofObject = (step * kept.reduce((s, v) => s + v, 0)) / kept.length;
    // Each probe by the patterns that saw it.
    const ofProbe = (m: number) => {
      const own = steps.filter((_, b) => views[b].view.first === m - (m % modes));
      return (step * own.reduce((s, [, p]) => s + p, 0)) / (own.length || 1);
    };
    plainBeamStep(problem, state.object, state.probe[0], views);
    const object = clone(state.object);
    for (let i = 0; i < object.re.length; i++) {
      add(object, i, ofObject * sums.object.re[i], ofObject * sums.object.im[i]);
    }
    state.probe = state.probe.map((p, m) => {
      const probe = clone(p);
      for (let i = 0; i < probe.re.length; i++) {
        add(probe, i, ofProbe(m) * sums.probe[m].re[i], ofProbe(m) * sums.probe[m].im[i]);
      }
      return probe;
    });
    state.object = object;
  }
}

/** Σ|P|² over the patches of all patterns. */
export function plainIllumination(problem: PlainProblem, probe: readonly Plain[]): Float64Array {
  const light = new Float64Array(problem.height * problem.width);
  problem.patterns.forEach((_, k) => {
    const view = new View(problem, k, probe);
    view.P.forEach((p, w) => {
      for (let i = 0; i < p.re.length; i++) light[view.at(i, w)] += square(p, i);
    });
  });
  return light;
}

/**
 * Object and probe as they are when an epoch begins that is carried on from the one before.
 */
export function plainExtrapolation(state: PlainState, before: PlainState, beta: number): void {
  const light = state.light!;
  const top = most(light);
  const onward = (now: Plain, then: Plain, weight: (i: number) => number): Plain => ({
    re: now.re.map((v, i) => v + weight(i) * (v - then.re[i])),
    im: now.im.map((v, i) => v + weight(i) * (v - then.im[i])),
  });
  const share = (i: number) => (light[i] / top) ** 2;
  const old = state.object;
  state.object = onward(old, before.object, (i) => (beta * share(i)) / (share(i) + 0.1));
  state.probe = state.probe.map((p, m) => onward(p, before.probe[m], () => beta));
}

/** What goes on from epoch to epoch of maximum likelihood. */
export interface PlainLikelihood {
  weights?: Float64Array;
  last?: { readonly place: Float64Array; readonly gradient: Float64Array };
  readonly pairs: { readonly s: Float64Array; readonly y: Float64Array }[];
  direction?: Float64Array;
  /** What is added to E for log a, where every pattern has a beam: of one mode and no variation. */
  expected?: (logs: Float64Array) => number;
}

/**
 * One epoch of maximum likelihood: L-BFGS as the two loops of Nocedal, or conjugate gradients by second derivatives; object, then modes,
 * as real numbers. Derivatives along a line are differences of E.
 */
export function plainLikelihood(
  problem: PlainProblem,
  state: PlainState,
  memory: PlainLikelihood,
  method: 'lbfgs' | 'cg',
  likely = false,
): void {
  const { beam } = problem;
  const views = problem.patterns.map((_, k) => new View(problem, k, state.probe));
  const chis = views.map((view) => ({ view, chi: view.change(view.waves(state.object), likely) }));
  const sums = sumsOf(problem, state.object, chis, 0);
  const flat = (object: Plain, probe: readonly Plain[]) =>
    Float64Array.from([
      ...[...object.re, ...object.im],
      ...[...probe.flatMap(({ re }) => [...re]), ...probe.flatMap(({ im }) => [...im])],
    ]);
  const logs = (beam?.a ?? []).map((a) => Math.log(a));
  const place = Float64Array.from([...flat(state.object, state.probe), ...logs]);
  const fields = place.length - logs.length;
  /** E of a pattern, at the place of all. */
  const misfitOf = (values: Float64Array, k: number) => {
    const moved = unflat(values, state);
    const own = beam
      ? { ...problem, beam: { ...beam, a: [...values.slice(fields)].map((l) => Math.exp(l)) } }
      : problem;
    return new View(own, k, moved.probe).misfit(moved.object, likely);
  };
  const misfit = (values: Float64Array) =>
    problem.patterns.reduce((sum, _, k) => sum + misfitOf(values, k), memory.expected?.(values.slice(fields)) ?? 0);
  if (beam && !memory.expected) memory.expected = expectedFlux(problem, logs, misfit(place));
  const slopes = problem.patterns.slice(0, logs.length).map((_, k) => {
    const at = (h: number) => misfitOf(place.map((v, i) => v + (i === fields + k ? h : 0)), k); // biome-ignore format: one call
    return (at(1e-5) - at(-1e-5)) / 4e-5;
  });
  const mean = slopes.reduce((sum, v) => sum + v, 0) / slopes.length;
  const ofFlux = slopes.map((v, k) => {
    const at = (h: number) => memory.expected!(Float64Array.from(logs, (l, i) => l + (i === k ? h : 0)));
    return v - mean + (at(1e-4) - at(-1e-4)) / 4e-4;
  });
  const gradient = Float64Array.from([...flat(sums.object, sums.probe).map((v) => -v), ...ofFlux]);
  const modelled = views.reduce((sum, view) => sum + view.modelled(state.object), 0) / views.length;
  const light = (values: Float64Array) => values.map((v) => 1 / Math.hypot(v, 0.1 * most(values)));
  const [ofObject, ofProbe] = [light(sums.light), light(sums.objectLight[0])];
  memory.weights ??= Float64Array.from([
    ...ofObject,
    ...ofObject,
    ...state.probe.flatMap(() => [...ofProbe, ...ofProbe]),
    ...logs.map(() => 1 / modelled),
  ]);
  const weights = memory.weights;
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  /** Changes of E along directions, by differences in the waves. */
  const line = (d: Float64Array, e = d) => {
    const at = (s: number, t: number) => {
      return misfit(place.map((v, i) => v + s * d[i] + (d === e ? 0 : t * e[i])));
    };
    const h =
      1e-4 /
      Math.sqrt(
        dot(
          d.map((v, i) => v / weights[i]),
          d,
        ),
      );
    const g =
      d === e
        ? h
        : 1e-4 /
          Math.sqrt(
            dot(
              e.map((v, i) => v / weights[i]),
              e,
            ),
          );
    return d === e
      ? [(at(h, 0) - at(-h, 0)) / (2 * h), (at(h, 0) + at(-h, 0) - 2 * at(0, 0)) / h ** 2]
      : [(at(h, g) - at(h, -g) - at(-h, g) + at(-h, -g)) / (4 * h * g)];
  };
  let direction: Float64Array;
  if (method === 'lbfgs') {
    if (memory.last) {
      const { last } = memory;
      memory.pairs.push({ s: place.map((v, i) => v - last.place[i]), y: gradient.map((v, i) => v - last.gradient[i]) });
    }
    const q = gradient.slice();
    const newest = [...memory.pairs].reverse();
    const shares = newest.map(({ s, y }) => {
      const a = dot(s, q) / dot(s, y);
      q.forEach((v, i) => {
        q[i] = v - a * y[i];
      });
      return a;
    });
    const size =
      newest.length > 0
        ? dot(newest[0].s, newest[0].y) /
          dot(
            newest[0].y.map((v, i) => v * weights[i]),
            newest[0].y,
          )
        : 1;
    direction = q.map((v, i) => size * weights[i] * v);
    [...newest].reverse().forEach(({ s, y }, i) => {
      const b = shares[newest.length - 1 - i] - dot(y, direction) / dot(s, y);
      direction = direction.map((v, j) => v + b * s[j]);
    });
    direction = direction.map((v) => -v);
  } else {
    const steepest = gradient.map((v, i) => -v * weights[i]);
    const before = memory.direction;
    const share = before ? -line(steepest, before)[0] / line(before)[1] : 0;
    direction = steepest.map((v, i) => v + share * (before?.[i] ?? 0));
    memory.direction = direction;
  }
  memory.last = { place, gradient };
  const [slope, bend] = line(beam ? direction.map((v, i) => (i < fields ? v : 0)) : direction);
  if (!(bend > 0)) throw new Error('a problem for this comparison bends upwards along all of its directions');
  let step = -slope / bend;
  if (beam) {
    const trial = memory.pairs.length > 0 ? 1 : step;
    const along = 2 * dot(gradient, direction);
    const rise = misfit(place.map((v, i) => v + trial * direction[i])) - misfit(place);
    step = (-along * trial ** 2) / (2 * (rise - along * trial));
  }
  const end = place.map((v, i) => v + step * direction[i]);
  const next = unflat(end, state);
  state.object = next.object;
  state.probe = next.probe;
  beam?.a.forEach((_, k) => {
    beam.a[k] = Math.exp(end[fields + k]);
  });
}

/** What is added to E for log a: of a few patterns the slow function is half a wave along x. */
function expectedFlux({ xs, patterns }: PlainProblem, logs: readonly number[], E: number): (l: Float64Array) => number {
  const good = patterns.flatMap((p) => [...p].filter((v) => v >= 0));
  const total = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0);
  const variance = (E * total(good.map((v) => v * v))) / total(good) ** 2;
  const [least, reach] = [Math.min(...xs), Math.max(...xs) - Math.min(...xs)];
  const centred = (values: readonly number[]) => values.map((v) => v - total(values) / values.length);
  const wave = centred(xs.map((x) => Math.cos((Math.PI * (x - least)) / reach)));
  const length = Math.sqrt(total(wave.map((v) => v * v)));
  const parts = (l: readonly number[]) => {
    const slow = total(centred(l).map((v, k) => (v * wave[k]) / length));
    return [total(centred(l).map((v) => v * v)) - slow ** 2, slow ** 2];
  };
  const [rest, slow] = parts(logs);
  const flicker = rest / (logs.length - 2);
  const strength = [variance / flicker, variance / Math.max(flicker, slow)];
  return (l) => total(parts([...l]).map((v, i) => v * strength[i]));
}

/** Object and probe from one array. */
function unflat(values: Float64Array, { object, probe }: PlainState): PlainState {
  const n = object.re.length;
  const pixels = probe[0].re.length;
  const all = pixels * probe.length;
  const from = 2 * n;
  return {
    object: { re: values.slice(0, n), im: values.slice(n, from) },
    probe: probe.map((_, m) => ({
      re: values.slice(from + m * pixels, from + (m + 1) * pixels),
      im: values.slice(from + all + m * pixels, from + all + (m + 1) * pixels),
    })),
  };
}

/** One epoch of the relaxed difference map. */
export function plainDifferenceMap(
  problem: PlainProblem,
  state: PlainState,
  { beta, epsilon }: { readonly beta: number; readonly epsilon: number },
): void {
  const all = problem.patterns.map((_, k) => new View(problem, k, state.probe));
  state.waves ??= all.map((view) => view.waves(state.object));
  all.forEach((view, k) => {
    const products = view.waves(state.object);
    const reflected = products.map((q, m) => {
      const w = plain(q.re.length);
      for (let i = 0; i < q.re.length; i++) {
        add(w, i, 2 * q.re[i] - state.waves![k][m].re[i], 2 * q.im[i] - state.waves![k][m].im[i]);
      }
      return w;
    });
    const change = view.change(reflected);
    products.forEach((q, m) => {
      for (let i = 0; i < q.re.length; i++) {
        state.waves![k][m].re[i] = q.re[i] + beta * change[m].re[i];
        state.waves![k][m].im[i] = q.im[i] + beta * change[m].im[i];
      }
    });
  });
  const divided = (field: Plain, sum: Plain, light: Float64Array): Plain => {
    const top = most(light);
    const out = clone(field);
    for (let i = 0; i < out.re.length; i++) {
      if (!(light[i] > 1e-6 * top)) continue;
      const below = Math.hypot(light[i], epsilon * top);
      out.re[i] = sum.re[i] / below;
      out.im[i] = sum.im[i] / below;
    }
    return out;
  };
  const views = all.map((view, k) => ({ view, chi: state.waves![k] }));
  const forProbe = sumsOf(problem, state.object, views, 0);
  state.probe = state.probe.map((p, m) => divided(p, forProbe.probe[m], forProbe.objectLight[m]));
  const renewed = all.map((_, k) => ({ view: new View(problem, k, state.probe), chi: state.waves![k] }));
  const forObject = sumsOf(problem, state.object, renewed, 0);
  state.object = divided(state.object, forObject.object, forObject.light);
}
