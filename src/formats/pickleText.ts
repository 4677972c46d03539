/**
 * The one text inside the pickle that NumPy writes for `np.array(text, dtype=object)`. Nothing is executed and nothing is
 * imported: the opcodes build a tree of plain values, and only the exact tree of such an array is accepted.
 *
 * Opcodes: Python's Lib/pickletools.py, protocols 2 to 5; the tree: `ndarray.__reduce__` and `__setstate__` of NumPy 1 and 2.
 *
 * @example
 * const text = pickledText(bytes); // undefined for anything but an array of one str
 */

/** A value that a pickle builds; calls and attributes are only named, never made. */
type Value =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | { readonly kind: 'tuple' | 'list'; readonly items: Value[] }
  | { readonly kind: 'global'; readonly name: string }
  | { readonly kind: 'call'; readonly callee: Value; readonly args: Value; state?: Value };

/** More opcodes than any such array needs (about 50). */
const MAX_STEPS = 400;

class NotThatPickle extends Error {}

/**
 * The text, if the bytes are the pickle of an object array of shape () or (1,) that holds one str; else undefined.
 * @param bytes what follows the header of a `.npy` array of dtype object.
 */
export function pickledText(bytes: Uint8Array): string | undefined {
  try {
    return textOfArray(build(bytes));
  } catch (error) {
    if (error instanceof NotThatPickle) return undefined;
    throw error;
  }
}

function fail(): never {
  throw new NotThatPickle();
}

/** Runs the opcodes on a stack of plain values. */
function build(bytes: Uint8Array): Value {
  const reader = new Reader(bytes);
  const stack: Value[] = [];
  const marks: number[] = [];
  const memo = new Map<number, Value>();
  const pop = (): Value => {
    if (stack.length <= (marks.at(-1) ?? 0)) fail();
    return stack.pop()!;
  };
  const top = (): Value => {
    if (stack.length <= (marks.at(-1) ?? 0)) fail();
    return stack.at(-1)!;
  };
  const tuple = (items: Value[]): Value => ({ kind: 'tuple', items });
  const toMark = (): Value[] => stack.splice(marks.pop() ?? fail());
  const list = (): Value[] => {
    const target = top();
    return isNode(target) && target.kind === 'list' ? target.items : fail();
  };
  const recall = (index: number): Value => (memo.has(index) ? memo.get(index)! : fail());
  const named = (name: Value, module: Value): Value =>
    typeof name === 'string' && typeof module === 'string' ? { kind: 'global', name: `${module}.${name}` } : fail();

  for (let step = 0; step < MAX_STEPS; step++) {
    switch (String.fromCharCode(reader.byte())) {
      case '\x80': // PROTO
        if (![2, 3, 4, 5].includes(reader.byte())) fail();
        break;
      case '\x95': // FRAME: a hint for readers of streams
        reader.take(8);
        break;
      case '.': {
        // STOP
        const result = pop();
        return stack.length === 0 && marks.length === 0 && reader.atEnd ? result : fail();
      }
      case '(': // MARK
        marks.push(stack.length);
        break;
      case 'N':
        stack.push(null);
        break;
      case '\x88':
        stack.push(true);
        break;
      case '\x89':
        stack.push(false);
        break;
      case 'K': // BININT1
        stack.push(reader.byte());
        break;
      case 'M': // BININT2
        stack.push(reader.unsigned(2));
        break;
      case 'J': // BININT
        stack.push(reader.unsigned(4) | 0);
        break;
      case 'X': // BINUNICODE
        stack.push(reader.text(reader.unsigned(4)));
        break;
      case '\x8c': // SHORT_BINUNICODE
        stack.push(reader.text(reader.byte()));
        break;
      case '\x8d': // BINUNICODE8
        stack.push(reader.text(reader.unsigned(8)));
        break;
      case 'C': // SHORT_BINBYTES
        stack.push(reader.take(reader.byte()));
        break;
      case ')':
        stack.push(tuple([]));
        break;
      case '\x85':
        stack.push(tuple([pop()]));
        break;
      case '\x86':
        stack.push(tuple([pop(), pop()].reverse()));
        break;
      case '\x87':
        stack.push(tuple([pop(), pop(), pop()].reverse()));
        break;
      case 't': // TUPLE
        stack.push(tuple(toMark()));
        break;
      case ']':
        stack.push({ kind: 'list', items: [] });
        break;
      case 'a': {
        // APPEND
        const item = pop();
        list().push(item);
        break;
      }
      case 'e': {
        // APPENDS
        const items = toMark();
        list().push(...items);
        break;
      }
      case 'c': {
        // GLOBAL
        const module = reader.line();
        stack.push(named(reader.line(), module));
        break;
      }
      case '\x93': // STACK_GLOBAL
        stack.push(named(pop(), pop()));
        break;
      case 'R': {
        // REDUCE: named, not called
        const args = pop();
        stack.push({ kind: 'call', callee: pop(), args });
        break;
      }
      case 'b': {
        // BUILD: kept, not applied
        const state = pop();
        const target = top();
        if (!isNode(target) || target.kind !== 'call' || target.state !== undefined) fail();
        target.state = state;
        break;
      }
      case 'q': // BINPUT
        memo.set(reader.byte(), top());
        break;
      case 'r': // LONG_BINPUT
        memo.set(reader.unsigned(4), top());
        break;
      case '\x94': // MEMOIZE
        memo.set(memo.size, top());
        break;
      case 'h': // BINGET
        stack.push(recall(reader.byte()));
        break;
      case 'j': // LONG_BINGET
        stack.push(recall(reader.unsigned(4)));
        break;
      default:
        fail();
    }
  }
  return fail();
}

class Reader {
  private at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.at === this.bytes.length;
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
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(length));
    } catch (error) {
      if (error instanceof TypeError) fail();
      throw error;
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

type Node = Extract<Value, { readonly kind: string }>;

function isNode(value: Value): value is Node {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

function itemsOf(value: Value | undefined, kind: 'tuple' | 'list'): Value[] {
  return value !== undefined && isNode(value) && value.kind === kind ? (value as { items: Value[] }).items : fail();
}

/** The arguments of a call of one of `names`. */
function callOf(value: Value, ...names: string[]): { args: Value[]; state: Value | undefined } {
  if (!isNode(value) || value.kind !== 'call') fail();
  const { callee, args, state } = value;
  if (!isNode(callee) || callee.kind !== 'global' || !names.includes(callee.name)) fail();
  return { args: itemsOf(args, 'tuple'), state };
}

/** `_reconstruct(ndarray, (0,), b'b')` with the state (1, shape, dtype('O8'), False, [text]). */
function textOfArray(value: Value): string {
  const array = callOf(value, 'numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct');
  const [type] = array.args;
  if (array.args.length !== 3 || !isNode(type) || type.kind !== 'global' || type.name !== 'numpy.ndarray') fail();
  const state = itemsOf(array.state, 'tuple');
  if (state.length !== 5) fail();
  const [, shape, dtype, , content] = state;
  const { args } = callOf(dtype, 'numpy.dtype');
  const lengths = itemsOf(shape, 'tuple');
  const items = itemsOf(content, 'list');
  const [text] = items;
  const oneElement = lengths.length === 0 || (lengths.length === 1 && lengths[0] === 1);
  if (!/^O[48]?$/.test(String(args[0])) || !oneElement || items.length !== 1 || typeof text !== 'string') fail();
  return text;
}
