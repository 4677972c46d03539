/** Golden numbers, measured data and scans of all kinds that live beside the project; see `describeShared`. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';

/** The folder that holds `golden/`, `data/` and `cases/`. */
export const sharedFolder = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared');

/** Path of a file in the shared folder. */
export const sharedFile = (...parts: string[]): string => path.join(sharedFolder, ...parts);

/**
 * `describe` for tests that need a part of the shared folder: skipped with a message where it is absent, unless
 * `PTYCHOPINN_REQUIRE_SHARED=1`, which makes absence a failure.
 */
export function describeShared(name: string, body: () => void, part: 'golden' | 'data' | 'cases' = 'golden'): void {
  if (existsSync(sharedFile(part)) || process.env.PTYCHOPINN_REQUIRE_SHARED === '1') describe(name, body);
  else describe.skip(`${name} (skipped: no ${part} data in ${sharedFolder}; set PTYCHOPINN_SHARED)`, body);
}
