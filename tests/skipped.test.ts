/** The line at the end of a run that says what was skipped. */
import { expect, it } from 'vitest';
import { skippedLine } from './support/skippedReporter.js';

const SHARED = 'no golden data in ../shared; set PTYCHOPINN_SHARED';

it('is one line, loudest where golden parity was skipped', () => {
  expect(skippedLine(new Map())).toBeUndefined();
  expect(skippedLine(new Map([['no Python with numpy', 3]]))).toBe('Skipped 3 tests: 3 no Python with numpy.');
  const line = skippedLine(new Map([['no Python with numpy', 3], [SHARED, 2]])); // biome-ignore format: a list
  expect(line).toBe(`GOLDEN PARITY WAS NOT CHECKED. Skipped 5 tests: 2 ${SHARED}; 3 no Python with numpy.`);
});
