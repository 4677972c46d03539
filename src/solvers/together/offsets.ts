/**
 * How far scans of one object lie apart, followed while it is solved for. O(r)·P(r − x) is the same when a probe moves by d and all positions
 * of its scan by −d, so that what is wrong of an offset goes into the probe. It is taken out again: after an epoch the light of every probe
 * lies as far from where it was in the probe that the run began with as that of the first scan does, and the positions have the difference.
 */
import type { ComplexTensor, NumericArray } from '../../core/tensor.js';
import { AnyFft2, signedFrequency } from '../../physics/fourier.js';
import { modeIntensity } from '../../physics/probe.js';
import { LARGEST_WANDER_PX } from '../scan.js';
import type { OffsetState } from '../updates.js';

/** Light below this share of the brightest pixel's has no part in the middle of a probe. */
const DIM = 0.1;

/** Moves below this are not worth a shift, pixels. */
const LEAST_MOVE_PX = 0.01;

type Parts = Pick<ComplexTensor, 're' | 'im'> | { readonly re: Floats; readonly im: Floats };
type Floats = Float32Array<ArrayBufferLike>;

/** [y, x] of the middle of the light of all modes, pixels; of what exceeds a tenth of the brightest. */
export function centreOf({ re, im }: Parts, N: number): readonly [number, number] {
  const light = modeIntensity({ re, im }, N * N);
  const least = DIM * light.reduce((most, v) => Math.max(most, v), 0);
  let [sum, y, x] = [0, 0, 0];
  light.forEach((v, i) => {
    const above = v - least;
    if (!(above > 0)) return;
    sum += above;
    y += above * Math.floor(i / N);
    x += above * (i % N);
  });
  return sum > 0 ? [y / sum, x / sum] : [N / 2, N / 2];
}

/** f(r) ← f(r − d) of fields of N×N, one after the other, round the rims. */
export function shiftFields(
  planes: readonly (readonly [Floats, Floats])[],
  N: number,
  [dy, dx]: readonly [number, number],
): void {
  const fft = new AnyFft2(N, N);
  const ramp = (d: number) =>
    Array.from({ length: N }, (_, k) => {
      const angle = (-2 * Math.PI * signedFrequency(k, N) * d) / N;
      return [Math.cos(angle), 2 * k === N ? 0 : Math.sin(angle)] as const;
    });
  const [rows, columns] = [ramp(dy), ramp(dx)];
  for (const [fieldRe, fieldIm] of planes) {
    for (let from = 0; from < fieldRe.length; from += N * N) {
      const re = Float64Array.from(fieldRe.subarray(from, from + N * N));
      const im = Float64Array.from(fieldIm.subarray(from, from + N * N));
      fft.forward(re, im);
      for (let i = 0; i < N * N; i++) {
        const [a, b] = rows[Math.floor(i / N)];
        const [c, d] = columns[i % N];
        const [wr, wi] = [a * c - b * d, a * d + b * c];
        const [x, y] = [re[i], im[i]];
        re[i] = x * wr - y * wi;
        im[i] = x * wi + y * wr;
      }
      fft.inverse(re, im);
      fieldRe.set(re, from);
      fieldIm.set(im, from);
    }
  }
}

/** The probe of one scan, and what goes along with it. */
export interface MovedProbe {
  readonly probe: { readonly re: Floats; readonly im: Floats };
  /** Pairs of planes that lie as the probe does. */
  readonly carried: readonly (readonly [Floats, Floats])[];
}

/** The positions of several scans. */
export interface ScanPositions {
  /** Adds [dy, dx] to those of a scan. */
  moveScan(s: number, by: readonly [number, number]): void;
  /** What was added to them in all, since the run began. */
  measureScan(s: number, all: readonly [number, number]): void;
}

/** Offsets of the scans of one object. */
export class OffsetCorrection {
  /** (scans, 2) [y, x] as the run began. */
  readonly #placed: Float64Array;
  /** (scans, 2) what came to them since. */
  readonly #moved: Float64Array;
  /** (scans, 2) the middle of each probe that the run began with. */
  readonly #centres: Float64Array;

  constructor(
    placed: readonly (readonly [number, number])[],
    private readonly N: number,
    private readonly positions: ScanPositions,
  ) {
    this.#placed = Float64Array.from(placed.flat());
    this.#moved = new Float64Array(2 * placed.length);
    this.#centres = new Float64Array(2 * placed.length);
  }

  /** The probes are those that the run begins with. */
  begin(probes: readonly MovedProbe['probe'][]): void {
    probes.forEach((probe, s) => {
      this.#centres.set(centreOf(probe, this.N), 2 * s);
    });
  }

  /** After an epoch: what went into the probes goes into the positions. */
  follow(probes: readonly MovedProbe[]): void {
    const first = this.#drift(0, probes[0].probe);
    probes.forEach(({ probe, carried }, s) => {
      if (s === 0) return;
      const own = this.#drift(s, probe);
      const before = this.#moved.slice(2 * s, 2 * s + 2);
      const wanted = [0, 1].map((axis) => before[axis] + own[axis] - first[axis]);
      const held = Math.min(1, LARGEST_WANDER_PX / Math.max(1e-12, Math.hypot(wanted[0], wanted[1])));
      const by = [held * wanted[0] - before[0], held * wanted[1] - before[1]] as const;
      if (Math.hypot(...by) < LEAST_MOVE_PX) return;
      shiftFields([[probe.re, probe.im], ...carried], this.N, [-by[0], -by[1]]);
      this.#moved.set([before[0] + by[0], before[1] + by[1]], 2 * s);
      this.positions.moveScan(s, by);
      this.#measure(s);
    });
  }

  /** [y, x] of each scan. */
  found(): (readonly [number, number])[] {
    return Array.from(
      { length: this.#placed.length / 2 },
      (_, s) => [this.#placed[2 * s] + this.#moved[2 * s], this.#placed[2 * s + 1] + this.#moved[2 * s + 1]] as const,
    );
  }

  /** All of it, copied. */
  state(): OffsetState {
    return { placed: this.#placed.slice(), moved: this.#moved.slice(), centres: this.#centres.slice() };
  }

  /** The arrays that a run goes on from. */
  saved(): Record<string, NumericArray> {
    return { placed: this.#placed, moved: this.#moved, centres: this.#centres };
  }

  /** Positions themselves are put back by the run; what they are measured from goes along. */
  restore({ placed, moved, centres }: Readonly<Record<string, NumericArray>>): void {
    this.#placed.set(placed);
    this.#centres.set(centres);
    this.#moved.set(moved);
    for (let s = 0; 2 * s < moved.length; s++) this.#measure(s);
  }

  #measure(s: number): void {
    this.positions.measureScan(s, [this.#moved[2 * s], this.#moved[2 * s + 1]]);
  }

  #drift(s: number, probe: MovedProbe['probe']): readonly [number, number] {
    const [y, x] = centreOf(probe, this.N);
    return [y - this.#centres[2 * s], x - this.#centres[2 * s + 1]];
  }
}

/** Where {@link OffsetCorrection.saved} keeps the offsets that a run was placed by; undefined in states of other runs. */
export function placedIn(
  arrays: Readonly<Record<string, NumericArray | undefined>>,
): (readonly [number, number])[] | undefined {
  const placed = arrays[`${OFFSETS_SAVED}placed`];
  return placed && pairsOf(placed);
}

/** (scans, 2) as [y, x] of each. */
export const pairsOf = (values: ArrayLike<number>): (readonly [number, number])[] =>
  Array.from({ length: values.length / 2 }, (_, s) => [values[2 * s], values[2 * s + 1]] as const);

/** Before the names of its arrays in a saved state. */
export const OFFSETS_SAVED = 'offsets_';
