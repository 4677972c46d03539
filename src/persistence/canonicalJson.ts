/**
 * One text for one value: sorted keys, two spaces, a newline at the end, so equal content gives equal bytes.
 *
 * @example
 * canonicalJson({ b: 1, a: [0.5] }); // '{\n  "a": [\n    0.5\n  ],\n  "b": 1\n}\n'
 */
import { PtychoError } from '../core/errors.js';

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

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
    {
      key: where,
      found: value,
    },
  );
}

function block(open: string, close: string, lines: readonly string[], indent: string): string {
  return lines.length === 0
    ? open + close
    : `${open}\n${lines.map((l) => `${indent}  ${l}`).join(',\n')}\n${indent}${close}`;
}
