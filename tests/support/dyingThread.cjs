/**
 * Threads of the solver that really die. Loaded before everything else, by the first thread (`require`, or NODE_OPTIONS=--require) and
 * through it by every thread of the solver. PTYCHOPINN_THREAD_FAULT says how, where and in which one: `exit divideStep 5 1` ends the first
 * thread besides the caller's own at its sixth call of that kernel. A place may also be `start` (its file is loaded) or `open`.
 */
const threads = require('node:worker_threads');
const { syncBuiltinESMExports } = require('node:module');

const VARIABLE = 'PTYCHOPINN_THREAD_FAULT';
const WAYS = {
  throw() {
    throw new Error('killed by the test');
  },
  exit() {
    process.exit(7);
  },
  memory() {
    const all = [];
    for (;;) all.push(new Array(1000).fill(all.length));
  },
};

if (threads.isMainThread || !process.env[VARIABLE]?.endsWith(' here')) watch();
else die(process.env[VARIABLE].split(' '));

/** Hands the fault on to the thread that is meant. */
function watch() {
  const { Worker } = threads;
  let started = 0;
  threads.Worker = class extends Worker {
    static all = [];
    constructor(file, options = {}) {
      if (!String(file).endsWith('solverWorker.js')) {
        super(file, options);
        return;
      }
      const [way, place, calls, which] = (process.env[VARIABLE] ?? '').split(' ');
      const here = way && ++started === Number(which);
      super(file, {
        ...options,
        execArgv: here ? ['--require', __filename] : [],
        env: { ...process.env, [VARIABLE]: here ? `${way} ${place} ${calls} here` : '' },
        ...(way === 'memory' ? { resourceLimits: { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 2 } } : {}),
      });
      threads.Worker.all.push(this);
    }
  };
  threads.Worker.restart = () => {
    started = 0;
    threads.Worker.all.length = 0;
  };
  syncBuiltinESMExports();
}

function die([way, place, calls]) {
  if (place === 'start') WAYS[way]();
  const { Instance } = WebAssembly;
  let left = Number(calls);
  WebAssembly.Instance = function opened(module, imports) {
    if (place === 'open') WAYS[way]();
    const { exports } = new Instance(module, imports);
    const dying = (...args) => {
      if (left-- <= 0) WAYS[way]();
      return exports[place](...args);
    };
    return { exports: { ...exports, ...(place === 'open' ? {} : { [place]: dying }) } };
  };
}
