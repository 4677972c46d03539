/**
 * In place of those modules of Node of which this package uses a little: each name is what it is there, as far as it is used, on what a
 * browser offers.
 */
import { pageMemory } from '../browser.js';
import { usableThreads } from '../threads.js';
import { temporaryFolder } from './fs.js';

// ---- node:os

export const availableParallelism = usableThreads;
export const cpus = (): unknown[] => Array.from({ length: usableThreads() }, () => ({}));
export const freemem = pageMemory;
export const totalmem = pageMemory;
export const tmpdir = temporaryFolder;
export const hostname = (): string => 'page';

// ---- node:util

type Callback = (error: unknown, value?: unknown) => void;

export const promisify =
  (call: (...args: never[]) => void) =>
  (...args: unknown[]): Promise<unknown> =>
    new Promise((done, fail) => {
      const callback: Callback = (error, value) => (error ? fail(error) : done(value));
      (call as (...all: unknown[]) => void)(...args, callback);
    });

export function inherits(made: { prototype: object; super_?: unknown }, from: { prototype: object }): void {
  made.super_ = from;
  Object.setPrototypeOf(made.prototype, from.prototype);
}

export const inspect = (value: unknown): string => JSON.stringify(value);
export const isDeepStrictEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

// ---- node:url

export const fileURLToPath = (url: URL | string): string => decodeURIComponent(new URL(url).pathname);
export const pathToFileURL = (path: string): URL => new URL(path, 'file:///');

// ---- node:timers/promises

let port: { postMessage(message: unknown): void } | undefined;
const waiting: (() => void)[] = [];

/** Made when it is first needed: an open channel keeps Node from ending. */
function turning() {
  if (port) return port;
  const { port1, port2 } = new MessageChannel();
  (port1 as { onmessage?: () => void }).onmessage = () => waiting.shift()?.();
  port = port2;
  return port;
}

/** Lets other work of the page turn, without the four milliseconds of a timer. */
export function setImmediate<T>(value?: T): Promise<T> {
  return new Promise((done) => {
    waiting.push(() => done(value as T));
    turning().postMessage(0);
  });
}

// ---- node:module, node:child_process: nothing of a page is found that way

export const createRequire = () => {
  const absent = () => {
    throw Object.assign(new Error('there are no packages in a page'), { code: 'MODULE_NOT_FOUND' });
  };
  return Object.assign(absent, { resolve: absent });
};
export function fork(): never {
  throw new Error('a page starts no processes');
}
export const spawn = fork;

// ---- node:events and node:stream, as far as the zip reader needs them to be there

type Listener = (...args: unknown[]) => void;
interface Emitter {
  listeners?: Map<string, Listener[]>;
}

export function EventEmitter(this: Emitter): void {
  this.listeners = new Map();
}
EventEmitter.prototype.on = function (this: Emitter, event: string, listener: Listener) {
  this.listeners ??= new Map();
  this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  return this;
};
EventEmitter.prototype.removeListener = function (this: Emitter, event: string, listener: Listener) {
  this.listeners?.set(
    event,
    (this.listeners.get(event) ?? []).filter((each) => each !== listener),
  );
  return this;
};
EventEmitter.prototype.off = EventEmitter.prototype.removeListener;
EventEmitter.prototype.once = function (
  this: Emitter & {
    on: (event: string, listener: Listener) => unknown;
    off: (event: string, listener: Listener) => unknown;
  },
  event: string,
  listener: Listener,
) {
  const once: Listener = (...args) => {
    this.off(event, once);
    listener(...args);
  };
  return this.on(event, once);
};
EventEmitter.prototype.emit = function (this: Emitter, event: string, ...args: unknown[]) {
  const listening = this.listeners?.get(event) ?? [];
  if (event === 'error' && listening.length === 0) throw args[0];
  for (const listener of listening) listener.apply(this, args);
  return listening.length > 0;
};
EventEmitter.EventEmitter = EventEmitter;

function noStream(this: unknown): never {
  throw new Error('a page has no streams of Node');
}
Object.setPrototypeOf(noStream.prototype, EventEmitter.prototype);
export const Readable = noStream;
export const Writable = noStream;
export const Transform = noStream;
export const PassThrough = noStream;
export const pipeline = noStream;
