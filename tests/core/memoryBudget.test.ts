import { describe, expect, it } from 'vitest';
import { availableMemory, requireEpochMemory, requireMemory, requireThreads } from '../../src/core/memoryBudget.js';

describe('requireMemory', () => {
  const told = (bytes: number, available = 24e9) => {
    const lines: string[] = [];
    const logger = { info() {}, warn: (line: string) => lines.push(line) };
    requireMemory(bytes, 'The 9 patterns', { remedy: 'take fewer (--n_patterns)', logger, available });
    return lines;
  };

  it('says nothing below half of what is free, warns above it, refuses what does not fit', () => {
    expect(told(12e9)).toEqual([]);
    expect(told(13e9)).toEqual(['The 9 patterns need 13 GB of memory of the 24 GB that are free.']);
    expect(() => told(38e9)).toThrow(
      expect.objectContaining({
        code: 'OUT_OF_MEMORY',
        message: 'The 9 patterns need 38 GB of memory of the 24 GB that are free; take fewer (--n_patterns).',
      }),
    );
  });

  it.each([Number.POSITIVE_INFINITY, Number.NaN])('refuses %d bytes', (bytes) => {
    expect(() => told(bytes)).toThrow(/--n_patterns/);
  });

  it('knows what this machine has', () => {
    expect(availableMemory()).toBeGreaterThan(1e6);
    expect(() => requireMemory(1e18, 'They', { remedy: 'no' })).toThrow(/need 1 EB of memory/);
    expect(() => requireEpochMemory(1e15, '--epochs')).toThrow(/ask for fewer \(--epochs\)\.$/);
  });
});

describe('requireThreads', () => {
  it('takes up to four for each core, and none', () => {
    for (const threads of [null, undefined, 1, 8]) requireThreads(threads, 2);
    expect(() => requireThreads(9, 2)).toThrow(
      'threads is 9, but there are 2 cores; give 8 at most, or leave --threads out to use each core once.',
    );
    expect(() => requireThreads(5, 1)).toThrow(/there is 1 core; give 4 at most/);
  });
});
