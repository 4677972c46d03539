/** The session's side: takes calls, one after the other where they compute, and tells the page what comes of them. */
import { isPtychoError, messageOf } from '../../core/errors.js';
import { systemTrouble } from '../../core/systemErrors.js';
import { browser } from '../browser.js';
import { SessionCalls } from './calls.js';
import { buffersIn, owned, type Told, type ToPage, type ToSession } from './protocol.js';
import { Run } from './run.js';

/** Begins to answer the page that started this thread. */
export function beginService(): (message: ToSession) => void {
  const tell = (message: ToPage) => {
    // Arrays of the library stay its own; what goes over is a copy that is given away.
    const told = owned(message);
    browser.postMessage(told, buffersIn(told));
  };
  const say = (level: 'info' | 'warn') => (message: string) => tell({ log: { level, message } });
  const calls = new SessionCalls({ info: say('info'), warn: say('warn') });
  const runs = new Map<number, Run>();

  async function answer(id: number, call: string, args: readonly unknown[]): Promise<void> {
    const run = new Run((kind, value) => tell(kind === 'update' ? { id, update: value } : { id, progress: value }));
    runs.set(id, run);
    try {
      const method = calls[call as keyof SessionCalls] as
        | ((run: Run, ...all: readonly unknown[]) => Promise<unknown>)
        | undefined;
      if (typeof method !== 'function') throw new Error(`the session knows no ${call}`);
      tell({ id, value: await method.call(calls, run, ...args) });
    } catch (error) {
      tell({ id, error: toldOf(error) });
    } finally {
      runs.delete(id);
    }
  }

  return (message) => {
    if ('control' in message) runs.get(message.id)?.control(message.control);
    else void answer(message.id, message.call, message.args);
  };
}

function toldOf(error: unknown): Told {
  if (isPtychoError(error)) return { message: error.message, code: error.code, fields: plain(error.fields) };
  const trouble = systemTrouble(error);
  if (trouble) return { message: trouble.sentence, code: trouble.code };
  if (error instanceof RangeError && /allocation|array length|memory/i.test(error.message)) {
    return {
      message: `The page has no memory for this (${error.message}); close other scans, take fewer patterns (n_subsample), or use the command line.`,
      code: 'OUT_OF_MEMORY',
    };
  }
  return { message: messageOf(error) };
}

/** Without what cannot go to another thread. */
const plain = (fields: object): Record<string, unknown> =>
  JSON.parse(JSON.stringify(fields)) as Record<string, unknown>;
