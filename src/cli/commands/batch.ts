/** `ptychopinn batch -b reconstruct|train -i IN -o OUT -s settings.ini`: a folder that Ptychodus staged. */

import { Option } from 'commander';
import { PtychoError } from '../../core/errors.js';
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK } from '../exit.js';
import { addHelpOption } from '../options.js';
import { type CommandModule, supervise } from '../run.js';
import { consoleLevelOf, shows } from '../terminal.js';

const EXAMPLE = `
IN holds diffraction.h5 and product-in.h5, and may hold settings.ini; OUT gets product-out.h5. The names that Ptychodus gives
them under Python 3.10 and 3.11 (StandardFileLayout.SETTINGS, …) are known, too. Settings of -s are read before those of IN,
which win. To train, IN holds train_data.npz (and test_data.npz), or the two files above, and -s is read alone; OUT gets wts.zip. The setting Reconstructor/Algorithm names the
reconstructor: PtychoPINN/PINN (the default), PtychoPINN/Supervised, PtychoPINN-onnx/…, PtychoPINN-tf/…, or without a model
PtychoPINN/rPIE, /ePIE, /PIE, /LSQML, /DM.

Examples:
  ptychopinn batch -b train -i staged -o model -s settings.ini
  ptychopinn batch -b reconstruct -i staged -o done -s settings.ini`;

interface Given {
  readonly batch?: 'reconstruct' | 'train';
  readonly inputDirectory?: string;
  readonly outputDirectory?: string;
  /** Former names. */
  readonly input?: string;
  readonly output?: string;
  readonly settings?: string;
  readonly logLevel?: string;
}

export const command: CommandModule = {
  fields: [],
  configure(batch, context, done) {
    batch
      .addOption(new Option('-b, --batch <ACTION>', 'What to do.').choices(['reconstruct', 'train']))
      .option('-i, --input-directory <IN>', 'Folder of the input files.')
      .option('-o, --output-directory <OUT>', 'Folder of the results; made if missing.')
      .addOption(new Option('--input <IN>').hideHelp())
      .addOption(new Option('--output <OUT>').hideHelp())
      .option('-s, --settings <FILE>', 'Settings of Ptychodus (INI), read before settings.ini in IN, if there is one.')
      .option(
        '--log-level <LEVEL>',
        'DEBUG, INFO, WARNING, ERROR, CRITICAL, or the number of one in Python; default: INFO.',
      );
    addHelpOption(batch, 'Options:');
    batch.addHelpText('after', EXAMPLE).action(async (given: Given) => {
      const [action, input, output] = [
        required(given.batch, '-b reconstruct or -b train'),
        required(given.inputDirectory ?? given.input, '-i FOLDER'),
        required(given.outputDirectory ?? given.output, '-o FOLDER'),
      ];
      const { runBatch } = await import('../../adapters/ptychodus/batch.js');
      const { parseLogLevel } = await import('../../adapters/ptychodus/logger.js');
      const logLevel = given.logLevel === undefined ? undefined : parseLogLevel(given.logLevel);
      const level = consoleLevelOf({ console_level: logLevel });
      const { result, files, reconstructor } = await supervise(
        context,
        { level, interrupted: 'stopping; no product is written' },
        (services) => runBatch({ action, input, output, settings: given.settings, logLevel, ...services }),
      );
      if (files.length > 0 && shows(level, 'INFO')) {
        context.stdout.write(`${reconstructor}: written ${files.join(', ')}.\n`);
      }
      done(result === 0 ? EXIT_OK : result === EXIT_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILURE);
    });
  },
};

function required<T>(value: T | undefined, flag: string): T {
  if (value !== undefined) return value;
  throw new PtychoError('USAGE', `The command batch needs ${flag}; see "ptychopinn batch --help".`, { flag });
}
