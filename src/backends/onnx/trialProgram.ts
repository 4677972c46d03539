/**
 * A small network that an accelerator must get right before it is trusted: every family of operators, gradients, and state that one step
 * leaves to the next. Whole networks have been wrong on engines that have each operator right.
 */
import { type Shape, sizeOf } from '../../core/tensor.js';
import { gradients } from '../../graph/gradients.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Arrays } from '../worker/host.js';

const SIDE = 20;
const BATCH = 2;
/** Shapes that are lowered in different ways. */
const SHAPES: Readonly<Record<string, Shape>> = {
  wide: [16, 2, 3, 3],
  narrow: [6, 16, 3, 3],
  small: [6, 6, 3, 3],
  up: [5, 6, 3, 3],
  point: [2, 5, 1, 1],
  bias: [5],
  mixing: [SIDE, SIDE],
};

/** The step, what it is fed, and the state that it begins from. */
export interface Trial {
  readonly program: Program;
  readonly feeds: Arrays;
  readonly state: Arrays;
  readonly shapes: Readonly<Record<string, Shape>>;
}

export function trialOf(): Trial {
  const x = op.input('x', [BATCH, 2, SIDE, SIDE]);
  const rate = op.input('rate', []);
  const w = Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [name, op.state(name, shape)]));
  const first = op.relu(op.conv2d(op.conv2d(x, w.wide), w.narrow));
  const inner = op.silu(op.conv2d(op.maxPool2(first), w.small));
  const doubled = op.upsampleNearest2(op.tanh(op.reduceMax(inner, [1], true)));
  const outer = op.conv2d(op.sigmoid(op.upConv2d(inner, w.up, w.bias)), w.point);
  const mixed = op.matmul(op.add(outer, op.broadcast(doubled, outer.shape)), op.transposeLast(w.mixing));
  const [re, im] = [
    op.slice(mixed, [0, 0, 0, 0], [BATCH, 1, SIDE, SIDE]),
    op.slice(mixed, [0, 1, 0, 0], [BATCH, 1, SIDE, SIDE]),
  ];
  const turned = op.concat([op.mul(op.cos(im), re), op.mul(op.sin(im), op.sqrt(op.add(op.square(re), 0.1)))], 1);
  const framed = op.pad(op.softplus(turned), [0, 0, 1, 1], [0, 0, 1, 1]);
  const light = op.log(op.add(op.exp(op.neg(op.abs(framed))), op.hat(op.maximum(framed, 0.2))));
  const loss = op.add(op.reduceMean(op.square(light)), op.mul(op.reduceMean(op.square(op.sub(mixed, x))), 0.1));
  const names = Object.keys(SHAPES);
  const grads = gradients(
    loss,
    names.map((name) => w[name]),
  );
  const updates: Record<string, GraphNode> = {};
  names.forEach((name, i) => {
    const moment = op.add(op.mul(op.state(`moment/${name}`, SHAPES[name]), 0.9), grads[i]);
    updates[`moment/${name}`] = moment;
    updates[name] = op.sub(w[name], op.mul(moment, rate));
  });
  const program = defineProgram({ name: 'trial', outputs: { loss, image: mixed }, updates });
  const state: Arrays = {};
  const shapes: Record<string, Shape> = {};
  names.forEach((name, k) => {
    const size = sizeOf(SHAPES[name]);
    state[name] = Float32Array.from({ length: size }, (_, i) => 0.3 * Math.sin(1.3 * (i + 1) + k));
    state[`moment/${name}`] = new Float32Array(size);
    shapes[name] = shapes[`moment/${name}`] = SHAPES[name];
  });
  // In steps, so that pixels of a block are as large as each other.
  const pixels = Float32Array.from({ length: sizeOf(x.shape) }, (_, i) => Math.round(3 * Math.sin(0.05 * i)) / 2);
  return { program, feeds: { x: pixels, rate: Float32Array.of(0.05) }, state, shapes };
}

/** ‖a − b‖/‖b‖ of the value that differs most; NaN counts as infinite. */
export function largestDifference(
  found: Arrays,
  expected: Arrays,
): { readonly name: string; readonly relative: number } {
  let worst = { name: '', relative: 0 };
  for (const [name, values] of Object.entries(expected)) {
    let [difference, norm] = [0, 0];
    values.forEach((v, i) => {
      difference += (found[name][i] - v) ** 2;
      norm += v ** 2;
    });
    const relative = Math.sqrt(difference / norm);
    if (!(relative <= worst.relative))
      worst = { name, relative: Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative };
  }
  return worst;
}
