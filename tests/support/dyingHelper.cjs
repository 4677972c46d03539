/** Ends the threads that TensorFlow.js' wasm engine starts in its worker two seconds after that; loaded before everything else (`--require`). */
const threads = require('node:worker_threads');
const { syncBuiltinESMExports } = require('node:module');

const { Worker, isMainThread } = threads;
threads.Worker = class extends Worker {
  constructor(file, options = {}) {
    super(file, isMainThread ? { ...options, execArgv: ['--require', __filename] } : options);
    if (!isMainThread) setTimeout(() => this.terminate(), 2000);
  }
};
syncBuiltinESMExports();
