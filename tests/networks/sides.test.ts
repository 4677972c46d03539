import { describe, expect, it } from 'vitest';
import {
  evenSideRemedy,
  isNetworkSide,
  networkSideRemedy,
  publishedSide,
  sideRemedy,
} from '../../src/networks/sides.js';

describe('sides of networks', () => {
  it('are multiples of 16 from 16 to 512', () => {
    expect([16, 48, 64, 96, 272, 512].filter(isNetworkSide)).toHaveLength(6);
    expect([0, 8, 72, 100, 127, 528, 1024, -64].filter(isNetworkSide)).toEqual([]);
  });

  it('have the ladder of the next smaller published side, below 64 that of 64', () => {
    expect([16, 48, 64, 112, 128, 240, 256, 512].map(publishedSide)).toEqual([64, 64, 64, 64, 128, 128, 256, 256]);
  });
});

describe('what to do about a side', () => {
  it.each([
    [100, ['--crop_px 96', '--pad_to 112']],
    [8, ['--pad_to 16']],
    [127, ['--crop_px 112', '--pad_to 128']],
    [513, ['--crop_px 512']],
    [1024, ['--crop_px 512', '--rebin 2']],
    [1536, ['--crop_px 512', '--rebin 3']],
  ])('%i for a network: %j', (side, flags) => {
    expect(networkSideRemedy(side).match(/--[a-z_]+ \d+/g)).toEqual(flags);
  });

  it('names the neighbours of an odd side, and one wanted side', () => {
    expect(evenSideRemedy(17).match(/--[a-z_]+ \d+/g)).toEqual(['--crop_px 16', '--pad_to 18']);
    expect(evenSideRemedy(3).match(/--[a-z_]+ \d+/g)).toEqual(['--pad_to 4']);
    expect(sideRemedy(100, 96)).toContain('--crop_px 96');
    expect(sideRemedy(60, 64)).toContain('--pad_to 64');
  });
});
