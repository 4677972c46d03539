/**
 * Kernels for engines that compute in memory that we can reach: convolutions and matrix products are the engine's, the
 * rest are loops. Gradients of convolutions are written as the convolutions and products that these engines are good at.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type Shape, sizeOf } from '../../../core/tensor.js';
import { broadcastShape } from '../../../graph/ops.js';
import { joinedTransposition } from '../layout.js';
import type { PointFunction, Reduction, Tf, TfTensor, TfTensor2D, TfTensor4D, Weights } from './kernels.js';
import * as loops from './loops.js';
import { StandardKernels } from './standard.js';

/** Access to an engine's memory. */
export interface HostMemory {
  /** The values of a tensor, not to be kept: the next tensor may move them. */
  view(x: TfTensor): Float32Array;
  /** A tensor that `fill` writes; views are taken inside `fill`. */
  create(shape: Shape, fill: (out: Float32Array) => void): TfTensor;
}

/** Values that the shifted copies of a chunk hold: it bounds the memory, and from 3 to 10 million the speed is the same. */
const CHUNK_VALUES = 5_000_000;

class HostKernels extends StandardKernels {
  readonly #memory: HostMemory;

  constructor(tf: Tf, memory: HostMemory) {
    super(tf);
    this.#memory = memory;
  }

  /** The adjoint of a convolution is one with the kernel turned by 180° and its channels swapped. */
  override conv2dInputGrad(dy: TfTensor4D, w: Weights, padding: number): TfTensor {
    const [k, , ci, co] = w.tensor.shape;
    const kernel = w.derived('turned', () =>
      this.#create([k, k, co, ci], (out) => loops.turned(this.#view(w.tensor), w.tensor.shape, out)),
    ) as TfTensor4D;
    if (padding === (k - 1) / 2) return this.tf.conv2d(dy, kernel, 1, 'same');
    const frame = framed(k - 1 - padding);
    return this.tf.fused.conv2d({ x: dy, filter: kernel, strides: 1, pad: frame, activation: 'linear' });
  }

  /**
   * Products of shifted channels of x with the pixels of dy, summed over chunks of images. Both have zeros after their
   * rows, so that every shift is one copy. (As a convolution it takes twice as long.)
   */
  override conv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D, k: number, padding: number): TfTensor {
    const q = (k - 1) / 2 - padding;
    // A convolution without padding is the middle of one with it.
    if (q > 0) return this.conv2dFilterGrad(x, this.tf.pad(dy, framed(q)) as TfTensor4D, k, padding + q);
    const [, h, w, ci] = x.shape;
    const co = dy.shape[3];
    const gap = (k - 1) / 2;
    const first = gap * (w + gap) + gap;
    const shifts = Array.from({ length: k * k }, (_, i) => Math.floor(i / k) * (w + gap) + (i % k));
    const sum = this.#chunks(x.shape[0], (h + gap) * (w + gap), k * k * ci, co, (from, to, pixels) => {
      const length = pixels + 2 * first;
      const lines = this.#create([ci, length], (out) =>
        loops.channelLines(this.#view(x), x.shape, from, to, { gap, first, length }, out),
      );
      const columns = this.#create([pixels, co], (out) =>
        loops.gappedPixels(this.#view(dy), dy.shape, from, to, gap, out),
      );
      return [this.#shifted(lines, shifts, pixels), columns];
    });
    return this.tf.reshape(sum, [k, k, ci, co]);
  }

  override transposedConv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined): TfTensor {
    const [, , co, ci] = w.tensor.shape;
    const kernel = w.derived('blocks', () =>
      this.#create([2, 2, ci, 4 * co], (out) => loops.blockKernel(this.#view(w.tensor), w.tensor.shape, out)),
    );
    return this.#blockConv(x, kernel as TfTensor4D, bias, false);
  }

  override transposedConv2dInputGrad(dy: TfTensor4D, w: Weights): TfTensor {
    const [, , co, ci] = w.tensor.shape;
    const kernel = w.derived('blocks of dy', () =>
      this.#create([2, 2, 4 * co, ci], (out) => loops.rowsToBlocks(this.#view(w.tensor), w.tensor.shape, out)),
    );
    return this.tf.conv2d(this.#blocks(dy), kernel as TfTensor4D, 1, 'valid');
  }

  override transposedConv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D): TfTensor {
    const shape = [4, 4, dy.shape[3], x.shape[3]];
    const sum = this.#blockProducts(x, dy);
    return this.#create(shape, (out) => loops.blocksToRows(this.#view(sum), shape, out));
  }

  override upConv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined, relu: boolean): TfTensor {
    const [, , ci, co] = w.tensor.shape;
    const kernel = w.derived('box', () =>
      this.#create([2, 2, ci, 4 * co], (out) => loops.boxKernel(this.#view(w.tensor), w.tensor.shape, out)),
    );
    return this.#blockConv(x, kernel as TfTensor4D, bias, relu);
  }

  override upConv2dInputGrad(dy: TfTensor4D, w: Weights): TfTensor {
    const [, , ci, co] = w.tensor.shape;
    const kernel = w.derived('turned box', () =>
      this.#create([2, 2, 4 * co, ci], (out) => loops.turnedBoxKernel(this.#view(w.tensor), w.tensor.shape, out)),
    );
    return this.tf.conv2d(this.#blocks(dy), kernel as TfTensor4D, 1, 'valid');
  }

  override upConv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D): TfTensor {
    const sum = this.#blockProducts(x, dy);
    const shape = [3, 3, x.shape[3], dy.shape[3]];
    return this.#create(shape, (out) => loops.boxKernelAdjoint(this.#view(sum), shape, out));
  }

  override maxPool2Grad(x: TfTensor4D, y: TfTensor4D, dy: TfTensor4D): TfTensor {
    const view = this.#view;
    return this.#create(x.shape, (out) => loops.maxPoolGradient(view(x), view(y), view(dy), x.shape, out));
  }

  override doubled(x: TfTensor4D): TfTensor {
    const [b, h, w, c] = x.shape;
    return this.#create([b, 2 * h, 2 * w, c], (out) => loops.doubled(this.#view(x), x.shape, out));
  }

  /** Products of single matrices: with more at a time these engines are many times slower. */
  override matmul(a: TfTensor, b: TfTensor): TfTensor {
    const { tf } = this;
    const [m, k] = a.shape.slice(-2);
    const n = b.shape[b.shape.length - 1];
    if (b.size === k * n) return super.matmul(a, b);
    const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
    const lead = broadcastShape(leadA, leadB)!;
    const [pa, pb] = [sources(lead, leadA), sources(lead, leadB)];
    const product = this.#create([...lead, m, n], () => {});
    pa.forEach((_, i) => {
      tf.tidy(() => {
        const part = tf.matMul(this.#part(a, pa[i], [m, k]), this.#part(b, pb[i], [k, n]));
        this.#view(product).set(this.#view(part), i * m * n);
      });
    });
    return product;
  }

  override transpose(x: TfTensor, permutation: readonly number[]): TfTensor {
    const joined = joinedTransposition(x.shape, permutation);
    const shape = permutation.map((axis) => x.shape[axis]);
    // [outer, rows, columns] → [outer, columns, rows] covers nearly all that programs ask for.
    const order = joined.permutation.join();
    if (order !== '1,0' && order !== '0,2,1') return super.transpose(x, permutation);
    const [rows, columns] = joined.shape.slice(-2);
    const area = rows * columns;
    return this.#create(shape, (out) => {
      const values = this.#view(x);
      for (let at = 0; at < values.length; at += area) {
        loops.transposeMatrix(values.subarray(at, at + area), rows, columns, out.subarray(at, at + area));
      }
    });
  }

  override slice(x: TfTensor, start: readonly number[], size: readonly number[]): TfTensor {
    return this.#create(size, (out) => loops.sliceBlock(this.#view(x), x.shape, start, size, out));
  }

  override reduce(kind: Reduction, x: TfTensor, axes: readonly number[], keepDims: boolean): TfTensor {
    let shape = [...x.shape];
    let result = x;
    // Neighbouring axes are reduced together, the last ones first: positions before them stay what they are.
    for (let last = axes.length - 1; last >= 0; ) {
      let first = last;
      while (first > 0 && axes[first - 1] === axes[first] - 1) first--;
      const [outer, n, inner] = [
        sizeOf(shape.slice(0, axes[first])),
        sizeOf(shape.slice(axes[first], axes[last] + 1)),
        sizeOf(shape.slice(axes[last] + 1)),
      ];
      for (let i = first; i <= last; i++) shape[axes[i]] = 1;
      const source = result;
      result = this.#create(shape, (out) => loops.reduceMiddle(kind, this.#view(source), outer, n, inner, out));
      last = first - 1;
    }
    if (!keepDims) shape = shape.filter((_, i) => !axes.includes(i));
    return keepDims ? result : this.tf.reshape(result, shape);
  }

  override point(name: PointFunction, x: TfTensor): TfTensor {
    return this.#create(x.shape, (out) => loops.mapped(this.#view(x), Math[name], out));
  }

  override gelu(x: TfTensor): TfTensor {
    return this.#create(x.shape, (out) => loops.gelu(this.#view(x), out));
  }

  override geluGrad(dy: TfTensor, x: TfTensor): TfTensor {
    return this.#create(x.shape, (out) => loops.geluGrad(this.#view(dy), this.#view(x), out));
  }

  /** A 2×2 convolution of the framed image whose channels are 2×2 blocks of the result in a frame: [B, 2h, 2w, C]. */
  #blockConv(x: TfTensor4D, filter: TfTensor4D, bias: TfTensor | undefined, relu: boolean): TfTensor {
    const { tf } = this;
    const activation = relu ? 'relu' : 'linear';
    const blocks = tf.fused.conv2d({
      x,
      filter,
      strides: 1,
      pad: framed(1),
      bias: bias && tf.tile(bias, [4]),
      activation,
    }) as TfTensor4D;
    const [b, h, width] = x.shape;
    const shape = [b, 2 * h, 2 * width, filter.shape[3] / 4];
    return this.#create(shape, (out) => loops.unframeBlocks(this.#view(blocks), blocks.shape, out));
  }

  /**
   * As {@link conv2dFilterGrad}, with the blocks of dy shifted instead of x: they have fewer shifts. [4 shifts, 2·2·Co, Ci]: entry
   * (2a + r, 2b + s) of a 4×4 kernel is at shift (a, b), pixel (r, s).
   */
  #blockProducts(x: TfTensor4D, dy: TfTensor4D): TfTensor {
    const [, h, w, ci] = x.shape;
    const co = dy.shape[3];
    const blocks = this.#blocks(dy);
    const shifts = [0, 1, w + 1, w + 2];
    return this.#chunks(x.shape[0], (h + 1) * (w + 1), 16 * co, ci, (from, to, pixels) => {
      const length = pixels + w + 2;
      const lines = this.#create([4 * co, length], (out) =>
        loops.channelLines(this.#view(blocks), blocks.shape, from, to, { gap: 0, first: 0, length }, out),
      );
      const columns = this.#create([pixels, ci], (out) => loops.gappedPixels(this.#view(x), x.shape, from, to, 1, out));
      return [this.#shifted(lines, shifts, pixels), columns];
    });
  }

  /** dy [B, 2h, 2w, C] in a frame, as 2×2 blocks. */
  #blocks(dy: TfTensor4D): TfTensor4D {
    const [b, h, w, c] = dy.shape;
    return this.#create([b, h / 2 + 1, w / 2 + 1, 4 * c], (out) =>
      loops.frameBlocks(this.#view(dy), dy.shape, out),
    ) as TfTensor4D;
  }

  /** Σ over chunks of `batch` images of a product [rows, columns] of two matrices that meet in the chunk's pixels. */
  #chunks(
    batch: number,
    pixelsOfImage: number,
    rows: number,
    columns: number,
    factors: (from: number, to: number, pixels: number) => readonly [TfTensor, TfTensor],
  ): TfTensor {
    const { tf } = this;
    const sum = this.#create([rows, columns], (out) => out.fill(0));
    const images = Math.max(1, Math.floor(CHUNK_VALUES / (pixelsOfImage * rows)));
    for (let from = 0; from < batch; from += images) {
      const to = Math.min(batch, from + images);
      tf.tidy(() => {
        const [a, b] = factors(from, to, (to - from) * pixelsOfImage);
        const product = tf.matMul(a as TfTensor2D, b as TfTensor2D);
        loops.accumulate(this.#view(product), this.#view(sum));
      });
    }
    return sum;
  }

  /** Each line once for every shift, as the rows of one matrix. */
  #shifted(lines: TfTensor, shifts: readonly number[], size: number): TfTensor {
    const [count, length] = lines.shape;
    return this.#create([shifts.length * count, size], (out) =>
      loops.shiftedLines(this.#view(lines), length, shifts, size, out),
    );
  }

  #part(x: TfTensor, index: number, shape: [number, number]): TfTensor2D {
    const size = shape[0] * shape[1];
    return this.#create(shape, (out) =>
      out.set(this.#view(x).subarray(index * size, (index + 1) * size)),
    ) as TfTensor2D;
  }

  readonly #view = (x: TfTensor): Float32Array => this.#memory.view(x);

  #create(shape: Shape, fill: (out: Float32Array) => void): TfTensor {
    return this.#memory.create(shape, fill);
  }
}

/** Zeros around an image [B, H, W, C]. */
function framed(n: number): [[number, number], [number, number], [number, number], [number, number]] {
  return [
    [0, 0],
    [n, n],
    [n, n],
    [0, 0],
  ];
}

/** For each index of `to` the position in `from`, which broadcasts to it. */
function sources(to: Shape, from: Shape): number[] {
  let positions = [0];
  for (let axis = 0; axis < to.length; axis++) {
    const length = from[axis - to.length + from.length] ?? 1;
    const steps = Array.from({ length: to[axis] }, (_, i) => (length === 1 ? 0 : i));
    positions = positions.flatMap((p) => steps.map((i) => p * length + i));
  }
  return positions;
}

/**
 * The plain JavaScript engine: memory is ordinary arrays. Slow, but it runs everywhere.
 *
 * Replaced because of tfjs-backend-cpu 4.22: the gradient of nearest-neighbour resizing is wrong for batches of more than
 * one; the gradients of convolutions take several times as long as the convolutions that they can be written as.
 */
export function cpuKernels(tf: Tf): HostKernels {
  const backend = tf.backend();
  const memory: HostMemory = {
    view: ({ dataId }) => backend.readSync(dataId) as Float32Array,
    create: (shape, fill) => {
      const values = new Float32Array(shape.reduce((n, d) => n * d, 1));
      fill(values);
      return tf.tensor(values, [...shape], 'float32');
    },
  };
  return new HostKernels(tf, memory);
}

/**
 * The wasm engine: memory is the module's heap.
 *
 * Replaced because of tfjs-backend-wasm 4.22: no gradient of a convolution's kernel; the gradient of max-pooling drops
 * windows without a positive value; products of several or transposed matrices at 1 GFLOP/s instead of 30; slices copy the
 * whole operand first; sums over other than the last axes transpose it; doubling and transposing are slow; the sign of
 * numbers below 1e-7 is 0, their sine 2e-7; there is no log(1 + x).
 */
export function wasmKernels(tf: Tf): HostKernels {
  const backend = tf.backend() as BackendWasm;
  const memory: HostMemory = {
    view: ({ dataId, shape }) => backend.typedArrayFromHeap({ dataId, shape, dtype: 'float32' }) as Float32Array,
    create: (shape, fill) => {
      const info = backend.makeOutput([...shape], 'float32');
      fill(backend.typedArrayFromHeap(info) as Float32Array);
      return tf.engine().makeTensorFromTensorInfo(info);
    },
  };
  return new HostKernels(tf, memory);
}
