/** The version is a constant, so that importing reads no file. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createdBy } from '../../src/core/version.js';

it('createdBy is what package.json says: change both', () => {
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string; version: string };
  expect(createdBy).toEqual({ package: name, version });
});
