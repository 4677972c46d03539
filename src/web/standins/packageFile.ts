/** In place of `core/packageFile.ts`: what the package opens at run time is built into the page's script, and lies in the page's files. */
import kernels from 'asset:kernels';
import { unzlibSync } from 'fflate';
import { files } from '../files.js';

/** Where such files lie. */
export const PACKAGE_FOLDER = '/page/.tmp/package';

files.addBytes(`${PACKAGE_FOLDER}/solvers/host/kernels.wasm`, unzlibSync(kernels));

export const packageFile = (_beside: URL, place: string): URL => new URL(`${PACKAGE_FOLDER}/${place}`, 'file:///');
