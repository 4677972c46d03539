/**
 * LSQ-ML: in every batch, the steps of object and probe that together bring the exit waves closest to what the measurements ask for
 * (M. Odstrčil, A. Menzel, M. Guizar-Sicairos, Opt. Express 26, 3108, 2018).
 *
 * The object's direction is Σconj(P)χ divided by √(W² + (δ·max W)²), W = Σ|P|² over the whole scan, δ = `object_regularisation`; the
 * probe's the mean of conj(O)χ. Each pattern has its own pair of best steps, from two equations with A = δO·P and B = δP·O:
 *   Σ|A|² α + Re ΣA·conj(B) β = Re Σconj(A)χ,   Re ΣA·conj(B) α + Σ|B|² β = Re Σconj(B)χ;
 * the object takes the mean without the outer tenths, the probe the mean, both times `object_step`, `probe_step` (0.9).
 */
import type { NumericArray } from '../../core/tensor.js';
import type { Plane } from '../fieldMemory.js';
import { probesIn } from '../together/probes.js';
import { type PassSums, SumsOfPasses } from '../wavePasses.js';
import { type Algorithm, type AlgorithmContext, type EpochSchedule, factor } from './algorithm.js';
import { batchesOf } from './batches.js';

/** Share of the mean that is added to the diagonal: patterns that say little do not take long steps. */
const DAMPING = 0.1;

export class LeastSquaresML implements Algorithm {
  readonly #context: AlgorithmContext;
  /** W, and what it is in this epoch. */
  readonly #illumination: Plane;
  readonly #next: Plane;

  constructor(context: AlgorithmContext) {
    this.#context = context;
    const { memory } = context.passes;
    this.#illumination = memory.plane(memory.objectPixels);
    this.#next = memory.plane(memory.objectPixels);
  }

  async start(): Promise<void> {
    const { passes, rows, batchSize } = this.#context;
    this.#illumination.data.fill(0);
    for (const batch of batchesOf(rows, batchSize, 0, 0)) {
      await passes.pass(batch, { wave: 'amplitude', object: true });
      passes.memory.addTo(passes.memory.sums.illumination, this.#illumination);
    }
  }

  async epoch(epoch: number, schedule: EpochSchedule): Promise<PassSums> {
    const { passes, batches, options, positions, beam, background, onBatch } = this.#context;
    const { memory } = passes;
    const hold = factor(options, 'object_regularisation');
    const total = new SumsOfPasses();
    this.#next.data.fill(0);
    const held = hold * memory.largest(this.#illumination);
    let done = 0;
    for (const batch of batches.of(epoch)) {
      const sums = await passes.pass(batch, {
        wave: options.noise_model === 'poisson' ? 'poisson' : 'amplitude',
        object: true,
        probe: true,
        keep: true,
        beam: schedule.beam && beam?.needsResidues === true,
        background: schedule.background,
        damp: background !== undefined,
      });
      total.add(sums);
      if (schedule.background) background?.addBatch(batch);
      if (schedule.positions) await positions.moveBatch(passes, batch, schedule.affine);
      const probes = probesIn(memory);
      const seen = this.#seen(batch, probes.length);
      memory.together(() => {
        memory.addTo(memory.sums.illumination, this.#next);
        memory.precondition(memory.sums.object, this.#illumination, held);
        probes.forEach(({ sum }, p) => {
          memory.scale(sum, 1 / (seen[p] || 1));
        });
      });
      const steps = bestSteps(await passes.products(), schedule, this.#probeOf(batch), seen);
      if (schedule.beam) await beam?.correctBatch(batch);
      memory.together(() => {
        if (schedule.object) {
          memory.add(memory.sums.object, factor(options, 'object_step') * steps.object, memory.object);
        }
        if (!schedule.probe) return;
        probes.forEach(({ probe, sum }, p) => {
          memory.add(sum, factor(options, 'probe_step') * steps.probe[p], probe);
        });
      });
      done += batch.length;
      onBatch(done);
    }
    const [old, found] = [this.#illumination.data, this.#next.data];
    for (let i = 0; i < old.length; i++) old[i] = 0.5 * (old[i] + found[i]);
    return total;
  }

  light(): ArrayLike<number> {
    return this.#illumination.data;
  }

  /** Which probe each pattern of a batch saw. */
  #probeOf(batch: Int32Array): Int32Array {
    const { probeOf } = this.#context.scan;
    return batch.map((k) => probeOf?.[k] ?? 0);
  }

  /** How many patterns of a batch saw each probe. */
  #seen(batch: Int32Array, probes: number): number[] {
    const seen = new Array<number>(probes).fill(0);
    for (const p of this.#probeOf(batch)) seen[p]++;
    return seen;
  }

  carried() {
    return { object: [this.#illumination.data], probe: [] };
  }

  saved(): Record<string, NumericArray> {
    return { illumination: this.#illumination.data };
  }

  restore({ illumination }: Readonly<Record<string, NumericArray>>): void {
    this.#illumination.data.set(illumination);
  }
}

/**
 * Steps of object and probes from the products of a batch, (n, 6) as `WavePasses.products` answers them; a field that does not
 * change takes no part.
 * @param probeOf which probe each pattern saw
 * @param seen how many patterns saw each
 */
function bestSteps(
  products: Float64Array,
  changing: { readonly object: boolean; readonly probe: boolean },
  probeOf: Int32Array,
  seen: readonly number[],
): { readonly object: number; readonly probe: readonly number[] } {
  const count = products.length / 6;
  const mean = (column: number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += products[6 * i + column];
    return sum / count;
  };
  const [meanA, meanB] = [mean(0), mean(1)];
  const ofObject = new Float64Array(count);
  const ofProbe = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const [aa, bb, ab, , ac, bc] = products.subarray(6 * i, 6 * i + 6);
    const [a, d] = [aa + DAMPING * meanA, bb + DAMPING * meanB];
    const both = changing.object && changing.probe;
    const determinant = both ? a * d - ab * ab : a * d;
    if (!(determinant > 0)) continue;
    const cross = both ? ab : 0;
    ofObject[i] = Math.max(0, (d * ac - cross * bc) / determinant);
    ofProbe[i] = Math.max(0, (a * bc - cross * ac) / determinant);
  }
  const means = seen.map((n, p) => ofProbe.reduce((sum, v, i) => (probeOf[i] === p ? sum + v : sum), 0) / (n || 1));
  return {
    object: changing.object ? trimmedMean(ofObject) : 0,
    probe: changing.probe ? means : seen.map(() => 0),
  };
}

/** The mean without the lowest and the highest tenth. */
function trimmedMean(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  const cut = Math.floor(sorted.length / 10);
  const kept = sorted.subarray(cut, sorted.length - cut);
  return kept.reduce((sum, v) => sum + v, 0) / kept.length;
}
