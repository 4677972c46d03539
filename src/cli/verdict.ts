/**
 * What the command line makes of R of an image: one sentence of advice where it is worth nothing or where more could be had, and with
 * `--strict` an exit code of its own.
 *
 * @example
 * const r = { image: 0.27, constant: 0.265 };
 * warnOfR(r, { scan: 'scan.npz', more: ['--epochs'] }, logger); // … no better than a constant object does …
 * verdictExit(r, { strict: true }); // 3
 */

import { wordList } from '../core/field.js';
import type { Logger } from '../core/log.js';
import { noun } from '../core/words.js';
import type { ImageRFactor } from '../reconstruction/rFactor.js';
import { EXIT_OK, EXIT_WORTHLESS } from './exit.js';
import { formatCount } from './terminal.js';

/** R of an image, and what it is judged by; undefined where nobody measured them. */
type Measured = Pick<ImageRFactor, 'image' | 'constant' | 'noise'> | undefined;

/** Beyond so many times what counting leaves there is something in the patterns that image, probe and positions do not explain. */
const ROOM = 1.5;

/** The image explains the patterns no better than the best constant object does; an R that is no number explains nothing. */
const isWorthless = (r: Measured): boolean => r !== undefined && !(r.image < r.constant);

/** Where advice is to look. */
export interface Advice {
  /** The scan, for commands to try; null where it is not known. */
  readonly scan: string | null;
  /** What of the command may bring R down. */
  readonly more: readonly string[];
  /** What the image is called, where there are several. */
  readonly name?: string;
}

/** Says that an image is worth nothing, and where to look; or else that there is room between it and the noise. */
export function warnOfR(r: Measured, { scan, more, name }: Advice, logger: Logger): void {
  if (r === undefined) return;
  const image = name === undefined ? 'The image' : `The image of ${name}`;
  const R = r.image.toPrecision(3);
  if (isWorthless(r)) {
    logger.warn(
      `${image} explains the patterns no better than a constant object does (R-factor ${R} against ${r.constant.toPrecision(3)}): check the orientation of the positions ("ptychopinn orient ${scan ?? 'SCAN'}"), their unit ("ptychopinn inspect ${scan ?? 'SCAN'}") and the probe (--probe).`,
    );
  } else if (r.noise !== undefined && r.image > ROOM * r.noise) {
    logger.info(
      `${image} leaves an R-factor of ${R}, ${(r.image / r.noise).toPrecision(2)} times the ${r.noise.toPrecision(2)} that the noise of counting would leave if each count is one photon: ${wordList(more, 'or')} may bring it down.`,
    );
  }
}

/** The exit code of a command that has come to its end. */
export function verdictExit(r: Measured, { strict }: { readonly strict: boolean }): number {
  return strict && isWorthless(r) ? EXIT_WORTHLESS : EXIT_OK;
}

/** `0.148 on 64 patterns (a constant object: 0.401; counting noise alone: about 0.14), with the probe of the scan`. */
export function rFactorWords({ image, constant, noise, patterns, probe, probeScale }: ImageRFactor): string {
  const counting = noise === undefined ? '' : `; counting noise alone: about ${noise.toPrecision(2)}`;
  const scaled = probeScale > ANY_SCALE || probeScale < 1 / ANY_SCALE;
  const scale = scaled ? `, scaled by ${probeScale.toPrecision(3)} to the counts of the scan` : '';
  return `${image.toPrecision(3)} on ${formatCount(patterns)} ${noun(patterns, 'pattern')} (a constant object: ${constant.toPrecision(3)}${counting}), with the probe of the ${probe}${scale}`;
}

/** Scales that differ by less are what any network's image comes to. */
const ANY_SCALE = 1.2;
