/** The look at a scan when it is opened: at most 64 patterns, positions, probe, geometry. */
import { LOOKED_AT } from '../opening/openDatasetOptions.js';
import type { RawData } from '../rawData.js';
import { FigureMeter, type PatternFigures, spreadIndices } from './figures.js';
import type { Findings } from './finding.js';
import { farField } from './lightShift.js';
import type { LookedPatterns } from './nearField.js';
import { type CheckedScan, checkPatterns } from './patternChecks.js';
import { checkScan, type ScanFacts } from './scanChecks.js';

/** What is looked at. */
export type LookedAt = CheckedScan & ScanFacts;

/**
 * Adds everything that shows.
 * @param figures those of some patterns, spread over the scan
 * @param looked these patterns themselves, where they are at hand
 */
export function addFindings(
  scan: LookedAt,
  figures: PatternFigures,
  findings: Findings,
  looked?: LookedPatterns,
): void {
  const field = scan.probeGuess && farField(scan.probeGuess, scan.N);
  const about = checkScan(scan, figures, looked, field);
  const isNear = about.some(({ code }) => code === 'NEAR_FIELD');
  // Where the light of a near field lies says nothing about zero frequency.
  const ofPatterns = checkPatterns(scan, figures, field).filter(
    ({ code }) => !(isNear && (code === 'OFF_CENTRE' || code === 'ZERO_FREQUENCY_IN_CORNERS')),
  );
  for (const finding of [...ofPatterns, ...about]) findings.add(finding);
}

/** The same for a scan that is open already, such as one in memory. @throws PtychoError those of reading patterns */
export async function lookAtScan(raw: RawData, findings: Findings): Promise<Findings> {
  const size = raw.N ** 2;
  const indices = spreadIndices(Math.min(LOOKED_AT, raw.count), raw.count);
  const pixels = new Float32Array(indices.length * size);
  await raw.patterns.readAmplitudes(indices, pixels);
  const meter = new FigureMeter(size);
  for (let i = 0; i < indices.length; i++) meter.take(indices[i], pixels.subarray(i * size, (i + 1) * size), false);
  addFindings(raw, meter.figures(), findings, { pixels, indices });
  return findings;
}
