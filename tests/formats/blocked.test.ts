/** Images in blocks of channels: programs compute the same, gradients too, and use the layout where it pays. */
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { channelBlock, type RunOnce } from '../../src/backends/onnx/channelBlocks.js';
import { LegacyRng } from '../../src/core/rng.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { type EncodeOptions, encodeOnnx } from '../../src/formats/onnx/encode.js';
import { layoutOf } from '../../src/formats/onnx/pays.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';
import { maxAbs, maxDifference } from '../support/golden.js';

const session = (bytes: Uint8Array, graphOptimizationLevel: 'extended' | 'all' = 'extended') =>
  ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, graphOptimizationLevel });

const onEngine: RunOnce = async (model, feeds, shapes, output) => {
  const opened = await session(model);
  const inputs = Object.entries(feeds).map(([name, data]) => [name, new ort.Tensor('float32', data, shapes[name])]);
  const { [output]: result } = await opened.run(Object.fromEntries(inputs));
  await opened.release();
  return result.data as Float32Array<ArrayBuffer>;
};

const size = await channelBlock(onEngine, true);

/** Without a pattern, so that sums over channels do not cancel to a few thousandths of what is summed. */
const value = (name: string, shape: readonly number[]): Tensor => {
  const rng = new LegacyRng(name.length);
  const scale = name === 'x' ? 1 : 0.1;
  return { data: Float32Array.from({ length: sizeOf(shape) }, () => rng.uniform(-scale, scale)), shape };
};

/** What the program gives, encoded with these options. */
async function results(program: Program, options: EncodeOptions = {}, level: 'extended' | 'all' = 'extended') {
  const opened = await session(encodeOnnx(program, options), level);
  const feeds: Record<string, ort.Tensor> = {};
  const give = (graphName: string, node: GraphNode) => {
    const { data, shape } = value(graphName.replace('state:', ''), node.shape);
    feeds[graphName] = new ort.Tensor('float32', data, shape);
  };
  for (const [name, node] of program.inputs) give(name, node);
  for (const [name, node] of program.state) if (!options.constants?.[name]) give(`state:${name}`, node);
  const found = await opened.run(feeds);
  await opened.release();
  return found;
}

async function expectTheSame(program: Program, options: EncodeOptions, level: 'extended' | 'all' = 'extended') {
  const expected = await results(program);
  const found = await results(program, options, level);
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const [name, { data, dims }] of Object.entries(expected)) {
    expect(found[name].dims, name).toEqual(dims);
    const scale = maxAbs(data as Float32Array);
    expect(scale, name).toBeGreaterThan(0);
    expect(maxDifference(found[name].data as Float32Array, data as Float32Array) / scale, name).toBeLessThan(1e-5);
  }
}

/** Outputs, and the gradients of the mean square of all of them by every weight and the image. */
function withGradients(outputs: Record<string, GraphNode>): Program {
  const loss = Object.values(outputs)
    .map((y) => op.reduceMean(op.square(y)))
    .reduce((a, b) => op.add(a, b));
  const { state, inputs } = defineProgram({ name: 'leaves', outputs });
  const leaves = [...inputs, ...state];
  const grads = gradients(
    loss,
    leaves.map(([, node]) => node),
  );
  const derived = leaves.map(([name], i) => [`d_${name}`, grads[i]] as const);
  return defineProgram({ name: 'blocks', outputs: { ...outputs, ...Object.fromEntries(derived) } });
}

const blockOps = (program: Program, options: EncodeOptions) =>
  Buffer.from(encodeOnnx(program, options)).toString('latin1').split('com.microsoft.nchwc').length - 2;

const B = 8;
const S = 16;
const x = op.input('x', [B, 32, S, S]);
const w = (name: string, ...shape: number[]) => op.state(name, shape);

const cases: Record<string, () => Record<string, GraphNode>> = {
  'one channel in, ReLU with the convolution, pooling': () => {
    const image = op.input('image', [B, 1, S, S]);
    const first = op.relu(op.conv2d(image, w('a', 32, 1, 3, 3), w('a bias', 32)));
    return { y: op.maxPool2(op.relu(op.conv2d(first, w('b', 32, 32, 3, 3), w('b bias', 32)))) };
  },
  'a result before its ReLU': () => {
    const before = op.conv2d(x, w('a', 32, 32, 3, 3));
    return { before, after: op.relu(before) };
  },
  'mirrored, GELU, added to the image': () => {
    const inner = op.gelu(op.conv2d(op.reflectPad(x, 1), w('a', 32, 32, 3, 3), w('bias', 32), 'layer', 'none'));
    return {
      y: op.add(x, op.mul(op.conv2d(op.reflectPad(inner, 1), w('b', 32, 32, 3, 3), undefined, 'l', 'none'), 0.3)),
    };
  },
  'normalised, by channel': () => {
    const y = op.conv2d(x, w('a', 32, 32, 3, 3));
    const centred = op.sub(y, op.reduceMean(y, [2, 3], true));
    const scaled = op.div(centred, op.sqrt(op.add(op.reduceMean(op.square(centred), [2, 3], true), 1e-3)));
    return { y: op.conv2d(op.gelu(op.mul(scaled, op.reshape(w('s', 32), [1, 32, 1, 1]))), w('b', 16, 32, 3, 3)) };
  },
  'single pixels between': () => {
    const y = op.conv2d(op.gelu(op.conv2d(x, w('a', 32, 32, 3, 3))), w('point', 48, 32, 1, 1), w('bias', 48));
    return { y: op.conv2d(y, w('head', 2, 48, 1, 1)) };
  },
  'doubled by a transposed kernel': () => ({
    y: op.relu(op.transposedConv2d(op.relu(op.conv2d(x, w('a', 32, 32, 3, 3))), w('t', 32, 16, 4, 4), w('bias', 16))),
  }),
  'doubled before a convolution': () => ({
    y: op.relu(op.upConv2d(op.relu(op.conv2d(x, w('a', 32, 32, 3, 3))), w('u', 16, 32, 3, 3), w('bias', 16))),
    wide: op.upConv2d(op.sliceAxis(x, 1, 0, 4), w('v', 32, 4, 3, 3)),
  }),
  'cut and joined, along channels and rows': () => {
    const y = op.relu(op.conv2d(x, w('a', 48, 32, 3, 3)));
    const joined = op.concat([op.sliceAxis(y, 1, 16, 32), x], 1);
    const odd = op.sliceAxis(y, 1, 5, 20);
    const framed = op.pad(op.sliceAxis(joined, 2, 2, 10), [0, 0, 1, 3], [0, 0, 5, 0]);
    return { y: op.conv2d(framed, w('b', 16, 64, 3, 3)), odd, doubled: op.upsampleNearest2(op.maxPool2(y)) };
  },
};

/** Enough channels and pixels for Winograd's algorithm. */
const wide = op.input('wide', [4, 128, 16, 16]);
const tiled: Record<string, () => Record<string, GraphNode>> = {
  'bias and ReLU, then kept as it is': () => {
    const inner = op.relu(op.conv2d(wide, w('a', 128, 128, 3, 3), w('a bias', 128)));
    return { y: op.conv2d(inner, w('b', 128, 128, 3, 3)) };
  },
  'more channels, pooled': () => {
    const inner = op.relu(op.conv2d(wide, w('a', 256, 128, 3, 3), w('a bias', 256)));
    return { y: op.maxPool2(op.relu(op.conv2d(inner, w('b', 128, 256, 3, 3), w('b bias', 128)))) };
  },
  'mirrored frames, so that the gradient has larger sides': () => ({
    y: op.conv2d(op.reflectPad(wide, 1), w('a', 128, 128, 3, 3), w('bias', 128), 'layer', 'none'),
  }),
  'zeros outside and none, sides of unequal length': () => {
    const part = op.sliceAxis(op.concat([wide, wide], 0), 2, 0, 10);
    return { y: op.conv2d(op.conv2d(part, w('a', 128, 128, 3, 3)), w('b', 128, 128, 3, 3), undefined, 'l', 'none') };
  },
};

describe('images in blocks of channels', () => {
  // Engines of some processors have no such layout.
  it.skipIf(size === undefined).each(Object.entries(cases))(
    'computes the same, and its gradients: %s',
    async (_, make) => {
      const program = withGradients(make());
      expect(blockOps(program, { blocks: size })).toBeGreaterThan(4);
      await expectTheSame(program, { blocks: size });
    },
  );

  it.skipIf(size === undefined).each(Object.entries(tiled))(
    'computes the same on tiles, and its gradients: %s',
    async (_, make) => {
      const program = withGradients(make());
      // 20 filters of the image and 16 products for each convolution, 40 filters and 32 moves for the gradient of a kernel.
      expect(blockOps(program, { blocks: size })).toBeGreaterThan(70);
      await expectTheSame(program, { blocks: size });
    },
  );

  it.skipIf(size === undefined)('computes no tiles of odd sides, nor of few pixels', () => {
    const odd = op.conv2d(op.sliceAxis(wide, 3, 0, 15), w('a', 128, 128, 3, 3));
    const few = op.conv2d(op.sliceAxis(wide, 0, 0, 2), w('a', 128, 128, 3, 3));
    for (const y of [odd, few]) {
      expect(blockOps(withGradients({ y }), { blocks: size })).toBeLessThan(20);
    }
  });

  // Five images at once fit into a cache: eight are taken as four and four, seven as four and three.
  it.skipIf(size === undefined).each([8, 7])(
    'pools tiles of %i images, some at a time, without putting the image together',
    async (count) => {
      const image = op.input('image', [count, 128, 32, 32]);
      const inner = op.relu(op.conv2d(image, w('a', 128, 128, 3, 3), w('bias', 128)));
      const program = defineProgram({ name: 'predict', outputs: { y: op.maxPool2(inner) } });
      const constants = Object.fromEntries([...program.state].map(([name, { shape }]) => [name, value(name, shape)]));
      const model = Buffer.from(encodeOnnx(program, { blocks: size, constants })).toString('latin1');
      expect(model).not.toContain('MaxPool');
      expect(model.split('Max#').length).toBeGreaterThan(2);
      await expectTheSame(program, { blocks: size, constants }, 'all');
    },
  );

  it.skipIf(size === undefined)('computes the same with constant weights, at any number of pixels', async () => {
    const small = op.input('x', [1, 32, 4, 4]);
    const y = op.conv2d(op.relu(op.conv2d(small, w('a', 32, 32, 3, 3))), w('b', 32, 32, 3, 3));
    const program = defineProgram({ name: 'predict', outputs: { y } });
    const constants = Object.fromEntries([...program.state].map(([name, { shape }]) => [name, value(name, shape)]));
    expect(blockOps(program, { blocks: size, constants })).toBeGreaterThan(2);
    expect(blockOps(program, { blocks: size })).toBe(-1);
    await expectTheSame(program, { blocks: size, constants }, 'all');
  });

  it('paints an image alike whoever shares its batch', async () => {
    const painted = async (count: number) => {
      const images = op.input('x', [count, 128, 16, 16]);
      const y = op.conv2d(op.relu(op.conv2d(images, w('a', 128, 128, 3, 3))), w('b', 128, 128, 3, 3));
      const program = defineProgram({ name: 'predict', outputs: { y } });
      const constants = Object.fromEntries([...program.state].map(([name, { shape }]) => [name, value(name, shape)]));
      const { y: found } = await results(program, { blocks: size, constants }, 'all');
      return (found.data as Float32Array).slice(0, 128 * 256);
    };
    // The first images are the same numbers: shards of a scan end with other batches than the whole.
    const alone = await painted(1);
    expect(maxAbs(alone)).toBeGreaterThan(0.1);
    for (const count of [2, 3, 7, 16]) expect(maxDifference(await painted(count), alone), `${count} images`).toBe(0);
  });

  it('gives the same model in every layout where it says that there are no blocks', () => {
    const programs = [
      withGradients({ odd: op.conv2d(x, w('a', 20, 32, 3, 3)), point: op.conv2d(x, w('b', 32, 32, 1, 1)) }),
      withGradients({
        y: op.conv2d(op.relu(op.conv2d(op.sliceAxis(x, 0, 0, 2), w('a', 32, 32, 3, 3))), w('b', 16, 32, 3, 3)),
      }),
      withGradients({ y: op.upConv2d(op.sliceAxis(x, 0, 0, 1), w('u', 16, 32, 3, 3)) }),
    ];
    for (const program of programs) {
      expect(layoutOf(program, () => false)).toEqual({ blocks: false, tiles: false });
      for (const blocks of [8, 16])
        expect(Buffer.compare(encodeOnnx(program, { blocks }), encodeOnnx(program))).toBe(0);
    }
  });

  it.each(Object.entries(cases))('says that there are blocks, and no tiles: %s', (_, make) => {
    expect(layoutOf(withGradients(make()), () => false)).toEqual({ blocks: true, tiles: false });
  });

  it.each(Object.entries(tiled))('says that there are tiles: %s', (_, make) => {
    expect(layoutOf(withGradients(make()), () => false)).toEqual({ blocks: true, tiles: true });
  });

  it.each([
    [16, false],
    [128, true],
  ])('decides alike for every batch where weights are constant: %i channels', (channels, tiles) => {
    const layouts = [1, 2, 5, 16, 64].map((count) => {
      const y = op.conv2d(op.input('x', [count, channels, 16, 16]), w('a', channels, channels, 3, 3));
      return layoutOf(defineProgram({ name: 'predict', outputs: { y } }), (node) => node.op === 'state');
    });
    for (const layout of layouts) expect(layout).toEqual({ blocks: true, tiles });
  });

  it('leaves channels that fill no block, and single pixels of plain images, as they are', () => {
    const odd = op.conv2d(x, w('a', 20, 32, 3, 3));
    const point = op.conv2d(x, w('b', 32, 32, 1, 1));
    const program = withGradients({ odd, point });
    expect(blockOps(program, { blocks: 16 })).toBe(-1);
  });

  it.skipIf(size === undefined)('is tried with what it is made of', async () => {
    const models: string[] = [];
    const recorded: RunOnce = (model, ...rest) => {
      models.push(Buffer.from(model).toString('latin1'));
      return onEngine(model, ...rest);
    };
    expect(await channelBlock(recorded, true)).toBe(size);
    // The arrangement; a layer plain and in blocks; a layer and the gradient of its kernel plain and on tiles.
    const counts = models.map((model) => model.split('com.microsoft.nchwc').length - 1);
    expect([counts[1], counts[3]]).toEqual([0, 0]);
    expect(counts[2]).toBeGreaterThan(2);
    expect(counts[4]).toBeGreaterThan(70);
  });

  it('takes a layout for absent where the engine refuses it or counts otherwise', async () => {
    expect(await channelBlock(() => Promise.reject(new Error('no kernel')), true)).toBeUndefined();
    expect(await channelBlock(async (_, { x: counted }) => counted.slice(), true)).toBeUndefined();
    const honest: RunOnce = async (...args) => {
      const values = await onEngine(...args);
      return args[3] === 'y' && 'w' in args[1] ? values.map((v, i) => (i === 3 ? v + 1 : v)) : values;
    };
    // Wrong in both layouts alike is nothing that a comparison of them can tell; wrong in one of them is.
    const wrongAt = (call: number): RunOnce => {
      let calls = 0;
      return async (...args) => (++calls === call ? honest(...args) : onEngine(...args));
    };
    // The layout itself, and tiles in it.
    expect(await channelBlock(wrongAt(3), true)).toBeUndefined();
    expect(await channelBlock(wrongAt(5), true)).toBeUndefined();
    expect(await channelBlock(wrongAt(6), true)).toBe(size);
    expect(await channelBlock(wrongAt(5), false)).toBe(size);
  });
});
