/**
 * Which engine is the faster one for which size? A batch of rPIE (amplitude rule, sums of object and probe), one thread each.
 *
 *   npm run bench:solver-passes -- [--sizes 64,128,256] [--seconds 4] [--modes 1] [--batch N]
 *
 * Processor time of the whole process, which other processes change less than the clock on the wall; the best of several turns, host
 * and program in turn. `--batch` sets how many patterns a run of the program takes.
 */
import { parseArgs } from 'node:util';
import { createOnnxBackend } from '../dist/backends/onnx/backend.js';
import { LegacyRng } from '../dist/core/rng.js';
import { HostPasses } from '../dist/solvers/host/hostPasses.js';
import { ProgramPasses } from '../dist/solvers/program/programPasses.js';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '64,128,256' },
    seconds: { type: 'string', default: '4' },
    modes: { type: 'string', default: '1' },
    batch: { type: 'string' },
  },
});
const modes = Number(values.modes);
const request = { wave: 'amplitude', object: true, probe: true };
const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
const rows = [];
for (const N of values.sizes.split(',').map(Number)) {
  const { scan, sizes, fields } = problem(N);
  const common = { scan, sizes, storeWaves: false, floor: 1e-5 };
  const engines = {
    host: await HostPasses.open({ ...common, threads: 1, keep: 0 }),
    program: await ProgramPasses.open({
      ...common,
      backend,
      batch: values.batch === undefined ? undefined : Number(values.batch),
    }),
  };
  const batch = Int32Array.from({ length: scan.count }, (_, k) => k);
  const best = { host: Number.POSITIVE_INFINITY, program: Number.POSITIVE_INFINITY };
  for (const engine of Object.values(engines)) {
    fields(engine.memory);
    await engine.pass(batch, request);
  }
  const until = performance.now() + 1000 * Number(values.seconds);
  do {
    for (const [name, engine] of Object.entries(engines)) {
      const before = process.cpuUsage();
      await engine.pass(batch, request);
      const { user, system } = process.cpuUsage(before);
      best[name] = Math.min(best[name], (user + system) / 1000 / batch.length);
    }
  } while (performance.now() < until);
  for (const engine of Object.values(engines)) await engine.close();
  rows.push({ N, patterns: scan.count, ...best, ratio: best.program / best.host });
}
await backend.dispose();

console.log(`\n${modes} mode(s), CPU ms per position of a rPIE pass, one thread\n`);
console.log('| N | patterns in a batch | host (SIMD) | program (onnxruntime) | program/host |');
console.log('|---|---|---|---|---|');
for (const { N, patterns, host, program, ratio } of rows) {
  console.log(`| ${N} | ${patterns} | ${host.toFixed(3)} | ${program.toFixed(3)} | ${ratio.toFixed(2)} |`);
}

/** Nothing but the right sizes: how long a pass takes does not depend on what the patterns show. */
function problem(N) {
  const rng = new LegacyRng(1);
  const count = 32;
  const [height, width] = [N + 40, N + 48];
  const shared = (Kind, length) => new Kind(new SharedArrayBuffer(Kind.BYTES_PER_ELEMENT * length));
  const amplitudes = shared(Float32Array, count * N * N).map(() => 10 * rng.random());
  const [ys, xs] = [shared(Float64Array, count), shared(Float64Array, count)];
  for (let k = 0; k < count; k++) {
    ys[k] = N / 2 + 2 + 34 * rng.random();
    xs[k] = N / 2 + 2 + 42 * rng.random();
  }
  const fields = ({ object, probe }) => {
    object.re.fill(1);
    for (const part of [probe.re, probe.im]) for (let i = 0; i < part.length; i++) part[i] = rng.normal();
  };
  return { scan: { N, count, amplitudes, ys, xs }, sizes: { modes, height, width }, fields };
}
