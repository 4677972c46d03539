/** The worker's entry: answers one call after the other, in the order they came. */
import { parentPort } from 'node:worker_threads';
import { Engine, EngineMissing } from './engine.js';
import type { EngineCalls, Reply, Request } from './protocol.js';

const port = parentPort;
if (!port) throw new Error('worker.js is the entry of a worker thread and cannot be run by itself');

const engine: EngineCalls = new Engine();
let last: Promise<void> = Promise.resolve();

port.on('message', (request: Request) => {
  last = last.then(() => answer(request));
});

async function answer({ id, call, args }: Request): Promise<void> {
  let reply: Reply;
  try {
    const method = engine[call] as (...args: unknown[]) => Promise<unknown>;
    reply = { id, value: await method.apply(engine, args) };
  } catch (error) {
    reply = {
      id,
      error: error instanceof Error ? error.message : String(error),
      missing: error instanceof EngineMissing,
    };
  }
  port!.postMessage(reply, 'value' in reply ? buffersIn(reply.value) : []);
}

/** Arrays go over without being copied. */
function buffersIn(value: unknown): ArrayBuffer[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((v) => (v instanceof Float32Array ? [v.buffer as ArrayBuffer] : []));
}
