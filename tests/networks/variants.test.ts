/** Networks of which no numbers are published: each against a transcription of its description in float64, on both engines. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import { LegacyRng } from '../../src/core/rng.js';
import * as op from '../../src/graph/ops.js';
import { initialWeights, ParameterScope } from '../../src/graph/parameters.js';
import { defineProgram } from '../../src/graph/program.js';
import { generatorOf } from '../../src/networks/architectures.js';
import { backendCases } from '../support/backends.js';
import { maxAbs } from '../support/golden.js';
import {
  add,
  beside,
  conv,
  depthwise,
  doubled,
  factorised,
  gelu,
  halving,
  type Image,
  instanceNorm,
  map,
  spectral,
  transposed,
  type Weights,
} from '../support/plainLayers.js';

const N = 16;
const SMALL = {
  N,
  fno_width: 4,
  fno_modes: 3,
  spectral_bottleneck_blocks: 2,
  spectral_bottleneck_modes: 2,
  ffno_encoder_blocks: 2,
  ffno_encoder_modes: 3,
  hybrid_resnet_blocks: 2,
};
const SHELL = 3;

const lifted = (x: Image, w: Weights) => conv(gelu(conv(x, w, 'lifter.conv1')), w, 'lifter.conv2');
const times = (x: Image, w: Weights, name: string) => map(x, (v, c) => v * (w[name].data[c] ?? w[name].data[0]));

/** Blocks x + g·W₂ GELU(W₁ IN(S x)). */
function stack(x: Image, w: Weights, prefix: string, blocks: number): Image {
  let h = x;
  for (let i = 0; i < blocks; i++) {
    const name = `${prefix}block.${i}`;
    const even = instanceNorm(factorised(h, w, `${prefix}blocks.spectral`), w, `${name}.norm`);
    const change = conv(gelu(conv(even, w, `${name}.wide`)), w, `${name}.narrow`);
    h = add(h, times(change, w, `${prefix}blocks.scale`));
  }
  return h;
}

function residual(x: Image, w: Weights, name: string): Image {
  const once = (v: Image, i: number) => instanceNorm(conv(v, w, `${name}.conv${i}`, 'mirror'), w, `${name}.norm${i}`);
  return once(gelu(once(x, 1)), 2);
}

interface Parts {
  readonly blocks?: number;
  readonly first?: (x: Image, w: Weights) => Image;
  readonly last?: (x: Image, w: Weights) => Image;
  readonly bottleneck?: (x: Image, w: Weights) => Image;
  readonly doubling?: (x: Image, w: Weights, name: string) => Image;
}

/** The shell of hybrid_resnet: two encoder blocks that are halved behind, `blocks` in all. */
const shell =
  ({ blocks = SHELL, first = (x) => x, last = (x) => x, bottleneck, doubling }: Parts) =>
  (x: Image, w: Weights): Image => {
    let h = first(lifted(x, w), w);
    for (let i = 0; i < blocks; i++) {
      const name = `encoder.${i}`;
      const local = conv(
        conv(conv(h, w, `${name}.local.in`), w, `${name}.local.conv`, 'mirror'),
        w,
        `${name}.local.out`,
      );
      h = add(h, gelu(add(spectral(h, w, `${name}.spectral`), local)));
      if (i < 2) h = halving(h, w, `down.${i}`);
    }
    h = last(h, w);
    if (bottleneck) h = bottleneck(h, w);
    else for (let j = 0; j < 2; j++) h = add(h, times(residual(h, w, `bottleneck.${j}`), w, 'bottleneck.scale'));
    for (const name of ['up.0', 'up.1']) {
      h = doubling ? doubling(h, w, name) : gelu(instanceNorm(transposed(h, w, name), w, `${name}.norm`));
    }
    return conv(h, w, 'head');
  };

function uShaped(x: Image, w: Weights, stable: boolean): Image {
  const block = (v: Image, name: string) => {
    const change = gelu(add(spectral(v, w, `${name}.spectral`), conv(v, w, `${name}.local`)));
    return add(v, stable ? times(instanceNorm(change, w, `${name}.norm`), w, `${name}.scale`) : change);
  };
  let h = lifted(x, w);
  const skips: Image[] = [];
  for (const i of [0, 1]) {
    h = block(h, `encoder.${i}`);
    skips.push(h);
    h = halving(h, w, `down.${i}`);
  }
  h = block(block(h, 'encoder.2'), 'bottleneck');
  for (const u of [0, 1]) {
    const both = beside(transposed(h, w, `up.${u}`), skips[1 - u]);
    h = conv(gelu(conv(both, w, `decoder.${u}.conv1`)), w, `decoder.${u}.conv2`);
  }
  return conv(h, w, 'head');
}

const CASES: Readonly<Record<string, (x: Image, w: Weights) => Image>> = {
  hybrid: (x, w) => uShaped(x, w, false),
  stable_hybrid: (x, w) => uShaped(x, w, true),
  hybrid_resnet_convnext_bottleneck: shell({
    bottleneck: (x, w) => {
      let h = x;
      for (const name of ['bottleneck.0', 'bottleneck.1']) {
        const even = instanceNorm(depthwise(h, w, `${name}.depthwise`), w, `${name}.norm`);
        h = add(h, times(conv(gelu(conv(even, w, `${name}.wide`)), w, `${name}.narrow`), w, 'bottleneck.scale'));
      }
      return h;
    },
  }),
  hybrid_resnet_ffno_bottleneck: shell({ bottleneck: (x, w) => stack(x, w, 'bottleneck.', 2) }),
  hybrid_resnet_ffno_ptychoblock_encoder: shell({ blocks: 2, first: (x, w) => stack(x, w, 'ffno.', 2) }),
  hybrid_resnet_ptychoblock_ffno_encoder: shell({ blocks: 2, last: (x, w) => stack(x, w, 'ffno.', 2) }),
  spectral_resnet_bottleneck_linear_decoder: shell({
    bottleneck: (x, w) => {
      let h = x;
      for (const name of ['bottleneck.0', 'bottleneck.1']) {
        const body = times(residual(h, w, name), w, 'bottleneck.scale');
        h = add(add(h, body), times(factorised(h, w, 'bottleneck.spectral'), w, 'bottleneck.spectral.scale'));
      }
      return h;
    },
    doubling: (x, w, name) => conv(doubled(x), w, name),
  }),
};

function build(architecture: string) {
  const { fields } = generatorOf(architecture);
  const own = Object.entries({ ...SMALL, fno_blocks: SHELL }).filter(([name]) => name === 'N' || name in fields);
  const config = modelConfigSchema.parse({ architecture, ...Object.fromEntries(own) });
  const scope = new ParameterScope();
  const x = op.input('input', [2, 1, N, N]);
  const { taps } = generatorOf(architecture).layers(config, x, scope);
  const program = defineProgram({ name: architecture, outputs: { output: op.concat([taps.real, taps.imaginary], 1) } });
  const rng = new LegacyRng(3);
  // Where a parameter begins at one value, any other tells more.
  const weights = Object.fromEntries(
    Object.entries(initialWeights(scope.specs, 7)).map(([name, { data, shape }]) => [
      name,
      { data: data.map((v) => v + 0.1 * rng.normal(0, 1)), shape },
    ]),
  );
  const input = { data: Float32Array.from({ length: 2 * N * N }, () => rng.uniform(0, 2)), shape: [2, 1, N, N] };
  return { program, weights, input };
}

const expected = new Map<string, Float64Array>();

/** Of the second image of a batch. */
function expectedOf(architecture: string, { input, weights }: ReturnType<typeof build>): Float64Array {
  const known = expected.get(architecture);
  if (known) return known;
  const { data } = CASES[architecture](
    { data: Float64Array.from(input.data.subarray(N * N)), channels: 1, side: N },
    weights,
  );
  expected.set(architecture, data);
  return data;
}

describe.each(backendCases)('on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  it.each(Object.keys(CASES))('%s', async (architecture) => {
    const built = build(architecture);
    const compiled = await backend.compile(built.program, { constants: built.weights });
    const { output } = await compiled.run({ input: built.input });
    await compiled.dispose();
    const data = expectedOf(architecture, built);
    expect(data.length).toBe(2 * N * N);
    const largest = maxAbs(Float32Array.from(data));
    expect(largest).toBeGreaterThan(0.1);
    data.forEach((v, i) => {
      expect(Math.abs(v - output.data[2 * N * N + i])).toBeLessThan(2e-5 * largest);
    });
  });
});
