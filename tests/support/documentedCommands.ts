/** The commands that pages tell readers to type. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A command as it is written, and where. */
export interface DocumentedCommand {
  readonly page: string;
  readonly text: string;
  /** Behind `ptychopinn`. */
  readonly words: readonly string[];
}

/** Pages of the repository that readers see. */
export function pages(): string[] {
  const below = (folder: string) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.posix.join(folder, name));
  return [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...below('docs'),
    ...below('docs/notebooks'),
    ...below('specs'),
  ];
}

/** How the program is called, in the package and in a clone. */
const CALL = /^(?:npx )?(?:ptychopinn|node dist\/cli\/main\.js)(?= )/;

/** Every command in blocks of code, and whole ones in running text: those with dots or alternatives are no commands. */
export function documentedCommands(): DocumentedCommand[] {
  return pages().flatMap((page) => {
    const text = readFileSync(page, 'utf8');
    const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
      .filter(([, language]) => ['', 'sh', 'bash', 'console'].includes(language))
      .flatMap(([, , block]) => block.replace(/\\\n\s*/g, ' ').split('\n'));
    const inline = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
    return [...blocks, ...inline.filter((code) => !/[…|[\]]|[A-Z]{3,}/.test(code))]
      .flatMap((line) => line.split(/ && |; | \| /))
      .map((part) => part.trim())
      .filter((part) => CALL.test(part))
      .map((part) => ({ page, text: part, words: wordsOf(part.replace(CALL, '').trim()) }));
  });
}

/** Words of a line as a shell takes them, without redirections and comments. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [, double, single, plain] of line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)) {
    const word = double ?? single ?? plain;
    if (plain?.startsWith('#') || /^[12]?>/.test(word)) break;
    words.push(word);
  }
  return words;
}
