/**
 * SHA-256, as files and caches of this library hold it: hexadecimal.
 *
 * @example
 * sha256('abc'); // 'ba7816bf…'
 */
import { createHash } from 'node:crypto';

/** The hash of parts that come one after the other. */
export class Sha256 {
  readonly #hash = createHash('sha256');

  /** Adds text as UTF-8, or the bytes of an array. */
  add(part: string | NodeJS.ArrayBufferView): this {
    this.#hash.update(part);
    return this;
  }

  /** Ends it. */
  hex(): string {
    return this.#hash.digest('hex');
  }
}

/** The hash of parts one after the other. */
export function sha256(...parts: readonly (string | NodeJS.ArrayBufferView)[]): string {
  const hash = new Sha256();
  for (const part of parts) hash.add(part);
  return hash.hex();
}
