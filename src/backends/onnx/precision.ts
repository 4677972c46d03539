/**
 * Precisions other than single: whether a device has them, and predictions in half precision that are compared with single ones before
 * they are believed.
 */
import type { Logger } from '../../core/log.js';
import type { Tensor } from '../../core/tensor.js';
import type { Backend, Compiled, DeviceState, Precision, Tensors } from '../backend.js';
import type { Choice } from './accelerators.js';

/** The precision that was asked for where the device has it; else single, which is said. */
export function settledPrecision(
  wanted: Precision,
  { device }: Choice,
  offered: readonly Precision[],
  logger: Logger,
): Precision {
  if (wanted === '32-true' || offered.includes(wanted)) return wanted;
  logger.warn(`precision ${wanted} is not available on ${device}, so everything is computed in single precision.`);
  return '32-true';
}

/** Products of CUDA are shortened to ten bits unless its libraries are told not to, before they are loaded. */
export function forbidShortProducts(): void {
  process.env.NVIDIA_TF32_OVERRIDE ??= '0';
}

/** Largest difference of predictions, of all their values together, relative to those in single precision. */
const LIMIT = 1e-2;

/** A program in half precision. Its first results are set against those in single precision, which stays where they differ too much. */
export class CheckedHalf implements Compiled {
  #taken: Compiled | undefined;
  #others: Compiled[];

  constructor(
    private readonly half: Compiled,
    private readonly single: Compiled,
    private readonly name: string,
    private readonly logger: Logger,
  ) {
    this.#others = [half, single];
  }

  async run(feeds: Tensors, state?: DeviceState): Promise<Record<string, Tensor>> {
    if (this.#taken) return this.#taken.run(feeds, state);
    const [found, expected] = [await this.half.run(feeds, state), await this.single.run(feeds, state)];
    const error = relativeDifference(found, expected);
    const good = error <= LIMIT;
    if (!good) {
      const percent = (100 * error).toPrecision(2);
      this.logger.warn(`${this.name} in half precision differs by ${percent} % from single, which is taken instead.`);
    }
    await this.#take(good ? this.half : this.single);
    return good ? found : expected;
  }

  async dispose(): Promise<void> {
    for (const program of this.#taken ? [this.#taken] : this.#others) await program.dispose();
    this.#others = [];
  }

  async #take(taken: Compiled): Promise<void> {
    this.#taken = taken;
    await (taken === this.half ? this.single : this.half).dispose();
  }
}

/** {@link CheckedHalf} of a program without gradients, by `compile` in both precisions; single where half is refused. */
export async function compiledInHalf(
  compile: Backend['compile'],
  [program, options]: Parameters<Backend['compile']>,
  logger: Logger,
): Promise<Compiled> {
  const single = await compile(program, options);
  try {
    return new CheckedHalf(await compile(program, { ...options, half: true }), single, program.name, logger);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn(`${program.name} cannot be computed in half precision (${reason}), so it is computed in single.`);
    return single;
  }
}

function relativeDifference(
  found: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Tensor>>,
): number {
  let [difference, norm] = [0, 0];
  for (const [name, { data }] of Object.entries(expected)) {
    for (let i = 0; i < data.length; i++) {
      difference += (found[name].data[i] - data[i]) ** 2;
      norm += data[i] ** 2;
    }
  }
  const relative = Math.sqrt(difference / norm);
  // What is no number is no good.
  return Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative;
}
