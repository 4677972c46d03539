/** Golden numbers and measured data that live beside the project; see `describeShared`. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';

/** The folder that holds `golden/` and `data/`. */
export const sharedFolder = path.resolve(process.env.PTYCHOPINN_SHARED ?? '../shared');

/** Path of a file in the shared folder. */
export const sharedFile = (...parts: string[]): string => path.join(sharedFolder, ...parts);

/**
 * `describe` for tests that need the shared folder: skipped with a message where it is absent, unless
 * `PTYCHOPINN_REQUIRE_SHARED=1`, which makes absence a failure.
 */
export function describeShared(name: string, body: () => void): void {
  if (existsSync(sharedFile('golden')) || process.env.PTYCHOPINN_REQUIRE_SHARED === '1') {
    describe(name, body);
  } else {
    describe.skip(`${name} (skipped: no golden data in ${sharedFolder}; set PTYCHOPINN_SHARED)`, body);
  }
}
