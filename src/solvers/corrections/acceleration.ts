/**
 * Nesterov's extrapolation between epochs: before an epoch begins, object and probe go on in the direction in which the last epoch took
 * them (`accelerated_gradients` of PtychoShelves; Y. Nesterov, Soviet Math. Dokl. 27, 372, 1983), by
 *   β·w, β = min(acceleration, (i + 1)/(i + 3)), w = W²/(W² + 0.1·max W²) for the object (W the light on it), 1 for the probe,
 * i counted from the first such epoch. β → 1, as in Nesterov's scheme, diverges with batches. What is shown of a state is the state before
 * it goes on, so that a run may end with any epoch.
 */
import type { NumericArray } from '../../core/tensor.js';
import type { FieldMemory, Planes } from '../fieldMemory.js';

/** Epochs before the first extrapolation: the first ones lead elsewhere. */
const PLAIN_EPOCHS = 4;

/** Share of the brightest light below which the object is hardly extrapolated, squared. */
const DIM = 0.1;

export class Acceleration {
  readonly #before: readonly { readonly field: Planes; readonly re: Float32Array; readonly im: Float32Array }[];
  readonly #losses: Float64Array = new Float64Array(3).fill(Number.NaN);

  /** @param most the largest β */
  constructor(
    memory: FieldMemory,
    private readonly most: number,
  ) {
    this.#before = [memory.object, memory.probe].map((field) => ({
      field,
      re: new Float32Array(field.re.length),
      im: new Float32Array(field.im.length),
    }));
  }

  /**
   * Before an epoch: the fields go on, and what they were is remembered.
   * @param light on the object
   */
  go(epoch: number, light: () => ArrayLike<number>): void {
    const i = epoch - PLAIN_EPOCHS;
    const beta = i > 0 && this.#gains() ? Math.min(this.most, (i + 1) / (i + 3)) : 0;
    // Loops over one kind of array take no memory for each number.
    const found = beta > 0 ? light() : new Float32Array(0);
    const weights = found instanceof Float32Array ? found : Float32Array.from(found);
    const most = largestOf(weights);
    // Nothing is divided by 0 where there was no light at all.
    const dim = DIM * most * most || 1;
    this.#before.forEach(({ field, re, im }, f) => {
      if (beta === 0) {
        re.set(field.re);
        im.set(field.im);
      } else if (f === 0) {
        goOnWhereLit(field.re, re, beta, weights, dim);
        goOnWhereLit(field.im, im, beta, weights, dim);
      } else {
        goOn(field.re, re, beta);
        goOn(field.im, im, beta);
      }
    });
  }

  /** After an epoch. @param loss of all its patterns */
  note(loss: number): void {
    this.#losses.copyWithin(0, 1);
    this.#losses[2] = loss;
  }

  /** After the fields were put in from outside: they have not come from anywhere. */
  reset(): void {
    for (const { field, re, im } of this.#before) {
      re.set(field.re);
      im.set(field.im);
    }
  }

  /** The probe before the last epoch, likewise. */
  get probe(): { readonly re: Float32Array; readonly im: Float32Array } {
    return this.#before[1];
  }

  /** The object before the last epoch: whatever moves the object must move it too. */
  get object(): { readonly re: Float32Array; readonly im: Float32Array } {
    return this.#before[0];
  }

  /** The arrays that a run goes on from; they may be written to. */
  saved(): Record<string, NumericArray> {
    const [object, probe] = this.#before;
    return {
      ...{ object_re: object.re, object_im: object.im, probe_re: probe.re, probe_im: probe.im },
      losses: this.#losses,
    };
  }

  /** The misfit of the last three epochs falls, or has not risen twice. */
  #gains(): boolean {
    const [a, b, c] = this.#losses;
    return Number.isNaN(a) || Math.max(a, b) > Math.min(b, c);
  }
}

type Floats = Float32Array<ArrayBufferLike>;

/** now ← now + β·(now − before), before ← now. */
function goOn(now: Floats, before: Float32Array, beta: number): void {
  for (let k = 0; k < before.length; k++) {
    const a = now[k];
    now[k] = a + beta * (a - before[k]);
    before[k] = a;
  }
}

/** now ← now + β·w·(now − before), before ← now; w = W²/(W² + `dim`). */
function goOnWhereLit(now: Floats, before: Float32Array, beta: number, light: Floats, dim: number): void {
  for (let k = 0; k < before.length; k++) {
    const a = now[k];
    const square = light[k] * light[k];
    const w = (beta * square) / (square + dim);
    now[k] = a + w * (a - before[k]);
    before[k] = a;
  }
}

function largestOf(values: Floats): number {
  let most = 0;
  for (let k = 0; k < values.length; k++) if (values[k] > most) most = values[k];
  return most;
}
