/** What was seen of a scan, in words: a row a fact, for terminals and pages. */
import { formatCount } from '../core/words.js';
import type { InspectedArray, ScanSummary } from './inspect.js';
import { wavelengthOf } from './opening/wavelength.js';
import type { ScanGeometry } from './scanFile.js';

/** A number with four digits at most. */
export const fourDigits = (value: number): string => formatCount(Number(value.toPrecision(4)));

/** Names and facts, in order; what is not known is left out. */
export function summaryRows(scan: ScanSummary): [name: string, fact: string][] {
  const [light, unit] =
    scan.domain === 'normalized_amplitude' ? ['power', 'Σ amplitude²'] : ['counts', 'photons a pattern'];
  const { power, probe } = scan;
  const n = fourDigits;
  const bad = scan.badPixels > 0 ? `, ${formatCount(scan.badPixels)} bad pixels` : '';
  const rows: [string, string][] = [
    ['patterns', `${formatCount(scan.count)} of ${scan.N} × ${scan.N}${bad}`],
    ['numbers', `${scan.domain}: ${scan.domainReason}`],
    [
      light,
      `${n(power.mean)} on average, ${n(power.min)} to ${n(power.max)} (${unit}, ${formatCount(power.measured)} measured)`,
    ],
    ['brightest', `amplitude ${n(scan.maxAmplitude)}`],
    [
      'positions',
      `x ${n(scan.xRange_px[0])} to ${n(scan.xRange_px[1])} px, y ${n(scan.yRange_px[0])} to ${n(scan.yRange_px[1])} px${scan.startPositions ? ', start positions too' : ''}`,
    ],
  ];
  if (scan.meanStep_px !== undefined) rows.push(['step', `${n(scan.meanStep_px)} px to the nearest neighbour`]);
  if (probe !== undefined) {
    rows.push([
      'probe',
      `${n(probe.diameter_px)} px across as a disc of all its light, ${n(probe.fwhm_px)} px at half maximum (as overlap counts)${probe.modes > 1 ? `, ${probe.modes} modes` : ''}, Σ|P|² ${n(probe.power)}`,
    ]);
  }
  if (scan.overlap !== undefined) {
    const share = Math.round(100 * scan.overlap);
    rows.push(['overlap', `${share} % of the disc's diameter, from one position to the nearest`]);
  }
  if (scan.objectShape !== undefined) rows.push(['object', `${scan.objectShape.join(' × ')} pixels`]);
  const known = geometryWords(scan.geometry);
  if (known.length > 0) rows.push(['geometry', known.join(', ')]);
  return rows;
}

function geometryWords(geometry: ScanSummary['geometry']) {
  const { energy_eV, wavelength_m, detectorDistance_m, detectorPixel_m, objectPixel_m, nearField } = geometry;
  const pair = (p: { readonly x: number; readonly y: number }, unit: number) => {
    const [x, y] = [p.x, p.y].map((v) => Number((v * unit).toPrecision(4)));
    return x === y ? String(x) : `${x} × ${y}`;
  };
  return [
    energy_eV !== undefined &&
      (wavelength_m === undefined
        ? `${Number(energy_eV.toPrecision(5))} eV`
        : `electrons of ${Number((energy_eV / 1e3).toPrecision(5))} keV (${Number((wavelength_m * 1e12).toPrecision(4))} pm)`),
    detectorDistance_m !== undefined && `detector at ${Number(detectorDistance_m.toPrecision(4))} m`,
    detectorPixel_m !== undefined && `its pixels ${pair(detectorPixel_m, 1e6)} µm`,
    objectPixel_m !== undefined && `object pixels ${pair(objectPixel_m, 1e9)} nm`,
    nearField !== undefined && nearFieldWords(geometry),
    geometry.sliceDistance_m !== undefined &&
      `slices ${Number((geometry.sliceDistance_m * 1e6).toPrecision(4))} µm apart`,
  ].filter((word) => word !== false);
}

function nearFieldWords({
  nearField,
  sourceDistance_m,
  propagationDistance_m,
  objectPixel_m,
  ...others
}: ScanGeometry): string {
  const { distance_m } = nearField!;
  const cone =
    sourceDistance_m !== undefined && propagationDistance_m !== undefined
      ? ` (a cone beam, magnified ${Number((propagationDistance_m / distance_m).toPrecision(4))} times)`
      : '';
  const fresnel = Math.min(objectPixel_m!.x, objectPixel_m!.y) ** 2 / (wavelengthOf(others)! * distance_m);
  return `a near field behind ${Number((distance_m * 1e3).toPrecision(4))} mm${cone}, Fresnel number of a pixel ${Number(fresnel.toPrecision(3))}`;
}

/** How an array is stored, where there is something to say of it. */
export function storageWords({ compressed, storage, order }: InspectedArray): string {
  return [
    compressed && storage === undefined ? 'compressed' : '',
    storage ?? '',
    order === 'Fortran' ? 'Fortran order' : '',
  ]
    .filter(Boolean)
    .join(', ');
}
