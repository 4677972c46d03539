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

function summaryText({ coverage, leftOut, outputDir, files }: CalibrationSummary): string {
  const tested = coverage.filter(({ calibrated }) => !calibrated);
  const [what, shown] =
    tested.length > 0
      ? ['Coverage on scans that were not calibrated on', tested]
      : leftOut.length > 0
        ? ['Coverage on each scan by what the others calibrate', leftOut]
        : [
            'Coverage on the scan that was calibrated on, right by construction (name others with --test_data)',
            coverage,
          ];
  const rows = shown.map(({ scan, from, quantity, levels, uncalibrated, correlation }) => [
    path.basename(scan),
    from,
    quantity,
    ...levels.filter(({ level }) => level === 0.5 || level >= 0.9).map((l) => percent(l.coverage)),
    percent(uncalibrated.find(({ level }) => level === 0.9)?.coverage ?? Number.NaN),
    correlation.toFixed(2),
  ]);
  const head = ['scan', 'spread', 'of', '50 %', '90 %', '95 %', '90 % uncalibrated', 'rank correlation with error'];
  const others = tested.length > 0 && leftOut.length > 0 ? leftOutText(leftOut) : '';
  return `${what}:\n${formatTable(head, rows)}\n${others}Written to ${outputDir}: ${files.join(', ')}.\n`;
}

/** How much 90 % intervals cover of the scans that were calibrated on, each by the others: so far apart may scans to come lie, too. */
function leftOutText(leftOut: CalibrationSummary['leftOut']): string {
  const kinds = new Map<string, number[]>();
  for (const { from, quantity, levels } of leftOut) {
    const covered = levels.find(({ level }) => level === 0.9)?.coverage ?? Number.NaN;
    const kind = `${quantity} (${from})`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), covered]);
  }
  const texts = [...kinds].map(
    ([kind, shares]) => `${kind} ${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`,
  );
  return `90 % intervals on each scan that was calibrated on, by the others: ${texts.join(', ')}.\n`;
}
