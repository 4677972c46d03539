/**
 * `npm run test:pack`: the package as a user gets it. Packs it, unpacks it into projects of strict TypeScript that check every
 * declaration, imports and requires every sub-path, and counts what `import 'ptychopinn'` loads. Only the packages that
 * package.json names as dependencies can be found from there.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';

import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const subPaths = Object.keys(manifest.exports)
  .filter((name) => name !== './package.json')
  .map((name) => path.posix.join('ptychopinn', name));
/** None of these may be loaded before it is needed. */
const HEAVY = ['onnxruntime-node', 'h5wasm', 'h5wasm-plugins', 'tiff', /^@tensorflow\//];
/** What `import 'ptychopinn'` may load; raised only on purpose. */
const MOST = { modules: 460, packages: 22 };

const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-pack-'));
try {
  const modules = path.join(folder, 'node_modules');
  unpack(modules);
  compile('NodeNext, modules', { module: 'nodenext', moduleResolution: 'nodenext' }, 'module', userOf('import'));
  compile('bundler', { module: 'esnext', moduleResolution: 'bundler' }, 'module', userOf('import'));
  compile('NodeNext, CommonJS', { module: 'nodenext', moduleResolution: 'nodenext' }, 'commonjs', userOf('require'));
  run('every sub-path can be imported', 'import.mjs', subPaths.map((name) => `await import('${name}');`).join('\n'));
  run('every sub-path can be required', 'require.cjs', subPaths.map((name) => `require('${name}');`).join('\n'));
  countLoaded();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The packed files, and links to the dependencies alone. */
function unpack(modules) {
  const packed = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    }),
  )[0];
  const target = path.join(modules, 'ptychopinn');
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', path.join(folder, packed.filename), '-C', target, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const place = path.join(modules, name);
    mkdirSync(path.dirname(place), { recursive: true });
    const own = path.join(root, 'node_modules', name);
    if (!existsSync(own)) throw new Error(`${name} is not installed`);
    symlinkSync(own, place, 'dir');
  }
  console.log(`packed: ${packed.entryCount} files, ${(packed.unpackedSize / 2 ** 20).toFixed(1)} MB`);
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

function compile(what, options, type, text) {
  const project = path.join(folder, what.replace(/\W+/g, '-'));
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ type, private: true }));
  writeFileSync(path.join(project, 'user.ts'), text);
  const compilerOptions = {
    ...options,
    target: 'es2022',
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
  };
  writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['user.ts'] }));
  attempt(`compiles: ${what}`, process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
}

function run(what, file, text) {
  writeFileSync(path.join(folder, file), `${text}\n`);
  attempt(what, process.execPath, ['--disable-warning=ExperimentalWarning', file]);
}

function attempt(what, command, args) {
  try {
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
    console.log(`ok: ${what}`);
  } catch ({ stdout, stderr }) {
    console.error(`FAILED: ${what}\n${stdout}${stderr}`);
    process.exitCode = 1;
  }
}

/** Modules and packages that `import 'ptychopinn'` loads. */
function countLoaded() {
  const log = path.join(folder, 'loaded.txt');
  writeFileSync(
    path.join(folder, 'hooks.mjs'),
    `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(log)}, url + '\\n');
  return next(url, context);
}\n`,
  );
  writeFileSync(
    path.join(folder, 'count.mjs'),
    "import { register } from 'node:module';\nregister('./hooks.mjs', import.meta.url);\nawait import('ptychopinn');\n",
  );
  execFileSync(process.execPath, ['count.mjs'], { cwd: folder });
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
