/**
 * Builds the library for browsers: the entries `ptychopinn/web…` with all that they need as modules in `dist/web/bundle`,
 * so that nobody's bundler has to know what Node has and browsers lack. In place of Node's modules, and of ours that are about the
 * machine, come those of `src/web/standins`.
 *
 *   node scripts/build-web.mjs          after tsc
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
const standins = path.join(dist, 'web/standins');
const out = path.join(dist, 'web/bundle');
const require = createRequire(import.meta.url);

/** Node's modules, and who stands in for them. */
const NODE = {
  fs: 'fs',
  'fs/promises': 'fs',
  path: 'path',
  os: 'small',
  util: 'small',
  url: 'small',
  'timers/promises': 'small',
  module: 'small',
  child_process: 'small',
  events: 'small',
  stream: 'small',
  zlib: 'inflate',
  crypto: 'hash',
  worker_threads: 'workerThreads',
}; // prettier-ignore

/** Ours, below `dist`. */
const OURS = {
  'core/hash.js': 'hash',
  'core/packageFile.js': 'packageFile',
  'formats/inflate.js': 'inflate',
  'formats/zipChunks.js': 'zipChunks',
  'formats/hdf5/hdf5Module.js': 'hdf5Module',
  'backends/onnx/backend.js': '../../backends/ort-web/backend',
  'backends/tf/backend.js': 'absent',
};

const ZOD = "import { z } from 'zod';";
const plugins = path.join(path.dirname(require.resolve('h5wasm-plugins/package.json')), 'plugins');
const h5wasm = path.join(root, 'node_modules/h5wasm/dist/esm/hdf5_util.js');

/** @type {import('esbuild').Plugin} */
const page = {
  name: 'page',
  setup(b) {
    b.onResolve({ filter: /^(node:)?[a-z_]+(\/promises)?$/ }, ({ path: name, kind }) => {
      const bare = name.replace(/^node:/, '');
      if (bare === 'buffer') return { path: require.resolve('buffer/') };
      const standin = NODE[bare];
      if (standin === undefined) {
        if (name.startsWith('node:')) return { errors: [{ text: `nothing stands in for ${name} (src/web/standins)` }] };
        return undefined;
      }
      // What CommonJS requires has its default beside its names.
      return { path: path.join(standins, `${standin}.js`), pluginData: { kind } };
    });
    b.onResolve({ filter: /^\.\.?\// }, ({ path: name, resolveDir, importer }) => {
      if (importer.startsWith(standins)) return undefined;
      const ours = path.relative(dist, path.resolve(resolveDir, name)).split(path.sep).join('/');
      return OURS[ours] === undefined ? undefined : { path: path.join(standins, `${OURS[ours]}.js`) };
    });
    // Of zod's namespace only what is used: through `z` as a value it would be all of it, sentences in forty languages among them.
    b.onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      if (!file.startsWith(dist)) return undefined;
      const text = readFileSync(file, 'utf8');
      return text.includes(ZOD) ? { contents: text.replace(ZOD, "import * as z from 'zod';") } : undefined;
    });
    b.onResolve({ filter: /^(proper-lockfile)$/ }, () => ({ path: path.join(standins, 'absent.js') }));
    b.onResolve({ filter: /^asset:/ }, ({ path: name }) => {
      if (name === 'asset:hdf5') return { path: h5wasm };
      return { path: name, namespace: 'asset' };
    });
    b.onLoad({ filter: /kernels/, namespace: 'asset' }, () => ({
      contents: deflateSync(readFileSync(path.join(dist, 'solvers/host/kernels.wasm')), { level: 9 }),
      loader: 'binary',
    }));
    b.onLoad({ filter: /hdf5-plugins/, namespace: 'asset' }, () => {
      const names = readdirSync(plugins).filter((name) => name.endsWith('.so'));
      const imports = names.map((name, i) => `import p${i} from ${JSON.stringify(path.join(plugins, name))};`);
      return {
        contents: `${imports.join('\n')}\nexport default { ${names.map((name, i) => `${JSON.stringify(name)}: p${i}`).join(', ')} };`,
        resolveDir: root,
      };
    });
  },
};

rmSync(out, { recursive: true, force: true });
const result = await build({
  entryPoints: {
    index: path.join(dist, 'public/web.js'),
    networks: path.join(dist, 'public/webNetworks.js'),
    session: path.join(dist, 'public/webSession.js'),
    worker: path.join(dist, 'web/worker.js'),
  },
  outdir: out,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  charset: 'utf8',
  chunkNames: 'parts/[name]-[hash]',
  loader: { '.wasm': 'binary', '.so': 'binary' },
  external: ['@resvg/resvg-js', 'module', 'crypto'],
  inject: ['globals', 'buffer', 'immediate'].map((name) => path.join(standins, `${name}.js`)),
  define: { global: 'globalThis' },
  plugins: [page],
  metafile: true,
  legalComments: 'none',
  logLevel: 'error',
});
writeLicences(result.metafile);

/** What the licences of bundled packages ask for. */
function writeLicences(metafile) {
  const packages = new Map();
  for (const file of Object.keys(metafile.inputs)) {
    const found = /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(file);
    if (found) packages.set(found[2], path.resolve(found[1]));
  }
  const texts = [...packages]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, folder]) => {
      const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
      const file = readdirSync(folder).find((each) => /^(licen[cs]e|copying)/i.test(each));
      const text = file === undefined ? '' : `\n\n${readFileSync(path.join(folder, file), 'utf8').trim()}`;
      return `${name} ${version} (${typeof license === 'string' ? license : 'see its text'})${text}`;
    });
  writeFileSync(path.join(out, 'LICENSES.txt'), `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`);
}
