/** The program of `WavePasses.curvatures`. */

import { type ComplexNode, multiply } from '../../graph/complex.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Curvatures, Statistics } from '../wavePasses.js';
import { comparisonOf, passInputs, patchesInput, probesOf, timesFlux, withBackground } from './passProgram.js';
import {
  chosenProbe,
  complexInput,
  type Detector,
  NearDetector,
  plus,
  realAgainst,
  rowSums,
  Transform,
  type WaveSizes,
} from './waves.js';

/** Names of what a direction is fed as. */
export const directionNames = (d: number) => ({ object: `along${d}_object`, probe: `along${d}_probe` });

/** Pairs of directions whose second derivatives are asked for. */
const pairsOf = (directions: 1 | 2): readonly (readonly [number, number])[] =>
  directions === 1
    ? [[0, 0]]
    : [
        [0, 0],
        [0, 1],
        [1, 1],
      ];

/**
 * `sums` (patterns, terms, N), in parts: for each direction w·g; for each pair w·n + √I/√J³·g·g', Re conj(χ)·δO·δP and n over good pixels. See {@link curvaturesOf}.
 * Directions are fed as `along0_object_re` … (patches) and `along0_probe_re` … (turned round).
 */
export function bendsProgram(
  sizes: WaveSizes,
  directions: 1 | 2,
  floor: number,
  statistics: Statistics = 'gaussian',
): Program {
  const transform = new Transform(sizes);
  const near = sizes.propagation?.detector;
  const { batch, N, modes } = sizes;
  const name = `solver_bends_${directions}_${statistics}_${batch}x${modes}x${N}`;
  const how = { directions, floor, statistics };
  const sums = near ? bends(sizes, how, new NearDetector(transform, sizes, near)) : bends(sizes, how, transform);
  return defineProgram({ name, outputs: { sums } });
}

/** What is bent, along how many directions. */
interface Bent {
  readonly directions: 1 | 2;
  readonly floor: number;
  readonly statistics: Statistics;
}

function bends<Field>(sizes: WaveSizes, { directions, floor, statistics }: Bent, detector: Detector<Field>): GraphNode {
  const { batch, N, modes, probes = 1 } = sizes;
  const inputs = passInputs(sizes);
  const probe = probesOf(inputs, sizes);
  const [patch] = inputs.object;
  const field = detector.forward(multiply(patch, probe));
  const compared = comparisonOf(detector.intensity(field), sizes);
  const likely = statistics === 'poisson';
  const [w, bend] = likely ? compared.likelihoodDerivatives() : compared.derivatives(floor);
  const along = Array.from({ length: directions }, (_, d) => {
    const names = directionNames(d);
    const object: ComplexNode = patchesInput(names.object, batch, N, 1)[0];
    const turned = complexInput(names.probe, [N, probes * modes * N]);
    const shifted = timesFlux(chosenProbe(turned, inputs.shifts, inputs.chosen, sizes), inputs.flux);
    const change = detector.forward(plus(multiply(object, probe), multiply(patch, shifted)));
    return { object, probe: shifted, change, g: detector.against(field, change) };
  });
  const factor = likely ? compared.likelihoodChange() : compared.amplitudeChange(floor);
  const chi = detector.inverse(detector.scale(field, factor));
  const terms: GraphNode[] = along.map(({ g }) => op.mul(w, g));
  for (const [i, j] of pairsOf(directions)) {
    const [a, b] = [along[i], along[j]];
    const width = detector.against(a.change, b.change);
    const straight = op.mul(w, width);
    const turned = op.mul(bend, op.mul(a.g, b.g));
    terms.push(op.add(straight, turned));
    const both = multiply(a.object, b.probe);
    terms.push(realAgainst(chi, i === j ? both : half(plus(both, multiply(b.object, a.probe)))));
    terms.push(op.mul(compared.good, width));
  }
  return rowSums(terms, sizes);
}

/** `model` (patterns, N, N): J of each pattern. */
export function modelProgram(sizes: WaveSizes): Program {
  const inputs = passInputs(sizes);
  const wave = multiply(inputs.object[0], probesOf(inputs, sizes));
  const transform = new Transform(sizes);
  const near = sizes.propagation?.detector;
  const seen = <Field>(detector: Detector<Field>) => detector.intensity(detector.forward(wave));
  const light = near ? seen(new NearDetector(transform, sizes, near)) : seen(transform);
  const model = withBackground(light, sizes);
  return defineProgram({ name: `solver_model_${sizes.batch}x${sizes.modes}x${sizes.N}`, outputs: { model } });
}

const half = ({ re, im }: { re: GraphNode; im: GraphNode }) => ({ re: op.mul(re, 0.5), im: op.mul(im, 0.5) });

/** What the totals of {@link bendsProgram} mean. */
export function curvaturesOf(totals: readonly number[], directions: 1 | 2, statistics: Statistics): Curvatures {
  const of = (pair: number, term: number) => totals[directions + 3 * pair + term];
  const bend = (pair: number) => 2 * of(pair, 0) - 4 * of(pair, 1);
  const width = (pair: number) => (statistics === 'poisson' ? 4 : 2) * of(pair, 2);
  return directions === 1
    ? { slopes: [2 * totals[0], 0], bends: [bend(0), 0, 0], widths: [width(0), 0, 0] }
    : {
        slopes: [2 * totals[0], 2 * totals[1]],
        bends: [bend(0), bend(1), bend(2)],
        widths: [width(0), width(1), width(2)],
      };
}
