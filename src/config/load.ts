/** Configuration files: YAML or JSON, by their ending. */

import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { parseDocument } from 'yaml';
import { messageOf, PtychoError } from '../core/errors.js';
import type { Layer } from './resolve.js';

/**
 * Reads a configuration file (`.yaml`, `.yml` or `.json`) into a layer for `resolveConfig`; paths inside stay as written
 * and are taken from the working directory.
 * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT
 */
export async function loadConfigFile(path: string): Promise<Layer> {
  const ending = extname(path).toLowerCase();
  if (!['.yaml', '.yml', '.json'].includes(ending)) {
    throw new PtychoError('FILE_FORMAT', `${path}: a configuration file ends in .yaml, .yml or .json.`, { path });
  }
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new PtychoError(
      missing ? 'FILE_NOT_FOUND' : 'FILE_FORMAT',
      missing ? `There is no configuration file ${path}.` : `${path} cannot be read: ${messageOf(cause)}.`,
      { path },
      { cause },
    );
  }
  const values = ending === '.json' ? parseJson(text, path) : parseYaml(text, path);
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new PtychoError(
      'FILE_FORMAT',
      `${path} must hold fields with values at its top level, such as "nepochs: 20".`,
      {
        path,
      },
    );
  }
  return { origin: path, values: values as Record<string, unknown> };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${path} is not JSON: ${messageOf(cause)}.`, { path }, { cause });
  }
}

function parseYaml(text: string, path: string): unknown {
  const document = parseDocument(text);
  const trouble = document.errors[0];
  if (trouble !== undefined) {
    const line = trouble.linePos?.[0].line;
    const what = trouble.message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '');
    throw new PtychoError('FILE_FORMAT', `${path}${line ? `, line ${line}` : ''} is not YAML: ${what}.`, {
      path,
      line,
    });
  }
  // An empty document is an empty configuration.
  return document.toJS() ?? {};
}
