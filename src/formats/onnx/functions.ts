/**
 * Functions of one number whose operator is not right over the whole range of float32 on some engine, made of operators that are: sums,
 * products, quotients, roundings and eˣ. What an engine's own operator gets wrong is said at each.
 *
 * @example
 * const y = softplus(g, x); // of −27: 1.9e-12
 */
import { type Emitter, ONNX_FLOAT } from './model.js';

/** a₀ + a₁·t + a₂·t² + … */
function polynomial(g: Emitter, t: string, coefficients: readonly number[]): string {
  const [highest, ...lower] = [...coefficients].reverse().map((c) => g.float(c));
  return lower.reduce((sum, c) => g.op('Add', [g.op('Mul', [sum, t]), c]), highest);
}

function between(g: Emitter, x: string, low: number, high: number): string {
  return g.op('Min', [g.op('Max', [x, g.float(low)]), g.float(high)]);
}

const plus = (g: Emitter, x: string, value: number) => g.op('Add', [x, g.float(value)]);
const times = (g: Emitter, x: string, value: number) => g.op('Mul', [x, g.float(value)]);

/**
 * 1/(1 + e⁻ˣ). ONNX Runtime's own is 0 below −18 on the processor, where a head that has come there would have no gradient to come back by.
 * No quotient of 1: ONNX Runtime fuses 1/a · 1/b with what uses 1/a besides, and then refuses the model.
 */
export function sigmoid(g: Emitter, x: string): string {
  return g.op('Reciprocal', [plus(g, g.op('Exp', [g.op('Neg', [x])]), 1)]);
}

/** Of 2·artanh z = 2z·(1 + z²/3 + z⁴/5 + …): for z² ≤ 1/9 what is left out is 1.4e-8 of the sum. */
const ARTANH = [1, 3, 5, 7, 9, 11, 13].map((odd) => 2 / odd);

/** log(1 + x) for −½ ≤ x ≤ 1: 2·artanh(x/(2 + x)). */
function logNearOne(g: Emitter, x: string): string {
  const z = g.op('Div', [x, plus(g, x, 2)]);
  return g.op('Mul', [z, polynomial(g, g.op('Mul', [z, z]), ARTANH)]);
}

/** log(1 + x), to its last digits where x is small: there 1 + x has lost them. */
export function log1p(g: Emitter, x: string): string {
  const sum = plus(g, x, 1);
  // One of the two is 1, and both for −½ ≤ x ≤ 1, so that the logarithm has no part in it there.
  const above = g.op('Max', [times(g, sum, 0.5), g.float(1)]);
  const below = g.op('Min', [times(g, sum, 2), g.float(1)]);
  const far = g.op('Log', [g.op('Mul', [above, below])]);
  return g.op('Add', [logNearOne(g, between(g, x, -0.5, 1)), far]);
}

/** log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|). GPUs have log(eˣ + 1): 0 below −17. */
export function softplus(g: Emitter, x: string): string {
  const decay = g.op('Exp', [g.op('Neg', [g.op('Abs', [x])])]);
  return g.op('Add', [g.op('Relu', [x]), logNearOne(g, decay)]);
}

/** tanh of what lies beyond ±½, where GPUs lose digits no more. */
const NEAR = 0.5;

/**
 * tanh x, to its last digits near 0, where those of GPUs are right to 6e-8 of 1 only: tanh(c + d) = (tanh c + tanh d)/(1 + tanh c · tanh d)
 * with |c| ≤ ½, whose tanh is the fourth convergent of Lambert's continued fraction (within 4e-8), and d = 0 for |x| ≤ ½.
 */
export function tanh(g: Emitter, x: string): string {
  const c = between(g, x, -NEAR, NEAR);
  const square = g.op('Mul', [c, c]);
  const near = g.op('Div', [g.op('Mul', [c, polynomial(g, square, [105, 10])]), polynomial(g, square, [105, 45, 1])]);
  const far = g.op('Tanh', [g.op('Sub', [x, c])]);
  return g.op('Div', [g.op('Add', [near, far]), plus(g, g.op('Mul', [near, far]), 1)]);
}

/** Taylor's series, y¹¹ and y¹² the last: for |y| ≤ π/2 what is left out is below 6e-8, for |y| ≤ 2 below 1.4e-6. */
const SINE = [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800];
const COSINE = [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600];
/** π in parts of 8 and 12 binary digits, and the rest, so that half turns are subtracted exactly. */
const HALF_TURN = [3.140625, 9.675025939941406e-4, 1.509957990978e-7] as const;

/**
 * More than what is left of half turns: of large numbers x/π is rounded, so that it may be told of the wrong side and be a little more than
 * π/2. There cosines pass through 0 at full slope; cut at π/2 they were wrong by 1e-4 at 6,500.
 */
const MOST_LEFT = 2;

/**
 * sin x or cos x. Those of GPUs have four digits. Within 4e-7 for |x| up to 10⁴, and within ±1 of any x. (Of 10⁶ the numbers of float32
 * are a sixteenth apart, so no phase should be so large.)
 */
export function wave(g: Emitter, x: string, of: 'sin' | 'cos'): string {
  const half = g.op('Floor', [plus(g, times(g, x, 1 / Math.PI), 0.5)]);
  const less = HALF_TURN.reduce((rest, part) => g.op('Sub', [rest, times(g, half, part)]), x);
  const y = between(g, less, -MOST_LEFT, MOST_LEFT);
  const square = g.op('Mul', [y, y]);
  const even = polynomial(g, square, of === 'sin' ? SINE : COSINE);
  // After an odd number of half turns both have the other sign.
  const turns = times(g, half, 0.5);
  const sign = plus(g, times(g, g.op('Sub', [turns, g.op('Floor', [turns])]), -4), 1);
  return g.op('Mul', [sign, of === 'sin' ? g.op('Mul', [y, even]) : even]);
}

/** −1, 0 or 1, of two comparisons. */
export function sign(g: Emitter, x: string): string {
  const larger = (a: string, b: string) => g.op('Cast', [g.op('Greater', [a, b])], { to: ONNX_FLOAT });
  return g.op('Sub', [larger(x, g.float(0)), larger(g.float(0), x)]);
}
