/**
 * `live`: an image while the scan is measured, and the final one when it has ended, which is that of `infer` or `solve` on the same
 * patterns. What a detector streams is kept as it comes.
 *
 * @example
 * const { received } = await liveWorkflow({ source: 'tcp://127.0.0.1:9999', model_path: 'run', output_dir: 'live' });
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { inferenceDefinition, liveDefinition, solveDefinition } from '../config/commands.js';
import { completeConfig, wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { LiveConfig } from '../config/schemas/live.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { counted } from '../core/words.js';
import { openDataset } from '../data/openDataset.js';
import { readPositionsFile } from '../data/opening/positionsFile.js';
import type { RawData } from '../data/rawData.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { withOutputFolder } from '../formats/outputs.js';
import { type LiveCounts, type LiveFacts, LiveRun } from '../live/liveRun.js';
import { type GrowingScan, openSource } from '../live/source.js';
import { type WrittenImage, writePreviewPictures } from '../reconstruction/pictures.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';

/** What a live scan came to. */
export interface LiveSummary extends LiveCounts {
  readonly outputDir: string;
  /** Where the patterns are. */
  readonly scan: string;
  /** R of the final image, where there is one. */
  readonly rFactor?: number;
  readonly files: readonly string[];
  /** Stopped before the scan had ended: there are previews and the record, and no final image. */
  readonly cancelled: boolean;
}

/** Folders below the output folder. */
const [RECORD, PREVIEWS] = ['record', 'live'];

/**
 * Reconstructs a scan while it is measured.
 * @throws PtychoError FILE_NOT_FOUND, BACKEND_MISSING for a source that is none; OUTPUT_EXISTS; what goes wrong within the stream, after what
 * came was kept; and those of `infer` and `solve`
 */
export async function liveWorkflow(given: PartOf<LiveConfig>, services: Services = {}): Promise<LiveSummary> {
  const config = wholeConfig(liveDefinition, given, services.logger);
  const { output_dir, overwrite, resume } = config;
  const record = path.join(output_dir, RECORD);
  if (resume && !existsSync(path.join(record, 'positions.csv'))) {
    throw new PtychoError('USAGE', `There is no record of a live scan in ${record}; leave --resume out to begin one.`, {
      path: record,
    });
  }
  const claim = {
    command: 'live',
    overwrite: overwrite || resume,
    results: [`${RECORD}/patterns.npy`, `${RECORD}/positions.csv`, 'reconstruction.npz', 'run.json'],
    instead: existsSync(path.join(record, 'patterns.npy')) ? ' go on with --resume,' : '',
  };
  return withOutputFolder(output_dir, claim, services, async (folder) => {
    await folder.make();
    return liveInto(config, record, { ...services, signal: folder.signal });
  });
}

async function liveInto(config: LiveConfig, record: string, services: Services): Promise<LiveSummary> {
  const { output_dir, model_path, data } = config;
  const logger = services.logger ?? silentLogger;
  const planned = data.positions === null ? undefined : await readPositionsFile(data.positions, data.positions_unit ?? undefined); // biome-ignore format: one line
  const { idle_seconds: idleSeconds, n_frames: nFrames } = config;
  const source = await openSource(
    config.source,
    { folder: record, idleSeconds, nFrames, positions: planned },
    services,
  );
  return closing(source, async () => {
    if (!source.recorded && nFrames !== null && data.frames !== null) {
      throw new PtychoError('USAGE', '--n_frames and --frames both choose frames of a file or a folder; give one of them.', { flag: 'n_frames' }); // biome-ignore format: one sentence
    }
    const model =
      model_path === null ? undefined : await PtychoModel.open(model_path, { execution: config.execution, logger });
    try {
      const previews = path.join(output_dir, PREVIEWS);
      await makeOutputFolder(previews);
      await writeAtomically(path.join(previews, 'config.json'), json({ config, provenance: services.provenance }));
      const algorithm = config.algorithm ?? (model ? null : 'rpie');
      const run = new LiveRun(
        {
          ...{ source, model, everySeconds: config.every_seconds },
          open: () => openGrowing(config, source, services),
          ...(algorithm !== null && { solver: { algorithm } }),
          show: (image, facts) => preview(previews, image, facts, services),
        },
        services,
      );
      logger.info(`Waiting for frames of ${config.source}.`);
      const counts = await run.untilEnd();
      const cancelled = services.signal?.aborted === true;
      const done = { ...counts, outputDir: output_dir, scan: source.path, cancelled };
      // The stream has ended: what follows reads the whole record.
      await source.close();
      if (cancelled) return { ...done, files: [PREVIEWS] };
      if (counts.received === 0) {
        throw new PtychoError('DATASET_VALUE', `No frame came from ${config.source}; ${source.recorded ? 'the stream ended before the first' : `a file or folder is taken for finished when it has not changed for ${idleSeconds} s (--idle_seconds)`}.`, { path: config.source }); // biome-ignore format: one sentence
      }
      if (counts.empty > 0) logger.warn(`The last ${counted(counts.empty, 'frame')} of ${source.path} hold nothing: they were never written, or are dark.`); // biome-ignore format: one sentence
      logger.info(`${counts.received} patterns have come; now the image of all of them.`);
      const final = await finalImage(config, source, services);
      await writeAtomically(path.join(previews, 'run.json'), json({ config, counts, cancelled }));
      // A frame may have come between the last look and the final one.
      return { ...done, ...final, received: Math.max(counts.received, final.patterns - counts.empty) };
    } finally {
      await model?.dispose();
    }
  });
}

/** Options by which the scan is opened: the user's, and those of the source. */
function openOptions(config: LiveConfig, source: GrowingScan) {
  const { probe, measurement_domain, data } = config;
  const { positions, frames } = source.options;
  return {
    data: {
      ...data,
      ...(positions && { positions, positions_unit: null }),
      ...(frames && { frames }),
      drop_unpaired: true,
    },
    probe,
    measurement_domain: measurement_domain ?? source.options.measurement_domain ?? null,
  };
}

function openGrowing(config: LiveConfig, source: GrowingScan, { logger }: Services): Promise<RawData> {
  const { data, probe, measurement_domain } = openOptions(config, source);
  const quiet = { ...silentLogger, debug: logger?.debug };
  return openDataset(source.path, {
    ...data,
    probe: probe ?? undefined,
    measurement_domain: measurement_domain ?? undefined,
    logger: quiet,
  });
}

async function preview(
  folder: string,
  image: Pick<WrittenImage, 'image' | 'weight'>,
  { by, patterns, rFactor }: LiveFacts,
  { onProgress }: Services,
): Promise<void> {
  await writePreviewPictures(folder, image);
  const note = `${by}${rFactor === undefined ? '' : `, R ${rFactor.toFixed(3)}`}`;
  onProgress?.({ stage: 'live', done: patterns, total: patterns, unit: 'patterns', note });
}

/** The image of the whole scan, as `infer` and `solve` make it. */
async function finalImage(
  config: LiveConfig,
  source: GrowingScan,
  services: Services,
): Promise<Pick<LiveSummary, 'rFactor' | 'files'> & { readonly patterns: number }> {
  const { output_dir, model_path, algorithm, epochs, execution } = config;
  const common = { test_data_file: source.path, output_dir, ...openOptions(config, source), execution };
  const inner = { ...services, ownsOutputs: true };
  if (model_path !== null) {
    const given = { ...common, model_path };
    const { rFactor, files, patterns } = await (await import('./infer.js')).inferWorkflow(
      completeConfig(inferenceDefinition, given),
      inner,
    );
    return { rFactor: rFactor?.image, files, patterns };
  }
  const given = { ...common, algorithm: algorithm ?? 'rpie', epochs };
  const { rFactor, files, patterns } = await (await import('./solve.js')).solveWorkflow(
    completeConfig(solveDefinition, given),
    inner,
  );
  return { rFactor, files, patterns };
}
