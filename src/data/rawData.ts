import type { ScanFormat } from '../config/schemas/data.js';
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import type { ObjectLayers } from '../physics/layers.js';
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
  /** (count,) positions at the end of each exposure, likewise. */
  readonly xcoordsEnd?: Float64Array;
  readonly ycoordsEnd?: Float64Array;
  /** (N, N), or incoherent modes first (P, N, N) with P > 1; the file's, or the one asked for. */
  readonly probeGuess: ComplexTensor | undefined;
  /** Any size; as the file has it, whatever `orientation` says. */
  readonly objectGuess?: ComplexImage;
  /** The layers whose product `objectGuess` is, where there are several; they are kept, and used by nothing but products. */
  readonly objectLayers?: ObjectLayers;
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
  /** `memory`, the name of a format, or one that was registered. */
  readonly format: ScanFormat | 'memory' | (string & {});
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
  /** Releases the files. */
  close(): Promise<void>;
}
