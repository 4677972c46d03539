/**
 * HDF5 files of beamlines and detectors (NeXus and others): the dataset of the patterns is named, or looked for in the usual
 * places; positions come from the file or from another one.
 *
 * @example
 * const file = await hdf5Reader.open('master.h5', { positions: 'positions.csv' });
 */
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { formatShape, type Shape } from '../../core/tensor.js';
import { type Hdf5File, keepHdf5 } from '../../formats/hdf5/file.js';
import { rasterPositions } from '../opening/patternLayout.js';
import { positionsInHdf5 } from '../opening/positionsFile.js';
import type { ReaderOptions } from '../options.js';
import type { ScanFile, ScanReader, StoredPositions } from '../scanFile.js';
import { hdf5FramesAndPositions, hdf5Mask } from './hdf5Frames.js';
import { type LayoutFacts, layoutOf } from './hdf5Layouts.js';
import { existingPieces, type Piece, piecesIn } from './hdf5Pieces.js';
import { nexusFacts } from './nexus.js';
import { type Py4dstemFacts, py4dstemFacts } from './py4dstem.js';

/** Where the patterns are in files of py4DSTEM, PtychoShelves, APS 9-ID, 26-ID and LCLS XPP; NeXus masters link pieces in a group. */
const USUAL = ['/datacube_root/datacube/data', '/dp', '/exchange/data', '/entry/data/data', '/jungfrau1M/image_img'];
const PIECES = { group: '/entry/data', name: /^(data_)(\d+)$/ };
/** Fewer single frames are no scan. */
const FEWEST_FRAMES = 4;
/** Groups in which positions may be. */
const POSITION_GROUPS = ['/', '/entry/scan', '/entry/data', '/entry/sample/positions', '/exchange'];
const POSITION_DATASETS = ['/positions', '/entry/data/translation', '/exchange/positions'];
/** Names to list in a message. */
const MOST_LISTED = 12;

export const hdf5Reader: ScanReader = {
  open: (path, options) => keepHdf5(path, (file) => open(file, options), options.allow_links),
};

async function open(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  const notes: string[] = [];
  const layout = await layoutOf(file, options);
  const found = findPatterns(file, options, layout?.patterns, notes);
  const pieces = found.length === 1 ? { pieces: found } : existingPieces(file, found, notes);
  const paths = pieces.pieces.map(({ path }) => path);
  const cube = file.has(paths[0]) ? py4dstemFacts(file, paths[0]) : undefined;
  const ofLayout = layout?.positions;
  const { patterns, positions } = await hdf5FramesAndPositions(file, paths, options, (place, counts) => {
    if (place !== undefined) return positionsInHdf5(file, place, options.positions_unit, undefined, counts);
    return ofLayout ?? ownPositions(file, options, counts, notes, cube && (() => cubePositions(file, paths[0], cube)));
  });
  const facts = nexusFacts(file, paths[0]);
  notes.push(...(layout?.notes ?? []), ...facts.notes);
  const mask = facts.mask === undefined ? undefined : hdf5Mask(file, facts.mask, patterns, notes);
  const metadata = file.attributes();
  notes.push(...file.warnings);
  return {
    path: file.path,
    format: 'hdf5',
    patterns,
    positions,
    frameNumbers: pieces.frameNumbers,
    badPixels: layout?.badPixels ?? mask,
    geometry: {
      energy_eV: layout?.geometry.energy_eV ?? facts.geometry.energy_eV,
      detectorDistance_m: layout?.geometry.detectorDistance_m ?? facts.geometry.detectorDistance_m,
      detectorPixel_m: layout?.geometry.detectorPixel_m ?? facts.geometry.detectorPixel_m,
      ...cube?.geometry,
      ...(layout?.geometry.objectPixel_m && { objectPixel_m: layout.geometry.objectPixel_m }),
      ...(layout?.geometry.propagationDistance_m && { propagationDistance_m: layout.geometry.propagationDistance_m }),
    },
    measurementDomain: domainOf(file, paths[0], layout),
    metadata,
    notes,
    close: async () => file.close(),
  };
}

/** What the file declares, or the program that wrote it prescribes. */
function domainOf(file: Hdf5File, path: string, layout: LayoutFacts | undefined): ScanFile['measurementDomain'] {
  const declared = file.attributes(path).measurement_domain ?? file.attributes().measurement_domain;
  if (declared !== undefined) return { text: String(declared), where: `${file.path}, attribute measurement_domain,` };
  if (layout?.domain === undefined) return undefined;
  return { text: layout.domain, where: `${file.path}, in the layout of ${layout.name},` };
}

/** Datasets of the patterns, to be read one after the other. */
function findPatterns(
  file: Hdf5File,
  { diffraction_path: wanted }: ReaderOptions,
  ofLayout: readonly string[] | undefined,
  notes: string[],
): readonly Piece[] {
  const alone = (path: string): Piece[] => [{ path, number: 0 }];
  if (wanted !== undefined) {
    // A group stands for its pieces.
    const pieces = piecesIn(file, wanted);
    return pieces.length > 0 ? pieces : alone(wanted);
  }
  if (ofLayout !== undefined) return ofLayout.map((path, number) => ({ path, number }));
  const usual = USUAL.find((path) => file.has(path));
  if (usual !== undefined) return alone(usual);
  // Not `has`: a piece whose file is missing must be missed, not a shorter scan.
  const pieces = piecesIn(file, PIECES.group, PIECES.name);
  if (pieces.length > 0) return pieces;
  // A link that leads elsewhere must be said, before anything else is taken for the patterns.
  file.firstDataset(USUAL);
  const shaped = file.datasets().flatMap((path) => {
    const shape = shapeOfReals(file, path);
    return shape?.length === 3 || shape?.length === 4 ? [{ path, shape }] : [];
  });
  const stacks = shaped.filter(({ shape }) => shape.length === 3);
  // Four axes only where there is nothing with three.
  const candidates = stacks.length > 0 ? stacks : shaped;
  const family = candidates.length === 1 ? [] : familyOf(file, stacks);
  if (family.length > 0) {
    notes.push(
      `The patterns of ${file.path} are taken from ${family[0].path} … ${family.at(-1)?.path.split('/').at(-1)}.`,
    );
    return family;
  }
  if (candidates.length === 1) {
    notes.push(
      `The patterns of ${file.path} are taken from ${candidates[0].path}, its only dataset with ${candidates[0].shape.length === 3 ? 'three' : 'four'} axes.`,
    );
    return alone(candidates[0].path);
  }
  const listed = candidates.slice(0, MOST_LISTED).map(({ path, shape }) => `${path} ${formatShape(shape)}`);
  const lost = candidates.length === 0 ? file.brokenLinks() : [];
  const broken = lost.length === 0 ? '' : ` (links that cannot be followed: ${lost.slice(0, MOST_LISTED).join(', ')})`;
  const what =
    candidates.length === 0
      ? `none of ${USUAL.join(', ')} and no dataset with three axes${broken}`
      : `${candidates.length} datasets with three axes: ${listed.join(', ')}${candidates.length > MOST_LISTED ? ', …' : ''}`;
  throw new PtychoError('DATASET_KEY_MISSING', `${file.path} has ${what}; name the patterns with diffraction_path.`, {
    path: file.path,
    key: 'diffraction_path',
    found: candidates.map(({ path }) => path),
  });
}

/** Numbered datasets of one group: stacks of one frame size and nothing else, or, without any stack, single frames. */
function familyOf(
  file: Hdf5File,
  stacks: readonly { readonly path: string; readonly shape: Shape }[],
): readonly Piece[] {
  const isFrame = (path: string) => {
    const shape = /\d$/.test(path) ? shapeOfReals(file, path) : undefined;
    return shape?.length === 2 && Math.min(...shape) > 8;
  };
  const members = stacks.length > 0 ? stacks.map(({ path }) => path) : file.datasets().filter(isFrame);
  const [first] = members;
  if (first === undefined) return [];
  const group = first.split('/').slice(0, -1).join('/') || '/';
  const family = piecesIn(file, group).filter(({ path }) => members.includes(path));
  const whole = family.length === members.length && family.length >= (stacks.length > 0 ? 2 : FEWEST_FRAMES);
  const size = (path: string) => formatShape(file.header(path).shape.slice(-2));
  return whole && family.every(({ path }) => size(path) === size(first)) ? family : [];
}

/** The shape of a dataset of real numbers; undefined for others, and for those that cannot be read. */
function shapeOfReals(file: Hdf5File, path: string): Shape | undefined {
  try {
    const { shape, type } = file.header(path);
    return type.kind === 'numbers' && !/complex|bool/.test(type.dtype) ? shape : undefined;
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
  const dataset = file.firstDataset(POSITION_DATASETS);
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
