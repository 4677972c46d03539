/** The package as a user gets it: packed, and installed from the registry into a project of its own. */
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** The pnpm that installs are tried with; `npx` fetches it. */
const PNPM = 'pnpm@10.34.8';

/** Packs what is built; the tarball's path and what is in it. */
export function pack(folder) {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    }),
  );
  return { ...packed, file: path.join(folder, packed.filename) };
}

/** A project that has installed the tarball, and `others`, by the line of the README. */
export function install(folder, tarball, { manager = 'npm', others = [] } = {}) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  const env = { ...process.env };
  // What our own .npmrc and CI say must not be what makes it work.
  for (const key of Object.keys(env)) if (/^npm_|onnxruntime/i.test(key)) delete env[key];
  const options = { cwd: folder, encoding: 'utf8', stdio: 'pipe', env };
  const said =
    manager === 'npm'
      ? execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball, ...others], options)
      : execFileSync('npx', ['--yes', PNPM, 'add', '--store-dir', path.join(folder, 'store'), tarball, ...others], options); // biome-ignore format: one call
  return { folder, said };
}

/** Room that a folder takes on the disk, in bytes, and its files; links are not followed. */
export function sizeOf(folder) {
  let [bytes, files] = [0, 0];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { blocks, size } = lstatSync(path.join(entry.parentPath, entry.name));
    bytes += blocks ? blocks * 512 : size;
    files++;
  }
  return { bytes, files };
}

/** Every copy of a package below a project, as folders: name → folders. */
export function packagesIn(folder) {
  const found = new Map();
  const visit = (modules) => {
    let names;
    try {
      names = readdirSync(modules, { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of names) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
      const at = path.join(modules, entry.name);
      const inside = entry.name.startsWith('@') ? readdirSync(at).map((name) => path.join(at, name)) : [at];
      for (const one of inside) {
        const name = path.relative(modules, one).split(path.sep).join('/');
        found.set(name, [...(found.get(name) ?? []), one]);
        visit(path.join(one, 'node_modules'));
      }
    }
  };
  visit(path.join(folder, 'node_modules'));
  return found;
}

export const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MB`;
