/**
 * Where other programs keep what they reconstructed: data, no code. A `*` stands for a name that differs from file to file, such
 * as the storage of a scan in PtyPy; the first is taken. Facts: PtyPy's `save_run` (`.ptyr`), PyNX's `save_obj_probe_cxi` (`.cxi`),
 * the files of Pty-Chi's beamline scripts (`recon_Niter….h5`), those of PtychoShelves and fold_slice (`.mat`, 7.3), Ptychodus products.
 *
 * @example
 * RESULT_LAYOUTS.find(({ object }) => object === '/entry_1/object/data')?.program; // 'PyNX'
 */

/** Lengths along x (columns) and y (rows) in metres: one dataset each, or one that holds both in this order (or one for both). */
export type PairKeys =
  | { readonly x: string; readonly y: string }
  | { readonly both: string; readonly order: 'xy' | 'yx' };

/** How one program lays out its results. */
export interface ResultLayout {
  /** For messages. */
  readonly program: string;
  /** Object: (rows, columns), layers or modes first. */
  readonly object: string;
  /** Probe, in an order of axes that `incoherentModes` knows. */
  readonly probe: string;
  /** Side of an object pixel. */
  readonly pixel_m?: PairKeys;
  /** Position of the middle of the first object pixel, in the metres of the scan. */
  readonly corner_m?: PairKeys;
  /** Positions of the columns (x) and rows (y) of the object, in the unit of their attribute `units`. Rows may run either way. */
  readonly axes?: { readonly x: string; readonly y: string };
  /** Positions of the patterns, (n, 2) or with its axes exchanged: in metres as corner and axes, or in pixels from the middle. */
  readonly positions?: { readonly key: string; readonly order: 'xy' | 'yx' };
}

/** All that are known; the first whose object a file holds is taken. */
export const RESULT_LAYOUTS: readonly ResultLayout[] = [
  {
    program: 'PtyPy',
    object: '/content/obj/*/data',
    probe: '/content/probe/*/data',
    pixel_m: { both: '/content/obj/*/_psize', order: 'yx' },
    corner_m: { both: '/content/obj/*/_origin', order: 'yx' },
  },
  ...['entry_1', 'entry_last'].flatMap((entry) =>
    [
      ['object', 'probe'],
      ['result_1', 'result_2'],
    ].map(([object, probe]) => ({
      program: 'PyNX',
      object: `/${entry}/${object}/data`,
      probe: `/${entry}/${probe}/data`,
      pixel_m: { x: `/${entry}/${object}/x_pixel_size`, y: `/${entry}/${object}/y_pixel_size` },
      axes: { x: `/${entry}/${object}/col_coords`, y: `/${entry}/${object}/row_coords` },
      positions: { key: `/${entry}/${object === 'object' ? 'positions' : 'result_5'}/data`, order: 'xy' as const },
    })),
  ),
  {
    program: 'PtychoShelves',
    object: '/object',
    probe: '/probe',
    pixel_m: { both: '/p/dx_spec', order: 'xy' },
    positions: { key: '/outputs/probe_positions', order: 'xy' },
  },
  {
    program: 'Pty-Chi',
    object: '/object',
    probe: '/probe',
    pixel_m: { both: '/obj_pixel_size_m', order: 'yx' },
    positions: { key: '/positions_px', order: 'yx' },
  },
];

const distinct = (keys: readonly string[]): readonly string[] => [...new Set(keys)];
// An NPZ has the same names without their slash.
const withPlain = (keys: readonly string[]) =>
  distinct(keys.flatMap((key) => (/^\/\w+$/.test(key) ? [key.slice(1), key] : [key])));

/** Where objects are. */
export const RESULT_OBJECTS: readonly string[] = withPlain(RESULT_LAYOUTS.map(({ object }) => object));
/** Where probes are. */
export const RESULT_PROBES: readonly string[] = withPlain(RESULT_LAYOUTS.map(({ probe }) => probe));
