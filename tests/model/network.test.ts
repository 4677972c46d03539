import { describe, expect, it } from 'vitest';
import { modelConfigSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import { input } from '../../src/graph/ops.js';
import { initialWeights, ParameterScope } from '../../src/graph/parameters.js';
import { LOG_INTENSITY_SCALE, PtychoNetwork } from '../../src/model/network.js';
import { generatorOf } from '../../src/networks/architectures.js';
import { countParameters } from '../support/simulatedBatch.js';

const count = (model: Record<string, unknown>): number => {
  const config = modelConfigSchema.parse({ n_filters_scale: 2, ...model });
  const scope = new ParameterScope();
  generatorOf(config.architecture).layers(config, input('input', [2, config.gridsize ** 2, config.N, config.N]), scope);
  return countParameters(scope.specs);
};

describe('parameter counts', () => {
  it.each([
    [{ N: 64, gridsize: 1 }, 2_331_772],
    [{ N: 64, gridsize: 2 }, 2_340_208],
    [{ N: 128, gridsize: 1 }, 4_661_212],
    [{ N: 128, gridsize: 2 }, 4_667_056],
    [{ N: 256, gridsize: 1 }, 12_912_268],
    [{ N: 256, gridsize: 2 }, 12_916_816],
    [{ N: 64, gridsize: 1, probe_big: false }, 2_252_026],
    [{ N: 64, gridsize: 2, probe_big: false }, 2_257_000],
    [{ N: 64, gridsize: 1, pad_object: false }, 2_399_810],
    [{ N: 64, gridsize: 2, pad_object: false }, 2_405_000],
  ])('cnn %o has %i', (model, expected) => {
    expect(count({ architecture: 'cnn', ...model })).toBe(expected);
  });

  it.each([
    [{ N: 64, gridsize: 1 }, 2_339_896],
    [{ N: 64, gridsize: 1, cbam_encoder: false }, 2_328_374],
    [{ N: 64, gridsize: 2 }, 2_351_734],
    [{ N: 64, gridsize: 2, cbam_encoder: false }, 2_340_212],
    [{ N: 128, gridsize: 1 }, 4_727_900],
    [{ N: 128, gridsize: 1, cbam_encoder: false }, 4_716_118],
    [{ N: 128, gridsize: 2 }, 4_738_874],
    [{ N: 128, gridsize: 2, cbam_encoder: false }, 4_727_092],
  ])('cnn_cbam %o has %i', (model, expected) => {
    // The published figures count four scalars of its forward model (alpha, beta, s1, s2), which ours has not.
    expect(count({ architecture: 'cnn_cbam', ...model }) + 4).toBe(expected);
  });
});

const scale = {
  intensityScale: 10,
  meanCounts: 102_400,
  probe: { re: new Float32Array(64 * 64).fill(1), im: new Float32Array(64 * 64), shape: [64, 64] },
  probeFactor: 1,
  amplitudeGauge: 2,
};
const spec = (over: Record<string, unknown> = {}) => ({
  config: modelConfigSchema.parse({ N: 64, n_filters_scale: 1 }),
  scale,
  canvasSide_px: 64,
  meanAmplitude: 0.3,
  nll_weight: 1,
  mae_weight: 0,
  intensity_scale_trainable: true,
  ...over,
});

describe('PtychoNetwork', () => {
  it('adds one scalar, the intensity scale, when it is trained', () => {
    const trained = new PtychoNetwork(spec());
    const fixed = new PtychoNetwork(spec({ intensity_scale_trainable: false }));
    expect(countParameters(trained.parameters)).toBe(countParameters(fixed.parameters) + 1);
    expect(trained.initialWeights(0)[LOG_INTENSITY_SCALE].data[0]).toBeCloseTo(Math.log(10), 6);
  });

  it('draws the same weights from the same seed and others from another', () => {
    const { parameters } = new PtychoNetwork(spec());
    const [a, b, c] = [initialWeights(parameters, 3), initialWeights(parameters, 3), initialWeights(parameters, 4)];
    for (const { name } of parameters)
      expect(Buffer.from(a[name].data.buffer).equals(Buffer.from(b[name].data.buffer)), name).toBe(true);
    expect(a['encoder.0.conv1.weight'].data).not.toEqual(c['encoder.0.conv1.weight'].data);
    const limit = Math.sqrt(6 / (9 * (1 + 32)));
    const drawn = a['encoder.0.conv1.weight'].data;
    expect(Math.max(...drawn)).toBeLessThanOrEqual(limit);
    expect(Math.max(...drawn)).toBeGreaterThan(0.9 * limit);
    expect(a['encoder.0.conv1.bias'].data.every((v) => v === 0)).toBe(true);
  });

  it('declares the published signature even where one input is not needed', () => {
    const p = new PtychoNetwork(spec()).predict(3);
    expect([...p.inputs.keys()].sort()).toEqual(['input', 'input_positions']);
    expect(p.outputs.get('object_real')?.shape).toEqual([3, 1, 64, 64]);
  });

  it('refuses a side that no network takes, and names the nearest that are', () => {
    const config = { ...modelConfigSchema.parse({ N: 64 }), N: 100 };
    const build = () => new PtychoNetwork(spec({ config }));
    expect(build).toThrow(/100×100.*a multiple of 16 from 16 to 512; .*--crop_px 96.*--pad_to 112/);
    try {
      build();
    } catch (e) {
      expect(isPtychoError(e, 'MODEL_UNSUPPORTED')).toBe(true);
    }
  });
});
