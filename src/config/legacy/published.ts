/**
 * Keys that published configuration files of PtychoPINN hold and that say nothing here, such as names of experiments. A file that has
 * them is read without them, and a note says so once for each.
 */
import type { Collection } from '../definition.js';

const LABEL = 'it is a label of an experiment';

/** Keys, and why they say nothing. */
const PUBLISHED_WITHOUT_PART: Readonly<Record<string, string>> = {
  experiment_name: LABEL,
  model_name: LABEL,
  notes: LABEL,
  experiment_number: LABEL,
  training_directories: 'the scan is named by train_data_file',
  framework: 'there is one loop of training',
  orchestrator: 'logger says where runs are logged',
  grad_norm_log_freq: 'gradient_norm is in history.csv for every epoch',
  stitch_crop_size: 'stitch_crop_px of infer says how much of a patch is stitched',
  decoder_last_amp_channels: 'the decoders have as many channels as a group has patterns',
};

/**
 * The note on a key that plays no part; undefined for a key that is none of these.
 * @param where the file, for messages
 */
export function publishedWithoutPart(key: string, where: string): string | undefined {
  if (!Object.hasOwn(PUBLISHED_WITHOUT_PART, key)) return undefined;
  return `${where}: ${key} plays no part and was left out (${PUBLISHED_WITHOUT_PART[key]}).`;
}

/** Files of the published tools mean their defaults by what they leave out. */
export function implyPublished({ given }: Collection, origin: string): void {
  if (!given.has('preset')) given.set('preset', { value: 'published', source: 'file', origin });
}
