/**
 * CXI files (Coherent X-ray Imaging Data Bank, version 1.3 on): patterns, translations, mask, illumination and geometry, all in
 * SI units: the energy in joules (`../shared/reference/ptychodus.md` §2.2).
 *
 * @example
 * const file = await cxiReader.open('scan.cxi', {});
 */
import { PtychoError } from '../../core/errors.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { type Hdf5File, keepHdf5, usingHdf5 } from '../../formats/hdf5/file.js';
import { positionsInHdf5 } from '../opening/positionsFile.js';
import { incoherentModes } from '../opening/probe.js';
import type { ReaderOptions } from '../options.js';
import type { ScanFile, ScanReader, StoredPositions } from '../scanFile.js';
import { hdf5FramesAndPositions, hdf5Mask } from './hdf5Frames.js';
import { distanceAt, energyAt, energyOfWavelengthAt, pixelAt, sourceDistanceAt } from './hdf5Quantities.js';
import { detectorOf, detectorsOf, groupsOf } from './nexus.js';

const INSTRUMENT = '/entry_1/instrument_1';
const DETECTOR = `${INSTRUMENT}/detector_1`;
const DATA = ['/entry_1/data_1/data', `${DETECTOR}/data`];
/** Groups of the beam, for the group of the instrument; the source is that of the photons. */
const BEAMS = ['source_1', 'beam_1', 'monochromator_1'];
const TRANSLATIONS = ['/entry_1/data_1/translation', '/entry_1/sample_1/geometry_1/translation'];
/** The one bit of a mask that says something good: the pixel has signal. */
const HAS_SIGNAL = 1 << 16;

export const cxiReader: ScanReader = {
  async recognises(path) {
    return usingHdf5(
      path,
      (file) =>
        file.has('/cxi_version') || DATA.some((place) => file.has(place) || file.problemAt(place) !== undefined),
    );
  },
  open: (path, options) => keepHdf5(path, (file) => open(file, options), options.allow_links),
};

async function open(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  const notes: string[] = [];
  const place = options.diffraction_path ?? file.firstDataset(DATA);
  if (place === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file.path} has no patterns at ${DATA.join(' or ')}; name the dataset with diffraction_path.`,
      { path: file.path, key: DATA[0] },
    );
  }
  const { patterns, positions } = await hdf5FramesAndPositions(file, [place], options, (given, counts) =>
    translations(file, given, options, counts),
  );
  const detectors = detectorsOf(groupsOf(file));
  const detector = detectorOf(file, place, detectors) ?? DETECTOR;
  const badPixels = hdf5Mask(file, `${detector}/mask`, patterns, notes, (bits) => bits !== 0 && bits !== HAS_SIGNAL);
  const instrument = detector.split('/').slice(0, -1).join('/');
  const [x, y] = ['x', 'y'].map((axis) => pixelAt(file, `${detector}/${axis}_pixel_size`, notes, 'm'));
  return {
    path: file.path,
    format: 'cxi',
    patterns,
    positions,
    probeGuess: findProbe(file, [instrument, INSTRUMENT], detector, notes),
    badPixels,
    geometry: {
      energy_eV: energyIn(file, [instrument, INSTRUMENT], notes),
      detectorDistance_m: distanceAt(file, `${detector}/distance`, notes, 'm'),
      sourceDistance_m: sourceDistanceIn(file, [instrument, INSTRUMENT], notes),
      detectorPixel_m: x !== undefined && y !== undefined ? { x, y } : undefined,
    },
    measurementDomain: { text: 'count_intensity', where: `${file.path}, in the format CXI (data are intensities),` },
    metadata: file.attributes(),
    notes: [...notes, ...file.warnings],
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
  const place = given ?? file.firstDataset(TRANSLATIONS);
  if (place === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file.path} has no translations at ${TRANSLATIONS.join(' or ')}; name the positions with positions: a path inside this file, or FILE[:key].`,
      { path: file.path, key: TRANSLATIONS[0] },
    );
  }
  return positionsInHdf5(file, place, unit, 'm', counts);
}

/** The energy of the photons, in joules unless the file says otherwise; or that of the wavelength. */
function energyIn(file: Hdf5File, instruments: readonly string[], notes: string[]): number | undefined {
  const groups = instruments.flatMap((instrument) => BEAMS.map((beam) => `${instrument}/${beam}`));
  for (const group of groups) {
    if (file.has(`${group}/energy`)) return energyAt(file, `${group}/energy`, notes, 'J');
  }
  const wavelength = groups.map((group) => `${group}/wavelength`).find((path) => file.has(path));
  return wavelength === undefined ? undefined : energyOfWavelengthAt(file, wavelength, notes, 'm');
}

/** From the source to the sample, where the file says it: NeXus counts along the beam from the sample, so that it lies at a negative place. */
function sourceDistanceIn(file: Hdf5File, instruments: readonly string[], notes: string[]): number | undefined {
  const path = instruments.map((instrument) => `${instrument}/source_1/distance`).find((place) => file.has(place));
  return path === undefined ? undefined : sourceDistanceAt(file, path, notes, 'm');
}

function findProbe(
  file: Hdf5File,
  instruments: readonly string[],
  detector: string,
  notes: string[],
): ComplexTensor | undefined {
  const path = [
    ...instruments.map((instrument) => `${instrument}/source_1/illumination`),
    `${detector}/illumination`,
  ].find((place) => file.has(place));
  return path === undefined
    ? undefined
    : incoherentModes(file.readComplex64(path), file.origin(path), (sentence) => notes.push(sentence));
}
