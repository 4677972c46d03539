/** In place of `core/hash.ts` and `node:crypto`: WebCrypto hashes only what one waits for, so the hashes are computed here. */
import { sha256 as begin } from '@noble/hashes/sha2.js';

export class Sha256 {
  readonly #hash = begin.create();

  add(part: string | NodeJS.ArrayBufferView): this {
    this.#hash.update(
      typeof part === 'string'
        ? new TextEncoder().encode(part)
        : new Uint8Array(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength),
    );
    return this;
  }

  hex(): string {
    return Array.from(this.#hash.digest(), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

export function sha256(...parts: readonly (string | NodeJS.ArrayBufferView)[]): string {
  const hash = new Sha256();
  for (const part of parts) hash.add(part);
  return hash.hex();
}

/** Random bytes of WebCrypto. */
export const randomBytes = (count: number): Buffer => Buffer.from(crypto.getRandomValues(new Uint8Array(count)));
