/** A value of a running program: its tensors, in one layout or several, and who frees them. */
import { type Shape, sizeOf } from '../../core/tensor.js';
import type { Kernels, TfTensor } from './kernels/kernels.js';
import { inMemory, type Layout, movesNothing, permutationBetween, plainLayout, sameLayout } from './layout.js';

interface Held {
  readonly layout: Layout;
  readonly tensor: TfTensor;
}

/**
 * Owns its tensors until {@link dispose}. A tensor may be smaller than the value ("loose"): then it is to be broadcast, and
 * ops that broadcast take it as it is.
 */
export class Value {
  readonly shape: Shape;
  readonly #kernels: Kernels;
  #held: Held[];
  /** Things made from this value that live as long as it does (a kernel turned round, say). */
  #derived: Map<string, TfTensor> | undefined;

  /** Takes over `tensor`. */
  constructor(kernels: Kernels, shape: Shape, tensor: TfTensor, layout: Layout = plainLayout(shape.length)) {
    this.#kernels = kernels;
    this.shape = shape;
    this.#held = [{ layout, tensor: kernels.tf.keep(tensor) }];
  }

  /** The layout that costs nothing. */
  get layout(): Layout {
    return this.#held[0].layout;
  }

  /** Values in memory: fewer than the shape says when the value is loose. */
  get size(): number {
    return this.#held[0].tensor.size;
  }

  /** Complete, in `layout`; belongs to this value. */
  get(layout: Layout = plainLayout(this.shape.length)): TfTensor {
    if (this.size !== sizeOf(this.shape)) this.#expand();
    return this.loose(layout);
  }

  /** In `layout`, perhaps to be broadcast; belongs to this value. */
  loose(layout: Layout): TfTensor {
    const known = this.#held.find((h) => sameLayout(h.layout, layout));
    if (known) return known.tensor;
    const { tf } = this.#kernels;
    const from = this.#held[0];
    const permutation = permutationBetween(from.layout, layout);
    const made = tf.tidy(() => {
      const shape = permutation.map((axis) => from.tensor.shape[axis]);
      if (movesNothing(from.tensor.shape, permutation)) return tf.reshape(from.tensor, shape);
      return this.#kernels.transpose(from.tensor, permutation);
    });
    this.#held.push({ layout, tensor: tf.keep(made) });
    return made;
  }

  /** Another value of the same numbers; nothing is copied. */
  share(): Value {
    const { layout, tensor } = this.#held[0];
    return new Value(this.#kernels, this.shape, this.#kernels.tf.clone(tensor), layout);
  }

  /** The same numbers under another shape and layout, not moved. */
  as(shape: Shape, layout: Layout): Value {
    return new Value(this.#kernels, shape, this.#kernels.tf.clone(this.#held[0].tensor), layout);
  }

  /** What `make` makes of this value, made once. */
  derived(key: string, make: () => TfTensor): TfTensor {
    this.#derived ??= new Map();
    const known = this.#derived.get(key);
    if (known) return known;
    const made = this.#kernels.tf.keep(this.#kernels.tf.tidy(make));
    this.#derived.set(key, made);
    return made;
  }

  /** Keeps only the layout that was made last: for state, which the next run will want in that layout again. */
  settle(): void {
    this.#keepOnly(this.#held.length - 1);
  }

  /** Keeps only the layout that was there first. */
  trim(): void {
    this.#keepOnly(0);
  }

  dispose(): void {
    for (const { tensor } of this.#held) tensor.dispose();
    for (const tensor of this.#derived?.values() ?? []) tensor.dispose();
    this.#held = [];
    this.#derived = undefined;
  }

  #keepOnly(index: number): void {
    const kept = this.#held[index];
    for (const held of this.#held) if (held !== kept) held.tensor.dispose();
    this.#held = [kept];
  }

  #expand(): void {
    const { tf } = this.#kernels;
    const { layout, tensor } = this.#held[0];
    const full = inMemory(this.shape, layout);
    const made = tf.keep(tf.tidy(() => tf.broadcastTo(tensor, full)));
    for (const held of this.#held) held.tensor.dispose();
    this.#held = [{ layout, tensor: made }];
  }
}
