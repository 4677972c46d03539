/**
 * Finds out whether the engine has a layout of images in blocks of channels (`src/formats/onnx/blocked.ts`), of how many channels, and
 * whether it computes the same there. Which kernels it has depends on the processor.
 */
import { encodeBlockTrial } from '../../formats/onnx/blocked.js';
import { encodeOnnx } from '../../formats/onnx/encode.js';
import * as op from '../../graph/ops.js';
import { defineProgram } from '../../graph/program.js';
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

/** Channels in a block; undefined where the engine has no such layout, or computes something else there. */
export async function channelBlock(run: RunOnce): Promise<number | undefined> {
  try {
    const counted = Float32Array.from({ length: 32 }, (_, i) => i);
    const arranged = await run(encodeBlockTrial(), { x: counted }, { x: [1, 16, 2, 1] }, 'y');
    // Value 1 is the second pixel of the first channel: it comes after the first pixels of all channels of the block.
    const size = arranged.indexOf(1);
    if (size !== 8 && size !== 16) return undefined;
    return (await computesTheSame(run, size)) ? size : undefined;
  } catch {
    return undefined;
  }
}

async function computesTheSame(run: RunOnce, blocks: number): Promise<boolean> {
  const shapes = { x: [2, 16, 5, 6], w: [32, 16, 3, 3] };
  const y = op.maxPool2(
    op.pad(op.relu(op.conv2d(op.input('x', shapes.x), op.input('w', shapes.w))), [0, 0, 0, 0], [0, 0, 1, 0]),
  );
  const program = defineProgram({ name: 'blocks', outputs: { y } });
  const feeds = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i + name.length)),
    ]),
  );
  const expected = await run(encodeOnnx(program), feeds, shapes, 'y');
  const found = await run(encodeOnnx(program, { blocks }), feeds, shapes, 'y');
  return largestDifference({ y: found }, { y: expected }).relative <= TOLERANCE;
}
