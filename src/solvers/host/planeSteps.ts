/**
 * Arithmetic on whole planes as a list of steps, of which each thread does its own part of every plane. Nothing of a step depends on
 * another part, so that the result is the same whoever does it and however many there are.
 *
 * @example
 * const steps: PlaneStep[] = [['addPlane', part.at, sum.at, length], ['largest', sum.at, length]];
 * const most = runSteps(kernels, steps, { part: 0, of: 1 });
 */
import type { Kernels } from './kernels.js';

/** The kernels, with their arguments; the last is the length of the planes. */
export type PlaneStep = readonly [op: keyof typeof OPS, ...args: number[]];

/** Which part of every plane. */
export interface Share {
  readonly part: number;
  readonly of: number;
}

type Work = (kernels: Kernels, args: readonly number[], bytes: number, length: number) => number | undefined;

const silent =
  (work: (...args: Parameters<Work>) => void): Work =>
  (...args) => {
    work(...args);
    return undefined;
  };

/** Kernels on a part that begins `bytes` into each plane. */
const OPS = {
  addPlane: silent((k, [part, sum], at, n) => k.addPlane(part + at, sum + at, n)),
  addScaled: silent((k, [step, gain, field], at, n) => k.addScaled(step + at, gain, field + at, n)),
  divideByRoot: silent((k, [re, im, by, b], at, n) => k.divideByRoot(re + at, im + at, by + at, b, n)),
  divideStep: silent((k, [re, im, by, a, b, gain, fieldRe, fieldIm], at, n) =>
    k.divideStep(re + at, im + at, by + at, a, b, gain, fieldRe && fieldRe + at, fieldIm && fieldIm + at, n),
  ),
  largest: ((k, [plane], at, n) => k.largest(plane + at, n)) as Work,
};

const NAMES = Object.keys(OPS) as (keyof typeof OPS)[];

/** Parts begin at whole cache lines. */
const LINE = 16;

/** Answers the largest value that steps found, 0 where none looked. */
export function runSteps(kernels: Kernels, steps: readonly PlaneStep[], { part, of }: Share): number {
  let most = 0;
  for (const [op, ...args] of steps) {
    const length = args[args.length - 1];
    const edge = (i: number) => (i === of ? length : LINE * Math.floor((length * i) / of / LINE));
    const [from, end] = [edge(part), edge(part + 1)];
    if (end > from) most = Math.max(most, OPS[op](kernels, args, 4 * from, end - from) ?? 0);
  }
  return most;
}

/** Pixels of all planes that steps go over. */
export const stepPixels = (steps: readonly PlaneStep[]): number =>
  steps.reduce((sum, step) => sum + (step[step.length - 1] as number), 0);

/** Steps as numbers: their count, then each as its kernel, the number of its arguments, and these. */
export function writeSteps(steps: readonly PlaneStep[], out: Float64Array): void {
  let next = 0;
  out[next++] = steps.length;
  for (const [op, ...args] of steps) {
    out[next++] = NAMES.indexOf(op);
    out[next++] = args.length;
    for (const arg of args) out[next++] = arg;
  }
}

/** The reverse of {@link writeSteps}. */
export function readSteps(from: Float64Array): PlaneStep[] {
  let next = 1;
  return Array.from({ length: from[0] }, (): PlaneStep => {
    const [op, count] = [NAMES[from[next]], from[next + 1]];
    next += 2 + count;
    return [op, ...from.subarray(next - count, next)];
  });
}

/** Steps of one question, and numbers that {@link writeSteps} needs for them. */
export const STEPS_AT_ONCE = 64;
export const STEP_NUMBERS = 1024;
