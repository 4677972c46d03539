/**
 * Functions of one number over the whole range of float32, beside the same in float64: forward, and their slopes as programs have them.
 *
 * @example
 * await expectWholeRange(backend);
 */
import { expect } from 'vitest';
import type { Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';

type Function = (x: number) => number;

/** What of a backend is asked. */
export interface Ranging {
  compile(program: Program): Promise<{
    run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
    dispose(): Promise<void>;
  }>;
}

interface RangeCase {
  readonly build: (x: GraphNode) => GraphNode;
  readonly exact: Function;
  /** Left out: nothing is asked of the slope. */
  readonly slope?: Function;
  /** Where it is asked; everywhere where left out. */
  readonly domain?: (x: number) => boolean;
  /** What may be wrong whatever the value is; nothing where left out. */
  readonly absolute?: Function;
  /** Made of eˣ, whose relative error may grow with |x| on GPUs (WGSL: by two units in the last place for each). */
  readonly exponential?: boolean;
}

const sigma: Function = (x) => 1 / (1 + Math.exp(-x));
const bell: Function = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
/** The distribution function of the normal distribution: a series inside, a continued fraction outside. */
const phi: Function = (x) => {
  const z = Math.abs(x);
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; n < 60; n++) {
      term *= (z * z) / (2 * n + 1);
      sum += term;
    }
    return 0.5 + Math.sign(x) * sum * bell(z);
  }
  let rest = 0;
  for (let k = 60; k >= 1; k--) rest = k / (z + rest);
  const tail = bell(z) / (z + rest);
  return x > 0 ? 1 - tail : tail;
};

const ofOne = (value: number) => () => value;
const ranges: Readonly<Record<string, RangeCase>> = {
  exp: { build: op.exp, exact: Math.exp, slope: Math.exp, exponential: true },
  log: { build: op.log, exact: Math.log, slope: (x) => 1 / x, domain: (x) => x > 0 },
  log1p: { build: op.log1p, exact: Math.log1p, slope: (x) => 1 / (1 + x), domain: (x) => x > -1 },
  sqrt: { build: op.sqrt, exact: Math.sqrt, slope: (x) => 0.5 / Math.sqrt(x), domain: (x) => x > 0 },
  square: { build: op.square, exact: (x) => x * x, slope: (x) => 2 * x },
  abs: { build: op.abs, exact: Math.abs, slope: Math.sign },
  neg: { build: op.neg, exact: (x) => -x },
  sign: { build: op.sign, exact: Math.sign },
  step: { build: op.step, exact: (x) => (Math.sign(x) + 1) / 2 },
  relu: { build: op.relu, exact: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0) },
  hat: { build: op.hat, exact: (x) => Math.max(0, 1 - Math.abs(x)) },
  maximum: { build: (x) => op.maximum(x, 1e-30), exact: (x) => Math.max(x, 1e-30) },
  greater: { build: (x) => op.greater(x, 1e-30), exact: (x) => (x > Math.fround(1e-30) ? 1 : 0) },
  sigmoid: { build: op.sigmoid, exact: sigma, slope: (x) => sigma(x) * sigma(-x), exponential: true },
  silu: {
    build: op.silu,
    exact: (x) => x * sigma(x),
    slope: (x) => sigma(x) * (1 + x * sigma(-x)),
    // Beside its minimum the slope is a difference; far below 0 both are x times a sigmoid that may be taken for 0.
    absolute: (x) => (x > -2 && x < -1 ? 1e-7 : SMALLEST * Math.abs(x)),
    exponential: true,
  },
  softplus: {
    build: op.softplus,
    exact: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    slope: sigma,
    exponential: true,
  },
  tanh: { build: op.tanh, exact: Math.tanh, slope: (x) => 1 / Math.cosh(x) ** 2, exponential: true },
  atan: { build: op.atan, exact: Math.atan, slope: (x) => 1 / (1 + x * x) },
  sin: { build: op.sin, exact: Math.sin, slope: Math.cos, domain: (x) => Math.abs(x) < 1e4, absolute: ofOne(5e-7) },
  cos: {
    build: op.cos,
    exact: Math.cos,
    slope: (x) => -Math.sin(x),
    domain: (x) => Math.abs(x) < 1e4,
    absolute: ofOne(5e-7),
  },
  // As everywhere that computes it in float32, right to 1e-7 of 1: 1 + erf loses the digits of its tail.
  gelu: {
    build: op.gelu,
    exact: (x) => x * phi(x),
    slope: (x) => phi(x) + x * bell(x),
    domain: (x) => Math.abs(x) < 1e38,
    absolute: (x) => 3e-7 * Math.max(1, Math.min(Math.abs(x), 10)),
  },
  'one over x': { build: (x) => op.div(1, x), exact: (x) => 1 / x, domain: (x) => x !== 0 },
  'x over a third': { build: (x) => op.div(x, 1 / 3), exact: (x) => x / Math.fround(1 / 3) },
};

/**
 * Every power of 2 of float32 that is no subnormal number, and a third more, of both signs; steps between ±110, where tails end; numbers just
 * before and behind odd quarters of a turn, where a cosine is next to 0 and the count of half turns changes.
 */
const values: Float32Array = Float32Array.from([
  0,
  ...Array.from({ length: 2 * 253 }, (_, i) => (1 + (i % 2) / 3) * 2 ** (Math.floor(i / 2) - 126)).flatMap((x) => [
    x,
    -x,
  ]),
  ...Array.from({ length: 600 }, (_, i) => 0.367 * (i - 300)),
  ...Array.from(
    { length: 400 },
    (_, i) => (i % 2 === 0 ? 1 : -1) * (8 * i - 0.5) * Math.PI * (1 + ((i % 5) - 2) * 2 ** -24),
  ),
]);
/** Engines may take smaller numbers for 0; results that are larger than float32 are not asked for. */
const SMALLEST = 1.2e-37;
const LARGEST = 3e38;
const RELATIVE = 1e-6;

/**
 * Every function at every number.
 * @param gpu allows what WGSL allows of eˣ and of logarithms near 0
 */
export async function expectWholeRange(backend: Ranging, gpu = false): Promise<void> {
  const x = op.input('x', [values.length]);
  const outputs: Record<string, GraphNode> = {};
  for (const [name, { build, slope }] of Object.entries(ranges)) {
    outputs[name] = build(x);
    if (slope) [outputs[`slope of ${name}`]] = gradients(op.reduceSum(outputs[name]), [x]);
  }
  const compiled = await backend.compile(defineProgram({ name: 'ranges', outputs }));
  const found = await compiled.run({ x: { data: values, shape: [values.length] } });
  await compiled.dispose();
  const wrong: string[] = [];
  const compare = (name: string, of: RangeCase, exact: Function) => {
    let asked = 0;
    values.forEach((v, i) => {
      if (!(of.domain?.(v) ?? true) || Math.abs(exact(v)) > LARGEST) return;
      asked++;
      const relative = RELATIVE + (gpu && of.exponential ? 2.4e-7 * Math.min(Math.abs(v), 110) : 0);
      const absolute = Math.max(SMALLEST, of.absolute?.(v) ?? 0, gpu && name === 'log' ? 5e-7 : 0);
      const difference = Math.abs(found[name].data[i] - exact(v));
      if (!(difference <= absolute + relative * Math.abs(exact(v))))
        wrong.push(`${name} of ${v}: ${found[name].data[i]}, not ${exact(v)}`);
    });
    expect(asked, name).toBeGreaterThan(500);
  };
  for (const [name, of] of Object.entries(ranges)) {
    compare(name, of, of.exact);
    if (of.slope) compare(`slope of ${name}`, of, of.slope);
  }
  expect(wrong.slice(0, 20)).toEqual([]);
  for (const name of ['sin', 'cos']) expect(Math.max(...found[name].data.map(Math.abs)), name).toBeLessThan(1 + 1e-6);
}
