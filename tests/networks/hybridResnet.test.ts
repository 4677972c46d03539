/** The network `hybrid_resnet` against a forward pass and its gradients in float64, and every option of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import type { Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import * as op from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { defineProgram } from '../../src/graph/program.js';
import { generatorOf } from '../../src/networks/architectures.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference, readGolden } from '../support/golden.js';
import { goldenName, turnedSpectral } from '../support/hybridGolden.js';
import { describeShared } from '../support/shared.js';

const config = (more: object = {}) =>
  modelConfigSchema.parse({
    N: 64,
    architecture: 'hybrid_resnet',
    fno_width: 8,
    fno_modes: 4,
    fno_blocks: 2,
    hybrid_resnet_blocks: 1,
    ...more,
  });

describeShared('hybrid_resnet against the golden file', () => {
  let golden: Awaited<ReturnType<typeof readGolden>>;
  beforeAll(async () => {
    golden = await readGolden('h_hybrid_resnet.npz');
  });
  afterAll(() => golden.close());

  const build = (more: object = {}) => {
    const scope = new ParameterScope();
    const x = op.input('input', [2, 1, 64, 64]);
    const painted = generatorOf('hybrid_resnet').layers(config(more), x, scope);
    return { scope, x, painted };
  };
  async function weightsFor(scope: ParameterScope): Promise<Record<string, Tensor>> {
    const weights: Record<string, Tensor> = {};
    for (const { name, shape } of scope.specs) {
      const found = await golden.float32(`W.${goldenName(name)}`);
      weights[name] = name.includes('.spectral.') ? turnedSpectral(found) : found;
      expect(weights[name].shape, name).toEqual(shape);
    }
    return weights;
  }

  describe.each(backendCases)('on $name', ({ create }) => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend.dispose());

    it('paints what it paints, and its gradients are the same', async () => {
      const { scope, x, painted } = build();
      const { real, imaginary } = painted.taps;
      const output = op.concat([real, imaginary], 1);
      const names = scope.specs.map(({ name }) => name);
      const nodes = names.map((name) => scope.nodes.get(name)!);
      const loss = op.reduceMean(op.square(output));
      const [dx, ...grads] = gradients(loss, [x, ...nodes]);
      const gradientOutputs = Object.fromEntries(names.map((name, i) => [`gradient of ${name}`, grads[i]]));
      const program = await backend.compile(
        defineProgram({ name: 'golden', outputs: { output, loss, dx, ...gradientOutputs } }),
      );
      const weights = await weightsFor(scope);
      const state = await backend.createState(weights);
      const found = await program.run({ input: await golden.float32('input') }, state);
      const expected = await golden.float32('output');
      expect(maxAbs(expected.data)).toBeGreaterThan(0.1);
      expect(maxDifference(found.output.data, expected.data)).toBeLessThan(1e-5);
      expect(found.loss.data[0]).toBeCloseTo(await golden.number('grad_loss'), 5);
      const dInput = (await golden.float32('grad_input')).data;
      expect(maxDifference(found.dx.data, dInput)).toBeLessThan(1e-5 * maxAbs(dInput));
      for (const name of names) {
        const gradient = await golden.float32(`G.${goldenName(name)}`);
        const { data } = name.includes('.spectral.') ? turnedSpectral(gradient) : gradient;
        // Biases before a normalisation have no slope but rounding.
        const largest = Math.max(1e-2, maxAbs(data));
        expect(maxDifference(found[`gradient of ${name}`].data, data) / largest, name).toBeLessThan(1e-5);
      }
      await state.dispose();
      await program.dispose();
    });

    it('joins skipped images and paints amplitude and phase as there', async () => {
      const skips = build({ hybrid_skip_connections: true });
      const polar = build({ generator_output_mode: 'amp_phase' });
      for (const [{ scope, painted }, taps, keys] of [
        [skips, ['real', 'imaginary'], ['output_skip_add']],
        [polar, ['amplitude', 'phase'], ['output_amp', 'output_phase']],
      ] as const) {
        const output = op.concat(
          taps.map((tap) => painted.taps[tap]),
          1,
        );
        const constants = await weightsFor(scope);
        const program = await backend.compile(defineProgram({ name: 'golden', outputs: { output } }), { constants });
        const found = await program.run({ input: await golden.float32('input') });
        const expected = await Promise.all(keys.map(async (key) => golden.float32(key)));
        const area = 64 * 64;
        expected.forEach(({ data }, i) => {
          const own = Float32Array.from({ length: data.length }, (_, p) => {
            const perImage = data.length / 2;
            const [image, at] = [Math.floor(p / perImage), p % perImage];
            return found.output.data[image * 2 * area + i * area + at];
          });
          expect(maxDifference(own, data), keys[i]).toBeLessThan(1e-5);
        });
        await program.dispose();
      }
    });
  });
});
