/** A small gradient that an engine must get right before it is trusted: packages load and compute nonsense. */
import { gradients } from '../../graph/gradients.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Arrays } from '../worker/protocol.js';

/** A wave of `n` values between −1 and 1. */
function wave(n: number, frequency: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: n }, (_, i) => Math.sin(frequency * (i + 1)));
}

/** Convolution, pooling, doubling, a matrix product, and the gradient of all that with respect to two kernels. */
export function smokeProgram(): { readonly program: Program; readonly feeds: Arrays } {
  const x = op.input('x', [2, 2, 4, 4]);
  const w1 = op.input('w1', [3, 2, 3, 3]);
  const w2 = op.input('w2', [2, 3, 3, 3]);
  const hidden = op.maxPool2(op.tanh(op.conv2d(x, w1)));
  const y = op.upConv2d(hidden, w2);
  const loss = op.reduceMean(op.square(op.sub(op.matmul(y, op.transposeLast(y)), x)));
  const [d1, d2] = gradients(loss, [w1, w2]);
  const program = defineProgram({ name: 'smoke test', outputs: { loss, d1, d2 } });
  return { program, feeds: { x: wave(64, 0.7), w1: wave(54, 1.3), w2: wave(54, 2.1) } };
}

/** Loss and sums of squared gradients, computed in double precision. */
export const smokeExpected = { loss: 1309.1438086, d1: 6922.2742209, d2: 5561386.5906 } as const;

/** What is wrong with an engine's results, or undefined. */
export function smokeFault(results: Arrays): string | undefined {
  const found = {
    loss: results.loss?.[0] ?? Number.NaN,
    d1: squares(results.d1 ?? []),
    d2: squares(results.d2 ?? []),
  };
  for (const name of ['loss', 'd1', 'd2'] as const) {
    const expected = smokeExpected[name];
    // Not `> tolerance`: NaN must fail too. Wide enough for GPUs that multiply with fewer digits.
    if (!(Math.abs(found[name] - expected) <= 1e-2 * Math.abs(expected))) {
      return `its smoke test gave ${name} = ${found[name].toPrecision(6)} instead of ${expected.toPrecision(6)}`;
    }
  }
  return undefined;
}

/** Σ v². */
export function squares(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ** 2;
  return sum;
}
