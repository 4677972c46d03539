/** A scan made ready for a network: opened, grouped, measured. */

import type { DataConfig } from '../config/schemas/data.js';
import type { Logger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { DiffractionDataset } from './dataset.js';
import { openScan } from './findings/survey.js';
import { type GroupingOptions, type Groups, groupScan } from './grouping/grouping.js';
import { cachedGroups } from './grouping/groupingCache.js';
import { groupsWithinScans } from './grouping/withinScans.js';
import { groupedStatistics, type PatternStatistics } from './normalise.js';
import { requireFarField } from './opening/nearField.js';
import type { OpenDatasetOptions } from './options.js';
import { keepFirstPatterns, keepPatterns } from './patternCache.js';
import type { RawData } from './rawData.js';

/** The fields of training and inference configurations that choose and group patterns. */
export interface ScanRequest {
  /** null and `all`: one for each pattern. */
  readonly n_groups: number | 'all' | null;
  readonly n_subsample: number | null;
  readonly subsample_seed: number | null;
  readonly sequential_sampling: boolean;
  readonly neighbor_count: number;
  readonly enable_oversampling: boolean;
  readonly neighbor_pool_size: number | null;
  readonly seed: number;
  readonly probe: string | null;
  readonly measurement_domain: RawData['domain'] | null;
  /** How the file is opened, and how neighbours are chosen. */
  readonly data: DataConfig;
}

/** Patterns kept for a single pass after the one that measures them: 64 MiB, 4096 patterns of 64×64. */
const ONE_PASS_BYTES = 2 ** 26;

/** How the patterns of a scan will be read, see {@link prepareScan}. */
interface Pass {
  readonly once?: boolean;
  readonly keepBytes?: number;
}

/** A scan that is grouped and measured: what a network is trained on and predicts. */
export interface PreparedScan {
  readonly raw: RawData;
  readonly groups: Groups;
  readonly statistics: PatternStatistics;
  readonly dataset: DiffractionDataset;
}

/** The fields of a configuration that say how its scan is opened. */
export type OpenRequest = Pick<ScanRequest, 'probe' | 'measurement_domain' | 'data'> &
  Partial<Pick<ScanRequest, 'n_subsample' | 'subsample_seed'>>;

/** The options that an {@link OpenRequest} comes to. */
export function openOptions(request: OpenRequest, { logger }: Pick<Services, 'logger'>): OpenDatasetOptions {
  const { data, probe, measurement_domain, n_subsample = null, subsample_seed = null } = request;
  return { ...data, probe, measurement_domain, n_subsample, subsample_seed, logger };
}

/** Opens a tool's scan, every pattern of which is looked at. @throws PtychoError as `openScan` */
export function openTool(path: string, request: OpenRequest, services: Services): Promise<RawData> {
  return openScan(path, openOptions(request, services), { keepBytes: ONE_PASS_BYTES, signal: services.signal });
}

/**
 * Opens a scan as a request describes it, and looks at every pattern.
 * @param pass as for {@link prepareScan}
 */
export function openRequestedScan(
  path: string,
  request: ScanRequest,
  logger?: Logger,
  pass: { readonly once?: boolean; readonly keepBytes?: number; readonly signal?: AbortSignal } = {},
): Promise<RawData> {
  const options = openOptions({ ...request, subsample_seed: request.subsample_seed ?? request.seed }, { logger });
  return openScan(path, options, { keepBytes: pass.once ? ONE_PASS_BYTES : pass.keepBytes, signal: pass.signal });
}

/**
 * Groups an open scan and measures what normalisation needs; each scan is normalised by its own mean power, so that the
 * network sees the same range whatever the exposure.
 *
 * @param pass `once`: the patterns will be read once more, not every epoch, so that only a bounded part of them is kept in
 * memory, whatever the length of the scan; `keepBytes`: the most that is kept for every epoch, 1 GiB where not given
 */
export async function prepareScan(
  raw: RawData,
  request: ScanRequest,
  gridsize: number,
  logger?: Logger,
  pass: Pass = {},
): Promise<PreparedScan> {
  const { data } = request;
  const options: GroupingOptions = {
    ...data,
    gridsize,
    n_groups: typeof request.n_groups === 'number' ? request.n_groups : raw.count,
    neighbor_count: request.neighbor_count,
    enable_oversampling: request.enable_oversampling,
    neighbor_pool_size: request.neighbor_pool_size ?? undefined,
    seed: request.subsample_seed ?? request.seed,
    sequential: request.sequential_sampling,
    logger,
  };
  const groups = data.cache_groups ? await cachedGroups(raw, options) : groupScan(raw.xcoords, raw.ycoords, options);
  return measureGroups(raw, groupsWithinScans(groups, raw, options), pass);
}

/** A scan that is grouped already, measured and ready for a network; `pass` as for {@link prepareScan}. */
export async function measureGroups(raw: RawData, groups: Groups, pass: Pass = {}): Promise<PreparedScan> {
  requireFarField(raw, 'networks are trained on');
  // Measuring reads every pattern once, unless a survey has; where they fit into memory, the network is fed from that pass.
  const patterns = raw.patterns.sums
    ? raw.patterns
    : pass.once
      ? keepFirstPatterns(raw.patterns, groups.members, ONE_PASS_BYTES)
      : keepPatterns(raw.patterns, groups.members, pass.keepBytes);
  const statistics = await groupedStatistics(patterns, groups, { badPixels: raw.badPixels });
  const dataset = new DiffractionDataset(raw, groups, statistics.inputScale, {
    patterns,
    cacheBytes: pass.once ? 0 : pass.keepBytes,
  });
  return { raw, groups, statistics, dataset };
}

/** The members of each group, (count, C), as indices into the selected patterns: what a result's record holds. */
export function memberRows({ count, C, members }: Groups): number[][] {
  return Array.from({ length: count }, (_, g) => Array.from(members.subarray(g * C, (g + 1) * C)));
}
