/**
 * What a job will take, from the size of its scan: good enough to ask a scheduler for time and memory, within a factor of three. The
 * constants are rough, from runs on one core of a server of 2023; a job that takes longer is stopped and goes on.
 *
 * @example
 * estimateJob('solve', solveConfig, { count: 1000, N: 64, modes: 1 }).processor_seconds; // about 20 for 60 epochs
 */
import type { InferenceConfig, PartOf, TrainingRequest } from '../config/schema.js';
import type { ReconstructConfig } from '../config/schemas/reconstruct.js';
import type { SolveConfig } from '../config/schemas/solve.js';
import { EPOCHS_ALONE } from '../solvers/together/place.js';
import type { JobVerb } from './verbs.js';

/** What of a scan decides how long it takes. */
export interface ScanSize {
  readonly count: number;
  readonly N: number;
  /** Of the probe in the file. */
  readonly modes: number;
}

/** What a job takes. */
export interface JobEstimate {
  /** On one core; on several about as many times less. */
  readonly processor_seconds: number;
  readonly memory_bytes: number;
}

/** Seconds for a pattern, an epoch, a mode and a pixel. */
const SOLVER_SECONDS = 3.2e-8;
/** Tries and the modes that they add, in solves of 40 epochs with one mode. */
const RECONSTRUCT_SOLVES = 9;
/** Seconds of a training for a pattern, an epoch and a pixel at the default width; inference is a third of a training's pass. */
const TRAINING_SECONDS = 1.1e-6;
/** What opening, writing and drawing take, and the program itself. */
const FIXED = { seconds: 2, bytes: 400e6 };

/** The estimate for a verb and its complete configuration. */
export function estimateJob(verb: JobVerb, config: unknown, { count, N, modes }: ScanSize): JobEstimate {
  const pixels = count * N * N;
  const bytes = FIXED.bytes + 4 * pixels;
  switch (verb) {
    case 'solve': {
      const { epochs, probe_modes, n_subsample, tile = null, from_tiles = [], share = null, align_scans = true } = config as PartOf<SolveConfig> & Pick<SolveConfig, 'epochs' | 'probe_modes' | 'n_subsample'>; // biome-ignore format: one line
      // A tile has the patterns around it, too.
      const part = tile === null ? 1 : Math.min(1, 1.5 / Number(tile.split('/')[1]));
      if (from_tiles.length > 0) return { processor_seconds: 2 * FIXED.seconds, memory_bytes: bytes };
      const used = pixels * shareOf(n_subsample, count) * (probe_modes ?? modes) * part;
      return {
        // Scans of one object are solved each alone first.
        processor_seconds: FIXED.seconds + SOLVER_SECONDS * used * (epochs + (share === 'object' && align_scans ? EPOCHS_ALONE : 0)), // biome-ignore format: one sum
        memory_bytes: bytes + 8 * N * N * 200,
      };
    }
    case 'reconstruct': {
      const { minutes } = config as ReconstructConfig;
      const seconds = FIXED.seconds + RECONSTRUCT_SOLVES * 40 * SOLVER_SECONDS * pixels;
      return { processor_seconds: Math.min(60 * minutes, seconds), memory_bytes: bytes + 4 * pixels };
    }
    case 'train': {
      const { nepochs, n_subsample } = config as TrainingRequest;
      const seconds = TRAINING_SECONDS * pixels * shareOf(n_subsample, count) * (nepochs ?? 20);
      return { processor_seconds: FIXED.seconds + seconds, memory_bytes: bytes + 1e9 };
    }
    case 'infer': {
      // Studies ask with a few fields only.
      const { n_subsample, shard = null, from_shards = [] } = config as PartOf<InferenceConfig> & Pick<InferenceConfig, 'n_subsample'>; // biome-ignore format: one line
      const seconds = (TRAINING_SECONDS / 3) * pixels * shareOf(n_subsample, count);
      // The image of shards is stitched, not predicted.
      const share = from_shards.length > 0 ? STITCHING_SHARE : shard === null ? 1 : 1 / Number(shard.split('/')[1]);
      return { processor_seconds: FIXED.seconds + seconds * share, memory_bytes: bytes + 0.5e9 };
    }
  }
}

/** What the image of shards takes beside their prediction. */
const STITCHING_SHARE = 0.05;

const shareOf = (kept: number | null, count: number): number => (kept === null ? 1 : Math.min(1, kept / count));
