/** `FILE[:key]`: how options name an array in another file. */
import { existsSync } from 'node:fs';

/** The parts of such a text. */
export interface FileSpec {
  readonly file: string;
  /** An NPZ key or an HDF5 dataset (`/entry/data/data`). */
  readonly key?: string;
}

/** The part after the last colon is a key, unless the whole names a file or the colon belongs to a drive (`C:\…`). */
export function splitFileSpec(spec: string): FileSpec {
  const match = /^(.{2,}):([\w/.\- ]+)$/.exec(spec);
  if (match === null || existsSync(spec)) return { file: spec };
  return { file: match[1], key: match[2] };
}
