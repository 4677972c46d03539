/**
 * What `import 'ptychopinn'` and `ptychopinn --help` cost, beside an earlier build: processor milliseconds of a fresh process, the
 * least of several rounds in turn, and the same for a process that does nothing.
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
const tell = "const { user, system } = process.cpuUsage(); process.stderr.write('cpu ' + (user + system) / 1000);";
const tasks = { nothing: () => ['-e', `process.on('exit', () => { ${tell} })`] };
for (const [name, root] of Object.entries(builds)) {
  const index = JSON.stringify(path.join(root, 'dist/index.js'));
  tasks[`import, ${name}`] = () => ['-e', `process.on('exit', () => { ${tell} }); import(${index})`];
  const main = JSON.stringify(path.join(root, 'dist/cli/main.js'));
  tasks[`--help, ${name}`] = () => [
    '-e',
    `process.on('exit', () => { ${tell} }); process.argv = [process.argv[0], ${main}, '--help']; import(${main})`,
  ];
}
const least = Object.fromEntries(Object.keys(tasks).map((name) => [name, Number.POSITIVE_INFINITY]));
for (let round = 0; round < rounds; round++) {
  for (const [name, args] of Object.entries(tasks)) {
    const { stderr } = spawnSync(process.execPath, args(), { encoding: 'utf8' });
    const cpu = Number(/cpu ([\d.]+)/.exec(stderr)?.[1]);
    if (!(cpu > 0)) throw new Error(`${name}: ${stderr}`);
    least[name] = Math.min(least[name], cpu);
  }
}
for (const [name, cpu] of Object.entries(least))
  console.log(`${name.padEnd(16)} ${cpu.toFixed(0).padStart(6)} ms of processor`);
