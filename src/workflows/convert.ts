/** `convert`: a scan of any readable format becomes a contract NPZ. */
import path from 'node:path';
import { type DataConfig, dataConfigSchema } from '../config/schemas/data.js';
import type { ConvertConfig } from '../config/schemas/tools.js';
import type { Logger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { openSurveyed } from '../data/findings/survey.js';
import { openOptions, refuseToOverwrite } from '../data/openTool.js';
import type { RawData } from '../data/rawData.js';
import { type ExtraArrays, readExtraArrays, writeScan } from '../data/scanWriter.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';

/** What was written. */
export interface ConversionSummary {
  readonly path: string;
  readonly source: string;
  readonly format: RawData['format'];
  readonly count: number;
  readonly N: number;
  readonly domain: RawData['domain'];
  readonly domainReason: string;
}

/**
 * Reads `input` as the configuration says and writes it to `config.output_file`; `_metadata.data_transformations` tells how.
 * Patterns stream through, so that the scan may be larger than the memory.
 *
 * @throws PtychoError CONFIG_INVALID when the output is the input; those of `openDataset` and `writeScan`.
 */
export async function convertWorkflow(
  input: string,
  config: ConvertConfig,
  services: Services = {},
): Promise<ConversionSummary> {
  await refuseToOverwrite(input, config.output_file, 'output_file');
  await requireNew([config.output_file], { ...newFiles(config, services), field: 'output_file' });
  // A wrong declaration in the file can be corrected here, and only here.
  // Values are copied as stored, of which nothing is kept from the first pass.
  const raw = await openSurveyed(
    input,
    { ...openOptions(config, services), redeclare: true },
    { keepBytes: 0, signal: services.signal },
  );
  try {
    await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
    const extra = await extraArrays(raw, config.data, services.logger);
    await writeScan(config.output_file, raw, {
      extra: extra?.of(raw.sampleIndices),
      compress: config.compress,
      signal: services.signal,
      onPatterns: (done) => services.onProgress?.({ stage: 'writing', done, total: raw.count, unit: 'patterns' }),
      transformation: {
        tool: `${createdBy.package} convert`,
        operation: 'convert',
        parameters: { format: raw.format, version: createdBy.version, ...changedOptions(config) },
      },
    });
    const { source, format, count, N, domain, domainReason } = raw;
    return { path: config.output_file, source, format, count, N, domain, domainReason };
  } finally {
    await raw.close();
  }
}

/**
 * What an NPZ scan holds besides the contract's arrays; nothing for other formats, and nothing for patterns that were cropped,
 * padded, rebinned, moved or turned, which arrays of unknown meaning would no longer fit.
 */
export async function extraArrays(raw: RawData, data: DataConfig, logger?: Logger): Promise<ExtraArrays | undefined> {
  if (raw.format !== 'npz') return undefined;
  const extra = await readExtraArrays(raw.source);
  for (const note of extra.notes) logger?.warn(note);
  const { crop_px, crop_center_px, pad_to, rebin, fftshift, transpose } = data;
  const reshaped = [crop_px, crop_center_px, pad_to].some((v) => v !== null) || rebin !== 1 || fftshift === 'yes';
  if (!reshaped && !transpose) return extra;
  if (extra.keys.length > 0) {
    logger?.warn(
      `Left out: ${extra.keys.join(', ')} of ${raw.source}, of which it is not known how to cut, pad, add up or turn them with the patterns.`,
    );
  }
  return undefined;
}

/** The options that are not left to the file, for the record. */
export function changedOptions(config: Pick<ConvertConfig, 'probe' | 'measurement_domain' | 'data'>) {
  const { probe, measurement_domain, data } = config;
  const usual: Readonly<Record<string, unknown>> = dataConfigSchema.parse({});
  const isUsual = (name: string, value: unknown) =>
    value === null || JSON.stringify(value) === JSON.stringify(usual[name]);
  const given = Object.entries({ probe, measurement_domain, ...data }).filter(
    ([name, value]) => !isUsual(name, value) && !NOT_RECORDED.has(name),
  );
  return given.length === 0 ? {} : { options: Object.fromEntries(given) };
}

/** Left to its default, or of no consequence to what is written. */
const NOT_RECORDED: ReadonlySet<string> = new Set([
  'data_format',
  'neighbor_function',
  'min_neighbor_distance_px',
  'max_neighbor_distance_px',
  'quadrant_candidates',
  'cache_groups',
]);
