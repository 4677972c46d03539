/**
 * What installing the package brings: room on the disk by package, files, copies, and what scripts/slim-install.mjs leaves of it.
 *
 *   npm run bench:install          (needs the npm registry; a minute)
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { install, megabytes, pack, packagesIn, sizeOf } from '../scripts/pack/consumer.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-install-'));
try {
  const tarball = pack(folder);
  console.log(`tarball: ${(tarball.size / 1e6).toFixed(1)} MB, unpacked ${(tarball.unpackedSize / 1e6).toFixed(1)} MB, ${tarball.entryCount} files\n`); // biome-ignore format: one line
  const started = performance.now();
  const { folder: user } = install(path.join(folder, 'user'), tarball.file);
  const seconds = (performance.now() - started) / 1000;
  const packages = packagesIn(user);
  const rows = [...packages].flatMap(([name, places]) => {
    // Nested copies stand in rows of their own.
    const own = places.map((place) => [name, sizeOf(place).bytes - nested(place)]);
    return [[name, own.reduce((sum, [, bytes]) => sum + bytes, 0), places.length]];
  });
  rows.sort((a, b) => b[1] - a[1]);
  const shown = rows.slice(0, 18);
  const rest = rows.slice(18);
  console.log('| package | MB | copies |\n|---|---|---|');
  for (const [name, bytes, copies] of shown) console.log(`| ${name} | ${(bytes / 2 ** 20).toFixed(1)} | ${copies} |`);
  console.log(
    `| ${rest.length} others | ${(rest.reduce((sum, [, bytes]) => sum + bytes, 0) / 2 ** 20).toFixed(1)} | |`,
  );
  const whole = sizeOf(path.join(user, 'node_modules'));
  console.log(`\nnpm i --ignore-scripts: ${megabytes(whole.bytes)}, ${packages.size} packages, ${whole.files} files, ${seconds.toFixed(0)} s`); // biome-ignore format: one line
  const slim = path.join(user, 'node_modules/ptychopinn/scripts/slim-install.mjs');
  console.log(execFileSync(process.execPath, [slim], { cwd: user, encoding: 'utf8' }).trim());
  const left = sizeOf(path.join(user, 'node_modules'));
  console.log(`after slim-install: ${megabytes(left.bytes)}, ${left.files} files`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function nested(place) {
  try {
    return sizeOf(path.join(place, 'node_modules')).bytes;
  } catch {
    return 0;
  }
}
