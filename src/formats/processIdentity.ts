/**
 * Who a file of ours belongs to: the machine and the process, in words that another process, also of another machine on the
 * same file system, can check.
 *
 * @example
 * processMark(); // '3f9a1c02.4711-8x1k2'
 * isDead('3f9a1c02.4711-8x1k2'); // true once that process of this machine has ended
 */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, as {@link processMark} writes it. */
export interface ProcessIdentity {
  /** Hash of the machine, of its start, and of the space of its process numbers: containers have their own. */
  readonly host: string;
  readonly pid: number;
  /** When it was started, by the machine's clock; 0 where that cannot be known. Numbers of processes come back. */
  readonly started: number;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { host: hostId(), pid: process.pid, started: startOf(process.pid)?.started ?? 0 };
}

/** This process in one word that file names can hold. */
export function processMark({ host, pid, started } = ownIdentity()): string {
  return `${host}.${pid}-${started.toString(36)}`;
}

/** What {@link processMark} wrote; undefined for other texts. */
export function parseMark(text: string): ProcessIdentity | undefined {
  const [, host, pid, started] = /^([0-9a-f]{8})\.(\d{1,10})-([0-9a-z]{1,12})$/.exec(text) ?? [];
  return host === undefined ? undefined : { host, pid: Number(pid), started: Number.parseInt(started, 36) };
}

/** Whether a process has ended; undefined where that cannot be known, for it is of another machine. */
export function isDead({ host, pid, started }: ProcessIdentity): boolean | undefined {
  if (host !== hostId()) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const found = startOf(pid);
  // A process that has ended, but that nobody has asked for its exit code, still has its number.
  return found !== undefined && (found.ended || (started !== 0 && found.started !== started));
}

function hostId(): string {
  const parts = [hostname(), attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')), attempt(() => readlinkSync('/proc/self/ns/pid'))]; // biome-ignore format: one list
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 8);
}

/** From Linux' list of processes; undefined elsewhere. */
function startOf(pid: number): { readonly started: number; readonly ended: boolean } | undefined {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  // The name stands in parentheses and may hold anything.
  const fields = line?.slice(line.lastIndexOf(')') + 2).split(' ');
  if (!fields || fields.length < 20) return undefined;
  return { started: Number(fields[19]), ended: fields[0] === 'Z' || fields[0] === 'X' };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
