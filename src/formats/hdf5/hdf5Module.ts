/** The HDF5 library as a module, on the files of this machine; the browser's build has another of this file (`web/standins/hdf5Module.ts`). */
import { fileURLToPath } from 'node:url';
import type { ready } from 'h5wasm/node';
import { packageFile } from '../../core/packageFile.js';

/** h5wasm's low-level functions; object paths are absolute, integers of 64 bits are bigints. */
export type Hdf5Module = Awaited<typeof ready>;

type Factory = (options: object) => Promise<Hdf5Module>;

// Loaded once.
let factory: Promise<Factory> | undefined;

/**
 * A new instance. The factory is loaded itself, not through h5wasm's own module, because only the factory can make a second one.
 * @param print takes what the library prints
 */
export async function startModule(print: (text: string) => void): Promise<Hdf5Module> {
  factory ??= import(new URL('./hdf5_util.js', import.meta.resolve('h5wasm/node')).href).then(
    (loaded: { default: Factory }) => loaded.default,
  );
  return (await factory)({ noInitialRun: true, print, printErr: print });
}

/** Where the filters of h5wasm-plugins lie: `npm run build` copies them beside this file. */
export function pluginFolder(): string {
  return fileURLToPath(packageFile(new URL('./plugins/', import.meta.url), 'formats/hdf5/plugins/'));
}
