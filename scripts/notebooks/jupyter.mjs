/** A notebook in Jupyter, without a browser, with the TypeScript kernel tslab. */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { textOf } from './notebook.mjs';

/** As `runCells`, with `jupyter nbconvert --execute`; `jupyter` and `tslab` must be on the PATH, the kernel installed. */
export async function runInJupyter(notebook, { name, folder, env, signal }) {
  const given = path.join(folder, `${name}.ipynb`);
  const cells = notebook.document.cells.map((cell) => ({ ...cell, source: textOf(cell.source) }));
  await writeFile(given, JSON.stringify({ ...notebook.document, cells }));
  // Errors are allowed because nbconvert does not say what the kernel's compiler found; what follows does.
  const words = ['nbconvert', '--to', 'notebook', '--execute', '--allow-errors', '--ExecutePreprocessor.timeout=3600'];
  await jupyter([...words, '--output', `${name}-run.ipynb`, given], { cwd: folder, env, signal });
  const { cells: done } = JSON.parse(await readFile(path.join(folder, `${name}-run.ipynb`), 'utf8'));
  const outputs = new Map();
  done.forEach((cell, k) => {
    if (cell.cell_type !== 'code') return;
    const wrong = cell.outputs.find(({ output_type, name: stream }) => output_type === 'error' || stream === 'stderr');
    if (wrong) {
      const said = wrong.text === undefined ? `${wrong.ename}: ${wrong.evalue}` : textOf(wrong.text);
      throw new Error(`Cell ${k + 1} of ${name}.ipynb failed in Jupyter: ${said.trim()}`);
    }
    outputs.set(k, cell.outputs.flatMap(outputOf));
  });
  return outputs;
}

function outputOf(output) {
  const png = output.data?.['image/png'];
  if (png !== undefined) return [{ png: Buffer.from(textOf(png), 'base64'), title: 'picture' }];
  const text = output.text ?? output.data?.['text/plain'];
  return text === undefined ? [] : [{ text: textOf(text) }];
}

function jupyter(words, place) {
  return new Promise((done, failed) => {
    const child = spawn('jupyter', words, { ...place, stdio: 'inherit' });
    child.once('error', ({ code, message }) =>
      failed(
        new Error(code === 'ENOENT' ? 'jupyter was not found; docs/notebooks.md says how it is installed.' : message),
      ),
    );
    child.once('close', (code) => {
      if (code === 0) done();
      else failed(new Error('Jupyter did not get through the notebook; the message above says why.'));
    });
  });
}
