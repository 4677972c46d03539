/** Frames among the files of a folder. */
import { describe, expect, it } from 'vitest';
import { seriesOf } from '../../../src/data/opening/files.js';
import { refuses } from '../../support/formatFixtures.js';

describe('seriesOf', () => {
  const numbers = (...names: string[]) => seriesOf(names, 'scan').numbers;

  it('orders names by their number, padded or not, and leaves foreign names out', () => {
    expect(seriesOf(['img_10.tif', 'img_9.tif', 'dark.tif', 'img_0012.TIFF', 'flat_1.tif'], 'scan')).toEqual({
      names: ['img_9.tif', 'img_10.tif', 'img_0012.TIFF'],
      numbers: Int32Array.of(9, 10, 12),
      foreign: ['dark.tif', 'flat_1.tif'],
    });
  });

  it('takes the number that changes', () => {
    expect(numbers('scan7_001.tif', 'scan7_003.tif', 'scan7_002.tif')).toEqual(Int32Array.of(1, 2, 3));
    // A time stamp changes, too, but has gaps.
    expect(numbers('a_0_20260101.tif', 'a_1_20260105.tif', 'a_2_20260110.tif')).toEqual(Int32Array.of(0, 1, 2));
    // Rows and columns: none of them counts the frames.
    const raster = seriesOf(['r1_c1.tif', 'r0_c0.tif', 'r0_c1.tif', 'r1_c0.tif'], 'scan');
    expect(raster).toEqual({ names: ['r0_c0.tif', 'r0_c1.tif', 'r1_c0.tif', 'r1_c1.tif'], foreign: [] });
  });

  it('names without numbers are all frames', () => {
    expect(seriesOf(['b.tif', 'a.tif'], 'scan')).toEqual({ names: ['a.tif', 'b.tif'], foreign: [] });
  });

  it('refuses what is unclear', async () => {
    await refuses(
      () => seriesOf(['a_1.tif', 'a_2.tif', 'b_1.tif', 'b_2.tif'], 'scan'),
      'DATASET_SHAPE',
      /several series of frames, a_\*\.tif \(2 files\) and b_\*\.tif \(2\)/,
    );
    await refuses(
      () => seriesOf(['a_1.tif', 'a_01.tif', 'a_2.tif'], 'scan'),
      'DATASET_SHAPE',
      /two frames with the number 1/,
    );
  });
});
