/** `ptychopinn bundle info|verify|extract|export|import`: what a bundle is, whether it is exactly that, its members, and models of others. */

import { exportWeightsDefinition, extractDefinition, importDefinition } from '../../config/commands.js';
import { counted, formatBytes, noun } from '../../core/words.js';
import type { BundleInfo, ImportReport } from '../../workflows/bundle.js';
import { commandOf, groupOf } from '../run.js';
import { formatCount } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn bundle info run
  ptychopinn bundle verify run/wts.zip
  ptychopinn bundle extract run/wts.zip --output_dir members
  ptychopinn bundle export run --format torch-npz --output_file weights.npz
  ptychopinn bundle import wts.h5.zip --probe scan.npz --output_dir imported`;

const BUNDLE = 'The bundle, or the folder that holds wts.zip or its unpacked members.';

const info = commandOf({
  args: { BUNDLE },
  json: 'Print the facts as JSON, the whole manifest among them.',
  work: async ({ args: [file] }) => (await import('../../workflows/bundle.js')).bundleInfo(file),
  text: infoText,
  always: true,
});

const verify = commandOf({
  args: { BUNDLE },
  json: 'Print the members as JSON.',
  work: async ({ args: [file] }) => (await import('../../workflows/bundle.js')).verifyBundle(file),
  text: ({ path, members, compressed }) =>
    `${path} is sound: ${counted(Object.keys(members).length + 1, 'member')}, every byte${compressed ? ' of them' : ''} follows from its content${compressed ? '; the archive is compressed, and what lies between them was not compared' : ''}.\n`,
  always: true,
});

const extract = commandOf({
  definition: extractDefinition,
  args: { BUNDLE },
  work: async ({ config, args: [file] }) => (await import('../../workflows/bundle.js')).extractBundle(file, config),
  text: ({ output_dir, files }) => `Written to ${output_dir}: ${files.join(', ')}.\n`,
});

const give = commandOf({
  definition: exportWeightsDefinition,
  args: { BUNDLE },
  work: async ({ config, args: [file], services }) =>
    (await import('../../workflows/bundle.js')).exportBundle(file, config, services),
  text: ({ path, format, arrays }) =>
    `Written ${path}: ${counted(arrays, 'array')} under the names of ${format === 'keras' ? 'Keras' : 'PyTorch'}; examples/python/load_weights.py puts them into a network.\n`,
});

const add = commandOf({
  definition: importDefinition,
  args: { FILE: 'NPZ of named arrays, Keras-3 archive model.keras, or a TensorFlow wts.h5.zip that holds one.' },
  interrupted: 'stopping; nothing is written',
  work: async ({ config, args: [file], services }) =>
    (await import('../../workflows/bundle.js')).importBundle(file, config, services),
  text: importText,
});

export const command = groupOf(
  [
    ['info', 'describe a bundle', info],
    ['verify', 'rewrite a bundle from its content and refuse any byte that differs', verify],
    ['extract', 'check a bundle and write its members as files', extract],
    ['export', 'write the weights under the names of the published tools', give],
    ['import', 'make a bundle from a model that another program trained', add],
  ],
  EXAMPLE,
);

/** The facts as lines for a terminal. */
export function infoText({ path, manifest, model, parameters, tensors, probeShape }: BundleInfo): string {
  const { created_by, backend, engine, scale_contract, dataset, training, imported, seeds } = manifest;
  const number = (value: number) => formatCount(Number(value.toPrecision(4)));
  const rows: [string, string][] = [
    ['written by', `${created_by.package} ${created_by.version}`],
    [
      'trained by',
      imported ? `another program (${engine}, SHA-256 ${imported.sha256.slice(0, 12)}…)` : `${backend} (${engine})`,
    ],
    [
      'network',
      `${model.architecture}, ${model.model_type}, N ${model.N}, gridsize ${model.gridsize}, n_filters_scale ${model.n_filters_scale}`,
    ],
    ['weights', `${formatCount(parameters)} numbers in ${tensors} tensors`],
    [
      'probe',
      probeShape.length > 2 ? `${probeShape[0]} modes of ${probeShape[1]} × ${probeShape[2]}` : probeShape.join(' × '),
    ],
    [
      'scale',
      `${scale_contract.version} of ${scale_contract.measurement_domain}, intensity scale ${number(manifest.intensity_scale)}`,
    ],
    [
      'data',
      dataset.n_patterns === null
        ? 'not known'
        : `${formatCount(dataset.n_patterns)} ${noun(dataset.n_patterns, 'pattern')}, ${number(dataset.mean_counts)} photons each on average`,
    ],
    ...(manifest.scans ?? []).map(({ name, role, dataset: of }, i): [string, string] => [
      i === 0 ? 'scans' : '',
      `${name}: ${counted(of.n_patterns ?? 0, 'pattern')}, ${number(of.mean_counts)} photons each${role === 'train' ? '' : ' (validation only)'}`,
    ]),
    ...(training
      ? [
          [
            'training',
            `${counted(training.epochs, 'epoch')}, best ${training.best_epoch} (${training.monitor} ${Number(training.value.toPrecision(5))}), seed ${seeds.seed}`,
          ] as [string, string],
        ]
      : []),
    ['models', Object.keys(manifest.models).sort().join(', ')],
    [
      'members',
      Object.entries(manifest.members)
        .map(([name, { bytes }]) => `${name} ${formatBytes(bytes)}`)
        .join(', '),
    ],
  ];
  return `${path}\n${rows.map(([label, value]) => `  ${label.padEnd(11)} ${value}`).join('\n')}\n`;
}

/** What became of a file. */
export function importText({ path, architecture, N, gridsize, mapped, unmapped }: ImportReport): string {
  const left = unmapped.length > 0 ? ` Left out: ${unmapped.join(', ')}.` : '';
  return `Written ${path}: ${architecture}, N ${N}, gridsize ${gridsize}, ${formatCount(mapped)} ${noun(mapped, 'array')} taken over.${left}\n`;
}
