/**
 * Passes as tensor programs on a backend: transforms and shifts as matrix products, for any side of the patterns and any device. The
 * host gathers patches of the object and adds up what belongs to them.
 */
import type { Backend, DeviceState, Tensors } from '../../backends/backend.js';
import { ProgramCache, type ReadyProgram, remembered } from '../../backends/programs.js';
import { sizeOf, type Tensor } from '../../core/tensor.js';
import { FieldMemory, type FieldSizes } from '../fieldMemory.js';
import { measuredSums } from '../patternStream.js';
import {
  type Curvatures,
  type Direction,
  devianceOf,
  fitOf,
  type MeasuredSums,
  MOMENTS,
  type PassesOptions,
  type PassRequest,
  type PassSums,
  patternAt,
  type SolverScan,
  type Statistics,
  SumsOfPasses,
  type WavePasses,
} from '../wavePasses.js';
import { bendsProgram, curvaturesOf, modelProgram } from './bendsProgram.js';
import { correlationsProgram, stretchesProgram } from './momentsProgram.js';
import {
  beamProductsProgram,
  beamSumsProgram,
  FLAGS,
  KEPT,
  keptShape,
  kindOf,
  movesProgram,
  type PassKind,
  passProgram,
  planePassProgram,
  productsProgram,
} from './passProgram.js';
import { EnginePlanes, planeShapes, selectionFits } from './planes.js';
import { addTurnedPlanes, Feeds, type Run, runsOf, scatterPatch, storeWaves } from './runs.js';
import type { WaveSizes } from './waves.js';

/** How a {@link ProgramPasses} is opened. */
export interface ProgramPassesOptions extends PassesOptions {
  /** Stays the caller's to dispose. */
  readonly backend: Backend;
  /** Patterns in one run of a program, at most; chosen for the device when left out. */
  readonly batch?: number;
  /**
   * The engine keeps object, probe and sums during a pass; left out: where state stays on the device, selecting costs little, and the planes
   * are less than the patches of the pass.
   */
  readonly planes?: boolean;
}

type Results = Readonly<Record<string, Tensor>>;
type KeptRun = Run & { readonly state: DeviceState };

/** Pixels of one run: more do not fit the caches of a processor, fewer leave a GPU idle. */
const RUN_PIXELS = { cpu: 1 << 17, gpu: 1 << 21 } as const;

export class ProgramPasses implements WavePasses {
  readonly name = 'program';
  readonly description: string;
  readonly memory: FieldMemory;
  readonly #scan: SolverScan;
  readonly #programs: SolverPrograms;
  readonly #feeds: Feeds;
  readonly #waves: Float32Array<SharedArrayBuffer>;
  readonly #measured: MeasuredSums;
  readonly #most: number;
  readonly #floor: number;
  readonly #overPlanes: (patterns: number) => boolean;
  #planes: Promise<EnginePlanes> | undefined;
  #kept: readonly KeptRun[] = [];

  /** @throws PtychoError DATASET_VALUE for fields beyond 4 GiB, BACKEND_MISSING where the package was not built */
  static async open(options: ProgramPassesOptions): Promise<ProgramPasses> {
    return new ProgramPasses(options);
  }

  private constructor({ scan, sizes, storeWaves: storing, floor, backend, batch, planes }: ProgramPassesOptions) {
    const { N, count } = scan;
    const { modes, coherent = 0, slices = 1 } = sizes;
    const { propagation } = scan;
    const points = scan.ways?.points ?? 1;
    this.memory = new FieldMemory({ N, ...sizes, points });
    this.#scan = scan;
    this.#floor = floor;
    this.#programs = new SolverPrograms(backend, {
      ...{ N, modes, coherent, slices, points, probes: sizes.probes, propagation, floor },
      varying: scan.beam !== undefined || points > 1,
      background: sizes.background,
      spread: scan.background?.spread,
    });
    this.#waves = new Float32Array(new SharedArrayBuffer(storing ? 4 * count * points * modes * 2 * N * N : 0));
    this.#feeds = new Feeds(scan, this.memory, this.#waves);
    this.#measured = scan.stream?.measured ?? measuredSums(scan.amplitudes, N * N);
    const { engine, device, threads } = backend.info;
    const fits = device === 'webgpu' && selectionFits(this.memory.sizes);
    // Planes are of one slice.
    this.#overPlanes = (patterns) =>
      slices === 1 && (planes ?? (fits && patterns * points * N * N > this.memory.objectPixels));
    const pixels = N * N * points * (slices * modes + coherent);
    this.#most = batch ?? Math.max(1, Math.round(RUN_PIXELS[device === 'cpu' ? 'cpu' : 'gpu'] / pixels));
    this.description = `tensor programs, ${engine} on ${device}, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
  }

  async pass(batch: Int32Array, request: PassRequest): Promise<PassSums> {
    this.#clear(request);
    this.#kept = [];
    const total = new SumsOfPasses();
    if (batch.length === 0) return total;
    await this.#scan.stream?.load(batch);
    const kind = kindOf(request);
    const size = this.#programs.runSize(batch.length, Math.ceil(batch.length / this.#most));
    const runs = runsOf(batch, size, this.#scan, this.memory.sizes);
    if (!kind.keep && this.#overPlanes(batch.length)) {
      await this.#passOverPlanes(runs, kind, request, total);
      return total;
    }
    const ready = await this.#programs.pass(kind, size);
    const kept = kind.keep ? await this.#keep(runs) : [];
    const strength = { data: Float32Array.of(request.strength ?? 1), shape: [1] };
    const shared = { strength, ...this.#feeds.probe(this.memory.probe), ...this.#feeds.variation() };
    await this.#each(runs, ready, shared, kept, (run, results) => {
      this.#addPatches(run, results);
      this.#addProbe(results);
      this.#addBackground(run, results);
      this.#storeWaves(run, results);
      this.#compare(run, results, total);
    });
    this.#kept = kept;
    return total;
  }

  /** Planes go up, every run adds to sums that stay, and these come down. */
  async #passOverPlanes(
    runs: readonly Run[],
    kind: PassKind,
    { strength = 1, accumulate = false }: PassRequest,
    total: SumsOfPasses,
  ): Promise<void> {
    this.#planes ??= this.#programs.planes(this.memory);
    const planes = await this.#planes;
    const { N, modes, probes = 1 } = this.memory.sizes;
    await planes.put((probe) => this.#feeds.probe(probe), kind, accumulate);
    const ready = await this.#programs.planePass(kind, runs[0].size, this.memory.sizes);
    const shared = { strength: { data: Float32Array.of(strength), shape: [1] }, ...this.#feeds.variation() };
    const states = runs.map(() => ({ state: planes.values }));
    await this.#each(runs, ready, shared, states, (run, results) => {
      this.#addBackground(run, results);
      this.#storeWaves(run, results);
      this.#compare(run, results, total);
    });
    await planes.take((from, to) => addTurnedPlanes(from, to, N, probes * modes), kind);
  }

  async products(): Promise<Float64Array> {
    return this.#ofKept(6, (size) => this.#programs.products(size), this.#feeds.probe(this.memory.sums.probe));
  }

  async moves(): Promise<Float64Array> {
    return this.#ofKept(5, (size) => this.#programs.moves(size), {});
  }

  async correlations(): Promise<Float64Array> {
    return this.#ofKept(5, (size) => this.#programs.correlations(size), {});
  }

  async stretches(): Promise<Float64Array> {
    return this.#ofKept(MOMENTS, (size) => this.#programs.stretches(size), {});
  }

  async beamProducts(): Promise<Float64Array> {
    const columns = 3 * (this.memory.sizes.coherent ?? 0);
    return this.#ofKept(columns, (size) => this.#programs.beamProducts(size), this.#feeds.variation());
  }

  async beamSums(weights: Float64Array): Promise<void> {
    const { sums, sizes } = this.memory;
    const { N, coherent = 0 } = sizes;
    for (const plane of [sums.variation.re, sums.variation.im]) plane.fill(0);
    if (this.#kept.length === 0) return;
    const [{ size }] = this.#kept;
    const ready = await this.#programs.beamSums(size);
    const asked = (run: Run) => {
      const data = new Float32Array(size * coherent);
      data.set(weights.subarray(run.index * size * coherent, (run.index * size + run.patterns.length) * coherent));
      return { asked: { data, shape: [size, coherent] } };
    };
    await this.#each(this.#kept, ready, asked, this.#kept, (_, results) => {
      addTurnedPlanes(results.variation_sum_re.data, sums.variation.re, N, coherent);
      addTurnedPlanes(results.variation_sum_im.data, sums.variation.im, N, coherent);
    });
  }

  async curvatures(
    batch: Int32Array,
    along: readonly Direction[],
    statistics: Statistics = 'gaussian',
  ): Promise<Curvatures> {
    const directions = along.length === 1 ? 1 : 2;
    const totals = Array.from({ length: directions === 1 ? 4 : 11 }, () => 0);
    if (batch.length === 0) return curvaturesOf(totals, directions, statistics);
    await this.#scan.stream?.load(batch);
    const size = this.#programs.runSize(batch.length, Math.ceil(batch.length / this.#most));
    const runs = runsOf(batch, size, this.#scan, this.memory.sizes);
    this.#feeds.along = along;
    const shared = {
      ...this.#feeds.probe(this.memory.probe),
      ...this.#feeds.variation(),
      ...this.#feeds.directions(),
    };
    await this.#each(
      runs,
      await this.#programs.bends(size, directions, statistics),
      shared,
      [],
      ({ patterns }, { sums }) => {
        for (const [i] of patterns.entries()) {
          for (let k = 0; k < totals.length; k++) totals[k] += rowTotal(sums, i, k);
        }
      },
    );
    this.#feeds.along = [];
    return curvaturesOf(totals, directions, statistics);
  }

  async deviances(batch: Int32Array, raised?: boolean): Promise<Float64Array> {
    await this.#scan.stream?.load(batch);
    const out = new Float64Array(batch.length);
    if (batch.length === 0) return out;
    const size = this.#programs.runSize(batch.length, Math.ceil(batch.length / this.#most));
    const runs = runsOf(batch, size, this.#scan, this.memory.sizes);
    const shared = { ...this.#feeds.probe(this.memory.probe), ...this.#feeds.variation() };
    const pixels = this.#scan.N ** 2;
    await this.#each(runs, await this.#programs.model(size), shared, [], ({ patterns, index }, { model }) => {
      patterns.forEach((k, i) => {
        const J = model.data.subarray(i * pixels, (i + 1) * pixels);
        out[index * size + i] = devianceOf(J, patternAt(this.#scan, k), this.#floor, raised);
      });
    });
    return out;
  }

  storedWaves(): Float32Array<SharedArrayBuffer> {
    return this.#waves;
  }

  async close(): Promise<void> {
    this.#kept = [];
    await this.#programs.dispose();
  }

  /** One run after the other; while the backend is at work on one, the next is gathered. */
  async #each(
    runs: readonly Run[],
    { program, compiled }: ReadyProgram,
    shared: Tensors | ((run: Run) => Tensors),
    states: readonly { readonly state: DeviceState }[],
    take: (run: Run, results: Results) => void,
  ): Promise<void> {
    let before: { readonly run: Run; readonly results: Promise<Results> } | undefined;
    for (const run of runs) {
      const common = typeof shared === 'function' ? shared(run) : shared;
      const results = compiled.run({ ...common, ...this.#feeds.of(program, run) }, states[run.index]?.state);
      // Awaited in the next turn, which does not come when the run before fails.
      results.catch(() => undefined);
      if (before) take(before.run, await before.results);
      before = { run, results };
    }
    if (before) take(before.run, await before.results);
  }

  #keep(runs: readonly Run[]): Promise<KeptRun[]> {
    return Promise.all(runs.map(async (run) => ({ ...run, state: await this.#programs.kept(run.size, run.index) })));
  }

  async #ofKept(
    columns: number,
    program: (size: number) => Promise<ReadyProgram>,
    shared: Tensors,
  ): Promise<Float64Array> {
    const kept = this.#kept;
    const out = new Float64Array(columns * kept.reduce((sum, run) => sum + run.patterns.length, 0));
    if (kept.length === 0) return out;
    const [{ size }] = kept;
    await this.#each(kept, await program(size), shared, kept, (run, { sums }) => {
      run.patterns.forEach((_, i) => {
        for (let k = 0; k < columns; k++) out[columns * (run.index * size + i) + k] = rowTotal(sums, i, k);
      });
    });
    return out;
  }

  #clear({ object, probe, accumulate, background }: PassRequest): void {
    const { sums } = this.memory;
    if (background) for (const plane of [sums.background.re, sums.background.im]) plane.fill(0);
    if (accumulate) return;
    if (object) for (const plane of [sums.object.re, sums.object.im, sums.illumination.data]) plane.fill(0);
    if (probe) for (const plane of [sums.probe.re, sums.probe.im, sums.objectIntensity.data]) plane.fill(0);
  }

  #addPatches(run: Run, results: Results): void {
    if (!results.illumination) return;
    const { sums, sizes, slices } = this.memory;
    const { N, height, width } = sizes;
    for (const [{ data }, plane] of [
      [results.object_sum_re, sums.object.re],
      [results.object_sum_im, sums.object.im],
      [results.illumination, sums.illumination.data],
    ] as const) {
      for (const [i, at] of run.at.entries()) {
        for (let s = 0; s < slices; s++) {
          const patch = data.subarray((i * slices + s) * N * N, (i * slices + s + 1) * N * N);
          scatterPatch(patch, plane, at + s * height * width, width, N);
        }
      }
    }
  }

  #addProbe(results: Results): void {
    if (!results.object_intensity) return;
    const { sums, sizes } = this.memory;
    const modes = (sizes.probes ?? 1) * sizes.modes;
    addTurnedPlanes(results.probe_sum_re.data, sums.probe.re, sizes.N, modes);
    addTurnedPlanes(results.probe_sum_im.data, sums.probe.im, sizes.N, modes);
    results.object_intensity.data.forEach((v, i) => {
      sums.objectIntensity.data[i] += v;
    });
  }

  #addBackground(run: Run, results: Results): void {
    if (!results.background_excess) return;
    const { sums, sizes } = this.memory;
    for (const [{ data }, plane] of [
      [results.background_excess, sums.background.re],
      [results.background_weight, sums.background.im],
    ] as const) {
      for (let i = 0; i < plane.length; i++) plane[i] += data[i];
    }
    const { background: terms = 0 } = sizes;
    const { asked } = this.#scan.background!;
    for (const [i, k] of run.patterns.entries()) {
      for (let l = 0; l < terms; l++) {
        for (const part of [0, 1]) {
          asked[2 * (k * terms + l) + part] = results.background_asked.data[(2 * i + part) * terms + l];
        }
      }
    }
  }

  #storeWaves(run: Run, results: Results): void {
    if (!results.next_waves_re) return;
    const { N, modes } = this.memory.sizes;
    const pixels = modes * N * N;
    run.at.forEach((_, i) => {
      const k = run.patterns[Math.floor(i / run.points)] * run.points + (i % run.points);
      const part = ({ data }: Tensor) => data.subarray(i * pixels, (i + 1) * pixels);
      const stored = this.#waves.subarray(k * 2 * pixels, (k + 1) * 2 * pixels);
      storeWaves(part(results.next_waves_re), part(results.next_waves_im), N, modes, stored);
    });
  }

  #compare(run: Run, { sums }: Results, total: SumsOfPasses): void {
    if (!sums) return;
    const { beam } = this.#scan;
    run.patterns.forEach((k, i) => {
      const [square, modelled] = [rowTotal(sums, i, 0), rowTotal(sums, i, 2)];
      total.square += square;
      total.absolute += rowTotal(sums, i, 1);
      total.modelled += modelled;
      if (beam) {
        beam.fits[k] = fitOf(square, this.#measured.counts[k], modelled);
        beam.modelled[k] = modelled;
      }
      if (sums.shape[1] > 3) total.change += rowTotal(sums, i, 3);
      total.amplitude += this.#measured.amplitude[k];
      total.counts += this.#measured.counts[k];
    });
  }
}

/** Of (patterns, terms, N) the sum over parts. */
function rowTotal({ data, shape }: Tensor, pattern: number, term: number): number {
  const [, terms, N] = shape;
  const from = (pattern * terms + term) * N;
  let total = 0;
  for (let r = from; r < from + N; r++) total += data[r];
  return total;
}

/** Compiles the programs of a pass, and keeps the state that they share. */
class SolverPrograms {
  readonly #programs: ProgramCache<string>;
  readonly #kept = new Map<string, Promise<DeviceState>>();
  readonly #planes: DeviceState[] = [];
  readonly #sizes = new Set<number>();

  constructor(
    private readonly backend: Backend,
    private readonly fields: Omit<WaveSizes, 'batch'> & { readonly floor: number },
  ) {
    this.#programs = new ProgramCache(backend);
  }

  /**
   * Patterns in each of `runs` runs that take `count` patterns together. Batches of a scan differ by a pattern or two: a size that is
   * known is taken again where that wastes little.
   */
  runSize(count: number, runs: number): number {
    const needed = Math.ceil(count / runs);
    const known = [...this.#sizes].filter((size) => size >= needed && 8 * (size - needed) <= needed);
    if (known.length > 0) return Math.min(...known);
    this.#sizes.add(needed);
    return needed;
  }

  pass(kind: PassKind, batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`${kind.wave} ${FLAGS.filter((flag) => kind[flag])} ${batch}`, () =>
      passProgram(kind, this.#sizesOf(batch), this.fields.floor),
    );
  }

  planePass(kind: PassKind, batch: number, sizes: FieldSizes): Promise<ReadyProgram> {
    return this.#programs.get(`planes ${kind.wave} ${FLAGS.filter((flag) => kind[flag])} ${batch}`, () =>
      planePassProgram(kind, this.#sizesOf(batch), sizes, this.fields.floor),
    );
  }

  /** Object, probe and sums as state. */
  async planes(memory: FieldMemory): Promise<EnginePlanes> {
    const shapes = Object.entries(planeShapes(memory.sizes));
    const zeros = Object.fromEntries(
      shapes.map(([name, shape]) => [name, { data: new Float32Array(sizeOf(shape)), shape }]),
    );
    const state = await this.backend.createState(zeros);
    this.#planes.push(state);
    return new EnginePlanes(state, memory);
  }

  products(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`products ${batch}`, () => productsProgram(this.#sizesOf(batch)));
  }

  moves(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`moves ${batch}`, () => movesProgram(this.#sizesOf(batch)));
  }

  bends(batch: number, directions: 1 | 2, statistics: Statistics): Promise<ReadyProgram> {
    return this.#programs.get(`bends ${directions} ${batch} ${statistics}`, () =>
      bendsProgram(this.#sizesOf(batch), directions, this.fields.floor, statistics),
    );
  }

  correlations(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`correlations ${batch}`, () => correlationsProgram(this.#sizesOf(batch)));
  }

  stretches(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`stretches ${batch}`, () => stretchesProgram(this.#sizesOf(batch)));
  }

  model(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`model ${batch}`, () => modelProgram(this.#sizesOf(batch)));
  }

  beamProducts(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`beam products ${batch}`, () => beamProductsProgram(this.#sizesOf(batch)));
  }

  beamSums(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`beam sums ${batch}`, () => beamSumsProgram(this.#sizesOf(batch)));
  }

  /** Where P and χ of the run with this number in its pass are kept. */
  kept(batch: number, run: number): Promise<DeviceState> {
    const name = `${batch} ${run}`;
    const shape = keptShape(this.#sizesOf(batch));
    const make = () =>
      this.backend.createState(
        Object.fromEntries(KEPT.map((key) => [key, { data: new Float32Array(sizeOf(shape)), shape }])),
      );
    return remembered(this.#kept, name, make);
  }

  /** Of programs that take `patterns` patterns. */
  #sizesOf(patterns: number): WaveSizes {
    return { ...this.fields, batch: patterns * (this.fields.points ?? 1) };
  }

  /** The backend goes on. */
  async dispose(): Promise<void> {
    await this.#programs.dispose();
    await Promise.all([...this.#kept.values()].map(async (state) => (await state).dispose()));
    this.#kept.clear();
    for (const state of this.#planes.splice(0)) await state.dispose();
  }
}
