/**
 * Values from one thread to another through shared memory, where neither has an event loop to spare: JSON, in which arrays and numbers
 * that JSON does not know stand beside the text.
 *
 * @example
 * const box = new Mailbox(new SharedArrayBuffer(4096));
 * box.put({ part: Int32Array.of(1, 2) });
 * box.take(); // { part: Int32Array [1, 2] }
 */
const HEAD_BYTES = 8;

type Numbers = Float64Array | Int32Array;
type Kind = 'Float64Array' | 'Int32Array';

/** An array in the text: its kind, and where it begins and how long it is. */
type Placed = readonly [kind: Kind, at: number, length: number];

export class Mailbox {
  readonly #head: Int32Array;

  constructor(private readonly buffer: SharedArrayBuffer) {
    this.#head = new Int32Array(buffer, 0, 2);
  }

  /** Whoever takes must be told by other means that there is something. @throws RangeError for more than there is room for */
  put(value: unknown): void {
    const arrays: Numbers[] = [];
    let end = HEAD_BYTES;
    const text = JSON.stringify({ value }, (_key, part: unknown) => {
      if (typeof part === 'number' && !Number.isFinite(part)) return { number: String(part) };
      const kind = kindOf(part);
      if (!kind) return part;
      const numbers = part as Numbers;
      const placed: Placed = [kind, end, numbers.length];
      arrays.push(numbers);
      end += 8 * Math.ceil(numbers.byteLength / 8);
      return { array: placed };
    });
    const bytes = new TextEncoder().encode(text);
    if (end + bytes.length > this.buffer.byteLength) {
      throw new RangeError(`${end + bytes.length} bytes do not fit into the ${this.buffer.byteLength} of a mailbox`);
    }
    let at = HEAD_BYTES;
    for (const numbers of arrays) {
      new Uint8Array(this.buffer).set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), at);
      at += 8 * Math.ceil(numbers.byteLength / 8);
    }
    new Uint8Array(this.buffer).set(bytes, end);
    this.#head[0] = end;
    this.#head[1] = bytes.length;
  }

  /** What was put in last; arrays are copies. */
  take(): unknown {
    const [at, length] = this.#head;
    const text = new TextDecoder().decode(new Uint8Array(this.buffer, at, length).slice());
    const { value } = JSON.parse(text, (_key, part: unknown) => {
      if (typeof part !== 'object' || part === null) return part;
      if ('number' in part) return Number(part.number);
      if (!('array' in part)) return part;
      const [kind, from, count] = part.array as Placed;
      return (
        kind === 'Float64Array' ? new Float64Array(this.buffer, from, count) : new Int32Array(this.buffer, from, count)
      ).slice();
    }) as { value: unknown };
    return value;
  }
}

function kindOf(value: unknown): Kind | undefined {
  if (value instanceof Float64Array) return 'Float64Array';
  return value instanceof Int32Array ? 'Int32Array' : undefined;
}
