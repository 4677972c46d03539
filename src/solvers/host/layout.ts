/** Addresses in the shared memory, as they go from thread to thread. */
import type { FieldMemory, FieldSums, Planes } from '../fieldMemory.js';
import { fftScratchBytes, planBytes } from './kernels.js';

/** Of a complex field. */
export interface PlanesAt {
  readonly re: number;
  readonly im: number;
}

export interface SumsAt {
  readonly object: PlanesAt;
  readonly illumination: number;
  readonly probe: PlanesAt;
  readonly objectIntensity: number;
}

/** The fields that all threads read. */
export interface FieldAddresses {
  readonly object: PlanesAt;
  readonly probe: PlanesAt;
  readonly sums: SumsAt;
}

/** What belongs to one thread. */
export interface Scratch {
  readonly plan: number;
  readonly fft: number;
  readonly ramps: number;
  readonly pattern: number;
  readonly model: number;
  /** Two rows of 8 float64. */
  readonly sums: number;
  /** Exit waves and shifted probes of `room` patterns: (room, modes, 2, N, N). */
  readonly waves: number;
  readonly shifted: number;
  /** (modes, 2, N, N) each. */
  readonly spectra: number;
  readonly probeSpectra: number;
  readonly direction: number;
  readonly stored: number;
  readonly projected: number;
  /** (2, N, N). */
  readonly product: number;
  /** Where this thread adds. */
  readonly fields: { readonly sums: SumsAt };
}

const planesAt = ({ reAt, imAt }: Planes): PlanesAt => ({ re: reAt, im: imAt });

const sumsAt = (sums: FieldSums): SumsAt => ({
  object: planesAt(sums.object),
  illumination: sums.illumination.at,
  probe: planesAt(sums.probe),
  objectIntensity: sums.objectIntensity.at,
});

export const fieldsAt = (memory: FieldMemory): FieldAddresses => ({
  object: planesAt(memory.object),
  probe: planesAt(memory.probe),
  sums: sumsAt(memory.sums),
});

/** Scratch of one thread that keeps up to `room` patterns of a batch. */
export function takeScratch(memory: FieldMemory, room: number, sums: FieldSums): Scratch {
  const { N, modes } = memory.sizes;
  const plane = 4 * N * N;
  // Not a multiple of 4096 bytes: addresses that look alike to the processor wait for each other.
  const take = (bytes: number) => memory.take(bytes + 320);
  const all = () => take(modes * 2 * plane);
  return {
    plan: take(planBytes(N)),
    fft: take(fftScratchBytes(N)),
    ramps: take(16 * N),
    pattern: take(plane),
    model: take(plane),
    sums: take(128),
    waves: take(room * modes * 2 * plane),
    shifted: take(room * modes * 2 * plane),
    spectra: all(),
    probeSpectra: all(),
    direction: all(),
    stored: all(),
    projected: all(),
    product: take(2 * plane),
    fields: { sums: sumsAt(sums) },
  };
}
