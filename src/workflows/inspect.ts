/** `inspect`: what a scan file holds, a map of it, and a page about both. */
import path from 'node:path';
import { inspectDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { InspectConfig } from '../config/schemas/tools.js';
import { throwIfCancelled } from '../core/cancel.js';
import type { Services } from '../core/services.js';
import { formatShape } from '../core/tensor.js';
import { counted } from '../core/words.js';
import { type InspectedScan, inspectScan, type ScanInspection, type ScanSummary } from '../data/inspect.js';
import { renderInspectedScan } from '../data/inspectMap.js';
import { storageWords, summaryRows } from '../data/inspectWords.js';
import { openOptions } from '../data/preparedScan.js';
import { checkPngName, makeOutputFolder, writePng } from '../formats/outputFiles.js';
import { newFiles, requireNew, requireNewIn } from '../formats/outputs.js';
import { PAGE_FILE, writeImagePage } from '../reconstruction/imagePage.js';
import type { PageFinding } from '../report/page.js';

/** The findings, and the positions for those who show them. */
export interface InspectResult {
  /** `map` and `files`: what was written. */
  readonly inspection: ScanInspection & { readonly map?: string; readonly files?: readonly string[] };
  /** Absent when the file could not be opened as a scan. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

const MAP = 'map.png';

/**
 * Looks at a scan; writes its map to `config.map`, and map and page to `config.output_dir`, where these are given. Nothing is written of
 * a file that cannot be opened as a scan.
 * @throws PtychoError those of `inspectScan`; OUTPUT_EXISTS, OUTPUT_UNWRITABLE, CONFIG_INVALID for a map that is no `.png`.
 */
export async function inspectWorkflow(
  file: string,
  given: PartOf<InspectConfig>,
  services: Services = {},
): Promise<InspectResult> {
  const config = wholeConfig(inspectDefinition, given, services.logger);
  checkPngName(config.map, 'map');
  if (config.map !== null) await requireNew([config.map], { ...newFiles(config, services), field: 'map' });
  await requireNewIn(config.output_dir, [MAP, PAGE_FILE], config, services);
  let seen: { scan: InspectedScan; summary: ScanSummary } | undefined;
  const inspection = await inspectScan(file, {
    ...openOptions(config, { ...services, logger: undefined }),
    onScan: async (scan, summary) => {
      seen = { scan, summary };
      if (config.map === null) return;
      throwIfCancelled(services.signal, 'The inspection');
      await writePng(config.map, renderInspectedScan(scan, summary));
    },
  });
  if (seen === undefined) return { inspection };
  const { xcoords: xs, ycoords: ys } = seen.scan.raw;
  const { map, output_dir: folder } = config;
  const files = folder === null ? undefined : await writeFolder(folder, inspection, seen, services);
  return {
    inspection: { ...inspection, ...(map !== null && { map }), ...(files && { files }) },
    positions: { xs, ys },
  };
}

/** Map and page. @returns their paths */
async function writeFolder(
  folder: string,
  { path: file, arrays, problems, notes }: ScanInspection,
  { scan, summary }: { readonly scan: InspectedScan; readonly summary: ScanSummary },
  { provenance, signal }: Services,
): Promise<string[]> {
  throwIfCancelled(signal, 'The inspection');
  const map = renderInspectedScan(scan, summary);
  await makeOutputFolder(folder);
  await writePng(path.join(folder, MAP), map);
  const of = (severity: PageFinding['severity'], sentences: readonly string[]) => sentences.map((text): PageFinding => ({ severity, text })); // biome-ignore format: one call
  const list = arrays.map((array) => [array.key, array.shape ? formatShape(array.shape) : '–', array.dtype ?? '–', storageWords(array)]); // biome-ignore format: one call
  await writeImagePage(folder, {
    command: 'inspect',
    args: [file],
    raw: scan.raw,
    provenance,
    title: `Scan ${path.basename(file)}`,
    summary: `${counted(summary.count, 'pattern')} of ${summary.N} × ${summary.N} pixels; ${problems.length === 0 ? 'no problems found' : `${counted(problems.length, 'problem')} found`}.`,
    findings: [
      ...(problems.length === 0 ? of('good', ['nothing in the scan speaks against its use.']) : of('doubt', problems)),
      ...of('note', notes),
    ],
    positions: map,
    sections: [
      {
        title: 'What was measured',
        tables: [
          { title: 'Patterns, positions, probe', head: ['of', 'found'], rows: summaryRows(summary) },
          ...(list.length > 0
            ? [{ title: 'Arrays of the file', head: ['key', 'shape', 'type', 'stored'], rows: list }]
            : []),
        ],
      },
    ],
    files: [MAP],
  });
  return [MAP, PAGE_FILE].map((name) => path.join(folder, name));
}
