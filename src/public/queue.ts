/**
 * `ptychopinn/queue`: jobs of plans handed out by a server, for programs that bring their own producers and workers. What a job comes to
 * is in the folder of its plan (`jobsStatus` of `ptychopinn/workflows`); Redis needs the packages bullmq and ioredis, PostgreSQL pg-boss.
 *
 * @example
 * import { openQueue, workOnPlans } from 'ptychopinn/queue';
 * const server = { redis: 'redis://127.0.0.1:6379', postgres: null, queue: 'ptychopinn' };
 * const queue = await openQueue(server);
 * await queue.add([{ root: '/data/beamtime', id: '0001-scan', seconds: 20 }]);
 * await queue.close();
 * const { done } = await workOnPlans(['/data/beamtime'], { ...server, until_done: true });
 *
 * @module queue
 */
export type { JobsQueueConfig, JobsWorkConfig } from '../config/schemas/jobs.js';
export { openQueue } from '../jobs/queues/openQueue.js';
export type { JobMessage, JobQueue, MessageHandler, MessageTools } from '../jobs/queues/queue.js';
export type { JobEnd } from '../jobs/runJob.js';
export { type WorkSummary, workOnPlans } from '../workflows/jobs.js';
