/** Scans and models of any size for benches of time and memory: what they show does not matter. */
import { trainingConfigSchema } from '../../dist/config/schema.js';
import { writeNpz } from '../../dist/formats/npz.js';
import { encodeModels, saveBundle } from '../../dist/persistence/bundle.js';
import { networkOfBundle } from '../../dist/reconstruction/networkSpec.js';
import { makeObject } from '../../dist/simulation/objects.js';
import { simulateScan } from '../../dist/simulation/simulateScan.js';

export const N = 64;
/** Side of the field that the positions cover, px: a step of 6 px for 5,000 patterns. */
const FIELD = 424;
/** Patterns that are simulated; files repeat them. */
const DISTINCT = 256;

/** A scan of `count` positions on a raster over the field. */
export async function writeScanFile(file, count, probe) {
  const side = Math.ceil(Math.sqrt(count));
  const at = (k) => 40 + (k * FIELD) / (side - 1);
  const xs = Float64Array.from({ length: count }, (_, k) => at(k % side) + 0.5 * Math.sin(k));
  const ys = Float64Array.from({ length: count }, (_, k) => at(Math.floor(k / side)) + 0.5 * Math.cos(3 * k));
  const object = makeObject('lines', { rows: 512, cols: 512, seed: 1 });
  const some = Array.from({ length: Math.min(count, DISTINCT) }, (_, i) => Math.floor((i * count) / DISTINCT) % count);
  const scan = simulateScan({ object, probe, xs: some.map((k) => xs[k]), ys: some.map((k) => ys[k]), photons: 1e6, seed: 2 }); // biome-ignore format: one call
  const patterns = scan.diffraction.data;
  await writeNpz(file, {
    diffraction: {
      dtype: 'float32',
      shape: [count, N, N],
      async *pieces() {
        for (let done = 0; done < count; done += some.length) {
          yield patterns.subarray(0, Math.min(some.length, count - done) * N * N);
        }
      },
    },
    xcoords: { data: xs, shape: [count] },
    ycoords: { data: ys, shape: [count] },
    probeGuess: scan.probeGuess,
    objectGuess: object,
  });
  return scan.probeGuess;
}

/** An untrained network in a bundle: what it paints does not matter to time and memory. */
export async function writeBundle(file, model, probe) {
  const config = trainingConfigSchema.parse({
    model: { N, n_filters_scale: 2, ...model },
    nepochs: 1,
    input_reference: 'none',
  });
  const canvasSide_px = config.model.gridsize === 1 ? N : N + 32;
  const bundle = {
    createdBy: { package: 'ptychopinn', version: '0.0.0' },
    backend: 'onnx',
    engine: 'none',
    config,
    canvasSide_px,
    scale: { version: 'counts_v1', domain: 'count_amplitude', intensityScale: 1000 / 32, amplitudeGauge: 1, probeFactor: 1 }, // biome-ignore format: one line
    statistics: { meanPower: 1e6, meanCounts: 1e6, meanAmplitude: 0.2, nPatterns: 1 },
    training: { epochs: 1, bestEpoch: 1, monitor: 'loss', value: 1 },
    history: [{ epoch: 1, loss: 1 }],
    probe,
  };
  const network = networkOfBundle(bundle, canvasSide_px);
  await saveBundle(file, { ...bundle, weights: network.initialWeights(0) }, encodeModels(network));
}
