/**
 * Scan positions as trainable values: a program returns the gradients of its loss with respect to `input_positions`, and the
 * host moves the positions. They stay on the host because a batch touches only a few of them.
 *
 * @example
 * const refiner = new PositionRefiner({ xs: raw.xcoords, ys: raw.ycoords, learningRate_px: 0.02, stepLimit_px: 2 });
 * const input_positions = refiner.relativePositions(batch.members, B, C);
 * const { position_gradients } = await step.run({ …, input_positions }, state);
 * refiner.update(batch.members, position_gradients);
 * refiner.endEpoch();
 */
import { PtychoError } from '../core/errors.js';
import { formatShape, sameShape, type Tensor } from '../core/tensor.js';

/** What {@link PositionRefiner} needs to know. */
export interface PositionRefinerOptions {
  /** Measured positions in object pixels; not modified. */
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
  /** Adam's step size, pixels. */
  readonly learningRate_px: number;
  /** A position stays within this distance of its measured place; null: no limit. */
  readonly stepLimit_px?: number | null;
  /** Where the positions of each of several scans begin; drifts are theirs. */
  readonly starts?: readonly number[];
  readonly beta1?: number;
  readonly beta2?: number;
}

/** Gradients of a loss of order one are far above this. */
const EPSILON = 1e-10;

/**
 * Moves scan positions by Adam (Kingma & Ba, ICLR 2015), each pattern with moments and a step count of its own: patterns are
 * not seen equally often.
 */
export class PositionRefiner {
  /** Shifts from the measured positions, (n, 2) as x, y; single precision, so that a checkpoint restores them exactly. */
  readonly #shifts: Float32Array;
  readonly #mean: Float32Array;
  readonly #square: Float32Array;
  /** Steps that each pattern took; one that took none lies where it was measured. */
  readonly #steps: Int32Array;
  readonly #measured: Float64Array;
  readonly #options: Required<PositionRefinerOptions>;
  /** Sums of a batch's gradients, (n, 2); all zero between updates. */
  readonly #gradients: Float64Array;

  /** @throws PtychoError DATASET_SHAPE for unequal coordinates, CONFIG_INVALID unless rate and limit are positive */
  constructor(options: PositionRefinerOptions) {
    const { xs, ys, learningRate_px, stepLimit_px = null, starts = [0] } = options;
    if (xs.length !== ys.length) {
      throw new PtychoError('DATASET_SHAPE', `There are ${xs.length} x and ${ys.length} y coordinates.`, {
        xs: xs.length,
        ys: ys.length,
      });
    }
    for (const [key, value] of Object.entries({
      position_learning_rate: learningRate_px,
      position_step_limit_px: stepLimit_px,
    })) {
      if (value !== null && !(value > 0 && Number.isFinite(value))) {
        throw new PtychoError('CONFIG_INVALID', `${key} must be a positive number of pixels, got ${value}.`, {
          key,
          found: value,
        });
      }
    }
    this.#options = { beta1: 0.9, beta2: 0.999, ...options, stepLimit_px, starts };
    const n = xs.length;
    this.#measured = Float64Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? xs : ys)[i >> 1]);
    this.#shifts = new Float32Array(2 * n);
    this.#mean = new Float32Array(2 * n);
    this.#square = new Float32Array(2 * n);
    this.#steps = new Int32Array(n);
    this.#gradients = new Float64Array(2 * n);
  }

  /** The positions as they are now (a copy). */
  get xs(): Float64Array {
    return this.#axis(0);
  }

  get ys(): Float64Array {
    return this.#axis(1);
  }

  /** Root mean square distance from the measured positions, over all patterns. */
  get rmsShift_px(): number {
    const sum = this.#shifts.reduce((s, v) => s + v * v, 0);
    return Math.sqrt(sum / Math.max(1, this.#steps.length));
  }

  /**
   * Group centre − member, [B, C, 1, 2] as (x, y), from the current positions.
   * @param members B·C indices of patterns
   * @throws PtychoError DATASET_SHAPE for another number of members
   */
  relativePositions(members: Int32Array, B: number, C: number): Tensor {
    if (members.length !== B * C) {
      throw new PtychoError('DATASET_SHAPE', `${B} groups of ${C} have ${B * C} members, found ${members.length}.`, {
        expected: B * C,
        found: members.length,
      });
    }
    const data = new Float32Array(2 * members.length);
    for (let from = 0; from < members.length; from += C) {
      for (const axis of [0, 1]) {
        let centre = 0;
        for (let c = 0; c < C; c++) centre += this.#position(members[from + c], axis) / C;
        for (let c = 0; c < C; c++) data[2 * (from + c) + axis] = centre - this.#position(members[from + c], axis);
      }
    }
    return { data, shape: [B, C, 1, 2] };
  }

  /**
   * One step of the patterns of a batch. With r_j = mean(p) − p_j the chain rule is dL/dp_m = mean(g) − g_m, summed over the
   * groups that hold m.
   *
   * @param members B·C indices of patterns, as given to {@link relativePositions}
   * @param gradients [B, C, 1, 2]: dL/dr
   * @param rateFactor on the learning rate: where a schedule has got to
   * @throws PtychoError DATASET_SHAPE for gradients of another shape, TRAINING_FAILED when one is not finite
   */
  update(members: Int32Array, gradients: Tensor, rateFactor = 1): void {
    const { data, shape } = gradients;
    const C = shape[1];
    if (!sameShape(shape, [members.length / C, C, 1, 2])) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `Position gradients of ${members.length} patterns must have shape (B, C, 1, 2), found ${formatShape(shape)}.`,
        { found: shape },
      );
    }
    if (!data.every(Number.isFinite)) {
      throw new PtychoError(
        'TRAINING_FAILED',
        'The loss has no finite gradient with respect to the scan positions: train without position_trainable, or with a smaller learning_rate.',
        {},
      );
    }
    for (let from = 0; from < members.length; from += C) {
      for (const axis of [0, 1]) {
        let mean = 0;
        for (let c = 0; c < C; c++) mean += data[2 * (from + c) + axis] / C;
        for (let c = 0; c < C; c++) this.#gradients[2 * members[from + c] + axis] += mean - data[2 * (from + c) + axis];
      }
    }
    const touched = new Set(members);
    for (const m of touched) this.#step(m, rateFactor);
    keepNearMeasured(this.#shifts, touched, { limit_px: this.#options.stepLimit_px });
  }

  /**
   * Removes the drift: the mean shift of the patterns of a scan that were moved, which no pattern can measure. Those that no batch has
   * seen stay where they were measured.
   */
  endEpoch(): void {
    const { starts, stepLimit_px } = this.#options;
    starts.forEach((start, s) => {
      const moved: number[] = [];
      for (let m = start; m < (starts[s + 1] ?? this.#steps.length); m++) if (this.#steps[m] > 0) moved.push(m);
      keepNearMeasured(this.#shifts, moved, { limit_px: stepLimit_px, removeDrift: true });
    });
  }

  /** Everything that a checkpoint must hold, as copies; {@link restore} goes on from it bit for bit. */
  state(): Record<string, Tensor> {
    const n = this.#steps.length;
    return {
      position_shifts: { data: this.#shifts.slice(), shape: [n, 2] },
      position_mean: { data: this.#mean.slice(), shape: [n, 2] },
      position_square: { data: this.#square.slice(), shape: [n, 2] },
      position_steps: { data: Float32Array.from(this.#steps), shape: [n] },
    };
  }

  /** @throws PtychoError WEIGHTS_MISMATCH for the state of another scan */
  restore(state: Readonly<Record<string, Tensor>>): void {
    const own = this.state();
    for (const [name, { shape }] of Object.entries(own)) {
      if (!(state[name] && sameShape(state[name].shape, shape))) {
        throw new PtychoError(
          'WEIGHTS_MISMATCH',
          `${name} of the checkpoint ${state[name] ? `has shape ${formatShape(state[name].shape)}` : 'is missing'}, expected ${formatShape(shape)}: it belongs to another scan.`,
          { key: name, expected: shape, found: state[name]?.shape },
        );
      }
    }
    this.#shifts.set(state.position_shifts.data);
    this.#mean.set(state.position_mean.data);
    this.#square.set(state.position_square.data);
    this.#steps.set(state.position_steps.data);
  }

  #step(m: number, rateFactor: number): void {
    const { beta1, beta2, learningRate_px } = this.#options;
    const t = ++this.#steps[m];
    const rate = (learningRate_px * rateFactor * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t);
    for (let i = 2 * m; i < 2 * m + 2; i++) {
      const g = this.#gradients[i];
      this.#gradients[i] = 0;
      this.#mean[i] = beta1 * this.#mean[i] + (1 - beta1) * g;
      this.#square[i] = beta2 * this.#square[i] + (1 - beta2) * g * g;
      this.#shifts[i] -= (rate * this.#mean[i]) / (Math.sqrt(this.#square[i]) + EPSILON);
    }
  }

  #position(m: number, axis: number): number {
    return this.#measured[2 * m + axis] + this.#shifts[2 * m + axis];
  }

  #axis(axis: number): Float64Array {
    return Float64Array.from({ length: this.#steps.length }, (_, m) => this.#position(m, axis));
  }
}

/** What holds refined positions in place: a limit on their distance from the measured ones, and no common drift. */
export interface PositionGauge {
  /** Largest distance from the measured position; null: none. */
  readonly limit_px: number | null;
  /** Remove the mean shift: the object moves along with all positions, so no pattern knows it. */
  readonly removeDrift?: boolean;
}

/** Both conditions hold at once after so many turns at the latest, to within rounding. */
const MOST_TURNS = 50;
const NEGLIGIBLE_PX = 1e-6;

/**
 * Brings shifts from the measured positions back to where they may be, in place.
 * @param shifts (n, 2) as x, y
 * @param indices the patterns that are meant; others keep theirs
 */
export function keepNearMeasured(
  shifts: Float32Array | Float64Array,
  indices: Iterable<number>,
  { limit_px, removeDrift = false }: PositionGauge,
): void {
  const moved = [...indices];
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const drift = removeDrift ? removeMean(shifts, moved) : 0;
    if (limit_px === null) return;
    // Shortening moves the mean again, a little less each time: projections onto two convex sets in turn.
    const shortened = shorten(shifts, moved, limit_px);
    if (!shortened || !removeDrift || (turn > 0 && drift < NEGLIGIBLE_PX)) return;
  }
}

/** Returns how far the mean was off. */
function removeMean(shifts: Float32Array | Float64Array, indices: readonly number[]): number {
  let [x, y] = [0, 0];
  for (const m of indices) {
    x += shifts[2 * m] / indices.length;
    y += shifts[2 * m + 1] / indices.length;
  }
  for (const m of indices) {
    shifts[2 * m] -= x;
    shifts[2 * m + 1] -= y;
  }
  return Math.hypot(x, y);
}

function shorten(shifts: Float32Array | Float64Array, indices: readonly number[], limit: number): boolean {
  let shortened = false;
  for (const m of indices) {
    const length = Math.hypot(shifts[2 * m], shifts[2 * m + 1]);
    if (length <= limit) continue;
    shifts[2 * m] *= limit / length;
    shifts[2 * m + 1] *= limit / length;
    shortened = true;
  }
  return shortened;
}
