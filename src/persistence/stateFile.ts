/**
 * States of iterative runs, from which they go on: an NPZ with `head` (JSON) and the arrays of the solver as `state_…`.
 *
 * @example
 * const format = { file: 'solver_state.npz', of: 'a solver', command: 'solve', version: 1 };
 * await writeStateFile('solved', format, { epoch: 3 }, { object_re: new Float64Array(4) });
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { ZodType } from 'zod';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import type { NumericArray } from '../core/tensor.js';
import { readText } from '../data/metadata.js';
import { type NpzFile, usingNpz, writeNpz } from '../formats/npz.js';
import { textArray } from '../formats/outputFiles.js';
import { parseBoundedJson } from './json.js';

/** Arrays of the solver begin with this. */
const PREFIX = 'state_';

/** What states of one kind are called, and the newest version of them that is known. */
export interface StateFormat {
  /** The file below the output folder. */
  readonly file: string;
  /** `a solver`: whose state it is. */
  readonly of: string;
  /** The command whose runs leave it. */
  readonly command: string;
  readonly version: number;
}

/**
 * Writes a state under a temporary name, then renames it: the file is the old one or the new one.
 * @param more arrays beside those of the solver
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeStateFile(
  folder: string,
  { file, version }: StateFormat,
  head: object,
  arrays: Readonly<Record<string, NumericArray>>,
  more: Parameters<typeof writeNpz>[1] = {},
): Promise<void> {
  await writeNpz(path.join(folder, file), {
    head: textArray(JSON.stringify({ format_version: version, ...head })),
    ...more,
    ...Object.fromEntries(
      Object.entries(arrays).map(([name, data]) => [`${PREFIX}${name}`, { data, shape: [data.length] }]),
    ),
  });
}

/**
 * Reads the state of the run in a folder; undefined where it was stopped before its first one.
 * @throws PtychoError FILE_NOT_FOUND where there is no run, CHECKPOINT_INVALID for a damaged file, FORMAT_UNSUPPORTED for a newer one
 */
export async function readStateFile<H, T>(
  folder: string,
  format: StateFormat,
  schema: ZodType<H>,
  decode: (head: H, arrays: Record<string, NumericArray>, npz: NpzFile) => T | Promise<T>,
): Promise<T | undefined> {
  const file = path.join(folder, format.file);
  if (!existsSync(file)) {
    if (existsSync(path.join(folder, 'config.json'))) return undefined;
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `There is nothing to resume in ${folder}: it is not the output folder of "ptychopinn ${format.command}"; leave --resume out to begin a run.`,
      { path: folder },
    );
  }
  try {
    return await usingNpz(file, async (npz) => {
      const head = headIn(await readText(npz, 'head'), file, format, schema);
      const arrays: Record<string, NumericArray> = {};
      for (const key of npz.keys.filter((name) => name.startsWith(PREFIX))) {
        arrays[key.slice(PREFIX.length)] = (await npz.readReal(key)).data;
      }
      return decode(head, arrays, npz);
    });
  } catch (error) {
    if (isPtychoError(error, 'FORMAT_UNSUPPORTED') && 'formatVersion' in error.fields) throw error;
    throw new PtychoError(
      'CHECKPOINT_INVALID',
      `${file} is damaged or no state of ${format.of}: ${messageOf(error).replace(/\.$/, '')}; start again without --resume.`,
      { path: file },
      { cause: error },
    );
  }
}

function headIn<H>(
  found: Awaited<ReturnType<typeof readText>>,
  file: string,
  { version }: StateFormat,
  schema: ZodType<H>,
): H {
  const head = parseBoundedJson('text' in found ? found.text : '') as { format_version?: unknown } | null;
  if (typeof head?.format_version === 'number' && head.format_version > version) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `${file} has format version ${head.format_version}, this ptychopinn reads up to ${version}; install a newer ptychopinn.`,
      { formatVersion: head.format_version, expected: version },
    );
  }
  const parsed = schema.safeParse(head);
  if (parsed.success) return parsed.data;
  const { path: place, message } = parsed.error.issues[0];
  throw new PtychoError('CHECKPOINT_INVALID', `${place.join('.') || 'its head'}: ${message}`, { path: file });
}
