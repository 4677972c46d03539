/** What a caller may hand to any long task, and where the values of its configuration came from. */
import type { Logger, ProgressSink } from './log.js';

/** Where a value came from; `caller` is a program that passed a finished configuration. */
export type Source = 'flag' | 'file' | 'caller' | 'metadata' | 'default';

/** A value and where it came from; `origin` names the file where there is one. */
export interface ProvenanceEntry {
  readonly value: unknown;
  readonly source: Source;
  readonly origin?: string;
}

/** Field name → entry, for every field that has a value. */
export type Provenance = Readonly<Record<string, ProvenanceEntry>>;

/** Everything is optional: a way to stop, and sinks for progress and messages. */
export interface Services {
  /** Stops the work in a usable state. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  readonly logger?: Logger;
  /** Where the configuration's values came from; written beside the results. */
  readonly provenance?: Provenance;
  /** The caller owns the output folders and what is in them: no lock is taken, and nothing is asked before it is replaced. */
  readonly ownsOutputs?: boolean;
  /** Called when the output folder is there and is ours. */
  readonly onOutputFolder?: (folder: string) => void;
}
