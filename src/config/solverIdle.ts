/**
 * Options of a solver that would do nothing beside the others. Whoever gives one expects something of it: on a command line it is
 * refused; a program is warned, and of a file, which may hold what other runs need, it is noted.
 */
import { PtychoError } from '../core/errors.js';
import { type Collection, IN_MEMORY } from './definition.js';
import { type SolverOptions, solverOptionsSchema } from './schemas/solver.js';

/** Why the option does nothing; false where it does. It is asked where the option is not at its default. */
type Rule = (options: SolverOptions) => string | false;

const inBatches = ({ algorithm }: SolverOptions): boolean => algorithm !== 'dm' && algorithm !== 'ml';
const finishes = ({ algorithm, ml_start }: SolverOptions): boolean => algorithm === 'ml' || ml_start !== null;
const moves = ({ position_start, affine }: SolverOptions): boolean => position_start !== null || affine;

const takesNone: Rule = (o) => !inBatches(o) && `${o.algorithm} takes all patterns at once`;
const stepless: Rule = (o) => !inBatches(o) && `${o.algorithm} finds its steps itself`;
const position: Rule = (o) => !moves(o) && 'positions are corrected from position_start on, which is not given';
const affine: Rule = (o) => !o.affine && 'it is about affine, which is not given';
const sliced: Rule = (o) => o.slices === 1 && 'it is about several slices, and slices is 1';
const painted: Rule = (o) => o.prior === 'none' && 'it is about prior network, which is not given';
const beams: Rule = (o) => o.opr_modes === 0 && !o.flux && 'it is about opr_modes and flux, of which none is given';

/** The epoch after the last one in which batches work, and what comes then. */
const batchesEnd = ({ epochs, ml_start }: SolverOptions): readonly [number, string] =>
  ml_start !== null && ml_start <= epochs
    ? [ml_start, `ml takes everything but object and probe as it is from epoch ${ml_start} (ml_start) on`]
    : [epochs + 1, epochs === 1 ? 'there is one epoch' : `there are ${epochs} epochs`];

const late =
  (key: 'position_start' | 'background_start', does: (options: SolverOptions) => boolean): Rule =>
  (o) => {
    const [end, why] = batchesEnd(o);
    return does(o) && inBatches(o) && (o[key] ?? 1) >= end && `it would begin in epoch ${o[key]}, but ${why}`;
  };

const affineLate: Rule = (o) => {
  const [end, why] = batchesEnd(o);
  return (
    inBatches(o) && o.affine_start >= end && `it would begin in epoch ${o.affine_start} (affine_start), but ${why}`
  );
};

/** Epochs from `affine_start` to the one after which trials are made. */
const UNTIL_TRIALS = 3;

/** What the trials of scale, asymmetry and shear come too late for, where they do. */
function lateTrials(options: SolverOptions): string | undefined {
  const { affine: given, affine_rule, affine_freedom, affine_start } = options;
  if (!given || affine_rule !== 'search' || affine_freedom === 'rotation' || !inBatches(options)) return undefined;
  const [end, why] = batchesEnd(options);
  const first = affine_start + UNTIL_TRIALS;
  if (first < end) return undefined;
  return `affine follows the rotation alone: trials of scale, asymmetry and shear come after epoch ${first} (affine_start + ${UNTIL_TRIALS}), but ${why}; give more epochs, or a lower affine_start.`;
}

/** By option; the rules of those that switch something on come where they would begin too late. */
const RULES: Partial<Record<keyof SolverOptions, Rule>> = {
  momentum: (o) => !['rpie', 'epie', 'pie'].includes(o.algorithm) && `${o.algorithm} carries no steps over`,
  acceleration: (o) => o.acceleration !== 0 && takesNone(o),
  batching: takesNone,
  object_step: stepless,
  probe_step: stepless,
  object_regularisation: (o) => o.algorithm === 'ml' && 'ml holds dim pixels back by itself',
  probe_regularisation: (o) =>
    (o.algorithm === 'ml' || o.algorithm === 'lsqml') && `${o.algorithm} does not hold the probe back`,
  noise_model: (o) => o.algorithm === 'dm' && !finishes(o) && 'dm projects on measured amplitudes',
  relaxation: (o) => o.algorithm !== 'dm' && `${o.algorithm} keeps no exit waves; it is about dm (raar)`,
  ml_start: (o) => {
    if (o.algorithm === 'ml') return 'algorithm ml is there from the first epoch on';
    return (o.ml_start ?? 0) > o.epochs && `ml would begin in epoch ${o.ml_start}, but there are ${o.epochs}`;
  },
  ml_method: (o) => !finishes(o) && 'it is about algorithm ml and ml_start, of which none is given',
  progressive_epochs: (o) =>
    o.progressive_levels === 1 && 'it is about coarse resolutions, and progressive_levels is 1',
  slice_distance_m: sliced,
  slice_regularisation: sliced,
  grid_window: (o) => o.grid_period_px === null && 'it is about grid_period_px, which is not given',
  prior_start: painted,
  prior_width: painted,
  prior_learning_rate: painted,
  probe_mode_share: (o) => (o.probe_modes ?? 1) === 1 && 'it is about modes that probe_modes adds',
  hold_probe_power: (o) => o.probe_power_counts !== null && 'probe_power_counts holds the power',
  opr_start: beams,
  opr_smooth: (o) => o.opr_modes === 0 && 'it is about the weights of opr_modes, of which there are none',
  background_start: (o) => o.background === 'none' && 'it is about background, which is none',
  background: late('background_start', () => true),
  position_start: late('position_start', (o) => !o.affine),
  position_stop: (o) =>
    position(o) || (!o.affine && (o.position_stop ?? Infinity) < (o.position_start ?? 1) && `positions are corrected from epoch ${o.position_start} (position_start) on`), // biome-ignore format: one sentence
  position_stride: position,
  position_method: position,
  position_step: position,
  position_momentum: position,
  position_update_limit_px: position,
  position_limit_px: position,
  affine: affineLate,
  affine_rule: affine,
  affine_freedom: affine,
  affine_start: affine,
  affine_stop: (o) =>
    affine(o) || (o.affine_rule === 'search' && 'affine_rule search ends by itself; it is about gain and published'),
  fly_duty: (o) => o.fly_positions === 1 && 'it is about the points of fly_positions, and there is one',
};

/**
 * Options that would do nothing, each with the reason, in the order of the schema.
 * @example
 * idleOptions(solverOptionsSchema.parse({ algorithm: 'lsqml', momentum: 0.5 })); // [['momentum', 'lsqml carries no steps over']]
 */
export function idleOptions(options: SolverOptions): (readonly [key: keyof SolverOptions, why: string])[] {
  const usual = solverOptionsSchema.parse({}) as unknown as SolverOptions;
  return (Object.keys(usual) as (keyof SolverOptions)[]).flatMap((key) => {
    const why = options[key] !== usual[key] && RULES[key]?.(options);
    return why ? [[key, why] as const] : [];
  });
}

/** Option and reason. */
type Idle = readonly [key: string, why: string];

/** What `solve` has besides the options of a solver, as far as it is asked here. */
export interface OfSolve {
  readonly share: unknown;
  readonly test_data_files: readonly unknown[];
  readonly tile: unknown;
  readonly from_tiles: readonly unknown[];
  readonly tile_margin_px: unknown;
  readonly align_scans: unknown;
}

const NONE_OF_SOLVE: OfSolve = {
  ...{ share: null, test_data_files: [], align_scans: true },
  ...{ tile: null, from_tiles: [], tile_margin_px: null },
};

/** The same of a configuration of the command `solve`, which has a few options more. */
export function idleOptionsOfSolve(config: SolverOptions & OfSolve): Idle[] {
  const { share, test_data_files, tile, from_tiles, tile_margin_px, align_scans } = config;
  const several = share !== null || test_data_files.length > 0;
  const found: Idle[] = [...idleOptions(config)].filter(
    // Of several scans one may have fewer modes than another, to which it then adds.
    ([key]) => key !== 'probe_mode_share' || !several || config.probe_modes === 1,
  );
  if (tile_margin_px !== null && tile === null && from_tiles.length === 0) {
    found.push(['tile_margin_px', 'it is about tile and from_tiles, of which none is given']);
  }
  if (align_scans !== true && !several)
    found.push(['align_scans', 'it is about several scans (share), and there is one']);
  return found;
}

/**
 * What of the given does nothing. Not asked are runs that go on with the options of an earlier one, and what gives every option, as forms,
 * hosts and the `config.json` of a run do: of these only what was typed besides.
 */
function idleIn({ given, warnings }: Collection): Idle[] {
  const valuesOf = (names: readonly string[]) =>
    names.flatMap((name) => {
      const entry = given.get(name);
      return entry ? [[name, entry.value] as const] : [];
    });
  const names = Object.keys(solverOptionsSchema.shape);
  const found = valuesOf(names);
  const isTyped = (name: string) => given.get(name)?.source === 'flag';
  const whole = found.length === names.length;
  if ((given.get('resume')?.value ?? null) !== null || (whole && names.every(isTyped))) return [];
  const parsed = solverOptionsSchema.safeParse(Object.fromEntries(found));
  // What is wrong of a value is said by the check of all values.
  if (!parsed.success) return [];
  const options = parsed.data as unknown as SolverOptions;
  const late = lateTrials(options);
  if (late !== undefined && !whole) warnings.push(late);
  const ofSolve = Object.fromEntries(valuesOf(Object.keys(NONE_OF_SOLVE))) as unknown as OfSolve;
  const idle = idleOptionsOfSolve({ ...options, ...NONE_OF_SOLVE, ...ofSolve });
  return idle.filter(([key]) => (whole ? isTyped(key) : given.has(key)));
}

/** In a sentence on the command line. */
export const idleRefusal = ([key, why]: Idle, found: unknown): PtychoError =>
  new PtychoError('CONFIG_INVALID', `${key} would do nothing: ${why}; leave it out, or change the other.`, {
    field: key,
    key,
    found,
  });

/**
 * Refuses such options of a solver or of `solve`, or says of which the run takes no notice.
 * @throws PtychoError CONFIG_INVALID
 */
export function withoutIdle(collection: Collection): void {
  const { given, notes, warnings } = collection;
  for (const [key, why] of idleIn(collection)) {
    const { value, source, origin } = given.get(key)!;
    if (source === 'flag') throw idleRefusal([key, why], value);
    const nothing = `${key} does nothing here: ${why}.`;
    if (origin === IN_MEMORY) warnings.push(nothing);
    else notes.push(`${origin}: ${nothing}`);
  }
}

/** Notes them: jobs of a plan share what was given, of which some may do nothing in one of them. */
export function noteIdle(collection: Collection): void {
  for (const [key, why] of idleIn(collection)) collection.notes.push(`${key} does nothing in this job: ${why}.`);
}
