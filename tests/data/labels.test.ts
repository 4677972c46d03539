/** Known patches: where they come from, their phase, and what is refused. */
import { describe, expect, it } from 'vitest';
import { trainingRequestSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import type { ComplexTensor } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { DiffractionDataset } from '../../src/data/dataset.js';
import { groupScan } from '../../src/data/grouping/grouping.js';
import { findLabels } from '../../src/data/labels.js';
import { orientationOf } from '../../src/data/opening/orientation.js';
import type { RawData } from '../../src/data/rawData.js';
import { linesObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { prepareTraining } from '../../src/training/prepare.js';
import { maxDifference } from '../support/golden.js';
import { detectorAmplitude } from '../support/reference/forward.js';

const N = 16;
const xs = [20, 24.5, 28, 31, 22, 30];
const ys = [20, 21, 26.25, 30, 31, 22];
const object = linesObject({ rows: 52, cols: 52, seed: 3 });

function scan(): RawData {
  const made = simulateScan({
    object,
    probe: makeProbe('default_disk', { side: N }),
    xs,
    ys,
    photons: 1e5,
    seed: 1,
    noise: 'none',
  });
  return rawDataFromArrays({
    ...made,
    xcoords: xs,
    ycoords: ys,
    scanIndex: undefined,
    metadata: JSON.parse(made.metadata) as Record<string, unknown>,
    source: 'sim.npz',
  });
}
const patches = (phase = 0): ComplexTensor => {
  const size = xs.length * N * N;
  const amplitude = (i: number) => 1 + (i % 7) / 7;
  const angle = (i: number) => phase + 0.1 * Math.sin(i);
  return {
    re: Float32Array.from({ length: size }, (_, i) => amplitude(i) * Math.cos(angle(i))),
    im: Float32Array.from({ length: size }, (_, i) => amplitude(i) * Math.sin(angle(i))),
    shape: [xs.length, N, N],
  };
};
const inMemory = (labels: ComplexTensor, over: Partial<RawData> = {}): RawData => {
  const raw = scan();
  const { labels: stored } = rawDataFromArrays({
    diffraction: { data: new Float32Array(xs.length * N * N).fill(1), shape: [xs.length, N, N] },
    xcoords: xs,
    ycoords: ys,
    labels,
    measurement_domain: 'count_amplitude',
  });
  return { ...raw, metadata: {}, labels: stored, ...over };
};

describe('findLabels', () => {
  it('cuts the true object of a simulation at the positions: the patches that make the patterns', async () => {
    const raw = scan();
    const labels = await findLabels(raw);
    expect(labels.origin).toMatch(/true object of the simulation sim\.npz/);
    const { re, im, shape } = await labels.read([3, 0]);
    expect(shape).toEqual([2, N, N]);
    const probe = raw.probeGuess!;
    const part = (v: Float32Array, k: number) => v.subarray(k * N * N, (k + 1) * N * N);
    const measured = new Float32Array(2 * N * N);
    await raw.patterns.readAmplitudes([3, 0], measured);
    for (const k of [0, 1]) {
      const [a, b] = [part(re, k), part(im, k)];
      const wave = {
        re: a.map((v, i) => v * probe.re[i] - b[i] * probe.im[i]),
        im: a.map((v, i) => v * probe.im[i] + b[i] * probe.re[i]),
        shape: [N, N],
      };
      const found = detectorAmplitude(wave).data;
      expect(maxDifference(found, measured.subarray(k * N * N, (k + 1) * N * N))).toBeLessThan(1e-2);
    }
    // The light that the patches send on is the mean of the patterns.
    const all = new Float32Array(xs.length * N * N);
    await raw.patterns.readAmplitudes([...xs.keys()], all);
    const power = all.reduce((s, v) => s + v * v, 0) / xs.length;
    expect(labels.illuminatedPower! / power).toBeCloseTo(1, 4);
  });

  it('takes a stored label before the patches Y, and these before the object', async () => {
    const [label, truth] = [inMemory(patches()).labels, inMemory(patches(0.5)).labels];
    const both = { ...scan(), labels: label, groundTruth: truth };
    expect((await findLabels(both)).origin).toMatch(/"label"/);
    expect((await findLabels({ ...both, labels: undefined })).origin).toMatch(/Y/);
  });

  it('leaves out the mean phase of the central third', async () => {
    const bare = { objectGuess: undefined };
    const [plain, turned] = [
      await findLabels(inMemory(patches(), bare)),
      await findLabels(inMemory(patches(0.7), bare)),
    ];
    expect(turned.meanPhase - plain.meanPhase).toBeCloseTo(0.7, 5);
    const [a, b] = [await plain.read([1, 4]), await turned.read([1, 4])];
    expect(maxDifference(a.re, b.re)).toBeLessThan(1e-5);
    expect(maxDifference(a.im, b.im)).toBeLessThan(1e-5);
    const kept = await findLabels(inMemory(patches(0.7), bare), { phaseSubtraction: false });
    expect(kept.meanPhase).toBe(0);
    const same = await kept.read([1, 4]);
    const rows = (v: Float32Array) =>
      Float32Array.of(...[1, 4].flatMap((k) => [...v.subarray(k * N * N, (k + 1) * N * N)]));
    expect(maxDifference(same.re, rows(patches(0.7).re))).toBe(0);
    expect(maxDifference(same.im, rows(patches(0.7).im))).toBe(0);
    const third = (v: number) => [Math.floor(v / 3), Math.floor((2 * v) / 3)];
    const [low, high] = third(52);
    let sum = 0;
    for (let r = low; r < high; r++)
      for (let c = low; c < high; c++) sum += Math.atan2(object.im[r * 52 + c], object.re[r * 52 + c]);
    expect((await findLabels(inMemory(patches(0.7), { objectGuess: object }))).meanPhase).toBeCloseTo(
      sum / (high - low) ** 2,
      6,
    );
  });

  it('refuses a measurement without labels: its object is a guess', async () => {
    const raw = { ...scan(), metadata: {} };
    await expect(findLabels(raw)).rejects.toThrow(
      /^DATA-SUP-001: sim\.npz holds no known patches of the object, .* add them as "label" .*--model_type pinn/,
    );
    const error = await findLabels(raw).catch((e: unknown) => e);
    expect(isPtychoError(error, 'DATASET_KEY_MISSING') && error.fields.guard).toBe('DATA-SUP-001');
  });

  it('refuses what does not lie as the patterns do', async () => {
    const flipped = { ...scan(), orientation: orientationOf({ flip_x: true }) };
    await expect(findLabels(flipped)).rejects.toThrow(/positions changed by flip_x/);
    const transposed = inMemory(patches(), { orientation: orientationOf({ transpose: true }) });
    await expect(findLabels(transposed)).rejects.toThrow(/DATA-SUP-001.*transpose/);
  });

  it('refuses labels that are not finite', async () => {
    const broken = patches();
    broken.im[5] = Number.NaN;
    await expect(findLabels(inMemory(broken))).rejects.toThrow(/"label" of sim\.npz holds values that are not finite/);
    broken.re.fill(Number.NaN);
    broken.im.fill(Number.NaN);
    await expect(findLabels(inMemory(broken))).rejects.toThrow(/not finite/);
  });

  it('refuses labels in memory of another shape', () => {
    expect(() => inMemory({ ...patches(), shape: [xs.length, N * N, 1] })).toThrow(/labels of shape .* must be/);
  });
});

describe('DiffractionDataset with labels', () => {
  it('gives each member its own patch', async () => {
    const raw = scan();
    const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: 3, neighbor_count: 5, seed: 2 });
    const plain = new DiffractionDataset(raw, groups, 1);
    expect((await plain.batch([0])).labels).toBeUndefined();
    const labels = await findLabels(raw);
    const { labels: found, members } = await plain.withLabels(labels).batch([2, 0]);
    expect(found?.shape).toEqual([2, 4, N, N]);
    const expected = await labels.read(members);
    expect(found?.re).toEqual(expected.re);
    expect(found?.im).toEqual(expected.im);
  });
});

describe('a training', () => {
  it('says of the phase of labels whether it plays a part', async () => {
    const told = async (model_type: string) => {
      const request = trainingRequestSchema.parse({ phase_subtraction: false, model: { model_type } });
      const lines: string[] = [];
      const logger = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
      await prepareTraining(request, { train: scan() }, { logger });
      return lines.filter((line) => /phase/.test(line)).join('\n');
    };
    expect(await told('pinn')).toBe(
      'phase_subtraction false plays no part: this training does not learn from known patches.',
    );
    expect(await told('supervised')).toMatch(/^Known patches: .*; phases as they are\.$/);
  });
});
