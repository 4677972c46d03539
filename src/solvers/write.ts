/** What a solver leaves in its folder: arrays, pictures, a table of the epochs. */

import path from 'node:path';
import { ALGORITHM_TITLES, type SolverAlgorithm } from '../config/schemas/solver.js';
import type { Logger } from '../core/log.js';
import { type ComplexTensor, sizeOf } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { encodeHistory } from '../persistence/history.js';
import { scanAsProduct } from '../persistence/product/geometry.js';
import { lossesOf, metadataOf } from '../persistence/product/scans.js';
import { writeProductFile } from '../persistence/product/writeProduct.js';
import { totalIntensity } from '../physics/probe.js';
import { positionArrays, writeRefinedPositions } from '../reconstruction/positions/refinePositions.js';
import {
  type PhaseRange,
  RECONSTRUCTION_FILES,
  type ReconstructionFacts,
  type WrittenImage,
  writePictures,
  writeReconstruction,
} from '../reconstruction/reconstructionFile.js';
import { contactSheet, type Tile } from '../report/figure.js';
import { renderAmplitude, renderPhase, withColourBar } from '../report/image.js';
import { renderLossChart } from '../report/loss.js';
import { encodePng } from '../report/png.js';
import type { SolvedImage, SolverResult } from './run.js';
import type { SolverRecord } from './solve.js';

/** `PtychoPINN rPIE`, as `algorithm` of a reconstruction says it. */
const algorithmTitle = (algorithm: SolverAlgorithm): string => `PtychoPINN ${ALGORITHM_TITLES[algorithm]}`;

/** What of a state the writers of reconstructions take: light stands for the number of patches. */
export const asWritten = ({ image, frame, coverage }: SolvedImage): WrittenImage => ({
  image,
  frame,
  overlapCount: coverage,
  weight: coverage,
});

/** What of a run its files say. */
export interface SolvedFacts {
  readonly algorithm: SolverAlgorithm;
  readonly raw: Pick<RawData, 'sampleIndices' | 'xcoords' | 'ycoords'> & Partial<Pick<RawData, 'source' | 'geometry'>>;
  /** What shaped the image, for its provenance. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Positions were corrected. */
  readonly moved: boolean;
  /** Of all epochs, where that is known. */
  readonly seconds?: number;
}

/**
 * What `reconstruction.npz` of a solver says besides the image: `reconstructed_probe` (N, N) or (modes, N, N),
 * `computation_time_seconds` and, where positions were corrected, `xcoords`, `ycoords` and the measured ones.
 */
export function solvedFacts(
  { probe, positions }: SolvedImage,
  { algorithm, raw, moved, seconds, settings }: SolvedFacts,
): ReconstructionFacts {
  return {
    geometry: raw.geometry,
    provenance: raw.source === undefined ? undefined : { scan: raw.source, ...(settings && { settings }) },
    algorithm: algorithmTitle(algorithm),
    sampleIndices: raw.sampleIndices,
    arrays: {
      reconstructed_probe: probe,
      ...(moved ? positionArrays(positions, raw) : {}),
      ...(seconds === undefined ? {} : { computation_time_seconds: { data: Float64Array.of(seconds), shape: [] } }),
    },
  };
}

/** What {@link writeSolved} may write. */
export const SOLVED_FILES = [
  ...RECONSTRUCTION_FILES,
  'reconstructed_probe.png',
  'positions.npz',
  'history.csv',
  'loss.png',
] as const;

/** How the files of a run are written. */
export interface SolvedFiles extends SolvedFacts {
  readonly history: readonly SolverRecord[];
  readonly phaseRange: PhaseRange;
}

/**
 * Writes `reconstruction.npz`, `positions.npz` where positions were corrected, `history.csv` and all pictures.
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeSolved(folder: string, solved: SolvedImage, facts: SolvedFiles): Promise<string[]> {
  const { raw, moved, phaseRange, history } = facts;
  const files = await writeReconstruction(folder, asWritten(solved), { ...solvedFacts(solved, facts), phaseRange });
  files.push(await writeProbePicture(folder, solved.probe));
  if (moved) files.push(await writeRefinedPositions(folder, raw, solved.positions));
  return [...files, ...(await writeProgress(folder, history, moved))];
}

/** Pictures of a run that goes on. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writePreview(folder: string, solved: SolvedImage, facts: SolvedFiles): Promise<void> {
  await writePictures(folder, asWritten(solved), facts.phaseRange);
  await writeProbePicture(folder, solved.probe);
  await writeProgress(folder, facts.history, facts.moved);
}

/** The epochs as `history.csv` and, from the first one on, as a curve. */
async function writeProgress(folder: string, history: readonly SolverRecord[], moved: boolean): Promise<string[]> {
  const epochs = history.filter(({ epoch }) => epoch > 0);
  if (epochs.length === 0) return [];
  const rows = epochs.map(({ epoch, loss, rFactor, shift_px }) => ({
    ...{ epoch, loss, r_factor: rFactor },
    ...(moved ? { position_shift_px: shift_px } : {}),
  }));
  await writeAtomically(path.join(folder, 'history.csv'), encodeHistory(rows));
  const chart = renderLossChart([{ name: 'misfit', values: epochs.map(({ loss }) => loss) }], {
    title: 'Misfit per epoch',
    label: 'misfit of the amplitudes',
  });
  await writeAtomically(path.join(folder, 'loss.png'), encodePng(chart));
  return ['history.csv', 'loss.png'];
}

/** Pixels of a mode darker than this share of its brightest amplitude have no phase to show. */
const FAINT = 0.05;

/** `reconstructed_probe.png`: amplitude and phase of each mode in a row, with its share of the power. */
async function writeProbePicture(folder: string, probe: ComplexTensor): Promise<string> {
  const shape = probe.shape.slice(-2);
  const area = sizeOf(shape);
  const total = totalIntensity(probe);
  const tiles = Array.from({ length: probe.re.length / area }, (_, m): Tile[] => {
    const part = (values: Float32Array) => values.subarray(m * area, (m + 1) * area);
    const mode = { re: part(probe.re), im: part(probe.im), shape };
    const amplitude = mode.re.map((v, i) => Math.hypot(v, mode.im[i]));
    const limit = FAINT * amplitude.reduce((most, v) => Math.max(most, v), 0);
    const mask = Uint8Array.from(amplitude, (v) => (v > limit ? 1 : 0));
    const share = `${((100 * totalIntensity(mode)) / total).toFixed(1)} %`;
    return [
      { title: [`mode ${m + 1}, ${share}`, 'amplitude'], picture: withColourBar(renderAmplitude(mode)) },
      { title: ['', 'phase'], picture: withColourBar(renderPhase(mode, { mask })) },
    ];
  }).flat();
  const name = 'reconstructed_probe.png';
  await writeAtomically(path.join(folder, name), encodePng(contactSheet(tiles, 2)));
  return name;
}

/**
 * Writes object, probe modes, the positions at which they were made and the loss of each epoch; HDF5 or NPZ, by the name.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeSolvedProduct(
  file: string,
  solved: SolverResult,
  raw: RawData,
  logger: Logger,
): Promise<void> {
  const { xs, ys } = solved.positions;
  const placed = { image: solved.image, originYxPx: solved.frame.originYxPx };
  const parts = scanAsProduct({ ...raw, xcoords: xs, ycoords: ys }, solved.probe, placed, (note) => logger.warn(note));
  const losses = lossesOf(solved.history.filter(({ epoch }) => epoch > 0).map(({ loss }) => loss));
  await makeOutputFolder(path.dirname(path.resolve(file)));
  await writeProductFile(file, { metadata: metadataOf({}, raw), ...parts, losses });
}
