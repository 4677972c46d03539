import { describe, expect, it } from 'vitest';
import { atOnce, cancelPoint, type Steps, untilCancelled, withPauses } from '../../src/core/cancel.js';

function* counting(to: number, seen: number[] = []): Steps<number> {
  for (let i = 0; i < to; i++) {
    seen.push(i);
    yield;
  }
  return to;
}

describe('work in steps', () => {
  it('gives the same at once and with pauses', async () => {
    expect(atOnce(counting(5))).toBe(5);
    expect(await withPauses(counting(5), undefined, 'Counting')).toBe(5);
    expect(await withPauses(counting(5), new AbortController().signal, 'Counting')).toBe(5);
  });

  it('ends at the next step after the signal', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    stop.abort();
    await expect(withPauses(counting(5, seen), stop.signal, 'Counting')).rejects.toMatchObject({
      code: 'CANCELLED',
      message: 'Counting was cancelled.',
    });
    expect(seen).toEqual([0]);
  });

  it('lets signals be heard that come while it computes', async () => {
    const stop = new AbortController();
    // Heard only where the event loop turns.
    setImmediate(() => stop.abort());
    const pause = cancelPoint(stop.signal, 'Counting');
    const endless = async () => {
      for (;;) await pause();
    };
    await expect(endless()).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('untilCancelled', () => {
  it('gives what came in time', async () => {
    expect(await untilCancelled(Promise.resolve(1), undefined, 'It')).toBe(1);
    expect(await untilCancelled(Promise.resolve(1), new AbortController().signal, 'It')).toBe(1);
    await expect(untilCancelled(Promise.reject(new Error('no')), new AbortController().signal, 'It')).rejects.toThrow(
      'no',
    );
  });

  it('does not wait longer than for the signal, and disposes of what comes late', async () => {
    const stop = new AbortController();
    let arrive = (_: string) => {};
    const work = new Promise<string>((resolve) => {
      arrive = resolve;
    });
    const disposed: string[] = [];
    const waiting = untilCancelled(work, stop.signal, 'Opening', (late) => disposed.push(late));
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
    arrive('late');
    await work;
    await Promise.resolve();
    expect(disposed).toEqual(['late']);
  });
});
