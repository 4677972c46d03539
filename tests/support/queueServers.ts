/** Redis and PostgreSQL on 127.0.0.1, started and stopped by the tests that need them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { freePort } from './freePort.js';

/** A server that runs. */
export interface QueueServer {
  readonly url: string;
  stop(): Promise<void>;
}

const POSTGRES = '/usr/lib/postgresql';
const bin = existsSync(POSTGRES) ? path.join(POSTGRES, readdirSync(POSTGRES).sort().at(-1) ?? '', 'bin') : undefined;

/** Why a server cannot be started here; undefined where it can. */
export const lacking = {
  redis:
    spawnSync('which', ['redis-server']).status === 0 ? undefined : 'no redis-server (apt-get install redis-server)',
  // It refuses to run as root, so it is started as the user that its package makes.
  postgres:
    bin !== undefined && process.getuid?.() === 0 ? undefined : 'no PostgreSQL (apt-get install postgresql) or no root',
} as const;

/** Redis, which forgets everything when it is stopped. */
export async function startRedis(folder: string): Promise<QueueServer> {
  const port = await freePort();
  const words = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(port),
    '--save',
    '',
    '--maxmemory-policy',
    'noeviction',
    '--dir',
    folder,
  ];
  const child = spawn('redis-server', words, { stdio: 'ignore' });
  await answers(port);
  return { url: `redis://127.0.0.1:${port}`, stop: () => end(child, 'SIGTERM') };
}

/** PostgreSQL with an empty database. */
export async function startPostgres(folder: string): Promise<QueueServer> {
  const port = await freePort();
  const data = path.join(folder, 'postgres');
  await mkdir(data);
  await chmod(folder, 0o755);
  const as = (program: string, words: readonly string[]) =>
    ['-u', 'postgres', '--', path.join(bin ?? '', program), ...words] as const;
  spawnSync('chown', ['postgres', data]);
  const made = spawnSync('runuser', as('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres']));
  if (made.status !== 0) throw new Error(String(made.stderr));
  const child = spawn('runuser', as('postgres', ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', '']), {
    stdio: 'ignore',
  });
  await answers(port);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  return {
    url,
    async stop() {
      spawnSync('runuser', as('pg_ctl', ['-D', data, '-m', 'immediate', 'stop']));
      await end(child, 'SIGTERM');
    },
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((done) => child.once('close', done));
  child.kill(signal);
  await closed;
}

async function answers(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const open = await new Promise<boolean>((done) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => done(true));
      socket.once('error', () => done(false));
      socket.once('close', () => done(false));
      setTimeout(() => socket.destroy(), 500);
    });
    if (open) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`nobody answers on port ${port}`);
}
