/**
 * The PIE family: in every batch, object and probe take a step along conj(P)χ and conj(O)χ, divided by how strongly the other lights
 * them.
 *
 * PIE: H. M. L. Faulkner, J. M. Rodenburg, Phys. Rev. Lett. 93, 023903 (2004); ePIE: A. M. Maiden, J. M. Rodenburg, Ultramicroscopy
 * 109, 1256 (2009); rPIE and its momentum: A. Maiden, D. Johnson, P. Li, Optica 4, 736 (2017). With D = Σ|P|² over the patches of a
 * batch and E = Σ|O|² (one pattern a batch: the published forms):
 *   rPIE  O += γ Σconj(P)χ / ((1 − α)D + α·max D)
 *   ePIE  O += γα Σconj(P)χ / max D
 *   PIE   O += γ Σ|P|conj(P)χ / (max|P|·(D + α·max D))
 * and the probe likewise with E and O.
 */
import type { NumericArray } from '../../core/tensor.js';
import type { Plane, Planes } from '../fieldMemory.js';
import { cut, probesIn } from '../together/probes.js';
import { type PassSums, SumsOfPasses } from '../wavePasses.js';
import { type Algorithm, type AlgorithmContext, accelerationOf, type EpochSchedule, factor } from './algorithm.js';

/** Denominator a·D + b·max D and the factor of a step. */
interface Rule {
  readonly a: number;
  readonly b: number;
  readonly gain: number;
}

export class PieFamily implements Algorithm {
  readonly #context: AlgorithmContext;
  readonly #objectVelocity: Planes | undefined;
  readonly #probeVelocity: Planes | undefined;
  /** Light on the object in the last epoch, where epochs are carried on. */
  readonly #light: Plane | undefined;

  constructor(context: AlgorithmContext) {
    this.#context = context;
    const { memory } = context.passes;
    if (accelerationOf(context.options) > 0) this.#light = memory.plane(memory.objectPixels);
    if (context.options.momentum > 0) {
      this.#objectVelocity = memory.planes(memory.objectPixels);
      this.#probeVelocity = memory.planes(memory.probePixels);
    }
  }

  async start(): Promise<void> {}

  async epoch(epoch: number, schedule: EpochSchedule): Promise<PassSums> {
    const { passes, batches, options, positions, beam, background, onBatch } = this.#context;
    const weighted = options.algorithm === 'pie';
    const total = new SumsOfPasses();
    const light = schedule.object ? this.#light : undefined;
    light?.data.fill(0);
    const residues = schedule.beam && beam?.needsResidues === true;
    let done = 0;
    for (const batch of batches.of(epoch)) {
      const sums = await passes.pass(batch, {
        wave: options.noise_model === 'poisson' ? 'poisson' : 'amplitude',
        object: schedule.object,
        probe: schedule.probe,
        weighted,
        keep: schedule.positions || residues,
        beam: residues,
        background: schedule.background,
        damp: background !== undefined,
      });
      total.add(sums);
      if (schedule.background) background?.addBatch(batch);
      // Positions first: χ belongs to the fields as they were.
      if (schedule.positions) await positions.moveBatch(passes, batch, schedule.affine);
      if (schedule.beam) await beam?.correctBatch(batch);
      this.#step(schedule, weighted, light);
      done += batch.length;
      onBatch(done);
    }
    return total;
  }

  light(): ArrayLike<number> | undefined {
    return this.#light?.data;
  }

  carried() {
    const parts = (planes: Planes | undefined) => (planes ? [planes.re, planes.im] : []);
    return {
      object: [...parts(this.#objectVelocity), ...(this.#light ? [this.#light.data] : [])],
      probe: parts(this.#probeVelocity),
    };
  }

  saved(): Record<string, NumericArray> {
    const out: Record<string, NumericArray> = this.#light ? { light: this.#light.data } : {};
    for (const [name, planes] of this.#velocities()) {
      out[`${name}_re`] = planes.re;
      out[`${name}_im`] = planes.im;
    }
    return out;
  }

  restore(saved: Readonly<Record<string, NumericArray>>): void {
    this.#light?.data.set(saved.light);
    for (const [name, planes] of this.#velocities()) {
      planes.re.set(saved[`${name}_re`]);
      planes.im.set(saved[`${name}_im`]);
    }
  }

  #velocities(): (readonly [string, Planes])[] {
    const found: (readonly [string, Planes])[] = [];
    if (this.#objectVelocity) found.push(['object_velocity', this.#objectVelocity]);
    if (this.#probeVelocity) found.push(['probe_velocity', this.#probeVelocity]);
    return found;
  }

  /** @param light where that of the batch is added */
  #step(schedule: EpochSchedule, weighted: boolean, light: Plane | undefined): void {
    const { memory } = this.#context.passes;
    const { sums, object, probe } = memory;
    // The weights of PIE are relative to the strongest pixel of the wave that lights; both are read before either changes.
    const brightest = (field: Planes) => (weighted ? 1 / largestModulus(field) : 1);
    const [ofProbe, ofObject] = [brightest(probe), brightest(object)];
    const most = schedule.object ? memory.largest(sums.illumination) : 0;
    const probes = schedule.probe
      ? probesIn(memory).map((one) => ({ ...one, most: memory.largest(one.objectIntensity) }))
      : [];
    memory.together(() => {
      if (light) memory.addTo(sums.illumination, light);
      if (schedule.object) {
        const rule = this.#rule('object', ofProbe);
        this.#apply(sums.object, { light: sums.illumination, most }, rule, object, this.#objectVelocity);
      }
      let from = 0;
      for (const { probe: own, sum, objectIntensity, most } of probes) {
        const { length } = own.re;
        const velocity = this.#probeVelocity && cut(this.#probeVelocity, from, length);
        this.#apply(sum, { light: objectIntensity, most }, this.#rule('probe', ofObject), own, velocity);
        from += length;
      }
    });
  }

  #rule(of: 'object' | 'probe', weight: number): Rule {
    const { options } = this.#context;
    const gain = factor(options, `${of}_step`) * weight;
    const hold = factor(options, `${of}_regularisation`);
    if (options.algorithm === 'epie') return { a: 0, b: 1, gain: gain * hold };
    if (options.algorithm === 'pie') return { a: 1, b: hold, gain };
    return { a: 1 - hold, b: hold, gain };
  }

  /** @param most light anywhere */
  #apply(
    step: Planes,
    { light, most }: { readonly light: Plane; readonly most: number },
    { a, b, gain }: Rule,
    field: Planes,
    velocity: Planes | undefined,
  ): void {
    const { memory } = this.#context.passes;
    // A probe that no pattern of the batch saw stays.
    if (most === 0) return;
    if (!velocity) {
      memory.divide(step, light, { a, b: b * most }, gain, field);
      return;
    }
    // Nesterov's form: the field goes where the new velocity leads.
    const { momentum } = this.#context.options;
    memory.divide(step, light, { a, b: b * most }, gain);
    memory.scale(velocity, momentum);
    memory.add(step, 1, velocity);
    memory.add(step, 1, field);
    memory.add(velocity, momentum, field);
  }
}

function largestModulus({ re, im }: Planes): number {
  let most = 0;
  for (let i = 0; i < re.length; i++) most = Math.max(most, re[i] * re[i] + im[i] * im[i]);
  return Math.sqrt(most) || 1;
}
