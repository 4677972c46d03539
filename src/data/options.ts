/** What opening a scan may be told; names, defaults and descriptions are those of the configuration (`src/config/schemas/data.ts`). */
import type { DataConfig } from '../config/schemas/data.js';
import type { Logger } from '../core/log.js';
import type { MeasurementDomain } from './opening/measurementDomain.js';

/** Patterns looked at when a scan is opened: enough to tell the domain and to find damage that is everywhere. */
export const LOOKED_AT = 64;
/** Of large frames fewer, down to a quarter: pixels that are read for that look. */
export const LOOKED_AT_PIXELS = 2 ** 18;

/** Fields of the block `data` that choose neighbours. */
type NeighbourFields =
  | 'cache_groups'
  | 'neighbor_function'
  | 'min_neighbor_distance_px'
  | 'max_neighbor_distance_px'
  | 'quadrant_candidates'
  | 'scan_pattern';

/** Options of `openDataset`; what is left out or null is as the file has it. A whole block `data` may be spread into it. */
export interface OpenDatasetOptions extends Partial<Omit<DataConfig, NeighbourFields | 'data_format'>> {
  /** The format of the file, also one that was registered; `auto`, where left out, recognises it. */
  readonly data_format?: DataConfig['data_format'] | (string & {});
  /** Use this many patterns, drawn at random, in the file's order; all when left out or not fewer. */
  readonly n_subsample?: number | null;
  /** Seed of that draw; 0 when left out. */
  readonly subsample_seed?: number | null;
  /** `FILE[:key]`: use this probe instead of the file's; `auto`: the file's, or a guess from the patterns where it has none. */
  readonly probe?: string | null;
  /** What the numbers are, for files that do not say; refused when the file says something else. */
  readonly measurement_domain?: MeasurementDomain | null;
  /** Let `measurement_domain` replace what the file declares, to correct a wrong declaration (`convert` does). */
  readonly redeclare?: boolean;
  /** Findings are collected and none of them stops: for `inspect`, which shows them. */
  readonly reportOnly?: boolean;
  /** The most memory that the patterns may take when they cannot be read row by row (compressed, Fortran order). */
  readonly maxResidentBytes?: number;
  readonly logger?: Logger;
}

/** What a reader may be told; a field that does not concern a format is refused by its reader when it contradicts. */
export type ReaderOptions = {
  readonly [K in
    | 'diffraction_path'
    | 'positions'
    | 'positions_unit'
    | 'product'
    | 'allow_links'
    | 'channel'
    | 'scan_shape'
    | 'scan_step'
    | 'drop_unpaired'
    | 'maxResidentBytes'
    | 'logger']?: NonNullable<OpenDatasetOptions[K]>;
};
