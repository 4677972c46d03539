/** Networks of sides that were never published: they learn, and both backends compute the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import { input } from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { generatorOf } from '../../src/networks/architectures.js';
import { backendCases } from '../support/backends.js';
import { lossDrop } from '../support/lossDrop.js';

const ARCHITECTURES = ['cnn', 'cnn_cbam', 'baseline'] as const;
const SIDES = Array.from({ length: 32 }, (_, i) => 16 * (i + 1));

/** Name and shape of every parameter, in order. */
function parametersOf(architecture: string, N: number): unknown[] {
  const config = modelConfigSchema.parse({ N, architecture });
  const scope = new ParameterScope();
  const { object } = generatorOf(architecture).layers(config, input('input', [1, 1, N, N]), scope);
  expect(object.re.shape, `${architecture} ${N}`).toEqual([1, 1, N, N]);
  return scope.specs.map(({ name, shape }) => [name, shape]);
}

describe.each(ARCHITECTURES)('%s', (architecture) => {
  it('has the parameters of the next smaller published side, below 64 those of 64', () => {
    for (const N of SIDES) {
      const published = [256, 128, 64].find((side) => side <= N) ?? 64;
      expect(parametersOf(architecture, N), `${N}`).toEqual(parametersOf(architecture, published));
    }
  });
});

describe.each(backendCases)('training on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  it.each([
    { N: 16, gridsize: 2 },
    { N: 48, gridsize: 1 },
    { N: 96, gridsize: 1 },
  ] as const)('$N, gridsize $gridsize: a step along the gradient lowers the loss by what it says', async (model) => {
    const drop = await lossDrop(backend, { ...model, architecture: 'cnn', n_filters_scale: 1, batch: 2 });
    expect(drop).toBeGreaterThan(0.85);
    expect(drop).toBeLessThan(1.15);
  });
});
