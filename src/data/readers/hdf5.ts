/**
 * HDF5 files of beamlines and detectors (NeXus and others): the dataset of the patterns is named, or looked for in the usual
 * places; positions come from the file or from another one.
 *
 * @example
 * const file = await hdf5Reader.open('master.h5', { positions: 'positions.csv' });
 */
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { formatShape, type Shape } from '../../core/tensor.js';
import { type Hdf5File, isHdf5File, keepHdf5 } from '../../formats/hdf5/file.js';
import { positionsInHdf5 } from '../opening/positionsFile.js';
import { rasterPositions } from '../opening/raster.js';
import type { ReaderOptions, ScanFile, ScanReader, StoredPositions } from '../scanFile.js';
import { hdf5FramesAndPositions, hdf5Mask } from './hdf5Frames.js';
import { nexusFacts } from './nexus.js';
import { type Py4dstemFacts, py4dstemFacts } from './py4dstem.js';

/** Where the patterns are in files of py4DSTEM, PtychoShelves, APS 9-ID, 26-ID and LCLS XPP; NeXus masters link pieces in a group. */
const USUAL = ['/datacube_root/datacube/data', '/dp', '/exchange/data', '/entry/data/data', '/jungfrau1M/image_img'];
const PIECES = { group: '/entry/data', name: /^data_\d{4,}$/ };
/** Groups in which positions may be. */
const POSITION_GROUPS = ['/', '/entry/scan', '/entry/data', '/entry/sample/positions', '/exchange'];
const POSITION_DATASETS = ['/positions', '/entry/data/translation', '/exchange/positions'];
/** Names to list in a message. */
const MOST_LISTED = 12;

/** See the module. */
export const hdf5Reader: ScanReader = {
  format: 'hdf5',
  title: 'HDF5 or NeXus file',
  recognises: (path) => isHdf5File(path).catch(() => false),
  open: (path, options) => keepHdf5(path, (file) => open(file, options)),
};

async function open(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  const notes: string[] = [];
  const paths = options.diffraction_path === undefined ? findPatterns(file, notes) : [options.diffraction_path];
  const cube = file.has(paths[0]) ? py4dstemFacts(file, paths[0]) : undefined;
  const { patterns, positions } = await hdf5FramesAndPositions(file, paths, options, notes, (place, counts) =>
    place === undefined
      ? ownPositions(file, options, counts, notes, cube && (() => cubePositions(file, paths[0], cube)))
      : positionsInHdf5(file, place, options.positions_unit, undefined, counts),
  );
  const facts = nexusFacts(file);
  notes.push(...facts.notes);
  const mask = facts.mask === undefined ? undefined : hdf5Mask(file, facts.mask, patterns);
  if (mask !== undefined && 'note' in mask) notes.push(mask.note);
  const metadata = file.attributes();
  const declared = file.attributes(paths[0]).measurement_domain ?? metadata.measurement_domain;
  return {
    path: file.path,
    format: 'hdf5',
    patterns,
    positions,
    badPixels: mask !== undefined && 'badPixels' in mask ? mask.badPixels : undefined,
    geometry: { ...facts.geometry, ...cube?.geometry },
    measurementDomain:
      declared === undefined
        ? undefined
        : { text: String(declared), where: `${file.path}, attribute measurement_domain,` },
    metadata,
    notes,
    close: async () => file.close(),
  };
}

/** Datasets of the patterns, to be read one after the other. */
function findPatterns(file: Hdf5File, notes: string[]): string[] {
  const usual = USUAL.find((path) => file.has(path));
  if (usual !== undefined) return [usual];
  if (file.kindOf(PIECES.group) === 'group') {
    const names = file.keys(PIECES.group).filter((name) => PIECES.name.test(name));
    // Not `has`: a piece whose file is missing must be an error, not a shorter scan.
    if (names.length > 0) return names.sort().map((name) => `${PIECES.group}/${name}`);
  }
  const found = file.datasets().flatMap((path) => {
    const shape = framesShape(file, path);
    return shape === undefined ? [] : [{ path, shape }];
  });
  const stacks = found.filter(({ shape }) => shape.length === 3);
  // Four axes only where there is nothing with three.
  const candidates = stacks.length > 0 ? stacks : found;
  if (candidates.length === 1) {
    notes.push(
      `The patterns of ${file.path} are taken from ${candidates[0].path}, its only dataset with ${candidates[0].shape.length === 3 ? 'three' : 'four'} axes.`,
    );
    return [candidates[0].path];
  }
  const listed = candidates.slice(0, MOST_LISTED).map(({ path, shape }) => `${path} ${formatShape(shape)}`);
  const what =
    candidates.length === 0
      ? `none of ${USUAL.join(', ')} and no dataset with three axes`
      : `${candidates.length} datasets with three axes: ${listed.join(', ')}${candidates.length > MOST_LISTED ? ', …' : ''}`;
  throw new PtychoError('DATASET_KEY_MISSING', `${file.path} has ${what}; name the patterns with diffraction_path.`, {
    path: file.path,
    key: 'diffraction_path',
    found: candidates.map(({ path }) => path),
  });
}

/** The shape of a dataset of real numbers with three axes; undefined for others, and for those that cannot be read. */
function framesShape(file: Hdf5File, path: string): Shape | undefined {
  try {
    const { shape, type } = file.header(path);
    return (shape.length === 3 || shape.length === 4) && type.kind === 'numbers' && !/complex|bool/.test(type.dtype)
      ? shape
      : undefined;
  } catch (error) {
    if (isPtychoError(error)) return undefined;
    throw error;
  }
}

/** The raster of a 4D-STEM cube; undefined where its step is not calibrated. */
function cubePositions(file: Hdf5File, path: string, { step, findings }: Py4dstemFacts): StoredPositions | undefined {
  const [rows, columns] = file.header(path).shape;
  return step && { ...rasterPositions([rows, columns], step), origin: file.origin(path), findings };
}

/** Positions in the usual places, or the raster of a calibrated cube. */
function ownPositions(
  file: Hdf5File,
  { positions_unit: unit }: ReaderOptions,
  counts: readonly number[],
  notes: string[],
  raster?: () => StoredPositions | undefined,
): StoredPositions {
  const dataset = POSITION_DATASETS.find((path) => file.has(path));
  const group = POSITION_GROUPS.find((path) =>
    [
      ['xcoords', 'ycoords'],
      ['x_m', 'y_m'],
      ['x', 'y'],
    ].some((pair) => pair.every((name) => file.has(`${path}/${name}`))),
  );
  const place = dataset ?? group;
  if (place !== undefined) {
    notes.push(`The positions of ${file.path} are taken from ${place}.`);
    return positionsInHdf5(file, place, unit, undefined, counts);
  }
  const calibrated = raster?.();
  if (calibrated !== undefined) {
    notes.push(`The positions of ${file.path} are the raster of its calibration.`);
    return calibrated;
  }
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${file.path} has no scan positions in the usual places; name them with positions: a path inside this file, or FILE[:key] (.csv with y,x in metres, .txt with x y, tables with titles, NPY, NPZ, HDF5), or describe a raster with scan_shape and scan_step.`,
    { path: file.path, key: 'positions' },
  );
}
