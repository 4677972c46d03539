/** `ptychopinn overlap FILE [TEST]`: the overlap metrics of a scan, or of the two parts of a split one. */

import { overlapDefinition } from '../../config/commands.js';
import { commandOf } from '../run.js';

const EXAMPLE = `
Examples:
  ptychopinn overlap scan.npz --gridsize 1 --simg 1 --ngroups 512
  ptychopinn overlap scan_train.npz scan_test.npz --gridsize 2 --simg 0.5 --ngroups 512 --output_dir overlap

The metrics are printed as JSON, of two scans as {train, test}. They are a report: no scan is refused for its overlap.
What each number means is in docs/study.md.`;

export const command = commandOf({
  definition: overlapDefinition,
  args: { FILE: 'Scan in any readable format, or its training part.', '[TEST]': 'Its test part.' },
  help: EXAMPLE,
  interrupted: 'stopping after this scan',
  work: async ({ config, args: [train, test], services }) =>
    (await import('../../workflows/overlap.js')).overlapWorkflow({ train, test }, config, services),
  text: ({ train, test }) => `${JSON.stringify(test ? { train, test } : train, null, 2)}\n`,
  always: true,
});
