/**
 * What a spectral layer costs beside a 3×3 convolution of the same width, forward and with its gradients: programs of the tensor graph on
 * ONNX Runtime, one thread, taking turns; medians of processor time.
 *
 *   npm run bench:spectral -- [repeats]
 */
import { createOnnxBackend } from '../dist/backends/onnx/backend.js';
import { gradients } from '../dist/graph/gradients.js';
import * as op from '../dist/graph/ops.js';
import { ParameterScope } from '../dist/graph/parameters.js';
import { defineProgram } from '../dist/graph/program.js';
import { conv } from '../dist/networks/layers.js';
import { factorisedConv, factorisedWeights, spectralConv } from '../dist/networks/spectralConv.js';

const repeats = Number(process.argv[2] ?? 15);
const MODES = 12;
const layers = {
  'conv 3×3': (x, scope) => conv(x, 'layer', x.shape[1], { kernel: 3 }, scope),
  spectral: (x, scope) => spectralConv(x, 'layer', x.shape[1], MODES, scope),
  factorised: (x, scope) => factorisedConv(x, factorisedWeights('layer', x.shape[1], MODES, scope)),
};
/** Batch, channels, side: where hybrid_resnet has its encoder blocks, for patterns of 64 and 128 pixels. */
const sizes = [
  [16, 32, 128],
  [16, 64, 64],
  [16, 128, 32],
  [16, 32, 64],
  [16, 64, 32],
  [16, 128, 16],
];

const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function prepared(layer, [batch, channels, side], withGradients) {
  const scope = new ParameterScope();
  // State, so that nothing is copied to the engine's thread.
  const x = op.state('x', [batch, channels, side, side]);
  const y = layer(x, scope);
  const weights = [...scope.nodes.values()];
  const loss = op.reduceMean(op.mul(y, op.state('dy', y.shape)));
  const grads = withGradients ? gradients(loss, [x, ...weights]) : [];
  const outputs = withGradients
    ? { dx: op.reduceMean(grads[0]), ...Object.fromEntries(grads.slice(1).map((g, i) => [`d${i}`, op.reduceMean(g)])) }
    : { y: op.reduceMean(y) };
  const program = await backend.compile(defineProgram({ name: 'layer', outputs }));
  const random = (shape) => ({
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.random() - 0.5),
    shape,
  });
  const state = await backend.createState({
    ...Object.fromEntries(scope.specs.map(({ name, shape }) => [name, random(shape)])),
    x: random(x.shape),
    dy: random(y.shape),
  });
  return { run: () => program.run({}, state), close: () => Promise.all([program.dispose(), state.dispose()]) };
}

console.log(
  '| batch × channels × side | pass | conv 3×3, ms | spectral, ms | factorised, ms | spectral ÷ conv | factorised ÷ conv |',
);
console.log('|---|---|---|---|---|---|---|');
for (const size of sizes) {
  for (const withGradients of [false, true]) {
    const runs = await Promise.all(Object.values(layers).map((layer) => prepared(layer, size, withGradients)));
    const times = runs.map(() => []);
    for (let i = 0; i < repeats + 2; i++) {
      for (const [k, { run }] of runs.entries()) {
        const before = process.cpuUsage();
        await run();
        const { user, system } = process.cpuUsage(before);
        if (i >= 2) times[k].push((user + system) / 1000);
      }
    }
    const [c, s, f] = times.map(median);
    const row = [c, s, f].map((v) => v.toFixed(1));
    console.log(
      `| ${size.join(' × ')} | ${withGradients ? 'forward and back' : 'forward'} | ${row.join(' | ')} | ${(s / c).toFixed(2)} | ${(f / c).toFixed(2)} |`,
    );
    for (const { close } of runs) await close();
  }
}
await backend.dispose();
