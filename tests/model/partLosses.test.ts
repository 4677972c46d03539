/** `amp_loss` and `phase_loss`: their numbers in float64, and that they are part of the loss. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import * as op from '../../src/graph/ops.js';
import { type PartLoss, partLoss } from '../../src/model/losses.js';
import { LOG_INTENSITY_SCALE } from '../../src/model/network.js';
import { evaluate, interpret } from '../support/interpreter.js';
import { simulated } from '../support/simulatedBatch.js';

const N = 16;
const KINDS = ['Total_Variation', 'Mean_Deviation'] as const;

/** Sums as published, over the pixels. */
function byDefinition(x: ArrayLike<number>, images: number, n: number, kind: PartLoss['kind']): number {
  let sum = 0;
  for (let k = 0; k < images; k++) {
    const v = (r: number, c: number) => x[(k * n + r) * n + c];
    let mean = 0;
    for (let i = 0; i < n * n; i++) mean += x[k * n * n + i] / (n * n);
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < n; c++) {
        if (kind === 'Mean_Deviation') sum += Math.abs(v(r, c) - mean);
        else {
          if (r + 1 < n) sum += Math.abs(v(r + 1, c) - v(r, c));
          if (c + 1 < n) sum += Math.abs(v(r, c + 1) - v(r, c));
        }
      }
    }
  }
  return sum / (images * n * n);
}

describe('losses of amplitude and phase', () => {
  it.each(KINDS)('%s by definition', (kind) => {
    const rng = new LegacyRng(1);
    const data = Float32Array.from({ length: 6 * 5 * 5 }, () => rng.normal(1, 2));
    const [[found]] = evaluate([partLoss(op.constant(data, [3, 2, 5, 5]), kind)], {});
    expect(found).toBeCloseTo(byDefinition(data, 6, 5, kind), 5);
  });

  it('look at what the network paints, and count with their weights', () => {
    const spec = {
      amplitudeLoss: { kind: 'Total_Variation', weight: 0.5 },
      phaseLoss: { kind: 'Mean_Deviation', weight: 2 },
    } as const;
    for (const model of [{}, { cnn_output_mode: 'real_imag' }]) {
      const options = {
        N,
        gridsize: 1,
        architecture: 'cnn',
        loss: 'mae',
        n_filters_scale: 1,
        batch: 1,
        model,
      } as const;
      const { network, feeds } = simulated({ ...options, spec });
      const weights = Object.fromEntries(
        Object.entries(network.initialWeights(2)).map(([name, { data }]) => [
          name,
          name === LOG_INTENSITY_SCALE ? data : data.map((v) => 3 * v),
        ]),
      );
      const fed = Object.fromEntries(Object.entries(feeds()).map(([name, { data }]) => [name, data]));
      const { outputs } = interpret(network.evaluate(1), fed, weights);
      const plain = interpret(simulated(options).network.evaluate(1), fed, weights).outputs;
      const painted = interpret(network.predict(1), fed, weights).outputs;
      // The amplitude of the constant object is 1.
      const unit = network.spec.scale.amplitudeGauge / 2;
      const [re, im] = [painted.object_real.data, painted.object_imag.data];
      const amplitude = byDefinition(
        re.map((v, i) => Math.hypot(v, im[i]) / unit),
        1,
        N,
        'Total_Variation',
      );
      const phase = byDefinition(
        re.map((v, i) => Math.atan2(im[i], v)),
        1,
        N,
        'Mean_Deviation',
      );
      expect(phase).toBeGreaterThan(0.05);
      expect(outputs.amp_loss.data[0]).toBeCloseTo(amplitude, 5);
      expect(outputs.phase_loss.data[0]).toBeCloseTo(phase, 5);
      expect(outputs.loss.data[0]).toBeCloseTo(plain.loss.data[0] + 0.5 * amplitude + 2 * phase, 5);
    }
  }, 30_000);
});
