/** `simulate`: a contract NPZ with a known object. */
import path from 'node:path';
import type { SimulationConfig } from '../config/schema.js';
import { type Logger, silentLogger } from '../core/log.js';
import { rawDataFromArrays } from '../data/rawData.js';
import { writeScan } from '../data/scanWriter.js';
import { makeObject } from '../simulation/objects.js';
import { makeProbe } from '../simulation/probes.js';
import { makeScan, stepForCount } from '../simulation/scans.js';
import { type SimulatedScan, simulateScan } from '../simulation/simulateScan.js';
import { makeOutputFolder } from './files.js';

/** What of a configuration shapes the scan (everything but the file). */
export type SimulationRecipe = Omit<SimulationConfig, 'output_file'>;

/** Makes object, probe, positions and patterns; each has a random stream of its own, derived from `seed`. */
export function simulateRecipe(recipe: SimulationRecipe): SimulatedScan {
  const side = recipe.object_side_px ?? Math.round(3.5 * recipe.N);
  const region = { rows: side, cols: side, side: recipe.N };
  const object = makeObject(recipe.object, { rows: side, cols: side, seed: recipe.seed });
  const probe = makeProbe(recipe.probe, {
    side: recipe.N,
    diameter: recipe.probe_diameter_px ?? undefined,
    curvatureRad: recipe.probe_curvature_rad,
  });
  const stepPx =
    recipe.step_px ?? (recipe.n_patterns === null ? recipe.N / 12 : stepForCount(region, recipe.n_patterns));
  const { xs, ys } = makeScan(recipe.scan, { ...region, stepPx, seed: recipe.seed + 1 });
  return simulateScan({
    object,
    probe,
    xs,
    ys,
    photons: recipe.photons,
    seed: recipe.seed + 2,
    noise: recipe.noise ? 'poisson' : 'none',
    notes: { ...recipe },
  });
}

/** Writes a simulated scan as a contract NPZ. */
export async function writeSimulatedScan(file: string, scan: SimulatedScan): Promise<void> {
  const { metadata, scan_index, xcoords, ycoords, ...arrays } = scan;
  const raw = rawDataFromArrays({
    ...arrays,
    xcoords: xcoords.data,
    ycoords: ycoords.data,
    scanIndex: scan_index.data,
    metadata: JSON.parse(metadata) as Record<string, unknown>,
    source: file,
  });
  await writeScan(file, raw);
}

/** Simulates a scan and writes it to `output_file`. */
export async function simulateWorkflow(
  config: SimulationConfig,
  services: { readonly logger?: Logger } = {},
): Promise<{ path: string; count: number; N: number }> {
  const logger = services.logger ?? silentLogger;
  // The file does not record where it was written: the same recipe gives the same bytes anywhere.
  const { output_file, ...recipe } = config;
  const scan = simulateRecipe(recipe);
  const [count, N] = scan.diffraction.shape;
  await makeOutputFolder(path.dirname(path.resolve(output_file)));
  await writeSimulatedScan(output_file, scan);
  logger.debug?.(`${count} patterns of ${N}×${N}, seed ${config.seed}.`);
  return { path: output_file, count, N };
}
