/** What a training came to: in figures, as a chart and as a page. */
import path from 'node:path';
import type { BackendInfo } from '../backends/backend.js';
import { describeEngine } from '../backends/select.js';
import type { Provenance } from '../core/services.js';
import { counted } from '../core/words.js';
import { writeImagePage } from '../reconstruction/imagePage.js';
import type { StitchedImage } from '../reconstruction/patchStitcher.js';
import { lossChart } from '../report/loss.js';
import { probeFigure } from '../report/probe.js';
import type { Drawing } from '../report/renderer.js';
import { positionShiftMap } from '../report/scanMap.js';
import { type EpochRecord, scanColumn } from './judge.js';
import type { TrainedModel } from './train.js';

/** What a run came to. */
export interface TrainSummary {
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly bestLoss: number;
  readonly monitored: string;
  /** Each scan, where there are several. */
  readonly scans?: readonly ScanFigures[];
  /** The amplitude loss (R) of the best epoch on groups that validate, or train where none do, and that of the best constant object. */
  readonly rFactor: { readonly heldOut: boolean; readonly network: number; readonly constant: number };
  readonly seconds: number;
  readonly patternsPerSecond: number;
  readonly outputDir: string;
  readonly cancelled: boolean;
  /** Ended by `early_stop_patience`. */
  readonly stoppedEarly: boolean;
  /** Epochs that were done before this run resumed; 0: it began from the beginning. */
  readonly resumedAfter: number;
  /** Files in the folder that are new. */
  readonly files: readonly string[];
  /** Where it ran. */
  readonly device: BackendInfo['device'];
  readonly history: readonly EpochRecord[];
  /** Of an ensemble: each of its networks; the figures beside are those of the first. */
  readonly members?: readonly TrainSummary[];
}

/** What a run came to on one of several scans. */
export interface ScanFigures {
  readonly name: string;
  /** Whether the network learned from it, or was only validated on it. */
  readonly role: 'train' | 'validation';
  readonly groups: number;
  /** R of the best epoch on its groups that validate; not there where none does. */
  readonly heldOutR?: number;
  /** R of the best constant object on them. */
  readonly constantR: number;
  /** The same in words, with a doubt where the network is no better. */
  readonly sentence: string;
}

/** The scans of a run, one by one. */
export function scansOf({ scans, judged, result }: TrainedModel): ScanFigures[] | undefined {
  if (!scans || !judged) return undefined;
  const best = result.history[result.bestEpoch - 1];
  return scans.map(({ scan, training, validation }, i) => {
    const figures = {
      name: scan.raw.source,
      role: training.length > 0 ? 'train' : 'validation',
      groups: scan.groups.count,
      ...(validation.length > 0 ? { heldOutR: best[scanColumn(i)] } : {}),
      constantR: judged[i].constantLoss,
    } as const;
    return { ...figures, sentence: sentenceOf(figures) };
  });
}

/** A run in its folder. */
export interface FinishedTraining {
  readonly trained: TrainedModel;
  readonly outputDir: string;
  readonly engine: BackendInfo;
  readonly files: readonly string[];
}

/** @param resumedAfter epochs that were done before */
export function summaryOf({ trained, outputDir, engine, files }: FinishedTraining, resumedAfter: number): TrainSummary {
  const { result, constantLoss } = trained;
  const scans = scansOf(trained);
  return {
    ...(scans ? { scans } : {}),
    epochs: result.history.length,
    bestEpoch: result.bestEpoch,
    bestLoss: result.bestLoss,
    monitored: result.monitored,
    rFactor: rFactorOf(result, constantLoss),
    seconds: result.seconds,
    patternsPerSecond: patternsPerSecond(result),
    outputDir,
    cancelled: result.cancelled,
    stoppedEarly: result.stoppedEarly,
    resumedAfter,
    files,
    device: engine.device,
    history: result.history,
  };
}

/** `held-out R 0.21, the best constant object 0.45`. */
function sentenceOf({ role, heldOutR, constantR }: Omit<ScanFigures, 'sentence'>): string {
  const what = role === 'train' ? 'held-out R' : 'not trained on: R';
  if (heldOutR === undefined)
    return `none of its groups validates; the best constant object has R ${constantR.toPrecision(3)}`;
  const no = heldOutR > NO_BETTER * constantR ? ': the network has not learned this scan' : '';
  return `${what} ${heldOutR.toPrecision(3)}, the best constant object ${constantR.toPrecision(3)}${no}`;
}

/** Of the R of a constant object: above, nothing was learned. */
const NO_BETTER = 0.97;

/** R of the best epoch beside that of the best constant object. */
export function rFactorOf({ history, bestEpoch }: TrainedModel['result'], constant: number): TrainSummary['rFactor'] {
  const { val_mae, mae } = history[bestEpoch - 1];
  return { heldOut: val_mae !== null, network: val_mae ?? mae, constant };
}

/** Over the epochs of this process. */
export function patternsPerSecond({ seconds, patternsSeen }: TrainedModel['result']): number {
  return seconds > 0 ? patternsSeen / seconds : 0;
}

/** The losses of a run, the best epoch marked. */
export function trainingChart({ history, bestEpoch }: TrainedModel['result'], config: TrainedModel['config']): Drawing {
  const { model, mae_weight, nll_weight } = config;
  const ofAmplitudes = model.model_type === 'pinn' && mae_weight > 0 && nll_weight === 0;
  const validated = history.some(({ val_loss }) => val_loss !== undefined && val_loss !== null);
  return lossChart(
    [
      { name: 'training', values: history.map(({ loss }) => loss) },
      ...(validated ? [{ name: 'validation', values: history.map(({ val_loss }) => val_loss ?? null) }] : []),
    ],
    { bestEpoch, label: ofAmplitudes ? 'loss of amplitudes' : 'loss' },
  );
}

/** `index.html`: how the network learned, on what, and what it made of the test scan. */
export async function writeTrainingPage(
  { trained, outputDir, engine, files }: FinishedTraining,
  provenance: Provenance,
  image?: StitchedImage,
): Promise<string> {
  const { scan, result, config, constantLoss } = trained;
  const { heldOut, network, constant } = rFactorOf(result, constantLoss);
  const { raw } = scan;
  const scans = scansOf(trained);
  const pixelSize_m = raw.geometry.objectPixel_m?.x;
  const { positions, history, bestEpoch, monitored, bestLoss } = result;
  return writeImagePage(outputDir, {
    command: 'train',
    title: `PtychoPINN ${config.model.architecture}, trained on ${scans ? counted(scans.filter(({ role }) => role === 'train').length, 'scan') : path.basename(raw.source)}`,
    summary: `${counted(history.length, 'epoch')} in ${result.seconds.toFixed(0)} s; the best was epoch ${bestEpoch} (${monitored} ${bestLoss.toPrecision(4)}). ${heldOut ? 'Held-out' : 'Training'} R ${network.toPrecision(3)}, the best constant object ${constant.toPrecision(3)}.`,
    warnings: result.cancelled ? ['Stopped early: the bundle holds the best epoch until then.'] : [],
    ...{ raw, image, pictures: { pixelSize_m }, provenance },
    probe: raw.probeGuess && probeFigure(raw.probeGuess, { pixelSize_m }),
    curves: [trainingChart(result, config)],
    // The positions of several scans are no map.
    positions:
      positions && !scans
        ? positionShiftMap({ measured: { xs: raw.xcoords, ys: raw.ycoords }, corrected: positions, pixelSize_m })
        : undefined,
    facts: [
      { name: 'engine', value: describeEngine(engine) },
      ...(scans ?? []).map((one) => ({ name: path.basename(one.name), value: one.sentence })),
    ],
    files,
  });
}
