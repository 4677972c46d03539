/** `ptychopinn inspect FILE`: what a scan file holds, what was understood of it, and what is wrong with it. */

import { inspectDefinition } from '../../config/commands.js';
import { untilCancelled } from '../../core/cancel.js';
import { formatShape } from '../../core/tensor.js';
import { formatBytes } from '../../core/words.js';
import type { ScanInspection, ScanSummary } from '../../data/inspect.js';
import type { InspectResult } from '../../workflows/inspect.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { commandOf } from '../run.js';
import { formatCount, formatTable, textBars, textMap } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn inspect scan.npz --map map.png
  ptychopinn inspect master.h5 --positions positions.csv --crop_px 128`;

export const command = commandOf({
  definition: inspectDefinition,
  args: { FILE: 'Scan in any readable format; for a TIFF series its folder.' },
  others: 'config',
  json: 'Print the findings as JSON.',
  // The findings are all that it says.
  level: () => 'ERROR',
  help: EXAMPLE,
  work: async ({ config, args: [file], services: { signal } }) => {
    const { inspectWorkflow } = await import('../../workflows/inspect.js');
    // What is still being read then is of no interest.
    return untilCancelled(inspectWorkflow(file, config, { signal }), signal, 'The inspection');
  },
  data: ({ inspection }) => inspection,
  text: (result) => inspectionText(result.inspection, result),
  always: true,
  // A file that cannot be used as a scan is a failure for scripts, however well it was described.
  exit: ({ inspection }) => (inspection.scan === undefined ? EXIT_FAILURE : EXIT_OK),
});

/** The findings as text for a terminal. */
export function inspectionText(
  inspection: InspectResult['inspection'],
  view: Pick<InspectResult, 'positions'>,
): string {
  const { path, bytes, arrays, problems, notes, scan, map } = inspection;
  const parts = [`${path}, ${formatBytes(bytes)}${scan ? `, ${scan.format}` : ''}`];
  if (arrays.length > 0) parts.push(indent(arrayTable(arrays)));
  if (scan) parts.push('scan', indent(summaryLines(scan).join('\n')));
  if (scan && view.positions && scan.count > 1) {
    parts.push('positions (x to the right, y down)', indent(textMap(view.positions.xs, view.positions.ys).join('\n')));
  }
  if (map !== undefined) parts.push(`map written to ${map}`);
  if (notes.length > 0) parts.push(`notes\n${list(notes)}`);
  parts.push(problems.length === 0 ? 'no problems found' : `problems\n${list(problems)}`);
  return `${parts.join('\n')}\n`;
}

function arrayTable(arrays: ScanInspection['arrays']): string {
  const rows = arrays.map((array) => [
    array.key,
    array.shape ? formatShape(array.shape) : '–',
    array.dtype ?? '–',
    [
      array.compressed && array.storage === undefined ? 'compressed' : '',
      array.storage ?? '',
      array.order === 'Fortran' ? 'Fortran order' : '',
    ]
      .filter(Boolean)
      .join(', '),
  ]);
  return formatTable(['key', 'shape', 'type', ''], rows);
}

function summaryLines(scan: ScanSummary): string[] {
  const number = (value: number) => formatCount(Number(value.toPrecision(4)));
  const [label, unit] =
    scan.domain === 'normalized_amplitude' ? ['power ', 'Σ amplitude²'] : ['counts', 'photons a pattern'];
  const { power, powerHistogram, probe, geometry } = scan;
  const lines = [
    `patterns    ${formatCount(scan.count)} of ${scan.N} × ${scan.N}${scan.badPixels > 0 ? `, ${formatCount(scan.badPixels)} bad pixels` : ''}`,
    `numbers     ${scan.domain}: ${scan.domainReason}`,
    `${label}      ${number(power.mean)} on average, ${number(power.min)} to ${number(power.max)} (${unit}, ${formatCount(power.measured)} measured)`,
  ];
  if (powerHistogram && power.max > power.min) {
    const { edges, counts } = powerHistogram;
    lines.push(`            ${number(edges[0])} ▕${textBars(counts)}▏ ${number(edges[edges.length - 1])}`);
  }
  lines.push(
    `brightest   amplitude ${number(scan.maxAmplitude)}`,
    `positions   x ${number(scan.xRange_px[0])} to ${number(scan.xRange_px[1])} px, y ${number(scan.yRange_px[0])} to ${number(scan.yRange_px[1])} px${scan.startPositions ? ', start positions too' : ''}`,
  );
  if (scan.meanStep_px !== undefined) lines.push(`step        ${number(scan.meanStep_px)} px to the nearest neighbour`);
  if (probe !== undefined) {
    lines.push(
      `probe       ${number(probe.diameter_px)} px across as a disc of all its light, ${number(probe.fwhm_px)} px at half maximum (as overlap counts)${probe.modes > 1 ? `, ${probe.modes} modes` : ''}, Σ|P|² ${number(probe.power)}`,
    );
  }
  if (scan.overlap !== undefined)
    lines.push(
      `overlap     ${Math.round(100 * scan.overlap)} % of the disc's diameter, from one position to the nearest`,
    );
  if (scan.objectShape !== undefined) lines.push(`object      ${scan.objectShape.join(' × ')} pixels`);
  const known = geometryWords(geometry);
  if (known.length > 0) lines.push(`geometry    ${known.join(', ')}`);
  return lines;
}

function geometryWords(geometry: ScanSummary['geometry']) {
  const { energy_eV, wavelength_m, detectorDistance_m, detectorPixel_m, objectPixel_m } = geometry;
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
  ].filter((word) => word !== false);
}

function list(sentences: readonly string[]): string {
  return sentences.map((sentence) => `  - ${sentence}`).join('\n');
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}
