/** The patterns that everything is compared on: drawn once, for every model. */
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { groupsFromMembers } from '../../data/grouping/grouping.js';
import {
  measureGroups,
  openRequestedScan,
  type PreparedScan,
  prepareScan,
  type ScanRequest,
} from '../../data/preparedScan.js';
import type { RawData } from '../../data/rawData.js';

/** How the patterns of a comparison are drawn, in the words of other workflows. */
export function scanRequest(config: ComparisonConfig): ScanRequest {
  const { n_test_groups, n_test_subsample, test_subsample_seed } = config;
  const { neighbor_count, enable_oversampling, neighbor_pool_size, probe, measurement_domain, data } = config;
  return {
    n_groups: n_test_groups,
    n_subsample: n_test_subsample,
    subsample_seed: test_subsample_seed,
    sequential_sampling: false,
    seed: 0,
    ...{ neighbor_count, enable_oversampling, neighbor_pool_size, probe, measurement_domain, data },
  };
}

/** Opens the scan of a comparison; only the drawn patterns are in it. Close it after use. */
export function openSubset(config: ComparisonConfig, logger?: Logger): Promise<RawData> {
  return openRequestedScan(config.test_data_file, scanRequest(config), logger, { once: true });
}

/** Groups of the drawn patterns, for networks of any gridsize. */
export class Subset {
  readonly #scans = new Map<number, Promise<PreparedScan>>();
  readonly #grouped: number;

  /**
   * @param gridsizes of all models: single patterns go to networks of gridsize 1, the groups of the other gridsize to the others
   * @throws PtychoError GROUPING for two gridsizes above 1, whose groups would not be of the same patterns
   */
  constructor(
    readonly raw: RawData,
    private readonly config: ComparisonConfig,
    gridsizes: readonly number[],
    private readonly logger?: Logger,
  ) {
    const grouped = [...new Set(gridsizes.filter((g) => g > 1))];
    if (grouped.length > 1) {
      throw new PtychoError(
        'GROUPING',
        `The models have gridsize ${grouped.join(' and ')}, whose groups hold different patterns; compare those of one gridsize at a time (gridsize 1 goes with any).`,
        { found: grouped },
      );
    }
    this.#grouped = grouped[0] ?? 1;
  }

  /**
   * The scan for a network of this gridsize. The members of the groups that other networks get are, each once, the patterns of
   * one of gridsize 1: what the published tool calls flattened channels, less their repetitions.
   */
  scan(gridsize: number): Promise<PreparedScan> {
    let scan = this.#scans.get(gridsize);
    if (!scan) {
      scan = gridsize === this.#grouped ? this.#prepare(gridsize) : this.#single();
      this.#scans.set(gridsize, scan);
    }
    return scan;
  }

  /** The patterns of the file that are in the comparison, ascending. */
  async sampleIndices(): Promise<Int32Array> {
    const { groups } = await this.scan(this.#grouped);
    return Int32Array.from(distinct(groups.members), (k) => this.raw.sampleIndices[k]);
  }

  #prepare(gridsize: number): Promise<PreparedScan> {
    return prepareScan(this.raw, scanRequest(this.config), gridsize, this.logger, { once: true });
  }

  async #single(): Promise<PreparedScan> {
    const { groups } = await this.scan(this.#grouped);
    const { raw } = this;
    return measureGroups(raw, groupsFromMembers(distinct(groups.members), 1, raw.xcoords, raw.ycoords), { once: true });
  }
}

/** The same scan with its first groups only. */
export function firstGroups({ raw, groups }: PreparedScan, count: number): Promise<PreparedScan> {
  const { C, members } = groups;
  return measureGroups(raw, groupsFromMembers(members.slice(0, count * C), C, raw.xcoords, raw.ycoords), {
    once: true,
  });
}

const distinct = (members: Int32Array): Int32Array => Int32Array.from(new Set(members)).sort();
