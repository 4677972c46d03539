/**
 * CXI files (Coherent X-ray Imaging Data Bank, version 1.3 on): patterns, translations, mask, illumination and geometry, all in
 * SI units: the energy in joules (`../shared/reference/ptychodus.md` §2.2).
 *
 * @example
 * const file = await cxiReader.open('scan.cxi', {});
 */
import { PtychoError } from '../../core/errors.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { type Hdf5File, isHdf5File, keepHdf5, openHdf5 } from '../../formats/hdf5/file.js';
import { nameOf } from '../../formats/npyHeader.js';
import { asElectronvolts, asMetres } from '../opening/geometry.js';
import { positionsInHdf5 } from '../opening/positionsFile.js';
import type { ReaderOptions, ScanFile, ScanReader, StoredPositions } from '../scanFile.js';
import { hdf5FramesAndPositions, hdf5Mask } from './hdf5Frames.js';
import { firstProbe } from './product.js';

const INSTRUMENT = '/entry_1/instrument_1';
const DETECTOR = `${INSTRUMENT}/detector_1`;
const DATA = ['/entry_1/data_1/data', `${DETECTOR}/data`];
const TRANSLATIONS = ['/entry_1/data_1/translation', '/entry_1/sample_1/geometry_1/translation'];
/** The one bit of a mask that says something good: the pixel has signal. */
const HAS_SIGNAL = 1 << 16;

/** See the module. */
export const cxiReader: ScanReader = {
  format: 'cxi',
  title: 'CXI file',
  async recognises(path) {
    if (!(await isHdf5File(path).catch(() => false))) return false;
    const file = await openHdf5(path);
    try {
      return file.has('/cxi_version') || DATA.some((place) => file.has(place));
    } finally {
      file.close();
    }
  },
  open: (path, options) => keepHdf5(path, (file) => open(file, options)),
};

async function open(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  const notes: string[] = [];
  const place = options.diffraction_path ?? DATA.find((path) => file.has(path));
  if (place === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file.path} has no patterns at ${DATA.join(' or ')}; name the dataset with diffraction_path.`,
      { path: file.path, key: DATA[0] },
    );
  }
  const { patterns, positions } = await hdf5FramesAndPositions(file, [place], options, notes, (given, counts) =>
    translations(file, given, options, counts),
  );
  const mask = file.has(`${DETECTOR}/mask`)
    ? hdf5Mask(file, `${DETECTOR}/mask`, patterns, (bits) => bits !== 0 && bits !== HAS_SIGNAL)
    : undefined;
  if (mask !== undefined && 'note' in mask) notes.push(mask.note);
  const value = (path: string, units: string, convert: typeof asMetres): number | undefined => {
    if (!file.has(path)) return undefined;
    const { data } = file.readReal(path);
    if (data.length !== 1 || !(data[0] > 0)) return undefined;
    const declared = file.attributes(path).units;
    return convert(
      data[0],
      typeof declared === 'string' ? declared : units,
      nameOf(file.origin(path)).replace(/,$/, ''),
    );
  };
  const [x, y] = ['x', 'y'].map((axis) => value(`${DETECTOR}/${axis}_pixel_size`, 'm', asMetres));
  return {
    path: file.path,
    format: 'cxi',
    patterns,
    positions,
    probeGuess: findProbe(file, notes),
    badPixels: mask !== undefined && 'badPixels' in mask ? mask.badPixels : undefined,
    geometry: {
      energy_eV: value(`${INSTRUMENT}/source_1/energy`, 'J', asElectronvolts),
      detectorDistance_m: value(`${DETECTOR}/distance`, 'm', asMetres),
      detectorPixel_m: x !== undefined && y !== undefined ? { x, y } : undefined,
    },
    measurementDomain: { text: 'count_intensity', where: `${file.path}, in the format CXI (data are intensities),` },
    metadata: file.attributes(),
    notes,
    close: async () => file.close(),
  };
}

/** CXI defines the order x, y, z, in metres; (n, 3), or (3, n) as PyNX writes it. */
function translations(
  file: Hdf5File,
  given: string | undefined,
  { positions_unit: unit }: ReaderOptions,
  counts: readonly number[],
): StoredPositions {
  const place = given ?? TRANSLATIONS.find((path) => file.has(path));
  if (place === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file.path} has no translations at ${TRANSLATIONS.join(' or ')}; name the positions with positions: a path inside this file, or FILE[:key].`,
      { path: file.path, key: TRANSLATIONS[0] },
    );
  }
  return positionsInHdf5(file, place, unit, 'm', counts);
}

function findProbe(file: Hdf5File, notes: string[]): ComplexTensor | undefined {
  const path = [`${INSTRUMENT}/source_1/illumination`, `${DETECTOR}/illumination`].find((place) => file.has(place));
  return path === undefined ? undefined : firstProbe(file.readComplex64(path), file.origin(path), notes);
}
