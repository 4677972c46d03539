/** What the library's verbs accept: scans as files or in memory, configurations in part, an engine by name or running. */
import type { Backend, BackendInfo } from '../backends/backend.js';
import { startEngines } from '../backends/peers.js';
import { completeConfig } from '../config/resolve.js';
import type { ExecutionConfig } from '../config/schema.js';
import { requireObject } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Logger } from '../core/log.js';
import { surveyScan } from '../data/findings/survey.js';
import { openRequestedScan, type ScanRequest } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';

/** A scan: a file of any format that can be read, or one that is open. */
export type ScanInput = string | RawData;

/** An engine by name (also one that was registered), with how it runs, or one that is running (and stays so). */
export interface EngineChoice extends Partial<Pick<ExecutionConfig, 'accelerator' | 'engine' | 'threads'>> {
  readonly backend?: BackendInfo['name'] | (string & {}) | Backend;
  /** More fields of the block `execution`, see docs/configuration.md; these three may stand here, too. */
  readonly execution?: Partial<ExecutionConfig>;
}

/**
 * Starts the engine that is named, `onnx` where none is, on each device where several are; one that runs already is returned as it is.
 * @throws PtychoError CONFIG_INVALID, BACKEND_MISSING, ACCELERATOR_MISSING
 */
export async function startEngine(
  { backend = 'onnx', execution: block = {}, accelerator, engine, threads }: EngineChoice,
  logger?: Logger,
): Promise<Backend> {
  if (typeof backend === 'object') return backend;
  const flat = Object.entries({ accelerator, engine, threads }).filter(([, value]) => value !== undefined);
  const execution = { ...block, ...Object.fromEntries(flat) };
  // Of all commands: what is not asked for an engine does without.
  const { engineDefinition } = await import('../config/commands.js');
  return startEngines(completeConfig(engineDefinition, { backend, execution }, logger), logger);
}

/** What has the patterns of a scan that is open. */
const OPEN_SCAN = ['patterns', 'xcoords', 'ycoords'];

/** @throws PtychoError USAGE for what is no scan */
export function requireScan(input: unknown): asserts input is ScanInput {
  if (typeof input === 'string') return;
  requireObject(input, 'A scan is the path of a file, or what openScan or rawDataFromArrays gives', OPEN_SCAN);
}

/** Works on a scan; closes it afterwards where it was opened here. @param pass how much of it may be kept in memory */
export async function withScan<T>(
  input: ScanInput,
  request: ScanRequest,
  logger: Logger | undefined,
  work: (raw: RawData) => Promise<T>,
  pass: { readonly keepBytes?: number } = {},
): Promise<T> {
  requireScan(input);
  if (typeof input !== 'string') return work(await surveyScan(input, { accept: request.data.accept, logger, ...pass }));
  return closing(await openRequestedScan(input, request, logger, pass), work);
}
