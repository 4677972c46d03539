/**
 * An output folder has one owner: a lock with a heartbeat, which other machines of the same file system respect, and a file
 * beside it that says whose it is. A lock of a dead process is taken over.
 *
 * @example
 * const lock = await FolderLock.acquire('run', { command: 'train', logger });
 * try { … } finally { await lock.release(); }
 */
import { rmSync } from 'node:fs';
import { realpath, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { readTextInput } from '../core/inputFile.js';
import type { Logger } from '../core/log.js';
import { json, writeAtomically } from './outputFiles.js';
import { isDead, ownIdentity, type ProcessIdentity, unwritable } from './replaceFile.js';

/** The lock itself, a folder; its time is the heartbeat. */
export const LOCK_NAME = '.ptychopinn.lock';
/** Whose it is. */
export const OWNER_NAME = '.ptychopinn.owner.json';
/** Held for moments, while lock and owner change. */
const GUARD_NAME = '.ptychopinn.guard';

/** A lock of another machine without a heartbeat for this long is nobody's; long work may hold up the timer. */
const STALE_MS = 120_000;
const HEARTBEAT_MS = 10_000;
const GUARD_STALE_MS = 10_000;
/** About fifteen seconds in all: a guard that was left behind is stale by then. */
const GUARD_RETRIES = { retries: 25, factor: 1.3, minTimeout: 20, maxTimeout: 1000 };
const MAX_OWNER_BYTES = 2 ** 16;

/** What {@link OWNER_NAME} holds. */
interface Owner extends ProcessIdentity {
  readonly hostname: string;
  readonly command: string;
  readonly since: string;
}

/** Whose folder it is to be. */
export interface FolderUse {
  /** `train` */
  readonly command: string;
  readonly logger?: Logger;
  /** Called when somebody else has taken the folder: this process was stopped for too long. */
  readonly onLost?: (error: PtychoError) => void;
}

/** A folder that is ours until it is released; at the end of the process it is released in any case. */
export class FolderLock {
  private constructor(
    private readonly ownerFile: string,
    private readonly unlock: () => Promise<void>,
    private readonly atExit: () => void,
  ) {}

  /**
   * Takes a folder that exists.
   * @throws PtychoError OUTPUT_IN_USE naming the owner; OUTPUT_UNWRITABLE
   */
  static async acquire(folder: string, { command, logger, onLost }: FolderUse): Promise<FolderLock> {
    // Loaded where it is needed: most commands need it not.
    const { default: lockfile } = await import('proper-lockfile');
    const real = await realpath(folder);
    const [lockPath, ownerFile, guardPath] = [LOCK_NAME, OWNER_NAME, GUARD_NAME].map((name) => path.join(real, name));
    const take = (file: string, options: import('proper-lockfile').LockOptions) =>
      lockfile.lock(file, { realpath: false, lockfilePath: file, ...options }).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ELOCKED') return undefined;
        throw unwritable(folder, cause);
      });
    const leaveGuard = await take(guardPath, { stale: GUARD_STALE_MS, retries: GUARD_RETRIES });
    if (leaveGuard === undefined) throw inUse(folder, undefined);
    try {
      const owner = await readOwner(ownerFile);
      const locked = await exists(lockPath);
      const dead = owner && isDead(owner);
      // Of this machine it is known whether the owner lives, of others only its heartbeat.
      if (locked && dead === false) throw inUse(folder, owner);
      if (locked && dead) await rmdir(lockPath);
      const lost = () => onLost?.(new PtychoError('OUTPUT_IN_USE', `${folder} was taken over by another run, because this one gave no sign of life for ${STALE_MS / 1000} s.`, { path: folder })); // biome-ignore format: one call
      const unlock = await take(lockPath, { stale: STALE_MS, update: HEARTBEAT_MS, onCompromised: lost });
      if (unlock === undefined) throw inUse(folder, owner);
      if (locked) logger?.warn(`Taking over ${folder}${owner ? ` from ${described(owner)}` : ''}, which ended without releasing it.`); // biome-ignore format: one call
      const atExit = () => rmSync(ownerFile, { force: true });
      process.once('exit', atExit);
      const own: Owner = { ...ownIdentity(), hostname: hostname(), command, since: new Date().toISOString() };
      await writeAtomically(ownerFile, json(own));
      return new FolderLock(ownerFile, unlock, atExit);
    } finally {
      await leaveGuard().catch(() => {});
    }
  }

  /** Gives the folder back. */
  async release(): Promise<void> {
    process.off('exit', this.atExit);
    await rm(this.ownerFile, { force: true });
    // A folder that was removed meanwhile, or taken over, is nobody's concern here.
    await this.unlock().catch(() => {});
  }
}

/** The process that owns a folder at this moment, as `solve (process 12 on host, since …)`; undefined where nobody does. */
export async function ownerOf(folder: string): Promise<string | undefined> {
  const lock = await stat(path.join(folder, LOCK_NAME)).catch(() => undefined);
  if (lock === undefined) return undefined;
  const owner = await readOwner(path.join(folder, OWNER_NAME));
  const dead = owner && isDead(owner);
  // Of another machine only the heartbeat is known.
  if (dead === true || (dead !== false && Date.now() - lock.mtimeMs > STALE_MS)) return undefined;
  return owner ? described(owner) : 'another run';
}

async function readOwner(file: string): Promise<Owner | undefined> {
  try {
    const found = JSON.parse(await readTextInput(file, { maxBytes: MAX_OWNER_BYTES })) as Partial<Owner>;
    const { host, pid, started, command, since } = found;
    const sound = typeof host === 'string' && Number.isInteger(pid) && (pid as number) > 0 && Number.isInteger(started);
    return sound && typeof command === 'string' && typeof since === 'string' ? (found as Owner) : undefined;
  } catch {
    return undefined;
  }
}

const exists = (file: string) => stat(file).then(() => true, () => false); // biome-ignore format: one line

function described({ command, pid, hostname, since }: Owner): string {
  return `ptychopinn ${command} (process ${pid} on ${hostname}, since ${since})`;
}

function inUse(folder: string, owner: Owner | undefined): PtychoError {
  return new PtychoError(
    'OUTPUT_IN_USE',
    `${folder} is in use: ${owner ? described(owner) : 'another run'} writes to it; wait until it has ended, or choose another folder.`,
    {
      path: folder,
      ...(owner && { pid: owner.pid, hostname: owner.hostname, command: owner.command, since: owner.since }),
    },
  );
}
