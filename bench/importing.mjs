/**
 * What `import 'ptychopinn'`, `ptychopinn --help` and `ptychopinn inspect` of a small NPZ cost, beside an earlier build: processor
 * milliseconds of a fresh process, user and whole, the least of several rounds in turn, and the same for a process that does nothing.
 *
 *   PTYCHOPINN_BASE=../earlier npm run bench:importing       (a built checkout; BENCH_ROUNDS=15)
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const rounds = Number(process.env.BENCH_ROUNDS ?? 15);
const builds = {
  now: HERE,
  ...(process.env.PTYCHOPINN_BASE ? { base: path.resolve(process.env.PTYCHOPINN_BASE) } : {}),
};
const tell =
  "const { user, system } = process.cpuUsage(); process.stderr.write('cpu ' + user / 1000 + ' ' + (user + system) / 1000);";
const tasks = { nothing: () => ['-e', `process.on('exit', () => { ${tell} })`] };
for (const [name, root] of Object.entries(builds)) {
  const index = JSON.stringify(path.join(root, 'dist/index.js'));
  tasks[`import, ${name}`] = () => ['-e', `process.on('exit', () => { ${tell} }); import(${index})`];
  const main = JSON.stringify(path.join(root, 'dist/cli/main.js'));
  const command = (...words) => [
    '-e',
    `process.on('exit', () => { ${tell} }); process.argv = [process.argv[0], ${main}, ...${JSON.stringify(words)}]; import(${main})`,
  ];
  tasks[`--help, ${name}`] = () => command('--help');
  tasks[`inspect, ${name}`] = () => command('inspect', path.join(HERE, 'fixtures/lines64.npz'));
}
const least = Object.fromEntries(Object.keys(tasks).map((name) => [name, [Infinity, Infinity]]));
for (let round = 0; round < rounds; round++) {
  for (const [name, args] of Object.entries(tasks)) {
    const { stderr } = spawnSync(process.execPath, args(), { encoding: 'utf8' });
    const cpu = (/cpu ([\d.]+) ([\d.]+)/.exec(stderr) ?? []).slice(1).map(Number);
    if (!(cpu[0] > 0)) throw new Error(`${name}: ${stderr}`);
    least[name] = least[name].map((value, i) => Math.min(value, cpu[i]));
  }
}
for (const [name, [user, whole]] of Object.entries(least))
  console.log(
    `${name.padEnd(16)} ${user.toFixed(0).padStart(6)} ms user, ${whole.toFixed(0).padStart(6)} ms of processor`,
  );
