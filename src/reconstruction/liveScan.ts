/**
 * A scan in progress: patterns are pushed as they are measured, and a reconstruction that runs takes them as they come.
 *
 * @example
 * const scan = liveScanFor(model, { bounds: { xMin: 0, xMax: 300, yMin: 0, yMax: 300 } });
 * detector.on('frame', (frame, x, y) => void scan.push({ diffraction: frame, xs: [x], ys: [y] }));
 * detector.on('end', () => scan.close());
 * for await (const { stitched } of reconstructStream(model, scan, { every: { seconds: 1 } })) show(stitched);
 */

import { PtychoError, requireObject } from '../core/errors.js';
import { formatShape, type NumericArray, type Tensor } from '../core/tensor.js';
import { PositionCells } from '../data/grouping/neighbourGrid.js';
import type { MeasurementDomain } from '../data/opening/measurementDomain.js';
import { amplitudeRule } from '../data/patternSource.js';
import { inputScaleFor } from '../model/scale.js';
import { inputNormalisation } from '../physics/detector.js';
import type { PatternBatch, PatternFeed } from './feed.js';
import type { ScanBounds } from './frame.js';
import type { PtychoModel } from './ptychoModel.js';

/** What a {@link LiveScan} has to know before the first pattern. */
export interface LiveScanOptions {
  /** Side of the patterns, pixels. */
  readonly N: number;
  /** Patterns in a group along each side; 1 where not given. */
  readonly gridsize?: number;
  /**
   * Amplitudes are multiplied by this. A finished scan is normalised by its own mean power, which nobody knows yet here:
   * {@link liveScanFor} takes that of the training scan, right as long as the exposure is like it. From any mean power
   * Σ d² a pattern it is (N/2)/√(mean power).
   */
  readonly inputScale: number;
  /** gridsize > 1: how far a member may lie from its group's centre, along x and y; what the model's canvas holds. */
  readonly reach_px?: number;
  /** What is pushed: amplitudes, or counts whose root is taken; amplitudes where not given. */
  readonly domain?: MeasurementDomain;
  /** (N, N): other than 0 where a pixel cannot be used. */
  readonly badPixels?: ArrayLike<number>;
  /** Where the scan is expected to go: the frame has this size from the start; it grows if patterns lie outside. */
  readonly bounds?: ScanBounds;
  /** `push` asks for patience from so many patterns on that wait to be taken; 4096 where not given. */
  readonly maxWaiting?: number;
}

/** What is pushed: one pattern or several. */
export interface PushedPatterns {
  /** (N, N) or (n, N, N). */
  readonly diffraction: Tensor<NumericArray>;
  /** (n) positions in object pixels. */
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
}

/**
 * A live scan for a model: normalised as the model was trained, with groups that fit its canvas.
 * @param options `inputScale` for another exposure than that of training, see `LiveScanOptions`
 * @throws PtychoError DATASET_UNITS for normalised amplitudes where the model needs counts
 */
export function liveScanFor(
  model: Pick<PtychoModel, 'bundle'>,
  options: Partial<Omit<LiveScanOptions, 'N' | 'gridsize' | 'reach_px'>> = {},
): LiveScan {
  const bundle = model?.bundle;
  requireObject(bundle, 'liveScanFor takes a model first, of train or PtychoModel.open', [
    'config',
    'scale',
    'statistics',
  ]);
  const { N, gridsize } = bundle.config.model;
  const domain = options.domain ?? bundle.scale.domain;
  const ofTraining = inputNormalisation(bundle.statistics.meanPower, N);
  return new LiveScan({
    ...options,
    domain,
    N,
    gridsize,
    inputScale: options.inputScale ?? inputScaleFor(bundle, { domain, source: 'the live scan' }, ofTraining),
    reach_px: (bundle.canvasSide_px - N) / 2,
  });
}

/**
 * Patterns of a scan that is being measured, for `reconstructStream`. Patterns that were taken are not kept (of groups, the
 * last few thousand are, because later ones may be their neighbours), so that a scan may last for days.
 *
 * With gridsize > 1 a pattern starts a group with its nearest neighbours among those that have come, as soon as there are
 * enough within reach; so every pattern starts one group, as in a finished scan. Those that never get enough neighbours are
 * counted in `unused`, unless another group took them.
 */
export class LiveScan implements PatternFeed {
  readonly N: number;
  readonly C: number;
  readonly bounds?: ScanBounds;
  /** As they were given. */
  readonly badPixels: ArrayLike<number> | undefined;
  readonly grows = true;
  readonly readAhead = 1;
  readonly #toAmplitudes;
  readonly #scale: number;
  readonly #bad: readonly number[];
  readonly #maxWaiting: number;
  readonly #groups: LiveGroups;
  #ready: LiveGroup[] = [];
  #received = 0;
  #closed = false;
  #taken = false;
  #arrived: (() => void) | undefined;
  #relieved: (() => void)[] = [];

  /** @throws PtychoError CONFIG_INVALID for a scale or a reach that cannot be */
  constructor(options: LiveScanOptions) {
    const { N, gridsize = 1, inputScale, reach_px = 0, domain, badPixels, maxWaiting = 4096 } = options;
    if (!(inputScale > 0 && Number.isFinite(inputScale))) {
      throw new PtychoError('CONFIG_INVALID', `inputScale must be a positive number, got ${inputScale}.`, {
        key: 'inputScale',
        found: inputScale,
      });
    }
    if (gridsize > 1 && !(reach_px > 0)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `Groups of gridsize ${gridsize} need reach_px, the distance of members from their centre that the model's canvas allows; got ${reach_px}.`,
        { key: 'reach_px', found: reach_px },
      );
    }
    this.N = N;
    this.C = gridsize ** 2;
    this.bounds = options.bounds;
    this.badPixels = badPixels;
    this.#scale = inputScale;
    this.#toAmplitudes = amplitudeRule('float32', domain === 'count_intensity');
    this.#bad = Array.from(badPixels ?? [], (bad, i) => (bad === 0 ? -1 : i)).filter((i) => i >= 0);
    this.#maxWaiting = maxWaiting;
    this.#groups = new LiveGroups(this.C, reach_px);
  }

  /** Patterns pushed so far. */
  get received(): number {
    return this.#received;
  }

  /** Groups that wait to be predicted. */
  get waiting(): number {
    return this.#ready.length;
  }

  /** Members of the groups so far, predicted or waiting. */
  get total(): number {
    return this.#groups.formed * this.C;
  }

  /** Patterns in no group; final once the scan is closed. */
  get unused(): number {
    return this.#groups.unused;
  }

  /**
   * Hands over patterns; they are copied. The promise is fulfilled at once while fewer than `maxWaiting` wait, else when they
   * have been taken: a source that can wait should.
   * @throws PtychoError DATASET_SHAPE, DATASET_VALUE for patterns or positions that are none (then none of them is taken);
   * USAGE after `close`
   */
  push(patterns: PushedPatterns): Promise<void> {
    const takes = 'push takes { diffraction: { data, shape }, xs, ys }, patterns with their positions';
    requireObject(patterns, takes, ['diffraction', 'xs', 'ys']);
    requireObject(patterns.diffraction, takes, ['data', 'shape']);
    return this.#take(patterns);
  }

  #take({ diffraction: { data, shape }, xs, ys }: PushedPatterns): Promise<void> {
    if (this.#closed) throw new PtychoError('USAGE', 'The scan was closed; no more patterns can be pushed.', {});
    const { N } = this;
    const n = xs.length;
    const area = N * N;
    const [rows, columns] = shape.slice(-2);
    if (rows !== N || columns !== N || data.length !== n * area || ys.length !== n || shape.length > 3) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${n} patterns of ${N}×${N} pixels must be pushed as an array of shape (${n}, ${N}, ${N}) with as many x and y coordinates; got ${formatShape(shape)}, ${xs.length} x and ${ys.length} y.`,
        { found: shape, expected: [n, N, N] },
      );
    }
    const patterns = Array.from({ length: n }, (_, k) => this.#normalised(data, k));
    for (let k = 0; k < n; k++) {
      if (!(Number.isFinite(xs[k]) && Number.isFinite(ys[k]))) {
        throw new PtychoError(
          'DATASET_VALUE',
          `Pattern ${this.#received + k} was pushed with the position (x ${xs[k]}, y ${ys[k]}); positions must be finite.`,
          { index: this.#received + k },
        );
      }
    }
    for (let k = 0; k < n; k++) {
      this.#ready.push(...this.#groups.add({ index: this.#received++, x: xs[k], y: ys[k], pattern: patterns[k] }));
    }
    this.#wake();
    if (this.#ready.length < this.#maxWaiting) return Promise.resolve();
    return new Promise((resolve) => this.#relieved.push(resolve));
  }

  /** Says that no more patterns will come; what waits is still reconstructed. */
  close(): void {
    this.#closed = true;
    this.#groups.release();
    this.#wake();
  }

  async *batches(size: number): AsyncGenerator<PatternBatch, void, void> {
    if (this.#taken)
      throw new PtychoError('USAGE', 'A live scan can be reconstructed only once; push into a new one.', {});
    this.#taken = true;
    for (;;) {
      const groups = this.#ready.splice(0, size);
      if (this.#ready.length < this.#maxWaiting) for (const relieve of this.#relieved.splice(0)) relieve();
      if (groups.length > 0) yield this.#batch(groups);
      else if (this.#closed) return;
      else
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
    }
  }

  #wake(): void {
    this.#arrived?.();
    this.#arrived = undefined;
  }

  #normalised(data: NumericArray, k: number): Float32Array {
    const area = this.N * this.N;
    const pattern = Float32Array.from(data.subarray(k * area, (k + 1) * area));
    for (const pixel of this.#bad) pattern[pixel] = 0;
    this.#toAmplitudes(pattern, this.#scale, (place, value) => {
      throw new PtychoError(
        'DATASET_VALUE',
        `Pattern ${this.#received + k} was pushed with the value ${value} in row ${Math.floor(place / this.N)}, column ${place % this.N}; pixels must be finite and not negative, or be marked in badPixels.`,
        { found: value, index: this.#received + k },
      );
    });
    return pattern;
  }

  #batch(groups: readonly LiveGroup[]): PatternBatch {
    const { C, N } = this;
    const B = groups.length;
    const diffraction = new Float32Array(B * C * N * N);
    const positions = new Float32Array(B * C * 2);
    const xs = new Float64Array(B * C);
    const ys = new Float64Array(B * C);
    const members = new Int32Array(B * C);
    groups.forEach((group, b) => {
      const centre = (axis: 'x' | 'y') => group.reduce((sum, member) => sum + member[axis], 0) / C;
      const [x, y] = [centre('x'), centre('y')];
      group.forEach((member, c) => {
        const i = b * C + c;
        diffraction.set(member.pattern, i * N * N);
        positions[2 * i] = x - member.x;
        positions[2 * i + 1] = y - member.y;
        xs[i] = member.x;
        ys[i] = member.y;
        members[i] = member.index;
      });
    });
    return {
      diffraction: { data: diffraction, shape: [B, C, N, N] },
      positions: { data: positions, shape: [B, C, 1, 2] },
      xs,
      ys,
      members,
    };
  }
}

/** A pattern that has come. */
interface LivePattern {
  /** How many came before it. */
  readonly index: number;
  readonly x: number;
  readonly y: number;
  /** (N·N), normalised. */
  readonly pattern: Float32Array;
}

/** C patterns; the one that started the group is first. */
type LiveGroup = readonly LivePattern[];

/** A pattern may be a neighbour as long as no more than this many have come after it. */
const REMEMBERED = 4096;

interface Known extends LivePattern {
  started: boolean;
  used: boolean;
}

/**
 * Forms groups: each pattern and its C − 1 nearest among those known, as soon as all lie within `reach` of their centre along
 * x and y.
 */
class LiveGroups {
  /** Groups so far. */
  formed = 0;
  #unused = 0;
  /** Known patterns in the order in which they came, and by cells of the side of the reach of two members. */
  readonly #known: Known[] = [];
  readonly #cells: PositionCells<Known>;

  constructor(
    private readonly C: number,
    private readonly reach: number,
  ) {
    this.#cells = new PositionCells(Math.max(1, 2 * reach));
  }

  /** Patterns in no group, among those that cannot get into one any more; after {@link release}, among all. */
  get unused(): number {
    return this.#unused;
  }

  /** Takes a pattern in, and gives back the groups that it completes. */
  add(pattern: LivePattern): LiveGroup[] {
    if (this.C === 1) {
      this.formed++;
      return [[pattern]];
    }
    const known: Known = { ...pattern, started: false, used: false };
    this.#known.push(known);
    this.#cells.add(known);
    const groups: LiveGroup[] = [];
    for (const seed of this.#cells.around(known)) {
      const group = seed.started ? undefined : this.#groupOf(seed);
      if (!group) continue;
      seed.started = true;
      for (const member of group) member.used = true;
      this.formed++;
      groups.push(group);
    }
    if (this.#known.length > REMEMBERED) this.#forget(this.#known.shift()!);
    return groups;
  }

  /** No more patterns will come: what is known is let go. */
  release(): void {
    for (const known of this.#known.splice(0)) this.#forget(known);
  }

  /** The pattern with its nearest neighbours, if all lie within reach. */
  #groupOf(seed: Known): Known[] | undefined {
    const distance = (other: Known) => (other === seed ? -1 : (other.x - seed.x) ** 2 + (other.y - seed.y) ** 2);
    const near = this.#cells.around(seed).sort((a, b) => distance(a) - distance(b) || a.index - b.index);
    if (near.length < this.C) return undefined;
    const group = near.slice(0, this.C);
    const within = (values: readonly number[]) => {
      const centre = values.reduce((sum, v) => sum + v, 0) / values.length;
      return values.every((v) => Math.abs(v - centre) <= this.reach);
    };
    return within(group.map(({ x }) => x)) && within(group.map(({ y }) => y)) ? group : undefined;
  }

  #forget(known: Known): void {
    if (!known.used) this.#unused++;
    this.#cells.delete(known);
  }
}
