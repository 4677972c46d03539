/**
 * `ptychopinn/web/worker`: the script of every thread of a page. A page makes a thread of it and begins a session there (`connect`); the
 * session starts threads of the same script for the inner loops of solvers.
 *
 * @example
 * // worker.js of a page, which its bundler makes a file of its own:
 * import 'ptychopinn/web/worker';
 *
 * @module worker
 */
import { browser } from './browser.js';
import type { ToSession } from './session/protocol.js';
import { deliver } from './standins/workerThreads.js';
import { startThreadsBy, type ThreadRole } from './threads.js';

const { Worker, location } = browser;
if (Worker && location) startThreadsBy(() => new Worker(location.href, { type: 'module' }));

let take: ((message: unknown) => void) | undefined;
/** What came while the session's code was on its way. */
const early: unknown[] = [];

// Elsewhere than in a browser nobody calls.
browser.addEventListener?.('message', ({ data }) => {
  if (take) take(data);
  else if ((data as Partial<ThreadRole>).role === 'solver') {
    take = deliver;
    import('../solvers/host/solverWorker.js').catch(tell);
  } else if (early.push(data) === 1) {
    import('./session/service.js')
      .then(({ beginService }) => {
        const begun = beginService();
        take = begun as (message: unknown) => void;
        for (const message of early.splice(0)) begun(message as ToSession);
      })
      .catch(tell);
  }
});

/** As an error of the thread, which whoever started it hears: the promise alone would keep it to itself. */
function tell(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}
