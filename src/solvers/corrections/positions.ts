/**
 * Scan positions corrected along with the object: every pattern moves to where the exit wave changes most like χ, the change that its
 * measurement asks for (the gradient in real space; A. Tripathi, I. McNulty, O. G. Shpyrko, Opt. Express 22, 1452, 2014, and
 * M. Odstrčil et al., Opt. Express 26, 3108, 2018).
 */
import type { SolverOptions } from '../../config/schemas/solver.js';
import type { SolverScan, WavePasses } from '../wavePasses.js';
import type { AffineCorrection } from './affine.js';

/** Positions of one scan, and where they were measured. */
export class PositionCorrection {
  readonly #scan: SolverScan;
  readonly #options: SolverOptions;
  readonly #measuredYs: Float64Array;
  readonly #measuredXs: Float64Array;
  /** The same before scans were moved. */
  readonly #begunYs: Float64Array;
  readonly #begunXs: Float64Array;
  /** (count, 2) Σ|∂ψ/∂y|², Σ|∂ψ/∂x|² of each pattern, as it was moved last. */
  readonly weights: Float64Array;
  /** (count, 2) the last moves, y before x, of which a share is carried on. */
  readonly velocity: Float64Array;

  /** @param affine what all positions share, where that is followed */
  constructor(
    scan: SolverScan,
    options: SolverOptions,
    private readonly affine?: AffineCorrection,
    /** First patterns of scans that drift apart, then how many there are. */
    private readonly firsts: ArrayLike<number> = [0, scan.count],
  ) {
    this.#scan = scan;
    this.#options = options;
    this.#measuredYs = Float64Array.from(scan.ys);
    this.#measuredXs = Float64Array.from(scan.xs);
    this.#begunYs = this.#measuredYs.slice();
    this.#begunXs = this.#measuredXs.slice();
    this.velocity = new Float64Array(2 * scan.count);
    this.weights = new Float64Array(2 * scan.count);
  }

  /** Puts the patterns where they are by now. @param positions in the pixels of the scan @param origin of the object array, [y, x] */
  startAt({ xs, ys }: { readonly xs: Float64Array; readonly ys: Float64Array }, [top, left]: readonly number[]): void {
    for (let k = 0; k < this.#scan.count; k++) this.#place(k, ys[k] - top, xs[k] - left);
  }

  /**
   * Moves the patterns of the batch that the passes kept.
   * @param together only what they have in common is wanted: each says where it would move, or how its patch is turned
   */
  async moveBatch(passes: WavePasses, batch: Int32Array, together?: 'moves' | 'turn'): Promise<void> {
    if (together === 'turn') {
      this.affine?.see(await passes.stretches());
      return;
    }
    const { position_step: step, position_momentum: momentum, position_update_limit_px: limit } = this.#options;
    const correlated = this.#options.position_method === 'correlation' && !together;
    const moves = await (correlated ? passes.correlations() : passes.moves());
    const mean = [0, 1].map((k) => batch.reduce((sum, _, i) => sum + moves[5 * i + k], 0) / batch.length);
    const { ys, xs } = this.#scan;
    for (let i = 0; i < batch.length; i++) {
      const [yy, xx, yx, yc, xc] = moves.subarray(5 * i, 5 * i + 5);
      // Patterns of flat places say little about where they are: held back by what the others are worth.
      const [a, d] = [yy + 0.1 * mean[0], xx + 0.1 * mean[1]];
      const determinant = a * d - yx * yx;
      if (!(determinant > 0)) continue;
      const k = batch[i];
      this.weights.set([yy, xx], 2 * k);
      if (together) {
        this.affine?.ask(k, [(d * yc - yx * xc) / determinant, (a * xc - yx * yc) / determinant], [yy, xx]);
        continue;
      }
      const dy = momentum * this.velocity[2 * k] + (step * (d * yc - yx * xc)) / determinant;
      const dx = momentum * this.velocity[2 * k + 1] + (step * (a * xc - yx * yc)) / determinant;
      const held = Math.min(1, limit / Math.max(1e-12, Math.hypot(dy, dx)));
      this.velocity[2 * k] = held * dy;
      this.velocity[2 * k + 1] = held * dx;
      this.#place(k, ys[k] + held * dy, xs[k] + held * dx);
    }
  }

  /** Draws every position to what all of them have in common; see `AffineCorrection.relax`. */
  relax(): void {
    const { ys, xs } = this.#scan;
    this.affine?.relax({ ys, xs }, this.weights, (k, y, x) => this.#place(k, y, x));
  }

  /** A common shift of all positions of a scan is one of its object, or of its probe: it is taken away. */
  removeDrift(): void {
    const { ys, xs } = this.#scan;
    for (let s = 0; s + 1 < this.firsts.length; s++) {
      const [from, to] = [this.firsts[s], this.firsts[s + 1]];
      let [dy, dx] = [0, 0];
      for (let k = from; k < to; k++) {
        const [y, x] = this.#reference(k);
        dy += (ys[k] - y) / (to - from);
        dx += (xs[k] - x) / (to - from);
      }
      for (let k = from; k < to; k++) this.#place(k, ys[k] - dy, xs[k] - dx);
    }
  }

  /** Moves all patterns of a scan. */
  moveScan(s: number, [dy, dx]: readonly [number, number]): void {
    const { ys, xs } = this.#scan;
    for (let k = this.firsts[s]; k < this.firsts[s + 1]; k++) {
      ys[k] += dy;
      xs[k] += dx;
    }
  }

  /** Says how far a scan was moved in all: from there on limits count. */
  measureScan(s: number, [y, x]: readonly [number, number]): void {
    for (let k = this.firsts[s]; k < this.firsts[s + 1]; k++) {
      this.#measuredYs[k] = this.#begunYs[k] + y;
      this.#measuredXs[k] = this.#begunXs[k] + x;
    }
  }

  /** Root mean square of the distances from the measured places, pixels. */
  shift_px(): number {
    const { ys, xs, count } = this.#scan;
    let sum = 0;
    for (let k = 0; k < count; k++) sum += (ys[k] - this.#measuredYs[k]) ** 2 + (xs[k] - this.#measuredXs[k]) ** 2;
    // What is left of moves of whole scans in the last digits is none.
    return sum / count > 1e-20 ? Math.sqrt(sum / count) : 0;
  }

  #place(k: number, y: number, x: number): void {
    const [fromY, fromX] = this.#reference(k);
    const [dy, dx] = [y - fromY, x - fromX];
    const held = Math.min(1, this.#options.position_limit_px / Math.max(1e-12, Math.hypot(dy, dx)));
    const [toY, toX] = [fromY + held * dy, fromX + held * dx];
    // What all positions share may bring them to the rim of the object's array.
    if (this.affine && !this.affine.fits(toY, toX)) return;
    this.#scan.ys[k] = toY;
    this.#scan.xs[k] = toX;
  }

  /** From where the limit counts: where a pattern was measured, or would have been with what was wrong of all put right. */
  #reference(k: number): readonly [y: number, x: number] {
    return this.affine?.place(k) ?? [this.#measuredYs[k], this.#measuredXs[k]];
  }
}
