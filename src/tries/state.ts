/**
 * The state of `reconstruct`, from which an interrupted run goes on: `reconstruct_state.npz` in its folder, an NPZ with `head` (JSON)
 * and `state_…` arrays, those of the solver.
 */
import { z } from 'zod';
import { createdBy } from '../core/version.js';
import type { ScanFingerprint } from '../persistence/runState.js';
import { readStateFile, type StateFormat, writeStateFile } from '../persistence/stateFile.js';
import type { ResumedSearch } from './reconstructScan.js';
import type { Search, SearchState } from './search.js';

/** The file below the output folder. */
export const STATE_FILE = 'reconstruct_state.npz';
const FORMAT_VERSION = 1;
const FORMAT: StateFormat = {
  ...{ file: STATE_FILE, version: FORMAT_VERSION },
  ...{ of: 'a reconstruction', command: 'reconstruct' },
};

/** What a state belongs to, and what was used up. */
export interface SearchHead {
  readonly scan: ScanFingerprint;
  readonly seconds: number;
  readonly orientation: string | null;
  readonly notes: readonly string[];
  /** The options that shape the result, as they were given. */
  readonly given: Readonly<Record<string, unknown>>;
}

const STAGES = ['forming', 'trying', 'seeking', 'settling', 'finishing', 'done'] as const;
const figure = z.number().nullable();
const options = z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()]));
const headSchema = z.strictObject({
  format_version: z.literal(FORMAT_VERSION),
  version: z.string(),
  scan: z.record(z.string(), z.string()),
  seconds: z.number().nonnegative(),
  orientation: z.string().nullable(),
  notes: z.array(z.string()),
  given: z.record(z.string(), z.unknown()),
  solver: z.strictObject({
    epoch: z.int().nonnegative(),
    history: z.array(z.strictObject({ epoch: z.int(), loss: figure, rFactor: figure, shift_px: z.number() })),
  }),
  search: z.strictObject({
    stage: z.enum(STAGES),
    done: z.int().nonnegative(),
    nextTry: z.int().nonnegative(),
    options,
    tried: z.array(
      z.strictObject({
        name: z.string(),
        title: z.string(),
        kept: z.boolean(),
        reason: z.string(),
        without: z.number().optional(),
        with: z.number().optional(),
      }),
    ),
    history: z.array(
      z.strictObject({
        epoch: z.int(),
        loss: figure,
        rFactor: figure,
        shift_px: z.number(),
        stage: z.enum(STAGES),
        heldOutR: z.number().optional(),
      }),
    ),
    heldOutR: z.number().optional(),
    hurried: z.boolean(),
  }),
});

/** Writes a state whole or not at all. @throws PtychoError OUTPUT_UNWRITABLE */
export async function saveSearch(folder: string, head: SearchHead, search: Search): Promise<void> {
  const image = search.image;
  if (!image) return;
  const { arrays, epoch, history } = image.snapshot;
  const whole = { version: createdBy.version, ...head, solver: { epoch, history }, search: search.state };
  await writeStateFile(folder, FORMAT, whole, arrays);
}

/**
 * Reads the state of the run in a folder; undefined where it was stopped before its first one.
 * @throws PtychoError FILE_NOT_FOUND where there is no run, CHECKPOINT_INVALID for a damaged file, FORMAT_UNSUPPORTED for a newer one
 */
export function readSearch(
  folder: string,
): Promise<{ readonly head: SearchHead; readonly resumed: ResumedSearch } | undefined> {
  return readStateFile(folder, FORMAT, headSchema, (stored, arrays) => {
    const { search, solver, scan, seconds, orientation, notes, given } = stored;
    // JSON has no numbers that are none.
    const number = (value: number | null) => value ?? Number.NaN;
    const row = <T extends { readonly loss: number | null; readonly rFactor: number | null }>(one: T) => ({
      ...one,
      loss: number(one.loss),
      rFactor: number(one.rFactor),
    });
    const state: SearchState = { ...search, history: search.history.map(row) };
    const snapshot = { epoch: solver.epoch, arrays, history: solver.history.map(row) };
    const resumed: ResumedSearch = { begin: { state, snapshot }, orientation: orientation ?? undefined, notes };
    return { head: { scan, seconds, orientation, notes, given }, resumed };
  });
}
