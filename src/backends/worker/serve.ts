/** The worker's side: answers one call after the other, in the order they came. */
import { parentPort } from 'node:worker_threads';
import { isPtychoError, messageOf } from '../../core/errors.js';
import type { EngineCalls, Refusal, Reply, Request, WorkerCalls } from './host.js';
import { sharedMemoryOf } from './sharedMemory.js';

/** Makes `engine` answer the thread that started this one; where it keeps states, these pass through shared memory, too. */
export function serve(engine: WorkerCalls): void {
  const shared = 'readState' in engine ? sharedMemoryOf(engine as EngineCalls) : {};
  const answers = Object.assign(Object.create(engine) as WorkerCalls, shared);
  const port = parentPort;
  if (!port) throw new Error('this file is the entry of a worker thread and cannot be run by itself');
  let last: Promise<void> = Promise.resolve();

  // What cannot be read has nobody to answer to: whoever asked waits for this thread, so it ends.
  port.on('messageerror', (error: Error) => {
    throw error;
  });
  port.on('message', (request: Request) => {
    last = last.then(() => answer(request));
  });

  async function answer({ id, call, args }: Request): Promise<void> {
    let reply: Reply;
    try {
      const method = answers[call as keyof WorkerCalls] as (...args: readonly unknown[]) => Promise<unknown>;
      reply = { id, value: await method.apply(engine, args as unknown[]) };
    } catch (error) {
      reply = { id, error: refusalOf(error) };
    }
    try {
      port!.postMessage(reply, 'value' in reply ? buffersIn(reply.value) : []);
    } catch (error) {
      // An answer that cannot be sent is one, too: without it the caller would wait for ever.
      port!.postMessage({ id, error: refusalOf(error) } satisfies Reply);
    }
  }
}

function refusalOf(error: unknown): Refusal {
  if (!isPtychoError(error)) return { message: messageOf(error) };
  return { message: error.message, code: error.code, fields: error.fields };
}

/** Arrays go over without being copied. */
function buffersIn(value: unknown): ArrayBuffer[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((v) => (v instanceof Float32Array ? [v.buffer as ArrayBuffer] : []));
}
