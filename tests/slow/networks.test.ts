/**
 * Every network with spectral layers from training to image, stopped and resumed on the way; and the options of all networks on both
 * engines. With PTYCHOPINN_SLOW_SAMPLE=1 those that have layers of their own, without options.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { ARCHITECTURES, architecturesWith } from '../../src/networks/architectures.js';
import { expectSameNumbers } from '../backends/backendParity.js';
import { backendCases } from '../support/backends.js';
import { optionsTogether } from '../support/everyNetwork.js';
import { SAME_LAYERS, trainAndInfer } from '../support/trainAndInfer.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';

describe('trained, stopped, resumed to the same bytes, and reconstructing', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-networks-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const spectral = ARCHITECTURES.filter(
    (name) => architecturesWith('fno_modes').includes(name) && !(sample && SAME_LAYERS.includes(name)),
  );
  it.each(spectral)('%s', (architecture) => trainAndInfer(folder, architecture));

  it('cnn_cbam with statistics of batches and one decoder, fine tuned, its input by the largest sum', () =>
    trainAndInfer(folder, 'cnn_cbam', {
      ...{ nepochs: 1, epochs_fine_tune: 1, data_scaling: 'Max', amp_loss: 'Total_Variation', amp_loss_coeff: 0.1 },
      model: { batch_norm: true, use_shared_decoder: true, cbam_bottleneck: true },
    }));
});

describe.skipIf(sample)('both engines', () => {
  let backends: Backend[];
  beforeAll(async () => {
    backends = await Promise.all(backendCases.map(({ create }) => create()));
  });
  afterAll(async () => {
    for (const backend of backends) await backend.dispose();
  });

  // All options at once make rounding grow: phases of hybrid_resnet are 1.1e-5 (onnxruntime) and 1.5e-5 from those in double precision.
  it.each(sample ? [] : optionsTogether())('have the same prediction, loss and gradients of %s', (_, of) =>
    expectSameNumbers(backends, of, 4e-5),
  );
});
