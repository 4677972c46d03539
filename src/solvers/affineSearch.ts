/**
 * Scale, asymmetry and shear of a scan by trial: short runs from an empty object at several values, judged by patterns that they learned from and
 * patterns that they did not.
 *
 * Neither misfit alone tells the scale. A larger scan has more pixels of the object to fit noise with, so that the misfit of the patterns
 * that were fitted is least where the scan is too large, and that of held-out patterns, which noise in the object harms, where it is too
 * small: with the share h of the freedom that a pattern takes, the first is σ²(1 − h) and the second σ²/(1 − h). Their product has no h.
 * And amplitudes are no measure of few counts, because E√I < √J: the deviance of Poisson statistics is taken.
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import { integers } from '../core/numbers.js';
import type { AffineFreedom, Matrix2 } from './corrections/affine.js';
import type { LoadedScan } from './scan.js';
import type { SolverUpdate } from './updates.js';

/** One short run of a scan in memory. */
export type TrialRun = (
  loaded: LoadedScan,
  options: SolverOptions,
  heldOut: Int32Array,
) => AsyncGenerator<SolverUpdate, void, void>;

/** Epochs of a trial. */
const EPOCHS = 20;
/** Every so manieth pattern is held out. */
const HELD = 10;
/** Between values that are tried. */
const STEP = 0.012;
/** The farthest value that is tried. */
const REACH = 0.05;

/**
 * The change of positions about their mean that explains the patterns best.
 * @param rows of the patterns that object and probe may learn from
 * @param options of the run; the trials have those that say what object and probe are
 */
export async function searchAffine(
  loaded: LoadedScan,
  options: SolverOptions,
  { rows, freedom }: { readonly rows: Int32Array; readonly freedom: readonly AffineFreedom[] },
  run: TrialRun,
): Promise<Matrix2> {
  const held = rows.filter((_, i) => i % HELD === HELD >> 1);
  const learned = rows.filter((_, i) => i % HELD !== HELD >> 1);
  if (held.length === 0) return [1, 0, 0, 1];
  const taught = new Set(learned);
  const others = integers(loaded.scan.count).filter((k) => !taught.has(k));
  const trial: SolverOptions = {
    ...options,
    ...{ algorithm: 'lsqml', epochs: EPOCHS, noise_model: 'gaussian', momentum: 0, acceleration: null, batching: null },
    ...{ batch_size: null, object_step: null, probe_step: null, object_regularisation: null },
    ...{ object_start: 1, object_stop: null, object_stride: 1, ml_start: null, progressive_levels: 1 },
    ...{ affine: false, position_start: null, opr_modes: 0, flux: false },
  };
  const found = { scale: 0, asymmetry: 0, shear: 0 };
  const at = ({ scale, asymmetry, shear }: typeof found): Matrix2 => [
    (1 + scale) * (1 + asymmetry / 2),
    0,
    (1 + scale) * (1 - asymmetry / 2) * shear,
    (1 + scale) * (1 - asymmetry / 2),
  ];
  const judge = async (values: typeof found): Promise<number> => {
    let score = Number.NaN;
    for await (const update of run(placed(loaded, at(values)), trial, others)) {
      if (update.epoch < update.epochs) continue;
      const [fitted, unseen] = [await update.deviances(learned), await update.deviances(held)];
      score = Math.log(mean(fitted)) + Math.log(mean(unseen));
    }
    return score;
  };
  for (const part of ['scale', 'asymmetry', 'shear'] as const) {
    if (!freedom.includes(part)) continue;
    found[part] = await lowest((value) => judge({ ...found, [part]: value }));
  }
  return at(found);
}

/** Where a function of one value that falls and rises is least: three values, more beyond the lowest while it is at an end, and a parabola. */
export async function lowest(judge: (value: number) => Promise<number>): Promise<number> {
  const scores = new Map<number, number>();
  const ask = async (i: number) => scores.set(i, await judge(i * STEP));
  for (const i of [-1, 0, 1]) await ask(i);
  const best = () => [...scores].reduce((a, b) => (b[1] < a[1] ? b : a))[0];
  for (let i = best(); !(scores.has(i - 1) && scores.has(i + 1)); i = best()) {
    const next = scores.has(i - 1) ? i + 1 : i - 1;
    if (Math.abs(next * STEP) > REACH) return i * STEP;
    await ask(next);
  }
  const i = best();
  const [a, b, c] = [i - 1, i, i + 1].map((k) => scores.get(k)!);
  const bend = a + c - 2 * b;
  return (bend > 0 ? i + (a - c) / (2 * bend) : i) * STEP;
}

const mean = (values: Float64Array): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/** The scan with positions by M about their mean, as far as patches stay on the object's array. */
function placed(loaded: LoadedScan, M: Matrix2): LoadedScan {
  const copied = (values: Float64Array) => {
    const out = new Float64Array(new SharedArrayBuffer(8 * values.length));
    out.set(values);
    return out;
  };
  const { N } = loaded.scan;
  const [ys, xs] = [copied(loaded.scan.ys), copied(loaded.scan.xs)];
  const { height, width } = loaded.frame;
  const [cy, cx] = [mean(ys), mean(xs)];
  const within = (at: number, side: number) => Math.min(side - N / 2 - 1, Math.max(N / 2 + 1, at));
  for (let k = 0; k < ys.length; k++) {
    const [y, x] = [ys[k] - cy, xs[k] - cx];
    ys[k] = within(M[0] * y + M[1] * x + cy, height);
    xs[k] = within(M[2] * y + M[3] * x + cx, width);
  }
  return { ...loaded, scan: { ...loaded.scan, ys, xs } };
}
