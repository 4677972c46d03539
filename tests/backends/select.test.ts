import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { backendNames, openBackend, registerBackend, selectBackend } from '../../src/backends/select.js';
import { PtychoError } from '../../src/core/errors.js';

const execution = { accelerator: 'cpu', threads: 1 } as const;
const made = (engine: string) => ({ info: { name: 'onnx', engine, device: 'cpu', threads: 1 } }) as unknown as Backend;
const broken = (why: string) => async () => {
  throw new PtychoError('BACKEND_MISSING', why);
};

describe('the registry of backends', () => {
  it('names an unknown one, and those that are known', async () => {
    await expect(selectBackend({ backend: 'torch', execution })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'backend: "torch" is not known; use one of "onnx", "tensorflow".',
      fields: { key: 'backend', found: 'torch', expected: ['onnx', 'tensorflow'] },
    });
    await expect(openBackend(execution, { names: ['torch'] })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('opens by priority what works, and by name what is asked for', async () => {
    const tried: string[] = [];
    registerBackend(
      'best',
      async () => {
        tried.push('best');
        return broken('best is not installed')();
      },
      99,
    );
    registerBackend('second', async (given) => made(`second with ${given.threads}`), 98);
    expect(backendNames()).toEqual(['best', 'second', 'onnx', 'tensorflow']);
    expect((await openBackend(execution)).info.engine).toBe('second with 1');
    expect(tried).toEqual(['best']);
    expect((await selectBackend({ backend: 'second', execution })).info.engine).toBe('second with 1');
    await expect(selectBackend({ backend: 'best', execution })).rejects.toThrow('best is not installed');
  });

  it('collects the reasons where none works', async () => {
    registerBackend('best', broken('no GPU'));
    registerBackend('second', broken('no network'));
    await expect(openBackend(execution, { names: ['best', 'second'] })).rejects.toMatchObject({
      code: 'BACKEND_MISSING',
      message: 'No backend works here (best: no GPU; second: no network).',
      fields: { names: ['best', 'second'], reasons: ['best: no GPU', 'second: no network'] },
    });
  });
});
