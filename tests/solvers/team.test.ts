/** Threads that work together: parts of planes, and runs that do not depend on how fast each is. */
import { describe, expect, it } from 'vitest';
import { integers } from '../../src/core/numbers.js';
import { LegacyRng } from '../../src/core/rng.js';
import { FieldMemory } from '../../src/solvers/fieldMemory.js';
import { HostPasses } from '../../src/solvers/host/hostPasses.js';
import { Mailbox } from '../../src/solvers/host/mailbox.js';
import { type PlaneStep, readSteps, runSteps, STEP_NUMBERS, writeSteps } from '../../src/solvers/host/planeSteps.js';
import { solverProblem } from '../support/solverProblem.js';
import { begin, expectClose } from '../support/solverRequests.js';

/** Planes of random numbers, and steps of every kind over them. */
function problem() {
  const memory = new FieldMemory({ N: 4, modes: 1, height: 1, width: 1 });
  const rng = new LegacyRng(3);
  const length = 1003;
  const [a, b, c, d] = Array.from({ length: 4 }, () => memory.plane(length));
  for (const { data } of [a, b, c, d]) for (let i = 0; i < length; i++) data[i] = rng.random();
  const steps: PlaneStep[] = [
    ['addPlane', a.at, b.at, length],
    ['addScaled', a.at, -0.3, c.at, length],
    ['divideStep', a.at, b.at, c.at, 0.5, 2, 1.5, 0, 0, length],
    ['divideStep', b.at, a.at, c.at, 0.5, 2, 1.5, d.at, d.at, length],
    ['divideByRoot', a.at, c.at, b.at, 0.1, length],
    ['largest', d.at, length],
  ];
  return { memory, steps, planes: [a, b, c, d].map(({ data }) => data) };
}

describe('steps over planes', () => {
  it('are the same whoever does which part', () => {
    const whole = problem();
    const most = runSteps(whole.memory.kernels, whole.steps, { part: 0, of: 1 });
    expect(most).toBe(whole.planes[3].reduce((m, v) => Math.max(m, v), 0));
    // More parts than cache lines: some are empty.
    for (const of of [2, 3, 100]) {
      const parts = problem();
      const found = Array.from(integers(of).toReversed(), (part) =>
        runSteps(parts.memory.kernels, parts.steps, { part, of }),
      );
      expect(Math.max(...found)).toBe(most);
      expect(parts.planes).toEqual(whole.planes);
    }
  });

  it('survive being written as numbers', () => {
    const { steps } = problem();
    const numbers = new Float64Array(STEP_NUMBERS);
    writeSteps(steps, numbers);
    expect(readSteps(numbers)).toEqual(steps);
  });
});

describe('a mailbox', () => {
  it('keeps arrays and numbers as they are', () => {
    const box = new Mailbox(new SharedArrayBuffer(1024));
    const value = {
      part: Int32Array.of(3, -1, 7),
      sums: [Float64Array.of(0.1, Number.NaN, -Infinity), { loss: Number.NaN, most: Infinity }],
      none: null,
    };
    box.put(value);
    expect(box.take()).toEqual(value);
    box.put(undefined);
    expect(box.take()).toBeUndefined();
    expect(() => box.put(new Float64Array(1000))).toThrow(RangeError);
  });
});

describe('a team', () => {
  const open = async (threads: number) => {
    const problem = solverProblem(16, 2, 7);
    const passes = await HostPasses.open({ ...problem, threads, keep: 7, storeWaves: false });
    begin(problem, passes);
    return { passes, scan: problem.scan };
  };
  const all = { wave: 'amplitude', object: true, probe: true, keep: true } as const;

  it.each([2, 3])('of %i threads finds what one finds, always the same bits', async (threads) => {
    const found = await Promise.all(
      [1, threads, threads].map(async (count) => {
        const { passes, scan } = await open(count);
        const sums = await passes.pass(integers(scan.count), all);
        const products = await passes.products();
        const { object, probe } = passes.memory.sums;
        const out = { sums, products, object: object.re.slice(), probe: probe.im.slice() };
        await passes.close();
        return out;
      }),
    );
    expect(found[1]).toEqual(found[2]);
    for (const field of ['products', 'object', 'probe'] as const)
      expectClose(found[1][field], found[0][field], 1e-5, field);
    expect(found[1].sums.square).toBeCloseTo(found[0].sums.square, 3);
  });

  it('shares large planes', async () => {
    const { passes } = await open(3);
    const { memory } = passes;
    const [part, sum] = [memory.plane(100_001), memory.plane(100_001)];
    part.data.forEach((_, i) => {
      part.data[i] = i % 1000;
    });
    sum.data.fill(1);
    memory.addTo(part, sum);
    expect(sum.data.every((v, i) => v === 1 + (i % 1000))).toBe(true);
    part.data[77_777] = 5000;
    expect(memory.largest(part)).toBe(5000);
    await passes.close();
    // Closed, the memory still computes, alone.
    expect(memory.largest(part)).toBe(5000);
  });
});
