/**
 * Where programs and beamlines put what we want, as data: a layout is recognised by the datasets that it requires, and gives the
 * paths and units of the rest. What is not here is found by the general rules of `hdf5.ts` and `nexus.ts`.
 *
 * @example
 * HDF5_LAYOUTS.find(({ name }) => name.startsWith('PtyPy'))?.positions; // { array: '/chunks/*\/positions', … }
 */
import type { MeasurementDomain } from '../opening/measurementDomain.js';

/** A dataset with one value, or one for each frame. */
export interface LayoutValue {
  readonly path: string;
  /** Of values without the attribute `units`; left out where files differ. */
  readonly units?: string;
}

/** Positions as an array with x and y along one of its axes, or as two datasets. */
export type LayoutPositions = (
  | {
      readonly array: string;
      /** The axis along which the coordinates of one position lie, and which of them are x and y. */
      readonly axis: 0 | 1;
      readonly columns: { readonly x: number; readonly y: number };
    }
  | { readonly x: string; readonly y: string }
) & {
  /** Metres of one unit; negative where the axis points the other way. */
  readonly metres: { readonly x: number; readonly y: number };
};

/** One layout; paths may hold one `*`, which stands for any name, or for all numbers in their order. */
export interface Hdf5Layout {
  readonly name: string;
  /** Where the patterns are, most wanted first. */
  readonly patterns: readonly string[];
  /** Datasets that must be there, too. */
  readonly requires: readonly string[];
  /** What the file is called, where datasets do not tell. */
  readonly fileName?: RegExp;
  /** Another file beside this one that holds positions and geometry: what in the name is replaced by what. */
  readonly beside?: readonly [RegExp, string];
  readonly positions?: LayoutPositions;
  readonly energy?: LayoutValue;
  readonly wavelength?: LayoutValue;
  readonly distance?: LayoutValue;
  readonly detectorPixel?: LayoutValue;
  readonly objectPixel?: LayoutValue;
  /** Frames, or one frame, of weights: 0 is a bad pixel. */
  readonly weights?: string;
  /** Where the program prescribes it; raw frames are not declared. */
  readonly domain?: MeasurementDomain;
  /** A dataset whose text says that the scan is none for us, and why. */
  readonly refuse?: { readonly path: string; readonly text: RegExp; readonly reason: string };
  /** What the user should know of it. */
  readonly note?: string;
}

const MICRO = { x: 1e-6, y: 1e-6 };
const PARAMETERS = /^(.*)_dp(\.\w+)$/;

/** The layouts in the order in which they are tried. */
export const HDF5_LAYOUTS: readonly Hdf5Layout[] = [
  {
    name: 'PtyPy (.ptyd)',
    patterns: ['/chunks/*/data'],
    requires: ['/chunks/*/positions'],
    // Rows first, as in all of PtyPy.
    positions: { array: '/chunks/*/positions', axis: 1, columns: { x: 1, y: 0 }, metres: { x: 1, y: 1 } },
    energy: { path: '/meta/energy', units: 'keV' },
    distance: { path: '/meta/distance', units: 'm' },
    detectorPixel: { path: '/meta/psize', units: 'm' },
    weights: '/chunks/*/weights',
    domain: 'count_intensity',
    refuse: {
      path: '/meta/propagation',
      text: /^near/i,
      reason: 'is a near-field scan (meta/propagation), which is not reconstructed: only far-field patterns are',
    },
  },
  {
    name: 'NSLS-II HXN (diffamp)',
    patterns: ['/diffamp'],
    requires: ['/points'],
    positions: { array: '/points', axis: 0, columns: { x: 0, y: 1 }, metres: MICRO },
    wavelength: { path: '/lambda_nm', units: 'nm' },
    distance: { path: '/z_m', units: 'm' },
    detectorPixel: { path: '/ccd_pixel_um', units: 'um' },
    domain: 'count_amplitude',
  },
  {
    name: 'NSLS-II HXN (scan_positions)',
    patterns: ['/diff_data/*/det_images', '/entry/data/data'],
    requires: ['/scan/scan_positions'],
    positions: { array: '/scan/scan_positions', axis: 0, columns: { x: 0, y: 1 }, metres: MICRO },
    energy: { path: '/scan/energy' },
  },
  {
    name: 'NSLS-II HXN (MATLAB)',
    patterns: ['/det_data'],
    requires: ['/pos_xy'],
    positions: { array: '/pos_xy', axis: 1, columns: { x: 0, y: 1 }, metres: MICRO },
    energy: { path: '/energy', units: 'keV' },
    distance: { path: '/det_dist', units: 'um' },
    detectorPixel: { path: '/det_pixel_size', units: 'um' },
  },
  {
    name: 'MAX IV NanoMAX',
    patterns: ['/entry/measurement/*/frames', '/entry/measurement/*/data', '/entry/instrument/*/data'],
    requires: ['/entry/measurement/pseudo/x', '/entry/measurement/pseudo/y'],
    positions: { x: '/entry/measurement/pseudo/x', y: '/entry/measurement/pseudo/y', metres: MICRO },
    energy: { path: '/entry/snapshots/pre_scan/energy', units: 'eV' },
  },
  {
    name: 'LCLS XPP',
    patterns: ['/jungfrau1M/image_img'],
    requires: ['/lmc/ch03', '/lmc/ch05'],
    positions: { x: '/lmc/ch03', y: '/lmc/ch05', metres: { x: -1e-6, y: -1e-6 } },
    note: 'no frame is left out for the intensity of its pulse (/ipm2/sum)',
  },
  {
    name: 'APS 12-ID, processed',
    patterns: ['/dp'],
    requires: ['/positions'],
    fileName: /_\d+_\d+\.(h5|hdf5)$/i,
    positions: { array: '/positions', axis: 1, columns: { x: 2, y: 1 }, metres: { x: -1e-9, y: 1e-9 } },
    note: 'this is one line of the scan',
  },
  {
    name: 'APS 12-ID',
    patterns: ['/entry/data/data'],
    requires: ['/entry/instrument/NDAttributes/monoE'],
    energy: { path: '/entry/instrument/NDAttributes/monoE' },
  },
  {
    name: 'fold_slice and PtychoShelves',
    patterns: ['/dp'],
    requires: ['/ppX', '/ppY'],
    positions: { x: '/ppX', y: '/ppY', metres: { x: 1, y: 1 } },
    wavelength: { path: '/lambda', units: 'm' },
    objectPixel: { path: '/dx', units: 'm' },
  },
  {
    name: 'fold_slice and PtychoShelves',
    patterns: ['/dp'],
    requires: [],
    beside: [PARAMETERS, '$1_para$2'],
    positions: { x: '/ppX', y: '/ppY', metres: { x: 1, y: 1 } },
    wavelength: { path: '/lambda', units: 'm' },
    objectPixel: { path: '/dx', units: 'm' },
  },
];
