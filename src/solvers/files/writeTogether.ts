/** What a solver leaves of several scans that it solved as one: what they have in common, and a folder for each. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Logger, silentLogger } from '../../core/log.js';
import type { RawData } from '../../data/rawData.js';
import type { SolvedImage, SolverResult } from '../run.js';
import { type ScansTogether, type ScanToSolve, scansOfPatterns } from '../scan.js';
import { placed } from '../together/place.js';
import { scansOf } from '../together/scansOf.js';
import { SOLVED_FILES, type SolvedFiles, writeSolved, writeSolvedProduct } from './write.js';

/** The folder of scan s, below that of the run. */
export const scanFolder = (s: number): string => `scan_${s + 1}`;

/** Files of so many scans below the folder of the run. */
export const filesOfScans = (scans: number): string[] =>
  Array.from({ length: scans }, (_, s) => SOLVED_FILES.map((name) => `${scanFolder(s)}/${name}`)).flat();

/** Those that an earlier run may have left there. */
export function earlierFilesOfScans(folder: string): string[] {
  let scans = 0;
  while (existsSync(path.join(folder, scanFolder(scans)))) scans++;
  return filesOfScans(scans);
}

/** The product of scan s: `product.h5` is `product-1.h5`, `product-2.h5`, …. */
export function productOfScan(file: string, s: number): string {
  const { dir, name, ext } = path.parse(file);
  return path.join(dir, `${name}-${s + 1}${ext}`);
}

/** All scans as one, for what tells of a scan: positions, patterns, notes. */
export function joinedRaw(
  raws: readonly RawData[],
  joined: ScanToSolve & { readonly together: ScansTogether },
): RawData {
  const { together, geometry: _, domain: __, ...places } = joined;
  return {
    ...raws[0],
    ...places,
    ...{ groundTruth: undefined, labels: undefined, objectGuess: undefined, objectLayers: undefined },
    patternIndexes: undefined,
    sampleIndices: Int32Array.from(raws.flatMap(({ sampleIndices }) => Array.from(sampleIndices))),
    scanIndex: Int32Array.from(scansOfPatterns(together)),
    notes: raws.flatMap(({ notes }) => notes),
  };
}

/** What belongs to the files of several scans. */
export interface TogetherFiles extends SolvedFiles {
  readonly raws: readonly RawData[];
  readonly raw: RawData;
}

/** Facts of the image of all: positions beside it are where they are on its canvas. Of one scan they are its own. */
export function togetherFacts(facts: TogetherFiles, solved: SolvedImage): SolvedFiles {
  const { together } = solved;
  if (!together) return facts;
  if (together.share !== 'probe') return { ...facts, moved: true };
  const { raws, raw } = facts;
  const scans = { share: together.share, firsts: together.firsts, scans: raws };
  return { ...facts, raw: { ...raw, ...placed(raw, scans, together.shifts_yx_px) }, moved: true };
}

/**
 * Writes what `writeSolved` does of a scan; of several that were solved together also of each one in its folder, as if it had been solved by
 * itself.
 * @returns the names of the files below the folder
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeSolvedScans(folder: string, solved: SolvedImage, facts: TogetherFiles): Promise<string[]> {
  const files = await writeSolved(folder, solved, togetherFacts(facts, solved));
  if (!solved.together) return files;
  for (const [s, scan] of scansOf(solved).entries()) {
    const own = await writeSolved(path.join(folder, scanFolder(s)), scan, {
      ...facts,
      raw: facts.raws[s],
      history: [],
      moved: facts.moved || solved.together?.share === 'object',
      pictures: { ...facts.pictures, panels: undefined },
    });
    files.push(...own.map((name) => `${scanFolder(s)}/${name}`));
  }
  return files;
}

/**
 * Writes the product that is asked for, or one of each of several scans.
 * @returns their files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeProducts(
  file: string | null,
  solved: SolvedImage & Pick<SolverResult, 'history'>,
  raws: readonly RawData[],
  logger: Logger = silentLogger,
): Promise<string[]> {
  if (file === null) return [];
  const scans = solved.together ? scansOf(solved).map((scan) => ({ ...scan, history: solved.history })) : [solved];
  const files = solved.together ? scans.map((_, s) => productOfScan(file, s)) : [file];
  for (const [s, scan] of scans.entries()) await writeSolvedProduct(files[s], scan, raws[s], logger);
  return files;
}
