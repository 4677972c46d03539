/** Simulated scans as files: the contract NPZ, and a picture of it. */

import path from 'node:path';
import type { SimulationConfig } from '../config/schema.js';
import { withPauses } from '../core/cancel.js';
import { silentLogger } from '../core/log.js';
import { integers, valuesAt } from '../core/numbers.js';
import type { Services } from '../core/services.js';
import { counted } from '../core/words.js';
import type { StoredPatches } from '../data/scanFile.js';
import { patchStream, writeScan } from '../data/scanWriter.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { extractPatches } from '../physics/sampling.js';
import { drawPng } from '../report/renderer.js';
import { loadSimulationInputs, recipeIn } from './inputs.js';
import { drawSimulation } from './picture.js';
import { recipeSteps } from './recipe.js';
import { rawDataFromSimulation, type SimulatedScan } from './simulateScan.js';

/** Which known patches go into the file besides the object that they are cut from. */
export interface PatchesToWrite {
  /** As `label`. */
  readonly labels?: boolean;
  /** As `ground_truth_patches`. */
  readonly groundTruth?: boolean;
}

/** Patches of the true object at the true positions, one a pattern, cut when they are read. */
export function patchesOf(scan: SimulatedScan): StoredPatches {
  const [count, side] = scan.diffraction.shape;
  const xs = (scan.xcoords_true ?? scan.xcoords).data;
  const ys = (scan.ycoords_true ?? scan.ycoords).data;
  return {
    count,
    height: side,
    width: side,
    readRows: async (rows) => {
      const at = (values: Float64Array) => valuesAt(values, rows);
      return extractPatches(scan.objectGuess, at(xs), at(ys), side);
    },
  };
}

/**
 * Writes a simulated scan as a contract NPZ, with `xcoords_true` and `ycoords_true` where positions carry errors.
 * @throws PtychoError OUTPUT_UNWRITABLE, CANCELLED
 */
export async function writeSimulatedScan(
  file: string,
  scan: SimulatedScan,
  patches: PatchesToWrite = {},
  { signal, onProgress }: Pick<Services, 'signal' | 'onProgress'> = {},
): Promise<void> {
  const { xcoords_true, ycoords_true } = scan;
  const raw = rawDataFromSimulation(scan, file);
  const known = patchesOf(scan);
  const rows = integers(known.count);
  await writeScan(
    file,
    { ...raw, labels: patches.labels ? known : undefined },
    {
      signal,
      onPatterns: (done) => onProgress?.({ stage: 'writing', done, total: known.count, unit: 'patterns' }),
      extra: {
        ...(xcoords_true && ycoords_true && { xcoords_true, ycoords_true }),
        ...(patches.groundTruth && { ground_truth_patches: patchStream(known, rows, signal) }),
      },
    },
  );
}

/** What was written. */
export interface SimulationSummary {
  readonly path: string;
  readonly count: number;
  readonly N: number;
  /** Of the pictures, where they were asked for. */
  readonly picture?: string;
}

/** The files of a simulation: `output_file`, and a picture beside it where `visualize` asks for one. */
export function simulationFiles({ output_file, visualize }: SimulationConfig) {
  return { scan: output_file, picture: visualize ? `${output_file.replace(/\.npz$/i, '')}.png` : undefined };
}

/**
 * Simulates a scan and writes {@link simulationFiles}, whatever is there. The file does not record where it was written: the same
 * recipe gives the same bytes anywhere.
 * @param look hears of the scan before it is written
 * @throws PtychoError as `loadSimulationInputs`, `simulate` and `writeSimulatedScan`
 */
export async function simulateToFile(
  config: SimulationConfig,
  services: Services = {},
  look: (scan: SimulatedScan) => void = () => {},
): Promise<SimulationSummary> {
  const { signal, logger = silentLogger } = services;
  const recipe = recipeIn(config);
  const { scan: file, picture } = simulationFiles(config);
  const inputs = await loadSimulationInputs(recipe, (sentence) => logger.info(sentence));
  const scan = await withPauses(recipeSteps(recipe, inputs, logger), signal, 'The simulation');
  look(scan);
  await makeOutputFolder(path.dirname(path.resolve(file)));
  const labels = recipe.labels ?? scan.xcoords_true !== undefined;
  await writeSimulatedScan(file, scan, { labels, groundTruth: recipe.ground_truth }, services);
  const [count, N] = scan.diffraction.shape;
  logger.debug?.(`${counted(count, 'pattern')} of ${N}×${N}, seed ${config.seed}.`);
  if (picture === undefined) return { path: file, count, N };
  await writeAtomically(
    picture,
    await drawPng(drawSimulation(scan, rawDataFromSimulation(scan, file).geometry.objectPixel_m?.x)),
  );
  return { path: file, count, N, picture };
}
