/** What happens on the way from patterns to an image, as NPZ files to look into. */
import path from 'node:path';
import type { ComplexTensor } from '../core/tensor.js';
import type { Groups } from '../data/grouping/grouping.js';
import { writeNpz } from '../formats/npz.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import type { PatternBatch } from './feed.js';
import type { StitchedImage } from './stitch.js';

/** What a dump writes. */
export const DUMP_FILES = ['groups.npz', 'patches.npz', 'canvases.npz'] as const;

/** Patches kept by a dump, at most: whole batches would make it as large as the scan. */
const PATCHES = 64;

/**
 * Collects and writes `groups.npz` (members, positions, centres, offsets), `patches.npz` (the first patches with what went in:
 * diffraction, offsets, members) and `canvases.npz` (image, weight, overlap count, frame).
 */
export class DebugDump {
  #first: { patches: ComplexTensor; batch: PatternBatch } | undefined;

  constructor(readonly folder: string) {}

  /** Keeps a copy of the first batch; for `onPatches` of a reconstruction. */
  see(patches: ComplexTensor, batch: PatternBatch): void {
    const [B, C, N] = patches.shape;
    const groups = Math.max(1, Math.min(B, Math.floor(PATCHES / C)));
    const cut = (data: Float32Array) => data.slice(0, (data.length / B) * groups);
    this.#first ??= {
      patches: { re: cut(patches.re), im: cut(patches.im), shape: [groups, C, N, N] },
      batch: {
        ...batch,
        diffraction: { data: cut(batch.diffraction.data), shape: [groups, C, N, N] },
        positions: { data: cut(batch.positions.data), shape: [groups, C, 1, 2] },
        members: batch.members.slice(0, groups * C),
      },
    };
  }

  /**
   * Writes the files.
   * @throws PtychoError OUTPUT_UNWRITABLE
   */
  async write(groups: Groups, stitched: StitchedImage): Promise<void> {
    await makeOutputFolder(this.folder);
    const { count, C } = groups;
    await writeNpz(path.join(this.folder, 'groups.npz'), {
      nn_indices: { data: groups.members, shape: [count, C] },
      coords_nn: { data: groups.coordsNn, shape: [count, C, 2] },
      coords_offsets: { data: groups.coordsOffsets, shape: [count, 2] },
      coords_relative: { data: groups.coordsRelative, shape: [count, C, 2] },
    });
    if (this.#first) {
      const { patches, batch } = this.#first;
      await writeNpz(path.join(this.folder, 'patches.npz'), {
        patches,
        input: batch.diffraction,
        input_positions: batch.positions,
        nn_indices: { data: batch.members, shape: patches.shape.slice(0, 2) },
      });
    }
    const { image, weight, overlapCount, frame, uncertainty } = stitched;
    await writeNpz(path.join(this.folder, 'canvases.npz'), {
      image,
      weight,
      overlap_count: overlapCount,
      frame_origin_yx_px: { data: Float64Array.from(frame.originYxPx), shape: [2] },
      ...(uncertainty && {
        amplitude_uncertainty: uncertainty.amplitude,
        phase_uncertainty: uncertainty.phase,
      }),
    });
  }
}
