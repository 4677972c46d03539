import { describe, expect, it } from 'vitest';
import { supervise } from '../../src/cli/supervise.js';
import { capture } from './capture.js';

const options = { level: 'INFO' as const, interrupted: 'finishing this step' };

describe('Ctrl-C', () => {
  it('aborts the signal and says so; the second leaves at once', async () => {
    const captured = capture();
    const result = await supervise(captured.context, options, async ({ signal }) => {
      expect(signal.aborted).toBe(false);
      captured.signals.emit('SIGINT');
      expect(signal.aborted).toBe(true);
      expect(captured.left()).toBe(0);
      captured.signals.emit('SIGINT');
      expect(captured.left()).toBe(1);
      return 'saved';
    });
    expect(result).toBe('saved');
    expect(captured.err()).toBe('warning: interrupted: finishing this step; press Ctrl-C again to leave at once.\n');
  });

  it('hears SIGTERM too, and nothing once the work has ended or failed', async () => {
    const captured = capture();
    await supervise(captured.context, options, async ({ signal }) => {
      captured.signals.emit('SIGTERM');
      expect(signal.aborted).toBe(true);
    });
    expect(captured.signals.listenerCount('SIGINT') + captured.signals.listenerCount('SIGTERM')).toBe(0);
    const failing = supervise(captured.context, options, async () => {
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    expect(captured.signals.listenerCount('SIGINT')).toBe(0);
  });
});
