/** A device that is lost in the middle of a training ends it with a sentence, and the last checkpoint is what the run goes on from. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { type BackendLoader, registerBackend } from '../../src/backends/select.js';
import { PtychoError } from '../../src/core/errors.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { bundleHash, tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
const at = (name: string) => path.join(folder, name);
const open: BackendLoader = () => createOnnxBackend({ accelerator: 'cpu', threads: 1 });
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-lost-'));
  await writeTinyScan(at('scan.npz'));
});
afterAll(async () => {
  registerBackend('onnx', open, 20);
  await rm(folder, { recursive: true, force: true });
});

/** An engine whose device is lost in training step `fatal`. */
async function failing(fatal: number): Promise<Backend> {
  const real = await open({ accelerator: 'cpu', threads: 1 });
  let steps = 0;
  return {
    info: real.info,
    createState: (values) => real.createState(values),
    dispose: () => real.dispose(),
    compile: async (program, options) => {
      const compiled = await real.compile(program, options);
      if (program.updates.size === 0) return compiled;
      return {
        dispose: () => compiled.dispose(),
        run: async (feeds, state) => {
          if (++steps === fatal) throw new PtychoError('ENGINE_FAILURE', 'The device was lost.', { lost: true });
          return compiled.run(feeds, state);
        },
      };
    },
  };
}

it('ends with a sentence, and goes on from the checkpoint to the same bytes', async () => {
  const request = (name: string, over: object = {}) => tinyRequest(at('scan.npz'), at(name), { nepochs: 3, ...over });
  registerBackend('onnx', open, 20);
  await trainWorkflow(request('whole'));
  // Two steps an epoch: within the second epoch.
  registerBackend('onnx', () => failing(3), 20);
  await expect(trainWorkflow(request('lost'))).rejects.toMatchObject({
    code: 'ENGINE_FAILURE',
    message: `The device was lost. The last checkpoint remains: go on from it with --resume ${at('lost')}.`,
    fields: { lost: true, resume: at('lost') },
  });
  // Before the first checkpoint there is nothing to go on from.
  registerBackend('onnx', () => failing(1), 20);
  await expect(trainWorkflow(request('early'))).rejects.toMatchObject({ message: 'The device was lost.' });
  registerBackend('onnx', open, 20);
  await trainWorkflow(request('lost', { resume: at('lost') }));
  expect(await bundleHash(at('lost'))).toBe(await bundleHash(at('whole')));
});
