/** A bundle of a network small enough to be understood, through the real encoders. */
import { createHash } from 'node:crypto';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import { readZip, writeZip } from '../../src/formats/zip.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';
import type { ModelEncoder } from '../../src/persistence/bundle.js';
import type { Bundle } from '../../src/persistence/content.js';

export const N = 64;

/** Values that are neither round nor regular, the same in every run. */
export function sample(shape: number[], seed = 1): Tensor {
  return { data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(seed + 1.37 * i) / 3), shape };
}

export const weights: Record<string, Tensor> = {
  'encoder.0.weight': sample([2, 1, 3, 3], 2),
  'encoder.0.bias': sample([2], 3),
  'decoder.weight': sample([2, 2, 3, 3], 4),
  log_intensity_scale: sample([], 5),
};

/** A predict program with the signature of `specs/bundle.md`, C = 1. */
export function predict(batch: number): Program {
  const x = op.input('input', [batch, 1, N, N]);
  const positions = op.input('input_positions', [batch, 1, 1, 2]);
  const state = (name: string) => op.state(name, weights[name].shape);
  const hidden = op.relu(op.conv2d(x, state('encoder.0.weight'), state('encoder.0.bias')));
  const both = op.mul(op.conv2d(hidden, state('decoder.weight')), op.exp(state('log_intensity_scale')));
  const shift = op.reduceSum(positions, [3], true);
  return defineProgram({
    name: 'predict',
    inputs: [x, positions],
    outputs: {
      object_real: op.add(op.sliceAxis(both, 1, 0, 1), shift),
      object_imag: op.sliceAxis(both, 1, 1, 1),
    },
  });
}

/** The same with two more outputs. */
export function autoencode(batch: number): Program {
  const program = predict(batch);
  const [re, im] = ['object_real', 'object_imag'].map((name) => program.outputs.get(name)!);
  const intensity = op.add(op.square(re), op.square(im));
  return defineProgram({
    name: 'autoencode',
    inputs: [...program.inputs.values()],
    outputs: { object_real: re, object_imag: im, pred_amplitude: op.sqrt(intensity), pred_intensity: intensity },
  });
}

export const encodeModel: ModelEncoder = (entries) => encodeOne(predict, autoencode, entries);

/** Both models, of any programs. */
export function encodeOne(
  model: (batch: number) => Program,
  auto: (batch: number) => Program,
  entries: Parameters<ModelEncoder>[0],
  location = 'weights.safetensors',
): ReturnType<ModelEncoder> {
  const encode = (program: (batch: number) => Program) =>
    encodeOnnx(program(2), { externalData: { location, entries }, twin: program(3) });
  return { autoencoder: encode(auto), diffraction_to_obj: encode(model) };
}

const config = trainingConfigSchema.parse({
  model: { N, gridsize: 1 },
  train_data_file: '/home/somebody/secret/scan.npz',
  test_data_file: '/home/somebody/test.npz',
  output_dir: '/home/somebody/out',
  probe: '/home/somebody/probe.npz:probe',
  execution: { threads: 7 },
  nepochs: 2,
  seed: 11,
});

/** What a training run would hand over. */
export const content: Bundle = {
  createdBy: { package: 'ptychopinn', version: '0.1.0' },
  backend: 'onnx',
  engine: 'onnxruntime-node 1.30.0',
  config,
  canvasSide_px: N,
  scale: {
    version: 'counts_v1',
    domain: 'count_amplitude',
    intensityScale: 0.1 + 0.2,
    amplitudeGauge: 2.5,
    probeFactor: 1,
  },
  statistics: { meanPower: 1e6 / 3, meanCounts: 1e6 / 3, meanAmplitude: 0.21, nPatterns: 289 },
  training: { epochs: 2, bestEpoch: 2, monitor: 'val_loss', value: 1 / 3 },
  history: [
    { epoch: 1, loss: 0.9, val_loss: null },
    { epoch: 2, loss: 0.4, val_loss: 1 / 3 },
  ],
  probe: { re: sample([N, N], 6).data, im: sample([N, N], 7).data, shape: [N, N] },
  weights,
};

export const bounds = { maxMemberBytes: 1 << 26, maxTotalBytes: 1 << 27 };

/** New bytes for a member, made from the old ones, or `undefined` to leave it out. */
export type Change = (bytes: Buffer) => Uint8Array | string | undefined;

/**
 * Rewrites a bundle as somebody would who knows the format: members are changed and, unless `rehash` is false, the
 * manifest's sizes and hashes follow. Changes to the manifest come last.
 */
export async function forge(
  from: string,
  to: string,
  changes: Readonly<Record<string, Change>>,
  { rehash = true, compress = false } = {},
): Promise<void> {
  const members = new Map<string, Uint8Array>(await readZip(from, bounds));
  const apply = (name: string) => {
    const next = changes[name]?.(Buffer.from(members.get(name) ?? []));
    if (next === undefined) members.delete(name);
    else members.set(name, typeof next === 'string' ? new TextEncoder().encode(next) : next);
  };
  for (const name of Object.keys(changes)) if (name !== 'manifest.json') apply(name);
  if (rehash) {
    const manifest = JSON.parse(Buffer.from(members.get('manifest.json')!).toString());
    for (const name of Object.keys(manifest.members)) {
      const bytes = members.get(name);
      if (bytes) {
        manifest.members[name] = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
      }
    }
    members.set('manifest.json', Buffer.from(JSON.stringify(manifest)));
  }
  if (changes['manifest.json']) apply('manifest.json');
  await writeZip(
    to,
    [...members].map(([name, data]) => ({ name, data, compress })),
  );
}

/** Changes the value of a JSON file. */
export const json =
  (change: (value: Record<string, never>) => void): Change =>
  (bytes) => {
    const value = JSON.parse(bytes.toString());
    change(value);
    return JSON.stringify(value);
  };
