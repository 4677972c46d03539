/** The network `cnn_cbam` against numbers of the published PyTorch implementation: activations, losses, gradients, Adam. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import type { Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { defineProgram } from '../../src/graph/program.js';
import { amplitudeOf, detectorIntensity, memberPatches, probeConstant } from '../../src/model/forward.js';
import { poissonDeviance } from '../../src/model/losses.js';
import { RECTANGULAR_PARAMETERS, rectangularScaled } from '../../src/model/rectangular.js';
import { COUNT_FLOOR } from '../../src/model/scale.js';
import { optimiserDefaults, optimiserState, trainingStep } from '../../src/model/trainingSteps.js';
import { generatorOf } from '../../src/networks/architectures.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

/** Our parameter name → the published one. */
function publishedName(name: string): string {
  const enc = /^encoder\.(\d)\.(.*)$/.exec(name);
  if (enc) {
    const rest = enc[2]
      .replace('attention.channel.fc1', 'attention.ChannelGate.mlp.1')
      .replace('attention.channel.fc2', 'attention.ChannelGate.mlp.3')
      .replace('attention.spatial', 'attention.SpatialGate.compress');
    return `model.autoencoder.encoder.blocks.${enc[1]}.${rest}`;
  }
  const scaler = RECTANGULAR_PARAMETERS.indexOf(name as (typeof RECTANGULAR_PARAMETERS)[number]);
  if (scaler >= 0) return `model.forward_model.rect_scaler.s${scaler + 1}`;
  const [, head, rest] = /^(amplitude|phase|real|imaginary)\.(.*)$/.exec(name) as RegExpExecArray;
  const short = head === 'amplitude' || head === 'real' ? 'amp' : 'phase';
  const decoder = `model.autoencoder.decoder_${short}`;
  if (/^\d/.test(rest)) return `${decoder}.blocks.${rest}`;
  const last = rest
    .replace('centre.', 'conv1.')
    .replace('border.conv1', 'conv_up_block.conv1')
    .replace('border.conv2', 'conv_up_block.conv2')
    .replace('border.out', 'conv2');
  return `${decoder}.${short}.${last}`;
}

/** The golden files' weights by formula (see golden/README.md): crc32 of the published name seeds a sine hash. */
function formulaWeight(published: string, shape: readonly number[]): Tensor {
  const s = crc32(published) % 1000;
  const n = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(n);
  const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
  for (let i = 0; i < n; i++) {
    if (shape.length > 1) {
      const v = Math.sin(12.9898 * i + s) * 43758.5453;
      data[i] = ((v - Math.floor(v) - 0.5) * 2) / Math.sqrt(fanIn);
    } else data[i] = 0.01 * Math.sin(i + s);
  }
  return { data, shape };
}

function crc32(text: string): number {
  let crc = ~0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** ln Γ(x), Lanczos (g = 7, n = 9). */
function lnGamma(x: number): number {
  const c = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  const y = x - 1;
  const t = y + 7.5;
  let sum = c[0];
  for (let i = 1; i < 9; i++) sum += c[i] / (y + i);
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(t) - t + Math.log(sum);
}

interface Case {
  readonly file: string;
  readonly gridsize: number;
  readonly cbam: boolean;
}
const cases: Case[] = [
  { file: 'd_net_gs1_nf1.npz', gridsize: 1, cbam: true },
  { file: 'd_net_gs2_nf1.npz', gridsize: 2, cbam: true },
  { file: 'd_net_gs1_nf1_nocbam.npz', gridsize: 1, cbam: false },
];

async function load({ file, gridsize, cbam }: Case) {
  const golden = await readGolden(file);
  const images = await golden.float32('in_images');
  const rel = await golden.float32('in_coords_relative');
  const rms = (await golden.real('in_rms_scaling_constant')).data[0];
  const S = (await golden.real('in_physics_scaling_constant')).data[0];
  const probe = await golden.complex('in_probe');
  const config = modelConfigSchema.parse({
    N: 64,
    gridsize,
    architecture: 'cnn_cbam',
    cbam_encoder: cbam,
    n_filters_scale: 1,
    amp_activation: 'swish',
    border_activation: 'swish',
  });
  const B = images.shape[0];
  const scope = new ParameterScope();
  const x = op.input('input', [B, gridsize ** 2, 64, 64]);
  const positions = op.input('input_positions', [B, gridsize ** 2, 1, 2]);
  const net = generatorOf('cnn_cbam').layers(config, x, scope);
  const patches = net.object;
  const members = memberPatches(config, patches, positions, { canvasSide_px: gridsize === 1 ? 64 : 68 });
  // The published numbers have no ε under the root, and their intensities are of order 1e-6.
  const pred = op.div(amplitudeOf(detectorIntensity(members, probeConstant(probe, 1 / 4)), 1e-20), rms);

  const weights: Record<string, Tensor> = {};
  for (const { name, shape } of scope.specs) {
    const key = `w.${publishedName(name)}`;
    weights[name] = golden.keys.includes(key)
      ? { data: (await golden.float32(key)).data, shape }
      : formulaWeight(publishedName(name), shape);
  }
  const mean = images.data.reduce((s, v) => s + v, 0) / images.data.length;
  const k = images.data.map((v) => (v * S) ** 2);
  const count = op.constant(k, images.shape);
  const rate = op.maximum(op.square(op.mul(pred, S)), 1e-30);
  const lnFactorial = k.reduce((s, v) => s + lnGamma(Math.fround(v + 1)), 0);
  const poisson = op.mul(
    op.add(op.reduceSum(op.sub(rate, op.mul(count, op.log(rate)))), lnFactorial),
    1 / (B * (mean + 1e-8)),
  );
  const measured = op.constant(images.data, images.shape);
  const mae = op.mul(op.reduceMean(op.abs(op.sub(pred, measured))), S / mean);
  const netInput = images.data.map((v) => v * rms);
  const feeds = {
    input: { data: netInput, shape: images.shape },
    input_positions: { data: rel.data, shape: [B, gridsize ** 2, 1, 2] },
  };
  return { golden, scope, net, patches, pred, poisson, mae, weights, feeds, netInput };
}

describeShared('published numbers', () => {
  describe.each(backendCases)('published network, golden numbers, on $name', ({ create }) => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend.dispose());

    describe.each(cases)('$file', (c) => {
      const losses = c.cbam ? (['poisson', 'mae'] as const) : (['poisson'] as const);
      let m: Awaited<ReturnType<typeof load>>;
      let names: readonly string[];
      const activations: string[] = [];
      let out: Record<string, Tensor>;
      // All in one program: the network runs once for activations, losses and gradients.
      beforeAll(async () => {
        m = await load(c);
        names = m.scope.specs.map((s) => s.name);
        const watched: Record<string, GraphNode> = {
          dec_amp: m.net.amplitude,
          dec_phase: m.net.taps.phase,
          pred_diffraction: m.pred,
        };
        if (c.cbam) {
          for (const i of [0, 1, 2]) watched[`act_enc_block${i}`] = m.net.taps[`encoder.${i}`];
          for (const i of [0, 1]) {
            watched[`act_decoder_amp_block${i}`] = op.upsampleNearest2(m.net.taps[`amplitude.${i}`]);
            watched[`act_decoder_phase_block${i}`] = op.upsampleNearest2(m.net.taps[`phase.${i}`]);
          }
        }
        activations.push(...Object.keys(watched));
        const outputs: Record<string, GraphNode> = { ...watched, object_re: m.patches.re, object_im: m.patches.im };
        for (const loss of losses) {
          outputs[`loss_${loss}`] = m[loss];
          const nodes = names.map((n) => m.scope.nodes.get(n) as GraphNode);
          gradients(m[loss], nodes).forEach((gradient, i) => {
            outputs[`grad_${loss}:${names[i]}`] = gradient;
          });
        }
        const compiled = await backend.compile(defineProgram({ name: 'golden', outputs }), { constants: m.weights });
        out = await compiled.run(m.feeds);
        await compiled.dispose();
      });
      afterAll(() => m.golden.close());

      it('activations and prediction', async () => {
        expect(maxDifference(m.netInput, (await m.golden.real('net_input')).data)).toBeLessThan(1e-5);
        const object = await m.golden.complex('complex_object');
        expect(maxDifference(out.object_re.data, object.re)).toBeLessThan(1e-4);
        expect(maxDifference(out.object_im.data, object.im)).toBeLessThan(1e-4);
        for (const name of activations) {
          const expected = (await m.golden.real(name)).data;
          // the golden activations hold the first sample
          const found = out[name].data.subarray(0, expected.length);
          expect(maxDifference(found, expected) / Math.max(1, maxAbs(expected)), name).toBeLessThan(1e-4);
        }
      });

      it.each(losses)('loss and gradient norms, %s', async (loss) => {
        const expectedLoss = await m.golden.number(`loss_${loss}`);
        expect(Math.abs(out[`loss_${loss}`].data[0] - expectedLoss) / Math.abs(expectedLoss)).toBeLessThan(1e-4);
        const publishedNames = await m.golden.strings(`gradnames_${loss}`);
        const norms = (await m.golden.real(`gradnorm_${loss}`)).data;
        const largest = maxAbs(norms);
        for (const n of names) {
          const i = publishedNames.indexOf(publishedName(n));
          expect(i, n).toBeGreaterThanOrEqual(0);
          const norm = Math.sqrt(out[`grad_${loss}:${n}`].data.reduce((sum, v) => sum + v * v, 0));
          expect(Math.abs(norm - norms[i]), n).toBeLessThan(1e-3 * norms[i] + 1e-7 * largest);
        }
      });

      it.each(c.cbam ? losses : [])('five Adam steps, %s', async (loss) => {
        const step = await backend.compile(
          trainingStep({
            name: 'golden_adam',
            inputs: [],
            loss: m[loss],
            outputs: { loss: m[loss] },
            weights: m.scope.nodes,
            optimiser: optimiserDefaults,
          }),
        );
        const state = await backend.createState({ ...m.weights, ...optimiserState(m.scope.specs) });
        const expected = (await m.golden.real(`adam_losses_${loss}`)).data;
        for (const value of expected) {
          const { loss: found } = await step.run(
            { ...m.feeds, learning_rate: { data: Float32Array.of(1e-3), shape: [] } },
            state,
          );
          expect(Math.abs(found.data[0] - value) / Math.abs(value)).toBeLessThan(1e-2);
        }
        await state.dispose();
        await step.dispose();
      });
    });

    it('real and imaginary heads, rectangular scaling and the contract of counts', async () => {
      const golden = await readGolden('d_net_gs1_nf1_ci.npz');
      const weightFile = await readGolden('d_net_gs1_nf1.npz');
      const images = await golden.float32('images');
      const rms = (await golden.real('rms_input_scale')).data[0];
      const meanIntensity = (await golden.real('mean_measured_intensity')).data[0];
      const normalisation = (await golden.real('probe_normalization')).data[0];
      const config = modelConfigSchema.parse({
        N: 64,
        architecture: 'cnn_cbam',
        n_filters_scale: 1,
        cnn_output_mode: 'real_imag',
        physics_forward_mode: 'rectangular_scaled',
        border_activation: 'swish',
      });
      const B = images.shape[0];
      const scope = new ParameterScope();
      const counts = op.input('counts', [B, 1, 64, 64]);
      const net = generatorOf('cnn_cbam').layers(config, op.mul(counts, rms), scope);
      const object = rectangularScaled(net.object, scope, true);
      // The file holds the probe divided by its norm; the contract knows the physical one.
      const probe = probeConstant(await golden.complex('probe_training'), 1 / normalisation);
      const rate = detectorIntensity(object, probe);
      const deviance = poissonDeviance(rate, counts, meanIntensity, { floor: COUNT_FLOOR / meanIntensity });
      const pixels = images.data.length;
      // Published: the sum over pixels, with lnΓ(k + 1) instead of k·ln k − k, over the mean intensity; mean over the batch.
      const constant = images.data.reduce((sum, k) => sum + lnGamma(k + 1) - (k > 0 ? k * Math.log(k) - k : 0), 0);
      const loss = op.add(op.mul(deviance, pixels / B), constant / (B * meanIntensity));

      const weights: Record<string, Tensor> = {};
      for (const { name, shape } of scope.specs) {
        const key = `w.${publishedName(name)}`;
        weights[name] = weightFile.keys.includes(key)
          ? { data: (await weightFile.float32(key)).data, shape }
          : { data: Float32Array.of(1), shape };
      }
      const names = scope.specs.map((s) => s.name);
      const grads = gradients(
        loss,
        names.map((n) => scope.nodes.get(n) as GraphNode),
      );
      const outputs: Record<string, GraphNode> = { loss, rate, amplitude: net.amplitude, real: net.taps.real };
      names.forEach((n, i) => {
        outputs[`grad:${n}`] = grads[i];
      });
      const compiled = await backend.compile(defineProgram({ name: 'golden_ci', outputs }), { constants: weights });
      const out = await compiled.run({ counts: images });
      await compiled.dispose();

      const [amp, phase] = [(await golden.real('amp')).data, (await golden.real('phase')).data];
      expect(maxDifference(out.amplitude.data, amp)).toBeLessThan(1e-4);
      expect(
        maxDifference(
          out.real.data,
          amp.map((a, i) => a * Math.cos(phase[i])),
        ),
      ).toBeLessThan(1e-4);
      const predicted = (await golden.real('pred_intensity')).data;
      expect(maxDifference(out.rate.data, predicted) / maxAbs(predicted)).toBeLessThan(1e-4);
      const expected = await golden.number('loss');
      expect(Math.abs(out.loss.data[0] - expected) / expected).toBeLessThan(1e-4);
      const publishedNames = await golden.strings('gradnames');
      const norms = (await golden.real('gradnorm')).data;
      expect([...names].map(publishedName).sort()).toEqual([...publishedNames].sort());
      for (const n of names) {
        const norm = Math.sqrt(out[`grad:${n}`].data.reduce((sum, v) => sum + v * v, 0));
        const wanted = norms[publishedNames.indexOf(publishedName(n))];
        expect(Math.abs(norm - wanted), n).toBeLessThan(1e-3 * wanted + 1e-7 * maxAbs(norms));
      }
      await golden.close();
      await weightFile.close();
    });
  });
});
