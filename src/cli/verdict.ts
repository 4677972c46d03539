/**
 * What the command line makes of an image that is worth nothing: one sentence of advice, and with `--strict` an exit code of its own.
 *
 * @example
 * warnOfWorthless({ image: 0.27, constant: 0.265 }, 'scan.npz', services.logger);
 * verdictExit({ image: 0.27, constant: 0.265 }, { strict: true }); // 3
 */

import type { Logger } from '../core/log.js';
import { EXIT_OK, EXIT_WORTHLESS } from './exit.js';

/** R of an image and that of the best constant object; undefined where nobody measured them. */
type Measured = { readonly image: number; readonly constant: number } | undefined;

/** The image explains the patterns no better than the best constant object does; an R that is no number explains nothing. */
const isWorthless = (r: Measured): boolean => r !== undefined && !(r.image < r.constant);

/** Says that an image is worth nothing, and where to look. */
export function warnOfWorthless(r: Measured, scan: string | null, logger: Logger): void {
  if (r === undefined || !isWorthless(r)) return;
  logger.warn(
    `The image explains the patterns no better than a constant object does (R-factor ${r.image.toPrecision(3)} against ${r.constant.toPrecision(3)}): check the orientation of the positions ("ptychopinn orient ${scan ?? 'SCAN'}"), their unit ("ptychopinn inspect ${scan ?? 'SCAN'}") and the probe (--probe).`,
  );
}

/** The exit code of a command that has come to its end. */
export function verdictExit(r: Measured, { strict }: { readonly strict: boolean }): number {
  return strict && isWorthless(r) ? EXIT_WORTHLESS : EXIT_OK;
}
