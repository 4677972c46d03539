/**
 * `reconstruct`: a scan in, the best image that the time allows out, and a page that explains it. Writes `reconstruction.npz`,
 * pictures, `history.csv`, `index.html`, `config.json` and `run.json` to `output_dir`, on the way `reconstruct_state.npz`, from which
 * an interrupted run goes on, and on request a product of Ptychodus.
 *
 * @example
 * const { config } = resolveConfig(reconstructDefinition, { file: { origin: 'notebook', values: { test_data_file: 'scan.h5' } } });
 * const { rFactor, files } = await reconstructScanWorkflow(config);
 */

import path from 'node:path';
import { reconstructDefinition } from '../config/commands.js';
import { repeatCommand } from '../config/flags.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { ReconstructConfig } from '../config/schemas/reconstruct.js';
import { PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { requireThreads } from '../core/memoryBudget.js';
import type { Provenance, Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import type { RawData } from '../data/rawData.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { beginResumable, type OwnedFolder, removeEarlier, withOutputFolder } from '../formats/outputs.js';
import { parseBoundedJson } from '../persistence/json.js';
import { productFormatOf } from '../persistence/product/writeProduct.js';
import { requireSameScan, type ScanFingerprint, settingChanged } from '../persistence/runState.js';
import { settingsOf } from '../reconstruction/imageRecord.js';
import { checkPhaseRange, imagePanels, type PictureOptions, picturesFor } from '../reconstruction/pictures.js';
import { writeReconstruction } from '../reconstruction/reconstructionFile.js';
import { claimOf, fingerprintOf, requireShare, withScans } from '../solvers/files/severalScans.js';
import { SOLVED_FILES, type SolvedFiles, writePreview, writeSolvedArrays } from '../solvers/files/write.js';
import { earlierFilesOfScans, togetherFacts, writeProducts, writeSolvedScans } from '../solvers/files/writeTogether.js'; // biome-ignore format: one line
import { Budget } from '../tries/budget.js';
import { reconstructionPage, resolutionText, summaryOf } from '../tries/page.js';
import {
  openForReconstruction,
  type Progressing,
  type ReconstructedImage,
  type ResumedSearch,
  reconstructOpened,
} from '../tries/reconstructScan.js';
import type { SearchRecord } from '../tries/search.js';
import { readSearch, type SearchHead, STATE_FILE, saveSearch } from '../tries/state.js';
import { movesPositions } from '../tries/tries.js';

/** What a reconstruction came to, and where it is. */
export interface ReconstructSummary extends ReconstructedImage {
  readonly outputDir: string;
  readonly files: readonly string[];
  /** The same in words. */
  readonly text: { readonly summary: string; readonly resolution?: string };
}

/** Seconds that writing takes, of the budget; less of a short one. */
const WRITING = { seconds: 3, share: 0.1 };

/**
 * Reconstructs a scan within `minutes`. Cancelled, it writes the image of the last epoch and the state to go on from.
 * @throws PtychoError as `reconstructScan`; for anything wrong with state or output folder
 */
export async function reconstructScanWorkflow(
  given: PartOf<ReconstructConfig>,
  services: Services = {},
): Promise<ReconstructSummary> {
  const config = wholeConfig(reconstructDefinition, given, services.logger);
  checkPhaseRange(config);
  if (config.product_file !== null) productFormatOf(config.product_file);
  requireThreads(config.execution.threads);
  const begun = performance.now() / 1000;
  const paths = [config.test_data_file, ...config.test_data_files];
  requireShare(config, paths);
  const claim = claimOf('reconstruct', config, STATE_FILE, paths.length);
  return withOutputFolder(config.output_dir, claim, services, async (folder) => {
    const stored = config.resume === null ? undefined : await readSearch(config.resume);
    const clock = () => performance.now() / 1000;
    const used = (stored?.head.seconds ?? 0) + clock() - begun;
    const budget = new Budget(60 * config.minutes, clock, used);
    const inner = { ...services, signal: folder.signal };
    return withScans(
      paths,
      (file) => openForReconstruction(file, config, inner),
      async (raws) => {
        const scan = await fingerprintOf(raws);
        if (stored) await checkResumed(config, stored.head, scan);
        return new Run(config, inner, folder, budget, scan).run(raws, stored?.resumed);
      },
    );
  });
}

/** Options without which a run that goes on would be another one; only a solver leaves a state, and never `single_pass`. */
const SHAPING = ['seed', 'leave_out', 'model_path', 'single_pass', 'auto_orient', 'share', 'align_scans'] as const;

async function checkResumed(config: ReconstructConfig, head: SearchHead, scan: ScanFingerprint): Promise<void> {
  const folder = config.resume!;
  const run = { folder, otherwise: 'start again' };
  for (const key of SHAPING) {
    const [found, expected] = [config[key], key === 'single_pass' ? false : head.given[key]];
    // The first states did not say all of them.
    if (expected === undefined) continue;
    const [now, before] = [JSON.stringify(found), JSON.stringify(expected)];
    if (now !== before) throw settingChanged(run, { key, now, before, found, expected });
  }
  requireSameScan(run, { now: scan, before: head.scan });
  if (!(await isFinished(folder))) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `The run in ${folder} is finished; begin another with --overwrite and more --minutes, or let "ptychopinn solve --init ${folder}" go on from its image.`,
    { key: 'resume', path: folder },
  );
}

/** `run.json` is written last. */
async function isFinished(folder: string): Promise<boolean> {
  try {
    const text = await readTextInput(path.join(folder, 'run.json'), { maxBytes: TABLE_BYTES });
    return (parseBoundedJson(text) as { cancelled?: unknown }).cancelled === false;
  } catch {
    return false;
  }
}

/** One run, the scan open. */
class Run {
  constructor(
    private readonly config: ReconstructConfig,
    private readonly services: Services,
    private readonly folder: OwnedFolder,
    private readonly budget: Budget,
    private readonly scan: ScanFingerprint,
  ) {}

  async run(raws: readonly RawData[], resume: ResumedSearch | undefined): Promise<ReconstructSummary> {
    const { config, services } = this;
    const afterSeconds = Math.min(WRITING.seconds, WRITING.share * this.budget.seconds);
    await this.folder.make();
    await beginResumable(config, { stateFile: STATE_FILE, resumed: resume !== undefined }, services);
    let last: Progressing | undefined;
    const found = await reconstructOpened(raws, config, {
      ...services,
      ...{ budget: this.budget, afterSeconds, resume },
      onPreview: async (now) => {
        last = now;
        const image = now.image();
        const facts = togetherFacts(this.#facts(now, now.search.state.history, isMoved(now)), image);
        await writePreview(config.output_dir, image, facts);
        await writeSolvedArrays(config.output_dir, image, facts);
        await this.#save(now, []);
      },
      onStopped: (now) => {
        last = now;
      },
    });
    const files = await this.#finish(found);
    const others = [...SOLVED_FILES, ...earlierFilesOfScans(config.output_dir)].filter((name) => !files.includes(name));
    await removeEarlier(others, config, services);
    if (last) await this.#save(last, found.notes);
    await this.#record(found);
    const text = { summary: summaryOf(found), resolution: resolutionText(found) };
    return { ...found, text, outputDir: config.output_dir, files: [...files, 'config.json', 'run.json'] };
  }

  #save({ search, orientation }: Progressing, notes: readonly string[]): Promise<void> {
    const given = Object.fromEntries(SHAPING.map((key) => [key, this.config[key]]));
    const seconds = this.budget.used;
    const head = { scan: this.scan, seconds, orientation: orientation ?? null, notes, given };
    return saveSearch(this.config.output_dir, head, search);
  }

  #facts(
    { raw, raws }: Scans,
    history: readonly SearchRecord[],
    moved: boolean,
    seconds?: number,
  ): SolvedFiles & Scans {
    const settings = settingsOf(this.config);
    return { algorithm: 'rpie', raw, raws, moved, seconds, history, pictures: this.#pictures(raw), settings };
  }

  #pictures(raw: RawData): PictureOptions {
    return picturesFor(this.config, raw.geometry.objectPixel_m);
  }

  async #finish(found: ReconstructedImage): Promise<string[]> {
    const { config, services } = this;
    const folder = config.output_dir;
    const { raw, history, seconds } = found;
    const drawn = this.#pictures(raw);
    // For the files and for the page.
    const pictures = { ...drawn, panels: imagePanels(found, drawn) };
    const moved = found.moved || found.orientation !== undefined;
    const files = config.single_pass
      ? await writeReconstruction(folder, found, {
          algorithm: `PtychoPINN ${found.algorithm}`,
          sampleIndices: raw.sampleIndices,
          pictures,
          geometry: raw.geometry,
          provenance: { scan: raw.source, model: found.model ?? config.model_path!, settings: settingsOf(config) },
          arrays: { reconstructed_probe: found.probe },
        })
      : await writeSolvedScans(folder, found, { ...this.#facts(found, history, moved, seconds), pictures });
    files.push(...(await writeProducts(config.product_file, found, found.raws, services.logger)));
    const more = {
      command: commandOf(config, services.provenance),
      provenance: services.provenance,
      pictures,
      files,
    };
    await writeAtomically(path.join(folder, 'index.html'), await reconstructionPage(found, more));
    return [...files, 'index.html'];
  }

  #record(found: ReconstructedImage): Promise<void> {
    const { config, services } = this;
    const { resolution, heldOut } = found;
    return writeAtomically(
      path.join(config.output_dir, 'run.json'),
      json({
        config,
        provenance: services.provenance,
        cancelled: found.cancelled,
        algorithm: found.algorithm,
        epochs: found.history.length,
        seconds: found.seconds,
        r_factor: found.rFactor,
        r_factor_of: found.measured ? 'all patterns at the end' : 'the last epoch',
        r_factor_held_out: heldOut && { r_factor: heldOut.rFactor, patterns: heldOut.patterns },
        score: found.score,
        ...(found.scans && { scans: found.scans }),
        tried: found.tried,
        notes: found.notes,
        probe_from: found.probeFrom,
        orientation: found.orientation,
        modes: found.probe.shape.length === 3 ? found.probe.shape[0] : 1,
        positions_corrected: found.moved,
        position_shift_px: found.history.at(-1)?.shift_px,
        resolution: resolution?.resolution,
        hurried: found.hurried,
        next: found.next,
        engine: found.engine,
        node: process.version,
        version: createdBy.version,
      }),
    );
  }
}

type Scans = Pick<ReconstructedImage, 'raw' | 'raws'>;

/** Positions are not those of the file. */
const isMoved = ({ search, orientation }: Progressing): boolean =>
  movesPositions(search.state.options) || orientation !== undefined;

/** Fields that say where, not what. */
const PLACES: readonly string[] = ['test_data_file', 'test_data_files', 'output_dir', 'overwrite', 'resume'];

/** What repeats a run, as it would be typed: everything that was given, and the seed. */
function commandOf(config: ReconstructConfig, provenance: Provenance = {}): string {
  const { test_data_file, test_data_files, share, minutes, seed } = config;
  const named = Object.entries({ ...(share !== null && { share }), minutes, seed });
  const always: Provenance = Object.fromEntries(named.map(([name, value]) => [name, { value, source: 'flag' }]));
  const given = Object.entries(provenance).filter(
    ([name, { source }]) => source !== 'default' && !PLACES.includes(name),
  );
  return repeatCommand('reconstruct', { ...always, ...Object.fromEntries(given) }, [
    test_data_file,
    ...test_data_files,
  ])!;
}
