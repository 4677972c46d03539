/** Opens an address in the browser of the desktop, by the program that each system has for it. */
import { spawn } from 'node:child_process';
import type { Logger } from '../core/log.js';

const PROGRAMS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** Tries it; says so where there is no such program. */
export function openBrowser(url: string, logger: Logger): Promise<void> {
  const [program, ...words] = PROGRAMS[process.platform] ?? ['xdg-open'];
  return new Promise((done) => {
    const child = spawn(program, [...words, url], { stdio: 'ignore', detached: true });
    child.once('error', () => {
      logger.warn(`No browser could be opened (${program}); open the address yourself.`);
      done();
    });
    child.once('spawn', () => {
      child.unref();
      done();
    });
  });
}
