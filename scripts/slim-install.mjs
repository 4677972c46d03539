/**
 * Makes an installed ptychopinn as small as it can be on this machine, for containers: removes what onnxruntime-node brings for other
 * platforms (its package holds five), and then proves that everything still works. Run by the Node that will use it:
 *
 *   npm ci --ignore-scripts --omit=dev && node node_modules/ptychopinn/scripts/slim-install.mjs
 *
 * --check: removes nothing, only proves; --dry-run: only says what would be removed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({ options: { check: { type: 'boolean' }, 'dry-run': { type: 'boolean' } } });

try {
  if (!values.check) for (const folder of otherPlatforms()) remove(folder);
  if (!values['dry-run']) prove();
} catch (error) {
  console.error(`slim-install: ${error.message}`);
  process.exitCode = 1;
}

/** `bin/napi-v6/<platform>/<arch>` in onnxruntime-node that are not this machine's. */
function otherPlatforms() {
  const require = createRequire(path.join(root, 'package.json'));
  const bin = path.join(path.dirname(require.resolve('onnxruntime-node/package.json')), 'bin');
  const folders = (where) => readdirSync(where, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const found = folders(bin).flatMap((version) =>
    folders(path.join(bin, version.name)).flatMap((platform) =>
      folders(path.join(bin, version.name, platform.name)).map((arch) => [version.name, platform.name, arch.name]),
    ),
  );
  const own = ([, platform, arch]) => platform === process.platform && arch === process.arch;
  if (!found.some(own)) {
    throw new Error(
      `onnxruntime-node has nothing for ${process.platform} ${process.arch} in ${bin}; nothing is removed.`,
    );
  }
  return found.filter((parts) => !own(parts)).map((parts) => path.join(bin, ...parts));
}

function remove(folder) {
  console.log(`${values['dry-run'] ? 'would remove' : 'removing'} ${path.relative(process.cwd(), folder)}`);
  if (values['dry-run']) return;
  rmSync(folder, { recursive: true });
  const above = path.dirname(folder);
  if (readdirSync(above).length === 0) rmSync(above, { recursive: true });
}

/** Both engines train and reconstruct, a solver solves, files of all kinds are written and read. */
function prove() {
  const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-prove-'));
  const cli = (...words) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, 'dist/cli/main.js'), ...words], {
      cwd: folder,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`ptychopinn ${words.join(' ')} failed:\n${stderr}`);
    return stdout;
  };
  try {
    const { engines } = JSON.parse(cli('doctor', '--json', '--no-measure'));
    const works = engines.filter((engine) => engine.works).map((engine) => `${engine.backend} ${engine.candidate}`);
    for (const needed of ['onnx cpu', 'tensorflow wasm', 'tensorflow cpu']) {
      if (!works.includes(needed)) throw new Error(`${needed} does not work (works: ${works.join(', ') || 'nothing'})`);
    }
    cli('simulate', '--output_file', 'scan.npz', '--n_patterns', '40', '--seed', '1', '--quiet');
    const small = ['--nepochs', '1', '--n_filters_scale', '1', '--accelerator', 'cpu', '--quiet'];
    cli('train', 'scan.npz', '--output_dir', 'run', ...small);
    cli('infer', 'scan.npz', '--model_path', 'run', '--output_dir', 'image', '--backend', 'tensorflow', '--quiet');
    cli('solve', 'scan.npz', '--output_dir', 'solved', '--epochs', '2', '--quiet');
    cli('product', 'export', 'solved', '--output_file', 'product.h5', '--test_data_file', 'scan.npz', '--quiet');
    cli('product', 'info', 'product.h5');
    for (const file of ['image/reconstruction.npz', 'image/reconstructed_phase.png', 'solved/reconstruction.npz']) {
      if (!existsSync(path.join(folder, file))) throw new Error(`${file} was not written`);
    }
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    console.log(
      `ptychopinn ${version} works on Node ${process.versions.node}: ${works.join(', ')}; trained, reconstructed, solved.`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
