/**
 * From a recipe to a scan: object, probe, positions and detector, each with a random stream of its own.
 *
 * @example
 * const scan = simulate({ object: 'dead_leaves', probe_mode_powers: [0.8, 0.2], seed: 5 });
 */

import { completeConfig } from '../config/resolve.js';
import { simulationDefinition } from '../config/simulationDefinition.js';
import { atOnce, type Steps } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireMemory } from '../core/memoryBudget.js';
import { spanOf } from '../core/numbers.js';
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import type { ScanGeometry } from '../data/scanFile.js';
import { wavelength_m } from '../physics/radiation.js';
import { type DetectorOptions, makeDefects } from './detector.js';
import { recipeIn, type SimulationInputs, type SimulationRecipe } from './inputs.js';

import { imageObject, makeObject, randomField } from './objects.js';
import { incoherentModes, makeProbe } from './probes.js';
import { makeScan, placeOnObject, type ScanPositions, stepForCount, withPositionErrors } from './scans.js';
import { type SimulatedScan, simulationSteps } from './simulateScan.js';

export type { SimulationRecipe } from './inputs.js';

/** Steps across a pattern where neither step nor number is given. */
const USUAL_STEPS = 12;
/** The side of patterns where neither recipe nor probe file says. */
const DEFAULT_SIDE = 64;

/** Seeds of all streams of a recipe: each purpose has its own, so that none depends on how much another draws. */
function streamsOf(recipe: SimulationRecipe) {
  const own = (given: number | null, purpose: string) => given ?? streamSeed(recipe.seed, purpose);
  const scan = own(recipe.scan_seed, 'scan');
  const noise = own(recipe.noise_seed, 'noise');
  return {
    object: own(recipe.object_seed, 'object'),
    probe: own(recipe.probe_seed, 'probe'),
    scan,
    position_errors: streamSeed(scan, 'position errors'),
    detector: own(recipe.detector_seed, 'detector'),
    noise,
    readout: streamSeed(noise, 'read-out'),
  } as const;
}

/**
 * Simulates a recipe, which may name a preset; what is left out has its default. `seed` governs all randomness; with `n_objects` the first experiment is what
 * one alone would be, the others have streams of theirs.
 * @param inputs what the recipe's files hold, see `loadSimulationInputs`
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID, DATASET_SHAPE, DATASET_VALUE, OUT_OF_MEMORY, as the makers of objects, probes, scans and patterns
 */
export function simulate(given: Partial<SimulationRecipe>, inputs: SimulationInputs = {}): SimulatedScan {
  return atOnce(recipeSteps(given, inputs));
}

/**
 * {@link simulate} in steps, for those who want to be able to stop it.
 * @param logger is told where it takes much memory
 * @throws PtychoError as simulate; OUT_OF_MEMORY for more than fits
 */
export function* recipeSteps(
  given: Partial<SimulationRecipe>,
  inputs: SimulationInputs = {},
  logger?: Logger,
): Steps<SimulatedScan> {
  const recipe = recipeIn(completeConfig(simulationDefinition, { ...given, output_file: '-' }, logger));
  const side = recipe.N ?? inputs.probe?.shape.at(-1) ?? DEFAULT_SIDE;
  const streams = streamsOf(recipe);
  requireRoom(recipe, side, inputs, logger);
  const experiments = Array.from({ length: recipe.n_objects }, (_, k) => {
    const of = (seed: number) => (k === 0 ? seed : streamSeed(seed, `experiment ${k}`));
    const object = objectOf(recipe, side, of(streams.object), inputs);
    const nominal = positionsOf(recipe, object, side, of(streams.scan), inputs);
    const [rows, cols] = object.shape;
    const errors = { rows, cols, side, seed: of(streams.position_errors) };
    const actual =
      recipe.position_error_px === 0 ? nominal : withPositionErrors(nominal, recipe.position_error_px, errors);
    return { object, nominal, actual };
  });
  const { object, nominal, actual, scanIndex } = sideBySide(experiments);
  return yield* simulationSteps({
    object,
    probe: probeOf(recipe, side, streams.probe, inputs),
    xs: actual.xs,
    ys: actual.ys,
    recorded: recipe.position_error_px === 0 ? undefined : nominal,
    scanIndex,
    way_yx_px: recipe.fly_way_px ?? undefined,
    photons: recipe.photons,
    seed: streams.noise,
    noise: recipe.noise ? 'poisson' : 'none',
    detector: detectorOf(recipe, side, streams, inputs),
    declareBadPixels: recipe.declare_bad_pixels,
    gridsize: recipe.gridsize ?? undefined,
    geometry: geometryOf(recipe),
    notes: {
      seed: recipe.seed,
      streams,
      recipe: Object.fromEntries(
        Object.entries(recipe).filter(([name, value]) => value !== null && !isIdle(name, recipe)),
      ),
    },
  });
}

/** Fields that play no part are not told, so that files of equal recipes stay equal when there are more of them. */
const isIdle = (name: string, { probe }: SimulationRecipe): boolean =>
  name === 'diffuser_grain_px' && probe !== 'diffuser';

function objectOf(recipe: SimulationRecipe, side: number, seed: number, inputs: SimulationInputs): ComplexImage {
  const looks = {
    amplitudeRange: recipe.amplitude_range ?? undefined,
    phaseSpanRad: recipe.phase_span_rad ?? undefined,
    phase: recipe.object_phase ?? undefined,
  };
  if (recipe.object === 'file') return present(inputs.object, 'object');
  if (recipe.object === 'image') return imageObject(present(inputs.images, 'image'), looks);
  const length = objectSide(recipe, side, inputs);
  const options = { rows: length, cols: length, seed, ...looks };
  if (recipe.object === 'random_field') return randomField({ ...options, exponent: recipe.random_field_exponent });
  return makeObject(recipe.object, options);
}

/** Side of the object that is made. */
function objectSide(recipe: SimulationRecipe, side: number, { positions }: SimulationInputs): number {
  return recipe.object_side_px ?? sideFor(side, positions);
}

/**
 * Refuses recipes whose object and patterns do not fit into memory, before any of them is made.
 * @throws PtychoError OUT_OF_MEMORY
 */
function requireRoom(recipe: SimulationRecipe, side: number, inputs: SimulationInputs, logger?: Logger): void {
  const made = recipe.object !== 'file' && recipe.object !== 'image';
  const length = objectSide(recipe, side, inputs);
  // Both parts in single precision, and what they are made from in double.
  const object = made ? recipe.n_objects * 16 * length ** 2 : 0;
  requireMemory(object, `The pixels of an object of ${length}×${length}`, {
    remedy: 'take a smaller one (--object_side_px)',
  });
  if (!made || recipe.scan === 'file') return;
  const margin = recipe.buffer_px ?? Math.floor(side / 2) + 1;
  const area = Math.max(1, length - 2 * margin) ** 2;
  const byCount = recipe.step_px === null && recipe.n_patterns !== null;
  const count = recipe.n_objects * (byCount ? recipe.n_patterns : area / (recipe.step_px ?? side / USUAL_STEPS) ** 2);
  requireMemory(
    object + count * (4 * side * side + 64),
    `About ${Number(count.toPrecision(3))} patterns of ${side}×${side}`,
    {
      remedy: `take ${byCount ? 'fewer (--n_patterns)' : 'longer steps (--step_px)'} or smaller patterns (--N)`,
      logger,
    },
  );
}

/** Three and a half times N, or what the positions of a file need. */
function sideFor(side: number, positions: ScanPositions | undefined): number {
  if (positions === undefined) return Math.round(3.5 * side);
  return Math.ceil(Math.max(spanOf(positions.xs), spanOf(positions.ys))) + side + 4;
}

function positionsOf(
  recipe: SimulationRecipe,
  object: ComplexImage,
  side: number,
  seed: number,
  { positions, positionsAreStage }: SimulationInputs,
): ScanPositions {
  const [rows, cols] = object.shape;
  const { fly_way_px: way } = recipe;
  // The ends of ways see nothing beyond the object either.
  const reach = way && Math.ceil(0.5 * Math.max(...way.map(Math.abs)));
  const margin_px = reach ? (recipe.buffer_px ?? Math.floor(side / 2) + 1) + reach : (recipe.buffer_px ?? undefined);
  const region = { rows, cols, side, margin_px };
  if (recipe.scan === 'file') return placeOnObject(present(positions, 'scan'), region, positionsAreStage);
  const stepPx =
    recipe.step_px ?? (recipe.n_patterns === null ? side / USUAL_STEPS : stepForCount(region, recipe.n_patterns));
  return makeScan(recipe.scan, { ...region, stepPx, seed, jitter: recipe.jitter });
}

function probeOf(recipe: SimulationRecipe, side: number, seed: number, inputs: SimulationInputs): ComplexTensor {
  const powers = recipe.probe_mode_powers;
  if (recipe.probe === 'file') {
    const probe = present(inputs.probe, 'probe');
    if (powers === null) return probe;
    if (probe.shape.length === 2) return incoherentModes(probe, powers);
    throw new PtychoError(
      'CONFIG_INVALID',
      `The probe of the file has ${probe.shape[0]} modes already; leave probe_mode_powers out.`,
      { key: 'probe_mode_powers' },
    );
  }
  const { object_pixel_m: pixel, energy_eV: energy, defocus_m: defocus } = recipe;
  const single = makeProbe(recipe.probe, {
    side,
    diameter: recipe.probe_diameter_px ?? undefined,
    curvatureRad: recipe.probe_curvature_rad,
    comaRad: recipe.probe_coma_rad,
    comaAngleRad: recipe.probe_coma_angle_rad,
    outerZone_px: recipe.outer_zone_m === null || pixel === null ? undefined : recipe.outer_zone_m / pixel,
    stopFraction: recipe.zone_plate_stop,
    defocus_px2:
      defocus === null || pixel === null || energy === null ? undefined : (wavelength_m(energy) * defocus) / pixel ** 2,
    coefficientsRad: recipe.aberrations_rad ?? undefined,
    rmsRad: recipe.aberration_rms_rad,
    grain_px: recipe.diffuser_grain_px,
    seed,
  });
  return powers === null ? single : incoherentModes(single, powers);
}

/** Undefined where every photon makes one count in every pixel. */
function detectorOf(
  recipe: SimulationRecipe,
  side: number,
  streams: ReturnType<typeof streamsOf>,
  { mask }: SimulationInputs,
): DetectorOptions | undefined {
  const { dead_pixels: dead, hot_pixels: hot, beamstop_diameter_px: beamstopDiameter_px } = recipe;
  const flawless = dead + hot + beamstopDiameter_px === 0 && mask === undefined;
  if (flawless && recipe.readout_noise_e === 0 && recipe.full_well_e === null) return undefined;
  return {
    electronsPerPhoton: recipe.electrons_per_photon,
    readoutNoise_e: recipe.readout_noise_e,
    fullWell_e: recipe.full_well_e ?? undefined,
    seed: streams.readout,
    defects: flawless ? undefined : makeDefects({ side, dead, hot, beamstopDiameter_px, mask, seed: streams.detector }),
  };
}

function geometryOf(recipe: SimulationRecipe): ScanGeometry | undefined {
  const { energy_eV, object_pixel_m, propagation_distance_m, source_distance_m } = recipe;
  if (energy_eV === null && object_pixel_m === null) return undefined;
  return {
    ...(energy_eV !== null && { energy_eV }),
    ...(object_pixel_m !== null && { objectPixel_m: { x: object_pixel_m, y: object_pixel_m } }),
    ...(propagation_distance_m !== null && { propagationDistance_m: propagation_distance_m }),
    ...(source_distance_m !== null && { sourceDistance_m: source_distance_m }),
  };
}

function present<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new PtychoError(
    'CONFIG_INVALID',
    `This recipe takes its ${what} from a file; read it with loadSimulationInputs and hand it over.`,
    { key: what },
  );
}

/**
 * The seed (0 … 2³² − 1) of the stream for a purpose (object, scan, noise, …), so that, say, more positions do not change the noise: fmix32(seed xor FNV-1a(purpose)). For one purpose this is a bijection of the
 * 32-bit numbers: two different seeds never share the stream of a purpose. (fmix32: A. Appleby, MurmurHash3, public domain.)
 * @param seed an integer from 0 to 2³² − 1
 */
export function streamSeed(seed: number, purpose: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193);
  let h = (seed ^ hash) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One object and its scan; recorded and true positions. */
export interface Experiment {
  readonly object: ComplexImage;
  readonly nominal: ScanPositions;
  readonly actual: ScanPositions;
}

/**
 * Experiments as one: their objects in a row, the positions moved along with them, and the number of the experiment at each position. A
 * scan file has one object, so this is how several fit into one; patches must lie inside their own object.
 */
export function sideBySide(
  experiments: readonly Experiment[],
): Experiment & { readonly scanIndex: Int32Array | undefined } {
  if (experiments.length === 1) return { ...experiments[0], scanIndex: undefined };
  const rows = Math.max(...experiments.map(({ object }) => object.shape[0]));
  const cols = experiments.reduce((sum, { object }) => sum + object.shape[1], 0);
  const re = new Float32Array(rows * cols);
  const im = new Float32Array(rows * cols);
  const lefts: number[] = [];
  let left = 0;
  for (const { object } of experiments) {
    const [height, width] = object.shape;
    for (let r = 0; r < height; r++) {
      re.set(object.re.subarray(r * width, (r + 1) * width), r * cols + left);
      im.set(object.im.subarray(r * width, (r + 1) * width), r * cols + left);
    }
    lefts.push(left);
    left += width;
  }
  const joined = (which: 'nominal' | 'actual'): ScanPositions => ({
    xs: Float64Array.from(experiments.flatMap((e, k) => Array.from(e[which].xs, (x) => x + lefts[k]))),
    ys: Float64Array.from(experiments.flatMap((e) => Array.from(e[which].ys))),
  });
  return {
    object: { re, im, shape: [rows, cols] },
    nominal: joined('nominal'),
    actual: joined('actual'),
    scanIndex: Int32Array.from(experiments.flatMap((e, k) => Array.from(e.nominal.xs, () => k))),
  };
}
