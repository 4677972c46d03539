/** Exit codes of outputs, as a host reads them. */

/** All is well. */
export const RESULT_OK = 0;
/** Stopped by its signal: what came before is usable, but not all of it. */
export const RESULT_CANCELLED = 130;
