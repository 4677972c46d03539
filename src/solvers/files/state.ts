/**
 * `solver_state.npz`: a run after an epoch, from which it goes on bit for bit. NumPy arrays and two texts; docs/solvers.md says what
 * is in it.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type SolverOptions, solverOptionsSchema } from '../../config/schemas/solver.js';
import { PtychoError } from '../../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../../core/inputFile.js';
import type { Logger } from '../../core/log.js';
import { createdBy } from '../../core/version.js';
import { counted } from '../../core/words.js';
import { parseBoundedJson } from '../../persistence/json.js';
import { requireSameScan, type ScanFingerprint, settingChanged, warnOfLastDigits } from '../../persistence/runState.js';
import { readStateFile, type StateFormat, writeStateFile } from '../../persistence/stateFile.js';
import type { SolverSnapshot } from '../updates.js';

/** The file below the output folder. */
export const STATE_FILE = 'solver_state.npz';
const FORMAT_VERSION = 1;
const FORMAT: StateFormat = { file: STATE_FILE, version: FORMAT_VERSION, of: 'a solver', command: 'solve' };

/** What a state belongs to. */
export interface StateHead {
  /** The options of the solver. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What the run began with, as it was given. */
  readonly init: string | null;
  readonly scan: ScanFingerprint;
  readonly engine: string;
  readonly version: string;
}

const headSchema = z.strictObject({
  format_version: z.literal(FORMAT_VERSION),
  epoch: z.int().nonnegative(),
  options: z.record(z.string(), z.unknown()),
  init: z.string().nullable(),
  scan: z.record(z.string(), z.string()),
  engine: z.string(),
  version: z.string(),
});

/** A state that was read. */
export interface StoredState {
  readonly file: string;
  readonly head: StateHead;
  readonly snapshot: SolverSnapshot;
}

/**
 * Writes a state under a temporary name, then renames it: the file is the old one or the new one.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function saveState(
  folder: string,
  head: StateHead,
  { epoch, arrays, history }: SolverSnapshot,
): Promise<void> {
  const rows = history.flatMap((row) => [row.epoch, row.loss, row.rFactor, row.shift_px]);
  const whole = { epoch, ...head, options: asStored(head.options) };
  await writeStateFile(folder, FORMAT, whole, arrays, {
    history: { data: Float64Array.from(rows), shape: [history.length, 4] },
  });
}

/** States call `passes` by the name that it had when they were first written. */
function asStored({ passes, ...options }: StateHead['options']): StateHead['options'] {
  return passes === undefined ? options : { ...options, engine: passes };
}

function asNamed({ engine, ...options }: StateHead['options']): StateHead['options'] {
  return engine === undefined ? options : { ...options, passes: engine };
}

/**
 * Reads the state of the run in a folder; undefined where it was stopped before its first one.
 * @throws PtychoError FILE_NOT_FOUND where there is no run, CHECKPOINT_INVALID for a damaged file, FORMAT_UNSUPPORTED for a newer one
 */
export function readState(folder: string): Promise<StoredState | undefined> {
  return readStateFile(folder, FORMAT, headSchema, async ({ epoch, format_version: _, ...stored }, arrays, npz) => {
    const head = { ...stored, options: asNamed(stored.options) };
    const rows = (await npz.readReal('history')).data;
    const history = Array.from({ length: rows.length / 4 }, (_row, i) => ({
      epoch: rows[4 * i],
      loss: rows[4 * i + 1],
      rFactor: rows[4 * i + 2],
      shift_px: rows[4 * i + 3],
    }));
    if (history.at(-1)?.epoch !== epoch) throw new Error(`its history ends with epoch ${history.at(-1)?.epoch}`);
    return { file: path.join(folder, STATE_FILE), head, snapshot: { epoch, arrays, history } };
  });
}

/** Whether a folder has the results of that epoch: `run.json` is written last, and may be that of an earlier length. */
export async function resultsOf(folder: string, epoch: number): Promise<boolean> {
  if (!existsSync(path.join(folder, 'reconstruction.npz'))) return false;
  try {
    const run = parseBoundedJson(await readTextInput(path.join(folder, 'run.json'), { maxBytes: TABLE_BYTES })) as {
      epochs?: unknown;
    };
    return run.epochs === epoch;
  } catch {
    return false;
  }
}

/** Options that may change when a run goes on: how far, who computes, and where patterns are kept. */
const FREE: readonly string[] = ['epochs', 'passes', 'stream'] satisfies (keyof SolverOptions)[];

/** What runs of versions did that had no such option: a state without it goes on with these. */
const BEFORE: Readonly<Record<string, unknown>> = {
  ...{ batching: 'random', acceleration: 0 },
  ...{ slices: 1, slice_distance_m: null, slice_regularisation: 0 },
  ...{ opr_modes: 0, opr_start: 3, opr_smooth: 0, flux: false },
  ...{ prior: 'none', prior_start: 31, prior_width: 32, prior_learning_rate: 0.003 },
  ...{ ml_start: null, ml_method: 'lbfgs' },
  ...{ progressive_levels: 1, progressive_epochs: 10 },
  ...{ probe_radius_px: null, detector_support: null, centre_probe: false },
  ...{ object_l1: 0, object_l2: 0, object_amplitude_min: null, object_amplitude_max: null },
  ...{ object_phase_min_rad: null, object_phase_max_rad: null, grid_period_px: null, grid_window: 1 },
  ...{ fly_positions: 1, fly_duty: null, background: 'none', background_start: 5 },
  ...{ position_method: 'gradient', affine_rule: 'gain' },
  ...{ affine: false, affine_freedom: 'scale,rotation,asymmetry,shear', affine_start: 5, affine_stop: 30 },
};

/**
 * The options of a run that goes on: what nobody gave, and what versions before did otherwise, is as the run was begun.
 * @param given options as the configuration has them
 */
export function goingOnWith({ head }: StoredState, given: SolverOptions): SolverOptions {
  const usual = solverOptionsSchema.parse({ algorithm: given.algorithm }) as unknown as Record<string, unknown>;
  const now = given as unknown as Readonly<Record<string, unknown>>;
  const then: Readonly<Record<string, unknown>> = { ...BEFORE, ...head.options };
  const kept = Object.keys(BEFORE).filter((key) => now[key] === usual[key]);
  return { ...given, ...Object.fromEntries(kept.map((key) => [key, then[key]])) };
}

/** The run that asks to go on. */
export interface GoingOn {
  readonly folder: string;
  readonly options: SolverOptions;
  readonly init: string | null;
  readonly scan: ScanFingerprint;
  /** The folder has what the last epoch came to. */
  readonly hasResults: boolean;
}

/**
 * Checks that a run may go on from a state.
 * @throws PtychoError CONFIG_INVALID for other options or nothing left to do, DATASET_VALUE for another scan: one sentence that names
 * what differs
 */
export function checkState(
  { head, snapshot }: StoredState,
  { folder, options, init, scan, hasResults }: GoingOn,
): void {
  const now: Readonly<Record<string, unknown>> = { ...options, init };
  const then: Readonly<Record<string, unknown>> = { ...BEFORE, ...head.options, init: head.init };
  const run = { folder, otherwise: 'start again' };
  for (const key of new Set([...Object.keys(then), ...Object.keys(now)])) {
    if (FREE.includes(key) || now[key] === then[key]) continue;
    const [found, expected] = [now[key], then[key]];
    throw settingChanged(run, { key, now: shown(found), before: shown(expected), found, expected });
  }
  requireSameScan(run, { now: scan, before: head.scan });
  // A run that ended between its last state and its results still has these to write.
  if (options.epochs === snapshot.epoch && !hasResults) return;
  if (options.epochs <= snapshot.epoch) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `The run in ${folder} has ${counted(snapshot.epoch, 'epoch')} already; give more with --epochs to make it longer.`,
      { key: 'epochs', found: options.epochs, expected: snapshot.epoch + 1 },
    );
  }
}

const shown = (value: unknown): string => (value === undefined || value === null ? 'not given' : JSON.stringify(value));

/** Another engine, number of threads or version may change the last digits: that is told, not refused. */
export function warnOfEngine(then: StateHead, engine: string, folder: string, logger: Logger): void {
  if (then.engine === engine && then.version === createdBy.version) return;
  const engines = `${then.engine} (ptychopinn ${then.version}) and goes on with ${engine} (${createdBy.version}):`;
  warnOfLastDigits(folder, engines, logger);
}
