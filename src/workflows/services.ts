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
}
