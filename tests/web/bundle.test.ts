/** The package as a bundler of a page takes it: no modules of Node, and no more than was promised. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

/**
 * What a page loads of some entries: gzipped kB of all that its scripts import statically, each once.
 * @param late scripts that are imported when they are needed and count, too
 */
async function bundled(
  entries: readonly string[],
  late = /^$/,
): Promise<{ readonly imports: readonly string[]; readonly kB: number; readonly texts: string }> {
  mkdirSync('.tmp', { recursive: true });
  // Inside the package, so that its own name resolves to it.
  const folder = mkdtempSync(path.resolve('.tmp', 'web-'));
  try {
    const files = entries.map((entry, i) => {
      const file = path.join(folder, `page${i}.js`);
      writeFileSync(file, entry.endsWith('worker') ? `import '${entry}';` : `export * from '${entry}';`);
      return file;
    });
    const { metafile } = await build({
      ...{ entryPoints: files, outdir: path.join(folder, 'out'), bundle: true, splitting: true, format: 'esm' },
      ...{ platform: 'browser', minify: true, metafile: true, logLevel: 'silent' },
    });
    const outputs = Object.entries(metafile.outputs);
    const first = outputs.filter(([, { entryPoint }]) => /page\d\.js$/.test(entryPoint ?? ''));
    expect(first).toHaveLength(entries.length);
    const seen = new Set<string>();
    const visit = (output: string): void => {
      if (seen.has(output)) return;
      seen.add(output);
      for (const { path: next, kind, external } of metafile.outputs[output].imports)
        if (kind === 'import-statement' && !external) visit(next);
    };
    for (const [output] of first) visit(output);
    for (const [output, { entryPoint }] of outputs) if (entryPoint && late.test(entryPoint)) visit(output);
    const texts = [...seen].map((output) => readFileSync(output));
    return {
      imports: outputs.flatMap(([, { imports }]) =>
        imports.filter(({ external }) => external).map(({ path: of }) => of),
      ),
      kB: texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0) / 1000,
      texts: texts.join('\n'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('holds the library in 300 kB, without engines and the renderer of pictures', async () => {
  const { imports, kB, texts } = await bundled(['ptychopinn/web']);
  expect(imports.filter((name) => name !== '@resvg/resvg-js')).toEqual([]);
  // As a text: keys of objects are called so, too.
  expect(/["'`]node:/.test(texts)).toBe(false);
  expect(kB).toBeGreaterThan(100);
  expect(kB).toBeLessThan(300);
});

it('holds what a page needs of a session in 40 kB', async () => {
  const { imports, kB, texts } = await bundled(['ptychopinn/web/session']);
  expect(imports).toEqual([]);
  expect(texts.includes('ENGINE_FAILURE')).toBe(true);
  expect(kB).toBeLessThan(40);
});

it('opens and solves a scan in a session with 300 kB in all', async () => {
  const entries = ['ptychopinn/web/session', 'ptychopinn/web/worker'];
  const { imports, kB, texts } = await bundled(entries, /parts\/(service|solving|npz|solverWorker)-/);
  expect(imports.filter((name) => name !== '@resvg/resvg-js')).toEqual([]);
  expect(texts.includes('There is no open scan')).toBe(true);
  expect(kB).toBeLessThan(300);
});

it('names the licences of what was built in', () => {
  const text = readFileSync('dist/web/bundle/LICENSES.txt', 'utf8');
  for (const name of ['@noble/hashes', 'h5wasm', 'onnxruntime-web', 'zod', 'buffer', 'fflate'])
    expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ `, 'm'));
});
