/** What page and session say to each other: calls that are answered, events on the way, and words for runs. */
import type { PtychoErrorCode } from '../../core/errors.js';

/** From the page. */
export type ToSession =
  | { readonly id: number; readonly call: string; readonly args: readonly unknown[] }
  | { readonly id: number; readonly control: Control };

/** For a call that is under way. */
export type Control = 'pause' | 'continue' | 'cancel';

/** From the session. */
export type ToPage =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: Told }
  | { readonly id: number; readonly update: unknown }
  | { readonly id: number; readonly progress: unknown }
  | { readonly log: { readonly level: 'info' | 'warn'; readonly message: string } };

/** An error on its way. */
export interface Told {
  readonly message: string;
  readonly code?: PtychoErrorCode;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Buffers that go over without being copied: those of arrays that lie in the value, once each. */
export function buffersIn(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const look = (each: unknown): void => {
    if (typeof each !== 'object' || each === null) return;
    if (ArrayBuffer.isView(each)) {
      // What is a part of something larger, or belongs to several threads, is copied.
      if (each.buffer instanceof ArrayBuffer && each.byteLength === each.buffer.byteLength) found.add(each.buffer);
      return;
    }
    for (const part of Object.values(each)) look(part);
  };
  look(value);
  return [...found];
}

/** A value whose arrays are its own, so that they can be given away; memory of several threads is copied into plain memory. */
export function owned<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value))
    return (value as unknown as { slice(): unknown; constructor: { from(v: unknown): T } }).constructor.from(
      value,
    ) as T;
  if (Array.isArray(value)) return value.map(owned) as T;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, part]) => typeof part !== 'function')
      .map(([key, part]) => [key, owned(part)]),
  ) as T;
}
