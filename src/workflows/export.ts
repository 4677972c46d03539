/** `export`: images for other programs, as float TIFF with the phase unwrapped, and as CXI. */

import path from 'node:path';
import { exportDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { ExportConfig } from '../config/schemas/tools.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { contentForCxi, writeCxi } from '../evaluation/cxi.js';
import {
  type PlannedProjection,
  type ProjectionPlan,
  planProjections,
  readProjection,
} from '../evaluation/projections.js';
import { json, makeOutputFolder, refuseToOverwrite, writeAtomically } from '../formats/outputFiles.js';
import { requireNewIn } from '../formats/outputs.js';
import { type TiffContent, TiffWriter } from '../formats/tiffWrite.js';
import { imageFile } from '../reconstruction/storedImage.js';

/** What became of one image in a TIFF file. */
export interface ExportedPage extends PlannedProjection {
  /** From 1. */
  readonly page: number;
  readonly file: string;
  readonly ramp_rad_px: readonly [y: number, x: number];
  readonly offset_rad: number;
  readonly residues?: number;
  readonly regions?: number;
  readonly air_amplitude?: number;
}

/** What was written. */
export interface ExportSummary {
  readonly outputDir: string;
  readonly files: readonly string[];
  /** Of TIFF files. */
  readonly pages: readonly ExportedPage[];
}

/**
 * Writes images as other programs take them.
 * @param sources folders of runs, `reconstruction.npz`, products, results of other programs, or `FILE:key`; in the order of the pages
 * @throws PtychoError USAGE where nothing is to be written, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, CANCELLED, and those of reading images
 */
export async function exportWorkflow(
  sources: readonly string[],
  given: PartOf<ExportConfig>,
  services: Services = {},
): Promise<ExportSummary> {
  const config = wholeConfig(exportDefinition, given, services.logger);
  if (!config.tiff && !config.cxi) {
    throw new PtychoError('USAGE', 'Say what to write: --tiff, --cxi, or both.', { flag: 'tiff' });
  }
  if (sources.length === 0) {
    throw new PtychoError('USAGE', 'There is nothing to export; name results, such as the folder of a run.', {});
  }
  const names = namesOf(sources);
  const stacks: readonly Stack[] = !config.tiff
    ? []
    : config.stack
      ? [{ sources, prefix: '' }]
      : sources.map((source, i) => ({ sources: [source], prefix: `${names[i]}_` }));
  const cxi = config.cxi ? names.map((name) => `${name}.cxi`) : [];
  const files = [...stacks.flatMap(({ prefix }) => filesOf(prefix)), ...(config.tiff ? ['export.json'] : []), ...cxi];
  await requireNewIn(config.output_dir, files, config, services);
  for (const source of sources) {
    const read = await imageFile(source);
    for (const file of files) await refuseToOverwrite(read, path.join(config.output_dir, file), 'output_dir');
  }
  await makeOutputFolder(config.output_dir);
  const pages: ExportedPage[] = [];
  const records: unknown[] = [];
  for (const stack of stacks) {
    const { plan, written } = await writeStack(stack, config, services);
    pages.push(...written);
    records.push({ files: filesOf(stack.prefix), region: plan.region, pixel_m: plan.pixel_m, pages: written });
  }
  if (config.tiff) {
    const { provenance } = services;
    await writeAtomically(path.join(config.output_dir, 'export.json'), json({ stacks: records, config, provenance }));
  }
  for (const [i, source] of config.cxi ? sources.entries() : []) {
    throwIfCancelled(services.signal, 'The export');
    services.onProgress?.({ stage: 'writing CXI', done: i, total: sources.length, unit: 'images' });
    const note = (sentence: string) => (services.logger ?? silentLogger).warn(sentence);
    await writeCxi(path.join(config.output_dir, cxi[i]), { ...(await contentForCxi(source, note)), title: names[i] });
  }
  return { outputDir: config.output_dir, files, pages };
}

interface Stack {
  readonly sources: readonly string[];
  readonly prefix: string;
}

const filesOf = (prefix: string): string[] => [`${prefix}amplitude.tif`, `${prefix}phase.tif`];

/** Two files, page by page. */
async function writeStack(
  { sources, prefix }: Stack,
  config: ExportConfig,
  services: Services,
): Promise<{ readonly plan: ProjectionPlan; readonly written: readonly ExportedPage[] }> {
  const { region, projections, pixel_m } = await planProjections(sources, config, services);
  const content = (quantity: string, unit: string): TiffContent => ({
    ...{ rows: region.height, cols: region.width, pages: sources.length, pixel_m },
    description: { quantity, unit, ...(pixel_m && { pixel_m: [pixel_m.y, pixel_m.x] }), sources },
  });
  const [first, second] = filesOf(prefix);
  const amplitudes = await TiffWriter.create(path.join(config.output_dir, first), content('amplitude', 'relative'));
  const writers = [amplitudes];
  const written: ExportedPage[] = [];
  try {
    const phases = await TiffWriter.create(path.join(config.output_dir, second), content('phase', 'rad'));
    writers.push(phases);
    for (const [i, one] of projections.entries()) {
      throwIfCancelled(services.signal, 'The export');
      const { amplitude, phase, ramp, ...facts } = await readProjection(one, region, config);
      await amplitudes.append(amplitude);
      await phases.append(phase);
      written.push({ ...one, ...facts, page: i + 1, file: second, ramp_rad_px: [ramp.y, ramp.x] });
      services.onProgress?.({ stage: 'writing TIFF', done: i + 1, total: sources.length, unit: 'images' });
    }
    for (const writer of writers) await writer.close();
  } catch (error) {
    for (const writer of writers) await writer.abort();
    throw error;
  }
  return { plan: { region, projections, pixel_m }, written };
}

/** The folder of a run or the file without its ending; numbered where two are alike. */
function namesOf(sources: readonly string[]): string[] {
  const taken = new Set<string>();
  return sources.map((source) => {
    const parts = path.resolve(source.replace(/:[^:/\\]*$/, '')).split(path.sep);
    const last = parts.at(-1) ?? '';
    const own = last === 'reconstruction.npz' ? (parts.at(-2) ?? '') : last.replace(/\.[^.]+$/, '');
    const plain = own.replace(/[^\p{L}\p{N}._-]+/gu, '_').replace(/^\.+/, '') || 'image';
    let name = plain;
    for (let k = 2; taken.has(name); k++) name = `${plain}_${k}`;
    taken.add(name);
    return name;
  });
}
