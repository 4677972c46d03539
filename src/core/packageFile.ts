/**
 * Files of this package that are opened at run time: entries of worker threads, WebAssembly, HDF5 filters.
 *
 * @example
 * packageFile(new URL('./kernels.wasm', import.meta.url), 'solvers/host/kernels.wasm');
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { PtychoError } from './errors.js';
import { createdBy } from './version.js';

/**
 * Where such a file is: beside the module that needs it; beside a bundle, where somebody put it there (docs/installing.md); or else in the
 * package of the same version that is installed where the bundle is. The sources, as the tests run them, take what was built.
 *
 * @param beside written as a literal `new URL('./name', import.meta.url)`, which bundlers follow
 * @param place the file below `dist`
 * @throws PtychoError BACKEND_MISSING where it is nowhere
 */
export function packageFile(beside: URL, place: string): URL {
  if (import.meta.url.endsWith('.ts')) return new URL(`../../dist/${place}`, import.meta.url);
  if (existsSync(beside)) return beside;
  const found = installed(beside, place);
  if ('file' in found) return found.file;
  throw new PtychoError(
    'BACKEND_MISSING',
    `${beside.pathname} is missing, and ${found.instead}; install the package again, or, from a bundle, put dist/${place} beside it or install ptychopinn ${createdBy.version} where it runs (docs/installing.md).`,
    { file: beside.pathname, place },
  );
}

function installed(beside: URL, place: string): { readonly file: URL } | { readonly instead: string } {
  let manifest: string;
  const require = createRequire(beside);
  try {
    manifest = require.resolve(`${createdBy.package}/package.json`);
  } catch {
    return { instead: `no package ${createdBy.package} is installed there` };
  }
  const { version } = require(manifest) as { readonly version: string };
  if (version !== createdBy.version) return { instead: `the ${createdBy.package} that is installed is ${version}` };
  const file = new URL(`dist/${place}`, pathToFileURL(manifest));
  return existsSync(file) ? { file } : { instead: `${manifest} belongs to a package without it` };
}
