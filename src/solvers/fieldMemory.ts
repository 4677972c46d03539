/**
 * The fields of a solver in one shared memory: object, probe, and the sums that passes make; with the arithmetic on whole planes.
 *
 * @example
 * const memory = new FieldMemory({ N: 64, modes: 1, height: 200, width: 220 });
 * memory.object.re.fill(1);
 * memory.divide(memory.sums.object, memory.sums.illumination, { a: 0.5, b: 0.5 * most }, 1, memory.object);
 */
import { PtychoError } from '../core/errors.js';
import {
  blockBytes,
  fftScratchBytes,
  fitsBlocks,
  type Kernels,
  loadKernels,
  MOST_PAGES,
  PAGE_BYTES,
  planBytes,
  sharedMemory,
  startKernels,
} from './host/kernels.js';
import {
  collide,
  type PlaneStep,
  type Range,
  rangeSteps,
  runSteps,
  STEPS_AT_ONCE,
  stepPixels,
} from './host/planeSteps.js';

/** A real plane and where it is. */
export interface Plane {
  readonly data: Float32Array<ArrayBufferLike>;
  /** Its address in bytes. */
  readonly at: number;
}

/** A complex field: two planes of the same length. */
export interface Planes {
  readonly re: Float32Array<ArrayBufferLike>;
  readonly im: Float32Array<ArrayBufferLike>;
  readonly reAt: number;
  readonly imAt: number;
}

/** Sizes of the fields. */
export interface FieldSizes {
  readonly N: number;
  readonly modes: number;
  /** Probes, of `modes` modes each; 1. */
  readonly probes?: number;
  /** Coherent modes by which the first one varies; none where left out. */
  readonly coherent?: number;
  /** Slices of the object, one behind the other; 1 where left out. */
  readonly slices?: number;
  /** Smooth terms of the background of every pattern, see `Background`; left out: there is no background at all. */
  readonly background?: number;
  /** Points of the way of each pattern, see `ScanWays`; 1. */
  readonly points?: number;
  /** Of the object array. */
  readonly height: number;
  readonly width: number;
}

/** (N, N) what every pattern has of a background, what holds its weights back, what holds waves back, and (terms, N, N) what patterns may have more or less of. */
export interface BackgroundPlanes {
  readonly pixels: Plane;
  readonly hold: Plane;
  readonly damp: Plane;
  readonly terms: Plane;
}

/** What passes add up; see `PassRequest`. */
export interface FieldSums {
  readonly object: Planes;
  readonly illumination: Plane;
  readonly probe: Planes;
  /** (probes, N, N) */
  readonly objectIntensity: Plane;
  /** (coherent, N, N) */
  readonly variation: Planes;
  /** (N, N) excess and weight of the background, empty where there is none. */
  readonly background: Planes;
}

export class FieldMemory {
  readonly sizes: FieldSizes;
  readonly wasm = sharedMemory();
  readonly module = loadKernels();
  readonly kernels: Kernels;
  readonly object: Planes;
  /** (probes, modes, N, N) */
  readonly probe: Planes;
  /** (coherent, N, N) U; see `VaryingBeam`. */
  readonly variation: Planes;
  /** See `Background`. */
  readonly background: BackgroundPlanes;
  readonly sums: FieldSums;
  #next = PAGE_BYTES;
  #shared: ((steps: readonly PlaneStep[]) => number) | undefined;
  #gathered: PlaneStep[] | undefined;

  /** @throws PtychoError BACKEND_MISSING, DATASET_VALUE for fields that no memory holds */
  constructor(sizes: FieldSizes) {
    this.sizes = sizes;
    this.kernels = startKernels(this.module, this.wasm);
    this.object = this.planes(this.objectPixels);
    this.probe = this.planes(this.probePixels);
    this.variation = this.planes(this.variationPixels);
    this.background = {
      pixels: this.plane(this.backgroundPixels),
      hold: this.plane(this.backgroundPixels),
      damp: this.plane(this.backgroundPixels),
      terms: this.plane((sizes.background ?? 0) * sizes.N ** 2),
    };
    this.sums = this.sumPlanes();
  }

  get backgroundPixels(): number {
    return this.sizes.background === undefined ? 0 : this.sizes.N ** 2;
  }

  /** Of all slices. */
  get objectPixels(): number {
    return this.slices * this.sizes.height * this.sizes.width;
  }

  /** The object's first slice: the whole of a thin one. */
  get firstSlice(): Planes {
    const { re, im, reAt, imAt } = this.object;
    const pixels = this.sizes.height * this.sizes.width;
    return { re: re.subarray(0, pixels), im: im.subarray(0, pixels), reAt, imAt };
  }

  get slices(): number {
    return this.sizes.slices ?? 1;
  }

  get probePixels(): number {
    return (this.sizes.probes ?? 1) * this.sizes.modes * this.sizes.N ** 2;
  }

  get variationPixels(): number {
    return (this.sizes.coherent ?? 0) * this.sizes.N ** 2;
  }

  /**
   * Bytes at an address that no vector load straddles.
   * @throws PtychoError DATASET_VALUE beyond 4 GiB
   */
  take(bytes: number): number {
    const at = this.#next;
    const end = at + Math.ceil(bytes / 64) * 64;
    const missing = Math.ceil((end - this.wasm.buffer.byteLength) / PAGE_BYTES);
    if (end > MOST_PAGES * PAGE_BYTES) {
      throw new PtychoError(
        'DATASET_VALUE',
        `The object of ${this.sizes.height}×${this.sizes.width} pixels with ${this.sizes.modes} probe modes needs more than 4 GiB of working memory; solve a part of the scan (n_subsample), crop the patterns, or take a smaller batch_size.`,
        { bytes: end },
      );
    }
    if (missing > 0) this.wasm.grow(missing);
    this.#next = end;
    return at;
  }

  plane(length: number): Plane {
    const at = this.take(4 * length);
    return { data: new Float32Array(this.wasm.buffer, at, length), at };
  }

  /** One real and one imaginary plane, one after the other without a gap where `length` is a multiple of 16. */
  planes(length: number): Planes {
    const [re, im] = [this.plane(length), this.plane(length)];
    return { re: re.data, im: im.data, reAt: re.at, imAt: im.at };
  }

  /** Another set of sums, for another thread. */
  sumPlanes(): FieldSums {
    return {
      object: this.planes(this.objectPixels),
      illumination: this.plane(this.objectPixels),
      probe: this.planes(this.probePixels),
      objectIntensity: this.plane((this.sizes.probes ?? 1) * this.sizes.N ** 2),
      variation: this.planes(this.variationPixels),
      background: this.planes(this.backgroundPixels),
    };
  }

  /** Lets others take part in arithmetic on whole planes; undefined: no longer. @param run answers as `runSteps` does of all parts */
  shareSteps(run: ((steps: readonly PlaneStep[]) => number) | undefined): void {
    this.#shared = run;
  }

  /** The largest value of a plane that is nowhere negative. */
  largest({ at, data }: Plane): number {
    return this.#run([['largest', at, data.length]]);
  }

  /**
   * step ← gain·step/(a·denominator + b), and field += step where a field is given. The denominator may be shorter: it then
   * belongs to each of several fields, one after the other (modes).
   */
  divide(
    step: Planes,
    denominator: Plane,
    { a, b }: { readonly a: number; readonly b: number },
    gain: number,
    field?: Planes,
  ): void {
    const { length } = denominator.data;
    for (let from = 0; from < step.re.length; from += length) {
      const [re, im] = [step.reAt + 4 * from, step.imAt + 4 * from];
      const [fieldRe, fieldIm] = field ? [field.reAt + 4 * from, field.imAt + 4 * from] : [0, 0];
      this.#run([['divideStep', re, im, denominator.at, a, b, gain, fieldRe, fieldIm, length]]);
    }
  }

  /** step ← step/√(denominator² + b²). */
  precondition(step: Planes, denominator: Plane, b: number): void {
    this.#run([['divideByRoot', step.reAt, step.imAt, denominator.at, b, step.re.length]]);
  }

  /** field += gain·step. */
  add(step: Planes, gain: number, field: Planes): void {
    this.#run([
      ['addScaled', step.reAt, gain, field.reAt, field.re.length],
      ['addScaled', step.imAt, gain, field.imAt, field.im.length],
    ]);
  }

  /** field ← factor·field. */
  scale(field: Planes, factor: number): void {
    this.add(field, factor - 1, field);
  }

  /** sum += part. */
  addTo(part: Plane, sum: Plane): void {
    this.#run([['addPlane', part.at, sum.at, sum.data.length]]);
  }

  /** total += part. */
  addPlanes(part: Planes, total: Planes): void {
    this.#run([
      ['addPlane', part.reAt, total.reAt, total.re.length],
      ['addPlane', part.imAt, total.imAt, total.im.length],
    ]);
  }

  /**
   * total += each of the parts.
   * @param rows of the object that the total, and then each part, holds something in: elsewhere their sums of the object may be anything
   */
  addSums(
    parts: readonly FieldSums[],
    total: FieldSums,
    what: { readonly object: boolean; readonly probe: boolean; readonly background?: boolean },
    rows: readonly Range[],
  ): void {
    this.#run([
      ...(what.object ? this.#objectSums(parts, total, rows) : []),
      ...parts.flatMap((part): PlaneStep[] => [
        ...(what.probe ? sumSteps([part.probe, total.probe], [part.objectIntensity, total.objectIntensity]) : []),
        ...(what.background ? sumSteps([part.background, total.background]) : []),
      ]),
    ]);
  }

  #objectSums(parts: readonly FieldSums[], total: FieldSums, rows: readonly Range[]): PlaneStep[] {
    const { height, width } = this.sizes;
    const ranges = rows.map(({ from, end }) => ({ from: width * from, end: width * end }));
    const planesOf = ({ object, illumination }: FieldSums) => [object.reAt, object.imAt, illumination.at];
    const [to, from] = [planesOf(total), parts.map(planesOf)];
    return Array.from({ length: this.slices }, (_, s) => 4 * s * height * width).flatMap((slice) =>
      to.flatMap((at, plane) =>
        rangeSteps(
          { at: at + slice, range: ranges[0] },
          from.map((planes, t) => ({ at: planes[plane] + slice, range: ranges[t + 1] })),
          height * width,
        ),
      ),
    );
  }

  /**
   * Lets what `work` asks of this memory be done with fewer questions to other threads: it may neither ask for a {@link largest} value nor look
   * into planes. Steps go together but for those that touch the same memory by other parts.
   */
  together(work: () => void): void {
    const steps: PlaneStep[] = [];
    this.#gathered = steps;
    try {
      work();
    } finally {
      this.#gathered = undefined;
    }
    let now: PlaneStep[] = [];
    for (const step of steps) {
      if (now.some((other) => collide(other, step))) {
        this.#run(now);
        now = [];
      }
      now.push(step);
    }
    this.#run(now);
  }

  #run(steps: readonly PlaneStep[]): number {
    if (this.#gathered) {
      this.#gathered.push(...steps);
      return 0;
    }
    // Steps longer than a question holds are asked in turn; each thread goes through them in the same order.
    if (!this.#shared || stepPixels(steps) < WORTH_SHARING) return runSteps(this.kernels, steps, { part: 0, of: 1 });
    let most = 0;
    for (let i = 0; i < steps.length; i += STEPS_AT_ONCE) {
      most = Math.max(most, this.#shared(steps.slice(i, i + STEPS_AT_ONCE)));
    }
    return most;
  }
}

/**
 * Pixels from which other threads take part. To ask them takes as long as some ten thousand pixels, and planes have to come from the caches of
 * other cores: below this, two threads are no faster than one.
 */
const WORTH_SHARING = 1 << 18;

function sumSteps(planes: readonly [Planes, Planes], plane?: readonly [Plane, Plane]): PlaneStep[] {
  const [part, total] = planes;
  return [
    ['addPlane', part.reAt, total.reAt, total.re.length],
    ['addPlane', part.imAt, total.imAt, total.im.length],
    ...(plane ? [['addPlane', plane[0].at, plane[1].at, plane[1].data.length] as const] : []),
  ];
}

/** Addresses of a complex field in the shared memory, as they go from thread to thread. */
export interface PlanesAt {
  readonly re: number;
  readonly im: number;
}

export interface SumsAt {
  readonly object: PlanesAt;
  readonly illumination: number;
  readonly probe: PlanesAt;
  readonly objectIntensity: number;
  readonly variation: PlanesAt;
  readonly background: PlanesAt;
}

/** The fields that all threads read. */
export interface FieldAddresses {
  readonly object: PlanesAt;
  readonly probe: PlanesAt;
  readonly variation: PlanesAt;
  readonly background: {
    readonly pixels: number;
    readonly hold: number;
    readonly damp: number;
    readonly terms: number;
  };
  readonly sums: SumsAt;
}

/** What belongs to one thread. */
export interface Scratch {
  readonly plan: number;
  readonly fft: number;
  /** (points, modes) fields between the halves of a transform. */
  readonly blocks: number;
  /** (points, 4, N) */
  readonly ramps: number;
  /** Those that bring a wave back to a near detector. */
  readonly detectorRamps: number;
  readonly pattern: number;
  readonly model: number;
  /** Two rows of 8 float64. */
  readonly sums: number;
  /** Exit waves of every slice, and what comes into it (the shifted probe, first), of `room` patterns: (room, points, slices, modes, 2, N, N). */
  readonly waves: number;
  readonly shifted: number;
  /** (probes, modes, 2, N, N) each. */
  readonly spectra: number;
  readonly probeSpectra: number;
  /** (points, modes, 2, N, N) each. */
  readonly direction: number;
  readonly stored: number;
  readonly projected: number;
  /** (coherent, 2, N, N) each. */
  readonly variationSpectra: number;
  readonly variationSums: number;
  /** Spectra of δP of `room` patterns, (room, points, 2, N, N). */
  readonly residues: number;
  /** (2, N, N) each. */
  readonly mixed: number;
  readonly product: number;
  /** (N, N) the background of a pattern, where there is one. */
  readonly stray: number;
  /** Two waves that change as the fields do, and one beside them: (3, 2, N, N). */
  readonly tangents: number;
  /** Spectra of the probes of two directions, and the second one's shifted: (2·probes + points, modes, 2, N, N), where curvatures are asked. */
  readonly directions: number;
  /** Where this thread adds. */
  readonly fields: { readonly sums: SumsAt };
}

export const planesAt = ({ reAt, imAt }: Planes): PlanesAt => ({ re: reAt, im: imAt });

const sumsAt = (sums: FieldSums): SumsAt => ({
  object: planesAt(sums.object),
  illumination: sums.illumination.at,
  probe: planesAt(sums.probe),
  objectIntensity: sums.objectIntensity.at,
  variation: planesAt(sums.variation),
  background: planesAt(sums.background),
});

export const fieldsAt = (memory: FieldMemory): FieldAddresses => ({
  object: planesAt(memory.object),
  probe: planesAt(memory.probe),
  variation: planesAt(memory.variation),
  background: {
    pixels: memory.background.pixels.at,
    hold: memory.background.hold.at,
    damp: memory.background.damp.at,
    terms: memory.background.terms.at,
  },
  sums: sumsAt(memory.sums),
});

/** Scratch of one thread that keeps up to `room` patterns of a batch. */
export function takeScratch(memory: FieldMemory, room: number, sums: FieldSums, bends = false): Scratch {
  const { N, modes, coherent = 0, points = 1, probes = 1 } = memory.sizes;
  const { slices } = memory;
  const plane = 4 * N * N;
  // Not a multiple of 4096 bytes: addresses that look alike to the processor wait for each other.
  const take = (bytes: number) => memory.take(bytes + 320);
  const all = (times = 1) => take(times * modes * 2 * plane);
  return {
    plan: take(planBytes(N)),
    fft: take(points * modes * fftScratchBytes(N)),
    blocks: take(fitsBlocks(N) ? points * modes * blockBytes(N) : 0),
    ramps: take(16 * N * points),
    detectorRamps: take(16 * N),
    pattern: take(plane),
    model: take(plane),
    sums: take(128),
    waves: all(room * points * slices),
    shifted: all(room * points * slices),
    spectra: all(probes),
    probeSpectra: all(probes),
    direction: all(points),
    stored: all(points),
    projected: all(points),
    variationSpectra: take(coherent * 2 * plane),
    variationSums: take(coherent * 2 * plane),
    residues: take(coherent > 0 ? room * points * 2 * plane : 0),
    mixed: take(coherent > 0 ? 2 * plane : 0),
    product: take(2 * plane),
    stray: take(memory.backgroundPixels > 0 ? plane : 0),
    tangents: take(slices > 1 ? 6 * plane : 0),
    directions: bends ? all(2 * probes + points) : 0,
    fields: { sums: sumsAt(sums) },
  };
}
