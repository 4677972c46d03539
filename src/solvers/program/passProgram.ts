/**
 * The programs of a pass over a batch of exit waves, and of the products of a batch that was kept; see `PassRequest`,
 * `WavePasses.products` and `WavePasses.moves` for what they compute.
 */

import { type ComplexNode, intensity, multiply } from '../../graph/complex.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import { smoothTerms } from '../smoothTerms.js';
import { type PassRequest, PEDESTAL, type WaveRule } from '../wavePasses.js';
import { grown, type ObjectSides, PLANES, planeNodes, Selection } from './planes.js';
import {
  against,
  backToProbes,
  chosenProbe,
  complexInput,
  conjugate,
  cyclicMatrices,
  type Detector,
  forPoints,
  minus,
  NearDetector,
  plus,
  realAgainst,
  rowSums,
  scaled,
  shiftedBack,
  shiftedProbe,
  Transform,
  transferNode,
  type WaveSizes,
} from './waves.js';

/** What a program may have besides its rule; `scaled`: χ has a factor. */
export const FLAGS = ['object', 'probe', 'weighted', 'keep', 'scaled', 'background', 'damp'] as const;

/** What tells one pass's program from another's. */
export type PassKind = { readonly wave: WaveRule } & Readonly<Record<(typeof FLAGS)[number], boolean>>;

/** The program that a request needs: waves that only are measured or stored change nothing. */
export function kindOf({ wave, object, probe, weighted, keep, background, damp, strength = 1 }: PassRequest): PassKind {
  const changes = wave !== 'measure' && wave !== 'store';
  const found = { object: changes && !!object, probe: changes && !!probe, keep: changes && !!keep };
  const weights = !!weighted && (found.object || found.probe);
  const compares = wave !== 'store' && wave !== 'stored';
  return {
    ...{ wave, ...found, weighted: weights },
    scaled: changes && wave !== 'stored' && strength !== 1,
    background: compares && !!background,
    damp: !!damp && (wave === 'amplitude' || wave === 'poisson'),
  };
}

/** Nothing is divided by 0 even where the floor is. */
export const LEAST_FLOOR = 1e-18;

/** Names of the state that keeps P and χ. */
export const KEPT = ['kept_probe_re', 'kept_probe_im', 'kept_change_re', 'kept_change_im'] as const;

/** Shape of what is kept: the modes of every slice one after the other. */
export const keptShape = ({ batch, N, modes, slices = 1 }: WaveSizes): readonly number[] => [
  batch,
  N,
  slices * modes,
  N,
];

/** What came into each slice (P, first) and its χ as they were kept, pairs of [batch, N, modes, N]. */
export function keptWaves(sizes: WaveSizes) {
  const { modes, slices = 1 } = sizes;
  const nodes = KEPT.map((name) => op.state(name, keptShape(sizes)));
  const cut = (node: GraphNode, s: number) => (slices === 1 ? node : op.sliceAxis(node, 2, s * modes, modes));
  const pair = (re: number) => (s: number) => ({ re: cut(nodes[re], s), im: cut(nodes[re + 1], s) });
  return { nodes, incoming: pair(0), change: pair(2), middle: Math.floor(slices / 2), last: slices - 1 };
}

/** Inputs that programs share; a program declares those that it needs. */
export function passInputs(sizes: WaveSizes) {
  const { batch, N, modes, coherent = 0, varying = false, points = 1, probes = 1, slices = 1 } = sizes;
  const patterns = batch / points;
  return {
    /** a_k, where beams differ, divided by the root of the points. */
    flux: varying ? op.reshape(forPoints(op.input('flux', [patterns, 1]), sizes), [batch, 1, 1, 1]) : undefined,
    /** 1 at the probe that each patch saw, where there are several. */
    chosen: probes > 1 ? forPoints(op.input('chosen', [patterns, probes]), sizes) : undefined,
    /** U, turned round as the probe is. */
    variation: coherent > 0 ? complexInput('variation', [N, coherent * N]) : undefined,
    /** Patches of the object at the rounded positions, slice by slice. */
    object: patchesInput('object', batch, N, slices),
    /** Turned round: `P[−n, mode, −c]`. */
    probe: complexInput('probe', [N, probes * modes * N]),
    /** Kernels of the shifts by what is left of the positions. */
    shifts: {
      y: cyclicMatrices(op.input('shift_y', [batch, N])),
      x: cyclicMatrices(op.input('shift_x', [batch, N])),
    },
  };
}

type PassInputs = ReturnType<typeof passInputs>;

/** Each part by the factors of the beams, where they have any. */
export const timesFlux = (z: ComplexNode, flux: GraphNode | undefined): ComplexNode => (flux ? scaled(z, flux) : z);

/** The probe that each pattern of the batch saw: a·(P + Σ c_j·U_j), a·P of the other modes. */
export function probesOf({ probe, variation, flux, chosen, shifts }: PassInputs, sizes: WaveSizes): ComplexNode {
  const { batch, N, modes, coherent = 0, points = 1 } = sizes;
  const shifted = chosenProbe(probe, shifts, chosen, sizes);
  if (!variation) return timesFlux(shifted, flux);
  const given = forPoints(op.input('weights', [batch / points, coherent]), sizes);
  const weights = op.reshape(given, [batch, 1, coherent, 1]);
  const varied = scaled(shiftedProbe(variation, shifts, { ...sizes, modes: coherent }), weights);
  const mixed = (part: GraphNode, added: GraphNode) => {
    const sum = op.reshape(op.reduceSum(added, [2]), [batch, N, 1, N]);
    const first = op.add(op.sliceAxis(part, 2, 0, 1), sum);
    return modes === 1 ? first : op.concat([first, op.sliceAxis(part, 2, 1, modes - 1)], 2);
  };
  return timesFlux({ re: mixed(shifted.re, varied.re), im: mixed(shifted.im, varied.im) }, flux);
}

/** Pairs of [batch, N, 1, N], one for each slice. */
export function patchesInput(name: string, batch: number, N: number, slices: number): readonly ComplexNode[] {
  const { re, im } = complexInput(name, slices === 1 ? [batch, N, N] : [batch, slices, N, N]);
  const cut = (x: GraphNode, s: number) => op.reshape(slices === 1 ? x : op.sliceAxis(x, 1, s, 1), [batch, N, 1, N]);
  return Array.from({ length: slices }, (_, s) => ({ re: cut(re, s), im: cut(im, s) }));
}

/** The way of a wave from slice to slice, and back. */
function betweenSlices(sizes: WaveSizes) {
  const { N, propagation } = sizes;
  const transform = new Transform(sizes);
  const nodes = (propagation?.slices ?? []).map((transfer, s) => transferNode(transfer, N, `behind slice ${s + 1}`));
  return {
    next: (wave: ComplexNode, s: number) => transform.through(wave, nodes[s]),
    before: (wave: ComplexNode, s: number) => transform.through(wave, conjugate(nodes[s])),
  };
}

/**
 * The program of one kind of pass. Outputs, where asked for: `sums` (patterns, 3 or 4, N), in parts Σ(√I − √J)², Σ|√I − √J|, ΣJ and
 * Σ|change of stored waves|²; `object_sum_re`, `object_sum_im`, `illumination` (batch, N, N), with several slices (batch, slices, N, N); `probe_sum_re`,
 * `probe_sum_im` (N, probes·modes·N), turned round, and `object_intensity` (probes, N, N), summed over the batch; `next_waves_re`, `next_waves_im`
 * (batch, N, modes, N) to be stored.
 * @param floor kept out of divisions
 */
export function passProgram(kind: PassKind, sizes: WaveSizes, floor: number): Program {
  const { changes, incoming, outputs, sums } = passOf(kind, passInputs(sizes), sizes, floor);
  ['object_sum_re', 'object_sum_im', 'illumination'].forEach((name, i) => {
    if (sums.object) outputs[name] = sums.object[i];
  });
  ['probe_sum_re', 'probe_sum_im', 'object_intensity'].forEach((name, i) => {
    if (sums.probe) outputs[name] = sums.probe[i];
  });
  const program = { name: programName(kind, sizes), outputs };
  if (!kind.keep) return defineProgram(program);
  const joined = (waves: readonly ComplexNode[], part: 're' | 'im') =>
    waves.length === 1
      ? waves[0][part]
      : op.concat(
          waves.map((wave) => wave[part]),
          2,
        );
  const kept = [incoming, changes].flatMap((waves) => [joined(waves, 're'), joined(waves, 'im')]);
  const updates = Object.fromEntries(KEPT.map((at, i) => [at, kept[i]]));
  return defineProgram({ ...program, updates, state: keptWaves(sizes).nodes });
}

/**
 * The same over planes that the engine keeps: patches are cut out of the object and added to its sums there. Feeds besides those of the
 * patterns: `rows` and `columns` (batch), the corners of the patches. Waves are not kept.
 */
export function planePassProgram(kind: PassKind, sizes: WaveSizes, sides: ObjectSides, floor: number): Program {
  const selection = new Selection(sizes, sides);
  const planes = planeNodes({ ...sizes, ...sides });
  const object = [{ re: selection.cut(planes.object.re), im: selection.cut(planes.object.im) }];
  const inputs = { ...passInputs(sizes), object, probe: planes.probe };
  const { outputs, sums } = passOf(kind, inputs, sizes, floor);
  const laid = sums.object?.map((patches) => selection.laid(patches));
  const updates = {
    ...(laid ? grown(PLANES.objectSums, laid) : {}),
    ...(sums.probe ? grown(PLANES.probeSums, sums.probe) : {}),
  };
  return defineProgram({ name: `${programName(kind, sizes)}_planes`, outputs, updates });
}

function programName(kind: PassKind, { batch, N, modes, coherent }: WaveSizes): string {
  const name = ['solver', kind.wave, ...FLAGS.filter((flag) => kind[flag])];
  return `${name.join('_')}_${batch}x${coherent ? `${modes}+${coherent}` : modes}x${N}`;
}

/** Waves of every slice, what is compared, and the sums: for the object as patches (batch, N, N), for the probe over the batch. */
function passOf(kind: PassKind, inputs: PassInputs, sizes: WaveSizes, floor: number) {
  const { batch, N, modes, slices = 1, points = 1, probes = 1 } = sizes;
  const { object, shifts, flux, chosen } = inputs;
  const space = betweenSlices(sizes);
  const incoming = [probesOf(inputs, sizes)];
  for (let s = 1; s < slices; s++) incoming.push(space.next(multiply(object[s - 1], incoming[s - 1]), s - 1));
  const last = multiply(object[slices - 1], incoming[slices - 1]);
  const { waves, outputs } = detected(kind, last, sizes, floor);
  const changes = [waves];
  for (let s = slices - 1; s > 0; s--) changes.unshift(space.before(against(object[s], changes[0]), s - 1));
  const sums: { object?: GraphNode[]; probe?: GraphNode[] } = {};
  if (kind.object) {
    const patches = object.map((_, s) => {
      const light = intensity(incoming[s]);
      const weights = kind.weighted ? scaled(incoming[s], op.sqrt(light)) : incoming[s];
      const sum = against(weights, changes[s]);
      const overModes = (x: GraphNode) => op.reshape(modes === 1 ? x : op.reduceSum(x, [2]), [batch, N, N]);
      return [sum.re, sum.im, light].map(overModes);
    });
    const stacked = (part: number) =>
      op.concat(
        patches.map((p) => op.reshape(p[part], [batch, 1, N, N])),
        1,
      );
    sums.object = slices === 1 ? patches[0] : [0, 1, 2].map(stacked);
  }
  if (kind.probe) {
    const light = intensity(object[0]);
    const weights = kind.weighted ? scaled(object[0], op.sqrt(light)) : object[0];
    const sum = backToProbes(timesFlux(against(weights, changes[0]), flux), shifts, chosen, sizes);
    const lit = op.reshape(light, [batch, N * N]);
    const total = chosen ? op.matmul(op.transposeLast(chosen), lit) : op.reduceSum(lit, [0]);
    const mean = points === 1 ? total : op.mul(total, 1 / points);
    sums.probe = [sum.re, sum.im, op.reshape(mean, probes === 1 ? [N, N] : [probes, N, N])];
  }
  return { changes, incoming, outputs, sums };
}

/** {@link wavesOf} at the detector of the scan. */
function detected(kind: PassKind, product: ComplexNode, sizes: WaveSizes, floor: number) {
  const transform = new Transform(sizes);
  const { propagation } = sizes;
  // Waves that are only stored are shifted nowhere.
  const seen = kind.wave !== 'store' && kind.wave !== 'stored';
  if (propagation?.detector === undefined || !seen) return wavesOf(kind, product, sizes, floor, transform);
  return wavesOf(kind, product, sizes, floor, new NearDetector(transform, sizes, propagation.detector));
}

/** χ or what stands for it, and what comes out besides. */
function wavesOf<Field>(
  kind: PassKind,
  product: ComplexNode,
  sizes: WaveSizes,
  floor: number,
  detector: Detector<Field>,
) {
  const { wave: rule, scaled: gained, background: asksBackground } = kind;
  const { batch, N, modes } = sizes;
  const outputs: Record<string, GraphNode> = {};
  const stored = complexInput('waves', [batch, N, modes, N]);
  if (rule === 'stored') return { waves: stored, outputs };
  if (rule === 'store') {
    outputs.next_waves_re = product.re;
    outputs.next_waves_im = product.im;
    return { waves: product, outputs };
  }
  const difference = rule === 'difference';
  const field = detector.forward(difference ? minus(scaled(product, 2), stored) : product);
  const compared = comparisonOf(detector.intensity(field), sizes);
  if (asksBackground && sizes.background !== undefined)
    Object.assign(outputs, compared.background(sizes, sizes.background));
  if (rule === 'measure') {
    outputs.sums = rowSums(compared.terms(), sizes);
    return { waves: product, outputs };
  }
  const bare = compared.changeOf(kind, floor);
  const held = kind.damp && sizes.background !== undefined;
  const found = held ? op.sub(bare, op.mul(compared.good, op.input('background_damp', [N, N]))) : bare;
  const factor = gained ? op.mul(found, op.input('strength', [1])) : found;
  const change = detector.inverse(detector.scale(field, factor));
  if (!difference) {
    outputs.sums = rowSums(compared.terms(), sizes);
    return { waves: change, outputs };
  }
  const next = plus(product, change);
  outputs.next_waves_re = next.re;
  outputs.next_waves_im = next.im;
  outputs.sums = rowSums([...compared.terms(), intensity(minus(next, stored))], sizes);
  return { waves: next, outputs };
}

/** Model against measurement, [batch, N, N] each. Bad pixels, amplitudes below 0, are 0 in everything. */
/** Σ|Ψ|² [patterns, N, N] with the background that patterns have. */
export function withBackground(light: GraphNode, { background }: WaveSizes): GraphNode {
  return background === undefined ? light : op.add(light, op.input('background', light.shape));
}

/** The patterns of a program against their model. @param light Σ|Ψ|², [patterns, N, N] */
export const comparisonOf = (light: GraphNode, sizes: WaveSizes): Comparison =>
  new Comparison(withBackground(light, sizes), op.input('amplitudes', light.shape), light);

export class Comparison {
  /** 1 at good pixels, 0 at bad ones. */
  readonly good: GraphNode;
  readonly #measured: GraphNode;
  readonly #modelled: GraphNode;
  readonly #root: GraphNode;

  /** @param light what the waves send of the model */
  constructor(
    modelled: GraphNode,
    amplitudes: GraphNode,
    private readonly light: GraphNode,
  ) {
    this.good = op.greater(amplitudes, -1e-20);
    this.#measured = op.relu(amplitudes);
    this.#modelled = op.mul(modelled, this.good);
    this.#root = op.sqrt(this.#modelled);
  }

  /** (√I − √J)², |√I − √J|, J. */
  terms(): GraphNode[] {
    const apart = op.sub(this.#measured, this.#root);
    return [op.square(apart), op.abs(apart), this.#modelled];
  }

  /** χ over Ψ. */
  changeOf({ wave }: Pick<PassKind, 'wave'>, floor: number): GraphNode {
    if (wave === 'likelihood') return this.likelihoodChange();
    return wave === 'poisson' ? this.poissonChange(floor) : this.amplitudeChange(floor);
  }

  /** r − 1, r = (I + p)/(J + p). */
  likelihoodChange(): GraphNode {
    return op.mul(op.sub(this.#likely().ratio, 1), this.good);
  }

  /** w = 1 − r, and 2r/(J + p). */
  likelihoodDerivatives(): readonly [w: GraphNode, bend: GraphNode] {
    const { ratio, below } = this.#likely();
    return [op.mul(op.sub(1, ratio), this.good), op.mul(op.div(op.mul(ratio, 2), below), this.good)];
  }

  #likely() {
    const below = op.add(this.#modelled, PEDESTAL);
    return { below, ratio: op.div(op.add(op.square(this.#measured), PEDESTAL), below) };
  }

  /** √I/(√J + floor) − 1. */
  amplitudeChange(floor: number): GraphNode {
    return this.#towards(this.#measured, floor);
  }

  /** w = 1 − √I/(√J + floor), and √I/(√J + floor)³: how Σ(√I − √J)² changes with √J. */
  derivatives(floor: number): readonly [w: GraphNode, bend: GraphNode] {
    const below = op.add(this.#root, Math.max(floor, LEAST_FLOOR));
    const ratio = op.div(this.#measured, below);
    return [op.sub(this.good, ratio), op.div(ratio, op.square(below))];
  }

  /**
   * The same with the likeliest amplitude that stays near the model's, (√J + √(J + 8I))/4, for √I (H. Chang, Y. Lou, Y. Duan,
   * S. Marchesini, SIAM J. Imaging Sci. 11, 24, 2018).
   */
  poissonChange(floor: number): GraphNode {
    const counts = op.mul(op.square(this.#measured), 8);
    return this.#towards(op.mul(op.add(this.#root, op.sqrt(op.add(this.#modelled, counts))), 0.25), floor);
  }

  /** What patterns ask of their background: see `Background`. */
  background({ N, spread = 0 }: WaveSizes, terms: number): Record<string, GraphNode> {
    const [patterns] = this.good.shape;
    const hold = op.input('background_hold', [N, N]);
    const weight = op.div(this.good, op.add(this.#modelled, hold));
    const apart = op.sub(op.square(this.#measured), this.#modelled);
    // min(1, spread/J) = 1 − relu(1 − spread/J).
    const share = op.sub(1, op.relu(op.sub(1, op.div(spread, op.add(this.#modelled, LEAST_FLOOR)))));
    const far = op.sub(apart, op.mul(op.mul(this.light, this.good), share));
    const excess = op.mul(weight, far);
    const dark = op.mul(hold, weight);
    const w = op.mul(op.square(op.square(dark)), dark);
    const sums = Object.fromEntries(
      Object.entries({ background_excess: op.mul(w, far), background_weight: w }).map(([name, plane]) => [
        name,
        op.reshape(op.reduceSum(plane, [0]), [N, N]),
      ]),
    );
    if (terms === 0) return sums;
    const smooth = op.transposeLast(op.constant(smoothTerms(N), [terms, N * N], 'smooth terms'));
    const of = (plane: GraphNode) => op.matmul(op.reshape(plane, [patterns, N * N]), smooth);
    return { ...sums, background_asked: op.concat([of(excess), of(weight)], 1) };
  }

  #towards(amplitude: GraphNode, floor: number): GraphNode {
    return op.sub(op.div(amplitude, op.add(this.#root, Math.max(floor, LEAST_FLOOR))), this.good);
  }
}

/** `sums` (patterns, 6, N): the products of A and B behind the last slice in parts; `probe` is fed δP, `direction` δO. */
export function productsProgram(sizes: WaveSizes): Program {
  const { batch, N, modes, slices = 1 } = sizes;
  const kept = keptWaves(sizes);
  const { object, probe: direction, shifts, flux, chosen } = passInputs(sizes);
  const dO = patchesInput('direction', batch, N, slices);
  const space = betweenSlices(sizes);
  let a = multiply(dO[0], kept.incoming(0));
  let b = multiply(object[0], timesFlux(chosenProbe(direction, shifts, chosen, sizes), flux));
  for (let s = 1; s < slices; s++) {
    a = plus(multiply(object[s], space.next(a, s - 1)), multiply(dO[s], kept.incoming(s)));
    b = multiply(object[s], space.next(b, s - 1));
  }
  const chi = kept.change(kept.last);
  const cross = against(b, a);
  const terms = [intensity(a), intensity(b), cross.re, cross.im, realAgainst(a, chi), realAgainst(b, chi)];
  const sums = rowSums(terms, sizes);
  return defineProgram({ name: `solver_products_${batch}x${modes}x${N}`, outputs: { sums }, state: kept.nodes });
}

/** `sums` (patterns, 5, N): the products of Y = ∂O/∂y·P and X = ∂O/∂x·P in parts; `surroundings` has one pixel more on every side. */
export function movesProgram(sizes: WaveSizes): Program {
  const { batch, N, modes } = sizes;
  const { y, x, change, nodes } = derivativesOf(sizes);
  const terms = [intensity(y), intensity(x), realAgainst(x, y), realAgainst(y, change), realAgainst(x, change)];
  const sums = rowSums(terms, sizes);
  return defineProgram({ name: `solver_moves_${batch}x${modes}x${N}`, outputs: { sums }, state: nodes });
}

/** Y = ∂O/∂y·P and X = ∂O/∂x·P at the slice in the middle, and χ there. */
export function derivativesOf(sizes: WaveSizes) {
  const { batch, N } = sizes;
  const kept = keptWaves(sizes);
  const [around] = patchesInput('surroundings', batch, N + 2, 1);
  const [incoming, change] = [kept.incoming(kept.middle), kept.change(kept.middle)];
  const cut = (row: number, column: number): ComplexNode => {
    const part = (x: ComplexNode['re']) => op.slice(x, [0, row, 0, column], [batch, N, 1, N]);
    return { re: part(around.re), im: part(around.im) };
  };
  const y = multiply(scaled(minus(cut(2, 1), cut(0, 1)), 0.5), incoming);
  const x = multiply(scaled(minus(cut(1, 2), cut(1, 0)), 0.5), incoming);
  return { y, x, change, nodes: kept.nodes };
}

/** a·conj(O)χ of the first mode, [batch, N, 1, N]: what δP is before it is shifted back. */
function residues({ object, flux }: PassInputs, { change }: ReturnType<typeof keptWaves>): ComplexNode {
  const { re, im } = change(0);
  const first = { re: op.sliceAxis(re, 2, 0, 1), im: op.sliceAxis(im, 2, 0, 1) };
  return timesFlux(against(object[0], first), flux);
}

/**
 * `sums` (patterns, 3·coherent, N): the products of `WavePasses.beamProducts` in parts; `variation_light` is fed |U|², not turned.
 */
export function beamProductsProgram(sizes: WaveSizes): Program {
  const { batch, N, modes, coherent = 0 } = sizes;
  const kept = keptWaves(sizes);
  const inputs = passInputs(sizes);
  const shifted = shiftedProbe(inputs.variation!, inputs.shifts, { ...sizes, modes: coherent });
  const lights = op.input('variation_light', [coherent, N, N]);
  const residue = residues(inputs, kept);
  const lit = intensity(timesFlux(inputs.object[0], inputs.flux));
  const terms = Array.from({ length: coherent }, (_, j) => {
    const one = { re: op.sliceAxis(shifted.re, 2, j, 1), im: op.sliceAxis(shifted.im, 2, j, 1) };
    const product = against(one, residue);
    return [product.re, product.im, op.mul(lit, op.reshape(op.sliceAxis(lights, 0, j, 1), [1, N, 1, N]))];
  });
  const name = `solver_beam_products_${batch}x${modes}+${coherent}x${N}`;
  return defineProgram({ name, outputs: { sums: rowSums(terms.flat(), sizes) }, state: kept.nodes });
}

/** `variation_sum_re`, `variation_sum_im` (N, coherent·N), turned round: `WavePasses.beamSums`; `asked` are the weights. */
export function beamSumsProgram(sizes: WaveSizes): Program {
  const { batch, N, modes, coherent = 0, points = 1 } = sizes;
  const kept = keptWaves(sizes);
  const inputs = passInputs(sizes);
  const given = forPoints(op.input('asked', [batch / points, coherent]), sizes);
  const asked = op.reshape(given, [batch, 1, coherent, 1]);
  const sum = shiftedBack(scaled(residues(inputs, kept), asked), inputs.shifts, { ...sizes, modes: coherent });
  const name = `solver_beam_sums_${batch}x${modes}+${coherent}x${N}`;
  const outputs = { variation_sum_re: sum.re, variation_sum_im: sum.im };
  return defineProgram({ name, outputs, state: kept.nodes });
}
