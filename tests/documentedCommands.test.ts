/** What pages tell readers to type exists: commands and flags are parsed, quick ones run on a scan that is simulated as the pages say. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './cli/capture.js';
import { documentedCommands, pages } from './support/documentedCommands.js';

const commands = documentedCommands();

it('finds the commands of the pages', () => {
  expect(commands.length).toBeGreaterThan(90);
  for (const page of ['README.md', 'docs/README.md', 'docs/solvers.md', 'docs/coming-from.md']) {
    expect(commands.map((command) => command.page)).toContain(page);
  }
  expect(commands.find(({ text }) => text.includes('--refine lsqml:20'))?.words).not.toContain('#');
});

describe('every documented command', () => {
  it.each(commands)('$page: $text', async ({ words }) => {
    // Beside --help nothing is done, but a command or a flag that there is not is an error.
    const { code, err } = await cli(...words, '--help');
    expect(err).toBe('');
    expect(code).toBe(0);
  });

  it('would be refused with a flag that there is not', async () => {
    const { code, err } = await cli('solve', 'scan.npz', '--iterations', '9', '--help');
    expect(code).toBe(2);
    expect(err).toContain('--iterations');
  });
});

/** Flags of all commands, as `--help` lists them. */
async function allFlags(): Promise<Set<string>> {
  const named = async (...words: string[]) => {
    const { out } = await cli(...words, '--help');
    const flags = [...out.matchAll(/--(?:\[no-\])?([\w-]+)/g)].map(([, name]) => name.replaceAll('-', '_'));
    const below = [...(out.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);
    return { flags, below };
  };
  const all = new Set<string>();
  const visit = async (...words: string[]): Promise<void> => {
    const { flags, below } = await named(...words);
    for (const flag of flags) all.add(flag);
    for (const name of below) if (name !== 'help') await visit(...words, name);
  };
  await visit();
  return all;
}

it('tables beside other programs name flags that there are', async () => {
  const flags = await allFlags();
  expect(flags.size).toBeGreaterThan(200);
  const ours: string[] = [];
  for (const page of ['docs/coming-from.md', 'docs/features.md']) {
    const rows = readFileSync(page, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| '));
    // The first column of the former is in the words of the other program.
    for (const row of rows) {
      const cells = row
        .replaceAll('\\|', '¦')
        .split('|')
        .slice(page.endsWith('from.md') ? 2 : 1);
      ours.push(...[...cells.join(' ').matchAll(/--([\w-]+)/g)].map(([, name]) => name.replaceAll('-', '_')));
    }
  }
  expect(ours.length).toBeGreaterThan(60);
  expect(ours.filter((name) => !flags.has(name))).toEqual([]);
});

/** The paths of the repository that the links of a page lead to. */
function linksOf(page: string): string[] {
  const text = readFileSync(page, 'utf8').replace(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, place]) =>
    path.posix.join(path.posix.dirname(page), place),
  );
}

it('paths of the repository that pages name are there', () => {
  const missing = pages().flatMap((page) => {
    const text = readFileSync(page, 'utf8');
    const named = [...text.matchAll(/`((?:src|tests|scripts|bench|assembly|fixtures|examples|notebooks)\/[\w./-]+)`/g)];
    return [...named.map(([, place]) => place), ...linksOf(page)]
      .filter((place) => !existsSync(place))
      .map((place) => `${page}: ${place}`);
  });
  expect(missing).toEqual([]);
});

it('pages of the package link only to what the package has', () => {
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] };
  const shipped = [...files.filter((entry) => !entry.startsWith('!')), 'README.md', 'LICENSE', 'package.json'];
  const comes = (place: string) => shipped.some((entry) => place === entry || place.startsWith(`${entry}/`));
  const ours = pages().filter(comes);
  expect(ours.length).toBeGreaterThan(30);
  expect(
    ours.flatMap((page) =>
      linksOf(page)
        .filter((place) => !comes(place))
        .map((place) => `${page}: ${place}`),
    ),
  ).toEqual([]);
});

describe('quick commands, as documented', () => {
  const before = process.cwd();
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-commands-'));
    process.chdir(folder);
  });
  afterAll(async () => {
    process.chdir(before);
    await rm(folder, { recursive: true, force: true });
  });

  /** In this order, and what is added to shorten them. */
  const quick: readonly (readonly [text: RegExp, more: readonly string[], leaves: string | null])[] = [
    [/simulate --preset star --output_file scan\.npz$/, ['--n_patterns', '64'], 'scan.npz'],
    [/^ptychopinn inspect scan\.npz$/, [], null],
    [/overlap scan\.npz --gridsize 1/, [], null],
    [
      /^ptychopinn solve scan\.npz --output_dir solved$/,
      ['--epochs', '2', '--threads', '1'],
      'solved/reconstruction.npz',
    ],
    [/^ptychopinn solve --resume solved$/, ['--epochs', '3', '--threads', '1'], 'solved/run.json'],
    [/product export scan\.npz --raw_data/, [], 'product.h5'],
    [/config schema$/, [], null],
    [/setup-cuda --dry_run/, [], null],
  ];
  it.each(quick)('%s', async (text, more, leaves) => {
    const command = commands.find((one) => text.test(one.text));
    expect(command, String(text)).toBeDefined();
    const { code, err } = await cli(...command!.words, ...more);
    expect(err).not.toMatch(/^ptychopinn: /m);
    expect(code).toBe(0);
    if (leaves !== null) expect(existsSync(leaves)).toBe(true);
  });
});
