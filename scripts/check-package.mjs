/**
 * `npm run test:pack`: the package as a user gets it. Packs it; lets publint and @arethetypeswrong look at the tarball; installs it from the
 * registry by the lines of the README (npm, pnpm); compiles, imports, requires and bundles it in projects of their own; runs examples; counts
 * what `import 'ptychopinn'` loads and what the installation takes on the disk.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'; // biome-ignore format: one line
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { install, megabytes, pack, packagesIn, root, sizeOf } from './pack/consumer.mjs';

const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const subPaths = Object.keys(manifest.exports)
  // Entries of worker threads refuse to run by themselves.
  .filter((name) => name !== './package.json' && !name.startsWith('./workers/'))
  .map((name) => path.posix.join('ptychopinn', name));
/** None of these may be loaded before it is needed. */
const HEAVY = ['onnxruntime-node', 'h5wasm', 'tiff', 'vega-view', 'vega-parser', '@resvg/resvg-js', /^@tensorflow\//];
/** What `import 'ptychopinn'` may load; raised only on purpose. */
const MOST = { modules: 560, packages: 22 };
/** MB on the disk of Linux x64: the whole tree, and after scripts/slim-install.mjs. */
// The page and the library for pages, HDF5 among it, are 13 MB.
const MOST_MB = { tree: 450, slim: 200 };

/** A program that uses the package as it is: a solver in its threads, HDF5, a network on both engines. */
const PROGRAM = `import { PtychoModel, reconstruct, runSolver, rawDataFromSimulation, simulate, train, writeReconstruction } from 'ptychopinn';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

const folder = await mkdtemp('run-');
const raw = await rawDataFromSimulation(simulate({ n_patterns: 40, seed: 1 }));
const solved = await runSolver(raw, { algorithm: 'rpie', epochs: 2 }, { threads: 2 });
const model = await train({ nepochs: 1, seed: 1, model: { n_filters_scale: 1 }, execution: { accelerator: 'cpu' } }, raw);
await model.save(folder);
await model.dispose();
const other = await PtychoModel.open(folder, { backend: 'tensorflow' });
const { stitched } = await reconstruct(other, raw);
await writeReconstruction(folder, stitched, { algorithm: 'both' });
await other.dispose();
await rm(folder, { recursive: true });
console.log(solved.rFactor < 0.5 && stitched.image.shape.length === 2 && path.sep.length === 1 ? 'done' : 'wrong');
`;

const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-pack-'));
try {
  const tarball = pack(folder);
  console.log(`packed: ${tarball.entryCount} files, ${(tarball.unpackedSize / 2 ** 20).toFixed(1)} MB`);
  await lintPackage(tarball.file);
  const others = [`@types/node@${manifest.devDependencies['@types/node']}`];
  const { folder: user } = install(path.join(folder, 'npm'), tarball.file, { others });
  const unpacked = path.join(user, 'node_modules/ptychopinn');
  checkTree(user);
  checkFiles(unpacked);
  compile(user, 'NodeNext, modules', { module: 'nodenext', moduleResolution: 'nodenext' }, 'module', userOf('import'));
  compile(user, 'bundler', { module: 'esnext', moduleResolution: 'bundler' }, 'module', userOf('import'));
  compile(
    user,
    'NodeNext, CommonJS',
    { module: 'nodenext', moduleResolution: 'nodenext' },
    'commonjs',
    userOf('require'),
  );
  run(
    user,
    'every sub-path can be imported',
    'import.mjs',
    subPaths.map((name) => `await import('${name}');`).join('\n'),
  );
  run(user, 'every sub-path can be required', 'require.cjs', subPaths.map((name) => `require('${name}');`).join('\n'));
  run(user, 'a program runs', 'program.mjs', PROGRAM, /^done$/m);
  run(user, 'an example of the package runs', undefined, [path.join(unpacked, 'examples/node/solve.mjs'), '--epochs', '2'], /on .*thread/); // biome-ignore format: one line
  await build({
    entryPoints: [path.join(unpacked, 'examples/node/program.ts')],
    outfile: path.join(user, 'typed.mjs'),
  });
  run(user, 'the example in TypeScript runs', undefined, ['typed.mjs'], /solver: R 0\.\d+/);
  await bundle(user);
  countLoaded(user);
  const { folder: other } = install(path.join(folder, 'pnpm'), tarball.file, { manager: 'pnpm' });
  run(other, 'a program runs, installed by pnpm', 'program.mjs', PROGRAM, /^done$/m);
  run(
    user,
    'it is slim and still works',
    undefined,
    [path.join(unpacked, 'scripts/slim-install.mjs')],
    /works on Node/,
  );
  if (process.platform === 'linux' && process.arch === 'x64') limit('the slim tree', user, MOST_MB.slim);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What linters of packages say; all of it counts. */
async function lintPackage(file) {
  const data = readFileSync(file);
  const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
  for (const message of messages) fail(`publint: ${formatMessage(message, pkg, { color: false })}`);
  const { problems } = await checkPackage(createPackageFromTarballData(new Uint8Array(data)));
  // Node 20.19 and newer require modules; resolution of Node 10 knows no sub-paths.
  const counted = problems.filter(
    ({ kind, resolutionKind }) => kind !== 'CJSResolvesToESM' && resolutionKind !== 'node10',
  );
  for (const problem of counted) fail(`types: ${JSON.stringify(problem)}`);
  if (messages.length + counted.length === 0) console.log('ok: publint and @arethetypeswrong find nothing');
}

/** One HDF5 library, no polyfills, and no more room than promised. */
function checkTree(user) {
  const packages = packagesIn(user);
  const copies = packages.get('h5wasm')?.length;
  if (copies !== 1) fail(`h5wasm is installed ${copies} times`);
  for (const name of packages.keys()) if (name.startsWith('core-js')) fail(`${name} is installed`);
  if (process.platform === 'linux' && process.arch === 'x64') limit('the whole tree', user, MOST_MB.tree);
}

function limit(what, user, most) {
  const { bytes, files } = sizeOf(path.join(user, 'node_modules'));
  const said = `${what}: ${megabytes(bytes)}, ${files} files (at most ${most} MB)`;
  if (bytes > most * 2 ** 20) fail(said);
  else console.log(`ok: ${said}`);
}

/** Links of the pages lead to files of the package, and nothing points at sources that are not there. */
function checkFiles(unpacked) {
  const files = readdirSync(unpacked, { recursive: true }).map((name) => name.split(path.sep).join('/'));
  let links = 0;
  for (const page of files.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(path.join(unpacked, page), 'utf8').replace(/```[\s\S]*?```/g, '');
    for (const [, target] of text.matchAll(/\]\((?!\w+:)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      links++;
      if (!existsSync(path.join(unpacked, path.dirname(page), target)))
        fail(`${page} links to ${target}, which is not in the package`);
    }
  }
  const mapped = files.filter(
    (name) =>
      name.endsWith('.map') ||
      (name.endsWith('.js') && /\/\/# sourceMappingURL/.test(readFileSync(path.join(unpacked, name), 'utf8'))),
  );
  if (mapped.length > 0) {
    fail(
      `source maps without sources: ${mapped.slice(0, 3).join(', ')} … (${mapped.length}); an old dist is in the way`,
    );
  }
  console.log(`ok: ${links} links of the pages lead into the package`);
}

/** A file that imports every sub-path, and uses a type of the first. */
function userOf(how) {
  const lines = subPaths.map((name, i) =>
    how === 'import' ? `import * as part${i} from '${name}';` : `import part${i} = require('${name}');`,
  );
  return [
    ...lines,
    `export const names: string[] = [${subPaths.map((_, i) => `...Object.keys(part${i})`).join(', ')}];`,
    'export type Trained = Awaited<ReturnType<typeof part0.train>>;',
    'export async function image(model: Trained) {',
    "  const { stitched } = await part0.reconstruct(model, 'scan.npz', { stitch_crop_px: 32 });",
    '  return stitched.image.shape;',
    '}',
    '',
  ].join('\n');
}

/** Compiles a file that uses everything, and the examples in TypeScript, strictly and with every declaration checked. */
function compile(user, what, options, type, text) {
  const project = path.join(user, what.replace(/\W+/g, '-'));
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ type, private: true }));
  writeFileSync(path.join(project, 'user.ts'), text);
  const files = ['user.ts'];
  const examples = path.join(user, 'node_modules/ptychopinn/examples/node');
  if (type === 'module') {
    for (const name of readdirSync(examples).filter((file) => file.endsWith('.ts'))) {
      copyFileSync(path.join(examples, name), path.join(project, name));
      files.push(name);
    }
  }
  const compilerOptions = {
    ...options,
    target: 'es2022',
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
  };
  writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  attempt(`compiles: ${what}`, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', project], project);
}

/** The bundle of docs/installing.md: with its workers beside it, and with the installed package in their place. */
async function bundle(user) {
  const readme = readFileSync(path.join(root, 'docs/installing.md'), 'utf8');
  const options = {
    absWorkingDir: user,
    bundle: true,
    platform: 'node',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    external: ['onnxruntime-node', 'h5wasm', '@tensorflow/*', '@resvg/resvg-js'],
    banner: { js: "import { createRequire as req } from 'node:module'; const require = req(import.meta.url);" },
    logLevel: 'error',
  };
  for (const part of [...options.external, options.banner.js]) {
    if (!readme.includes(part)) fail(`docs/installing.md says nothing of ${part} in a bundle`);
  }
  const workers = { onnxWorker: 'onnx', tensorflowWorker: 'tensorflow', solverWorker: 'solver' };
  const kept = path.join(user, 'node_modules/ptychopinn');
  await build({ ...options, entryPoints: ['program.mjs'], outdir: 'bundled' });
  run(user, 'an esbuild bundle runs where the package is installed', undefined, ['bundled/program.mjs'], /^done$/m);
  const entryPoints = Object.entries(workers).map(([out, name]) => ({ in: `ptychopinn/workers/${name}`, out }));
  await build({ ...options, entryPoints: [{ in: 'program.mjs', out: 'program' }, ...entryPoints], outdir: 'whole', outExtension: {} }); // biome-ignore format: one line
  copyFileSync(path.join(kept, 'dist/solvers/host/kernels.wasm'), path.join(user, 'whole/kernels.wasm'));
  const away = path.join(user, 'node_modules/.ptychopinn-away');
  renameSync(kept, away);
  try {
    run(user, 'an esbuild bundle with its workers runs without it', undefined, ['whole/program.js'], /^done$/m);
  } finally {
    renameSync(away, kept);
  }
}

function run(user, what, file, program, expected = /(?:)/) {
  if (file) writeFileSync(path.join(user, file), `${program}\n`);
  attempt(what, ['--disable-warning=ExperimentalWarning', ...(file ? [file] : program)], user, expected);
}

function attempt(what, args, cwd, expected = /(?:)/) {
  const started = performance.now();
  try {
    const said = execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
    if (!expected.test(said)) throw Object.assign(new Error('said something else'), { stdout: said, stderr: '' });
    console.log(`ok: ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  } catch ({ message, stdout, stderr }) {
    fail(`${what}\n${message}\n${stdout}${stderr}`);
  }
}

/** Modules and packages that `import 'ptychopinn'` loads, and what it reads besides. */
function countLoaded(user) {
  const log = path.join(user, 'loaded.txt');
  writeFileSync(
    path.join(user, 'hooks.mjs'),
    `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(log)}, url + '\\n');
  return next(url, context);
}\n`,
  );
  writeFileSync(
    path.join(user, 'count.mjs'),
    `import fs from 'node:fs';
import { register, syncBuiltinESMExports } from 'node:module';
register('./hooks.mjs', import.meta.url);
const watch = (from, name) => {
  const real = from[name];
  from[name] = (...args) => {
    // CommonJS modules are read the same way.
    if (!/\\.(c?js|json)$/.test(String(args[0])) || /ptychopinn.package\\.json/.test(String(args[0]))) console.log(name, String(args[0]));
    return real(...args);
  };
};
for (const name of ['readFileSync', 'openSync', 'readdirSync', 'readFile', 'open']) watch(fs, name);
for (const name of ['readFile', 'open', 'readdir']) watch(fs.promises, name);
syncBuiltinESMExports();
await import('ptychopinn');\n`,
  );
  const read = execFileSync(process.execPath, ['count.mjs'], { cwd: user, encoding: 'utf8' }).trim();
  if (read) fail(`importing reads files: ${read}`);
  const files = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .filter((url) => url.startsWith('file:'));
  const packageOf = (url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? 'ptychopinn';
  const packages = [...new Set(files.map(packageOf))].sort();
  console.log(
    `import 'ptychopinn' loads ${files.length} modules of ${packages.length} packages: ${packages.join(', ')}`,
  );
  const heavy = packages.filter((name) =>
    HEAVY.some((one) => (typeof one === 'string' ? one === name : one.test(name))),
  );
  if (heavy.length > 0) fail(`these must load when they are used: ${heavy.join(', ')}`);
  if (files.length > MOST.modules || packages.length > MOST.packages)
    fail(`more than ${MOST.modules} modules of ${MOST.packages} packages`);
}

function fail(sentence) {
  console.error(`FAILED: ${sentence}`);
  process.exitCode = 1;
}
