/**
 * Peer of the speed benchmark: the default network (N=64, n_filters_scale 2, gridsize 1) as a TensorFlow.js user would write
 * it, with tfjs's own automatic gradients and optimiser, on the wasm engine with one thread.
 *
 * tfjs-backend-wasm cannot train such a network as it is; it gets the usual repairs by tf.registerKernel: the gradient of a
 * convolution's kernel, and that of its image, as convolutions; transposed matrix products by transposing first; max-pooling
 * shifted to positive values.
 *
 * Needs the union package, which this project does not install: npm i --no-save @tensorflow/tfjs@4.22.0.
 *
 * Reads commands like torch_peer.py: {"what": "train" | "predict", "batch": 16, "repeats": 1} answers {"seconds": [...]}.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');

const N = 64;
const SCALE = 2;

function repair() {
  const asTensor = (t) => (t instanceof tf.Tensor ? t : tf.engine().makeTensorFromTensorInfo(t));
  const replace = (kernelName, make) => {
    const original = tf.getKernel(kernelName, 'wasm');
    if (original) tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({
      ...original,
      kernelName,
      backendName: 'wasm',
      kernelFunc: (options) => tf.tidy(() => make(options, original)),
    });
  };
  const padding = (shape, filterShape, { strides, pad, dimRoundingMode }) =>
    tf.backend_util.computeConv2DInfo(shape, filterShape, strides, 1, pad, dimRoundingMode).padInfo;
  replace(tf.Conv2DBackpropFilter, ({ inputs, attrs }) => {
    const [x, dy] = [asTensor(inputs.x), asTensor(inputs.dy)];
    const p = padding(x.shape, attrs.filterShape, attrs);
    const explicit = [
      [0, 0],
      [p.top, p.bottom],
      [p.left, p.right],
      [0, 0],
    ];
    const g = tf.conv2d(tf.transpose(x, [3, 1, 2, 0]), tf.transpose(dy, [1, 2, 0, 3]), 1, explicit);
    return tf.transpose(g, [1, 2, 0, 3]);
  });
  replace(tf.Conv2DBackpropInput, ({ inputs, attrs }) => {
    const [dy, w] = [asTensor(inputs.dy), asTensor(inputs.filter)];
    const p = padding(attrs.inputShape, w.shape, attrs);
    const [kh, kw] = w.shape;
    const explicit = [
      [0, 0],
      [kh - 1 - p.top, kh - 1 - p.bottom],
      [kw - 1 - p.left, kw - 1 - p.right],
      [0, 0],
    ];
    return tf.conv2d(dy, tf.transpose(tf.reverse(w, [0, 1]), [0, 1, 3, 2]), 1, explicit);
  });
  replace(tf.BatchMatMul, ({ inputs, attrs, backend }, original) => {
    const swapped = (t) =>
      tf.transpose(asTensor(t), [...t.shape.keys()].slice(0, -2).concat([t.shape.length - 1, t.shape.length - 2]));
    const a = attrs.transposeA ? swapped(inputs.a) : inputs.a;
    const b = attrs.transposeB ? swapped(inputs.b) : inputs.b;
    return asTensor(
      original.kernelFunc({ inputs: { a, b }, backend, attrs: { transposeA: false, transposeB: false } }),
    );
  });
  replace(tf.MaxPoolGrad, (options, original) => {
    const x = asTensor(options.inputs.input);
    const input = tf.add(tf.sub(x, tf.min(x)), 1);
    return asTensor(original.kernelFunc({ ...options, inputs: { ...options.inputs, input } }));
  });
}

function network() {
  const variables = [];
  let seed = 1;
  const conv = (ci, co) => {
    const w = tf.variable(tf.randomNormal([3, 3, ci, co], 0, Math.sqrt(2 / (9 * (ci + co))), 'float32', seed++));
    const b = tf.variable(tf.zeros([co]));
    variables.push(w, b);
    return (x) => tf.add(tf.conv2d(x, w, 1, 'same'), b);
  };
  const up = (x) => tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]);
  const two = (ci, f) => {
    const [a, b] = [conv(ci, f), conv(f, f)];
    return (x) => tf.relu(b(tf.relu(a(x))));
  };
  const f = [32 * SCALE, 64 * SCALE, 128 * SCALE];
  const encoder = [two(1, f[0]), two(f[0], f[1]), two(f[1], f[2])];
  const mask = tf.tidy(() =>
    tf.sub(
      1,
      tf.pad(tf.ones([1, N / 2, N / 2, 1]), [
        [0, 0],
        [N / 4, N / 4],
        [N / 4, N / 4],
        [0, 0],
      ]),
    ),
  );
  const head = (activation) => {
    const blocks = [two(128 * SCALE, 64 * SCALE), two(64 * SCALE, 32 * SCALE)];
    const width = (SCALE * 2048) / N;
    const [centre, border, out] = [conv(32 * SCALE - 4, 1), two(4, width), conv(width, 1)];
    return (h) => {
      const d = up(blocks[1](up(blocks[0](h))));
      const channels = d.shape[3];
      const inner = activation(centre(tf.slice(d, [0, 0, 0, 0], [-1, -1, -1, channels - 4])));
      const outer = activation(out(up(border(tf.slice(d, [0, 0, 0, channels - 4], [-1, -1, -1, 4])))));
      return tf.add(
        tf.pad(inner, [
          [0, 0],
          [N / 4, N / 4],
          [N / 4, N / 4],
          [0, 0],
        ]),
        tf.mul(outer, mask),
      );
    };
  };
  const [amplitude, phase] = [head(tf.sigmoid), head((x) => tf.mul(tf.tanh(x), Math.PI))];
  const object = (x) => {
    let h = x;
    for (const block of encoder) h = tf.maxPool(block(h), 2, 2, 'valid');
    const [a, p] = [amplitude(h), phase(h)];
    return [tf.mul(a, tf.cos(p)), tf.mul(a, tf.sin(p))];
  };
  return { object, variables };
}

/** [re | im] of the centred, unitary DFT along the last axis as one real matrix. */
function dftMatrix() {
  const m = new Float32Array(4 * N * N);
  for (let k = 0; k < N; k++)
    for (let n = 0; n < N; n++) {
      const turn = (2 * Math.PI * (((k - N / 2) * n) % N)) / N;
      const [c, s] = [Math.cos(turn) / Math.sqrt(N), -Math.sin(turn) / Math.sqrt(N)];
      m[n * 2 * N + k] = c;
      m[n * 2 * N + N + k] = s;
      m[(N + n) * 2 * N + k] = -s;
      m[(N + n) * 2 * N + N + k] = c;
    }
  return tf.tensor2d(m, [2 * N, 2 * N]);
}

wasm.setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
if (!(await tf.setBackend('wasm'))) throw new Error('tfjs refused its wasm backend');
repair();
const { object, variables } = network();
const dft = dftMatrix();
const probe = [Math.cos, Math.sin].map((part) =>
  tf.tensor(
    Float32Array.from({ length: N * N }, (_, i) => {
      const r2 = (Math.floor(i / N) - N / 2) ** 2 + ((i % N) - N / 2) ** 2;
      return Math.exp(-r2 / 128) * part(0.01 * r2);
    }),
    [1, N, N],
  ),
);
const optimiser = tf.train.adam(1e-4);

/** Both parts of the transform along the last axis, of images [B, N, N]; the axes come back swapped. */
function transform(re, im) {
  const b = re.shape[0];
  const both = tf.matMul(tf.reshape(tf.concat([re, im], 2), [b * N, 2 * N]), dft);
  const parts = tf.reshape(both, [b, N, 2 * N]);
  return [0, N].map((at) => tf.transpose(tf.slice(parts, [0, 0, at], [b, N, N]), [0, 2, 1]));
}

const data = new Map();
function batch(n) {
  if (!data.has(n)) data.set(n, tf.randomUniform([n, N, N, 1], 0, 1, 'float32', 7));
  return data.get(n);
}

async function train(n) {
  const x = batch(n);
  const loss = optimiser.minimize(
    () => {
      const [re, im] = object(x).map((part) => tf.reshape(part, [n, N, N]));
      const [a, b] = [
        tf.sub(tf.mul(re, probe[0]), tf.mul(im, probe[1])),
        tf.add(tf.mul(re, probe[1]), tf.mul(im, probe[0])),
      ];
      const [fre, fim] = transform(...transform(a, b));
      const rate = tf.add(tf.add(tf.square(fre), tf.square(fim)), 1e-12);
      const count = tf.square(tf.reshape(x, [n, N, N]));
      return tf.mean(tf.sub(rate, tf.mul(count, tf.log(rate))));
    },
    true,
    variables,
  );
  await loss.data();
  loss.dispose();
}

async function predict(n) {
  const parts = tf.tidy(() => object(batch(n)));
  await Promise.all(parts.map((part) => part.data()));
  tf.dispose(parts);
}

const parameters = variables.reduce((sum, v) => sum + v.size, 0);
console.log(JSON.stringify({ tfjs: tf.version.tfjs, parameters }));
for await (const line of createInterface({ input: process.stdin })) {
  const { what, batch: n, repeats } = JSON.parse(line);
  const seconds = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await (what === 'train' ? train : predict)(n);
    seconds.push((performance.now() - start) / 1000);
  }
  console.log(JSON.stringify({ seconds }));
}
