/**
 * A queue hands out jobs of plans to workers; what is done, stopped or failed is known from the folder of the plan, so that a queue that
 * loses a message, or delivers one twice, does no harm. What drivers of servers share.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import type { JobEnd } from '../runJob.js';

/** What a queue holds of a job. */
export interface JobMessage {
  /** Folder of its plan. */
  readonly root: string;
  readonly id: string;
  /** About how long it takes. */
  readonly seconds: number;
}

/** What the work on a message can do. */
export interface MessageTools {
  /** Fires when the worker is to stop. */
  readonly signal: AbortSignal;
  /** Tells the queue how far it is, from 0 to 1. */
  readonly progress: (share: number) => void;
}

/** Does the job of a message, and says how it ended. */
export type MessageHandler = (message: JobMessage, tools: MessageTools) => Promise<JobEnd>;

/** A queue of a server. */
export interface JobQueue {
  /** Adds jobs; one that waits or runs already is not added again. @returns how many were */
  add(messages: readonly JobMessage[]): Promise<number>;
  /** Takes one job after the other until the signal fires, then gives the one at hand back. */
  take(handle: MessageHandler, signal: AbortSignal, logger?: Logger): Promise<void>;
  /** Ends the connection; jobs stay in the queue. */
  close(): Promise<void>;
}

/** Where a server is, without the password that its address may hold. */
export function serverOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    throw new PtychoError('USAGE', `${JSON.stringify(url)} is no address of a server; write redis://HOST:PORT or postgres://USER@HOST/DATABASE.`, { found: url }); // biome-ignore format: one sentence
  }
}

/** The error for a server that does not answer. */
export function unreachable(url: string, cause: unknown): PtychoError {
  return new PtychoError(
    'BACKEND_MISSING',
    `The server ${serverOf(url)} of the queue does not answer (${messageOf(cause).split('\n')[0]}); start it, or correct its address.`,
    { server: serverOf(url) },
    { cause },
  );
}

/** A message as a queue gave it: anybody may have written to it. */
export function messageIn(data: unknown): JobMessage | undefined {
  const { root, id, seconds } = (data ?? {}) as Record<string, unknown>;
  return typeof root === 'string' && typeof id === 'string' && typeof seconds === 'number'
    ? { root, id, seconds }
    : undefined;
}

/** Whether a plan is one of those that a worker was started for: a queue chooses no folder. */
export async function isOneOf(root: string, allowed: readonly string[]): Promise<boolean> {
  const real = (name: string) => realpath(name).catch(() => path.resolve(name));
  const wanted = await real(root);
  for (const each of allowed) if ((await real(each)) === wanted) return true;
  return false;
}

/** Work that is told of progress at most once a second. */
export function everySecond(tell: (share: number) => unknown, now: () => number = Date.now): (share: number) => void {
  let last = 0;
  return (share) => {
    if (now() - last < 1000) return;
    last = now();
    tell(share);
  };
}

/** What a handler of a driver does with a message that is none, or throws. */
export async function handled(
  handle: MessageHandler,
  data: unknown,
  tools: MessageTools,
  logger: Logger = silentLogger,
): Promise<JobEnd> {
  const message = messageIn(data);
  if (message === undefined) {
    logger.warn('The queue held a message that is no job of a plan; it was dropped.');
    return 'failed';
  }
  try {
    return await handle(message, tools);
  } catch (error) {
    logger.warn(`${message.id}: ${messageOf(error)}`);
    return tools.signal.aborted ? 'again' : 'failed';
  }
}
