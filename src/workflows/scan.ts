/** A scan made ready for a network: opened, grouped, measured. */
import type { Logger } from '../core/log.js';
import { DiffractionDataset } from '../data/dataset.js';
import { type Groups, groupScan } from '../data/grouping.js';
import { type GroupedStatistics, groupedStatistics } from '../data/normalise.js';
import { openRawData, type RawData } from '../data/rawData.js';

/** The fields of training and inference configurations that choose and group patterns. */
export interface ScanRequest {
  readonly n_groups: number | null;
  readonly n_subsample: number | null;
  readonly subsample_seed: number | null;
  readonly sequential_sampling: boolean;
  readonly neighbor_count: number;
  readonly seed: number;
  readonly probe: string | null;
  readonly measurement_domain: RawData['domain'] | null;
}

export interface PreparedScan {
  readonly raw: RawData;
  readonly groups: Groups;
  readonly statistics: GroupedStatistics;
  readonly dataset: DiffractionDataset;
}

/** Opens a scan as a request describes it. */
export function openScan(path: string, request: ScanRequest, logger?: Logger): Promise<RawData> {
  return openRawData(path, {
    n_subsample: request.n_subsample ?? undefined,
    subsample_seed: request.subsample_seed ?? request.seed,
    probe: request.probe ?? undefined,
    measurement_domain: request.measurement_domain ?? undefined,
    logger,
  });
}

/**
 * Groups an open scan and measures what normalisation needs; each scan is normalised by its own mean power, so that the
 * network sees the same range whatever the exposure.
 */
export async function prepareScan(raw: RawData, request: ScanRequest, gridsize: number): Promise<PreparedScan> {
  const groups = groupScan(raw.xcoords, raw.ycoords, {
    gridsize,
    n_groups: request.n_groups ?? raw.count,
    neighbor_count: request.neighbor_count,
    seed: request.subsample_seed ?? request.seed,
    sequential: request.sequential_sampling,
  });
  const statistics = await groupedStatistics(raw.patterns, groups);
  return { raw, groups, statistics, dataset: new DiffractionDataset(raw, groups, statistics.inputScale) };
}
