/** What a caller may hand to any workflow. */
import type { Provenance } from '../config/resolve.js';
import type { Logger, ProgressSink } from '../core/log.js';

export interface WorkflowServices {
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
