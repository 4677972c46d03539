/**
 * A measured or simulated scan: patterns (read on demand), positions, probe. Contract of the files: `specs/data.md`.
 *
 * @example
 * const raw = await openDataset('scan.npz', { n_subsample: 512, subsample_seed: 7 });
 * try { console.log(raw.count, raw.N, raw.domain, raw.domainReason); } finally { await raw.close(); }
 */

import type { DataConfig, ScanFormat } from '../config/schemas/data.js';
import type { Logger } from '../core/log.js';
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import type { Findings } from './findings/finding.js';
import type { MeasurementDomain } from './opening/measurementDomain.js';
import type { Orientation } from './opening/orientation.js';
import type { PatternSource } from './patternSource.js';
import type { ScanGeometry, StoredPatches } from './scanFile.js';

/** A scan, of which `count` patterns were selected; per-position arrays have that length. Positions are object pixels. */
export interface RawData {
  /** Where it comes from: a path, or a name given in memory. */
  readonly source: string;
  readonly count: number;
  /** Side of the patterns, pixels. */
  readonly N: number;
  readonly patterns: PatternSource;
  /** (count,) column and row of each position. */
  readonly xcoords: Float64Array;
  readonly ycoords: Float64Array;
  /** (count,) positions at the start of each exposure, for fly scans that recorded them. */
  readonly xcoordsStart?: Float64Array;
  readonly ycoordsStart?: Float64Array;
  /** (N, N), or incoherent modes first (P, N, N) with P > 1; the file's, or the one asked for. */
  readonly probeGuess: ComplexTensor | undefined;
  /** Any size; as the file has it, whatever `orientation` says. */
  readonly objectGuess?: ComplexImage;
  /** (N, N): 1 where a pixel cannot be used; amplitudes are 0 there. */
  readonly badPixels?: Uint8Array;
  /** (count,) number of the scan each pattern belongs to; zeros where the file has none. */
  readonly scanIndex: Int32Array;
  readonly domain: MeasurementDomain;
  /** Why the patterns are taken to be in `domain`. */
  readonly domainReason: string;
  /** (count,) which patterns of the file these are, ascending. */
  readonly sampleIndices: Int32Array;
  /** (count,) what Ptychodus calls these patterns, where the file says so: see `ScanFile`. */
  readonly patternIndexes?: Int32Array;
  /** The family of the file, or `memory`. */
  readonly format: ScanFormat | 'memory';
  /** Lengths and energies as far as they are known; `objectPixel_m` is filled in where it can be computed. */
  readonly geometry: ScanGeometry;
  /** The file's metadata record, `{}` where it has none; see `metadata.ts`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The file's scale of `Y`, where it has one. */
  readonly norm_Y_I?: number;
  /** Ground-truth patches of the selected patterns, (count, N, N). */
  readonly groundTruth?: StoredPatches;
  /** Labels for supervised training of the selected patterns, (count, N, N). */
  readonly labels?: StoredPatches;
  /** What was done to positions and patterns. */
  readonly orientation: Orientation;
  /** What the user should know: transposed, left out, assumed; each one sentence, already logged. */
  readonly notes: readonly string[];
  /** What a look at the scan showed; absent for scans in memory until `surveyScan` has looked. */
  readonly findings?: Findings;
  /** What the first full pass shall leave out. */
  readonly preparation?: { readonly minCounts: number; readonly skipUnreadable: boolean };
  close(): Promise<void>;
}

/** Patterns looked at when a scan is opened: enough to tell the domain and to find damage that is everywhere. */
export const LOOKED_AT = 64;
/** Of large frames fewer, down to a quarter: pixels that are read for that look. */
export const LOOKED_AT_PIXELS = 2 ** 18;

/** The fields of the block `data` that concern opening; the others choose neighbours. */
export type DataOptions = Pick<
  DataConfig,
  | 'data_format'
  | 'diffraction_path'
  | 'positions'
  | 'positions_unit'
  | 'product'
  | 'bad_pixels'
  | 'invert_mask'
  | 'auto_mask'
  | 'valid_range'
  | 'dark'
  | 'flat'
  | 'gain'
  | 'frames'
  | 'skip_frames'
  | 'min_counts'
  | 'drop_unpaired'
  | 'channel'
  | 'scan_shape'
  | 'scan_step'
  | 'fftshift'
  | 'pad_to'
  | 'rebin'
  | 'allow_links'
  | 'accept'
  | 'crop_px'
  | 'crop_center_px'
  | 'energy_eV'
  | 'electron_keV'
  | 'detector_distance_m'
  | 'detector_pixel_m'
  | 'object_pixel_m'
  | 'flip_x'
  | 'flip_y'
  | 'swap_xy'
  | 'coord_scale'
  | 'transpose'
  | 'x_bounds'
  | 'y_bounds'
>;

/** Options of `openDataset`; what is left out or null is as the file has it. A whole block `data` may be spread into it. */
export interface OpenDatasetOptions extends Partial<DataOptions> {
  /** Use this many patterns, drawn at random, in the file's order; all when left out or not fewer. */
  readonly n_subsample?: number | null;
  /** Seed of that draw; 0 when left out. */
  readonly subsample_seed?: number | null;
  /** `FILE[:key]`: use this probe instead of the file's; `auto`: the file's, or a guess from the patterns where it has none. */
  readonly probe?: string | null;
  /** What the numbers are, for files that do not say; refused when the file says something else. */
  readonly measurement_domain?: MeasurementDomain | null;
  /** Let `measurement_domain` replace what the file declares, to correct a wrong declaration (`convert` does). */
  readonly redeclare?: boolean;
  /** Findings are collected and none of them stops: for `inspect`, which shows them. */
  readonly reportOnly?: boolean;
  /** The most memory that the patterns may take when they cannot be read row by row (compressed, Fortran order). */
  readonly maxResidentBytes?: number;
  readonly logger?: Logger;
}
