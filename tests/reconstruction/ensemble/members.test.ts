/** Several images as one: the mean, whatever the phases of the images as a whole, and how far they differ. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { meanOfImages } from '../../../src/reconstruction/ensemble/members.js';
import type { StitchedImage } from '../../../src/reconstruction/patchStitcher.js';

const [ROWS, COLS] = [12, 15];
const SIZE = ROWS * COLS;

/** An image of amplitudes and phases; the first pixel is not covered. */
function imageOf(amplitude: (i: number) => number, phase: (i: number) => number): StitchedImage {
  const at = (part: (angle: number) => number) =>
    Float32Array.from({ length: SIZE }, (_, i) => (i === 0 ? 0 : amplitude(i) * part(phase(i))));
  const plane = (value: number) => ({
    data: Float32Array.from({ length: SIZE }, (_, i) => (i === 0 ? 0 : value)),
    shape: [ROWS, COLS],
  });
  return {
    image: { re: at(Math.cos), im: at(Math.sin), shape: [ROWS, COLS] },
    overlapCount: plane(2),
    weight: plane(1.5),
    frame: { originYxPx: [3, 4], height: ROWS, width: COLS },
    patches: 7,
    coverage: 1,
    uncertainty: { amplitude: plane(0.3), phase: plane(0.4) },
  };
}
const rms = (data: Float32Array) => Math.sqrt(data.slice(1).reduce((s, v) => s + v * v, 0) / (data.length - 1));

describe('the images of an ensemble', () => {
  it('are none where one has values that are not finite', () => {
    const broken = imageOf(
      (i) => (i === 40 ? Number.NaN : 1),
      () => 0,
    );
    const fine = imageOf(
      () => 1,
      () => 0,
    );
    expect(() => meanOfImages([fine, broken])).toThrow(/^Image 2 of 2 has a value that is not finite/);
  });

  it('differ by nothing where only their phases as a whole do', () => {
    const images = [0, 2.5, -1.1].map((turn) =>
      imageOf(
        (i) => 0.5 + i / SIZE,
        (i) => Math.sin(i) + turn,
      ),
    );
    const { mean, spread, turned } = meanOfImages(images);
    expect(turned[0]).toBe(0);
    expect(turned[1]).toBeCloseTo(-2.5, 5);
    expect(turned[2]).toBeCloseTo(1.1, 5);
    mean.image.re.forEach((v, i) => {
      expect(v).toBeCloseTo(images[0].image.re[i], 5);
    });
    expect(rms(spread.amplitude.data)).toBeLessThan(1e-5);
    expect(rms(spread.phase.data)).toBeLessThan(2e-3);
    expect(mean.patches).toBe(21);
    expect(mean.uncertainty?.amplitude.data[5]).toBeCloseTo(0.3, 5);
  });

  it('have the unbiased standard deviation of what was drawn', () => {
    const rng = new LegacyRng(4);
    const [amplitudeStd, phaseStd] = [0.05, 0.2];
    const images = Array.from({ length: 40 }, () => {
      const noise = Float64Array.from({ length: 2 * SIZE }, () => rng.normal());
      return imageOf(
        (i) => 1 + amplitudeStd * noise[i],
        (i) => phaseStd * noise[SIZE + i],
      );
    });
    const { spread } = meanOfImages(images.slice(0, 3));
    // Of three the deviations scatter, their mean square over many pixels does not.
    expect(rms(spread.amplitude.data) / amplitudeStd).toBeCloseTo(1, 0);
    const { spread: ofAll } = meanOfImages(images);
    expect(Math.abs(rms(ofAll.amplitude.data) / amplitudeStd - 1)).toBeLessThan(0.05);
    expect(Math.abs(rms(ofAll.phase.data) / phaseStd - 1)).toBeLessThan(0.05);
  });

  it('say nothing where nothing was stitched', () => {
    const images = [1, 2].map((a) =>
      imageOf(
        () => a,
        () => 0,
      ),
    );
    const { spread } = meanOfImages(images);
    expect([spread.amplitude.data[0], spread.phase.data[0]]).toEqual([Number.NaN, Number.NaN]);
    expect(spread.amplitude.data[1]).toBeCloseTo(Math.SQRT1_2, 5);
  });

  it('must lie in one frame, and be two or more', () => {
    const image = imageOf(
      () => 1,
      () => 0,
    );
    const other = { ...image, frame: { ...image.frame, originYxPx: [3, 5] as const } };
    expect(() => meanOfImages([image, other])).toThrow(expect.objectContaining({ code: 'DATASET_SHAPE' }));
    expect(() => meanOfImages([image])).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
