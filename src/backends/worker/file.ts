/** Where a backend's worker is. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PtychoError } from '../../core/errors.js';

/**
 * The worker `worker.js` beside the module at `url`. A worker cannot load TypeScript on Node 20, so that a backend used
 * from the sources (by the tests) takes the built one.
 *
 * @throws PtychoError BACKEND_MISSING when the built files are missing or older than the sources.
 */
export function workerBeside(url: string): URL {
  if (!url.endsWith('.ts')) return new URL('./worker.js', url);
  const folder = path.dirname(fileURLToPath(url));
  const backends = path.resolve(folder, '..');
  const built = path.resolve(backends, '../../dist/backends');
  for (const source of [...sources(folder), ...sources(path.join(backends, 'worker'))]) {
    const file = path.relative(backends, source).replace(/\.ts$/, '.js');
    if (modified(path.join(built, file)) < modified(source)) {
      throw new PtychoError(
        'BACKEND_MISSING',
        `The built file dist/backends/${file} is missing or older than its source: run "npm run build" first.`,
        { file: `dist/backends/${file}` },
      );
    }
  }
  return new URL(`../../../dist/backends/${path.basename(folder)}/worker.js`, url);
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
