/** What the library's verbs accept: scans as files or in memory, configurations in part, an engine by name or running. */
import type { Backend, BackendInfo } from '../backends/backend.js';
import { selectBackend } from '../backends/select.js';
import { engineDefinition } from '../config/commands.js';
import type { ConfigDefinition } from '../config/definition.js';
import { resolveConfig } from '../config/resolve.js';
import type { ExecutionConfig } from '../config/schema.js';
import type { Logger } from '../core/log.js';
import { surveyScan } from '../data/findings/survey.js';
import { openRequestedScan, type ScanRequest } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';

/** A scan: a file of any format that can be read, or one that is open. */
export type ScanInput = string | RawData;

/** An engine by name, with how it runs, or one that is running (and stays so). */
export interface EngineChoice {
  readonly backend?: BackendInfo['name'] | Backend;
  /** Fields of the block `execution`; see docs/configuration.md. */
  readonly execution?: Partial<ExecutionConfig>;
}

/**
 * A complete, frozen configuration from any part of one: fields flat or in their blocks; what is left out has its default.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID
 */
export function completeConfig<T>(definition: ConfigDefinition<T>, part: object, logger?: Logger): T {
  // undefined says nothing, as everywhere in JavaScript.
  const values = Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined));
  const { config, warnings } = resolveConfig(definition, { file: { origin: 'the given configuration', values } });
  for (const warning of warnings) logger?.warn(warning);
  return config;
}

/**
 * Starts the engine that is named, `onnx` where none is; one that runs already is returned as it is.
 * @throws PtychoError CONFIG_INVALID, BACKEND_MISSING, ACCELERATOR_MISSING
 */
export async function startEngine(
  { backend = 'onnx', execution = {} }: EngineChoice,
  logger?: Logger,
): Promise<Backend> {
  if (typeof backend === 'object') return backend;
  return selectBackend(completeConfig(engineDefinition, { backend, execution }, logger), logger);
}

/** Works on a scan; closes it afterwards where it was opened here. */
export async function withScan<T>(
  input: ScanInput,
  request: ScanRequest,
  logger: Logger | undefined,
  work: (raw: RawData) => Promise<T>,
): Promise<T> {
  if (typeof input !== 'string') return work(await surveyScan(input, { accept: request.data.accept, logger }));
  const raw = await openRequestedScan(input, request, logger);
  try {
    return await work(raw);
  } finally {
    await raw.close();
  }
}
