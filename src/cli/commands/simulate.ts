/** `ptychopinn simulate`: a scan file with a known object. */

import { simulationDefinition } from '../../config/commands.js';
import { SIMULATION_PRESETS } from '../../config/simulationPresets.js';
import { noun } from '../../core/words.js';
import { commandOf } from '../run.js';
import { formatCount } from '../terminal.js';

const widest = Math.max(...Object.keys(SIMULATION_PRESETS).map((name) => name.length));
const PRESETS = Object.entries(SIMULATION_PRESETS).map(([name, { summary }]) => `  ${name.padEnd(widest)}  ${summary}`);

const EXAMPLE = `
Presets (--preset NAME; flags override them):
${PRESETS.join('\n')}

How it works: patterns are |F(probe · object)|² at every position, scaled to --photons on average, drawn as
Poisson counts, read out by the detector, and written as √counts. The file knows the truth: the object, the
probe at the level of the counts, and every seed (_metadata). See docs/simulation.md.

Examples:
  ptychopinn simulate --output_file scan.npz --n_patterns 1000 --photons 1e6
  ptychopinn simulate --preset deadleaves --visualize --output_file leaves.npz
  A second scan of the same object with other positions and noise, to test on:
  ptychopinn simulate --preset deadleaves --object_seed 7 --seed 1 --output_file train.npz
  ptychopinn simulate --preset deadleaves --object_seed 7 --seed 2 --output_file test.npz
  As the published tool, object and probe from a file:
  ptychopinn simulate --input-file scan.npz --output-file sim.npz --n-images 500 --n-photons 1e9`;

export const command = commandOf({
  definition: simulationDefinition,
  others: 'levels',
  help: EXAMPLE,
  interrupted: 'stopping after this step',
  work: async ({ config, services }) =>
    (await import('../../workflows/simulate.js')).simulateWorkflow(config, services),
  text: ({ path, count, N, picture, sent }) =>
    `Written ${path}: ${formatCount(count)} ${noun(count, 'pattern')} of ${N} × ${N}.\n${picture === undefined ? '' : `Written ${picture}.\n`}${sent === undefined ? '' : `Sent ${formatCount(sent)} ${noun(sent, 'frame')}.\n`}`,
});
