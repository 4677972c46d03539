/** What is chosen and when, with lines that are made up: no solver, a clock that is moved by hand. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { PtychoError } from '../../src/core/errors.js';
import { Budget } from '../../src/tries/budget.js';
import type { Line, LineStart, OpenLine } from '../../src/tries/line.js';
import { type Found, rests, Search, type SearchRequest } from '../../src/tries/search.js';
import type { Try } from '../../src/tries/tries.js';

/** R that a line falls towards, by its options, and what an epoch takes. */
interface World {
  readonly floor: (options: Partial<SolverOptions>) => number;
  readonly seconds?: (options: Partial<SolverOptions>) => number;
  readonly fails?: (options: Partial<SolverOptions>) => boolean;
  /** Epochs after which R is halfway. */
  readonly halfway?: number;
}

class MadeUpLine implements Line {
  readonly options: Partial<SolverOptions>;
  #epoch = 0;

  constructor(
    private readonly world: World,
    private readonly from: LineStart,
    private r: number,
    private readonly tick: (seconds: number) => void,
    opened: MadeUpLine[],
  ) {
    this.options = from.options;
    opened.push(this);
  }
  closed = false;
  get heldOutCount() {
    return this.from.heldOut.length;
  }
  get epochs() {
    return this.#epoch;
  }
  get record() {
    return { epoch: this.#epoch, loss: this.r ** 2, rFactor: this.r, shift_px: 0 };
  }
  get epochSeconds() {
    return this.#epoch === 0 ? 0 : this.seconds;
  }
  private get seconds() {
    return this.world.seconds?.(this.options) ?? 1;
  }
  async advance() {
    this.tick(this.seconds);
    if (this.world.fails?.(this.options)) throw new PtychoError('SOLVER_FAILED', 'It diverged.', {});
    this.#epoch++;
    const floor = this.world.floor(this.options);
    this.r = floor + (this.r - floor) * 0.5 ** (1 / (this.world.halfway ?? 1));
  }
  async heldOut() {
    const count = this.from.heldOut.length;
    return { misfit: new Float64Array(count).fill(this.r), measured: new Float64Array(count).fill(1) };
  }
  async measure() {
    return { loss: this.r ** 2, rFactor: this.r };
  }
  keep() {
    const snapshot = { epoch: this.#epoch, arrays: { r: Float64Array.of(this.r) }, history: [] };
    return { epoch: this.#epoch, snapshot } as unknown as ReturnType<Line['keep']>;
  }
  branch() {
    return { r: this.r } as unknown as ReturnType<Line['branch']>;
  }
  async close() {
    this.closed = true;
  }
}

function made(world: World, more: Partial<SearchRequest> = {}, minutes = 60) {
  const clock = { now: 0 };
  const opened: MadeUpLine[] = [];
  const open: OpenLine = async (from) => {
    const before = (from.start as { r?: number } | undefined)?.r ?? from.resume?.arrays.r?.[0];
    return new MadeUpLine(world, from, Number(before ?? 0.5), (s) => { clock.now += s; }, opened); // biome-ignore format: one call
  };
  const budget = new Budget(60 * minutes, () => clock.now);
  const heldOut = Int32Array.of(1, 4, 7, 9);
  const said: string[] = [];
  const search = new Search(
    { open, tries: [], heldOut, budget, begin: { options: {} }, ...more },
    { onDecision: (sentence) => said.push(sentence) },
  );
  return { search, opened, clock, said, budget };
}

const once = (name: string, options: Partial<SolverOptions>, over: Partial<Try> = {}): Try => ({
  ...{ name, title: `a ${name}`, epochs: 5, again: false, rested: false, together: [] },
  options: (without) => ({ ...without, ...options }),
  ...over,
});

/** Only what is asked about differs from the plain solver. */
const floorOf =
  (better: Partial<Record<'seed' | 'probe_modes' | 'tv_weight', number>>, gain: number): World['floor'] =>
  (options) =>
    Object.entries(better).every(([key, value]) => options[key as 'seed'] === value) ? 0.2 * (1 - gain) : 0.2;

const kept = (found: Found) => found.state.tried.map((one) => [one.name, one.kept]);

describe('tries', () => {
  it('are kept where R of the held-out patterns falls, and not otherwise', async () => {
    const tries = [once('worse', { tv_weight: 1 }), once('better', { seed: 7 }), once('same', { momentum: 0.6 })];
    const { search, said } = made({ floor: floorOf({ seed: 7 }, 0.3) }, { tries });
    const found = await search.run();
    expect(kept(found)).toEqual([['worse', false], ['better', true], ['same', false]]); // biome-ignore format: a table
    expect(found.state.options).toMatchObject({ seed: 7 });
    expect(found.state.options.tv_weight).toBeUndefined();
    expect(said[1]).toMatch(/^With a better: kept, R of the patterns held out is \d+\.\d % lower\.$/);
    expect(found.rFactor).toBeLessThan(0.15);
    const [, better] = found.state.tried;
    expect(better.with).toBeLessThan(better.without as number);
  });

  it('are not kept for less than one percent', async () => {
    const { search } = made({ floor: floorOf({ seed: 7 }, 0.006) }, { tries: [once('little', { seed: 7 })] });
    const found = await search.run();
    expect(kept(found)).toEqual([['little', false]]);
    expect(found.state.tried[0].reason).toContain('too little to matter');
  });

  it('go on top of what was kept, and are repeated as long as they help', async () => {
    const floor: World['floor'] = ({ probe_modes, seed }) =>
      (0.3 - 0.05 * Math.min(3, probe_modes ?? 1)) * (seed === 7 ? 0.8 : 1);
    const modes = once('modes', {}, { again: true, rested: true, options: (o) => ({ ...o, probe_modes: (o.probe_modes ?? 1) + 1 }) }); // biome-ignore format: one call
    const { search } = made({ floor }, { tries: [once('better', { seed: 7 }), modes] });
    const found = await search.run();
    expect(kept(found)).toEqual([['better', true], ['modes', true], ['modes', true], ['modes', false]]); // biome-ignore format: a table
    expect(found.state.options).toMatchObject({ seed: 7, probe_modes: 3 });
  });

  it('that diverge are dropped, and the image goes on', async () => {
    const world = { floor: () => 0.2, fails: ({ seed }: Partial<SolverOptions>) => seed === 7 };
    const { search, opened } = made(world, { tries: [once('wild', { seed: 7 })] });
    const found = await search.run();
    expect(found.state.tried[0]).toMatchObject({ kept: false, reason: 'the solver diverged with it' });
    expect(found.rFactor).toBeCloseTo(0.2, 2);
    expect(opened.every(({ closed }) => closed)).toBe(true);
  });

  it('the image itself goes on without momentum where it diverges with it', async () => {
    const world = { floor: () => 0.2, fails: ({ momentum }: Partial<SolverOptions>) => Number(momentum) > 0 };
    const { search, said } = made(world);
    const found = await search.run();
    expect(found.rFactor).toBeCloseTo(0.2, 2);
    expect(said).toEqual(['Steps that carry on made the solver diverge; it goes on with plain ones.']);
    await expect(made({ floor: () => 0.2, fails: () => true }).search.run()).rejects.toMatchObject({ code: 'SOLVER_FAILED' }); // biome-ignore format: one call
  });

  it('need patterns that are held out', async () => {
    const { search } = made({ floor: () => 0.2 }, { tries: [once('any', { seed: 7 })], heldOut: new Int32Array(0) });
    const found = await search.run();
    expect(found.state.tried[0].reason).toContain('too few patterns');
    expect(found.state.heldOutR).toBeUndefined();
  });

  it('are left out where there is no time, which is said', async () => {
    const { search, clock, budget } = made({ floor: () => 0.2 }, { tries: [once('late', { seed: 7 })] }, 0.3);
    const found = await search.run();
    expect(found.state.tried[0].reason).toBe('there was no time to try it');
    expect(found.state.hurried).toBe(true);
    expect(clock.now).toBeLessThanOrEqual(1.15 * budget.seconds);
  });
});

describe('the way', () => {
  it('holds patterns out until the last epochs, which take all', async () => {
    const { search, opened } = made({ floor: () => 0.2 });
    const { state } = await search.run();
    expect(opened.map(({ heldOutCount }) => heldOutCount)).toEqual([4, 4, 0]);
    const stages = state.history.map(({ stage }) => stage);
    expect([...new Set(stages)]).toEqual(['forming', 'seeking', 'settling', 'finishing']);
    for (const { stage, heldOutR } of state.history) expect(heldOutR === undefined).toBe(stage === 'finishing');
    expect(stages.filter((stage) => stage === 'finishing')).toHaveLength(5);
    expect(state.history.map(({ epoch }) => epoch)).toEqual(stages.map((_, i) => i + 1));
  });

  it.each([0.1, 0.5, 1, 3, 20])('keeps a budget of %s minutes', async (minutes) => {
    // R that never rests: only the time ends it.
    const slow = { floor: () => 0.001, halfway: 400 };
    const { search, clock, budget } = made(slow, { tries: [once('any', { seed: 7 })] }, minutes);
    const found = await search.run();
    expect(found.state.stage).toBe('done');
    expect(clock.now).toBeLessThanOrEqual(1.15 * budget.seconds);
    // What is kept back is for the halves.
    expect(clock.now).toBeGreaterThan(minutes > 2 ? 0.85 * budget.seconds : 0.3 * budget.seconds);
  });

  it('ends early where R rests', async () => {
    const { search, clock } = made({ floor: () => 0.2 });
    const found = await search.run();
    expect(found.state.hurried).toBe(false);
    expect(clock.now).toBeLessThan(60);
  });

  it('waits less for what costs more: modes', async () => {
    const epochsWith = async (probe_modes: number) => {
      const { search } = made({ floor: () => 0.2, halfway: 10 }, { begin: { options: { probe_modes } } });
      return (await search.run()).state.history.length;
    };
    expect(await epochsWith(4)).toBeLessThan(await epochsWith(1));
  });

  it('goes on from where it was stopped, and comes to the same', async () => {
    const tries = [once('worse', { tv_weight: 1 }), once('better', { seed: 7 })];
    const world = { floor: floorOf({ seed: 7 }, 0.3) };
    const whole = await made(world, { tries }).search.run();
    // Stopped after every epoch in turn: what is kept is a state and a snapshot.
    const first = made(world, { tries });
    const states: { state: Search['state']; snapshot: NonNullable<Search['image']>['snapshot'] }[] = [];
    const watched = new Search(
      { open: async (from) => new MadeUpLine(world, from, Number((from.start as { r?: number } | undefined)?.r ?? 0.5), () => {}, []), tries, heldOut: Int32Array.of(1, 4, 7, 9), budget: first.budget, begin: { options: {} } }, // biome-ignore format: one call
      { onEpoch: (now) => void states.push({ state: now.state, snapshot: now.image!.snapshot }) },
    );
    await watched.run();
    expect(states.length).toBeGreaterThan(20);
    for (const begin of states) {
      const found = await made(world, { tries, begin }).search.run();
      expect(kept(found)).toEqual(kept(whole));
      expect(found.rFactor).toBeCloseTo(whole.rFactor, 2);
    }
  });
});

it('rests: little in the last epochs, by what there was before', () => {
  const limit = { epochs: 2, gain: 0.1 };
  expect(rests([1, 0.95], limit)).toBe(false);
  expect(rests([1, 0.95, 0.91], limit)).toBe(true);
  expect(rests([1, 0.95, 0.89], limit)).toBe(false);
  // A rise is no gain.
  expect(rests([0.5, 0.8, 0.9], limit)).toBe(true);
});
