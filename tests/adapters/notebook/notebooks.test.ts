/** The notebooks in the repository are well-formed, without outputs, and what runs them does what it says. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error scripts are plain JavaScript
import { runCells } from '../../../scripts/notebooks/cells.mjs';
// @ts-expect-error scripts are plain JavaScript
import { readNotebook } from '../../../scripts/notebooks/notebook.mjs';
// @ts-expect-error scripts are plain JavaScript
import { renderNotebook } from '../../../scripts/notebooks/render.mjs';

const files = readdirSync('notebooks').filter((file) => file.endsWith('.ipynb'));

let folder: string;
beforeAll(async () => {
  await mkdir('.tmp', { recursive: true });
  folder = await mkdtemp(path.join('.tmp', 'cells-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const notebookOf = (...cells: string[]) =>
  JSON.stringify({
    nbformat: 4,
    cells: cells.map((source, k) =>
      source.startsWith('#')
        ? { cell_type: 'markdown', source, metadata: {} }
        : { cell_type: 'code', source, metadata: k === 0 ? { tags: ['parameters'] } : {}, outputs: [] },
    ),
  });

/** What the last run printed. */
let printed = '';
const hear = (text: string) => {
  printed += text;
};
const run = (notebook: unknown) =>
  runCells(notebook, {
    name: 'small',
    folder: path.resolve(folder),
    env: process.env,
    out: hear,
    err: hear,
  }) as Promise<Map<number, ({ text: string } | { png: Buffer; title: string })[]>>;

describe('notebooks/', () => {
  it.each(files)('%s holds no outputs, is for tslab, and has parameters', (file) => {
    const text = readFileSync(path.join('notebooks', file), 'utf8');
    const { cells, metadata } = JSON.parse(text) as {
      cells: { id: string; cell_type: string; outputs?: unknown[]; metadata: { tags?: string[] } }[];
      metadata: { kernelspec: { name: string } };
    };
    expect(metadata.kernelspec.name).toBe('tslab');
    expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length);
    for (const { cell_type, outputs } of cells) if (cell_type === 'code') expect(outputs).toEqual([]);
    expect(cells.filter(({ metadata: { tags = [] } }) => tags.includes('parameters'))).toHaveLength(1);
    expect(cells.filter(({ cell_type }) => cell_type === 'markdown').length).toBeGreaterThan(4);
    expect(readNotebook(text, { epochs: 1 }).cells.some(({ source }: { source: string }) => /epochs = 1;$/.test(source)))
      .toBe(true); // biome-ignore format: one expectation
  });
});

/** Names that a cell uses as `{ name }` and does not declare itself. */
function borrowedShorthands(source: string): string[] {
  const declared = new Set<string>();
  const used: string[] = [];
  const walk = (node: ts.Node): void => {
    const declares = ts.isVariableDeclaration(node) || ts.isBindingElement(node) || ts.isParameter(node);
    if ((declares || ts.isImportSpecifier(node)) && ts.isIdentifier(node.name)) declared.add(node.name.text);
    if (ts.isShorthandPropertyAssignment(node)) used.push(node.name.text);
    ts.forEachChild(node, walk);
  };
  walk(ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ES2022));
  return used.filter((name) => !declared.has(name));
}

describe('cells for tslab', () => {
  it.each(files)('%s uses no variable of an earlier cell as { name }, which that kernel gets wrong', (file) => {
    const { cells } = readNotebook(readFileSync(path.join('notebooks', file), 'utf8')) as {
      cells: { kind: string; source: string }[];
    };
    for (const { kind, source } of cells) if (kind === 'code') expect(borrowedShorthands(source), source).toEqual([]);
    expect(borrowedShorthands('const a = 1; f({ a, b });')).toEqual(['b']);
  });
});

describe('running cells', () => {
  it('keeps order, text and pictures, awaits, and takes parameters', async () => {
    const source = notebookOf(
      'let n = 1;',
      '# A title',
      "import { writeFileSync } from 'node:fs';\nconst twice: number = await Promise.resolve(2 * n);\nconsole.log('twice', twice);",
      "const file = process.env.PTYCHOPINN_DISPLAY + '/01.png';\nwriteFileSync(file, 'a picture');\nconsole.log('before');\nconsole.log('star: ' + file);\nconsole.log('after');",
    );
    const notebook = readNotebook(source, { n: 21 });
    const outputs = await run(notebook);
    expect(outputs.get(0)).toEqual([]);
    expect(outputs.get(2)).toEqual([{ text: 'twice 42\n' }]);
    expect(outputs.get(3)).toEqual([
      { text: 'before\n' },
      { png: Buffer.from('a picture'), title: 'star' },
      { text: 'after\n' },
    ]);
    await renderNotebook(notebook, outputs, { name: 'small', pages: folder, pictures: path.join(folder, 'p') });
    const page = await readFile(path.join(folder, 'small.md'), 'utf8');
    expect(page).toMatch(
      /# A title[\s\S]*```text\ntwice 42\n```[\s\S]*!\[star\]\(p\/notebook_small_01\.png\)[\s\S]*after/,
    );
    expect(String(await readFile(path.join(folder, 'p', 'notebook_small_01.png')))).toBe('a picture');
  });

  it('says which cell does not compile, and which one fails', async () => {
    const wrong = readNotebook(notebookOf('let n = 1;', '# A title', 'const fine = 1;\nconst bad: string = n;'));
    await expect(run(wrong)).rejects.toThrow(/cell 3, line 2: Type 'number' is not assignable to type 'string'/);
    const failing = readNotebook(notebookOf("throw new Error('an error that the test expects');"));
    await expect(run(failing)).rejects.toThrow('Cell 1 of small.ipynb failed');
    expect(printed).toMatch(/small\.mts:2[\s\S]*an error that the test expects/);
  });

  it('refuses parameters that a notebook does not have', () => {
    expect(() => readNotebook(notebookOf('let n = 1;'), { m: 2 })).toThrow('no parameter m');
    expect(() => readNotebook('{"nbformat": 3}')).toThrow('format 3');
  });
});
