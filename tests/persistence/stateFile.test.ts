import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpz } from '../../src/formats/npz.js';
import { textArray } from '../../src/formats/outputFiles.js';
import { readState } from '../../src/solvers/files/state.js';
import { readSearch } from '../../src/tries/state.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-state-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([
  ['solver_state.npz', 'a solver', readState],
  ['reconstruct_state.npz', 'a reconstruction', readSearch],
] as const)('%s', (name, of, read) => {
  const withHead = async (head: string) => {
    await writeNpz(join(folder, name), { head: textArray(head) });
    return read(folder).then(
      () => undefined,
      (error: Error & { code: string }) => error,
    );
  };

  it('says of a head that is not as it should be, in one line, what is wrong', async () => {
    const error = await withHead('{"format_version": 1, "scan": 3}');
    expect(error?.code).toBe('CHECKPOINT_INVALID');
    expect(error?.message).not.toContain('\n');
    expect(error?.message).toMatch(
      new RegExp(`${name} is damaged or no state of ${of}: \\w+: .*; start again without`),
    );
  });

  it('refuses nesting that nothing writes, and newer versions', async () => {
    expect((await withHead('['.repeat(100_000)))?.code).toBe('CHECKPOINT_INVALID');
    const newer = await withHead('{"format_version": 2}');
    expect([newer?.code, newer?.message]).toEqual([
      'FORMAT_UNSUPPORTED',
      expect.stringContaining('has format version 2'),
    ]);
  });
});
