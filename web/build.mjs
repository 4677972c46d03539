/**
 * Builds the page into `dist/app` of the package (for `ptychopinn view`), or with `--static DIR` as files for any web server: the page, the
 * library for pages, the engine's files where they are installed, a service worker.
 *
 *   node web/build.mjs [--static dist-web]        after npm run build
 */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '..');
const require = createRequire(import.meta.url);
const flag = process.argv.indexOf('--static');
const target = flag < 0 ? undefined : path.resolve(process.argv[flag + 1] ?? path.join(root, 'dist-web'));
const app = path.join(root, 'dist/app');
const library = path.join(root, 'dist/web/bundle');

/** The library is a file of its own, which the thread takes as well. */
const session = {
  name: 'session',
  setup(b) {
    b.onResolve({ filter: /^ptychopinn\/web\/session$/ }, () => ({ path: './lib/session.js', external: true }));
  },
};

rmSync(app, { recursive: true, force: true });
mkdirSync(app, { recursive: true });
await build({
  entryPoints: { app: path.join(here, 'src/main.tsx') },
  outdir: app,
  bundle: true,
  format: 'esm',
  target: ['chrome111', 'firefox114', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  legalComments: 'eof',
  plugins: [session],
});
for (const name of readdirSync(path.join(here, 'static'))) {
  if (name !== '_headers' && name !== 'sw.js') copyFileSync(path.join(here, 'static', name), path.join(app, name));
}
await sample(path.join(app, 'sample.npz'));

if (target !== undefined) {
  rmSync(target, { recursive: true, force: true });
  cpSync(app, target, { recursive: true });
  cpSync(library, path.join(target, 'lib'), { recursive: true });
  const page = path.join(target, 'index.html');
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace('</head>', '<meta name="ptychopinn-host" content="static">\n</head>'),
  );
  copyEngine(path.join(target, 'ort'));
  // The policy of `ptychopinn view`; what is typed may lie on any server here.
  const { policyOf } = await import(path.join(root, 'dist/view/server.js'));
  const headers = readFileSync(path.join(here, 'static/_headers'), 'utf8').replace('POLICY', policyOf('https:'));
  writeFileSync(path.join(target, '_headers'), headers);
  const files = listed(target).filter(
    (name) => !name.startsWith('ort/') && name !== '_headers' && name !== 'LICENSES.txt',
  );
  const version = `${JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version}-${Date.now().toString(36)}`;
  const worker = readFileSync(path.join(here, 'static/sw.js'), 'utf8');
  writeFileSync(
    path.join(target, 'sw.js'),
    worker.replace("'VERSION'", JSON.stringify(version)).replace('[]', JSON.stringify(['./', ...files])),
  );
  const bytes = listed(target).reduce((sum, name) => sum + statSync(path.join(target, name)).size, 0);
  console.log(`${target}: ${files.length} files and the engine, ${(bytes / 1e6).toFixed(1)} MB.`);
}

/** A small scan for those who have none. */
async function sample(file) {
  const { simulate, rawDataFromSimulation } = await import(path.join(root, 'dist/public/simulation.js'));
  const { writeScan } = await import(path.join(root, 'dist/public/data.js'));
  const scan = simulate({ N: 64, object: 'dead_leaves', object_side_px: 128, step_px: 5, photons: 2e5, seed: 7 });
  await writeScan(file, rawDataFromSimulation(scan), { compress: true });
}

function copyEngine(folder) {
  let from;
  try {
    from = path.dirname(require.resolve('onnxruntime-web'));
  } catch {
    console.log('onnxruntime-web is not installed: this build has no networks.');
    return;
  }
  mkdirSync(folder, { recursive: true });
  for (const kind of ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify']) {
    for (const end of ['mjs', 'wasm']) {
      const name = `${kind}.${end}`;
      if (existsSync(path.join(from, name))) copyFileSync(path.join(from, name), path.join(folder, name));
    }
  }
}

/** All files below a folder, with forward slashes. */
function listed(folder, below = '') {
  return readdirSync(path.join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    return entry.isDirectory() ? listed(folder, name) : [name];
  });
}
