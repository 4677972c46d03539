/**
 * The receiver of bench/live.mjs, a process of its own: `live` from a stream, with a profile of what its first thread does and the processor
 * time of its other threads until the scan has ended. Prints one line of JSON.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const config = JSON.parse(process.argv[2]);
const { liveWorkflow } = await import('../dist/workflows/live.js');

/** Processor seconds by thread, those that have ended included as they were last seen. */
const threads = new Map();
function look() {
  try {
    for (const id of readdirSync('/proc/self/task')) {
      const [seconds] = readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ');
      const name = readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim();
      threads.set(id, { name: Number(id) === process.pid ? 'first' : name, seconds: Number(seconds) / 1e9 });
    }
  } catch {
    // A thread that ended between the two, or another system than Linux.
  }
}
const watch = setInterval(look, 200);
const before = { clock: performance.now(), cpu: process.cpuUsage() };
look();
const begun = new Map([...threads].map(([id, { seconds }]) => [id, seconds]));

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: 500 });
await session.post('Profiler.start');
let live;
const warnings = [];
const logger = {
  info(message) {
    if (!/patterns have come/.test(message)) return;
    look();
    clearInterval(watch);
    const { user, system } = process.cpuUsage(before.cpu);
    const spent = [...threads].map(([id, { name, seconds }]) => ({ name, seconds: seconds - (begun.get(id) ?? 0) }));
    live = { wall: (performance.now() - before.clock) / 1000, cpu: (user + system) / 1e6, threads: spent, profile: session.post('Profiler.stop') }; // biome-ignore format: one record
  },
  warn: (message) => warnings.push(message),
};
const summary = await liveWorkflow(config, { logger });
const { profile } = await live.profile;
console.log(
  JSON.stringify({ summary, live: { ...live, profile: undefined, stages: secondsByStage(profile) }, warnings }),
);

/** Seconds of the first thread by stage: of what each function did itself, by the nearest caller of a known place. */
function secondsByStage({ nodes, samples, timeDeltas }) {
  const stages = [
    ['decode', /live\/(dectris|lz4Blocks)\.js/],
    ['record', /live\/record\.js|formats\/npyWrite\.js/],
    ['ingest', /live\/source\.js|node_modules\/zeromq/],
    ['stitch', /reconstruction\/(patchStitcher|scatter|spread|patchPhases|frame|stitching)/],
    ['preview', /dist\/report\/|reconstruction\/pictures|vega|resvg|fast-png|formats\/outputFiles/],
    ['reconstruct', /dist\/(backends|reconstruction|model|networks|graph)\/|onnxruntime/],
    ['solve', /dist\/solvers\//],
    ['open', /dist\/(data|formats|physics|core)\//],
    ['follow', /live\/liveRun|workflows\/live/],
  ];
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parent = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const stageOf = new Map();
  for (const { id } of nodes) {
    for (let at = id; at !== undefined && !stageOf.has(id); at = parent.get(at)) {
      const { url, functionName } = byId.get(at).callFrame;
      if (functionName === '(idle)') stageOf.set(id, 'idle');
      else if (functionName === '(garbage collector)') stageOf.set(id, 'collect');
      else if (functionName === '(program)') stageOf.set(id, 'program');
      const found = stages.find(([, pattern]) => pattern.test(url));
      if (found && !stageOf.has(id)) stageOf.set(id, found[0]);
    }
    if (!stageOf.has(id)) stageOf.set(id, 'other');
  }
  const seconds = {};
  samples.forEach((id, i) => {
    const stage = stageOf.get(id);
    seconds[stage] = (seconds[stage] ?? 0) + timeDeltas[i] / 1e6;
  });
  return seconds;
}
