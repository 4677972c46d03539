/**
 * Finds out whether the engine has a layout of images in blocks of channels (`src/formats/onnx/blocked.ts`), of how many channels, and
 * whether it computes the same there. Which kernels it has depends on the processor.
 */
import { sizeOf } from '../../core/tensor.js';
import { encodeBlockTrial } from '../../formats/onnx/blocked.js';
import { encodeOnnx } from '../../formats/onnx/encode.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Arrays } from '../worker/host.js';
import { largestDifference } from './trialProgram.js';

/** Runs a model once. */
export type RunOnce = (
  model: Uint8Array,
  feeds: Arrays,
  shapes: Readonly<Record<string, readonly number[]>>,
  output: string,
) => Promise<Float32Array<ArrayBuffer>>;

/** Rounding apart, a convolution must come to the same. */
const TOLERANCE = 1e-5;

/**
 * Channels in a block; undefined where the engine has no such layout, or computes something else there.
 * @param tiles whether convolutions on tiles are to be tried, too, which takes most of the time
 */
export async function channelBlock(run: RunOnce, tiles: boolean): Promise<number | undefined> {
  try {
    const counted = Float32Array.from({ length: 32 }, (_, i) => i);
    const arranged = await run(encodeBlockTrial(), { x: counted }, { x: [1, 16, 2, 1] }, 'y');
    // Value 1 is the second pixel of the first channel: it comes after the first pixels of all channels of the block.
    const size = arranged.indexOf(1);
    if (size !== 8 && size !== 16) return undefined;
    return (await computesTheSame(run, size, tiles)) ? size : undefined;
  } catch {
    return undefined;
  }
}

async function computesTheSame(run: RunOnce, blocks: number, tiles: boolean): Promise<boolean> {
  for (const program of [blocksTrial(), ...(tiles ? [tilesTrial()] : [])]) {
    const shapes = Object.fromEntries([...program.inputs].map(([name, { shape }]) => [name, shape]));
    const feeds = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(1.3 * i + name.length)),
      ]),
    );
    const expected = await run(encodeOnnx(program), feeds, shapes, 'y');
    const found = await run(encodeOnnx(program, { blocks, taken: 'everywhere' }), feeds, shapes, 'y');
    if (!(largestDifference({ y: found }, { y: expected }).relative <= TOLERANCE)) return false;
  }
  return true;
}

function blocksTrial(): Program {
  const convolved = op.conv2d(op.input('x', [2, 16, 5, 6]), op.input('w', [32, 16, 3, 3]));
  const y = op.maxPool2(op.pad(op.relu(convolved), [0, 0, 0, 0], [0, 0, 1, 0]));
  return defineProgram({ name: 'blocks', outputs: { y } });
}

/** A convolution and the gradient of its kernel, which have all operators that tiles are made of; enough channels for whole groups of blocks and one more. */
function tilesTrial(): Program {
  const x = op.input('x', [2, 80, 6, 6]);
  const w = op.input('w', [80, 80, 3, 3]);
  const forward = op.relu(op.conv2d(x, w));
  const parts = [forward, op.mul(op.conv2dFilterGrad(x, forward, 3), 1 / 32)];
  const y = op.concat(
    parts.map((part) => op.reshape(part, [sizeOf(part.shape)])),
    0,
  );
  return defineProgram({ name: 'tiles', outputs: { y } });
}
