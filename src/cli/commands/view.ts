/** `ptychopinn view`: the page for a scan or a folder, on this machine alone. */

import { viewDefinition } from '../../config/commands.js';
import { commandOf } from '../run.js';

const GUIDE = `
The page opens scans and results, solves and trains on this machine's processor or GPU, and compares images. Nothing leaves the machine: the
page may only speak to this command, at an address that nobody can guess. Ctrl-C ends it.

Examples:
  ptychopinn view scan.h5
  ptychopinn view beamtime            # scans and results below the folder; pictures of running jobs are followed
  ptychopinn view`;

export const command = commandOf({
  definition: viewDefinition,
  args: { '[PLACE]': 'A scan, or a folder with scans and results; the page alone where left out.' },
  others: 'quiet',
  help: GUIDE,
  work: async ({ config, args: [place], services, context }) => {
    const server = await (await import('../../workflows/view.js')).viewWorkflow(place, config, services);
    context.stdout.write(`${server.url}\n`);
    services.logger.info('Open this address in a browser on this machine; Ctrl-C ends it.');
    if (config.open) await (await import('../openBrowser.js')).openBrowser(server.url, services.logger);
    const { signal } = services;
    await new Promise<void>((done) => {
      if (signal.aborted) done();
      signal.addEventListener('abort', () => done(), { once: true });
    });
    await server.close();
    return server.url;
  },
  text: () => '',
});
