/** `ptychopinn calibrate SCAN…`: intervals from the spread of a model's images, by scans with known objects. */

import path from 'node:path';
import { calibrationDefinition } from '../../config/commands.js';
import type { CalibrationSummary } from '../../workflows/calibrate.js';
import { commandOf } from '../run.js';
import { formatTable } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn train scan.npz --ensemble 5 --output_dir run
  ptychopinn calibrate a.npz b.npz --model_path run --test_data c.npz --test_data d.npz
  ptychopinn infer new.npz --model_path run --output_dir image     # with 90 % intervals

The scans hold their known objects (objectGuess), as simulated ones do, and are none that the model was trained on.`;

export const command = commandOf({
  definition: calibrationDefinition,
  args: { '[SCANS...]': 'Scans with known objects to calibrate on, as --calibration_data names them.' },
  help: EXAMPLE,
  interrupted: 'stopping after this scan; nothing is written',
  work: async ({ config, args, services }) => {
    const calibration_data = [...config.calibration_data, ...args.filter((arg) => arg !== undefined)];
    return (await import('../../workflows/calibrate.js')).calibrateWorkflow({ ...config, calibration_data }, services);
  },
  text: summaryText,
});

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function summaryText({ coverage, outputDir, files }: CalibrationSummary): string {
  const tested = coverage.some(({ calibrated }) => !calibrated);
  const rows = coverage
    .filter(({ calibrated }) => !tested || !calibrated)
    .map(({ scan, from, quantity, levels, uncalibrated, correlation }) => [
      path.basename(scan),
      from,
      quantity,
      ...levels.filter(({ level }) => level === 0.5 || level >= 0.9).map((l) => percent(l.coverage)),
      percent(uncalibrated.find(({ level }) => level === 0.9)?.coverage ?? Number.NaN),
      correlation.toFixed(2),
    ]);
  const head = ['scan', 'spread', 'of', '50 %', '90 %', '95 %', '90 % uncalibrated', 'rank correlation with error'];
  const what = tested
    ? 'Coverage on scans that were not calibrated on'
    : 'Coverage on the scans that were calibrated on, right by construction (name others with --test_data)';
  return `${what}:\n${formatTable(head, rows)}\nWritten to ${outputDir}: ${files.join(', ')}.\n`;
}
