/** The code cells of a notebook as one module, in a Node process of its own. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';

/** Stands alone on a line of the output before what a cell prints. */
const MARK = '\u001ecell ';

/**
 * @param {{ cells: { kind: string, source: string }[] }} notebook
 * @param {{ name: string, folder: string, env: Record<string, string | undefined>, signal?: AbortSignal, out?: (text: string) => void,
 *   err?: (text: string) => void }} place the folder must lie inside the package; `out` and `err` hear what is printed as it comes
 * @returns {Promise<Map<number, ({ text: string } | { png: Buffer, title: string })[]>>} outputs by the number of the cell
 * @throws Error naming the cell that does not compile or that failed
 */
export async function runCells(notebook, { name, folder, env, signal, out = toOut, err = toErr }) {
  const source = [];
  /** First line of each cell in the module. */
  const starts = [];
  let line = 0;
  notebook.cells.forEach(({ kind, source: text }, k) => {
    if (kind !== 'code') return;
    const block = `console.log(${JSON.stringify(`${MARK}${k}`)});\n${text}\n`;
    starts.push({ cell: k, line: line + 1 });
    source.push(block);
    line += block.split('\n').length - 1;
  });
  const cellAt = (at) => starts.filter(({ line: first }) => first <= at).at(-1) ?? starts[0];
  const typed = path.join(folder, `${name}.mts`);
  await writeFile(typed, source.join(''));
  check(typed, cellAt, name);
  const { outputText } = ts.transpileModule(source.join(''), {
    fileName: typed,
    compilerOptions: { ...OPTIONS, inlineSourceMap: true },
  });
  const script = path.join(folder, `${name}.mjs`);
  await writeFile(script, outputText);
  const pictures = path.join(folder, 'display');
  await mkdir(pictures, { recursive: true });
  const { code, lines } = await run(script, folder, { ...env, PTYCHOPINN_DISPLAY: pictures }, { out, err, signal });

  const outputs = new Map();
  let cell = -1;
  for (const printed of lines) {
    if (printed.startsWith(MARK)) {
      cell = Number(printed.slice(MARK.length));
      outputs.set(cell, []);
      continue;
    }
    const list = outputs.get(cell);
    const picture = /^(.*): (.*\.png)$/.exec(printed);
    const last = list?.at(-1);
    if (picture && path.dirname(picture[2]) === pictures) {
      list.push({ png: await readFile(picture[2]), title: picture[1] });
    } else if (last?.text !== undefined) {
      last.text += `${printed}\n`;
    } else {
      list?.push({ text: `${printed}\n` });
    }
  }
  if (code !== 0) throw new Error(`Cell ${cell + 1} of ${name}.ipynb failed; the message above says how.`);
  return outputs;
}

const toOut = (text) => void process.stdout.write(text);
const toErr = (text) => void process.stderr.write(text);

const OPTIONS = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  // Not the browser's, which would double the time.
  lib: ['lib.es2023.d.ts'],
  strict: true,
  skipLibCheck: true,
  types: ['node'],
};

/** @throws Error with everything that the compiler found */
function check(file, cellAt, name) {
  const program = ts.createProgram([file], { ...OPTIONS, noEmit: true });
  const found = ts.getPreEmitDiagnostics(program).map((one) => {
    const text = ts.flattenDiagnosticMessageText(one.messageText, '\n');
    if (one.file?.fileName !== file || one.start === undefined) return text;
    const at = one.file.getLineAndCharacterOfPosition(one.start).line;
    const { cell, line } = cellAt(at);
    return `cell ${cell + 1}, line ${at - line + 1}: ${text}`;
  });
  if (found.length > 0) throw new Error(`${name}.ipynb does not compile.\n${found.join('\n')}`);
}

/** Runs a script; what it prints is passed on as it comes. */
function run(script, cwd, env, { out, err, signal }) {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, ['--enable-source-maps', script], {
      cwd,
      env,
      signal,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lines = [];
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop();
      for (const printed of parts) {
        lines.push(printed);
        if (!printed.startsWith(MARK)) out(`${printed.replace(`${cwd}${path.sep}`, '')}\n`);
      }
    });
    child.stderr.setEncoding('utf8').on('data', err);
    child.once('error', failed);
    child.once('close', (code) => {
      if (rest !== '') lines.push(rest);
      done({ code, lines });
    });
  });
}
