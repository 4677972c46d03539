/**
 * What the network paints while it learns: contact sheets of patches, the stitched image and patch statistics, from the
 * weights that would be saved at that moment.
 */
import path from 'node:path';
import type { Backend } from '../backends/backend.js';
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { spreadIndices } from '../core/numbers.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { PreparedScan } from '../data/preparedScan.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import type { PtychoNetwork } from '../model/network.js';
import { scanBounds } from '../reconstruction/frame.js';
import { PatchStatsLog } from '../reconstruction/patchRecords.js';
import { PatchStitcher } from '../reconstruction/patchStitcher.js';
import { stitchedPictures } from '../reconstruction/pictures.js';
import { Predictor } from '../reconstruction/predictor.js';
import { probeWeights } from '../reconstruction/stitching.js';
import { figure, imagePanel, type Panel } from '../report/figure.js';
import { renderAmplitude, renderPhase } from '../report/image.js';
import { encodePng } from '../report/png.js';
import { drawPng } from '../report/renderer.js';
import { batchesOf, type TrainPart } from './programs.js';

/** Where pictures go besides the folder. */
export type ImageSink = (tag: string, epoch: number, png: Uint8Array) => Promise<void>;

/** What is drawn and measured, and from which groups. */
export interface PreviewOptions {
  readonly config: TrainingConfig;
  /** Of the scan. */
  readonly network: PtychoNetwork;
  readonly backend: Backend;
  /** Pictures are of groups of this scan. */
  readonly scan: PreparedScan;
  /** Statistics are of these groups: those that validate, else those that train. */
  readonly measured: TrainPart;
  readonly outputDir: string;
  readonly image: ImageSink;
  /** Epochs that were done when the run was resumed. */
  readonly epochsDone: number;
}

/** Draws and measures after epochs, as the configuration asks for. */
export class Previews {
  #stats: PatchStatsLog | undefined;

  private constructor(readonly options: PreviewOptions) {}

  /** @throws PtychoError CONFIG_INVALID for groups that do not exist, OUTPUT_UNWRITABLE */
  static async open(options: PreviewOptions): Promise<Previews> {
    const { config, outputDir, epochsDone, scan } = options;
    const missing = config.execution.recon_log_fixed_indices?.find((group) => group >= scan.groups.count);
    if (missing !== undefined) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `recon_log_fixed_indices: there is no group ${missing}; the scan has ${scan.groups.count}, counted from 0.`,
        { key: 'recon_log_fixed_indices', found: missing, expected: scan.groups.count },
      );
    }
    const previews = new Previews(options);
    if (config.execution.recon_log_every_n_epochs !== null) await makeOutputFolder(path.join(outputDir, 'previews'));
    if (config.log_patch_stats) {
      previews.#stats = await PatchStatsLog.open(outputDir, {
        limit: config.patch_stats_limit,
        keepEpochs: epochsDone > 0 ? epochsDone : undefined,
      });
    }
    return previews;
  }

  /** After an epoch; `weights` are read only when something is due. */
  async epoch(epoch: number, weights: () => Promise<Readonly<Record<string, Tensor>>>): Promise<void> {
    const { config, network, backend } = this.options;
    const every = config.execution.recon_log_every_n_epochs;
    const draws = every !== null && epoch % every === 0;
    if (!draws && !this.#stats) return;
    await closing(new Predictor(network, await weights(), backend, config.batch_size), async (predictor) => {
      if (this.#stats) await this.#measure(epoch, predictor, this.#stats);
      if (draws) await this.#draw(epoch, predictor);
    });
  }

  async #measure(epoch: number, predictor: Predictor, stats: PatchStatsLog): Promise<void> {
    const { config, measured } = this.options;
    for await (const { arrays, start } of batchesOf(measured, config.batch_size)) {
      if (!stats.wants(epoch)) break;
      const patches = await predictor.patches(arrays.diffraction, arrays.positions);
      stats.add({ epoch, batch: start / config.batch_size }, patches);
    }
    await stats.flush();
  }

  async #draw(epoch: number, predictor: Predictor): Promise<void> {
    const { config, scan } = this.options;
    const { recon_log_num_patches: count, recon_log_fixed_indices: fixed, recon_log_stitch } = config.execution;
    const groups = fixed ?? spreadIndices(scan.groups.count, count);
    const tiles: Panel[] = [];
    for await (const { indices, arrays } of batchesOf(
      { dataset: scan.dataset, groups: Int32Array.from(groups) },
      config.batch_size,
    )) {
      const patches = await predictor.patches(arrays.diffraction, arrays.positions);
      indices.forEach((group, b) => {
        tiles.push(...tilesOf(group, patchOf(patches, b)));
      });
    }
    const sheet = figure(tiles, { columns: 4, title: `Patches after epoch ${epoch}` });
    await this.#write('patches', epoch, await drawPng(sheet));
    if (!recon_log_stitch) return;
    const { amplitude, phase } = stitchedPictures(await this.#stitched(predictor));
    await this.#write('stitched_amplitude', epoch, encodePng(amplitude));
    await this.#write('stitched_phase', epoch, encodePng(phase));
  }

  async #stitched(predictor: Predictor) {
    const { config, scan, network } = this.options;
    const { N } = config.model;
    const { C, coordsNn, count } = scan.groups;
    const chosen = spreadIndices(count, config.execution.recon_log_max_stitch_samples ?? count);
    const places = Array.from(chosen).flatMap((g) => Array.from(coordsNn.subarray(2 * g * C, 2 * (g + 1) * C)));
    const [xs, ys] = [0, 1].map((axis) =>
      Float64Array.from({ length: places.length / 2 }, (_, i) => places[2 * i + axis]),
    );
    const patchWeights = probeWeights(scan.raw.probeGuess ?? network.spec.scale.probe);
    const stitcher = new PatchStitcher(scanBounds(xs, ys), N / 2, { patchWeights });
    for await (const { arrays, start } of batchesOf({ dataset: scan.dataset, groups: chosen }, config.batch_size)) {
      const { re, im, shape } = await predictor.patches(arrays.diffraction, arrays.positions);
      stitcher.add(re, im, shape[0] * C, N, xs.subarray(start * C), ys.subarray(start * C));
    }
    return stitcher.finish();
  }

  async #write(what: string, epoch: number, png: Uint8Array): Promise<void> {
    const name = `${what}_epoch=${String(epoch).padStart(3, '0')}.png`;
    await writeAtomically(path.join(this.options.outputDir, 'previews', name), png);
    await this.options.image(`previews/${what}`, epoch, png);
  }
}

/** The first member of a group. */
function patchOf({ re, im, shape }: ComplexTensor, group: number): ComplexTensor {
  const [, C, rows, columns] = shape;
  const from = group * C * rows * columns;
  const part = (values: Float32Array) => values.slice(from, from + rows * columns);
  return { re: part(re), im: part(im), shape: [rows, columns] };
}

function tilesOf(group: number, patch: ComplexTensor): Panel[] {
  const place = { side_px: 150, bare: true };
  return [
    imagePanel(renderAmplitude(patch), { ...place, title: `group ${group}`, note: 'amplitude' }),
    imagePanel(renderPhase(patch), { ...place, title: `group ${group}`, note: 'phase' }),
  ];
}
