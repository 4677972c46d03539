/**
 * What Node has as globals: put into every module of the browser's build that names it; `Buffer` and `setImmediate`, which need more, are in files
 * of their own.
 */
export const process = {
  platform: 'browser',
  arch: 'wasm',
  pid: 1,
  version: 'none (browser)',
  versions: { node: 'none (browser)' },
  env: {} as Record<string, string | undefined>,
  exitCode: undefined as number | undefined,
  memoryUsage: Object.assign(() => ({ rss: 0 }), { rss: () => 0 }),
  kill: () => true,
  once: () => {},
  on: () => {},
  off: () => {},
  emitWarning: (text: string) => console.warn(text),
  nextTick: (call: (...args: unknown[]) => void, ...args: unknown[]) => queueMicrotask(() => call(...args)),
};

/** Pages that are not isolated hide the name, but not the thing: only other threads cannot be given it. */
const Shared: SharedArrayBufferConstructor =
  (globalThis as { SharedArrayBuffer?: SharedArrayBufferConstructor }).SharedArrayBuffer ??
  (new (
    globalThis as unknown as { WebAssembly: { Memory: new (limits: object) => { buffer: SharedArrayBuffer } } }
  ).WebAssembly.Memory({ initial: 0, maximum: 0, shared: true }).buffer.constructor as SharedArrayBufferConstructor);

export { Shared as SharedArrayBuffer };
