/** Products of a kept batch; see `FieldEngine.products` and `FieldEngine.moves`. */
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import { type ComplexNode, intensity, multiply } from '../../model/complex.js';
import { keptWaves, passInputs, patchesInput } from './passProgram.js';
import { against, minus, realAgainst, rowSums, scaled, shiftedProbe, type WaveSizes } from './waves.js';

/** `sums` (batch, 6, N): the products of A = δO·P and B = δP·O by rows; `probe` is fed δP, `direction` δO. */
export function productsProgram(sizes: WaveSizes): Program {
  const { batch, N, modes } = sizes;
  const kept = keptWaves(sizes);
  const { object, probe: direction, shifts } = passInputs(sizes);
  const a = multiply(patchesInput('direction', batch, N), kept.probe);
  const b = multiply(object, shiftedProbe(direction, shifts, sizes));
  const cross = against(b, a);
  const sums = rowSums([
    intensity(a),
    intensity(b),
    cross.re,
    cross.im,
    realAgainst(a, kept.change),
    realAgainst(b, kept.change),
  ]);
  return defineProgram({ name: `solver_products_${batch}x${modes}x${N}`, outputs: { sums }, state: kept.nodes });
}

/** `sums` (batch, 5, N): the products of Y = ∂O/∂y·P and X = ∂O/∂x·P by rows; `surroundings` has one pixel more on every side. */
export function movesProgram(sizes: WaveSizes): Program {
  const { batch, N, modes } = sizes;
  const kept = keptWaves(sizes);
  const around = patchesInput('surroundings', batch, N + 2);
  const cut = (row: number, column: number): ComplexNode => {
    const part = (x: ComplexNode['re']) => op.slice(x, [0, row, 0, column], [batch, N, 1, N]);
    return { re: part(around.re), im: part(around.im) };
  };
  const y = multiply(scaled(minus(cut(2, 1), cut(0, 1)), 0.5), kept.probe);
  const x = multiply(scaled(minus(cut(1, 2), cut(1, 0)), 0.5), kept.probe);
  const sums = rowSums([
    intensity(y),
    intensity(x),
    realAgainst(x, y),
    realAgainst(y, kept.change),
    realAgainst(x, kept.change),
  ]);
  return defineProgram({ name: `solver_moves_${batch}x${modes}x${N}`, outputs: { sums }, state: kept.nodes });
}
