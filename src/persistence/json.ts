/**
 * JSON and other texts of members. Written, one text for one value: sorted keys, two spaces, a newline at the end, so equal content
 * gives equal bytes. Read, from files that nobody vouches for: what is nested deeper than anything we write is refused before it is
 * parsed, because whatever walks through it afterwards would run out of stack.
 *
 * @example
 * canonicalJson({ b: 1, a: [0.5] }); // '{\n  "a": [\n    0.5\n  ],\n  "b": 1\n}\n'
 */
import { messageOf, PtychoError } from '../core/errors.js';

/**
 * Writes a value as canonical JSON: keys in order of their UTF-16 code units, numbers as `JSON.stringify` gives them, keys
 * whose value is `undefined` left out.
 * @throws PtychoError BUNDLE_INVALID for a number that JSON cannot hold (NaN, infinities) or a value that is none of JSON's.
 */
export function canonicalJson(value: unknown): string {
  return `${write(value, '', '')}\n`;
}

function write(value: unknown, indent: string, where: string): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return block(
      '[',
      ']',
      value.map((v, i) => write(v, inner, `${where}[${i}]`)),
      indent,
    );
  }
  if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>;
    const lines = Object.keys(record)
      .filter((key) => record[key] !== undefined)
      .sort()
      .map((key) => `${JSON.stringify(key)}: ${write(record[key], inner, where ? `${where}.${key}` : key)}`);
    return block('{', '}', lines, indent);
  }
  throw new PtychoError(
    'BUNDLE_INVALID',
    `${where || 'The value'} is ${String(value)}, which a JSON file cannot hold.`,
    { key: where, found: value },
  );
}

function block(open: string, close: string, lines: readonly string[], indent: string): string {
  return lines.length === 0
    ? open + close
    : `${open}\n${lines.map((l) => `${indent}  ${l}`).join(',\n')}\n${indent}${close}`;
}

/** Nothing that we read is nested more deeply. */
const MAX_JSON_DEPTH = 64;

/** How deeply brackets are nested in a JSON text; those inside of texts do not count. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === 0x5c) i++;
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x5b || c === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (c === 0x5d || c === 0x7d) depth--;
  }
  return deepest;
}

/**
 * Parses JSON.
 * @throws Error for what is no JSON, or nested too deeply
 */
export function parseBoundedJson(text: string): unknown {
  if (jsonDepth(text) > MAX_JSON_DEPTH) throw new Error(`it is nested deeper than ${MAX_JSON_DEPTH} levels`);
  return JSON.parse(text);
}

/** The bytes of a text. */
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Text of a member. @throws PtychoError BUNDLE_INVALID */
export function readUtf8(bytes: Uint8Array, member: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalidMember(member, 'it is not UTF-8 text', cause);
  }
}

/** JSON of a member. @throws PtychoError BUNDLE_INVALID */
export function readJson(bytes: Uint8Array, member: string): unknown {
  const text = readUtf8(bytes, member);
  try {
    return parseBoundedJson(text);
  } catch (cause) {
    throw invalidMember(member, `it is not JSON (${messageOf(cause)})`, cause);
  }
}

/** What is wrong with a member of a bundle. */
export function invalidMember(member: string, why: string, cause?: unknown): PtychoError {
  return new PtychoError('BUNDLE_INVALID', `${member}: ${why}.`, { member }, { cause });
}
