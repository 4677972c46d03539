/** Light that is not the sample's doing: frames that leap, a dark level that was left in, a beam a little off. */
import { describe, expect, it } from 'vitest';
import { checkPatterns } from '../../../src/data/findings/patternChecks.js';
import { figuresOf } from '../../../src/data/findings/patternFigures.js';
import { farField } from '../../../src/physics/lightShift.js';
import { type KnownScan, knownScan } from '../../support/knownScan.js';

const scan = knownScan({ nSide: 5 });
const area = scan.N ** 2;

/** Code and severity of what is said of counts. */
function said({ N, n, probe }: KnownScan, counts: ArrayLike<number>) {
  const sampleIndices = Int32Array.from({ length: n }, (_, i) => i);
  const figures = figuresOf({ pixels: Float32Array.from(counts), indices: sampleIndices }, N * N, true);
  const checked = { N, domain: 'count_intensity', probeGuess: probe, sampleIndices, source: 'scan.h5' } as const;
  return checkPatterns(checked, figures, farField(probe, N)).map(({ code, severity, remedy }) => [
    code,
    severity,
    remedy,
  ]);
}
/** The counts of some frames times a factor. */
const scaled = (frames: readonly number[], factor: number) =>
  scan.counts.map((v, q) => (frames.includes(Math.floor(q / area)) ? v * factor : v));

describe('light of frames', () => {
  it.each([
    [[3, 4], 0.03, ['DIM_FRAMES', 'doubt', '--skip_frames 3,4']],
    [[3, 4], 0.2, ['DIM_FRAMES', 'doubt', '--skip_frames 3,4']],
    [[5, 17], 12, ['OVERBRIGHT_FRAMES', 'doubt', '--skip_frames 5,17']],
    [[5, 17], 600, ['OVERBRIGHT_FRAMES', 'wrong', '--skip_frames 5,17']],
    [[1, 2, 3, 4, 5], 1e7, ['OVERBRIGHT_FRAMES', 'wrong', '--skip_frames 1,2,3,4,5']],
  ])('frames %j times %f', (frames, factor, expected) => {
    expect(said(scan, scaled(frames, factor))).toContainEqual(expected);
  });

  it('that fades without a leap is the sample', () => {
    const fading = scan.counts.map((v, q) => v * 0.8 ** Math.floor(q / area));
    expect(said(scan, fading).filter(([, severity]) => severity !== 'note')).toEqual([]);
    expect(said(scan, scan.counts)).toEqual([]);
  });
});

describe('light of pixels', () => {
  it('the same in all dark ones is a dark level', () => {
    const [pedestal] = said(
      scan,
      scan.counts.map((v) => v + 100),
    );
    expect(pedestal).toEqual(['PEDESTAL', 'doubt', expect.stringMatching(/--dark 100/)]);
    for (const probe of ['gaussian', 'defocused', 'aperture'] as const) {
      for (const photons of [1e3, 1e5, 1e7]) {
        const other = knownScan({ nSide: 4, probe, photons });
        expect(said(other, other.counts).map(([code]) => code)).not.toContain('PEDESTAL');
      }
    }
  });

  it('a few pixels from where the probe sends it is a doubt, many are wrong', () => {
    const moved = (rows: number) =>
      scan.counts.map(
        (_, q) => scan.counts[Math.floor(q / area) * area + (((q % area) - rows * scan.N + area) % area)],
      );
    const severity = (rows: number) => said(scan, moved(rows)).find(([code]) => code === 'OFF_CENTRE')?.[1];
    expect([1, 3, 6].map(severity)).toEqual([undefined, 'doubt', 'wrong']);
  });
});
