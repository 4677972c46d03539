/**
 * What every reader hands over: a scan as its file holds it. Nothing is selected, flipped, scaled, cropped or square-rooted
 * yet; that happens once, for all formats, in `openDataset.ts`.
 *
 * @example
 * const file = await npzReader.open('scan.npz', {});
 * file.patterns.count; // frames in the file
 */
import type { ScanFormat } from '../config/schemas/data.js';
import type { ComplexImage, ComplexTensor, NumericArray, Tensor } from '../core/tensor.js';
import type { NpyDtype, NpyOrigin } from '../formats/npyHeader.js';
import type { ObjectLayers } from '../physics/layers.js';
import type { Finding } from './findings/finding.js';
import type { ReaderOptions } from './options.js';

/** Frames as they are stored, read on demand. */
export interface StoredPatterns {
  readonly count: number;
  /** Pixels of a frame: rows and columns. */
  readonly height: number;
  readonly width: number;
  readonly dtype: NpyDtype;
  /** True when the frames are in memory, so that keeping copies of them saves nothing. */
  readonly resident: boolean;
  /** File and dataset, for messages. */
  readonly origin: NpyOrigin;
  /**
   * Writes the frames `rows` (any order, repeats allowed) one after the other into `out`, (rows.length, height, width), as
   * stored, converted to float32 and otherwise unchanged.
   * @throws PtychoError reading errors of the file.
   */
  readRowsInto(rows: ArrayLike<number>, out: Float32Array): Promise<void>;
}

/** Scan positions, one for each frame; column (x) and row (y). */
export interface StoredPositions {
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Object pixels, or metres. */
  readonly unit: 'px' | 'm';
  /** File and key, for messages. */
  readonly origin: NpyOrigin;
  /** The frame that each position belongs to, where the table has a column of them; not in order, from any first number on. */
  readonly indexes?: ArrayLike<number>;
  /** What had to be assumed about them. */
  readonly findings?: readonly Finding[];
}

/** Lengths and energies of the experiment, as far as the file (or the caller) gives them. */
export interface ScanGeometry {
  readonly energy_eV?: number;
  /** That of electrons, for which it is not hc/E; otherwise it follows from the energy: see `wavelengthOf`. */
  readonly wavelength_m?: number;
  /** Sample to detector. */
  readonly detectorDistance_m?: number;
  readonly detectorPixel_m?: { readonly x: number; readonly y: number };
  /** Given directly; otherwise λ·distance/(N·detector pixel). */
  readonly objectPixel_m?: { readonly x: number; readonly y: number };
  /** From the source, or the focus, of a cone beam to the sample. */
  readonly sourceDistance_m?: number;
  /** Sample to detector, where a file says it as only near fields have it. */
  readonly propagationDistance_m?: number;
  /** Patterns are near fields: how far light goes to the detector in the parallel beam that makes the same pictures. Set where a scan is opened. */
  readonly nearField?: { readonly distance_m: number };
  /** From each slice of a thick object to the next. */
  readonly sliceDistance_m?: number;
  /** Where the middle of `objectGuess` lies, in the positions' metres. */
  readonly objectCentre_m?: { readonly x: number; readonly y: number };
}

/** Complex patches (n, height, width) that a file may carry beside the patterns: ground truth `Y`, supervised `label`. */
export interface StoredPatches {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readRows(rows: ArrayLike<number>): Promise<ComplexTensor>;
}

/** A scan as its file holds it. */
export interface ScanFile {
  readonly path: string;
  readonly format: ScanFormat | (string & {});
  readonly patterns: StoredPatterns;
  readonly positions: StoredPositions;
  /** Positions at the start of each exposure (fly scans). */
  readonly startPositions?: StoredPositions;
  /** Positions at the end of each exposure (fly scans). */
  readonly endPositions?: StoredPositions;
  /**
   * The number that each frame bears in its series (of files or datasets): a gap is a missing frame. Ascending. Positions are
   * counted from the first number; see `pairFrames`.
   */
  readonly frameNumbers?: Int32Array;
  /** What Ptychodus calls each frame: the index by which patterns and positions were paired. */
  readonly patternIndexes?: NumericArray;
  /** Number of the scan each frame belongs to. */
  readonly scanIndex?: Int32Array;
  /** (height, width), or modes first (P, height, width). */
  readonly probeGuess?: ComplexTensor;
  readonly objectGuess?: ComplexImage;
  /** The layers whose product `objectGuess` is, where there are several. */
  readonly objectLayers?: ObjectLayers;
  /** (height, width): 1 where a pixel cannot be used. */
  readonly badPixels?: Tensor<Uint8Array>;
  readonly geometry: ScanGeometry;
  /** What the file declares itself to hold, unchecked, and where it says so. */
  readonly measurementDomain?: { readonly text: string; readonly where: string };
  /** The file's metadata record (`_metadata`, attributes); `{}` where it has none. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The file's scale of `Y`. */
  readonly norm_Y_I?: number;
  /** Ground-truth patches `Y`. */
  readonly groundTruth?: StoredPatches;
  /** Labels for supervised training. */
  readonly labels?: StoredPatches;
  /** Things worth telling the user: what was transposed, left out, assumed. */
  readonly notes: readonly string[];
  /** Releases the file. */
  close(): Promise<void>;
}

/** Opens files of one format. */
export interface ScanReader {
  /** True where the reader itself looks at the option `product`; otherwise its patterns are paired by their place. */
  readonly pairsProducts?: boolean;
  /** True for a file of this format among those with its first bytes; left out where these tell. */
  recognises?(path: string): Promise<boolean>;
  /**
   * Opens a file; it is closed again when this throws.
   * @throws PtychoError one sentence: what is missing or wrong, where, and what to do.
   */
  open(path: string, options: ReaderOptions): Promise<ScanFile>;
}
