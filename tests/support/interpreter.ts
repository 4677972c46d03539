/**
 * A reference interpreter of the op table in float64: plain loops, nothing clever. Engines are compared with it, and
 * the gradient rules are checked with it against central differences.
 *
 * @example
 * const { outputs, next } = interpret(program, { x }, { w });
 */
import { type Shape, sizeOf, stridesOf, type Tensor } from '../../src/core/tensor.js';
import { type GraphNode, isOp, type OpName, topologicalOrder } from '../../src/graph/node.js';
import type { Program } from '../../src/graph/program.js';

export type Values = Readonly<Record<string, ArrayLike<number>>>;
type Rule<O extends OpName> = (node: GraphNode<O>, operands: readonly Float64Array[]) => Float64Array;

/** The value of each root; `leaves` holds the inputs and states by name. */
export function evaluate(roots: readonly GraphNode[], leaves: Values): Float64Array[] {
  const known = new Map<GraphNode, Float64Array>();
  for (const node of topologicalOrder(roots)) {
    if (isOp(node, 'input') || isOp(node, 'state')) {
      const value = leaves[node.attrs.name];
      if (value?.length !== sizeOf(node.shape)) throw new Error(`no value of the right size for "${node.attrs.name}"`);
      known.set(node, Float64Array.from(value));
    } else {
      const rule = rules[node.op as keyof typeof rules] as Rule<OpName>;
      const value = rule(
        node,
        node.inputs.map((x) => known.get(x)!),
      );
      if (value.length !== sizeOf(node.shape))
        throw new Error(`${node.op} gave ${value.length} values, its shape says otherwise`);
      known.set(node, value);
    }
  }
  return roots.map((r) => known.get(r)!);
}

/** Runs a program once: its outputs, and the whole state afterwards. */
export function interpret(
  program: Program,
  feeds: Values,
  state: Values = {},
): { outputs: Record<string, Tensor<Float64Array>>; next: Record<string, Float64Array> } {
  const outputs = [...program.outputs];
  const updates = [...program.updates];
  const values = evaluate(
    [...outputs, ...updates].map(([, node]) => node),
    { ...feeds, ...state },
  );
  const next: Record<string, Float64Array> = {};
  for (const [name, value] of Object.entries(state)) next[name] = Float64Array.from(value);
  updates.forEach(([name], i) => {
    next[name] = values[outputs.length + i];
  });
  return {
    outputs: Object.fromEntries(outputs.map(([name, node], i) => [name, { data: values[i], shape: node.shape }])),
    next,
  };
}

/** For each element of `shape`: the position of the element of `from` that it is broadcast from. */
function sources(shape: Shape, from: Shape): Int32Array {
  const lead = shape.length - from.length;
  const strides = stridesOf(from);
  const out = new Int32Array(sizeOf(shape));
  forEachIndex(shape, (index, at) => {
    let p = 0;
    for (let i = 0; i < from.length; i++) if (from[i] !== 1) p += index[i + lead] * strides[i];
    out[at] = p;
  });
  return out;
}

function forEachIndex(shape: Shape, visit: (index: readonly number[], at: number) => void): void {
  const index = new Array<number>(shape.length).fill(0);
  const n = sizeOf(shape);
  for (let at = 0; at < n; at++) {
    visit(index, at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

const map =
  (f: (v: number) => number): Rule<OpName> =>
  (_, [x]) =>
    x.map(f);

const combine =
  (f: (a: number, b: number) => number): Rule<OpName> =>
  (node, [a, b]) => {
    const [pa, pb] = [sources(node.shape, node.inputs[0].shape), sources(node.shape, node.inputs[1].shape)];
    return Float64Array.from(pa, (p, i) => f(a[p], b[pb[i]]));
  };

const reduce =
  <O extends 'reduceSum' | 'reduceMean' | 'reduceMax'>(
    first: number,
    f: (sum: number, v: number) => number,
    mean = false,
  ): Rule<O> =>
  (node, [x]) => {
    const { axes } = (node as GraphNode<'reduceSum'>).attrs;
    const full = node.inputs[0].shape;
    const kept = full.map((d, i) => (axes.includes(i) ? 1 : d));
    const out = new Float64Array(sizeOf(kept)).fill(first);
    sources(full, kept).forEach((p, i) => {
      out[p] = f(out[p], x[i]);
    });
    return mean ? out.map((v) => (v * out.length) / x.length) : out;
  };

/**
 * Visits every product of a convolution with p zeros around the image: positions in the image [B,Ci,H,W], the kernel [Co,Ci,k,k] and the
 * result [B,Co,H+2p−k+1,W+2p−k+1] (with `double`, p keeps the size, the image is [B,Ci,H/2,W/2] and every pixel counts as a 2×2 block).
 */
function convolve(
  [b, co, h, w]: Shape,
  ci: number,
  k: number,
  p: number,
  double: boolean,
  visit: (image: number, kernel: number, result: number) => void,
): void {
  const s = double ? 2 : 1;
  const more = k - 1 - 2 * p;
  const [ih, iw] = [h / s + more, w / s + more];
  for (let n = 0; n < b; n++)
    for (let o = 0; o < co; o++)
      for (let c = 0; c < ci; c++)
        for (let u = 0; u < h; u++)
          for (let v = 0; v < w; v++)
            for (let i = 0; i < k; i++)
              for (let j = 0; j < k; j++) {
                const [y, x] = [u + i - p, v + j - p];
                if (y < 0 || y >= ih * s || x < 0 || x >= iw * s) continue;
                visit(
                  ((n * ci + c) * ih + Math.floor(y / s)) * iw + Math.floor(x / s),
                  ((o * ci + c) * k + i) * k + j,
                  ((n * co + o) * h + u) * w + v,
                );
              }
}

/** Zeros around the image of a convolution. */
function paddingOf(node: GraphNode, kernel: number): number {
  return 'padding' in node.attrs ? node.attrs.padding : (kernel - 1) / 2;
}

/** Visits every product of a transposed convolution of stride 2 with a 4×4 kernel: x [B,Ci,h,w], w [Ci,Co,4,4], y [B,Co,2h,2w]. */
function layDown(
  [b, ci, h, w]: Shape,
  co: number,
  visit: (image: number, kernel: number, result: number) => void,
): void {
  for (let n = 0; n < b; n++)
    for (let c = 0; c < ci; c++)
      for (let o = 0; o < co; o++)
        for (let u = 0; u < h; u++)
          for (let v = 0; v < w; v++)
            for (let i = 0; i < 4; i++)
              for (let j = 0; j < 4; j++) {
                const [y, x] = [2 * u + i - 1, 2 * v + j - 1];
                if (y < 0 || y >= 2 * h || x < 0 || x >= 2 * w) continue;
                visit(
                  ((n * ci + c) * h + u) * w + v,
                  ((c * co + o) * 4 + i) * 4 + j,
                  ((n * co + o) * 2 * h + y) * 2 * w + x,
                );
              }
}

/** Φ(x), by integrating the density: the error is below 1e-13. */
function phi(x: number): number {
  if (Math.abs(x) > 9) return x > 0 ? 1 : 0;
  const n = 400;
  const h = x / n;
  let sum = 0;
  // Simpson's rule; the density is smooth.
  for (let i = 0; i <= n; i++) sum += (i === 0 || i === n ? 1 : i % 2 ? 4 : 2) * density(i * h);
  return 0.5 + (sum * h) / 3;
}
const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

const forward =
  (double: boolean): Rule<'conv2d' | 'upConv2d'> =>
  (node, [x, w, bias]) => {
    const [, co, h, width] = node.shape;
    const [, ci, k] = node.inputs[1].shape;
    const out = new Float64Array(sizeOf(node.shape));
    if (bias)
      out.forEach((_, i) => {
        out[i] = bias[Math.floor(i / (h * width)) % co];
      });
    convolve(node.shape, ci, k, paddingOf(node, k), double, (image, kernel, result) => {
      out[result] += x[image] * w[kernel];
    });
    return out;
  };

const inputGradient =
  (double: boolean): Rule<'conv2dInputGrad' | 'upConv2dInputGrad'> =>
  (node, [dy, w]) => {
    const [, ci, k] = node.inputs[1].shape;
    const out = new Float64Array(sizeOf(node.shape));
    convolve(node.inputs[0].shape, ci, k, paddingOf(node, k), double, (image, kernel, result) => {
      out[image] += dy[result] * w[kernel];
    });
    return out;
  };

const filterGradient =
  (double: boolean): Rule<'conv2dFilterGrad' | 'upConv2dFilterGrad'> =>
  (node, [x, dy]) => {
    const [, ci, k] = node.shape;
    const out = new Float64Array(sizeOf(node.shape));
    convolve(node.inputs[1].shape, ci, k, paddingOf(node, k), double, (image, kernel, result) => {
      out[kernel] += x[image] * dy[result];
    });
    return out;
  };

/** For each pixel of an image [B,C,H,W]: the position of its 2×2 block in [B,C,H/2,W/2]. */
function blockOf([b, c, h, w]: Shape): Int32Array {
  const out = new Int32Array(b * c * h * w);
  out.forEach((_, i) => {
    const [x, y, plane] = [i % w, Math.floor(i / w) % h, Math.floor(i / (w * h))];
    out[i] = (plane * (h / 2) + Math.floor(y / 2)) * (w / 2) + Math.floor(x / 2);
  });
  return out;
}

const blockSum: Rule<'upsampleNearest2Grad'> = (node, [dy]) => {
  const out = new Float64Array(sizeOf(node.shape));
  blockOf(node.inputs[0].shape).forEach((p, i) => {
    out[p] += dy[i];
  });
  return out;
};

const rules: { readonly [O in Exclude<OpName, 'input' | 'state'>]: Rule<O> } = {
  constant: (node) => Float64Array.from(node.attrs.data),
  add: combine((a, b) => a + b),
  sub: combine((a, b) => a - b),
  mul: combine((a, b) => a * b),
  div: combine((a, b) => a / b),
  equal: combine((a, b) => (a === b ? 1 : 0)),
  neg: map((x) => -x),
  abs: map(Math.abs),
  sign: map(Math.sign),
  exp: map(Math.exp),
  log: map(Math.log),
  log1p: map(Math.log1p),
  sqrt: map(Math.sqrt),
  square: map((x) => x * x),
  sin: map(Math.sin),
  cos: map(Math.cos),
  sigmoid: map((x) => 1 / (1 + Math.exp(-x))),
  tanh: map(Math.tanh),
  atan: map(Math.atan),
  relu: map((x) => Math.max(0, x)),
  silu: map((x) => x / (1 + Math.exp(-x))),
  softplus: map((x) => Math.max(0, x) + Math.log1p(Math.exp(-Math.abs(x)))),
  gelu: map((x) => x * phi(x)),
  geluGrad: combine((dy, x) => dy * (phi(x) + x * density(x))),
  hat: map((z) => Math.max(0, 1 - Math.abs(z))),
  step: map((x) => (Math.sign(x) + 1) / 2),
  maximum: ({ attrs }, [x]) => x.map((v) => Math.max(v, attrs.value)),
  minimum: ({ attrs }, [x]) => x.map((v) => Math.min(v, attrs.value)),
  greater: ({ attrs }, [x]) => x.map((v) => (v > attrs.value ? 1 : 0)),
  reluGrad: combine((dy, y) => (y > 0 ? dy : 0)),
  matmul: (node, [a, b]) => {
    const [m, k] = node.inputs[0].shape.slice(-2);
    const n = node.shape[node.shape.length - 1];
    const lead = node.shape.slice(0, -2);
    const [pa, pb] = node.inputs.map((x) => sources(lead, x.shape.slice(0, -2)));
    const out = new Float64Array(sizeOf(node.shape));
    for (let q = 0; q < pa.length; q++)
      for (let i = 0; i < m; i++)
        for (let l = 0; l < k; l++) {
          const v = a[(pa[q] * m + i) * k + l];
          for (let j = 0; j < n; j++) out[(q * m + i) * n + j] += v * b[(pb[q] * k + l) * n + j];
        }
    return out;
  },
  transpose: (node, [x]) => {
    const strides = stridesOf(node.inputs[0].shape);
    const out = new Float64Array(x.length);
    forEachIndex(node.shape, (index, at) => {
      out[at] = x[index.reduce((p, v, i) => p + v * strides[node.attrs.perm[i]], 0)];
    });
    return out;
  },
  reshape: (_, [x]) => x,
  concat: (node, xs) => {
    const { axis } = node.attrs;
    const inner = sizeOf(node.shape.slice(axis + 1));
    const outer = sizeOf(node.shape.slice(0, axis));
    const out: number[] = [];
    for (let o = 0; o < outer; o++) {
      xs.forEach((x, i) => {
        const run = node.inputs[i].shape[axis] * inner;
        out.push(...x.subarray(o * run, (o + 1) * run));
      });
    }
    return Float64Array.from(out);
  },
  slice: (node, [x]) => {
    const strides = stridesOf(node.inputs[0].shape);
    const out = new Float64Array(sizeOf(node.shape));
    forEachIndex(node.shape, (index, at) => {
      out[at] = x[index.reduce((p, v, i) => p + (v + node.attrs.start[i]) * strides[i], 0)];
    });
    return out;
  },
  pad: (node, [x]) => {
    const strides = stridesOf(node.shape);
    const out = new Float64Array(sizeOf(node.shape));
    forEachIndex(node.inputs[0].shape, (index, at) => {
      out[index.reduce((p, v, i) => p + (v + node.attrs.before[i]) * strides[i], 0)] = x[at];
    });
    return out;
  },
  reflectPad: (node, [x]) => {
    const [h, w] = node.inputs[0].shape.slice(2);
    const { size } = node.attrs;
    const strides = stridesOf(node.inputs[0].shape);
    const mirror = (i: number, side: number) => (i < 0 ? -i : i >= side ? 2 * (side - 1) - i : i);
    const out = new Float64Array(sizeOf(node.shape));
    forEachIndex(node.shape, ([b, c, r, k], at) => {
      const place = [b, c, mirror(r - size, h), mirror(k - size, w)];
      out[at] = x[place.reduce((p, v, i) => p + v * strides[i], 0)];
    });
    return out;
  },
  broadcast: (node, [x]) => Float64Array.from(sources(node.shape, node.inputs[0].shape), (p) => x[p]),
  reduceSum: reduce(0, (s, v) => s + v),
  reduceMean: reduce(0, (s, v) => s + v, true),
  reduceMax: reduce(Number.NEGATIVE_INFINITY, Math.max),
  conv2d: forward(false),
  conv2dInputGrad: inputGradient(false),
  conv2dFilterGrad: filterGradient(false),
  transposedConv2d: (node, [x, w, bias]) => {
    const [, co, h, width] = node.shape;
    const out = Float64Array.from(
      { length: sizeOf(node.shape) },
      (_, i) => bias?.[Math.floor(i / (h * width)) % co] ?? 0,
    );
    layDown(node.inputs[0].shape, co, (image, kernel, result) => {
      out[result] += x[image] * w[kernel];
    });
    return out;
  },
  transposedConv2dInputGrad: (node, [dy, w]) => {
    const out = new Float64Array(sizeOf(node.shape));
    layDown(node.shape, node.inputs[0].shape[1], (image, kernel, result) => {
      out[image] += dy[result] * w[kernel];
    });
    return out;
  },
  transposedConv2dFilterGrad: (node, [x, dy]) => {
    const out = new Float64Array(sizeOf(node.shape));
    layDown(node.inputs[0].shape, node.shape[1], (image, kernel, result) => {
      out[kernel] += x[image] * dy[result];
    });
    return out;
  },
  upConv2d: forward(true),
  upConv2dInputGrad: inputGradient(true),
  upConv2dFilterGrad: filterGradient(true),
  maxPool2: (node, [x]) => {
    const out = new Float64Array(sizeOf(node.shape)).fill(Number.NEGATIVE_INFINITY);
    blockOf(node.inputs[0].shape).forEach((p, i) => {
      out[p] = Math.max(out[p], x[i]);
    });
    return out;
  },
  maxPool2Grad: (node, [x, y, dy]) => {
    const ties = new Float64Array(y.length);
    const block = blockOf(node.shape);
    block.forEach((p, i) => {
      if (x[i] === y[p]) ties[p]++;
    });
    return x.map((v, i) => (v === y[block[i]] ? dy[block[i]] / ties[block[i]] : 0));
  },
  upsampleNearest2: (node, [x]) => Float64Array.from(blockOf(node.shape), (p) => x[p]),
  upsampleNearest2Grad: blockSum,
};
