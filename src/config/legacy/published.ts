/**
 * Keys that published configuration files of PtychoPINN hold and that say nothing here: names of experiments, and parts of networks
 * that are switched off. A file that has them is read without them, and a note says so once for each.
 */
import { notAvailable } from '../../core/field.js';
import type { Collection } from '../definition.js';

/** A key and the values that change nothing; any where these are left out. */
interface WithoutPart {
  readonly accepts?: readonly unknown[];
  readonly why: string;
}

const LABEL: WithoutPart = { why: 'it is a label of an experiment' };
const OFF: WithoutPart = { accepts: [false], why: 'networks here do not have it' };

const PUBLISHED_WITHOUT_PART: Readonly<Record<string, WithoutPart>> = {
  experiment_name: LABEL,
  model_name: LABEL,
  notes: LABEL,
  experiment_number: LABEL,
  training_directories: { why: 'the scan is named by train_data_file' },
  framework: { why: 'there is one loop of training' },
  orchestrator: { why: 'logger says where runs are logged' },
  grad_norm_log_freq: { why: 'gradient_norm is in history.csv for every epoch' },
  stitch_crop_size: { why: 'stitch_crop_px of infer says how much of a patch is stitched' },
  decoder_last_amp_channels: { why: 'the decoders have as many channels as a group has patterns' },
  eca_decoder: OFF,
  eca_encoder: OFF,
  spatial_decoder: OFF,
  decoder_spatial_kernel: { why: 'it belongs to spatial_decoder, which networks here do not have' },
  torch_mae_pred_l2_match_target: OFF,
};

/**
 * What is to be said about a key that plays no part; undefined for a key that is none of these.
 * @param where the file, for messages
 * @returns a note, or the reason why the value cannot be had
 */
export function publishedWithoutPart(
  key: string,
  value: unknown,
  where: string,
): { readonly note: string } | { readonly refused: string } | undefined {
  if (!Object.hasOwn(PUBLISHED_WITHOUT_PART, key)) return undefined;
  const { accepts, why } = PUBLISHED_WITHOUT_PART[key];
  if (accepts && !accepts.includes(value)) return { refused: notAvailable(key, value, accepts, why) };
  return { note: `${where}: ${key} plays no part and was left out (${why}).` };
}

/** Files of the published tools mean their defaults by what they leave out. */
export function implyPublished({ given }: Collection, origin: string): void {
  if (!given.has('preset')) given.set('preset', { value: 'published', source: 'file', origin });
}
