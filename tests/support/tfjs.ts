/** TensorFlow.js in this thread, and stand-ins for its native packages. */
import '@tensorflow/tfjs-backend-cpu';
import * as tfjs from '@tensorflow/tfjs-core';
import type { Backend } from '../../src/backends/backend.js';
import { TfEngine } from '../../src/backends/tf/engine.js';
import type { Importer } from '../../src/backends/tf/engines.js';
import type { Tf } from '../../src/backends/tf/kernels/kernels.js';
import { type EngineWish, flattenProgram } from '../../src/backends/tf/protocol.js';

import { EngineRefusal } from '../../src/backends/worker/host.js';
import { HostedBackend } from '../../src/backends/worker/hostedBackend.js';
import { isPtychoError, messageOf } from '../../src/core/errors.js';

/** The one copy in this thread: what engines of this thread hold can be counted in it. */
export const tf: Tf = ((tfjs as { default?: Tf }).default ?? tfjs) as Tf;

/** Packages by name; what is not there cannot be found, with Node's own words. */
export function importerOf(packages: Readonly<Record<string, () => unknown>>, asked: string[] = []): Importer {
  return async (specifier) => {
    asked.push(specifier);
    if (Object.hasOwn(packages, specifier)) return { default: packages[specifier]() };
    if (/^@tensorflow\/tfjs-(core|backend-(cpu|wasm))$/.test(specifier)) return import(specifier);
    throw Object.assign(
      new Error(`Cannot find package '${specifier}' imported from /project/dist/backends/tf/engines.js`),
      { code: 'ERR_MODULE_NOT_FOUND' },
    );
  };
}

/**
 * A package like tfjs-node, with the JavaScript engine under TensorFlow's name: it has the same ops. `changes` replaces
 * some of it.
 */
export function nativePackage(gpu: boolean, changes: Partial<Record<keyof Tf, unknown>> = {}): Tf {
  return {
    ...tf,
    version: { tfjs: tf.version_core, 'tfjs-node': '4.22.0' },
    setBackend: (name: string) => (name === 'tensorflow' ? tf.setBackend('cpu') : Promise.resolve(false)),
    backend: () => Object.assign(Object.create(tf.backend()), { isUsingGpuDevice: gpu }),
    ...changes,
  } as unknown as Tf;
}

/** A backend whose engine runs in this thread. */
export async function backendInThread(wish: Partial<EngineWish>, importer?: Importer): Promise<Backend> {
  const engine = new TfEngine(importer);
  const report = await engine.open({ engine: null, accelerator: 'cpu', threads: null, ...wish });
  const host = {
    call: async (call: string, args: readonly unknown[]) => {
      try {
        return await (engine as unknown as Record<string, (...a: unknown[]) => Promise<unknown>>)[call](...args);
      } catch (error) {
        throw isPtychoError(error) ? error : new EngineRefusal(messageOf(error));
      }
    },
    close: () => engine.close(),
  } as unknown as ConstructorParameters<typeof HostedBackend>[0];
  const info = { ...report, name: 'tensorflow', engine: report.version } as const;
  return new HostedBackend(host, info, 'TensorFlow.js', (program, { constants }) =>
    engine.compile(flattenProgram(program, constants)),
  );
}
