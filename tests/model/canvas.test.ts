/** The group canvas run by each engine: batches merge group by group, and true patches come back out. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import {
  extractPatches,
  mergeGroup,
  mergeGroupByProbe,
  relativeWeight,
  shiftMatrices,
} from '../../src/model/canvas.js';
import { extractPatch } from '../../src/physics/sampling.js';
import { backendCases } from '../support/backends.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

const N = 16;

function randomGroups(groups: number, members: number, seed: number) {
  const rng = new LegacyRng(seed);
  const values = (n: number, scale: number) => Float32Array.from({ length: n }, () => scale * rng.normal());
  const area = groups * members * N * N;
  return { re: values(area, 1), im: values(area, 1), offsets: values(groups * members * 2, 1.5) };
}

function merged(data: ReturnType<typeof randomGroups>, from: number, groups: number, members: number, canvas: number) {
  const cut = (v: Float32Array, size: number) => v.subarray(from * members * size, (from + groups) * members * size);
  const shape = [groups, members, N, N];
  const shifts = shiftMatrices(op.constant(cut(data.offsets, 2), [groups, members, 1, 2]), N, canvas);
  return mergeGroup(
    { re: op.constant(cut(data.re, N * N), shape), im: op.constant(cut(data.im, N * N), shape) },
    shifts,
  );
}

describe.each(backendCases)('on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  async function run(outputs: Record<string, GraphNode>) {
    const compiled = await backend.compile(defineProgram({ name: 'canvas', outputs }));
    const out = await compiled.run({});
    await compiled.dispose();
    return out;
  }

  describe('mergeGroup', () => {
    it.each([
      { groups: 7, members: 9 },
      { groups: 16, members: 4 },
      { groups: 13, members: 5 },
    ])('of $groups groups of $members patches at once equals one by one', async ({ groups, members }) => {
      const data = randomGroups(groups, members, 7);
      const canvas = 28;
      const all = merged(data, 0, groups, members, canvas);
      const outputs: Record<string, GraphNode> = { re: all.re, im: all.im };
      for (let g = 0; g < groups; g++) {
        const one = merged(data, g, 1, members, canvas);
        outputs[`re${g}`] = one.re;
        outputs[`im${g}`] = one.im;
      }
      const out = await run(outputs);
      const area = canvas * canvas;
      for (let g = 0; g < groups; g++) {
        for (const part of ['re', 'im']) {
          const together = out[part].data.subarray(g * area, (g + 1) * area);
          expect(maxDifference(together, out[`${part}${g}`].data)).toBeLessThan(1e-5);
        }
      }
    });
  });

  it('with all pixels alike the merge is the mean of the patches that cover a pixel', async () => {
    const canvas = N + 8;
    // Whole pixels: which patches cover a pixel can be counted.
    const offsets = Float32Array.of(0, 0, 2, -1, -3, 1, 0, 4);
    const { re, im } = randomGroups(1, 4, 6);
    const shape = [1, 4, N, N];
    const out = await run(
      mergeGroupByProbe(
        { re: op.constant(re, shape), im: op.constant(im, shape) },
        shiftMatrices(op.constant(offsets, [1, 4, 1, 2]), N, canvas),
        new Float32Array(N * N).fill(1),
      ) as unknown as Record<string, GraphNode>,
    );
    const expected = new Float32Array(canvas * canvas);
    for (let r = 0; r < canvas; r++) {
      for (let c = 0; c < canvas; c++) {
        const seen = [0, 1, 2, 3].flatMap((m) => {
          // Patch pixel (i, j) lies at (i + 4 − y, j + 4 − x).
          const [i, j] = [r - 4 + offsets[2 * m + 1], c - 4 + offsets[2 * m]];
          return i >= 0 && j >= 0 && i < N && j < N ? [re[(m * N + i) * N + j]] : [];
        });
        expected[r * canvas + c] = seen.reduce((a, b) => a + b, 0) / Math.max(1, seen.length);
      }
    }
    expect(maxDifference(out.re.data, expected)).toBeLessThan(1e-5);
  });

  describeShared('golden: patches weighted by the probe', () => {
    it('merge as published, canvas 68', async () => {
      const golden = await readGolden('b_translate_patches.npz');
      const patches = await golden.complex('grp_patches');
      const relative = await golden.real('grp_rel_xy');
      const probe = await golden.complex('grp_probe');
      const merged = await golden.complex('grp_probe_merged');
      await golden.close();
      const power = probe.re.map((v, i) => v * v + probe.im[i] * probe.im[i]);
      const { re, im } = mergeGroupByProbe(
        { re: op.constant(patches.re, patches.shape), im: op.constant(patches.im, patches.shape) },
        shiftMatrices(op.constant(Float32Array.from(relative.data), relative.shape), 64, 68),
        relativeWeight(power),
      );
      const out = await run({ re, im });
      // The published merge is cut to zero where the probes of a group hold less than a millionth of their maximum.
      const inside = (values: Float32Array) => values.map((v, i) => (merged.re[i] === 0 && merged.im[i] === 0 ? 0 : v));
      expect(maxDifference(inside(out.re.data as Float32Array), merged.re)).toBeLessThan(2e-3);
      const bright = Array.from(merged.re.keys()).filter((i) => {
        const [row, column] = [Math.floor((i % 4624) / 68), i % 68];
        return Math.hypot(row - 34, column - 34) < 16;
      });
      expect(bright.length).toBeGreaterThan(2000);
      for (const i of bright) {
        expect(Math.abs(out.re.data[i] - merged.re[i])).toBeLessThan(1e-5);
        expect(Math.abs(out.im.data[i] - merged.im[i])).toBeLessThan(1e-5);
      }
    });
  });

  describeShared('golden: patches that count the same in their central square', () => {
    const inSquare = (i: number) => i >= 16 && i < 48;
    it('merge as published, canvas 68', async () => {
      const golden = await readGolden('b_translate_patches.npz');
      const patches = await golden.complex('grp_patches');
      const relative = await golden.real('grp_rel_xy');
      const merged = await golden.complex('grp_uniform_merged');
      await golden.close();
      const { re, im } = mergeGroupByProbe(
        { re: op.constant(patches.re, patches.shape), im: op.constant(patches.im, patches.shape) },
        shiftMatrices(op.constant(Float32Array.from(relative.data), relative.shape), 64, 68),
        Float32Array.from({ length: 64 * 64 }, (_, i) => (inSquare(i >> 6) && inSquare(i & 63) ? 1 : 0)),
      );
      const out = await run({ re, im });
      // The published merge is cut to zero where fewer than a millionth of a patch counts.
      for (const part of ['re', 'im'] as const) {
        const cut = out[part].data.map((v, i) => (merged.re[i] === 0 && merged.im[i] === 0 ? 0 : v));
        expect(maxDifference(cut, merged[part])).toBeLessThan(1e-3);
      }
    });
  });

  describe('true patches', () => {
    it.each([
      [90, 75],
      [75, 90],
    ])('of an object of %i×%i pixels merge to it and come out again, positions off centre', async (rows, cols) => {
      // A smooth object: bilinear interpolation in and out then loses little.
      const object = { re: new Float32Array(rows * cols), im: new Float32Array(rows * cols), shape: [rows, cols] };
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) {
          object.re[r * cols + c] = 1 + 0.3 * Math.sin(r / 9) + 0.2 * Math.cos(c / 7);
          object.im[r * cols + c] = 0.4 * Math.sin((r + 2 * c) / 11);
        }
      }
      const centre = { x: 31.25, y: 44.5 };
      const xs = [28.5, 33.75, 29.25, 33.5];
      const ys = [42.25, 43.5, 46.25, 46];
      const side = 32;
      const members = xs.map((x, i) => extractPatch(object, ys[i], x, side));
      const join = (part: 're' | 'im') => Float32Array.from(members.flatMap((m) => [...m[part]]));
      const relative = Float32Array.from(xs.flatMap((x, i) => [centre.x - x, centre.y - ys[i]]));
      const canvas = 40;
      const shifts = shiftMatrices(op.constant(relative, [1, 4, 1, 2]), side, canvas);
      const shape = [1, 4, side, side];
      const whole = mergeGroup({ re: op.constant(join('re'), shape), im: op.constant(join('im'), shape) }, shifts);
      const again = extractPatches(whole, shifts);
      const out = await run({ re: whole.re, im: whole.im, er: again.re, ei: again.im });
      // canvas pixel canvas/2 lies on the group centre
      const truth = extractPatch(object, centre.y, centre.x, canvas);
      let checked = 0;
      for (let r = 14; r < 26; r++) {
        for (let c = 14; c < 26; c++) {
          expect(Math.abs(out.re.data[r * canvas + c] - truth.re[r * canvas + c])).toBeLessThan(5e-3);
          expect(Math.abs(out.im.data[r * canvas + c] - truth.im[r * canvas + c])).toBeLessThan(5e-3);
          checked++;
        }
      }
      expect(checked).toBe(144);
      members.forEach((member, j) => {
        for (let r = 12; r < 20; r++) {
          for (let c = 12; c < 20; c++) {
            const i = r * side + c;
            expect(Math.abs(out.er.data[j * side * side + i] - member.re[i])).toBeLessThan(8e-3);
            expect(Math.abs(out.ei.data[j * side * side + i] - member.im[i])).toBeLessThan(8e-3);
          }
        }
      });
    });
  });
});
