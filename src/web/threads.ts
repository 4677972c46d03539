/**
 * Threads of a page. Each begins with the same script, `ptychopinn/web/worker`, and is told by its first message what it is for; so a
 * thread can start others by the address that it was itself started from, and nobody needs to know where the script lies.
 */
import { browser, type WebWorker } from './browser.js';

/** What the first message of a thread says. */
export interface ThreadRole {
  readonly role: 'solver';
}

let starter: (() => WebWorker) | undefined;

/** Says how a thread is started; a page that computes by itself has one thread unless it says so. */
export function startThreadsBy(start: (() => WebWorker) | undefined): void {
  starter = start;
}

/** Processor threads that may compute together: memory is shared between them in isolated pages only. */
export const usableThreads = (): number =>
  starter && browser.crossOriginIsolated === true ? (browser.navigator?.hardwareConcurrency ?? 1) : 1;

/** Starts a thread. @throws Error where the page said nothing of how */
export function startThread(role: ThreadRole['role']): WebWorker {
  if (starter === undefined) throw new Error('this page starts no threads');
  const thread = starter();
  thread.postMessage({ role } satisfies ThreadRole);
  return thread;
}
