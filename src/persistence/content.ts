/**
 * What a bundle holds, as plain data: filled from a training run, given back by `openBundle`. Format: `specs/bundle.md`.
 */
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { ScaleRecord } from '../model/scale.js';
import type { BundleConfig } from './bundleConfig.js';
import type { HistoryRow } from './history.js';

/** Figures of the training patterns. */
export interface BundleStatistics {
  /** Mean over patterns of Σ d², d the amplitude in the file's units. */
  readonly meanPower: number;
  /** Mean photons per pattern. */
  readonly meanCounts: number;
  /** Mean of the normalised amplitude over the training pixels; {@link UNKNOWN_MEAN_AMPLITUDE} for an imported model. */
  readonly meanAmplitude: number;
  /** 0 for an imported model. */
  readonly nPatterns: number;
}

/** How the weights were chosen: those of the best epoch by the monitored column of the history. */
export interface TrainingSummary {
  /** Epochs that were completed; 0: the model was trained elsewhere, see {@link ImportedFrom}. */
  readonly epochs: number;
  /** Counted from 1. */
  readonly bestEpoch: number;
  /** A column of the history, usually `val_loss` or `loss`. */
  readonly monitor: string;
  readonly value: number;
  /** SHA-256 of the `weights.safetensors` that training began from; not there: fresh weights. */
  readonly init?: string;
}

/** Where the weights of a model come from that another program trained. */
export interface ImportedFrom {
  readonly format: 'npz' | 'keras';
  /** SHA-256 of the file. */
  readonly sha256: string;
}

/** The summary of a model that was trained elsewhere: nothing is known. */
export const TRAINED_ELSEWHERE: TrainingSummary = Object.freeze({ epochs: 0, bestEpoch: 0, monitor: '', value: 0 });

/** The mean of X where no data set is known: its rms value, which the normalisation fixes to ½. */
export const UNKNOWN_MEAN_AMPLITUDE = 0.5;

/** One of several scans that a model knows: what of the model is the scan's own. */
export interface BundleScan {
  /** The name of its file, without folders. */
  readonly name: string;
  /** Whether the model learned from it, or was only validated on it. */
  readonly role: 'train' | 'validation';
  /** SHA-256 of the probe that the file held, by which the scan is known again. */
  readonly probeSha256: string;
  readonly scale: ScaleRecord;
  readonly statistics: BundleStatistics;
  /** As `Bundle.probe`. */
  readonly probe: ComplexTensor;
  /** Those of the weights that each scan has for itself, by name; the first scan's are also among the weights of the bundle. */
  readonly weights: Readonly<Record<string, Tensor>>;
}

/** A trained model and what is known of it. */
export interface Bundle {
  readonly createdBy: { readonly package: string; readonly version: string };
  readonly backend: 'onnx' | 'tensorflow';
  /** Engine package and version that trained it. */
  readonly engine: string;
  /** A whole training configuration may be given: what belongs to the machine is left out on writing. */
  readonly config: BundleConfig;
  /** Side of the group canvas in the exported model, px; N where groups have one member. */
  readonly canvasSide_px: number;
  readonly scale: ScaleRecord;
  readonly statistics: BundleStatistics;
  readonly training: TrainingSummary;
  /** Only where the model was trained elsewhere; `training` is then `TRAINED_ELSEWHERE`. */
  readonly imported?: ImportedFrom;
  readonly history: readonly HistoryRow[];
  /** (N, N) or incoherent modes (P, N, N), √count units: with it λ = Σ_p |F(P_p·O)Fᵀ|² is in counts. */
  readonly probe: ComplexTensor;
  /** Every trainable parameter, by name. */
  readonly weights: Readonly<Record<string, Tensor>>;
  /** Where the model was trained on several scans: all of them; scale, statistics, probe and weights are those of the first. */
  readonly scans?: readonly BundleScan[];
}
