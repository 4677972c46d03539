/** Members of a group: one network on each, one phase for all, how far they disagree, and orders that do not matter. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema, trainingConfigSchema } from '../../src/config/schema.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { Tensor } from '../../src/core/tensor.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { disagreement, shares, turnedTo } from '../../src/model/members.js';
import { PtychoNetwork } from '../../src/model/network.js';
import { startEngine } from '../../src/reconstruction/inputs.js';
import { permutedMembers } from '../../src/training/programs.js';

const N = 16;
const AREA = N * N;
let backend: Backend;
beforeAll(async () => {
  backend = await startEngine({ accelerator: 'cpu', threads: 1 });
});
afterAll(() => backend.dispose());

/** Numbers between −1 and 1. */
const drawn = (shape: number[], seed: number): Tensor => {
  const rng = new LegacyRng(seed);
  const length = shape.reduce((a, b) => a * b, 1);
  return { data: Float32Array.from({ length }, () => rng.uniform(-1, 1)), shape };
};
const spec = (model: object, over: object = {}) => ({
  config: modelConfigSchema.parse({ N, n_filters_scale: 1, ...model }),
  scale: {
    ...{ intensityScale: 10, meanCounts: 6400, probeFactor: 1, amplitudeGauge: 2 },
    probe: { re: new Float32Array(AREA).fill(0.5), im: new Float32Array(AREA), shape: [N, N] },
  },
  ...{ canvasSide_px: N + 6, meanAmplitude: 0.3, nll_weight: 0, mae_weight: 1, intensity_scale_trainable: false },
  ...over,
});

/** Of one member each: (x, y). */
const POSITIONS = [1.5, -2, -0.5, 1, 2.25, 0, -3, 1];

async function run(
  network: PtychoNetwork,
  program: 'predict' | 'evaluate',
  input: Tensor,
  positions: readonly number[],
) {
  const compiled = await backend.compile(network[program](1));
  const state = await backend.createState(network.initialWeights(3));
  const offsets = { data: Float32Array.from(positions), shape: [1, 4, 1, 2] };
  const outputs = await compiled.run({ input, input_positions: offsets }, state);
  await state.dispose();
  await compiled.dispose();
  return outputs;
}

describe('a network that the members of a group share', () => {
  const shared = { gridsize: 2, member_networks: 'shared', training_patch_weighting: 'probe' } as const;

  it('has the weights of gridsize 1', () => {
    const [one, four] = [{}, shared].map((model) => new PtychoNetwork(spec(model)));
    expect(four.parameters).toEqual(one.parameters);
    expect(new PtychoNetwork(spec({ gridsize: 2 })).parameters).not.toEqual(one.parameters);
  });

  it.each([false, true])('does not care for the order of members (align_members %s)', async (align_members) => {
    const network = new PtychoNetwork(spec({ ...shared, align_members }));
    const input = drawn([1, 4, N, N], 1);
    const order = [2, 0, 3, 1];
    const moved = (data: Float32Array | readonly number[], each: number) =>
      order.flatMap((k) => Array.from(data.slice(k * each, (k + 1) * each)));
    const plain = await run(network, 'predict', input, POSITIONS);
    const other = await run(
      network,
      'predict',
      { data: Float32Array.from(moved(input.data, AREA)), shape: input.shape },
      moved(POSITIONS, 2),
    );
    for (const part of ['object_real', 'object_imag']) {
      const expected = moved(plain[part].data as Float32Array, AREA);
      other[part].data.forEach((v, i) => {
        expect(v).toBeCloseTo(expected[i], 4);
      });
    }
    // A joint network does care.
    if (align_members) return;
    const joint = new PtychoNetwork(spec({ gridsize: 2, training_patch_weighting: 'probe' }));
    const [a, b] = [
      await run(joint, 'predict', input, POSITIONS),
      await run(
        joint,
        'predict',
        { data: Float32Array.from(moved(input.data, AREA)), shape: input.shape },
        moved(POSITIONS, 2),
      ),
    ];
    const away = moved(a.object_real.data as Float32Array, AREA).map((v, i) => Math.abs(v - b.object_real.data[i]));
    expect(Math.max(...away)).toBeGreaterThan(1e-3);
  });

  it('pays for patches that disagree where that is asked for', async () => {
    const input = drawn([1, 4, N, N], 1);
    const without = await run(new PtychoNetwork(spec(shared)), 'evaluate', input, POSITIONS);
    const with_ = await run(new PtychoNetwork(spec(shared, { overlap_weight: 0.5 })), 'evaluate', input, POSITIONS);
    expect(without).not.toHaveProperty('overlap');
    expect(with_.overlap.data[0]).toBeGreaterThan(0);
    expect(with_.loss.data[0]).toBeCloseTo(without.loss.data[0] + 0.5 * with_.overlap.data[0], 5);
  });
});

it('patches are turned to the phase of what is merged of them, and then disagree no more', async () => {
  const shape = [2, 3, N, N];
  const inputs = ['a_re', 'a_im', 'b_re', 'b_im'].map((name) => op.input(name, shape));
  const [patches, merged] = [
    { re: inputs[0], im: inputs[1] },
    { re: inputs[2], im: inputs[3] },
  ];
  const share = shares(
    drawn([N, N], 4).data.map((v) => v + 1),
    N,
  );
  const turned = turnedTo(patches, merged, share);
  const program = defineProgram({
    name: 'turned',
    inputs,
    outputs: {
      re: turned.re,
      before: disagreement(patches, merged, share),
      after: disagreement(turned, merged, share),
    },
  });
  const compiled = await backend.compile(program);
  const [re, im] = [drawn(shape, 5), drawn(shape, 6)];
  const angle = (i: number) => 0.7 * Math.floor(i / AREA) - 2;
  const turn = (part: (c: number, s: number, i: number) => number): Tensor => ({
    data: re.data.map((_, i) => part(Math.cos(angle(i)), Math.sin(angle(i)), i)),
    shape,
  });
  const outputs = await compiled.run({
    a_re: turn((c, s, i) => c * re.data[i] - s * im.data[i]),
    a_im: turn((c, s, i) => s * re.data[i] + c * im.data[i]),
    b_re: re,
    b_im: im,
  });
  expect(outputs.before.data[0]).toBeGreaterThan(0.1);
  expect(outputs.after.data[0]).toBeLessThan(1e-6);
  outputs.re.data.forEach((v, i) => {
    expect(v).toBeCloseTo(re.data[i], 4);
  });
  await compiled.dispose();
});

it('members are fed in other orders with all that belongs to them', () => {
  const [batch, channels] = [3, 4];
  const each = (length: number) =>
    Float32Array.from({ length: batch * channels * length }, (_, i) => Math.floor(i / length));
  const arrays = {
    diffraction: { data: each(AREA), shape: [batch, channels, N, N] },
    positions: { data: each(2), shape: [batch, channels, 1, 2] },
    members: Int32Array.from({ length: batch * channels }, (_, i) => i),
  };
  const moved = permutedMembers(arrays, new LegacyRng(2));
  expect(permutedMembers(arrays, new LegacyRng(2))).toEqual(moved);
  expect([...moved.members]).not.toEqual([...arrays.members]);
  for (let b = 0; b < batch; b++) {
    const group = [...moved.members.slice(b * channels, (b + 1) * channels)];
    expect([...group].sort((p, q) => p - q)).toEqual([0, 1, 2, 3].map((c) => b * channels + c));
    group.forEach((member, c) => {
      const at = b * channels + c;
      expect(moved.diffraction.data[at * AREA + 7]).toBe(member);
      expect(moved.positions.data[2 * at + 1]).toBe(member);
    });
  }
  expect(arrays.members[1]).toBe(1);
});

it.each([
  { model: { N: 64, member_networks: 'shared' } },
  { model: { N: 64, align_members: true } },
  { model: { N: 64 }, overlap_weight: 0.1 },
  { model: { N: 64 }, member_permutations: true },
  { model: { N: 64, gridsize: 2, object_big: false, member_networks: 'shared' } },
])('%j is refused: there is no group whose patches are merged', (config) => {
  const issues = trainingConfigSchema.safeParse(config).error?.issues ?? [];
  expect(issues.map(({ message }) => message).join()).toContain('gridsize above 1 and object_big');
});
