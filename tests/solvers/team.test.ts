/** Threads that work together: parts of planes, and runs that do not depend on how fast each is. */
import { describe, expect, it } from 'vitest';
import { integers } from '../../src/core/numbers.js';
import { LegacyRng } from '../../src/core/rng.js';
import { FieldMemory } from '../../src/solvers/fieldMemory.js';
import { HostPasses } from '../../src/solvers/host/hostPasses.js';
import { Mailbox } from '../../src/solvers/host/mailbox.js';
import {
  collide,
  type PlaneStep,
  rangeSteps,
  readSteps,
  runSteps,
  STEP_NUMBERS,
  writeSteps,
} from '../../src/solvers/host/planeSteps.js';
import { Lookout } from '../../src/solvers/host/seat.js';
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

describe('sums of planes that hold something in ranges only', () => {
  const range = (from: number, end: number) => ({ from, end });

  it.each([
    ['beside each other, with gaps', range(40, 300), [range(350, 500), range(600, 990)]],
    ['over each other', range(0, 500), [range(100, 700), range(480, 1003)]],
    ['one within another', range(20, 900), [range(300, 400), range(0, 0)]],
    ['not in order', range(300, 500), [range(100, 350), range(50, 700)]],
    ['after a total that holds something everywhere', range(0, 1003), [range(17, 800)]],
  ])('%s', (_, first, others) => {
    const length = 1003;
    for (const of of [1, 2, 3]) {
      const memory = new FieldMemory({ N: 4, modes: 1, height: 1, width: 1 });
      // Beside its range a plane may hold anything.
      const planes = [first, ...others].map(({ from, end }, t) => {
        const plane = memory.plane(length);
        plane.data.fill(Number.NaN);
        for (let i = from; i < end; i++) plane.data[i] = 1000 ** t + i;
        return plane;
      });
      const expected = Array.from({ length }, (_, i) =>
        [first, ...others].reduce((sum, { from, end }, t) => (i >= from && i < end ? sum + 1000 ** t + i : sum), 0),
      );
      const [total, ...parts] = planes;
      const steps = rangeSteps(
        { at: total.at, range: first },
        parts.map(({ at }, t) => ({ at, range: others[t] })),
        length,
      );
      for (const part of integers(of).toReversed()) runSteps(memory.kernels, steps, { part, of });
      expect([...total.data]).toEqual(expected);
    }
  });

  it('wait for each other where steps of another length touch the same memory', () => {
    const long: PlaneStep = ['addPlane', 1000, 9000, 200];
    expect(collide(long, ['addPlane', 1000, 9000, 200])).toBe(false);
    expect(collide(long, ['largest', 9400, 100])).toBe(true);
    expect(collide(long, ['largest', 9800, 100])).toBe(false);
    // A gain is no address, and 0 is none.
    expect(collide(['largest', 1800, 100], ['addScaled', 4000, 1900, 5000, 10])).toBe(false);
    expect(collide(['largest', 0, 100], ['divideStep', 4000, 5000, 6000, 1, 1, 1, 0, 0, 10])).toBe(false);
  });
});

describe('who waits', () => {
  it('sees at once what is so already, and gives up when it is told to', () => {
    const control = new Int32Array(new SharedArrayBuffer(8));
    const lookout = new Lookout(control, 1);
    expect(lookout.until(0, true)).toBe(true);
    expect(lookout.until(7, false)).toBe(true);
    expect(lookout.until(0, false, 1)).toBe(false);
    control[1] = 3;
    expect(lookout.until(0, false)).toBe(true);
  });
});

describe('a mailbox', () => {
  it('keeps arrays and numbers as they are', () => {
    const box = new Mailbox(new SharedArrayBuffer(1024));
    const value = {
      part: Int32Array.of(3, -1, 7),
      sums: [Float64Array.of(0.1, Number.NaN, -Infinity), { loss: Number.NaN, most: Infinity }],
      none: null,
      words: ['amplitude', '', 'Poiß'],
      flags: { yes: true, no: false, left: undefined },
      empty: [new Int32Array(0), new Float64Array(0), [], {}],
    };
    box.put(value);
    expect(box.take()).toEqual(value);
    // What is longer ends behind what is shorter.
    box.put(Int32Array.of(5, 6));
    expect(box.take()).toEqual(Int32Array.of(5, 6));
    box.put(undefined);
    expect(box.take()).toBeUndefined();
    for (const large of [new Float64Array(1000), new Int32Array(1000), 'a'.repeat(200), new Array(100).fill(1)])
      expect(() => box.put(large)).toThrow(RangeError);
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
        // Two halves, the second added to the first.
        await passes.pass(integers(3), all);
        await passes.pass(integers(scan.count - 3, 3), { ...all, accumulate: true });
        const { object: halves, illumination } = passes.memory.sums;
        const added = Float32Array.from([...halves.im, ...illumination.data]);
        const deviances = await passes.deviances(integers(scan.count));
        const sums = await passes.pass(integers(scan.count), all);
        const products = await passes.products();
        const { object, probe } = passes.memory.sums;
        const out = { sums, products, added, deviances, object: object.re.slice(), probe: probe.im.slice() };
        await passes.close();
        return out;
      }),
    );
    expect(found[1]).toEqual(found[2]);
    for (const field of ['products', 'object', 'probe', 'added', 'deviances'] as const)
      expectClose(found[1][field], found[0][field], 1e-5, field);
    expect(found[1].sums.square).toBeCloseTo(found[0].sums.square, 3);
  });

  it('shares large planes', async () => {
    const { passes } = await open(3);
    const { memory } = passes;
    const [part, sum] = [memory.plane(300_001), memory.plane(300_001)];
    part.data.forEach((_, i) => {
      part.data[i] = i % 1000;
    });
    sum.data.fill(1);
    memory.addTo(part, sum);
    expect(sum.data.every((v, i) => v === 1 + (i % 1000))).toBe(true);
    part.data[277_777] = 5000;
    expect(memory.largest(part)).toBe(5000);
    await passes.close();
    // Closed, the memory still computes, alone.
    expect(memory.largest(part)).toBe(5000);
  });
});
