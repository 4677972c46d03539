/** Configuration files: YAML or JSON, by their ending. */

import { extname } from 'node:path';
import { parseDocument, type YAMLParseError } from 'yaml';
import { messageOf, PtychoError } from '../core/errors.js';
import { CONFIG_BYTES, readTextInput } from '../core/inputFile.js';
import type { Layer } from './definition.js';

/**
 * Reads a configuration file (`.yaml`, `.yml` or `.json`) into a layer for `resolveConfig`; paths inside stay as written
 * and are taken from the working directory.
 * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT, FORMAT_UNSUPPORTED (too large)
 */
export async function loadConfigFile(path: string): Promise<Layer> {
  const ending = extname(path).toLowerCase();
  if (!['.yaml', '.yml', '.json'].includes(ending)) {
    throw new PtychoError('FILE_FORMAT', `${path}: a configuration file ends in .yaml, .yml or .json.`, { path });
  }
  const text = await readTextInput(path, { maxBytes: CONFIG_BYTES, what: 'configuration file' });
  const values = ending === '.json' ? parseJson(text, path) : parseYaml(text, path);
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new PtychoError(
      'FILE_FORMAT',
      `${path} must hold fields with values at its top level, such as "nepochs: 20".`,
      { path },
    );
  }
  return { origin: path, values: values as Record<string, unknown> };
}

/** Nothing in a configuration is nested more deeply. */
const MAX_DEPTH = 64;

function parseJson(text: string, path: string): unknown {
  const plain = withoutByteOrderMark(text);
  requireShallow(plain, path);
  let values: unknown;
  try {
    values = JSON.parse(plain);
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${path} is not JSON: ${messageOf(cause)}.`, { path }, { cause });
  }
  if (depthOf(values) > MAX_DEPTH) throw tooDeep(path);
  // JSON.parse takes the last of two fields of one name; JSON is YAML, whose parser finds them.
  const twice = parseDocument(plain).errors.find(({ code }) => code === 'DUPLICATE_KEY');
  if (twice) throw writtenTwice(path, twice);
  return values;
}

function parseYaml(text: string, path: string): unknown {
  requireShallow(text, path);
  const document = parseDocument(withoutByteOrderMark(text));
  const trouble = document.errors[0];
  if (trouble?.code === 'DUPLICATE_KEY') throw writtenTwice(path, trouble);
  if (trouble !== undefined) {
    const line = trouble.linePos?.[0].line;
    const what = trouble.message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '');
    throw new PtychoError('FILE_FORMAT', `${path}${line ? `, line ${line}` : ''} is not YAML: ${what}.`, {
      path,
      line,
    });
  }
  let values: unknown;
  try {
    // An alias that stands for many others would fill the memory.
    values = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${path} is not YAML: ${messageOf(cause)}.`, { path }, { cause });
  }
  if (depthOf(values) > MAX_DEPTH) throw tooDeep(path);
  // An empty document is an empty configuration.
  return values ?? {};
}

function writtenTwice(path: string, { linePos }: YAMLParseError): PtychoError {
  const line = linePos?.[0].line;
  const where = `${path}${line ? `, line ${line}` : ''}`;
  return new PtychoError('FILE_FORMAT', `${where}: a field is written twice; leave one.`, { path, line });
}

const withoutByteOrderMark = (text: string): string => text.replace(/^\uFEFF/, '');

/** @throws PtychoError FILE_FORMAT for brackets that parsers would run out of stack over */
function requireShallow(text: string, path: string): void {
  let depth = 0;
  for (const letter of text) {
    if (letter === '[' || letter === '{') depth++;
    else if (letter === ']' || letter === '}') depth--;
    if (depth > MAX_TEXT_DEPTH) throw tooDeep(path);
  }
}

/** Brackets in texts count here, too; parsers take far more. */
const MAX_TEXT_DEPTH = 500;

/** How deeply values are nested; one that contains itself is deeper than any limit. */
function depthOf(value: unknown, above = 0): number {
  if (typeof value !== 'object' || value === null || above > MAX_DEPTH) return above;
  return Object.values(value).reduce((most: number, each) => Math.max(most, depthOf(each, above + 1)), above);
}

function tooDeep(path: string): PtychoError {
  return new PtychoError(
    'FILE_FORMAT',
    `${path} is nested deeper than ${MAX_DEPTH} levels, or contains itself; a configuration has a few.`,
    { path },
  );
}
