/**
 * A whole session of a Ptychodus-style host over the pipe, on the measured star: two epochs on its central patterns, then the full
 * scan with live previews, one reconstruction that the host leaves and one that is cancelled. Needs `npm run build`, Python with
 * NumPy and h5py, and the shared data.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runHostSession } from '../adapters/worker/hostSession.js';
import { describePython } from '../support/python.js';
import { describeShared, sharedFile } from '../support/shared.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-star-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describeShared('the star', () => {
  describePython('by pipe', ['numpy', 'h5py'], () => {
    // In a sample, the short session of workerAdapter.test.ts stands for it.
    it.skipIf(process.env.PTYCHOPINN_SLOW_SAMPLE === '1')(
      'is reconstructed for a host',
      { timeout: 1_800_000 },
      async () => {
        const seen = await runHostSession({
          folder,
          scan: sharedFile('data', 'siemens_star_128.npz'),
          training_scan: sharedFile('data', 'siemens_star_128_subset96.npz'),
          cancel_after_s: 1.5,
          settings: {
            PtychoPINNTraining: { NumEpochs: 2, BatchSize: 16 },
            PtychoPINNModel: { NumFiltersScale: 1 },
            PtychoPINNNode: { Accelerator: 'cpu', PreviewSeconds: 0.2 },
            PtychoPINNSolver: { NumEpochs: 3 },
          },
        });
        console.log(`${seen.progress.length} outputs in ${seen.seconds.toFixed(1)} s`);
        expect(seen.train_end.slice(0, 2)).toEqual([2, 0]);
        expect(seen.epochs.at(-1)).toEqual([1, 2]);
        expect(seen.cancelled_training).toEqual([true, 130]);
        // Previews came while the work went on, each further than the one before.
        expect(seen.progress.length).toBeGreaterThan(3);
        expect(seen.progress).toEqual([...seen.progress].sort((a, b) => a - b));
        expect(seen.progress[0]).toBeLessThan(seen.goal);
        expect(seen.progress.at(-1)).toBe(seen.goal);
        expect(seen.results).toEqual([0]);
        for (const [what, deviation] of Object.entries(seen.file)) expect(deviation, what).toBeLessThan(1e-6);
        expect(seen.left[0]).toBeLessThan(seen.goal);
        expect(seen.stopped[0]).toBeLessThan(seen.goal);
        expect(seen.stopped[1]).toBe(130);
        expect([seen.solver_end, seen.solver_probe, seen.solver_positions]).toEqual([
          [100, 0, 'EarlierProduct'],
          [true, true],
          [true, 0],
        ]);
        // The model is the same after what was stopped.
        expect(seen.again).toBeLessThan(1e-6);
        expect(seen.earlier_train.slice(0, 3)).toEqual([2, 0, 'TrainOutput']);
      },
    );
  });
});
