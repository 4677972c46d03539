/** What a solver leaves in its folder: arrays, pictures, a table of the epochs. */

import path from 'node:path';
import { ALGORITHM_TITLES, type SolverAlgorithm } from '../../config/schemas/solver.js';
import type { Logger } from '../../core/log.js';
import type { RawData } from '../../data/rawData.js';
import type { NpyInput } from '../../formats/npyWrite.js';
import { writeNpz } from '../../formats/npz.js';
import { drawingFiles, makeOutputFolder, writeAtomically, writeDrawing } from '../../formats/outputFiles.js';
import { encodeHistory } from '../../persistence/history.js';
import { scanAsProduct } from '../../persistence/product/geometry.js';
import { lossesOf, metadataOf } from '../../persistence/product/scans.js';
import { writeProductFile } from '../../persistence/product/writeProduct.js';
import type { ObjectLayers } from '../../physics/layers.js';
import { imagePanels, type PictureOptions, writePreviewPictures } from '../../reconstruction/pictures.js';
import { positionArrays, writeRefinedPositions } from '../../reconstruction/positions/refinePositions.js';
import {
  LAYERS_BESIDE,
  RECONSTRUCTION_FILES,
  type ReconstructionFacts,
  reconstructionArrays,
  writeReconstruction,
} from '../../reconstruction/reconstructionFile.js';
import { lineChart } from '../../report/chart.js';
import { AMONG_OTHERS, figure, imagePanel } from '../../report/figure.js';
import { renderAmplitude } from '../../report/image.js';
import { lossChart } from '../../report/loss.js';
import { probeFigure, probePanels } from '../../report/probe.js';
import type { Drawing } from '../../report/renderer.js';
import { positionShiftMap } from '../../report/scanMap.js';
import type { BackgroundFound } from '../corrections/background.js';
import type { BeamFound } from '../corrections/beam.js';
import type { SolvedImage, SolverResult } from '../run.js';
import { scansOfPatterns } from '../scan.js';
import type { FoundTogether, SolverRecord } from '../updates.js';
import { coherentModes } from './beamFiles.js';

/** `PtychoPINN rPIE`, as `algorithm` of a reconstruction says it. */
const algorithmTitle = (algorithm: SolverAlgorithm): string => `PtychoPINN ${ALGORITHM_TITLES[algorithm]}`;

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
  /** What else `reconstruction.npz` holds. */
  readonly arrays?: ReconstructionFacts['arrays'];
}

/**
 * What `reconstruction.npz` of a solver says besides the image: `reconstructed_probe` (N, N) or (modes, N, N),
 * `computation_time_seconds`; where positions were corrected, `xcoords`, `ycoords` and the measured ones; where the beam was told
 * apart, `opr_modes` (coherent, N, N), `opr_weights` (n, coherent) and `flux` (n,); `background` (N, N) counts and, where every pattern
 * has more or less of it, `background_weights` (n, 16); of several slices `reconstructed_layers` and `layer_spacing_m`; of several scans
 * `scan_index` (n,), `scan_offsets_yx_px` (scans, 2), what was added to the positions of each, and, where each has its own,
 * `reconstructed_probes` (scans, N, N) or (scans, modes, N, N).
 */
export function solvedFacts(
  { probe, beam, background, positions, layers, together }: SolvedImage,
  { algorithm, raw, moved, seconds, settings, arrays }: SolvedFacts,
): ReconstructionFacts {
  return {
    geometry: raw.geometry,
    provenance: raw.source === undefined ? undefined : { scan: raw.source, ...(settings && { settings }) },
    algorithm: algorithmTitle(algorithm),
    sampleIndices: raw.sampleIndices,
    arrays: {
      reconstructed_probe: probe,
      ...arrays,
      ...(layers && {
        [LAYERS_BESIDE.array]: layers.array,
        [LAYERS_BESIDE.spacing]: { data: layers.spacing_m, shape: [layers.spacing_m.length] },
      }),
      ...(background && { background: background.pixels }),
      ...(background?.weights && { background_weights: background.weights }),
      ...(beam && { flux: beam.flux }),
      ...(beam && beam.modes.re.length > 0 && { opr_modes: beam.modes, opr_weights: beam.weights }),
      ...(together && arraysTogether(together)),
      ...(moved ? positionArrays(positions, raw) : {}),
      ...(seconds === undefined ? {} : { computation_time_seconds: { data: Float64Array.of(seconds), shape: [] } }),
    },
  };
}

function arraysTogether(together: FoundTogether): Readonly<Record<string, NpyInput>> {
  const { share, shifts_yx_px, probes } = together;
  const index = Int32Array.from(scansOfPatterns(together));
  const all = (part: 're' | 'im') => Float32Array.from(probes.flatMap((probe) => Array.from(probe[part])));
  return {
    scan_index: { data: index, shape: [index.length] },
    scan_offsets_yx_px: { data: Float64Array.from(shifts_yx_px.flat()), shape: [shifts_yx_px.length, 2] },
    ...(share === 'object' && {
      reconstructed_probes: { re: all('re'), im: all('im'), shape: [probes.length, ...probes[0].shape] },
    }),
  };
}

/** What {@link writeSolved} may write. */
export const SOLVED_FILES: readonly string[] = [
  ...RECONSTRUCTION_FILES,
  ...['reconstructed_probe', 'loss', 'positions', 'beam', 'opr_modes', 'background', 'slices'].flatMap(drawingFiles),
  'positions.npz',
  'history.csv',
];

/** An epoch, and R of the patterns that it did not learn from, where there are any. */
type WrittenEpoch = SolverRecord & { readonly heldOutR?: number };

/** How the files of a run are written. */
export interface SolvedFiles extends SolvedFacts {
  readonly history: readonly WrittenEpoch[];
  readonly pictures: PictureOptions;
}

/**
 * Writes `reconstruction.npz`, `positions.npz` where positions were corrected, `history.csv` and all pictures.
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeSolved(folder: string, solved: SolvedImage, facts: SolvedFiles): Promise<string[]> {
  const { raw, moved, pictures, history } = facts;
  const files = await writeReconstruction(folder, solved, { ...solvedFacts(solved, facts), pictures });
  if (moved) files.push(await writeRefinedPositions(folder, raw, solved.positions));
  files.push(...(await writeHistory(folder, history, moved)));
  for (const [name, drawing] of Object.entries(solvedDrawings(solved, facts))) {
    files.push(...(await writeDrawing(folder, name, drawing, pictures.formats)));
  }
  return files;
}

/** Flux and weights of the modes over the scan, in the order of acquisition. */
function beamChart({ flux, weights }: BeamFound): Drawing {
  const [count, coherent] = weights.shape;
  const along = (value: (k: number) => number) => Array.from({ length: count }, (_, k) => [k, value(k)] as const);
  return lineChart({
    title: 'The beam over the scan',
    below: 'pattern',
    beside: 'flux − 1, weight of a mode',
    wholeX: true,
    curves: [
      { name: 'flux − 1', points: along((k) => flux.data[k] - 1) },
      ...Array.from({ length: coherent }, (_, j) => ({
        name: `mode ${j + 1}`,
        points: along((k) => weights.data[k * coherent + j]),
      })),
    ],
  });
}

/** Amplitude and phase of every slice, a row each. */
function slicesFigure(layers: ObjectLayers, solved: SolvedImage, options: PictureOptions): Drawing {
  const [count, height, width] = layers.array.shape;
  const pixels = height * width;
  const rows = Array.from({ length: count }, (_, s) => {
    const cut = (part: Float32Array) => part.subarray(s * pixels, (s + 1) * pixels);
    const image = { re: cut(layers.array.re), im: cut(layers.array.im), shape: [height, width] };
    const { frame, weight } = solved;
    const panels = imagePanels({ image, frame, weight }, options, { side_px: AMONG_OTHERS });
    return [panels.reconstructed_amplitude, panels.reconstructed_phase];
  });
  const drawn = rows.flat().filter((panel) => panel !== undefined);
  return figure(drawn, { columns: 2, title: `${count} slices, in the order in which light goes through them` });
}

/** The probe of every scan, a row a mode. */
function probesFigure({ probes }: FoundTogether, options: { readonly pixelSize_m?: number }): Drawing {
  const panels = probes.flatMap((probe, s) => probePanels(probe, { ...options, of: `Scan ${s + 1}` }));
  return figure(panels, { columns: 3, title: `Probes of ${probes.length} scans` });
}

/** What every pattern has of the background. */
function backgroundFigure({ pixels: { data, shape } }: BackgroundFound): Drawing {
  const plane = { re: Float32Array.from(data), im: new Float32Array(data.length), shape };
  const panel = imagePanel(renderAmplitude(plane, { low: 0, high: 100 }), { quantity: 'counts' });
  return figure([panel], { columns: 1, title: 'Background of all patterns' });
}

/** What is drawn of a solver's work besides its image, by the names of the files: probe, beams, misfit, corrected positions. */
export function solvedDrawings(
  solved: SolvedImage,
  { raw, moved, history, pictures }: SolvedFiles,
): Readonly<Record<string, Drawing>> {
  const { probe, beam, background, positions, layers, together } = solved;
  const { pixelSize_m } = pictures;
  const epochs = history.filter(({ epoch }) => epoch > 0);
  return {
    reconstructed_probe:
      together?.share === 'object' ? probesFigure(together, { pixelSize_m }) : probeFigure(probe, { pixelSize_m }),
    ...(epochs.length > 0 && {
      loss: lossChart([{ name: 'misfit', values: epochs.map(({ loss }) => loss) }], {
        title: 'Misfit per epoch',
        label: 'misfit of the amplitudes',
      }),
    }),
    ...(layers && { slices: slicesFigure(layers, solved, pictures) }),
    ...(beam && { beam: beamChart(beam) }),
    ...(background && { background: backgroundFigure(background) }),
    ...(beam && beam.modes.re.length > 0 && { opr_modes: probeFigure(beam.modes, { pixelSize_m }) }),
    ...(moved && {
      positions: positionShiftMap({
        measured: { xs: raw.xcoords, ys: raw.ycoords },
        corrected: positions,
        pixelSize_m,
      }),
    }),
  };
}

/** `reconstruction.npz` alone, of a run that goes on. @throws PtychoError OUTPUT_UNWRITABLE */
export function writeSolvedArrays(folder: string, solved: SolvedImage, facts: SolvedFacts): Promise<void> {
  const arrays = reconstructionArrays(solved, solvedFacts(solved, facts));
  return writeNpz(path.join(folder, 'reconstruction.npz'), arrays);
}

/** Pictures of a run that goes on, and its table. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writePreview(folder: string, solved: SolvedImage, facts: SolvedFiles): Promise<void> {
  await writePreviewPictures(folder, solved, facts.pictures.phaseRange);
  await writeHistory(folder, facts.history, facts.moved);
}

/** The epochs as `history.csv`, from the first one on. */
async function writeHistory(folder: string, history: readonly WrittenEpoch[], moved: boolean): Promise<string[]> {
  const epochs = history.filter(({ epoch }) => epoch > 0);
  if (epochs.length === 0) return [];
  const held = epochs.some(({ heldOutR }) => heldOutR !== undefined);
  const rows = epochs.map(({ epoch, loss, rFactor, heldOutR, shift_px }) => ({
    ...{ epoch, loss, r_factor: rFactor },
    ...(held ? { r_factor_held_out: heldOutR ?? null } : {}),
    ...(moved ? { position_shift_px: shift_px } : {}),
  }));
  await writeAtomically(path.join(folder, 'history.csv'), encodeHistory(rows));
  return ['history.csv'];
}

/**
 * Writes object, probe modes (with the coherent ones and their weights, where the beam was told apart), the positions at which they were made and the loss of each epoch; HDF5 or NPZ, by the name.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeSolvedProduct(
  file: string,
  solved: SolvedImage & Pick<SolverResult, 'history'>,
  raw: RawData,
  logger: Logger,
): Promise<void> {
  const { xs, ys } = solved.positions;
  const placed = { image: solved.image, originYxPx: solved.frame.originYxPx, layers: solved.layers };
  const parts = scanAsProduct({ ...raw, xcoords: xs, ycoords: ys }, solved.probe, placed, (note) => logger.warn(note));
  const losses = lossesOf(solved.history.filter(({ epoch }) => epoch > 0).map(({ loss }) => loss));
  await makeOutputFolder(path.dirname(path.resolve(file)));
  const probe = { ...parts.probe, ...(solved.beam && coherentModes(solved.probe, solved.beam)) };
  await writeProductFile(file, { metadata: metadataOf({}, raw), ...parts, probe, losses });
}
