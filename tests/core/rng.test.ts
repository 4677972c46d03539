/** NumPy's legacy generator: every expected number was printed by NumPy 1.24 with the same seed. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';

const times = <T>(n: number, draw: () => T): T[] => Array.from({ length: n }, draw);

describe('LegacyRng draws what NumPy draws', () => {
  it('32-bit words', () => {
    const rng = new LegacyRng(5489);
    const words = times(1000, () => rng.uint32());
    // The first and the thousandth are the reference implementation's published values for this seed.
    expect([words[0], words[1], words[999]]).toEqual([3499211612, 581869302, 1341017984]);
    const last = new LegacyRng(4294967295);
    expect([...last.permutation(6)]).toEqual([1, 4, 5, 0, 2, 3]);
    expect(times(3, () => last.uint32())).toEqual([3350089942, 3309765114, 77050329]);
  });

  it('permutations and choices', () => {
    expect([...new LegacyRng(42).permutation(10)]).toEqual([8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
    expect([...new LegacyRng(42).choice(10, 4, false)]).toEqual([8, 1, 5, 0]);
    expect([...new LegacyRng(42).choice(10, 4, true)]).toEqual([6, 3, 7, 4]);
    const seven = new LegacyRng(7);
    expect([...seven.choice(200, 5, false)]).toEqual([86, 120, 22, 11, 195]);
    const list = [3, 9, 11, 20, 31, 40, 55];
    expect([...seven.choice(7, 4, false)].map((i) => list[i])).toEqual([20, 31, 55, 40]);
    const nine = new LegacyRng(9);
    expect([...nine.choice(1000, 6, true)]).toEqual([382, 348, 638, 501, 950, 56]);
    expect([...nine.choice(5, 3, false)]).toEqual([0, 4, 1]);
    expect(nine.random()).toBe(0.21855867562607822);
  });

  it('uniforms', () => {
    const rng = new LegacyRng(42);
    const three = times(3, () => rng.random());
    [0.37454012, 0.95071431, 0.73199394].forEach((value, i) => {
      expect(three[i]).toBeCloseTo(value, 8);
    });
    const one = new LegacyRng(1);
    expect(times(4, () => one.uniform(-2, 5))).toEqual([
      0.9191540329180179, 3.042271454095107, -1.9991993762785858, 0.1163280084228786,
    ]);
  });

  it('normals', () => {
    const rng = new LegacyRng(42);
    const expected = [
      0.4967141530112327, -0.13826430117118466, 0.6476885381006925, 1.5230298564080254, -0.23415337472333597,
    ];
    for (const value of expected) expect(rng.normal()).toBeCloseTo(value, 14);
    const scaled = new LegacyRng(3);
    for (const value of [13.577256946860636, 10.87301970102398, 10.192994936144018]) {
      expect(scaled.normal(10, 2)).toBeCloseTo(value, 13);
    }
  });

  it('Poisson counts, small and large means', () => {
    const rng = new LegacyRng(7);
    const means = [0.5, 3, 9.9, 10, 25, 1000, 1e6, 0, 2.5e4];
    expect([...means, ...means].map((mean) => rng.poisson(mean))).toEqual([
      0, 6, 9, 16, 21, 1051, 1000065, 0, 25078, 0, 3, 13, 12, 24, 1002, 1000620, 0, 25091,
    ]);
    const zero = new LegacyRng(0);
    const many = times(20_000, () => zero.poisson(30));
    expect(many.slice(-5)).toEqual([17, 29, 17, 27, 24]);
    expect(many.reduce((sum, k) => sum + k, 0)).toBe(599438);
    const large = new LegacyRng(0);
    expect(times(20_000, () => large.poisson(5000)).reduce((sum, k) => sum + k, 0)).toBe(99987510);
  });
});

describe('LegacyRng', () => {
  it('draws nothing for an interval of one value, and stays inside any other', () => {
    const rng = new LegacyRng(1);
    const other = new LegacyRng(1);
    expect(rng.interval(0)).toBe(0);
    expect(rng.uint32()).toBe(other.uint32());
    for (const max of [1, 2, 5, 255, 256, 0xffffffff]) {
      for (const value of times(50, () => rng.interval(max))) {
        expect(Number.isInteger(value) && value >= 0 && value <= max).toBe(true);
      }
    }
  });

  it('refuses seeds, choices and means that have no meaning', () => {
    for (const seed of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => new LegacyRng(seed)).toThrow(/seed must be an integer from 0 to 4294967295/);
    }
    expect(() => new LegacyRng(0).choice(3, 4, false)).toThrow(/choose 4 of 3/);
    for (const mean of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new LegacyRng(0).poisson(mean)).toThrow(/Poisson mean/);
    }
  });
});

describe('a saved state', () => {
  it('gives the same draws again, also in another generator and in the middle of a pair', () => {
    const rng = new LegacyRng(7);
    rng.permutation(100);
    rng.normal();
    const saved = JSON.parse(JSON.stringify(rng.save()));
    const draws = () => [rng.normal(), ...rng.permutation(50), rng.poisson(30)];
    const first = draws();
    expect(draws()).not.toEqual(first);
    rng.restore(saved);
    expect(draws()).toEqual(first);
    const other = new LegacyRng(0);
    other.restore(saved);
    expect([other.normal(), ...other.permutation(50), other.poisson(30)]).toEqual(first);
  });

  it('that none can have saved is refused', () => {
    const rng = new LegacyRng(1);
    const saved = rng.save();
    expect(() => rng.restore({ ...saved, at: 625 })).toThrow(/saved random state/);
    expect(() => rng.restore({ ...saved, words: saved.words.slice(1) })).toThrow(/saved random state/);
    expect(() => rng.restore({ ...saved, words: saved.words.map(() => 0.5) })).toThrow(/saved random state/);
  });
});
