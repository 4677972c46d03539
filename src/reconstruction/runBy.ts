/** Who ran something: written into every result. */
import type { BackendInfo } from '../backends/backend.js';
import { createdBy } from '../core/version.js';

/** Who ran it: the engine and device that were used, not those that were hoped for. */
export interface RunBy {
  readonly backend: BackendInfo['name'];
  readonly engine: string;
  readonly device: BackendInfo['device'];
  readonly threads: number;
  readonly versions: { readonly ptychopinn: string; readonly node: string; readonly engine: string };
}

/** What a result says of its engine. */
export function runBy({ name, engine, device, threads }: BackendInfo): RunBy {
  const versions = { ptychopinn: createdBy.version, node: process.versions.node, engine };
  return { backend: name, engine, device, threads, versions };
}
