/** `label`: known patches for supervised training, from a reconstruction of the same scan. */

import path from 'node:path';
import { labelDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { LabelConfig } from '../config/schemas/tools.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { openScan } from '../data/findings/survey.js';
import { readExtraArrays, writeScan } from '../data/scanWriter.js';
import { coveredRows, labelsOf, phaseBetween, readImageForLabels } from '../evaluation/labelPatches.js';
import { makeOutputFolder, refuseToOverwrite } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';

/** What was written. */
export interface LabelSummary {
  readonly path: string;
  /** Patterns that have labels. */
  readonly count: number;
  /** Those among them whose patch reaches beyond the reconstruction: their labels are NaN there. */
  readonly partly: number;
  /** Patterns of the scan that the reconstruction does not touch. */
  readonly leftOut: number;
  /** Radians that were subtracted, so that the labels agree with the object of the file. */
  readonly phase: number;
}

/**
 * Cuts the reconstruction of a scan into one patch a pattern, at the patterns' own positions, and writes the scan with them as `label`.
 * Where a patch reaches beyond what was reconstructed its label is NaN: not known, so that training does not look there; patterns
 * without a single known pixel are left out. Where the scan has an object, the mean
 * phase of the patches is made equal to its own, because training measures phases from there; `objectGuess` itself stays as it is.
 *
 * @param input NPZ scan
 * @throws PtychoError CONFIG_INVALID (output is input), DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE where no patch is covered,
 * and those of `openDataset` and `writeScan`
 */
export async function labelWorkflow(
  input: string,
  given: PartOf<LabelConfig>,
  services: Services = {},
): Promise<LabelSummary> {
  const config = wholeConfig(labelDefinition, given, services.logger);
  const logger = services.logger ?? silentLogger;
  await refuseToOverwrite(input, config.output_file, 'output_file');
  await requireNew([config.output_file], { ...newFiles(config, services), field: 'output_file' });
  return closing(await openScan(input, { logger }), async (raw) => {
    const reconstruction = await readImageForLabels(config.reconstruction, raw, (sentence) => logger.warn(sentence));
    const { rows, partly } = coveredRows(raw, reconstruction);
    if (rows.length === 0) {
      throw new PtychoError(
        'DATASET_VALUE',
        `${config.reconstruction} covers nothing of the patches of ${input}; is it the reconstruction of this scan, in its pixels?`,
        { path: config.reconstruction },
      );
    }
    const phase = raw.objectGuess ? phaseBetween(raw, rows, reconstruction, raw.objectGuess) : 0;
    const extra = raw.format === 'npz' ? await readExtraArrays(input) : undefined;
    for (const note of extra?.notes ?? []) logger.warn(note);
    await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
    await writeScan(
      config.output_file,
      { ...raw, labels: labelsOf(raw, reconstruction, phase) },
      {
        rows,
        extra: extra?.of(Int32Array.from(rows, (row) => raw.sampleIndices[row])),
        signal: services.signal,
        onPatterns: (done) => services.onProgress?.({ stage: 'writing', done, total: rows.length, unit: 'patterns' }),
        transformation: {
          tool: `${createdBy.package} label`,
          operation: 'label',
          parameters: {
            reconstruction: config.reconstruction,
            phase_subtracted_rad: phase,
            version: createdBy.version,
          },
        },
      },
    );
    return { path: config.output_file, count: rows.length, partly, leftOut: raw.count - rows.length, phase };
  });
}
