/**
 * Independent random streams from one seed: each purpose (object, scan, noise, …) draws from a generator of its own, so that, say,
 * more positions do not change the noise of the others' object, and no stream of one seed is a stream of its neighbour.
 *
 * @example
 * const rng = new LegacyRng(streamSeed(42, 'noise'));
 */

/**
 * The seed (0 … 2³² − 1) of the stream for a purpose: fmix32(seed xor FNV-1a(purpose)). For one purpose this is a bijection of the
 * 32-bit numbers: two different seeds never share the stream of a purpose. (fmix32: A. Appleby, MurmurHash3, public domain.)
 * @param seed an integer from 0 to 2³² − 1
 */
export function streamSeed(seed: number, purpose: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193);
  let h = (seed ^ hash) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
