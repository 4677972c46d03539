/**
 * The difference map: exit waves of all patterns are kept, and moved by the difference of two projections, onto products of one object
 * and one probe and onto the measured amplitudes (P. Thibault et al., Ultramicroscopy 109, 338, 2009), relaxed
 * (D. R. Luke, Inverse Problems 21, 37, 2005):
 *   q = P·O,  ψ ← q + β·(Π(2q − ψ) − (2q − ψ));  then P = Σconj(O)ψ/Σ|O|², O = Σconj(P)ψ/Σ|P|²
 * (denominators as √(D² + (ε·max D)²), ε the regularisations). β = 1 is the difference map as published.
 *
 * With noise the map of 2009 has no fixed point and goes on wandering, object and probe with it: best after some ten epochs and
 * several times worse after sixty (docs/solvers.md). With β below 1 it comes to rest.
 */
import type { NumericArray } from '../../core/tensor.js';
import type { Plane, Planes } from '../fieldMemory.js';
import { probesIn } from '../together/probes.js';
import { type PassSums, SumsOfPasses } from '../wavePasses.js';
import { type Algorithm, type AlgorithmContext, type EpochSchedule, factor } from './algorithm.js';

/** β where the options leave it open. */
const RELAXATION = 0.75;

export class DifferenceMap implements Algorithm {
  constructor(private readonly context: AlgorithmContext) {}

  /** Stored waves begin as products of object and probe. */
  async start(): Promise<void> {
    for (const batch of this.#chunks()) await this.context.passes.pass(batch, { wave: 'store' });
  }

  async epoch(_epoch: number, schedule: EpochSchedule): Promise<PassSums> {
    const { passes, options, onBatch } = this.context;
    const { memory } = passes;
    const total = new SumsOfPasses();
    const strength = options.relaxation ?? RELAXATION;
    let done = 0;
    let first = true;
    for (const batch of this.#chunks()) {
      const sums = await passes.pass(batch, {
        wave: 'difference',
        strength,
        probe: schedule.probe,
        accumulate: !first,
      });
      total.change += sums.change;
      first = false;
      done += batch.length / 2;
      onBatch(Math.round(done));
    }
    if (schedule.probe) {
      for (const { probe, sum, objectIntensity } of probesIn(memory)) {
        replace(probe, sum, objectIntensity, factor(options, 'probe_regularisation'));
      }
    }
    if (schedule.object) {
      first = true;
      for (const batch of this.#chunks()) {
        await passes.pass(batch, { wave: 'stored', object: true, accumulate: !first });
        first = false;
        done += batch.length / 2;
        onBatch(Math.round(done));
      }
      replace(memory.object, memory.sums.object, memory.sums.illumination, factor(options, 'object_regularisation'));
    }
    // How well the new object and probe explain the patterns.
    for (const batch of this.#chunks()) {
      total.add(await passes.pass(batch, { wave: 'measure', background: schedule.background }));
      if (schedule.background) this.context.background?.addBatch(batch);
    }
    return total;
  }

  saved(): Record<string, NumericArray> {
    return { waves: this.context.passes.storedWaves() };
  }

  restore({ waves }: Readonly<Record<string, NumericArray>>): void {
    this.context.passes.storedWaves().set(waves);
  }

  *#chunks(): Generator<Int32Array> {
    const { rows, batchSize } = this.context;
    for (let from = 0; from < rows.length; from += batchSize) yield rows.slice(from, from + batchSize);
  }
}

/** field = sum/√(light² + (ε·max light)²), the light of one for several modes; unlit pixels keep what they had. */
function replace(field: Planes, sum: Planes, light: Plane, epsilon: number): void {
  const { data } = light;
  let most = 0;
  for (let i = 0; i < data.length; i++) most = Math.max(most, data[i]);
  for (let i = 0; i < field.re.length; i++) {
    const d = data[i % data.length];
    if (!(d > 1e-6 * most)) continue;
    const below = Math.sqrt(d * d + (epsilon * most) ** 2);
    field.re[i] = sum.re[i] / below;
    field.im[i] = sum.im[i] / below;
  }
}
