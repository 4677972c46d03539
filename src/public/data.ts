/**
 * `ptychopinn/data`: scans as files and in memory, what is found wrong with them, groups and batches.
 *
 * @example
 * import { groupScan, openDataset, writeScan } from 'ptychopinn/data';
 * const raw = await openDataset('scan.h5', { crop_px: 64 });
 * const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: 512, neighbor_count: 5 });
 * await writeScan('scan.npz', raw);
 *
 * @module data
 */
export { SCAN_FORMATS, type ScanFormat } from '../config/schemas/data.js';
export { LegacyRng } from '../core/rng.js';
export type { ComplexImage, ComplexTensor, NumericArray, Shape, Tensor } from '../core/tensor.js';
export { fromNdarray, rawDataFromArrays, toNdarray } from '../data/arrays.js';
export { type DatasetBatch, DiffractionDataset } from '../data/dataset.js';
export { openScan, surveyScan } from '../data/findings/survey.js';
export { type GroupingOptions, type Groups, groupScan } from '../data/grouping/grouping.js';
export { cachedGroups } from '../data/grouping/groupingCache.js';
export { inspectScan, type ScanInspection } from '../data/inspect.js';
export { groupedStatistics, measureStatistics, type PatternStatistics } from '../data/normalise.js';
export { openDataset } from '../data/openDataset.js';
export type { MeasurementDomain } from '../data/opening/measurementDomain.js';
export { type AxisOrientation, ORIENTATIONS, orientationFlags, orientPositions } from '../data/opening/orientation.js';
export type { OpenDatasetOptions } from '../data/options.js';
export { type FindOrientationOptions, findOrientation, type OrientationSearch } from '../data/orient/orient.js';
export { keepPatterns } from '../data/patternCache.js';
export type { PatternSource } from '../data/patternSource.js';
export { type PreparedScan, prepareScan } from '../data/preparedScan.js';
export type { RawData } from '../data/rawData.js';
export { registerScanFormat, type ScanFormatEntry } from '../data/readers/registry.js';
export type { ScanFile, ScanGeometry, ScanReader } from '../data/scanFile.js';
export { type ScanContent, type WriteScanOptions, writeScan } from '../data/scanWriter.js';
export { type NpzFile, openNpz, writeNpz } from '../formats/npz.js';
export { probeFwhm, probeGuessFromPatterns } from '../physics/probe.js';
