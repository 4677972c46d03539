/**
 * `ptychopinn/compat`: the published names of the Python tools, for programs that are carried over. New programs are better off with
 * `train`, `PtychoModel` and `reconstruct`.
 *
 * @packageDocumentation
 */
export {
  type DerivedParams,
  derivedParams,
  fromLegacyParams,
  KEY_MAPPINGS,
  LEGACY_DEFAULTS,
  LegacyParams,
  toLegacyParams,
  updateLegacyDict,
} from '../../config/legacy/params.js';
export { type FromTorch, fromTorchConfigs, type TorchBlocks } from '../../config/torch/fromTorchConfigs.js';
export { LegacyRng } from '../../core/rng.js';
export { saveOutputs } from '../../reconstruction/reconstructionFile.js';
export {
  type CdiBundle,
  type CdiExample,
  type CdiHistory,
  type CdiImage,
  type CdiImageResults,
  type CdiPatches,
  type CdiResults,
  type CdiTrainingResults,
  loadInferenceBundle,
  loadInferenceBundleWithBackend,
  reassembleCdiImage,
  reconstructImage,
  runCdiExample,
  runCdiExampleWithBackend,
  type StitchOptions,
  trainCdiModel,
  trainCdiModelWithBackend,
} from './cdi.js';
export { type ContainerParts, type LoadContainerOptions, PtychoDataContainer } from './container.js';
export {
  type GroupedData,
  type GroupedDataOptions,
  groupedData,
  type LazyArray,
} from './groupedData.js';
