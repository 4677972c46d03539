/**
 * `ptychopinn/ptychodus`: reconstructors for a Ptychodus-style host, in process and by folders, with the host's products and
 * settings (docs/ptychodus.md).
 *
 * @packageDocumentation
 */
export { patternsOf } from '../../persistence/product/arrays.js';
export { positionsInMetres, positionsOnObject } from '../../persistence/product/geometry.js';
export type {
  PixelSize,
  Product,
  ProductLosses,
  ProductMetadata,
  ProductObject,
  ProductPatterns,
  ProductPositions,
  ProductProbe,
  ProductRawData,
} from '../../persistence/product/product.js';
export {
  type ReadProductOptions,
  readProductFile,
  readStoredProduct,
  type StoredProduct,
} from '../../persistence/product/readProduct.js';
export { type WriteProductOptions, writeProductFile } from '../../persistence/product/writeProduct.js';
export { verifyProductFile } from '../../persistence/verify.js';
export { type BatchRequest, type BatchResult, runBatch } from './batch.js';
export {
  type HostReconstructor,
  type LibraryOptions,
  PtychoPinnReconstructorLibrary,
  type ReconstructorLibraries,
  type RegisteredReconstructor,
  reconstructorLibraries,
} from './library.js';
export type { PtychoPinnReconstructor } from './reconstructor.js';
export { type Parameter, ParameterGroup, SettingsRegistry } from './settings/parameters.js';
export { PtychoPinnSettings } from './settings/settings.js';
export type { SolverReconstructor } from './solverReconstructor.js';
export {
  isTrainable,
  type LossValue,
  type ModelInfo,
  type PatternStack,
  type ReconstructInput,
  type ReconstructOutput,
  type Reconstructor,
  type ReconstructorLibrary,
  type TrainableReconstructor,
  type TrainOutput,
} from './types.js';
