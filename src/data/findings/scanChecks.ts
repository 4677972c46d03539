/** What positions, probe, geometry, object and metadata of a scan show, against each other and against what experiments have. */

import { meanOf, spanOf, spreadIndices } from '../../core/numbers.js';
import { farField } from '../../physics/lightShift.js';
import { probeDiameter, totalIntensity } from '../../physics/probe.js';
import { ELEMENTARY_CHARGE_C } from '../../physics/radiation.js';
import { meanNearestDistance } from '../grouping/neighbourGrid.js';
import { checkMetadata, nphotonsOf } from '../metadata.js';
import { LOOKED_AT } from '../options.js';
import type { LookedPatterns } from '../patternSource.js';
import type { RawData } from '../rawData.js';
import type { Finding, Findings } from './finding.js';
import { nearField } from './nearField.js';
import { type CheckedScan, checkPatterns, shortNumber } from './patternChecks.js';
import { figuresOf, type PatternFigures } from './patternFigures.js';

/** What is checked of a scan. */
export type ScanFacts = Pick<
  RawData,
  'source' | 'count' | 'N' | 'xcoords' | 'ycoords' | 'probeGuess' | 'objectGuess' | 'geometry' | 'metadata' | 'domain'
>;

/** Object pixels that experiments have: from electrons to hard X-rays far off axis. */
const PIXEL_M = { least: 1e-12, most: 1e-5 } as const;
const ENERGY_EV = { least: 1, most: 1e6 } as const;
/** A whole scan that spans less than this is in another unit; so is any that spans next to nothing. */
const SMALLEST_EXTENT_PX = { scan: 2, few: 0.01 } as const;
/** Positions that make a scan, and not a test of a few. */
const SCAN_FROM = 9;
/** A scan of so many patterns' sides for each pattern holds no image. */
const LARGEST_EXTENT = 100;
const LITTLE_OVERLAP = 0.05;
const USUAL_OVERLAP = 0.5;
const POWER_FACTOR = 3;
const PHOTON_FACTOR = 3;

/** Everything but the patterns by themselves. */
export function checkScan(
  scan: ScanFacts,
  figures: PatternFigures,
  looked: LookedPatterns | undefined,
  field: Float64Array | undefined,
): Finding[] {
  return [
    ...checkGeometry(scan),
    ...checkPositions(scan),
    ...checkProbeAgainst(scan, figures, looked, field),
    ...checkObject(scan),
    ...checkMetadata(scan.metadata, { N: scan.N }, scan.source).map(
      (sentence): Finding => ({ code: 'METADATA', severity: 'doubt', message: `${sentence} The array is right.` }),
    ),
    ...checkPhotons(scan, figures),
  ];
}

/** Positions that are the same, on a line, too close together or too far apart, judged in object pixels. */
export function checkPositions({
  xcoords: x,
  ycoords: y,
  source,
  N,
}: Pick<ScanFacts, 'xcoords' | 'ycoords' | 'source' | 'N'>): Finding[] {
  const n = x.length;
  if (n < 2) return [];
  const distinct = new Set(Array.from(x, (value, i) => `${value},${y[i]}`)).size;
  const [width, height] = [spanOf(x), spanOf(y)];
  const extent = Math.max(width, height);
  const units =
    'give the right one with --positions_unit m or px, --coord_scale, or the energy, distance and detector pixel that positions in metres are divided by';
  if (distinct === 1) {
    return [
      {
        code: 'POSITIONS_ALL_SAME',
        severity: 'wrong',
        message: `All ${n} scan positions of ${source} are the same; no image can come of them.`,
        remedy: 'name the right ones with --positions FILE[:key]',
      },
    ];
  }
  const findings: Finding[] = [];
  if (extent < (n < SCAN_FROM ? SMALLEST_EXTENT_PX.few : SMALLEST_EXTENT_PX.scan)) {
    findings.push({
      code: 'POSITIONS_TOO_CLOSE',
      severity: 'wrong',
      message: `The ${n} scan positions of ${source} span only ${Number(extent.toPrecision(3))} object pixels, so they are in another unit than was taken${likelyUnit(extent, n, N)}.`,
      remedy: units,
    });
  } else if (extent > LARGEST_EXTENT * N * Math.max(1, Math.sqrt(n))) {
    findings.push({
      code: 'POSITIONS_TOO_FAR',
      severity: 'wrong',
      message: `The ${n} scan positions of ${source} span ${shortNumber(extent)} object pixels, so that patterns of ${N} pixels share nothing; they are in another unit than was taken.`,
      remedy: units,
    });
  } else if (n > 2 && Math.min(width, height) === 0) {
    findings.push({
      code: 'POSITIONS_ON_A_LINE',
      severity: 'doubt',
      message: `All ${n} scan positions of ${source} lie on a line along ${width === 0 ? 'y' : 'x'}.`,
    });
  }
  if (distinct < n) {
    findings.push({
      code: 'POSITIONS_REPEAT',
      severity: 'note',
      message: `${n - distinct} of the ${n} scan positions of ${source} repeat an earlier one.`,
    });
  }
  return findings;
}

/** The unit in which a scan of that many patterns would have steps of some pixels. */
function likelyUnit(extent: number, n: number, N: number): string {
  const expected = (N / 8) * Math.sqrt(n);
  const factor = expected / extent;
  const known = [
    ['millimetres are metres', 1e3],
    ['micrometres are metres', 1e6],
    ['nanometres are metres', 1e9],
  ] as const;
  const near = known.find(([, value]) => Math.abs(Math.log10(factor / value)) < 0.7);
  return near ? `, perhaps by a factor of ${shortNumber(near[1])} (${near[0]}?)` : '';
}

function checkGeometry({ geometry, source }: ScanFacts): Finding[] {
  const findings: Finding[] = [];
  const { energy_eV, objectPixel_m } = geometry;
  if (energy_eV !== undefined && !(energy_eV >= ENERGY_EV.least && energy_eV <= ENERGY_EV.most)) {
    findings.push({
      code: 'ENERGY_IMPLAUSIBLE',
      severity: 'wrong',
      message: `The energy of ${source} is ${shortNumber(energy_eV)} eV, which no source of ptychography has (1 eV … 1 MeV)${energyHint(energy_eV)}.`,
      remedy: 'give the right one with --energy_eV',
    });
  }
  const pixels = objectPixel_m ? [objectPixel_m.x, objectPixel_m.y] : [];
  const odd = pixels.find((pixel) => !(pixel >= PIXEL_M.least && pixel <= PIXEL_M.most));
  if (odd !== undefined) {
    findings.push({
      code: 'PIXEL_IMPLAUSIBLE',
      severity: 'wrong',
      message: `An object pixel of ${source} comes to ${shortNumber(odd)} m, which no experiment has (1 pm … 10 µm): energy, distance or detector pixel are in another unit than was taken${geometryWords(geometry)}.`,
      remedy: 'give --energy_eV, --detector_distance_m, --detector_pixel_m, or --object_pixel_m itself',
    });
  }
  return findings;
}

function energyHint(energy_eV: number): string {
  const joules = energy_eV * ELEMENTARY_CHARGE_C;
  if (joules >= ENERGY_EV.least && joules <= ENERGY_EV.most)
    return `; the number ${shortNumber(joules)} was read as joules and may be eV`;
  if (energy_eV < ENERGY_EV.least) return '; it may be in keV or MeV';
  return '';
}

function geometryWords({ energy_eV, detectorDistance_m, detectorPixel_m }: RawData['geometry']): string {
  const words = [
    energy_eV !== undefined && `energy ${shortNumber(energy_eV)} eV`,
    detectorDistance_m !== undefined && `distance ${shortNumber(detectorDistance_m)} m`,
    detectorPixel_m !== undefined && `detector pixel ${shortNumber(detectorPixel_m.x)} m`,
  ].filter((word) => word !== false);
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

function checkProbeAgainst(
  scan: ScanFacts,
  { power, meanIntensity }: PatternFigures,
  looked: LookedPatterns | undefined,
  field: Float64Array | undefined,
): Finding[] {
  const { probeGuess: probe, source, N } = scan;
  const near = looked && nearField(scan, meanIntensity, looked, field);
  if (near?.code === 'NEAR_FIELD') return [near];
  const isNear = scan.geometry.nearField !== undefined;
  if (probe === undefined) {
    return [
      {
        code: 'NO_PROBE',
        severity: 'note',
        message: `${source} has no probeGuess: training needs a probe.`,
        remedy: '--probe FILE[:key], or --probe auto for a guess from the patterns',
      },
    ];
  }
  const findings: Finding[] = near ? [near] : [];
  const step = meanNearestDistance(scan.xcoords, scan.ycoords);
  const diameter = probeDiameter(probe);
  const overlap = diameter > 0 ? Math.max(0, 1 - step / diameter) : Number.NaN;
  if (overlap < USUAL_OVERLAP) {
    findings.push({
      code: 'LITTLE_OVERLAP',
      severity: overlap < LITTLE_OVERLAP ? 'doubt' : 'note',
      message: `Neighbouring positions of ${source} overlap by ${(100 * overlap).toFixed(0)} % of the probe's diameter (${diameter.toFixed(1)} px); below ${100 * USUAL_OVERLAP} % reconstructions are poor. Are the positions in object pixels?`,
    });
  }
  const counts = meanOf(power);
  const probePower = totalIntensity(probe);
  if (scan.domain !== 'normalized_amplitude' && counts > 0 && apart(probePower, counts, POWER_FACTOR)) {
    findings.push({
      code: 'PROBE_POWER',
      severity: 'note',
      message: `The probe's power Σ|P|² is ${shortNumber(probePower)}, but a pattern holds ${shortNumber(counts)} photons on average; the network does not mind, iterative codes need the probe times ${shortNumber(Math.sqrt(counts / probePower))}.`,
    });
  }
  if (diameter > 0 && diameter > 0.9 * N && isNear) {
    findings.push({
      code: 'PROBE_FILLS_FRAME',
      severity: 'doubt',
      message: `The beam of ${source} is ${diameter.toFixed(0)} px wide in patterns of ${N} px: light that leaves one side of a near field comes in at the other.`,
      remedy: '--pad_to a larger side',
    });
  } else if (diameter > 0 && diameter > 0.9 * N) {
    findings.push({
      code: 'PROBE_FILLS_FRAME',
      severity: 'note',
      message: `The probe of ${source} is ${diameter.toFixed(0)} px wide in patterns of ${N} px, so that it wraps around.`,
    });
  }
  return findings;
}

/** Patches may reach this far beyond the object before it is said: rounding, and the last half step of a scan. */
const SLACK_PX = 1;

function checkObject(raw: ScanFacts): Finding[] {
  if (raw.objectGuess === undefined) return [];
  const [rows, columns] = raw.objectGuess.shape;
  const half = raw.N / 2;
  const beyond = (x: Float64Array, y: Float64Array) => {
    let count = 0;
    for (let i = 0; i < x.length; i++) {
      const inside = (v: number, length: number) => v - half >= -SLACK_PX && v + half <= length + SLACK_PX;
      if (!inside(x[i], columns) || !inside(y[i], rows)) count++;
    }
    return count;
  };
  const outside = beyond(raw.xcoords, raw.ycoords);
  if (outside === 0) return [];
  const exchanged = rows !== columns && beyond(raw.ycoords, raw.xcoords) === 0;
  return [
    {
      code: 'OBJECT_FRAME',
      severity: 'note',
      message: `${outside} of ${raw.count} patches reach beyond objectGuess (${rows} rows, ${columns} columns)${
        exchanged
          ? ', while with x and y exchanged all would lie inside: see `ptychopinn orient`'
          : ': the positions are flipped, shifted or scaled against it, or it is a crop; do not compare with it before that is clear'
      }.`,
    },
  ];
}

function checkPhotons({ metadata, domain }: ScanFacts, { power }: PatternFigures): Finding[] {
  const nphotons = nphotonsOf(metadata);
  const counts = power.length > 0 ? meanOf(power) : 0;
  if (domain === 'normalized_amplitude' || nphotons === undefined || !apart(nphotons, counts, PHOTON_FACTOR)) return [];
  return [
    {
      code: 'PHOTONS',
      severity: 'note',
      message: `The metadata say ${shortNumber(nphotons)} photons a pattern, but the patterns hold ${shortNumber(counts)} on average; give the true number as nphotons.`,
    },
  ];
}

const apart = (a: number, b: number, factor: number) => a > factor * b || b > factor * a;

/**
 * Adds everything that shows.
 * @param figures those of some patterns, spread over the scan
 * @param looked these patterns themselves, where they are at hand
 */
export function addFindings(
  scan: CheckedScan & ScanFacts,
  figures: PatternFigures,
  findings: Findings,
  looked?: LookedPatterns,
): void {
  const field = scan.probeGuess && farField(scan.probeGuess, scan.N);
  const about = checkScan(scan, figures, looked, field);
  const isNear = scan.geometry.nearField !== undefined || about.some(({ code }) => code === 'NEAR_FIELD');
  // Where the light of a near field lies says nothing about zero frequency.
  const ofPatterns = checkPatterns(scan, figures, field).filter(
    ({ code }) => !(isNear && (code === 'OFF_CENTRE' || code === 'ZERO_FREQUENCY_IN_CORNERS')),
  );
  for (const finding of [...ofPatterns, ...about]) findings.add(finding);
}

/** The same for a scan that is open already, such as one in memory. @throws PtychoError those of reading patterns */
export async function lookAtScan(raw: RawData, findings: Findings): Promise<Findings> {
  const size = raw.N ** 2;
  const indices = spreadIndices(raw.count, LOOKED_AT);
  const looked = { indices, pixels: new Float32Array(indices.length * size) };
  await raw.patterns.readAmplitudes(indices, looked.pixels);
  addFindings(raw, figuresOf(looked, size), findings, looked);
  return findings;
}
