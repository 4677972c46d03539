/**
 * The object as what a small convolutional network paints (`ImagePrior`). It takes over in epoch `prior_start`, where it learns the image
 * that there is; from there on its weights take a step of Adam down the gradient of the misfit in every batch, the probe a step of rPIE.
 * What such a network paints late (noise) is left out as long as the run is short; for few counts.
 *
 * With L = ½ Σ(√I − √J)²/ΣI over a batch, ∂L/∂Re O + i·∂L/∂Im O = −Σ conj(P)χ / ΣI (transforms are unitary).
 */
import type { Backend, Compiled, DeviceState } from '../../backends/backend.js';
import type { NumericArray, Tensor } from '../../core/tensor.js';
import { ImagePrior } from '../../model/imagePrior.js';
import { lightOnObject } from '../probe.js';
import { type PassSums, SumsOfPasses } from '../wavePasses.js';
import { type Algorithm, type AlgorithmContext, type EpochSchedule, TRAITS } from './algorithm.js';

/** Steps in which the network learns the image that it begins with. */
const FITTING_STEPS = 150;

/** Where less light than this share of the brightest fell, the image to begin with counts for less. */
const FAINT = 0.05;

/** What the rate falls to at the end of a run. */
const LAST_RATE = 0.02;

export class NetworkPrior implements Algorithm {
  readonly #context: AlgorithmContext;
  readonly #prior: ImagePrior;
  readonly #shapes: Readonly<Record<string, Tensor['shape']>>;
  /** A copy of the network's state after each epoch, for whoever keeps it. */
  #saved: Record<string, Float32Array>;
  /** What the engine holds, once it was asked. */
  #engine: { readonly step: Compiled; readonly image: Compiled; readonly state: DeviceState } | undefined;

  constructor(
    context: AlgorithmContext,
    private readonly backend: Backend,
  ) {
    this.#context = context;
    const { height, width } = context.passes.memory.sizes;
    const { prior_width: channels, seed } = context.options;
    this.#prior = new ImagePrior({ height, width, channels, seed });
    const fresh = { ...this.#prior.initialWeights(), ...this.#prior.initialOptimiserState() };
    this.#shapes = Object.fromEntries(Object.entries(fresh).map(([name, { shape }]) => [name, shape]));
    this.#saved = Object.fromEntries(Object.entries(fresh).map(([name, { data }]) => [name, data]));
  }

  async start(): Promise<void> {}

  async epoch(epoch: number, schedule: EpochSchedule): Promise<PassSums> {
    const { passes, batches, options, positions, onBatch } = this.#context;
    if (epoch === options.prior_start) await this.#learnImage();
    const { memory } = passes;
    const total = new SumsOfPasses();
    const all = batches.of(epoch);
    let done = 0;
    for (const [b, batch] of all.entries()) {
      const sums = await passes.pass(batch, {
        wave: options.noise_model === 'poisson' ? 'poisson' : 'amplitude',
        object: schedule.object,
        probe: schedule.probe,
        keep: schedule.positions,
      });
      total.add(sums);
      if (schedule.positions) await positions.moveBatch(passes, batch, schedule.affine);
      if (schedule.object) {
        const { re, im } = memory.sums.object;
        const share = -1 / sums.counts;
        await this.#descend(
          re.map((v) => share * v),
          im.map((v) => share * v),
          this.#rate(epoch - 1 + b / all.length),
        );
        await this.#paint();
      }
      if (schedule.probe) this.#stepProbe();
      done += batch.length;
      onBatch(done);
    }
    this.#saved = await this.#read();
    return total;
  }

  saved(): Record<string, NumericArray> {
    // Members of a saved state are files.
    return Object.fromEntries(Object.entries(this.#saved).map(([name, data]) => [name.replaceAll('/', '.'), data]));
  }

  restore(saved: Readonly<Record<string, NumericArray>>): void {
    const own = Object.keys(this.#saved).map((name) => [
      name,
      Float32Array.from(saved[name.replaceAll('/', '.')] as Float32Array),
    ]);
    this.#saved = Object.fromEntries(own);
  }

  async close(): Promise<void> {
    if (!this.#engine) return;
    const { step, image, state } = this.#engine;
    this.#engine = undefined;
    await state.dispose();
    await step.dispose();
    await image.dispose();
  }

  /** At a time in epochs: a cosine from the start of the network to the end of the run. */
  #rate(epochs: number): number {
    const { prior_start, epochs: last, prior_learning_rate } = this.#context.options;
    const at = Math.min(1, (epochs - (prior_start - 1)) / (last - (prior_start - 1)));
    return prior_learning_rate * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + Math.cos(Math.PI * at)));
  }

  /** The network learns the object as it is, where light fell; then the object is what it paints. */
  async #learnImage(): Promise<void> {
    const { passes, scan, options } = this.#context;
    const { object, probe, sizes } = passes.memory;
    const { height, width, N } = sizes;
    const begun = { re: Float32Array.from(object.re), im: Float32Array.from(object.im) };
    const light = lightOnObject(probe, N, scan, { originYxPx: [0, 0], height, width }).data;
    const weights = Float32Array.from(light, (v) => v / (v + FAINT));
    const share = 1 / (weights.reduce((sum, v) => sum + v, 0) || 1);
    for (let k = 0; k < FITTING_STEPS; k++) {
      await this.#paint();
      await this.#descend(
        object.re.map((v, i) => share * weights[i] * (v - begun.re[i])),
        object.im.map((v, i) => share * weights[i] * (v - begun.im[i])),
        options.prior_learning_rate,
      );
    }
    await this.#paint();
  }

  async #running() {
    if (this.#engine) return this.#engine;
    const values = Object.entries(this.#saved).map(([name, data]) => [name, { data, shape: this.#shapes[name] }]);
    const state = await this.backend.createState(Object.fromEntries(values));
    const step = await this.backend.compile(this.#prior.step());
    const image = await this.backend.compile(this.#prior.image());
    this.#engine = { step, image, state };
    return this.#engine;
  }

  async #descend(re: Float32Array, im: Float32Array, rate: number): Promise<void> {
    const { step, state } = await this.#running();
    const { height, width } = this.#context.passes.memory.sizes;
    const shape = [height, width];
    const learning_rate = { data: Float32Array.of(rate), shape: [] };
    await step.run({ gradient_real: { data: re, shape }, gradient_imag: { data: im, shape }, learning_rate }, state);
  }

  /** The object is what the network paints. */
  async #paint(): Promise<void> {
    const { image, state } = await this.#running();
    const { object_real, object_imag } = await image.run({}, state);
    const { object } = this.#context.passes.memory;
    object.re.set(object_real.data);
    object.im.set(object_imag.data);
  }

  async #read(): Promise<Record<string, Float32Array>> {
    const { state } = await this.#running();
    const values = Object.entries(await state.read());
    return Object.fromEntries(values.map(([name, { data }]) => [name, data as Float32Array]));
  }

  #stepProbe(): void {
    const { memory } = this.#context.passes;
    const { probe_step: gain, probe_regularisation: hold } = TRAITS.rpie;
    const { probe: step, objectIntensity } = memory.sums;
    const most = memory.largest(objectIntensity);
    memory.divide(step, objectIntensity, { a: 1 - hold, b: hold * most }, gain, memory.probe);
  }
}
