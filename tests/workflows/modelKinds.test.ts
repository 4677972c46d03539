/** Short trainings of every kind of model, from a simulated scan to a bundle that opens and predicts the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { trainingRequestSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import type { RawData } from '../../src/data/rawData.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { scanForModel } from '../../src/reconstruction/scanForModel.js';
import { linesObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { prepareTraining } from '../../src/training/prepare.js';
import { trainModel } from '../../src/training/train.js';
import { backendCases } from '../support/backends.js';
import { maxDifference } from '../support/golden.js';

const N = 32;

const object = linesObject({ rows: 140, cols: 140, seed: 3 });

function scan(metadata?: Record<string, unknown>): RawData {
  const count = 12;
  const xs = Float64Array.from({ length: count }, (_, i) => 50 + 6 * (i % 4) + Math.sin(7 * i));
  const ys = Float64Array.from({ length: count }, (_, i) => 50 + 6 * Math.floor(i / 4) + Math.cos(5 * i));
  const made = simulateScan({
    object,
    probe: makeProbe('structured', { side: N, diameter: 10 }),
    xs,
    ys,
    photons: 1e5,
    seed: 1,
  });
  return rawDataFromArrays({
    ...made,
    xcoords: xs,
    ycoords: ys,
    scanIndex: undefined,
    metadata: metadata ?? (JSON.parse(made.metadata) as Record<string, unknown>),
    source: 'scan.npz',
  });
}
const requestOf = ({ model = {}, ...rest }: Record<string, unknown> = {}) =>
  trainingRequestSchema.parse({
    model: { n_filters_scale: 1, ...(model as object) },
    nepochs: 2,
    batch_size: 2,
    n_groups: 5,
    val_fraction: 0.2,
    neighbor_count: 5,
    ...rest,
  });

describe('training of every kind', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await backendCases[0].create();
  });
  afterAll(() => backend.dispose());

  it.each([
    ['supervised', { model: { model_type: 'supervised' } }, ['label_amplitude_mae', 'label_phase_mae']],
    ['baseline, two by two', { model: { model_type: 'supervised', architecture: 'baseline', gridsize: 2 } }, []],
    [
      'with losses of the object',
      { realspace_weight: 1, realspace_mae_weight: 1, tv_weight: 0.1 },
      ['tv', 'object_mae'],
    ],
    [
      'with a trained probe, accumulated and averaged',
      {
        probe_trainable: true,
        probe_learning_rate: 1e-3,
        weight_averaging: 0.5,
        execution: { accum_steps: 2 },
      },
      [],
    ],
    ['in stages', { stage_1_epochs: 1, stage_2_epochs: 1 }, ['physics_weight']],
    [
      'by the contract of counts',
      {
        scale_contract_version: 'ci_intensity_v2',
        // All of the scan, whose mean is that of the simulation.
        n_groups: 12,
        batch_size: 4,
        model: { cnn_output_mode: 'real_imag', physics_forward_mode: 'rectangular_scaled', rect_s1s2_init: 'data' },
      },
      [],
    ],
  ] as const)('%s', async (_, over, columns) => {
    const raw = scan();
    const { content, network, scan: prepared, result } = await trainModel(requestOf(over), { train: raw }, backend);
    expect(result.history).toHaveLength(2);
    const last = result.history[1];
    expect(Number.isFinite(last.loss)).toBe(true);
    expect(last.loss).not.toBe(result.history[0].loss);
    for (const column of columns) expect(last, column).toHaveProperty(column);

    const model = PtychoModel.of(content);
    const again = model.network(content.canvasSide_px);
    expect(again.parameters.map((p) => p.name)).toEqual(network.parameters.map((p) => p.name));
    const { dataset } = scanForModel(prepared, content);
    const batch = await dataset.batch([0, 1]);
    const predicted = await Promise.all(
      [network, again].map(async (n) => {
        const program = await backend.compile(n.predict(2), { constants: content.weights });
        const out = await program.run({ input: batch.diffraction, input_positions: batch.positions });
        await program.dispose();
        return out.object_real.data;
      }),
    );
    expect(maxDifference(predicted[0], predicted[1])).toBeLessThan(1e-6);
    const { probeFactor, countIntensity } = content.scale;
    expect(probeFactor).toBeCloseTo(1, 1);
    if ('scale_contract_version' in over) {
      expect(countIntensity?.meanMeasuredIntensity).toBeCloseTo(1e5 / N ** 2, 0);
      // The input scale of a count model is that of its training scan, to the bit of rounding.
      expect(dataset.inputScale / prepared.dataset.inputScale).toBeCloseTo(1, 6);
      expect(content.weights['rectangular.s1'].data[0]).not.toBe(1);
    } else expect(countIntensity).toBeUndefined();
    const moved = maxDifference(content.probe.re, network.spec.scale.probe.re);
    expect(moved > 0).toBe('probe_trainable' in over);
  });

  it('refuses missing labels before anything is built', async () => {
    const raw = scan({});
    let read = 0;
    const watched = {
      ...raw,
      patterns: new Proxy(raw.patterns, {
        get(target, key) {
          if (key === 'readAmplitudes') read++;
          const value = Reflect.get(target, key) as unknown;
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }),
    };
    for (const over of [{ model: { model_type: 'supervised' } }, { realspace_weight: 1, realspace_mae_weight: 1 }]) {
      const error = await prepareTraining(requestOf(over), { train: watched }).catch((e: unknown) => e);
      expect(isPtychoError(error, 'DATASET_KEY_MISSING') && error.message).toMatch(/^DATA-SUP-001: scan\.npz holds no/);
      expect(read).toBe(0);
    }
    await expect(
      prepareTraining(requestOf({ realspace_weight: 1, tv_weight: 1 }), { train: watched }),
    ).resolves.toBeDefined();
    expect(read).toBeGreaterThan(0);
  });

  it('refuses normalised amplitudes under the contract of counts', async () => {
    const raw = { ...scan(), domain: 'normalized_amplitude' as const };
    const request = requestOf({ scale_contract_version: 'ci_intensity_v2' });
    await expect(prepareTraining(request, { train: raw })).rejects.toThrow(
      /ci_intensity_v2 needs counted photons, but scan\.npz holds normalised amplitudes/,
    );
  });
});
