/** `ptychopinn product export|import|info|verify`: products of Ptychodus. */

import { productExportDefinition, productImportDefinition } from '../../config/commands.js';
import { counted, formatBytes, noun } from '../../core/words.js';
import type { ProductInfo } from '../../persistence/product/info.js';
import type { ProductExportSummary, ProductImportSummary } from '../../workflows/product.js';
import { commandOf, groupOf } from '../run.js';
import { formatCount } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn product export image --output_file product-out.h5
  ptychopinn product export image --output_file staged/product-in.h5 --patterns
  ptychopinn product export scan.npz --raw_data --output_file product.h5
  ptychopinn product import product-in.h5 --diffraction diffraction.h5 --output_file scan.npz
  ptychopinn product info product-out.h5`;

const PRODUCT = 'Product of Ptychodus, HDF5 or NPZ.';

const write = commandOf({
  definition: productExportDefinition,
  args: { SOURCE: 'Output folder of infer, or a scan in any readable format.' },
  interrupted: 'stopping; nothing is written',
  work: async ({ config, args: [source], services }) =>
    (await import('../../workflows/product.js')).exportProduct(source, config, services),
  text: exportText,
});

const read = commandOf({
  definition: productImportDefinition,
  args: { PRODUCT },
  interrupted: 'stopping; nothing is written',
  work: async ({ config, args: [file], services }) =>
    (await import('../../workflows/product.js')).importProduct(file, config, services),
  text: importText,
});

const info = commandOf({
  args: { PRODUCT },
  json: 'Print the facts as JSON.',
  work: async ({ args: [file] }) => (await import('../../workflows/product.js')).productInfo(file),
  text: infoText,
  always: true,
});

const verify = commandOf({
  args: { PRODUCT },
  json: 'Print the facts as JSON.',
  work: async ({ args: [file] }) => ({
    file,
    found: await (await import('../../workflows/product.js')).verifyProduct(file),
  }),
  data: ({ found }) => found,
  text: ({ file }) => `${file} is sound: every byte follows from its content.\n`,
  always: true,
});

export const command = groupOf(
  [
    ['export', 'write a scan, or what infer or solve made of one, as a product', write],
    ['import', 'write a product, with its patterns where there are any, as a contract NPZ', read],
    ['info', 'describe a product', info],
    ['verify', 'rewrite a product of ptychopinn from its content and refuse any byte that differs', verify],
  ],
  EXAMPLE,
);

/** What became of a scan. */
export function exportText({ path, positions, object, losses, rawData, patterns }: ProductExportSummary): string {
  const parts = [
    `${formatCount(positions)} ${noun(positions, 'position')}`,
    `an object of ${object[0]} × ${object[1]}`,
    ...(losses > 0 ? [`the losses of ${counted(losses, 'epoch')}`] : []),
    ...(rawData ? ['the patterns'] : []),
  ];
  const beside = patterns === null ? '' : `Written ${patterns}: the patterns.\n`;
  return `Written ${path}: ${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}.\n${beside}`;
}

/** What became of a product. */
export function importText({ path, positions, patterns }: ProductImportSummary): string {
  if (patterns === null)
    return `Written ${path}: ${formatCount(positions)} ${noun(positions, 'position')}, probe and object.\n`;
  const { count, N, domain, domainReason } = patterns;
  return `Written ${path}: ${formatCount(count)} ${noun(count, 'pattern')} of ${N} × ${N}, ${domain} (${domainReason}).\n`;
}

const SEALS: Readonly<Record<ProductInfo['seal'], string>> = {
  intact: 'as ptychopinn wrote it',
  broken: 'changed since ptychopinn wrote it: its content does not have the SHA-256 that it holds',
  none: 'of another program (no hash to compare it with)',
};

/** The facts as lines for a terminal. */
export function infoText(info: ProductInfo): string {
  const { metadata, positions, probe, object, losses, raw_data } = info;
  const known = (value: number, unit: string) => (value === 0 ? 'not known' : `${number(value)} ${unit}`);
  const rows: [string, string][] = [
    ['content', SEALS[info.seal]],
    ['name', metadata.name || '–'],
    ['comments', metadata.comments.split('\n')[0] || '–'],
    [
      'experiment',
      [
        `energy ${known(metadata.probe_energy_eV, 'eV')}`,
        `distance ${known(metadata.detector_object_distance_m, 'm')}`,
        `exposure ${known(metadata.exposure_time_s, 's')}`,
        `photons ${known(metadata.probe_photon_count, 'a pattern')}`,
      ].join(', '),
    ],
    [
      'sample',
      `mass attenuation ${known(metadata.mass_attenuation_m2_kg, 'm²/kg')}, tomography angle ${number(metadata.tomography_angle_deg)}°`,
    ],
    [
      'positions',
      positions.indexes === null ? 'none' : `${formatCount(positions.count)}, indexes ${positions.indexes.join(' … ')}`,
    ],
    ...(positions.x_m && positions.y_m
      ? ([
          ['  x', `${micrometres(positions.x_m)}, on the object ${span(positions.x_px)} px`],
          ['  y', `${micrometres(positions.y_m)}, on the object ${span(positions.y_px)} px`],
        ] as [string, string][])
      : []),
    [
      'probe',
      `${probe.shape[0]} coherent × ${probe.shape[1]} incoherent modes of ${probe.shape[2]} × ${probe.shape[3]}, pixels of ${nanometres(probe.pixel_m)}${
        probe.opr_weights ? `, OPR weights ${probe.opr_weights.join(' × ')}` : ''
      }`,
    ],
    [
      'object',
      `${object.shape[0]} ${object.shape[0] === 1 ? 'layer' : 'layers'} of ${object.shape[1]} × ${object.shape[2]}, pixels of ${nanometres(object.pixel_m)}, centre ${micrometres(object.center_m, ', ')}`,
    ],
    ...(object.layer_spacing_m.length > 0
      ? ([['  spacing', micrometres(object.layer_spacing_m, ', ')]] as [string, string][])
      : []),
    ['losses', losses.last === null ? 'none' : `${formatCount(losses.count)}, the last ${number(losses.last)}`],
    [
      'raw data',
      raw_data === null
        ? 'none'
        : `${formatCount(raw_data.shape[0])} ${noun(raw_data.shape[0], 'pattern')} of ${raw_data.shape[1]} × ${raw_data.shape[2]}, ${raw_data.dtype}, ${raw_data.measurement_domain ?? 'of unknown domain'}${
            raw_data.bad_pixels
              ? `, ${formatCount(raw_data.bad_pixels)} bad ${raw_data.bad_pixels === 1 ? 'pixel' : 'pixels'}`
              : ''
          }`,
    ],
  ];
  const kind = info.format === 'npz' ? 'NPZ' : 'HDF5';
  const notes = info.notes.map((note) => `  ${note}\n`).join('');
  return `${info.path}, ${formatBytes(info.bytes)}, ${kind}\n${rows
    .map(([label, value]) => `  ${label.padEnd(10)} ${value}`)
    .join('\n')}\n${notes === '' ? '' : `notes\n${notes}`}`;
}

const number = (value: number): string => String(Number(value.toPrecision(5)));
const span = (range: readonly number[] | null): string => (range ?? []).map(number).join(' … ');
const micrometres = (metres: readonly number[], between = ' … '): string =>
  `${metres.map((value) => number(value * 1e6)).join(between)} µm`;
const nanometres = ([width, height]: readonly [number, number]): string =>
  width === height ? `${number(width * 1e9)} nm` : `${number(width * 1e9)} × ${number(height * 1e9)} nm`;
