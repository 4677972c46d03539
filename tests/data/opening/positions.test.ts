/** Which position belongs to which frame. */
import { describe, expect, it } from 'vitest';
import { type PairRequest, pairFrames } from '../../../src/data/opening/positions.js';
import { refuses } from '../../support/formatFixtures.js';

const range = (from: number, to: number, left: readonly number[] = []) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((i) => !left.includes(i));

function pair(changes: Partial<PairRequest>) {
  const codes: string[] = [];
  const found = pairFrames(
    {
      frames: changes.frameNumbers?.length ?? 0,
      framesOrigin: { path: 'scan' },
      positions: changes.indexes?.length ?? 0,
      positionsOrigin: { path: 'pos.csv' },
      drop_unpaired: false,
      ...changes,
    },
    ({ code }) => codes.push(code),
  );
  return { pairs: [...found.frames].map((frame, i) => [frame, found.positions[i]]), codes };
}

describe('without numbers', () => {
  it('equal counts are paired in their order, others only when told so', async () => {
    expect(pair({ frames: 2, positions: 2 })).toEqual({
      pairs: [
        [0, 0],
        [1, 1],
      ],
      codes: [],
    });
    await refuses(
      () => pair({ frames: 3, positions: 2 }),
      'DATASET_SHAPE',
      /which frame is too many: .*--drop_unpaired/,
    );
    await refuses(() => pair({ frames: 3, positions: 5 }), 'DATASET_SHAPE', /which 2 positions are too many/);
    expect(pair({ frames: 1, positions: 3, drop_unpaired: true })).toEqual({
      pairs: [[0, 0]],
      codes: ['UNPAIRED_LEFT_OUT'],
    });
  });
});

describe('numbered frames', () => {
  it.each([0, 1, 9997])('a gap after %i takes its positions out', (first) => {
    const frameNumbers = range(first, first + 5, [first + 2, first + 3]);
    expect(pair({ frameNumbers, positions: 6 })).toEqual({
      pairs: [
        [0, 0],
        [1, 1],
        [2, 4],
        [3, 5],
      ],
      codes: ['FRAMES_MISSING'],
    });
  });

  it('numbers that advance by ten are counted in tens', () => {
    expect(pair({ frameNumbers: [0, 10, 30], positions: 4 }).pairs).toEqual([
      [0, 0],
      [1, 1],
      [2, 3],
    ]);
    expect(pair({ frameNumbers: [5, 10, 15], positions: 3 }).codes).toEqual([]);
    // Every position of the numbers between was recorded.
    expect(pair({ frameNumbers: [0, 2, 4], positions: 5 }).pairs).toEqual([
      [0, 0],
      [1, 2],
      [2, 4],
    ]);
  });

  it('as many positions as frames are theirs, with a doubt', () => {
    expect(pair({ frameNumbers: [0, 1, 3], positions: 3 })).toMatchObject({ codes: ['FRAMES_MISSING'] });
  });

  it('positions beyond the last frame are left out where the count begins with 0, else refused', async () => {
    expect(pair({ frameNumbers: [0, 2], positions: 4 })).toEqual({
      pairs: [
        [0, 0],
        [1, 2],
      ],
      codes: ['POSITIONS_WITHOUT_FRAME'],
    });
    const ambiguous = { frameNumbers: [1, 2, 4], positions: 6 };
    await refuses(() => pair(ambiguous), 'DATASET_SHAPE', /numbered 1 … 4, 3 is missing, which does not say.*"index"/);
    expect(pair({ ...ambiguous, drop_unpaired: true })).toMatchObject({ codes: ['PAIRED_FROM_THE_FIRST'] });
    await refuses(() => pair({ frameNumbers: [0, 1, 3], positions: 2 }), 'DATASET_SHAPE', /--drop_unpaired/);
  });
});

describe('an index column', () => {
  it('belongs to the numbers of the frames, in any order, from 0 or 1 on', () => {
    expect(pair({ frameNumbers: [0, 1, 3], indexes: [3, 2, 1, 0] })).toEqual({
      pairs: [
        [0, 3],
        [1, 2],
        [2, 0],
      ],
      codes: ['UNPAIRED_LEFT_OUT'],
    });
    // Files from 1 on, rows from 0 on.
    expect(pair({ frameNumbers: [1, 2, 4], indexes: [0, 1, 2, 3] }).pairs).toEqual([
      [0, 0],
      [1, 1],
      [2, 3],
    ]);
    expect(pair({ frames: 4, indexes: [1, 2, 4] }).pairs).toEqual([
      [0, 0],
      [1, 1],
      [3, 2],
    ]);
    expect(pair({ frames: 4, indexes: [0, 3] }).pairs).toEqual([
      [0, 0],
      [3, 1],
    ]);
    expect(pair({ frames: 3, indexes: [102, 101, 100] }).pairs).toEqual([
      [0, 2],
      [1, 1],
      [2, 0],
    ]);
  });

  it('of a whole scan is counted from the first beside fewer frames, when told so', async () => {
    const cut = { frames: 3, drop_unpaired: true };
    const first = [
      [0, 0],
      [1, 1],
      [2, 2],
    ];
    for (const indexes of [range(0, 9), range(1, 10), range(100, 109), [0, 10, 20, 30]]) {
      expect(pair({ ...cut, indexes })).toEqual({ pairs: first, codes: ['PAIRED_FROM_THE_FIRST'] });
      await refuses(() => pair({ frames: 3, indexes }), 'DATASET_SHAPE', /do not say .* with --drop_unpaired/);
    }
    // One frame too many, and numbers of frames of which one has no position.
    expect(pair({ frames: 5, indexes: range(1, 4), drop_unpaired: true }).pairs).toHaveLength(4);
    expect(pair({ ...cut, indexes: range(0, 9, [1]) }).pairs).toEqual([
      [0, 0],
      [2, 1],
    ]);
    // Where they begin is not known.
    await refuses(() => pair({ ...cut, indexes: range(3, 9, [5]) }), 'DATASET_SHAPE', /do not say which frames/);
  });

  it('that says nothing, or is none, is refused', async () => {
    await refuses(() => pair({ frames: 3, indexes: [100, 101] }), 'DATASET_SHAPE', /100 … 101 .* do not say/);
    await refuses(() => pair({ frames: 2, indexes: [1, 1] }), 'DATASET_VALUE', /index 1 in row 1, a second time/);
    await refuses(() => pair({ frames: 2, indexes: [0.5, 1] }), 'DATASET_VALUE', /no frame number/);
    // 1 and 2 of 0 … 2, or of 1 … 3?
    await refuses(() => pair({ frames: 3, indexes: [1, 2] }), 'DATASET_SHAPE', /do not say/);
  });
});
