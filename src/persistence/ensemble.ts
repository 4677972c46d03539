/**
 * An ensemble on disk: a folder with `ensemble.json` and a folder for each member, which is a run of its own (`member-1/wts.zip`, …).
 * Normative: `specs/bundle.md`.
 *
 * @example
 * await writeEnsemble('run', [{ folder: 'member-1', seed: 0, sha256: 'ba78…' }]);
 * const bundles = await openEnsemble('run'); // the bundles of all members, checked
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { messageOf, PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { openBundle, type StoredBundle } from './bundle.js';
import { parseBoundedJson } from './json.js';
import type { MlflowAccess } from './mlflowArtifacts.js';
import { isMlflowUri } from './mlflowArtifacts.js';

/** The file that makes a folder an ensemble. */
export const ENSEMBLE_FILE = 'ensemble.json';

/** The most networks of an ensemble. */
export const MOST_MEMBERS = 99;

const FORMAT = 'ptychopinn-ensemble';
const VERSION = 1;

/** One network of an ensemble. */
export interface EnsembleMember {
  /** Its folder, `member-1`, below that of the ensemble. */
  readonly folder: string;
  readonly seed: number;
  /** SHA-256 of its `weights.safetensors`. */
  readonly sha256: string;
}

/** The folder of a member, counted from 1. */
export const memberFolder = (member: number): string => `member-${member}`;

/** Whether a path is the folder of an ensemble. */
export const isEnsemble = (of: string): boolean => !isMlflowUri(of) && existsSync(path.join(of, ENSEMBLE_FILE));

/**
 * Writes `ensemble.json`.
 * @returns its name
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeEnsemble(folder: string, members: readonly EnsembleMember[]): Promise<string> {
  await writeAtomically(path.join(folder, ENSEMBLE_FILE), json({ format: FORMAT, version: VERSION, members }));
  return ENSEMBLE_FILE;
}

/**
 * Opens the bundles of an ensemble, or the one bundle that a path means otherwise.
 * @throws PtychoError BUNDLE_INVALID for an `ensemble.json` that is none, members that are not those that it lists, or members that
 * take other patterns than the first; FORMAT_UNSUPPORTED for a newer version; and those of `openBundle`
 */
export async function openMembersOf(of: string, access: MlflowAccess = {}): Promise<readonly StoredBundle[]> {
  if (!isEnsemble(of)) return [await openBundle(of, access)];
  const file = path.join(of, ENSEMBLE_FILE);
  const bundles: StoredBundle[] = [];
  for (const { folder, sha256 } of await readEnsemble(file)) {
    const bundle = await openBundle(path.join(of, folder), access);
    if (weightsSha256(bundle) !== sha256) {
      throw invalid(
        file,
        `${folder} holds other weights than those that ${ENSEMBLE_FILE} lists; train the ensemble anew`,
      );
    }
    const first = bundles[0] ?? bundle;
    for (const name of ['N', 'gridsize'] as const) {
      const [expected, found] = [first.config.model[name], bundle.config.model[name]];
      if (expected !== found) throw invalid(file, `its members differ in ${name}: ${expected} and ${found}`);
    }
    bundles.push(bundle);
  }
  return bundles;
}

/** What a calibration knows a model by. */
export const weightsSha256 = ({ manifest }: StoredBundle): string => manifest.members['weights.safetensors'].sha256;

async function readEnsemble(file: string): Promise<readonly EnsembleMember[]> {
  let found: { readonly format?: unknown; readonly version?: unknown; readonly members?: unknown };
  try {
    found = (parseBoundedJson(await readTextInput(file, { maxBytes: TABLE_BYTES })) ?? {}) as typeof found;
  } catch (error) {
    if (error instanceof PtychoError) throw error;
    throw invalid(file, `it is not JSON: ${messageOf(error)}`);
  }
  const { format, version, members } = found;
  if (format !== FORMAT) throw invalid(file, `its format is not "${FORMAT}"`);
  if (typeof version === 'number' && version > VERSION) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `${file} has version ${version}, but this ptychopinn reads up to ${VERSION}; install a newer one.`,
      { path: file, formatVersion: version },
    );
  }
  if (!Array.isArray(members) || members.length === 0 || members.length > MOST_MEMBERS) {
    throw invalid(file, `it must list 1 to ${MOST_MEMBERS} members`);
  }
  return members.map((member: Partial<EnsembleMember> | null, i): EnsembleMember => {
    // The file must not choose paths: members are where they are written.
    if (member?.folder !== memberFolder(i + 1))
      throw invalid(file, `member ${i + 1} must lie in ${memberFolder(i + 1)}`);
    if (typeof member.sha256 !== 'string' || typeof member.seed !== 'number') {
      throw invalid(file, `member ${i + 1} has no sha256 or no seed`);
    }
    return { folder: member.folder, seed: member.seed, sha256: member.sha256 };
  });
}

function invalid(file: string, why: string): PtychoError {
  return new PtychoError('BUNDLE_INVALID', `${file}: ${why}.`, { path: file });
}
