/**
 * The state of `reconstruct`, from which an interrupted run goes on: `reconstruct_state.npz` in its folder, an NPZ with `head` (JSON)
 * and `state_…` arrays, those of the solver.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import type { NumericArray } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { readText } from '../data/metadata.js';
import { usingNpz, writeNpz } from '../formats/npz.js';
import { textArray } from '../formats/outputFiles.js';
import { parseBoundedJson } from '../persistence/json.js';
import type { ScanFingerprint } from '../persistence/runState.js';
import type { ResumedSearch } from './reconstructScan.js';
import type { Search, SearchState } from './search.js';

/** The file below the output folder. */
export const STATE_FILE = 'reconstruct_state.npz';
const FORMAT_VERSION = 1;
const PREFIX = 'state_';

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
  const solver = { epoch, history };
  const text = JSON.stringify({ format_version: FORMAT_VERSION, version: createdBy.version, ...head, solver, search: search.state }); // biome-ignore format: one call
  await writeNpz(path.join(folder, STATE_FILE), {
    head: textArray(text),
    ...Object.fromEntries(
      Object.entries(arrays).map(([name, data]) => [`${PREFIX}${name}`, { data, shape: [data.length] }]),
    ),
  });
}

/**
 * Reads the state of the run in a folder; undefined where it was stopped before its first one.
 * @throws PtychoError FILE_NOT_FOUND where there is no run, CHECKPOINT_INVALID for a damaged file, FORMAT_UNSUPPORTED for a newer one
 */
export async function readSearch(
  folder: string,
): Promise<{ readonly head: SearchHead; readonly resumed: ResumedSearch } | undefined> {
  const file = path.join(folder, STATE_FILE);
  if (!existsSync(file)) {
    if (existsSync(path.join(folder, 'config.json'))) return undefined;
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `There is nothing to resume in ${folder}: it is not the output folder of "ptychopinn reconstruct"; leave --resume out to begin a run.`,
      { path: folder },
    );
  }
  try {
    return await decode(file);
  } catch (error) {
    if (isPtychoError(error, 'FORMAT_UNSUPPORTED') && 'formatVersion' in error.fields) throw error;
    throw new PtychoError(
      'CHECKPOINT_INVALID',
      `${file} is damaged or no state of a reconstruction: ${messageOf(error).replace(/\.$/, '')}; start again without --resume.`,
      { path: file },
      { cause: error },
    );
  }
}

async function decode(file: string) {
  return usingNpz(file, async (npz) => {
    const found = await readText(npz, 'head');
    const json = parseBoundedJson('text' in found ? found.text : '') as { format_version?: unknown } | null;
    if (typeof json?.format_version === 'number' && json.format_version > FORMAT_VERSION) {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${file} has format version ${json.format_version}, this ptychopinn reads up to ${FORMAT_VERSION}; install a newer ptychopinn.`,
        { formatVersion: json.format_version, expected: FORMAT_VERSION },
      );
    }
    const parsed = headSchema.safeParse(json);
    if (!parsed.success) {
      const { path: place, message } = parsed.error.issues[0];
      throw new PtychoError('CHECKPOINT_INVALID', `${place.join('.') || 'its head'}: ${message}`, { path: file });
    }
    const { search, solver, scan, seconds, orientation, notes, given } = parsed.data;
    const arrays: Record<string, NumericArray> = {};
    for (const key of npz.keys.filter((name) => name.startsWith(PREFIX))) {
      arrays[key.slice(PREFIX.length)] = (await npz.readReal(key)).data;
    }
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
