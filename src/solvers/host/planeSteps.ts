/**
 * Arithmetic on whole planes as a list of steps, of which each thread does its own part of every plane. Nothing of a step depends on
 * another part, so that the result is the same whoever does it and however many there are.
 *
 * @example
 * const steps: PlaneStep[] = [['addPlane', part.at, sum.at, length], ['largest', sum.at, length]];
 * const most = runSteps(kernels, steps, { part: 0, of: 1 });
 */
import type { Kernels } from './kernels.js';

/** The kernels, with their arguments; the last is the length of the planes, and before it stands, where an op is of a range, where that begins and ends. */
export type PlaneStep = readonly [op: keyof typeof OPS, ...args: number[]];

/** Which part of every plane. */
export interface Share {
  readonly part: number;
  readonly of: number;
}

type Work = (kernels: Kernels, args: readonly number[], bytes: number, length: number) => number | undefined;

/** A kernel on a part that begins `bytes` into each plane, and which of its arguments are addresses of planes. */
interface Op {
  readonly planes: readonly number[];
  readonly work: Work;
}

const silent = (planes: readonly number[], work: (...args: Parameters<Work>) => void): Op => ({
  planes,
  work: (...args) => {
    work(...args);
    return undefined;
  },
});

const OPS = {
  addPlane: silent([0, 1], (k, [part, sum], at, n) => k.addPlane(part + at, sum + at, n)),
  addRange: silent([0, 1], (k, [part, sum], at, n) => k.addPlane(part + at, sum + at, n)),
  copyRange: silent([0, 1], (k, [part, sum], at, n) => k.copyPlane(part + at, sum + at, n)),
  clearRange: silent([0], (k, [sum], at, n) => k.clear(sum + at, n)),
  addScaled: silent([0, 2], (k, [step, gain, field], at, n) => k.addScaled(step + at, gain, field + at, n)),
  divideByRoot: silent([0, 1, 2], (k, [re, im, by, b], at, n) => k.divideByRoot(re + at, im + at, by + at, b, n)),
  divideStep: silent([0, 1, 2, 6, 7], (k, [re, im, by, a, b, gain, fieldRe, fieldIm], at, n) =>
    k.divideStep(re + at, im + at, by + at, a, b, gain, fieldRe && fieldRe + at, fieldIm && fieldIm + at, n),
  ),
  largest: { planes: [0], work: (k, [plane], at, n) => k.largest(plane + at, n) },
} satisfies Record<string, Op>;

const NAMES = Object.keys(OPS) as (keyof typeof OPS)[];

/** Parts begin at whole cache lines. */
const LINE = 16;

/** Of a plane of which each thread does its own part as ever, so that ranges of one plane may be worked on in turn. */
const ofRange = (op: string): boolean => op.endsWith('Range');

function rangeOf([op, ...args]: PlaneStep): readonly [from: number, end: number] {
  return ofRange(op) ? [args[args.length - 3], args[args.length - 2]] : [0, args[args.length - 1]];
}

/** Answers the largest value that steps found, 0 where none looked. */
export function runSteps(kernels: Kernels, steps: readonly PlaneStep[], { part, of }: Share): number {
  let most = 0;
  for (const step of steps) {
    const [op, ...args] = step;
    const length = args[args.length - 1];
    const edge = (i: number) => (i === of ? length : LINE * Math.floor((length * i) / of / LINE));
    const [first, last] = rangeOf(step);
    const [from, end] = [Math.max(first, edge(part)), Math.min(last, edge(part + 1))];
    if (end > from) most = Math.max(most, (OPS[op] as Op).work(kernels, args, 4 * from, end - from) ?? 0);
  }
  return most;
}

/** Whether two steps touch the same memory by parts that are not the same: they cannot be done without waiting for all threads in between. */
export function collide(a: PlaneStep, b: PlaneStep): boolean {
  const lengths = [a, b].map((step) => step[step.length - 1] as number);
  if (lengths[0] === lengths[1]) return false;
  const [ofA, ofB] = [a, b].map(([op, ...args]) => (OPS[op] as Op).planes.map((i) => args[i]).filter((at) => at > 0));
  return ofA.some((at) => ofB.some((to) => at < to + 4 * lengths[1] && to < at + 4 * lengths[0]));
}

/** Pixels of all planes that steps go over. */
export const stepPixels = (steps: readonly PlaneStep[]): number =>
  steps.reduce((sum, step) => {
    const [from, end] = rangeOf(step);
    return sum + end - from;
  }, 0);

/** Elements of a plane that hold something. */
export interface Range {
  readonly from: number;
  readonly end: number;
}

/**
 * total = the sum of the parts, of which each holds something in one range only; outside it may be anything.
 * @param total itself one of the parts: the first
 * @param parts addresses, in the order of where their ranges begin
 */
export function rangeSteps(
  total: { readonly at: number; readonly range: Range },
  parts: readonly { readonly at: number; readonly range: Range }[],
  length: number,
): PlaneStep[] {
  const steps: PlaneStep[] = [];
  const clear = (from: number, end: number) => {
    if (end > from) steps.push(['clearRange', total.at, from, end, length]);
  };
  clear(0, total.range.from);
  // Up to here, from where the first range begins, the total holds something.
  let held = total.range.end;
  for (const { at, range } of parts) {
    if (range.end <= range.from) continue;
    clear(held, range.from);
    const both = Math.min(held, range.end);
    if (both > range.from) steps.push(['addRange', at, total.at, range.from, both, length]);
    const begin = Math.max(held, range.from);
    if (range.end > begin) steps.push(['copyRange', at, total.at, begin, range.end, length]);
    held = Math.max(held, range.end);
  }
  clear(held, length);
  return steps;
}

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
