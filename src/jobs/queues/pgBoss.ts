/** PostgreSQL through pg-boss. A job whose worker died is offered again when it has expired: after four times its estimate, a minute at least. */

import { missingPackage } from '../../core/errors.js';
import { sha256 } from '../../core/hash.js';
import { silentLogger } from '../../core/log.js';
import { everySecond, handled, type JobQueue, unreachable } from './queue.js';

const EXPIRY = { seconds: 60, times: 4, most: 23 * 3600 };
/** How often a job may be offered; it waits a second each time. */
const RETRIES = 1000;
const POLL_MS = 500;
const STOP_MS = 5000;

/** Opens a queue. @throws PtychoError BACKEND_MISSING */
export async function openPgQueue(url: string, name: string): Promise<JobQueue> {
  const PgBoss = await load();
  const boss = new PgBoss({ connectionString: url, schema: 'ptychopinn_jobs', maintenanceIntervalSeconds: 5 });
  // It is told of by whoever waits for it.
  boss.on('error', () => {});
  try {
    await boss.start();
    // One message for a job in each state.
    await boss.createQueue(name, { name, policy: 'stately' });
  } catch (cause) {
    throw unreachable(url, cause);
  }
  return {
    async add(messages) {
      let added = 0;
      for (const message of messages) {
        const expireInSeconds = Math.min(
          EXPIRY.most,
          Math.ceil(Math.max(EXPIRY.seconds, EXPIRY.times * message.seconds)),
        );
        const singletonKey = sha256(message.root, '\0', message.id);
        const id = await boss.send(name, { ...message }, { singletonKey, expireInSeconds, retryLimit: RETRIES, retryDelay: 1 }); // biome-ignore format: one call
        if (id !== null) added++;
      }
      return added;
    },
    async take(handle, signal, logger = silentLogger) {
      while (!signal.aborted) {
        const [job] = await boss.fetch(name).catch((error: Error) => {
          logger.warn(`Queue: ${error.message}`);
          return [];
        });
        if (job === undefined) {
          await pause(POLL_MS, signal);
          continue;
        }
        const end = await handled(handle, job.data, { signal, progress: everySecond(() => {}) }, logger);
        // The record of the job says what came of it; the queue need not offer it again.
        if (end === 'again') await boss.fail(name, job.id, { end });
        else await boss.complete(name, job.id, { end });
      }
    },
    close: () => boss.stop({ graceful: true, wait: true, timeout: STOP_MS }),
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    }
  });

async function load(): Promise<typeof import('pg-boss')> {
  try {
    return (await import('pg-boss')).default as unknown as typeof import('pg-boss');
  } catch (cause) {
    throw missingPackage('This queue needs pg-boss', 'pg-boss', cause);
  }
}
