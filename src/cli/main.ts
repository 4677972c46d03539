#!/usr/bin/env node
import { EXIT_FAILURE, failureOf } from './exit.js';
import { runCli } from './program.js';

let resultsLost = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `ptychopinn inspect … | head` closes the pipe early: that is no failure.
  if (error.code === 'EPIPE') process.exit(0);
  if (!resultsLost) process.stderr.write(`ptychopinn: What was to be printed is lost: ${failureOf(error).message}\n`);
  resultsLost = true;
  process.exitCode ||= EXIT_FAILURE;
});
// A terminal that was closed, or a log on a full disk: the work goes on without its messages.
process.stderr.on('error', () => {});
// Node.js ignores the signal of a file that grows beyond what is allowed (ulimit -f), so that the write fails and is told of;
// while a solver runs, native code puts the default back, by which the process would end without a word.
if (process.platform !== 'win32') process.on('SIGXFSZ', () => {});

const code = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  // By the signal's own default, which ends the process as a whole: process.exit would first take down the engine's
  // worker thread, and native code that is in the middle of a step aborts at that.
  leaveNow: (signal) => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  },
});
if (code > 128) {
  // Stopped by a signal: reads that nobody waits for any more do not hold the process.
  setTimeout(() => process.exit(code), 1000).unref();
}
process.exitCode = code || (resultsLost ? EXIT_FAILURE : 0);
