/**
 * The one text inside the pickle that NumPy writes for `np.array(text, dtype=object)`. Nothing is executed and nothing is
 * imported: the opcodes build a tree of plain values, and only the exact tree of such an array is accepted.
 *
 * Opcodes: Python's Lib/pickletools.py, protocols 2 to 5; the tree: `ndarray.__reduce__` and `__setstate__` of NumPy 1 and 2.
 *
 * @example
 * const text = pickledText(bytes); // undefined for anything but an array of one str
 */

/** A value that a pickle builds; calls and attributes are only named, never made. Lists are arrays. */
type Value = null | boolean | number | string | Uint8Array | Value[] | Tuple | Global | Call;
class Tuple {
  constructor(readonly items: readonly Value[]) {}
}
class Global {
  constructor(readonly name: string) {}
}
class Call {
  state: Value | undefined;
  constructor(
    readonly callee: Value,
    readonly args: Value,
  ) {}
}

/** More opcodes than any such array needs (about 50). */
const MAX_STEPS = 400;

class NotThatPickle extends Error {}

/**
 * The text, if the bytes are the pickle of an object array of shape () or (1,) that holds one str; else undefined.
 * @param bytes what follows the header of a `.npy` array of dtype object.
 */
export function pickledText(bytes: Uint8Array): string | undefined {
  try {
    return textOfArray(new Builder(bytes).run());
  } catch (error) {
    if (error instanceof NotThatPickle) return undefined;
    throw error;
  }
}

function fail(): never {
  throw new NotThatPickle();
}

/** What each opcode does. */
const OPCODES: Readonly<Record<string, (b: Builder) => void>> = {
  '\x80': (b) => [2, 3, 4, 5].includes(b.byte()) || fail(), // PROTO
  '\x95': (b) => b.take(8), // FRAME: a hint for readers of streams
  '(': (b) => b.marks.push(b.stack.length), // MARK
  N: (b) => b.stack.push(null),
  '\x88': (b) => b.stack.push(true),
  '\x89': (b) => b.stack.push(false),
  K: (b) => b.stack.push(b.byte()), // BININT1
  M: (b) => b.stack.push(b.unsigned(2)), // BININT2
  J: (b) => b.stack.push(b.unsigned(4) | 0), // BININT
  X: (b) => b.stack.push(b.text(b.unsigned(4))), // BINUNICODE
  '\x8c': (b) => b.stack.push(b.text(b.byte())), // SHORT_BINUNICODE
  '\x8d': (b) => b.stack.push(b.text(b.unsigned(8))), // BINUNICODE8
  C: (b) => b.stack.push(b.take(b.byte())), // SHORT_BINBYTES
  ')': (b) => b.stack.push(new Tuple([])),
  '\x85': (b) => b.tuple(1),
  '\x86': (b) => b.tuple(2),
  '\x87': (b) => b.tuple(3),
  t: (b) => b.stack.push(new Tuple(b.toMark())), // TUPLE
  ']': (b) => b.stack.push([]),
  a: (b) => b.append([b.pop()]), // APPEND
  e: (b) => b.append(b.toMark()), // APPENDS
  c: (b) => b.global(b.line(), b.line()), // GLOBAL
  '\x93': (b) => b.global(...([b.pop(), b.pop()].reverse() as [Value, Value])), // STACK_GLOBAL
  R: (b) => b.stack.push(new Call(...([b.pop(), b.pop()].reverse() as [Value, Value]))), // REDUCE: named, not called
  b: (b) => b.build(b.pop()), // BUILD: kept, not applied
  q: (b) => b.memo.set(b.byte(), b.top()), // BINPUT
  r: (b) => b.memo.set(b.unsigned(4), b.top()), // LONG_BINPUT
  '\x94': (b) => b.memo.set(b.memo.size, b.top()), // MEMOIZE
  h: (b) => b.recall(b.byte()), // BINGET
  j: (b) => b.recall(b.unsigned(4)), // LONG_BINGET
};

/** Runs the opcodes on a stack of plain values. */
class Builder {
  readonly stack: Value[] = [];
  readonly marks: number[] = [];
  readonly memo = new Map<number, Value>();
  private at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  run(): Value {
    for (let step = 0; step < MAX_STEPS; step++) {
      const opcode = String.fromCharCode(this.byte());
      if (opcode === '.') {
        const result = this.pop();
        return this.stack.length === 0 && this.marks.length === 0 && this.at === this.bytes.length ? result : fail();
      }
      if (!Object.hasOwn(OPCODES, opcode)) fail();
      OPCODES[opcode](this);
    }
    return fail();
  }

  pop(): Value {
    this.top();
    return this.stack.pop() as Value;
  }

  top(): Value {
    return this.stack.length > (this.marks.at(-1) ?? 0) ? (this.stack.at(-1) as Value) : fail();
  }

  toMark(): Value[] {
    return this.stack.splice(this.marks.pop() ?? fail());
  }

  tuple(length: number): void {
    this.stack.push(new Tuple(Array.from({ length }, () => this.pop()).reverse()));
  }

  append(items: readonly Value[]): void {
    const list = this.top();
    if (!Array.isArray(list)) fail();
    list.push(...items);
  }

  global(module: Value, name: Value): void {
    if (typeof module !== 'string' || typeof name !== 'string') fail();
    this.stack.push(new Global(`${module}.${name}`));
  }

  build(state: Value): void {
    const target = this.top();
    if (!(target instanceof Call) || target.state !== undefined) fail();
    target.state = state;
  }

  recall(index: number): void {
    this.stack.push(this.memo.has(index) ? (this.memo.get(index) as Value) : fail());
  }

  take(count: number): Uint8Array {
    if (count > this.bytes.length - this.at) fail();
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  byte(): number {
    return this.take(1)[0];
  }

  unsigned(width: number): number {
    return this.take(width).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  text(length: number): string {
    const bytes = this.take(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return fail();
    }
  }

  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0 || end - this.at > 100) fail();
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }
}

const itemsOf = (value: Value | undefined): readonly Value[] => (value instanceof Tuple ? value.items : fail());

/** A call of one of `names`. */
function callOf(value: Value, ...names: string[]): Call {
  if (!(value instanceof Call) || !(value.callee instanceof Global) || !names.includes(value.callee.name)) fail();
  return value;
}

/** `_reconstruct(ndarray, (0,), b'b')` with the state (1, shape, dtype('O8'), False, [text]). */
function textOfArray(value: Value): string {
  const array = callOf(value, 'numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct');
  const args = itemsOf(array.args);
  const [type] = args;
  const state = itemsOf(array.state);
  if (!(type instanceof Global) || type.name !== 'numpy.ndarray' || args.length !== 3 || state.length !== 5) fail();
  const [, shape, dtype, , content] = state;
  const [code] = itemsOf(callOf(dtype, 'numpy.dtype').args);
  const lengths = itemsOf(shape);
  const oneElement = lengths.length === 0 || (lengths.length === 1 && lengths[0] === 1);
  if (!/^O[48]?$/.test(String(code)) || !oneElement || !Array.isArray(content) || content.length !== 1) fail();
  const [text] = content;
  return typeof text === 'string' ? text : fail();
}
