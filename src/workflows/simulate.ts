/** `simulate`: a contract NPZ with a known object. */

import path from 'node:path';
import type { SimulationConfig } from '../config/schema.js';
import { withPauses } from '../core/cancel.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { counted } from '../core/words.js';
import { rawDataFromArrays } from '../data/arrays.js';
import { geometryOf } from '../data/metadata.js';
import type { StoredPatches } from '../data/scanFile.js';
import { patchStream, writeScan } from '../data/scanWriter.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { extractPatches } from '../physics/sampling.js';
import { encodeSmallPng } from '../report/png.js';
import { loadSimulationInputs } from '../simulation/inputs.js';
import { renderSimulation } from '../simulation/picture.js';
import { recipeSteps } from '../simulation/recipe.js';
import type { SimulatedScan } from '../simulation/simulateScan.js';
import { probeRadius_px } from '../solvers/probe.js';
import { withoutNeighbour } from '../solvers/scan.js';

export { loadSimulationInputs, type SimulationInputs } from '../simulation/inputs.js';
export { renderSimulation } from '../simulation/picture.js';
export { type SimulationRecipe, simulateRecipe } from '../simulation/recipe.js';

/** Which known patches go into the file besides the object that they are cut from. */
export interface PatchesToWrite {
  /** As `label`. */
  readonly labels?: boolean;
  /** As `ground_truth_patches`. */
  readonly groundTruth?: boolean;
}

/** What was written. */
export interface SimulationSummary {
  readonly path: string;
  readonly count: number;
  readonly N: number;
  /** Of the pictures, where they were asked for. */
  readonly picture?: string;
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
      const at = (values: Float64Array) => Float64Array.from(rows, (row) => values[row]);
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
  const { metadata, scan_index, xcoords, ycoords, xcoords_true, ycoords_true, bad_pixels, ...arrays } = scan;
  const record = JSON.parse(metadata) as Record<string, unknown>;
  const raw = rawDataFromArrays({
    ...arrays,
    xcoords: xcoords.data,
    ycoords: ycoords.data,
    scanIndex: scan_index.data,
    badPixels: bad_pixels?.data,
    metadata: record,
    geometry: geometryOf(record),
    source: file,
  });
  const known = patchesOf(scan);
  const rows = Int32Array.from({ length: known.count }, (_, i) => i);
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

/**
 * Simulates a scan, writes it to `output_file`, and a picture of it beside that file where `visualize` asks for one.
 * @throws PtychoError as `loadSimulationInputs`, `simulateRecipe` and `writeSimulatedScan`
 */
export async function simulateWorkflow(config: SimulationConfig, services: Services = {}): Promise<SimulationSummary> {
  const logger = services.logger ?? silentLogger;
  // The file does not record where it was written: the same recipe gives the same bytes anywhere.
  const { output_file, overwrite, visualize, ...recipe } = config;
  const picture = visualize ? `${output_file.replace(/\.npz$/i, '')}.png` : undefined;
  const files = picture === undefined ? [output_file] : [output_file, picture];
  await requireNew(files, { ...newFiles({ overwrite }, services), field: 'output_file' });
  const inputs = await loadSimulationInputs(recipe, (sentence) => logger.info(sentence));
  const scan = await withPauses(recipeSteps(recipe, inputs, logger), services.signal, 'The simulation');
  const [count, N] = scan.diffraction.shape;
  const radius_px = probeRadius_px(scan.probeGuess);
  const places = { xs: Float64Array.from(scan.xcoords.data), ys: Float64Array.from(scan.ycoords.data), count };
  const lonely = withoutNeighbour(places, radius_px);
  if (lonely !== undefined) {
    logger.warn(
      `${lonely} of ${count} patterns share no light with another (the probe reaches ${radius_px.toFixed(0)} px, no other position is within twice that): solvers refuse such a scan; give more patterns, or a smaller step_px.`,
    );
  }
  await makeOutputFolder(path.dirname(path.resolve(output_file)));
  const patches = {
    labels: recipe.labels ?? scan.xcoords_true !== undefined,
    groundTruth: recipe.ground_truth,
  };
  await writeSimulatedScan(output_file, scan, patches, services);
  logger.debug?.(`${counted(count, 'pattern')} of ${N}×${N}, seed ${config.seed}.`);
  if (picture === undefined) return { path: output_file, count, N };
  await writeAtomically(picture, encodeSmallPng(renderSimulation(scan)));
  return { path: output_file, count, N, picture };
}
