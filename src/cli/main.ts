#!/usr/bin/env node
import { runCli } from './program.js';

// `ptychopinn inspect … | head` closes the pipe early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  // By the signal's own default, which ends the process as a whole: process.exit would first take down the engine's
  // worker thread, and native code that is in the middle of a step aborts at that.
  leaveNow: () => {
    process.removeAllListeners('SIGINT');
    process.kill(process.pid, 'SIGINT');
  },
});
