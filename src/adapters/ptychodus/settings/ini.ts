/**
 * The dialect of Python's configparser in which Ptychodus keeps its settings. Not npm's `ini`: that one takes quotes, dots in
 * section names, `;` and `#` within values and the words true and null for its own, all of which belong to the value here.
 *
 * @example
 * parseIni('[PtychoPINNModel]\nGridSize = 2\n', 'settings.ini').get('PtychoPINNModel')?.get('GridSize'); // '2'
 */
import { PtychoError } from '../../../core/errors.js';

/** Section → key → text, in the order of the file, in the letters of the file. */
export type IniSections = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Keys of this section hold for all others. */
const DEFAULTS = 'DEFAULT';
const SECTION = /^\[(.+)\]/;
const ENTRY = /^(.*?)\s*[=:]\s*(.*)$/;

/**
 * Reads an INI file: `key = value` or `key: value`; `#` and `;` begin comments at the start of a line only; lines that are
 * indented deeper than their key go on with its value.
 * @param origin a file, for messages
 * @throws PtychoError FILE_FORMAT naming the line for anything else, as for a key that is there twice (its letters' case aside)
 */
export function parseIni(text: string, origin: string): IniSections {
  const sections = new Map<string, Map<string, string[]>>();
  let section: Map<string, string[]> | undefined;
  let value: string[] | undefined;
  let indent = 0;
  text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .forEach((line, i) => {
      const words = line.trim();
      const refuse = (why: string) =>
        new PtychoError('FILE_FORMAT', `${origin}, line ${i + 1}: ${why}.`, { path: origin, line: i + 1 });
      if (words.startsWith('#') || words.startsWith(';')) return;
      if (words === '') {
        value?.push('');
        return;
      }
      const depth = line.length - line.trimStart().length;
      if (value && depth > indent) {
        value.push(words);
        return;
      }
      indent = depth;
      const header = SECTION.exec(words);
      if (header) {
        if (sections.has(header[1]) && header[1] !== DEFAULTS)
          throw refuse(`the section [${header[1]}] is there twice`);
        section = sections.get(header[1]) ?? new Map();
        sections.set(header[1], section);
        value = undefined;
        return;
      }
      if (!section) throw refuse(`"${words}" stands before the first [section]`);
      const entry = ENTRY.exec(words);
      if (!entry || entry[1] === '') throw refuse(`"${words}" is neither [section] nor "key = value"`);
      const known = [...section.keys()].find((key) => key.toLowerCase() === entry[1].toLowerCase());
      if (known !== undefined) throw refuse(`"${entry[1]}" is there twice; remove one`);
      value = [entry[2]];
      section.set(entry[1], value);
    });
  const joined = [...sections].map(([name, entries]) => [name, joinedValues(entries)] as const);
  const defaults = joined.find(([name]) => name === DEFAULTS)?.[1] ?? new Map<string, string>();
  return new Map(
    joined.filter(([name]) => name !== DEFAULTS).map(([name, own]) => [name, new Map([...defaults, ...own])]),
  );
}

function joinedValues(entries: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  return new Map([...entries].map(([key, lines]) => [key, lines.join('\n').trimEnd()]));
}

/** Writes sections as configparser does: `key = value`, further lines of a value indented by a tab, a blank line after each. */
export function formatIni(sections: IniSections): string {
  return [...sections]
    .map(([name, entries]) => {
      const lines = [...entries].map(([key, value]) => `${key} = ${value.replaceAll('\n', '\n\t')}\n`);
      return `[${name}]\n${lines.join('')}\n`;
    })
    .join('');
}
