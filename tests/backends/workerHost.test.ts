/** Threads of engines that answer oddly, or no more: no call waits for ever. */
import { expect, it } from 'vitest';
import { EngineRefusal, type WorkerCalls, WorkerHost } from '../../src/backends/worker/host.js';

interface OddCalls extends WorkerCalls {
  unsendable(): Promise<unknown>;
  answer(): Promise<number>;
  leave(): Promise<void>;
}

const start = () => new WorkerHost<OddCalls>(new URL('../support/oddWorker.mjs', import.meta.url), 'The odd engine');

it('an answer that cannot be sent is an error, and the next one comes', async () => {
  const host = start();
  await expect(host.call('unsendable', [])).rejects.toThrow(EngineRefusal);
  expect(await host.call('answer', [])).toBe(42);
  expect(host.gone).toBe(false);
  await host.close();
  expect(host.gone).toBe(true);
});

it('calls to a thread that is gone or ended are errors, those under way, too', async () => {
  const gone = start();
  const [leaving, behind] = [gone.call('leave', []), gone.call('answer', [])];
  const failed = { code: 'ENGINE_FAILURE', message: expect.stringContaining('stopped with exit code 7') as string };
  await expect(leaving).rejects.toMatchObject(failed);
  await expect(behind).rejects.toMatchObject(failed);
  await expect(gone.call('answer', [])).rejects.toMatchObject(failed);
  await gone.close();

  const stopped = start();
  const waiting = stopped.call('answer', []);
  const [, reason] = await Promise.all([stopped.stop(), waiting.catch((error: unknown) => error)]);
  expect(reason).toMatchObject({ code: 'ENGINE_FAILURE' });
});
