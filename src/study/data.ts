/** Phases C and D: the scans of a study, and how much they overlap. */

import path from 'node:path';
import { simulationDefinition } from '../config/commands.js';
import { resolveConfig } from '../config/resolve.js';
import { convertConfigSchema, splitConfigSchema } from '../config/schemas/tools.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { counted } from '../core/words.js';
import { openScan } from '../data/findings/survey.js';
import { splitFileSpec } from '../data/opening/files.js';
import type { RawData } from '../data/rawData.js';
import { convertScan, splitScan } from '../data/rewriteScan.js';
import { computeOverlapMetrics, OVERLAP_FILES, overlapSubset, writeOverlap } from '../evaluation/overlap.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { simulateToFile } from '../simulation/writeSimulation.js';
import { warnOfLonelyPatterns } from '../solvers/scan.js';
import {
  doseName,
  type Job,
  overlapFolder,
  patched,
  SPLITS,
  type Study,
  stepId,
  validation,
  viewScan,
} from './layout.js';
import type { Step } from './steps.js';

const at = ({ folder }: Study, name: string): string => path.join(folder, name);

/** Fields of `simulate` that name files. */
const SIMULATION_FILES = [
  'input_file',
  'object_file',
  'amplitude_image',
  'phase_image',
  'probe_file',
  'positions_file',
  'detector_mask',
] as const;

/** `FILE` or `FILE:key` → FILE, absolute. */
export const fileOf = (written: string): string => path.resolve(splitFileSpec(written).file);

/** Phase C: the same object, probe and positions at every dose; only the photons differ. */
export function simulateStep(study: Study, dose: number): Step {
  const output_file = at(study, patched(dose));
  const resolved = resolveConfig(simulationDefinition, {
    flags: { photons: dose, seed: study.config.seeds.simulation, labels: true, output_file },
    file: { origin: `${study.origin}, simulation`, values: study.config.simulation },
  });
  const { output_file: _, overwrite: __, visualize: ___, ...recipe } = resolved.config;
  return {
    id: stepId.simulate(dose),
    title: `Phase C, dose ${dose}: simulating`,
    config: recipe,
    inputs: SIMULATION_FILES.flatMap((name) => (recipe[name] === null ? [] : [fileOf(recipe[name])])),
    outputs: [patched(dose)],
    folder: `phase_c/${doseName(dose)}`,
    async run({ services }) {
      const { count, N } = await simulateToFile(resolved.config, services, (scan) =>
        warnOfLonelyPatterns(scan, services.logger),
      );
      services.logger.info(
        `${counted(count, 'pattern')} of ${N} × ${N}, ${dose} photons each, with their patches of the object.`,
      );
      return { count, N };
    },
  };
}

/** Phase C: one part to train on, one to test with. */
export function splitStep(study: Study, dose: number): Step {
  const { split } = study.config;
  return {
    id: stepId.split(dose),
    title: `Phase C, dose ${dose}: splitting`,
    config: split,
    inputs: [patched(dose)],
    outputs: SPLITS.map((part) => patched(dose, part)),
    async run({ services }) {
      const source = at(study, patched(dose));
      const request = splitConfigSchema.parse({ ...split, output_dir: path.dirname(source) });
      const cut = await splitScan(source, request, services);
      const { train, test, leftOut, threshold_px, overlap } = cut;
      services.logger.info(
        `${counted(train.count, 'pattern')} to train on, ${test.count} to test with, ${leftOut} in the gap.`,
      );
      return { train: train.count, test: test.count, left_out: leftOut, threshold_px, shared_light: overlap };
    },
  };
}

/** Phase C: looks at what the later phases rely on. */
export function validateStep(study: Study, dose: number): Step {
  return {
    id: stepId.validate(dose),
    title: `Phase C, dose ${dose}: validating`,
    config: null,
    inputs: [patched(dose), ...SPLITS.map((part) => patched(dose, part))],
    outputs: [validation(dose)],
    async run({ services }) {
      const found: Record<string, unknown> = { dose };
      for (const part of [undefined, ...SPLITS]) {
        const name = patched(dose, part);
        found[path.basename(name)] = await withScan(at(study, name), services, async (raw) => {
          const lost = raw.objectGuess === undefined ? 'objectGuess' : raw.labels === undefined ? 'label' : undefined;
          if (lost !== undefined) {
            throw new PtychoError('DATASET_KEY_MISSING', `${raw.source} holds no ${lost}, which the study needs.`, {
              key: lost,
              path: raw.source,
            });
          }
          return { patterns: raw.count, N: raw.N, measurement_domain: raw.domain, probe: raw.probeGuess !== undefined };
        });
      }
      await writeAtomically(at(study, validation(dose)), json(found));
      services.logger.info('Object, labels and units are there.');
      return found;
    },
  };
}

/** Phase D: the images of a view; all that follows works on these. */
export function subsetStep(study: Study, job: Job): Step {
  const { views, seeds } = study.config;
  const { s_img } = views[job.view];
  return {
    id: stepId.subset(job),
    title: `Phase D, dose ${job.dose}, ${job.view}: images of the ${job.split} part`,
    config: { s_img, seed: seeds.subsample },
    inputs: [patched(job.dose, job.split)],
    outputs: [viewScan(job)],
    async run({ services }) {
      const source = at(study, patched(job.dose, job.split));
      const rows = await withScan(source, services, async (raw) => overlapSubset(raw.count, s_img, seeds.subsample));
      const output_file = at(study, viewScan(job));
      await makeOutputFolder(path.dirname(output_file));
      const request = { output_file, n_subsample: rows.length, subsample_seed: seeds.subsample };
      const { count } = await convertScan(source, convertConfigSchema.parse(request), services);
      services.logger.info(`${count} images (s_img ${s_img}).`);
      return { count };
    },
  };
}

/** Phase D: how much the images and groups of a view share. Reported, never a reason to stop. */
export function overlapStep(study: Study, dose: number, view: string, gridsize: number): Step {
  const { views, seeds, neighbor_count, probe_diameter_px } = study.config;
  const { s_img, n_groups } = views[view];
  const folder = overlapFolder(dose, view, gridsize);
  return {
    id: stepId.overlap(dose, view, gridsize),
    title: `Phase D, dose ${dose}, ${view}: overlap for gridsize ${gridsize}`,
    config: { s_img, n_groups, gridsize, neighbor_count, probe_diameter_px, seed: seeds.subsample },
    inputs: SPLITS.map((split) => patched(dose, split)),
    outputs: OVERLAP_FILES.two.map((name) => `${folder}/${name}`),
    folder,
    async run({ services }) {
      const [train, test] = await Promise.all(
        SPLITS.map((split) =>
          withScan(at(study, patched(dose, split)), services, async (raw) =>
            computeOverlapMetrics(raw, {
              gridsize,
              s_img,
              n_groups: n_groups ?? overlapSubset(raw.count, s_img, seeds.subsample).length,
              neighbor_count,
              probe_diameter_px,
              rng_seed_subsample: seeds.subsample,
              probe: raw.probeGuess,
              N: raw.N,
            }),
          ),
        ),
      );
      await writeOverlap(at(study, folder), train, test);
      services.logger.info(
        `Neighbouring images share ${(100 * train.metric_2_image_based_avg).toFixed(1)} % of their disc in the training part, ${(100 * test.metric_2_image_based_avg).toFixed(1)} % in the test part.`,
      );
      return { train, test };
    },
  };
}

async function withScan<T>(file: string, services: Services, use: (raw: RawData) => Promise<T>): Promise<T> {
  return closing(await openScan(file, { logger: services.logger }), use);
}
