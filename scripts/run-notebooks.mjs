/**
 * Runs the example notebooks from top to bottom and fails when a cell does.
 *
 *   npm run notebooks                                    all of notebooks/, with plain Node
 *   npm run notebooks -- real-scan --set epochs=1        one of them, with other values in its cell of parameters
 *   npm run notebooks -- --kernel                        in Jupyter, with the kernel tslab (both must be installed: docs/notebooks.md)
 *   npm run notebooks -- --render                        writes what they show to docs/notebooks/ and docs/pictures/
 *   npm run notebooks -- --to FOLDER                     writes it there
 *
 * Without Jupyter, the cells of a notebook become one module: checked by the TypeScript compiler, stripped of their types, run in a process
 * of their own. What they print and display is kept in order.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCells } from './notebooks/cells.mjs';
import { runInJupyter } from './notebooks/jupyter.mjs';
import { readNotebook } from './notebooks/notebook.mjs';
import { renderNotebook } from './notebooks/render.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    set: { type: 'string', multiple: true, default: [] },
    kernel: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    to: { type: 'string' },
  },
});

const parameters = Object.fromEntries(
  values.set.map((text) => {
    const [, name, value] = /^(\w+)=(.*)$/s.exec(text) ?? fail(`--set takes name=value, got ${text}.`);
    return [name, /^-?[\d.]+$/.test(value) ? Number(value) : value];
  }),
);
const known = (await readdir(path.join(root, 'notebooks'))).filter((file) => file.endsWith('.ipynb'));
const chosen = positionals.length === 0 ? known : positionals.map((name) => `${path.basename(name, '.ipynb')}.ipynb`);
for (const file of chosen) {
  if (!known.includes(file)) fail(`There is no notebooks/${file}; there are ${known.join(', ')}.`);
}

// Inside the package, so that the cells find it by its own name.
await mkdir(path.join(root, '.tmp'), { recursive: true });
// Ctrl-C ends the notebook; what it left is removed below.
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
const folder = await mkdtemp(path.join(root, '.tmp', 'notebooks-'));
try {
  if (values.kernel) {
    // The kernel's compiler knows nothing of packages that import themselves.
    await mkdir(path.join(folder, 'node_modules'));
    await symlink(root, path.join(folder, 'node_modules', 'ptychopinn'), 'dir');
  }
  for (const file of chosen) {
    const name = path.basename(file, '.ipynb');
    console.log(`--- ${file}`);
    const started = performance.now();
    const notebook = readNotebook(await readFile(path.join(root, 'notebooks', file), 'utf8'), parameters);
    // Cells look for measured data here; without it, beside the repository.
    const env = { ...process.env, PTYCHOPINN_SHARED: path.resolve(root, process.env.PTYCHOPINN_SHARED ?? '../shared') };
    const outputs = await (values.kernel ? runInJupyter : runCells)(notebook, {
      name,
      folder,
      env,
      signal: stop.signal,
    });
    console.log(`--- ${file}: ${notebook.cells.length} cells, ${Math.round((performance.now() - started) / 1000)} s`);
    if (values.render) {
      await renderNotebook(notebook, outputs, {
        name,
        pages: path.join(root, 'docs', 'notebooks'),
        pictures: path.join(root, 'docs', 'pictures'),
        half: true,
      });
    }
    if (values.to) await renderNotebook(notebook, outputs, { name, pages: values.to, pictures: values.to });
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function fail(sentence) {
  console.error(sentence);
  process.exit(2);
}
