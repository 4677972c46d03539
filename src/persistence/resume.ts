/** Whether a run may go on from a checkpoint: everything that shapes the result must be what it was. */
import { createHash } from 'node:crypto';
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { PreparedScan } from '../data/preparedScan.js';
import { type BundleConfig, bundleConfig } from './bundleConfig.js';
import { canonicalJson } from './canonicalJson.js';
import type { CheckpointContent, CheckpointEngine } from './checkpoint.js';

/** Groups whose arrays are hashed; the mean power stands for the others. */
const SAMPLED_GROUPS = 8;

/**
 * Part of the scans → SHA-256: patterns (statistics of all of them, values of a sample as the network is fed them, labels
 * included), positions, groups, probe.
 */
export async function scanFingerprint(scan: PreparedScan, test?: PreparedScan): Promise<Record<string, string>> {
  const parts = await partsOf(scan);
  const held = test ? await partsOf(test) : {};
  return { ...parts, ...Object.fromEntries(Object.entries(held).map(([name, sum]) => [`validation ${name}`, sum])) };
}

async function partsOf({ raw, groups, statistics, dataset }: PreparedScan): Promise<Record<string, string>> {
  const sampled = Math.min(SAMPLED_GROUPS, groups.count);
  const indices = Int32Array.from({ length: sampled }, (_, i) => Math.floor((i * groups.count) / sampled));
  const { diffraction, labels } = await dataset.batch(indices);
  const figures = Float64Array.of(raw.count, raw.N, statistics.meanPower, statistics.meanAmplitude);
  const probe = raw.probeGuess;
  return {
    patterns: hashOf(
      raw.domain,
      figures,
      diffraction.data,
      labels?.re,
      labels?.im,
      raw.badPixels && Uint8Array.from(raw.badPixels),
    ),
    positions: hashOf(groups.coordsNn),
    groups: hashOf(groups.members, raw.sampleIndices),
    probe: hashOf(probe?.shape.join() ?? '', probe?.re, probe?.im),
  };
}

/** SHA-256 of values one after the other. */
export function hashOf(...values: readonly (string | ArrayBufferView | undefined)[]): string {
  const hash = createHash('sha256');
  for (const value of values) {
    if (typeof value === 'string') hash.update(value);
    else if (value) hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    hash.update('\0');
  }
  return hash.digest('hex');
}

/** The run that asks to go on. */
export interface ResumingRun {
  readonly config: TrainingConfig;
  readonly scan: Readonly<Record<string, string>>;
  /** SHA-256 of the bundle given with `init`. */
  readonly init: string | null;
  /** The folder that the checkpoint is from. */
  readonly folder: string;
}

/**
 * Checks that a run may go on from a checkpoint.
 * @throws PtychoError CONFIG_INVALID for another configuration, DATASET_VALUE for another scan: one sentence that names what
 * differs.
 */
export function checkResumable(content: CheckpointContent, run: ResumingRun): void {
  const { config, folder } = run;
  const [now, then] = [flat(bundleConfig(config)), flat(bundleConfig(content.config))];
  for (const key of new Set([...then.keys(), ...now.keys()])) {
    if (now.get(key) === then.get(key) || (key === 'nepochs' && mayChangeLength(content, config))) continue;
    const why =
      key === 'nepochs' && config.nepochs >= content.epoch
        ? `, and the learning rate of ${config.scheduler} depends on it`
        : '';
    throw new PtychoError(
      'CONFIG_INVALID',
      `${key} is ${now.get(key) ?? 'not given'}, but the run in ${folder} was begun with ${then.get(key) ?? 'none'}${why}; give the same value to resume it, or train anew without --resume.`,
      { key, found: now.get(key), expected: then.get(key) },
    );
  }
  for (const part of new Set([...Object.keys(content.scan), ...Object.keys(run.scan)])) {
    if (content.scan[part] === run.scan[part]) continue;
    throw new PtychoError(
      'DATASET_VALUE',
      `The run in ${folder} was begun with another scan: its ${part} ${part.endsWith('probe') ? 'differs' : 'differ'}; give the same files to resume it, or train anew without --resume.`,
      { part, path: folder },
    );
  }
  if (run.init !== null && run.init !== content.init) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `init names another bundle than the run in ${folder} was begun from; leave --init out to resume it, or train anew without --resume.`,
      { key: 'init' },
    );
  }
}

/** Another engine or version may change the last digits: that is told, not refused. */
export function warnOfEngine(then: CheckpointEngine, now: CheckpointEngine, folder: string, logger: Logger): void {
  const changed = (Object.keys(now) as (keyof CheckpointEngine)[]).filter((key) => now[key] !== then[key]);
  if (changed.length === 0) return;
  const list = changed.map((key) => `${key} ${then[key]} → ${now[key]}`).join(', ');
  logger.warn(
    `The run in ${folder} was begun with another engine (${list}): it goes on, but the last digits may differ from a run that was never interrupted.`,
  );
}

/** A run may become longer or shorter where nothing of its past depends on its length. */
function mayChangeLength({ epoch }: CheckpointContent, { nepochs, scheduler }: TrainingConfig): boolean {
  return scheduler !== 'WarmupCosine' && nepochs >= epoch;
}

/** Field name → value as text, blocks opened. */
function flat(config: BundleConfig): Map<string, string> {
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(config)) {
    const isBlock = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entries: [string, unknown][] = isBlock ? Object.entries(value as object) : [[key, value]];
    for (const [name, v] of entries) {
      if (v !== undefined) values.set(name, canonicalJson(v).trim().replace(/\s+/g, ' '));
    }
  }
  return values;
}
