/**
 * Batches cut into the runs of a program, and what goes into it and comes out of it: patches of the object, planes of the probe, kernels of
 * shifts.
 */
import type { Tensors } from '../../backends/backend.js';
import type { Tensor } from '../../core/tensor.js';
import type { Program } from '../../graph/program.js';
import { signedFrequency } from '../../physics/fourier.js';
import type { FieldMemory, FieldSizes } from '../fieldMemory.js';
import { type Direction, patternAt, pointsOf, type SolverScan } from '../wavePasses.js';
import { directionNames } from './bendsProgram.js';

/** A part of a batch that one run takes. */
export interface Run {
  /** Its number in the pass. */
  readonly index: number;
  readonly patterns: Int32Array;
  /** Patterns that the program takes; missing ones are filled up with nothing. */
  readonly size: number;
  /** Points of the way of each pattern. */
  readonly points: number;
  /** Where the patches begin in the object, elements: those of all points, pattern by pattern. */
  readonly at: Int32Array;
  /** The same as rows and columns, (size·points); far outside where the program takes more patterns. */
  readonly rows: Float32Array;
  readonly columns: Float32Array;
  /** Kernels of the shifts, (size·points, N). */
  readonly shiftY: Float32Array;
  readonly shiftX: Float32Array;
  /** Ramps of the same shifts, re and im of rows, then of columns, (size·points, N) each; empty where no detector is near. */
  readonly ramps: readonly Float32Array[];
  /** (size,) and (size, coherent): the beams, where they differ; flux divided by the root of the points. */
  readonly flux: Float32Array;
  readonly weights: Float32Array;
  /** (size, probes) 1 at the probe that a pattern saw. */
  readonly chosen: Float32Array;
}

/** Runs of `size` patterns, at the positions as they are. */
export function runsOf(
  batch: Int32Array,
  size: number,
  scan: SolverScan,
  { width, probes = 1 }: Pick<FieldSizes, 'width' | 'probes'>,
): Run[] {
  const { N, count, beam, ways, probeOf, propagation } = scan;
  const near = propagation?.detector !== undefined;
  const points = ways?.points ?? 1;
  const coherent = (beam?.weights.length ?? 0) / count;
  return Array.from({ length: Math.ceil(batch.length / size) }, (_, index) => {
    const patterns = batch.slice(index * size, (index + 1) * size);
    const at = new Int32Array(patterns.length * points);
    const patches = size * points;
    const [rows, columns] = [new Float32Array(patches).fill(-2 * N), new Float32Array(patches).fill(-2 * N)];
    const [shiftY, shiftX] = [new Float32Array(patches * N), new Float32Array(patches * N)];
    const ramps = Array.from({ length: near ? 4 : 0 }, () => new Float32Array(patches * N));
    const [flux, weights] = [new Float32Array(size), new Float32Array(size * coherent)];
    const chosen = new Float32Array(size * probes);
    patterns.forEach((k, i) => {
      pointsOf(scan, k, width).forEach((point, p) => {
        const j = i * points + p;
        [at[j], rows[j], columns[j]] = [point.at, point.row, point.column];
        writeShiftKernel(point.y, shiftY.subarray(j * N, (j + 1) * N));
        writeShiftKernel(point.x, shiftX.subarray(j * N, (j + 1) * N));
        if (!near) return;
        writeRamp(point.y, j * N, ramps[0], ramps[1], N);
        writeRamp(point.x, j * N, ramps[2], ramps[3], N);
      });
      chosen[i * probes + (probeOf?.[k] ?? 0)] = 1;
      flux[i] = (beam?.flux[k] ?? 1) / Math.sqrt(points);
      if (beam) weights.set(beam.weights.subarray(k * coherent, (k + 1) * coherent), i * coherent);
    });
    return { index, patterns, size, points, at, rows, columns, shiftY, shiftX, ramps, flux, weights, chosen };
  });
}

type Fill = (run: Run, names: readonly string[]) => readonly Float32Array[];

/** Gathers what a program is fed, into arrays that are used again. */
export class Feeds {
  readonly #buffers = new Map<string, Float32Array>();
  /** What programs of curvatures go along. */
  along: readonly Direction[] = [];

  constructor(
    private readonly scan: SolverScan,
    private readonly memory: FieldMemory,
    private readonly waves: Float32Array<SharedArrayBuffer>,
  ) {}

  /** Everything that the program declares and that belongs to patterns. */
  of(program: Program, run: Run): Tensors {
    const feeds: Record<string, Tensor> = {};
    for (const [names, fill] of this.#fills()) {
      if (!program.inputs.has(names[0])) continue;
      fill(run, names).forEach((data, i) => {
        feeds[names[i]] = { data, shape: program.inputs.get(names[i])!.shape };
      });
    }
    return feeds;
  }

  /** A probe, or its change, as programs take it. */
  probe({ re, im }: FieldMemory['probe']): Tensors {
    const { N, modes, probes = 1 } = this.memory.sizes;
    const all = probes * modes;
    const turned = (plane: typeof re) => ({ data: turnedPlanes(plane, N, all), shape: [N, all * N] });
    return { probe_re: turned(re), probe_im: turned(im) };
  }

  /** The probes of the directions. */
  directions(): Tensors {
    const all = this.along.map(({ probe }, d) => {
      const { probe_re, probe_im } = this.probe(probe);
      const name = directionNames(d).probe;
      return { [`${name}_re`]: probe_re, [`${name}_im`]: probe_im };
    });
    return Object.assign({}, ...all) as Tensors;
  }

  /** The modes by which the beam varies, and their lights. */
  variation(): Tensors {
    const { N, coherent = 0 } = this.memory.sizes;
    if (coherent === 0) return {};
    const { re, im } = this.memory.variation;
    const turned = (plane: typeof re) => ({ data: turnedPlanes(plane, N, coherent), shape: [N, coherent * N] });
    const light = Float32Array.from(re, (v, i) => v * v + im[i] * im[i]);
    return {
      ...{ variation_re: turned(re), variation_im: turned(im) },
      variation_light: { data: light, shape: [coherent, N, N] },
    };
  }

  #fills(): readonly (readonly [names: readonly string[], fill: Fill])[] {
    const { object, sums, sizes } = this.memory;
    const { N, width, height } = sizes;
    const from = Math.floor(this.memory.slices / 2) * height * width;
    const middle = (plane: Floats) => plane.subarray(from, from + height * width);
    return [
      [['shift_y', 'shift_x'], ({ shiftY, shiftX }) => [shiftY, shiftX]],
      [['ramp_y_re', 'ramp_y_im', 'ramp_x_re', 'ramp_x_im'], ({ ramps }) => ramps],
      [['flux'], ({ flux }) => [flux]],
      [['weights'], ({ weights }) => [weights]],
      [['chosen'], ({ chosen }) => [chosen]],
      [['rows', 'columns'], ({ rows, columns }) => [rows, columns]],
      [['object_re', 'object_im'], this.#patches([object.re, object.im], N, 0)],
      [['direction_re', 'direction_im'], this.#patches([sums.object.re, sums.object.im], N, 0)],
      ...this.along.map(({ object: { re, im } }, d) => {
        const name = directionNames(d).object;
        return [[`${name}_re`, `${name}_im`], this.#patches([re, im], N, 0)] as const;
      }),
      [
        ['surroundings_re', 'surroundings_im'],
        this.#patches([middle(object.re), middle(object.im)], N + 2, width + 1, 1),
      ],
      [['amplitudes'], (run, names) => this.#amplitudes(run, names)],
      [['background'], (run, names) => this.#background(run, names)],
      [['background_hold'], () => [this.memory.background.hold.data]],
      [['background_damp'], () => [this.memory.background.damp.data]],
      [['waves_re', 'waves_im'], (run, names) => this.#storedWaves(run, names)],
    ];
  }

  /** Patches of every slice that begin `before` elements earlier. */
  #patches(
    planes: readonly Float32Array<ArrayBufferLike>[],
    side: number,
    before: number,
    slices = this.memory.slices,
  ): Fill {
    const { width, height } = this.memory.sizes;
    const area = side * side;
    return (run, names) =>
      planes.map((plane, p) =>
        this.#filled(run, names[p], run.points * slices * area, 0, (i, patches) => {
          for (let q = 0; q < run.points * slices; q++) {
            const [point, s] = [Math.floor(q / slices), q % slices];
            const at = run.at[i * run.points + point] - before + s * height * width;
            gatherPatch(plane, at, width, side, patches.subarray(q * area, (q + 1) * area));
          }
        }),
      );
  }

  /** Patterns that fill up have bad pixels only, so that nothing changes in them. */
  #amplitudes(run: Run, [name]: readonly string[]): readonly Float32Array[] {
    const area = this.scan.N ** 2;
    return [this.#filled(run, name, area, -1, (i, out) => out.set(patternAt(this.scan, run.patterns[i])))];
  }

  /** B + Σ_l g_kl·φ_l. */
  #background(run: Run, [name]: readonly string[]): readonly Float32Array[] {
    const { N, background: count = 0 } = this.memory.sizes;
    const area = N * N;
    const { pixels, terms } = this.memory.background;
    const { weights } = this.scan.background!;
    return [
      this.#filled(run, name, area, 0, (i, out) => {
        out.set(pixels.data);
        for (let l = 0; l < count; l++) {
          const weight = weights[run.patterns[i] * count + l];
          if (weight > 0) for (let q = 0; q < area; q++) out[q] += weight * terms.data[l * area + q];
        }
      }),
    ];
  }

  #storedWaves(run: Run, [nameRe, nameIm]: readonly string[]): readonly Float32Array[] {
    const { N, modes } = this.memory.sizes;
    const [pixels, { points }] = [modes * N * N, run];
    const im = this.#filled(run, nameIm, points * pixels, 0, () => {});
    const re = this.#filled(run, nameRe, points * pixels, 0, (i, out) => {
      for (let p = 0; p < points; p++) {
        const k = run.patterns[i] * points + p;
        const [from, to] = [p * pixels, (p + 1) * pixels];
        const stored = this.waves.subarray(k * 2 * pixels, (k + 1) * 2 * pixels);
        loadWaves(
          stored,
          N,
          modes,
          out.subarray(from, to),
          im.subarray(i * points * pixels + from, i * points * pixels + to),
        );
      }
    });
    return [re, im];
  }

  /** Written for each pattern, `rest` where there is none. Runs take turns: one is gathered while another is at work. */
  #filled(
    run: Run,
    name: string,
    length: number,
    rest: number,
    write: (i: number, out: Float32Array) => void,
  ): Float32Array {
    const key = `${name} ${run.size} ${run.index % 2}`;
    const buffer = this.#buffers.get(key) ?? new Float32Array(run.size * length);
    this.#buffers.set(key, buffer);
    for (let i = 0; i < run.patterns.length; i++) write(i, buffer.subarray(i * length, (i + 1) * length));
    return buffer.fill(rest, run.patterns.length * length);
  }
}

type Floats = Float32Array<ArrayBufferLike>;

/**
 * The kernel of a shift by `distance` pixels in Fourier space, t(j) = Σ_k e^{2πik(j − distance)/N}/N with the Nyquist frequency's real
 * part, as the host has it: sin πx/(N tan(πx/N)), for odd N sin πx/(N sin(πx/N)), with x = j − distance.
 */
function writeShiftKernel(distance: number, out: Float32Array): void {
  const N = out.length;
  const below = N % 2 === 0 ? Math.tan : Math.sin;
  for (let j = 0; j < N; j++) {
    const x = j - distance;
    const divisor = N * below((Math.PI * x) / N);
    out[j] = Math.abs(divisor) < 1e-12 ? 1 : Math.sin(Math.PI * x) / divisor;
  }
}

/** e^{−2πi·k·distance/N} at `at`, the Nyquist frequency's real part, as the host has it. */
function writeRamp(distance: number, at: number, re: Float32Array, im: Float32Array, N: number): void {
  for (let k = 0; k < N; k++) {
    const angle = (-2 * Math.PI * signedFrequency(k, N) * distance) / N;
    re[at + k] = Math.cos(angle);
    im[at + k] = 2 * k === N ? 0 : Math.sin(angle);
  }
}

/** Copies the `side`×`side` patch that begins at element `at` of a plane with rows of `width`. */
function gatherPatch(plane: Floats, at: number, width: number, side: number, out: Float32Array): void {
  for (let r = 0; r < side; r++) out.set(plane.subarray(at + r * width, at + r * width + side), r * side);
}

/** Adds a patch. */
export function scatterPatch(patch: Float32Array, plane: Floats, at: number, width: number, side: number): void {
  for (let r = 0, i = 0; r < side; r++) {
    const row = at + r * width;
    for (let c = 0; c < side; c++, i++) plane[row + c] += patch[i];
  }
}

/** (modes, N, N) planes as programs take the probe: [N, modes, N], both indices turned round. */
function turnedPlanes(plane: Floats, N: number, modes: number): Float32Array {
  const out = new Float32Array(plane.length);
  eachTurned(N, modes, (ours, theirs) => {
    out[theirs] = plane[ours];
  });
  return out;
}

/** Adds what {@link turnedPlanes} would give. */
export function addTurnedPlanes(turned: Float32Array, plane: Floats, N: number, modes: number): void {
  eachTurned(N, modes, (ours, theirs) => {
    plane[ours] += turned[theirs];
  });
}

function eachTurned(N: number, modes: number, visit: (ours: number, theirs: number) => void): void {
  for (let m = 0; m < modes; m++) {
    for (let r = 0; r < N; r++) {
      const [ours, theirs] = [(m * N + r) * N, (((N - r) % N) * modes + m) * N];
      for (let c = 0; c < N; c++) visit(ours + c, theirs + ((N - c) % N));
    }
  }
}

/** Waves of a pattern as they are stored, (modes, 2, N, N), from or to pairs of [N, modes, N]. */
function loadWaves(stored: Floats, N: number, modes: number, re: Float32Array, im: Float32Array): void {
  eachRow(N, modes, (ours, theirs, imaginary) => {
    (imaginary ? im : re).set(stored.subarray(ours, ours + N), theirs);
  });
}

/** The way back. */
export function storeWaves(re: Float32Array, im: Float32Array, N: number, modes: number, stored: Floats): void {
  eachRow(N, modes, (ours, theirs, imaginary) => {
    stored.set((imaginary ? im : re).subarray(theirs, theirs + N), ours);
  });
}

function eachRow(N: number, modes: number, visit: (ours: number, theirs: number, imaginary: boolean) => void): void {
  for (let m = 0; m < modes; m++) {
    for (const part of [0, 1]) {
      for (let r = 0; r < N; r++) visit(((2 * m + part) * N + r) * N, (r * modes + m) * N, part === 1);
    }
  }
}
