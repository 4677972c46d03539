/** `ptychopinn bundle info|verify|extract|import`: what a bundle is, whether it is exactly that, its members, and models of others. */

import type { Command } from 'commander';
import { extractDefinition, importDefinition } from '../../config/commands.js';
import { allFields } from '../../config/definition.js';
import { counted, formatBytes, noun } from '../../core/words.js';
import type { BundleInfo } from '../../workflows/bundle.js';
import type { ImportReport } from '../../workflows/importBundle.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import type { CliContext } from '../context.js';
import { EXIT_OK } from '../exit.js';
import { formatCount } from '../format.js';
import { addCommonOptions, addConfigOptions, addHelpOption, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Examples:
  ptychopinn bundle info run
  ptychopinn bundle verify run/wts.zip
  ptychopinn bundle extract run/wts.zip --output_dir members
  ptychopinn bundle import wts.h5.zip --probe scan.npz --output_dir imported`;

const BUNDLE = 'The bundle, or the folder that holds wts.zip or its unpacked members.';

export const bundleCommand: CommandModule = {
  fields: [...allFields(extractDefinition), ...allFields(importDefinition)],
  configure(command, context, done) {
    addInfo(command, context, done);
    addVerify(command, context, done);
    addExtract(command, context, done);
    addImport(command, context, done);
    command.addHelpText('after', EXAMPLE);
  },
};

type Done = (exitCode: number) => void;

function addInfo(command: Command, context: CliContext, done: Done): void {
  const info = command.command('info').description('say what a bundle is').argument('BUNDLE', BUNDLE);
  info.optionsGroup('Other:');
  info.option('--json', 'Print the facts as JSON, the whole manifest among them.');
  addHelpOption(info, 'Other:');
  info.action(async (file: string, given: { readonly json?: boolean }) => {
    const { bundleInfo } = await import('../../workflows/bundle.js');
    const found = await bundleInfo(file);
    context.stdout.write(given.json ? `${JSON.stringify(found, null, 2)}\n` : infoText(found));
    done(EXIT_OK);
  });
}

function addVerify(command: Command, context: CliContext, done: Done): void {
  const verify = command
    .command('verify')
    .description('write a bundle anew from its content and refuse any byte that differs')
    .argument('BUNDLE', BUNDLE);
  verify.optionsGroup('Other:');
  verify.option('--json', 'Print the members as JSON.');
  addHelpOption(verify, 'Other:');
  verify.action(async (file: string, given: { readonly json?: boolean }) => {
    const { verifyBundle } = await import('../../workflows/bundle.js');
    const verified = await verifyBundle(file);
    const count = Object.keys(verified.members).length + 1;
    context.stdout.write(
      given.json
        ? `${JSON.stringify(verified, null, 2)}\n`
        : `${verified.path} is sound: ${counted(count, 'member')}, every byte is what its content comes to.\n`,
    );
    done(EXIT_OK);
  });
}

function addExtract(command: Command, context: CliContext, done: Done): void {
  const extract = command
    .command('extract')
    .description('check a bundle and write its members as files')
    .argument('BUNDLE', BUNDLE);
  addConfigOptions(extract, extractDefinition);
  addCommonOptions(extract);
  extract.action(async (file: string, given: Record<string, unknown>) => {
    const { config } = await resolveFlags(extractDefinition, given);
    const { extractBundle } = await import('../../workflows/bundle.js');
    const { output_dir, files } = await extractBundle(file, config);
    if (shows(consoleLevelOf(given), 'INFO')) {
      context.stdout.write(`Written to ${output_dir}: ${files.join(', ')}.\n`);
    }
    done(EXIT_OK);
  });
}

function addImport(command: Command, context: CliContext, done: Done): void {
  const add = command
    .command('import')
    .description('make a bundle of a model that another program trained')
    .argument('FILE', 'NPZ of named arrays, Keras-3 archive model.keras, or a TensorFlow wts.h5.zip that holds one.');
  addConfigOptions(add, importDefinition);
  addCommonOptions(add);
  add.action(async (file: string, given: Record<string, unknown>) => {
    const resolved = await resolveFlags(importDefinition, given);
    const { importBundle } = await import('../../workflows/importBundle.js');
    const level = consoleLevelOf(given);
    const report = await supervise(context, { level, interrupted: 'stopping; nothing is written' }, (services) => {
      logResolution(resolved, services.logger);
      return importBundle(file, resolved.config, services);
    });
    if (shows(level, 'INFO')) context.stdout.write(importText(report));
    done(EXIT_OK);
  });
}

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
