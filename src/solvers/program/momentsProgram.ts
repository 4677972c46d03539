/** Programs of what only some epochs ask of a batch that was kept: `WavePasses.correlations` and `WavePasses.stretches`. */
import { intensity } from '../../graph/complex.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import { signedFrequency } from '../../physics/fourier.js';
import { derivativesOf, keptWaves, LEAST_FLOOR, passInputs } from './passProgram.js';
import { against, plus, realAgainst, rowSums, scaled, Transform, type WaveSizes } from './waves.js';

/** Share of the largest amplitude of the probe below which a patch does not count. */
const LIT = 0.1;

/** `sums` (batch, 5, N): the products of `WavePasses.correlations` by rows. */
export function correlationsProgram(sizes: WaveSizes): Program {
  const { batch, N, modes } = sizes;
  const kept = keptWaves(sizes);
  const object = passInputs(sizes).object[kept.middle];
  const [incoming, change] = [kept.incoming(kept.middle), kept.change(kept.middle)];
  const overModes = (x: GraphNode) => op.reshape(op.reduceSum(x, [2]), [batch, N, 1, N]);
  const light = overModes(intensity(incoming));
  const most = op.reshape(op.reduceMax(light, [1, 2, 3]), [batch, 1, 1, 1]);
  const lit = op.greater(op.sub(light, op.mul(most, LIT * LIT)), 0);
  const step = against(incoming, change);
  const divided = (x: GraphNode) => op.div(overModes(x), op.add(most, LEAST_FLOOR));
  const transform = new Transform({ batch, N, modes: 1 });
  const wanted = plus(object, { re: divided(step.re), im: divided(step.im) });
  const [r, q] = [object, wanted].map((field) => transform.parts(transform.forward(scaled(field, lit))));
  const cross = against(r, q);
  const frequencies = Float32Array.from({ length: N }, (_, k) =>
    2 * k === N ? 0 : (2 * Math.PI * signedFrequency(k, N)) / N,
  );
  const y = op.constant(frequencies, [1, N, 1, 1], 'frequencies of rows');
  const x = op.constant(frequencies, [1, 1, 1, N], 'frequencies of columns');
  const terms = [
    op.mul(op.mul(cross.re, y), y),
    op.mul(op.mul(cross.re, x), x),
    op.mul(op.mul(cross.re, y), x),
    op.mul(cross.im, y),
    op.mul(cross.im, x),
  ];
  const sums = rowSums(terms, sizes);
  return defineProgram({ name: `solver_correlations_${batch}x${modes}x${N}`, outputs: { sums }, state: kept.nodes });
}

/** `sums` (patterns, 24, N), in parts: those of `WavePasses.stretches`. */
export function stretchesProgram(sizes: WaveSizes): Program {
  const { batch, N, modes } = sizes;
  const { y, x, change, nodes } = derivativesOf(sizes);
  const places = Float32Array.from({ length: N }, (_, i) => i - Math.floor(N / 2));
  const u = op.constant(places, [1, N, 1, 1], 'places in a column');
  const v = op.constant(places, [1, 1, 1, N], 'places in a row');
  const first = (s: GraphNode) => [s, op.mul(s, u), op.mul(s, v)];
  const second = (s: GraphNode) => {
    const [one, alongU, alongV] = first(s);
    return [one, alongU, alongV, op.mul(alongU, u), op.mul(alongU, v), op.mul(alongV, v)];
  };
  const terms = [
    ...[intensity(y), realAgainst(y, x), intensity(x)].flatMap(second),
    ...[realAgainst(y, change), realAgainst(x, change)].flatMap(first),
  ];
  const name = `solver_stretches_${batch}x${modes}x${N}`;
  return defineProgram({ name, outputs: { sums: rowSums(terms, sizes) }, state: nodes });
}
