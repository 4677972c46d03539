/** What the data tools share: how they open a scan, where they write pictures, what they refuse to overwrite. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { DataConfig } from '../config/schemas/data.js';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { encodePng, type Pixels } from '../report/png.js';
import { openSurveyed } from './findings/survey.js';
import type { OpenDatasetOptions } from './options.js';
import type { RawData } from './rawData.js';

/** The fields of a tool's configuration that say how its scan is opened. */
export interface ToolScan {
  readonly probe: string | null;
  readonly measurement_domain: RawData['domain'] | null;
  readonly n_subsample?: number | null;
  readonly subsample_seed?: number | null;
  readonly data: DataConfig;
}

/** The options that {@link ToolScan} comes to. */
export function openOptions(scan: ToolScan, services: Services): OpenDatasetOptions {
  return {
    ...scan.data,
    probe: scan.probe,
    measurement_domain: scan.measurement_domain,
    n_subsample: scan.n_subsample ?? null,
    subsample_seed: scan.subsample_seed ?? null,
    logger: services.logger,
  };
}

/** Patterns that a tool keeps in memory from the first pass over them: tools read them once more at most. */
const KEPT_BYTES = 2 ** 26;

/** Opens a tool's scan, every pattern of which is looked at. @throws PtychoError as `openSurveyed` */
export function openTool(file: string, scan: ToolScan, services: Services): Promise<RawData> {
  return openSurveyed(file, openOptions(scan, services), { keepBytes: KEPT_BYTES, signal: services.signal });
}

/** @throws PtychoError CONFIG_INVALID for a picture whose name does not end in `.png` */
export function checkPngName(file: string | null, field: string): void {
  if (file === null || file.toLowerCase().endsWith('.png')) return;
  throw new PtychoError('CONFIG_INVALID', `${field} must be the path of a .png file, got ${JSON.stringify(file)}.`, {
    field,
    found: file,
  });
}

/** Writes a picture; its folder is made if missing. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writePng(file: string, pixels: Pixels): Promise<void> {
  await makeOutputFolder(path.dirname(path.resolve(file)));
  await writeAtomically(file, encodePng(pixels));
}

/** @throws PtychoError CONFIG_INVALID when a file to write is the one that is read (links followed) */
export async function refuseToOverwrite(input: string, output: string, field: string): Promise<void> {
  const real = (file: string) => realpath(file).catch(() => path.resolve(file));
  if ((await real(input)) !== (await real(output))) return;
  throw new PtychoError('CONFIG_INVALID', `${output} is the file that is read; choose another ${field}.`, {
    field,
    found: output,
  });
}
