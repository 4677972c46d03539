/** Where the worker of an engine is. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PtychoError } from '../../core/errors.js';

/** The folder of the sources of this package, or of what was built from them. */
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * The worker `worker.js` beside the module at `url`. A worker cannot load TypeScript on Node 20, so that an engine used
 * from the sources (by the tests) takes the built one.
 *
 * @throws PtychoError BACKEND_MISSING when the built files are missing or older than the sources.
 */
export function workerBeside(url: string): URL {
  if (!url.endsWith('.ts')) return new URL('./worker.js', url);
  const folder = path.dirname(fileURLToPath(url));
  const dist = path.resolve(ROOT, '../dist');
  for (const source of [...sources(folder), ...sources(path.join(ROOT, 'backends/worker'))]) {
    const file = path.relative(ROOT, source).replace(/\.ts$/, '.js');
    if (modified(path.join(dist, file)) < modified(source)) {
      throw new PtychoError(
        'BACKEND_MISSING',
        `The built file dist/${file} is missing or older than its source: run "npm run build" first.`,
        { file: `dist/${file}` },
      );
    }
  }
  return pathToFileURL(path.join(dist, path.relative(ROOT, folder), 'worker.js'));
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return sources(file);
    return entry.name.endsWith('.ts') ? [file] : [];
  });
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
