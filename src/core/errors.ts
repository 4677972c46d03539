/**
 * Errors of ptychopinn: one base class with a machine-readable code and typed fields.
 *
 * @example
 * try { await openDataset('scan.npz'); }
 * catch (e) { if (isPtychoError(e, 'DATASET_KEY_MISSING')) console.error(e.message, e.fields.key); }
 */

/** Every code that this library throws; a code names the kind of trouble, the message says what to do. */
export type PtychoErrorCode =
  // files and formats
  | 'FILE_NOT_FOUND'
  | 'FILE_TRUNCATED'
  | 'FILE_FORMAT'
  | 'FORMAT_UNSUPPORTED'
  | 'OUTPUT_UNWRITABLE'
  | 'OUTPUT_EXISTS'
  | 'OUTPUT_IN_USE'
  // scans
  | 'DATASET_KEY_MISSING'
  | 'DATASET_SHAPE'
  | 'DATASET_VALUE'
  | 'DATASET_UNITS'
  | 'PROBE_SHAPE'
  | 'SCAN_WRONG'
  | 'GROUPING'
  // configuration and command line
  | 'CONFIG_INVALID'
  | 'CONFIG_UNKNOWN_KEY'
  | 'USAGE'
  // tensor programs and engines
  | 'GRAPH_SHAPE'
  | 'GRAPH_INVALID'
  | 'BACKEND_MISSING'
  | 'ACCELERATOR_MISSING'
  | 'ENGINE_FAILURE'
  // models and bundles
  | 'MODEL_UNSUPPORTED'
  | 'WEIGHTS_MISMATCH'
  | 'BUNDLE_INVALID'
  | 'CHECKPOINT_INVALID'
  | 'TRAINING_FAILED'
  | 'SOLVER_FAILED'
  | 'CANCELLED'
  // what the machine has
  | 'OUT_OF_MEMORY'
  // the pipe worker
  | 'PROTOCOL';

/** Facts that go with an error, for programs: path, key, expected, found, hint, … */
export type ErrorFields = Readonly<Record<string, unknown>>;

/** The one base class; `message` is a whole sentence: what, where, what was expected, what to do. */
export class PtychoError extends Error {
  readonly code: PtychoErrorCode;
  readonly fields: ErrorFields;

  constructor(code: PtychoErrorCode, message: string, fields: ErrorFields = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PtychoError';
    this.code = code;
    this.fields = fields;
  }
}

/** CONFIG_INVALID about an option, with its name and its value as fields. */
export function invalidOption(key: string, message: string, found: unknown, fields: ErrorFields = {}): PtychoError {
  return new PtychoError('CONFIG_INVALID', message, { key, found, ...fields });
}

/**
 * The error for a package that is needed for something and not installed, because most do without it.
 * @param what needs it, the subject of the sentence: `This queue needs bullmq ioredis`
 * @param install what npm is told to install
 */
export function missingPackage(what: string, install: string, cause: unknown): PtychoError {
  return new PtychoError(
    'BACKEND_MISSING',
    `${what}, which the package does not bring: npm install ${install} (${messageOf(cause).split('\n')[0]}).`,
    { packages: install.split(' ').map((name) => name.replace(/@[^@/]*$/, '')) },
    { cause },
  );
}

/** Narrows an unknown to {@link PtychoError}, optionally to one code. */
export function isPtychoError(error: unknown, code?: PtychoErrorCode): error is PtychoError {
  return error instanceof PtychoError && (code === undefined || error.code === code);
}

/**
 * Sees to it that an argument is an object that has what it needs, for callers without a compiler to tell them.
 * @param what the sentence before the comma: `train takes its settings first, such as { nepochs: 40 }`
 * @param keys that must be there
 * @throws PtychoError USAGE
 */
export function requireObject(value: unknown, what: string, keys: readonly string[] = []): void {
  const object = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  const missing = keys.filter((key) => object?.[key] === undefined);
  if (object && missing.length === 0) return;
  const kind = value === null || value === undefined ? String(value) : `a ${typeof value}`;
  throw new PtychoError('USAGE', `${what}; got ${object ? `an object without ${missing.join(', ')}` : kind}.`, {
    found: object ? Object.keys(object) : kind,
    expected: keys,
  });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
