/** Phases E, F and G: networks, iterative reconstructions, and both compared. */

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { comparisonDefinition, trainingDefinition } from '../config/commands.js';
import { resolveConfig } from '../config/resolve.js';
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { counted } from '../core/words.js';
import { compareImages } from '../evaluation/comparison/compare.js';
import { writeComparison } from '../evaluation/comparison/files.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { storedConfig } from '../persistence/bundleConfig.js';
import { trainToFolder } from '../training/runFolder.js';
import { type ArmSource, armSourceOf } from './arms.js';
import { fileOf } from './data.js';
import {
  armFile,
  armFolder,
  armManifest,
  armSkip,
  COMPARISON_FILES,
  comparisonFolder,
  iterativeName,
  type Job,
  patched,
  type Study,
  stepId,
  TRAINING_FILES,
  type TrainingJob,
  trainingFolder,
  viewScan,
} from './layout.js';
import type { FileHashes, Step } from './steps.js';

type Block = Readonly<Record<string, unknown>>;

/** The second of two blocks wins, also inside the blocks that they nest. */
function merged(first: Block, second: Block): Record<string, unknown> {
  const result: Record<string, unknown> = { ...first };
  for (const [key, value] of Object.entries(second)) {
    const before = result[key];
    result[key] = isBlock(before) && isBlock(value) ? { ...before, ...value } : value;
  }
  return result;
}
const isBlock = (value: unknown): value is Block =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Phase E: the baseline of a dose, which learns from labels, or a physics-informed network of a view. */
export function trainStep(study: Study, job: TrainingJob): Step {
  const { config } = study;
  const { dose, view, gridsize } = job;
  const own = view === null ? 'baseline' : 'pinn';
  const given = merged(merged({ execution: config.execution }, config.training), config[own]);
  const scan = view === null ? patched(dose, 'train') : viewScan({ dose, view, split: 'train' });
  const folder = trainingFolder(job);
  const output_dir = path.join(study.folder, folder);
  // Resolved with its provenance, from which training takes its values.
  const resolved = (resume: string | null) =>
    resolveConfig(trainingDefinition, {
      flags: {
        resume,
        train_data_file: path.join(study.folder, scan),
        output_dir,
        gridsize,
        model_type: view === null ? 'supervised' : 'pinn',
        seed: config.seeds.training,
        neighbor_count: config.neighbor_count,
        backend: config.backend,
        ...(view !== null && config.views[view].n_groups !== null && { n_groups: config.views[view].n_groups }),
      },
      file: { origin: `${study.origin}, training and ${own}`, values: given },
      // What is said nowhere: the published defaults, whose study it is, but all groups that there are; the network of the baseline.
      metadata: {
        origin: 'the study',
        values: { preset: 'published', n_groups: 'all', ...(view === null && { architecture: 'baseline' }) },
      },
    });
  const { config: request } = resolved(null);
  const what = view === null ? 'the baseline' : `PtychoPINN gridsize ${gridsize} of ${view}`;
  return {
    id: stepId.train(job),
    title: `Phase E, dose ${dose}: training ${what}`,
    // N is in the scan.
    config: storedConfig(request as TrainingConfig),
    inputs: [scan, ...(request.probe === null ? [] : [fileOf(request.probe)])],
    outputs: TRAINING_FILES.map((name) => `${folder}/${name}`),
    folder,
    async run({ services, begun, lines }) {
      const resume = begun && existsSync(path.join(output_dir, 'checkpoints')) ? output_dir : null;
      const { config: training, provenance } = resolved(resume);
      const make = () => makeOutputFolder(output_dir);
      const summary = await trainToFolder(training, make, { ...services, provenance });
      if (summary.cancelled) {
        throw new PtychoError(
          'CANCELLED',
          `Training ${what} was interrupted; run the same command again to continue it.`,
        );
      }
      const { epochs, bestEpoch, bestLoss, monitored } = summary;
      services.logger.info(
        `${counted(epochs, 'epoch')}; best epoch ${bestEpoch}: ${monitored} ${bestLoss.toPrecision(6)}.`,
      );
      const facts = { dose, view, gridsize, model: own, bundle: 'wts.zip', epochs, best_epoch: bestEpoch, monitored, best_loss: bestLoss }; // biome-ignore format: one record
      await writeAtomically(path.join(output_dir, 'manifest.json'), json(facts));
      await writeAtomically(path.join(output_dir, 'train.log'), `${lines.join('\n')}\n`);
      return facts;
    },
  };
}

/** What a finished step of phase F says: the arm, or why there is none. */
export interface ArmResult {
  readonly skipped?: string;
}

/** Phase F: the iterative reconstruction of a comparison, or the record that there is none. */
export function armStep(study: Study, job: Job, sources: readonly ArmSource[], hashes: FileHashes): Step {
  const request = study.config.iterative;
  const seed = study.config.seeds.subsample;
  const source = request === null ? undefined : armSourceOf(request, sources);
  const name = iterativeName(study.config);
  const inFolder = (file: string) => path.join(study.folder, file);
  return {
    id: stepId.arm(job),
    title: `Phase F, dose ${job.dose}, ${job.view}, ${job.split}: iterative arm`,
    config: { request, seed },
    inputs: [viewScan(job), ...(request && source ? source.inputs(request, job) : [])],
    outputs: (result) =>
      (result as ArmResult).skipped === undefined ? [armFile(job, name), armManifest(job)] : [armSkip(job)],
    folder: armFolder(job),
    async run({ services }): Promise<ArmResult> {
      await makeOutputFolder(inFolder(armFolder(job)));
      const outputFile = inFolder(armFile(job, name));
      const outcome =
        request && source
          ? await source.provide({ ...job, request, seed, scanFile: inFolder(viewScan(job)), outputFile }, services)
          : { skipped: 'The study asks for no iterative arm (iterative: null).' };
      if ('skipped' in outcome) {
        await rm(outputFile, { force: true });
        await writeAtomically(inFolder(armSkip(job)), json({ ...job, name, skipped: true, reason: outcome.skipped }));
        services.logger.warn(`Skipped: ${outcome.skipped}`);
        return { skipped: outcome.skipped };
      }
      const { facts } = outcome;
      const scan_sha256 = await hashes.of(inFolder(viewScan(job)));
      const sha256 = await hashes.of(outputFile);
      const manifest = { ...job, name, source: request?.source, file: path.basename(outputFile), sha256, scan: viewScan(job), scan_sha256, seed, ...facts }; // biome-ignore format: one record
      await writeAtomically(inFolder(armManifest(job)), json(manifest));
      services.logger.info(`${name}: ${armFile(job, name)}.`);
      return {};
    },
  };
}

/** What the finished step of a comparison says. */
export interface ComparisonResult {
  readonly models: readonly string[];
  readonly warnings: readonly string[];
}

/** Phase G: all models on the same patterns of a view. The network of the largest gridsize is PtychoPINN, as published. */
export function compareStep(study: Study, job: Job, withArm: boolean): Step {
  const { config } = study;
  const { dose, view } = job;
  const sizes = [...config.gridsizes].sort((a, b) => b - a);
  const bundle = (gridsize: number) => trainingFolder({ dose, view, gridsize });
  const baseline = trainingFolder({ dose, view: null, gridsize: 1 });
  const name = iterativeName(config);
  const below = (file: string) => path.join(study.folder, file);
  const { config: comparison, provenance } = resolveConfig(comparisonDefinition, {
    flags: {
      pinn_dir: below(bundle(sizes[0])),
      baseline_dir: below(baseline),
      models: sizes.slice(1).map((gridsize) => `PtychoPINN_gs${gridsize}=${below(bundle(gridsize))}`),
      arms: withArm ? [`${name}=${below(armFile(job, name))}`] : [],
      test_data_file: below(viewScan(job)),
      output_dir: below(comparisonFolder(job)),
      neighbor_count: config.neighbor_count,
      backend: config.backend,
    },
    file: { origin: `${study.origin}, comparison`, values: merged({ execution: config.execution }, config.comparison) },
    metadata: { origin: 'the study', values: { test_subsample_seed: config.seeds.subsample } },
  });
  const { pinn_dir: _, baseline_dir: __, models: ___, arms: ____, test_data_file: _____, output_dir: ______, overwrite: _______, execution: ________, ...shaping } = comparison; // biome-ignore format: what is in the inputs, or of the machine
  return {
    id: stepId.compare(job),
    title: `Phase G, dose ${dose}, ${view}, ${job.split}: comparing`,
    config: { ...shaping, gridsizes: sizes, arm: withArm ? name : null },
    inputs: [
      viewScan(job),
      ...[...sizes.map(bundle), baseline].map((folder) => `${folder}/wts.zip`),
      ...(withArm ? [armFile(job, name)] : []),
    ],
    outputs: COMPARISON_FILES.map((file) => `${comparisonFolder(job)}/${file}`),
    folder: comparisonFolder(job),
    async run({ services }): Promise<ComparisonResult> {
      const make = () => makeOutputFolder(below(comparisonFolder(job)));
      const compared = await compareImages(comparison, { ...services, provenance }, make);
      await writeComparison(compared);
      const { models, warnings } = compared;
      for (const { name, reference } of models) {
        services.logger.info(
          `${name}: MS-SSIM of the phase ${reference?.ms_ssim.phase.toFixed(3) ?? 'NaN'}, MAE ${reference?.mae.phase.toFixed(6) ?? 'NaN'}.`,
        );
      }
      return { models: models.map(({ name }) => name), warnings };
    },
  };
}
