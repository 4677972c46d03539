/**
 * `view`: the page in which scans are looked at and solved, for a file, a folder or nothing, on this machine alone.
 *
 * @example
 * const server = await viewWorkflow('beamtime', {});
 * console.log(server.url);
 */
import { viewDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { ViewConfig } from '../config/schemas/tools.js';
import type { Services } from '../core/services.js';
import { ServedFolder } from '../view/folder.js';
import { startView, type ViewServer } from '../view/server.js';

/**
 * Serves the page until it is closed.
 * @param place a scan, a folder with scans and results; undefined: the page alone
 * @throws PtychoError FILE_NOT_FOUND; BACKEND_MISSING where the page was not built; OUTPUT_UNWRITABLE for a port that is taken
 */
export async function viewWorkflow(
  place: string | undefined,
  given: PartOf<ViewConfig>,
  services: Services = {},
): Promise<ViewServer> {
  const { port } = wholeConfig(viewDefinition, given, services.logger);
  return startView({ folder: place === undefined ? undefined : await ServedFolder.open(place), port });
}
