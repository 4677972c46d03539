/**
 * `ptychopinn/web`: the library for browsers, on the files of the page. Everything computes in the thread that calls it; a page that wants
 * to stay free begins a session in a thread instead (`ptychopinn/web/session`). Networks are in `ptychopinn/web/networks`. See docs/web.md.
 *
 * @example
 * import { files, openScan, runSolver } from 'ptychopinn/web';
 * const raw = await openScan(files.add(file)); // a File that was dropped
 * const { image, rFactor } = await runSolver(raw, { algorithm: 'rpie', epochs: 40 });
 *
 * @module web
 */
export { createdBy } from '../core/version.js';
export { rawDataFromArrays } from '../data/arrays.js';
export { openScan } from '../data/findings/survey.js';
export { inspectScan } from '../data/inspect.js';
export { writeScan } from '../data/scanWriter.js';
export { openNpz, writeNpz } from '../formats/npz.js';
export { type BlobLike, blobSource, memorySource, openHttpSource, type PageSource } from '../formats/pageSources.js';
export { amplitudeRFactor } from '../reconstruction/rFactor.js';
export { simulate } from '../simulation/recipe.js';
export { rawDataFromSimulation } from '../simulation/simulateScan.js';
export { runSolver } from '../solvers/run.js';
export { solve } from '../solvers/solve.js';
export { files, PageFiles } from '../web/files.js';
export { startThreadsBy } from '../web/threads.js';
export * from './webSession.js';
