/** Wrong arguments, as from JavaScript without types, end in one typed sentence. */
import { describe, expect, it } from 'vitest';
import * as library from '../src/index.js';

const untyped = library as unknown as Record<string, (...args: unknown[]) => unknown>;
const Live = library.LiveScan;
const model = library.PtychoModel as unknown as Record<string, (...args: unknown[]) => unknown>;
const live = () => new Live({ N: 16, inputScale: 1 }) as unknown as Record<string, (...args: unknown[]) => unknown>;

describe('without a compiler', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['train()', () => untyped.train(), /^The settings of training are an object .*; got undefined\.$/],
    ['train(3)', () => untyped.train(3), /; got a number\.$/],
    ['train({})', () => untyped.train({}), /^A scan is the path of a file, .*; got undefined\.$/],
    ['train({}, {})', () => untyped.train({}, {}), /; got an object without patterns, xcoords, ycoords\.$/],
    ['evaluate(null)', () => untyped.evaluate(null), /; got null\.$/],
    ['reconstruct(undefined)', () => untyped.reconstruct(undefined), /^reconstruct takes a model first/],
    ['reconstruct({})', () => untyped.reconstruct({}), /; got an object without bundle\.$/],
    ['PtychoModel.of({})', () => model.of({}), /; got an object without config, scale, statistics, probe, weights\.$/],
    ['openScan()', () => untyped.openScan(), /^A scan is opened by the path of its file/],
    ['live.push({})', () => live().push({}), /^push takes .*; got an object without diffraction, xs, ys\.$/],
    ['live.push({diffraction: []})', () => live().push({ diffraction: [], xs: [], ys: [] }), /without data, shape\.$/],
    ['liveScanFor()', () => untyped.liveScanFor(), /^liveScanFor takes a model first/],
    ['runSolver()', () => untyped.runSolver(), /^runSolver takes an open scan first/],
    ['solve()', () => (untyped.solve() as AsyncGenerator).next(), /^solve takes an open scan first/],
    ['rawDataFromArrays({})', () => untyped.rawDataFromArrays({}), /^rawDataFromArrays takes/],
    ['writeScan("s.npz")', () => untyped.writeScan('s.npz'), /^writeScan takes a path/],
    ['writeReconstruction("out")', () => untyped.writeReconstruction('out'), /^writeReconstruction takes a folder/],
    ['scoreAgainstTruth()', () => untyped.scoreAgainstTruth(), /^scoreAgainstTruth takes/],
    ['amplitudeRFactor()', () => untyped.amplitudeRFactor(), /^An R factor is measured on/],
  ])('%s is one sentence', async (_, call, sentence) => {
    const error: unknown = await (async () => call())().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(library.isPtychoError(error, 'USAGE')).toBe(true);
    expect((error as Error).message).toMatch(sentence);
  });
});
