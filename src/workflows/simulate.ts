/** `simulate`: a contract NPZ with a known object. */

import { simulationDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf, SimulationConfig } from '../config/schema.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { openDataset } from '../data/openDataset.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { publishScan } from '../live/publish.js';
import { type SimulationSummary, simulateToFile, simulationFiles } from '../simulation/writeSimulation.js';
import { warnOfLonelyPatterns } from '../solvers/scan.js';

export { loadSimulationInputs, type SimulationInputs } from '../simulation/inputs.js';
export { drawSimulation } from '../simulation/picture.js';
export { type SimulationRecipe, simulate } from '../simulation/recipe.js';
export {
  type PatchesToWrite,
  patchesOf,
  type SimulationSummary,
  writeSimulatedScan,
} from '../simulation/writeSimulation.js';

/**
 * Simulates a scan, writes it to `output_file`, and a picture of it beside that file where `visualize` asks for one; with `publish`, sends its
 * frames as a detector does.
 * @throws PtychoError OUTPUT_EXISTS, and as `loadSimulationInputs`, `simulate` and `writeSimulatedScan`
 */
export async function simulateWorkflow(
  given: PartOf<SimulationConfig>,
  services: Services = {},
): Promise<SimulationSummary & { readonly sent?: number }> {
  const config = wholeConfig(simulationDefinition, given, services.logger);
  const { scan, picture } = simulationFiles(config);
  const files = picture === undefined ? [scan] : [scan, picture];
  await requireNew(files, { ...newFiles(config, services), field: 'output_file' });
  const summary = await simulateToFile(config, services, (simulated) =>
    warnOfLonelyPatterns(simulated, services.logger),
  );
  const { publish: address, publish_hz: framesPerSecond, publish_encoding: encoding } = config;
  if (address === null) return summary;
  const sent = await closing(await openDataset(scan), (raw) =>
    publishScan(raw, { address, framesPerSecond, encoding }, services),
  );
  return { ...summary, sent };
}
