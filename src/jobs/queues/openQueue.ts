/** Which server hands out jobs; its driver is loaded when it is named. */
import type { JobsQueueConfig } from '../../config/schemas/jobs.js';
import { PtychoError } from '../../core/errors.js';
import type { JobQueue } from './queue.js';

/**
 * Opens a queue by its configuration.
 *
 * @example
 * const queue = await openQueue({ redis: 'redis://127.0.0.1:6379', postgres: null, queue: 'ptychopinn' });
 * await queue.add([{ root: '/data/beamtime', id: '0001-scan', seconds: 20 }]);
 * await queue.close();
 * @throws PtychoError USAGE where not one server is named; BACKEND_MISSING for a package or a server that is not there
 */
export async function openQueue({ redis, postgres, queue }: JobsQueueConfig): Promise<JobQueue> {
  if ((redis === null) === (postgres === null)) {
    throw new PtychoError('USAGE', 'Name one server of a queue: --redis redis://HOST:6379 or --postgres postgres://USER@HOST/DATABASE.', { flag: 'redis' }); // biome-ignore format: one sentence
  }
  if (redis !== null) return (await import('./bullmq.js')).openBullQueue(redis, queue);
  return (await import('./pgBoss.js')).openPgQueue(postgres as string, queue);
}
