/**
 * Where patterns fit an image best: a damped Gauss–Newton search for many positions at once. Whoever evaluates the fit asks
 * for the places to try and reports back what was found there.
 */

/** A step is never longer than this: the misfit of a structured object is smooth over about a pixel. */
const LONGEST_STEP_PX = 1;
const FIRST_DAMPING = 1e-3;
/** Below it a step was as good as undamped, above it as good as none. */
const LEAST_DAMPING = 1e-6;
const MOST_DAMPING = 1e6;

/** Levenberg–Marquardt over (x, y) of each pattern; the scale of the pattern is fitted along, so exposures may vary. */
export class PositionSearch {
  /** Where each pattern is to be tried next. */
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  private readonly bestX: Float64Array;
  private readonly bestY: Float64Array;
  private readonly best: Float64Array;
  private readonly first: Float64Array;
  private readonly damping: Float64Array;
  /** Normal equations at the best place: xx, xy, yy, gx, gy. */
  private readonly normal: Float64Array;

  /** @param xs, ys where the search begins, pixels */
  constructor(xs: ArrayLike<number>, ys: ArrayLike<number>) {
    this.xs = Float64Array.from(xs);
    this.ys = Float64Array.from(ys);
    this.bestX = this.xs.slice();
    this.bestY = this.ys.slice();
    this.best = new Float64Array(xs.length).fill(Number.POSITIVE_INFINITY);
    this.first = new Float64Array(xs.length).fill(Number.NaN);
    this.damping = new Float64Array(xs.length).fill(FIRST_DAMPING);
    this.normal = new Float64Array(5 * xs.length);
  }

  /**
   * Takes the products that `positionFitProgram` returned at the place tried for pattern k, and chooses the next one.
   * @param products 4×4 values from `offset` on
   */
  report(k: number, products: ArrayLike<number>, offset = 0): void {
    const g = (i: number, j: number) => products[offset + 4 * i + j];
    const power = g(0, 0);
    if (!(power > 0)) return;
    // The best scale is projected out: what is left of a vector v is v − A(A·v)/(A·A).
    const free = (i: number, j: number) => g(i, j) - (g(0, i) * g(0, j)) / power;
    const misfit = free(3, 3);
    if (Number.isNaN(this.first[k])) this.first[k] = misfit;
    if (misfit < this.best[k]) {
      const scale = 1 - g(0, 3) / power;
      this.best[k] = misfit;
      this.bestX[k] = this.xs[k];
      this.bestY[k] = this.ys[k];
      this.normal.set([scale * free(1, 1), scale * free(1, 2), scale * free(2, 2), free(1, 3), free(2, 3)], 5 * k);
      this.damping[k] = Math.max(LEAST_DAMPING, this.damping[k] / 5);
    } else {
      this.damping[k] = Math.min(MOST_DAMPING, Math.max(10 * FIRST_DAMPING, this.damping[k] * 8));
    }
    this.step(k);
  }

  /** The best places so far, and the sums of the misfits there and where the search began. */
  result(): { xs: Float64Array; ys: Float64Array; misfit: number; misfitBefore: number } {
    const sum = (values: Float64Array) => values.reduce((s, v) => s + (Number.isFinite(v) ? v : 0), 0);
    return { xs: this.bestX.slice(), ys: this.bestY.slice(), misfit: sum(this.best), misfitBefore: sum(this.first) };
  }

  private step(k: number): void {
    const [xx, xy, yy, gx, gy] = this.normal.subarray(5 * k, 5 * k + 5);
    const damped = 1 + this.damping[k];
    const determinant = xx * damped * yy * damped - xy * xy;
    // A pattern without structure along some direction says nothing about its place.
    if (!(determinant > 1e-12 * xx * yy)) return;
    const dx = -(yy * damped * gx - xy * gy) / determinant;
    const dy = -(xx * damped * gy - xy * gx) / determinant;
    const shrink = Math.min(1, LONGEST_STEP_PX / Math.hypot(dx, dy)) || 0;
    this.xs[k] = this.bestX[k] + shrink * dx;
    this.ys[k] = this.bestY[k] + shrink * dy;
  }
}
