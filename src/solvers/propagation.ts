/** Where the light of a scan goes through empty space: between slices of the object, and to a detector that is near. */
import type { ComplexImage } from '../core/tensor.js';
import { freeSpaceOf } from '../data/opening/wavelength.js';
import type { ScanGeometry } from '../data/scanFile.js';
import { transferFunction } from '../physics/propagation.js';

/** Empty space that light goes through: what it makes of each frequency, (N, N) with frequency 0 in the corner. */
export type Transfer = ComplexImage<Float64Array>;

/** Where light goes through empty space. */
export interface Propagation {
  /** From the object to a detector that is near: the wave is first shifted back, as beam and detector stay; left out: far away. */
  readonly detector?: Transfer;
  /** From each slice of the object to the next: one fewer than slices. */
  readonly slices?: readonly Transfer[];
}

/**
 * The empty space of a scan; undefined where there is none.
 */
export function propagationOf({
  N,
  geometry = {},
}: {
  readonly N: number;
  readonly geometry?: ScanGeometry;
}): Propagation | undefined {
  const detector = geometry.nearField && transferFunction(N, freeSpaceOf(geometry));
  return detector && { detector };
}
