/**
 * What a look at a scan shows: one list of findings, made where a scan is opened and said by every command. A finding has a
 * code, a severity and a remedy. *wrong* stops a command unless the code is accepted (`--accept CODE`), *doubt* is said once as
 * a warning, *note* is shown by `inspect` alone.
 *
 * @example
 * const findings = new Findings('scan.h5', { accept: ['OFF_CENTRE'], logger });
 * findings.add({ code: 'DARK_FRAMES', severity: 'doubt', message: '3 of 64 frames are dark.', remedy: '--min_counts 1' });
 * findings.settle(); // throws SCAN_WRONG where a finding that is wrong was not accepted
 */
import { PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';

/** What is done about a finding. */
export type Severity = 'wrong' | 'doubt' | 'note';

/** One thing that a look at a scan shows. */
export interface Finding {
  /** Upper case with underscores: `ZERO_FREQUENCY_IN_CORNERS`; what `--accept` names. */
  readonly code: string;
  readonly severity: Severity;
  /** One sentence: what, where. */
  readonly message: string;
  /** What to do, as a flag where there is one: `--fftshift yes`. */
  readonly remedy?: string;
}

/** Who hears of findings, and which of them do not stop. */
export interface FindingOptions {
  /** Codes that do not stop a command. */
  readonly accept?: readonly string[];
  readonly logger?: Logger;
}

/** Collects the findings about one scan, in the order in which they are made; each is said once. */
export class Findings {
  private readonly found: Finding[] = [];
  private readonly accept: ReadonlySet<string>;
  private readonly logger: Logger;

  constructor(
    readonly source: string,
    { accept = [], logger = silentLogger }: FindingOptions = {},
  ) {
    this.accept = new Set(accept.map((code) => code.toUpperCase()));
    this.logger = logger;
  }

  get all(): readonly Finding[] {
    return this.found;
  }

  /**
   * Adds a finding and says it, where it is no mere note. One of the same code takes the place of the earlier one, because more of
   * the scan has been seen; it is said again only where it is worse.
   */
  add(finding: Finding): void {
    const at = this.found.findIndex(({ code }) => code === finding.code);
    if (at < 0) this.found.push(finding);
    else {
      const before = this.found[at];
      this.found[at] = finding;
      if (before.severity === finding.severity || finding.severity === 'note') return;
    }
    if (finding.severity === 'doubt') this.logger.warn(sentenceOf(finding));
    if (finding.severity === 'wrong' && this.accept.has(finding.code)) {
      this.logger.warn(`${sentenceOf(finding)} Accepted with --accept ${finding.code}.`);
    }
  }

  /**
   * Stops where something is wrong that was not accepted.
   * @throws PtychoError SCAN_WRONG with all such findings; its field `finding` is the code of the first.
   */
  settle(): void {
    const wrong = this.found.filter(({ severity, code }) => severity === 'wrong' && !this.accept.has(code));
    if (wrong.length === 0) return;
    throw new PtychoError(
      'SCAN_WRONG',
      wrong.map((finding) => `${sentenceOf(finding)} [${finding.code}; --accept ${finding.code} goes on]`).join(' '),
      { path: this.source, finding: wrong[0].code, findings: wrong },
    );
  }
}

/** Message and remedy as one text. */
export function sentenceOf({ message, remedy }: Finding): string {
  return remedy === undefined ? message : `${message.replace(/\.$/, '')}: ${remedy}.`;
}
