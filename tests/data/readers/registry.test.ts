/** Formats of scan files: their names stand in the configuration once more, and a reader brings no other one's packages. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SCAN_FORMATS, type ScanFormat } from '../../../src/config/schemas/data.js';
import { openDataset } from '../../../src/data/openDataset.js';
import { openScanFile, registerScanFormat } from '../../../src/data/readers/registry.js';

const NPZ = resolve(dirname(fileURLToPath(import.meta.url)), '../../../fixtures/lines64.npz');
const source = resolve(dirname(fileURLToPath(import.meta.url)), '../../../src');

/** The packages that loading a module loads: those of its static imports, and so on; types alone load nothing. */
function packagesOf(module: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const statements = readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)\s([^'"=;]*?)\s*(?:\bfrom\s*)?'([^']+)';/gm,
    );
    for (const [, what, specifier] of statements) {
      const names = /\{(.*)\}/s
        .exec(what)?.[1]
        .split(',')
        .map((name) => name.trim());
      if (what.startsWith('type ') || names?.every((name) => name === '' || name.startsWith('type '))) continue;
      const next = resolve(dirname(file), specifier.replace(/\.js$/, '.ts'));
      if (specifier.startsWith('.') && existsSync(next)) visit(next);
      else if (!specifier.startsWith('node:')) packages.add(specifier);
    }
  };
  visit(resolve(source, module));
  return packages;
}

describe('the formats of scans', () => {
  it('can be more than ours', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'ptychopinn-format-')), 'scan.mine');
    await writeFile(file, 'MINE');
    await expect(openDataset(file)).rejects.toMatchObject({ code: 'FILE_FORMAT' });
    let loaded = 0;
    const unregister = registerScanFormat('mine', {
      title: 'MINE file',
      priority: 10,
      mayBe: async (path) => path.endsWith('.mine'),
      load: async () => {
        loaded++;
        return { open: async (path) => ({ ...(await openScanFile(NPZ, 'npz', {})), format: 'mine', path }) };
      },
    });
    for (const data_format of ['auto', 'mine']) {
      const raw = await openDataset(file, { data_format });
      expect(raw).toMatchObject({ format: 'mine', N: (await openDataset(NPZ)).N });
      await raw.close();
    }
    expect(loaded).toBe(3);
    unregister();
    await expect(openDataset(file)).rejects.toMatchObject({ code: 'FILE_FORMAT' });
  });

  it('are those that the configuration names', async () => {
    await expect(openScanFile('scan', 'none' as ScanFormat, {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      fields: { expected: SCAN_FORMATS },
    });
  });

  it('load the packages of one reader only', () => {
    expect([...packagesOf('data/readers/tiff.ts')]).toContain('tiff');
    for (const module of ['data/openDataset.ts', 'data/readers/npz.ts', 'data/readers/hdf5.ts']) {
      for (const name of packagesOf(module)) expect(name, module).not.toMatch(/^(tiff|h5wasm)/);
    }
  });
});
