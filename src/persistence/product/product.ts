/**
 * A Ptychodus product in memory: what was measured where, with which probe, and the object that came of it. Fields have the
 * names and units of the files (`docs/ptychodus.md`).
 */
import type { ComplexTensor, NumericArray, Shape, Tensor } from '../../core/tensor.js';

/** What a product says of the experiment; zero stands for unknown. */
export interface ProductMetadata {
  readonly name: string;
  readonly comments: string;
  readonly detector_object_distance_m: number;
  readonly probe_energy_eV: number;
  readonly exposure_time_s: number;
  readonly probe_photon_count: number;
  readonly mass_attenuation_m2_kg: number;
  readonly tomography_angle_deg: number;
}

/** Scan positions, metres, (0, 0) at the origin of the object's centre coordinates; `indexes` say which pattern each belongs to. */
export interface ProductPositions {
  readonly indexes: Int32Array;
  readonly x_m: Float64Array;
  readonly y_m: Float64Array;
}

/** Size of a pixel of probe or object. */
export interface PixelSize {
  readonly width_m: number;
  readonly height_m: number;
}

/** The probe, (coherent modes, incoherent modes, height, width). */
export interface ProductProbe {
  readonly array: ComplexTensor;
  readonly pixel: PixelSize;
  /** (positions, coherent modes): how much of each coherent mode a position saw. */
  readonly opr_weights?: Tensor<Float64Array>;
}

/** The object, (layers, height, width). */
export interface ProductObject {
  readonly array: ComplexTensor;
  readonly pixel: PixelSize;
  readonly center_x_m: number;
  readonly center_y_m: number;
  /** Distances from each layer to the next: one fewer than layers. */
  readonly layer_spacing_m: Float64Array;
}

/** The loss of each epoch. */
export interface ProductLosses {
  readonly epochs: Int32Array;
  readonly values: Float64Array;
}

/** Patterns that are handed over piece by piece, so that they are never whole in memory. */
export interface ProductPatterns {
  /** (n, height, width). */
  readonly shape: Shape;
  readonly dtype: PatternDtype;
  /** Whole patterns in C order, in typed arrays of `dtype`. */
  pieces(): AsyncIterable<NumericArray>;
}

/** Types that patterns have in memory. */
export type PatternDtype = 'float32' | 'float64' | 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32';

/** The measurement that a product may carry with it (group `/raw_data` of HDF5). */
export interface ProductRawData {
  /** (n, height, width); what is read from a file comes piece by piece. */
  readonly diffraction: Tensor<NumericArray> | ProductPatterns;
  /** Positions in pixels of the object's array. */
  readonly xcoords_px: Float64Array;
  readonly ycoords_px: Float64Array;
  /** Number of the scan each pattern belongs to. */
  readonly scan_index: Int32Array;
  /** Counts or amplitudes; absent where the file does not say. */
  readonly measurement_domain?: string;
  /** (height, width): 1 where a pixel cannot be used. */
  readonly bad_pixels?: Tensor<Uint8Array>;
}

/** All of a product. */
export interface Product {
  readonly metadata: ProductMetadata;
  readonly positions: ProductPositions;
  readonly probe: ProductProbe;
  readonly object: ProductObject;
  readonly losses: ProductLosses;
  readonly raw_data?: ProductRawData;
}
