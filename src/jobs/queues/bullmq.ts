/** Redis or Valkey through BullMQ. A worker that dies loses its lock after half a minute; another then takes the job. */
import { missingPackage } from '../../core/errors.js';
import { sha256 } from '../../core/hash.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { everySecond, handled, type JobMessage, type JobQueue, type MessageHandler, unreachable } from './queue.js';

/** A lock is renewed in a third of this; long batches hold up the timer. */
const LOCK_MS = 30_000;
/** A job whose workers died this often is given up by the queue; the plan still knows it, and it can be submitted again. */
const MAX_STALLED = 20;
/** Before a job that cannot begin yet is offered again. */
const AGAIN_MS = 2000;
const CONNECT_MS = 5000;

/** Opens a queue. @throws PtychoError BACKEND_MISSING */
export async function openBullQueue(url: string, name: string): Promise<JobQueue> {
  const { bull, Redis } = await load();
  const connect = async () => {
    const redis = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true, connectTimeout: CONNECT_MS, retryStrategy: () => null }); // biome-ignore format: one call
    // It is told of by whoever waits for it.
    redis.on('error', () => {});
    try {
      await redis.connect();
    } catch (cause) {
      redis.disconnect();
      throw unreachable(url, cause);
    }
    // From now on a server that restarts is waited for.
    redis.options.retryStrategy = (times) => Math.min(200 * times, 5000);
    return redis;
  };
  const connection = await connect();
  const queue = new bull.Queue(name, { connection });
  queue.on('error', () => {});
  return {
    async add(messages) {
      let added = 0;
      for (const message of messages) {
        const jobId = idOf(message);
        const before = await queue.getJob(jobId);
        const state = before && (await before.getState());
        if (state === 'completed' || state === 'failed') await before?.remove();
        else if (before) continue;
        await queue.add('job', message, { jobId, removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 } });
        added++;
      }
      return added;
    },
    take: (handle, signal, logger = silentLogger) => takeAll(bull, { connection, name, handle, signal, logger }),
    async close() {
      await queue.close();
      connection.disconnect();
    },
  };
}

type Bull = typeof import('bullmq');

interface Taking {
  readonly connection: import('ioredis').Redis;
  readonly name: string;
  readonly handle: MessageHandler;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

async function takeAll(bull: Bull, { connection, name, handle, signal, logger }: Taking): Promise<void> {
  const worker = new bull.Worker(
    name,
    async (job, token) => {
      const progress = everySecond((share) => job.updateProgress(share).catch(() => {}));
      const end = await handled(handle, job.data, { signal, progress }, logger);
      if (end === 'again') {
        await job.moveToDelayed(Date.now() + (signal.aborted ? 0 : AGAIN_MS), token);
        throw new bull.DelayedError();
      }
      if (end === 'failed') throw new bull.UnrecoverableError('failed; the record of the job says why');
      return end;
    },
    { connection, lockDuration: LOCK_MS, stalledInterval: LOCK_MS / 2, maxStalledCount: MAX_STALLED },
  );
  worker.on('error', (error) => logger.warn(`Queue: ${error.message}`));
  await new Promise<void>((done) => {
    if (signal.aborted) done();
    signal.addEventListener('abort', () => done(), { once: true });
  });
  // Waits for the job at hand, which hears the signal, too.
  await worker.close();
}

/** The same job is in a queue once. */
const idOf = ({ root, id }: JobMessage): string => sha256(root, '\0', id);

async function load(): Promise<{ bull: Bull; Redis: typeof import('ioredis').Redis }> {
  try {
    return { bull: await import('bullmq'), Redis: (await import('ioredis')).Redis };
  } catch (cause) {
    throw missingPackage('This queue needs bullmq ioredis', 'bullmq ioredis', cause);
  }
}
