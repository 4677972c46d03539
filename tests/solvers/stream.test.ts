/** Scans whose patterns are read batch by batch. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { solverOptionsSchema } from '../../src/config/schemas/solver.js';
import { LegacyRng } from '../../src/core/rng.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { ScratchFile } from '../../src/formats/scratchFile.js';
import { solverBytes, streamedBatch } from '../../src/solvers/memory.js';
import { PatternStream, patternsOf } from '../../src/solvers/patternStream.js';
import { runSolver } from '../../src/solvers/run.js';
import { loadScan } from '../../src/solvers/scan.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverSnapshot, SolveServices } from '../../src/solvers/updates.js';
import { patternAt } from '../../src/solvers/wavePasses.js';

const options = (given: Partial<SolverOptions>) => solverOptionsSchema.parse(given) as SolverOptions;
const N = 16;
const COUNT = 40;
const GIB = 2 ** 30;

const rng = new LegacyRng(8);
const bad = new Uint8Array(N * N);
bad[3 * N + 5] = 1;
const raw = rawDataFromArrays({
  diffraction: {
    data: Float32Array.from({ length: COUNT * N * N }, (_, i) => {
      const [r, c] = [Math.floor((i % (N * N)) / N) - 8, (i % N) - 8];
      return Math.sqrt(rng.poisson(60 * Math.exp(-(r * r + c * c) / 12)));
    }),
    shape: [COUNT, N, N],
  },
  xcoords: Float64Array.from({ length: COUNT }, () => 8 + 20 * rng.random()),
  ycoords: Float64Array.from({ length: COUNT }, () => 8 + 20 * rng.random()),
  badPixels: bad,
  measurement_domain: 'count_amplitude',
});

async function last(given: Partial<SolverOptions>, services: SolveServices = {}): Promise<SolverSnapshot> {
  let found: SolverSnapshot | undefined;
  for await (const update of solve(raw, { batch_size: 7, epochs: 4, ...given }, { threads: 1, ...services })) {
    if (update.epoch === update.epochs) found = update.snapshot();
  }
  return found!;
}

describe('a streamed run', () => {
  const cases: [string, Partial<SolverOptions>, SolveServices?][] = [
    ['rpie', { algorithm: 'rpie' }],
    ['pie on two threads', { algorithm: 'pie' }, { threads: 2 }],
    [
      'lsqml with positions, some patterns held out',
      { algorithm: 'lsqml', position_start: 2 },
      { heldOut: Int32Array.of(3, 17, 30) },
    ],
    ['rpie with a beam that varies', { algorithm: 'rpie', opr_modes: 1, flux: true, opr_start: 1 }],
    ['epie from a coarse resolution', { algorithm: 'epie', progressive_levels: 2, progressive_epochs: 2 }],
    ['an end by maximum likelihood', { algorithm: 'rpie', ml_start: 3 }],
  ];
  it.each(cases)('%s: the same bytes', async (_name, options, services) => {
    const held = await last({ ...options, stream: false }, services);
    const streamed = await last({ ...options, stream: true }, services);
    expect(streamed).toEqual(held);
  });

  it('goes on where one in memory stopped', async () => {
    const whole = await last({ algorithm: 'lsqml', epochs: 5 });
    const resume = await last({ algorithm: 'lsqml', epochs: 3 });
    expect(await last({ algorithm: 'lsqml', epochs: 5, stream: true }, { resume })).toEqual(whole);
  });

  it('stays in memory where temporary files have no room, unless it was asked for', async () => {
    vi.spyOn(ScratchFile, 'create').mockReturnValue(undefined);
    const scan = await loadScan(raw, options({}), undefined, { most: 20, orHeld: true });
    expect(scan.scan.stream).toBeUndefined();
    expect(scan.scan.amplitudes).toHaveLength(COUNT * N * N);
    await expect(last({ algorithm: 'rpie', stream: true })).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    vi.restoreAllMocks();
  });

  it('is refused where exit waves of all patterns are kept', async () => {
    await expect(last({ algorithm: 'dm', stream: true })).rejects.toThrow(
      'stream: the difference map keeps exit waves',
    );
  });
});

describe('a stream of patterns', () => {
  afterEach(() => vi.restoreAllMocks());

  const pattern = (k: number) => Float32Array.from({ length: 16 }, (_, i) => (i === 5 ? -1 : 100 * k + i));
  function opened() {
    const stream = PatternStream.create({ N: 4, count: 9, most: 3 }, 'scan');
    for (let k = 0; k < 9; k++) stream.append(pattern(k));
    return {
      stream,
      scan: {
        N: 4,
        count: 9,
        amplitudes: stream.amplitudes,
        stream,
        slots: stream.slots,
        ys: new Float64Array(0),
        xs: new Float64Array(0),
      },
    };
  }

  it('reads planned batches ahead, and others between them', async () => {
    const reads = vi.spyOn(ScratchFile.prototype, 'readAsync');
    const { stream, scan } = opened();
    const [first, second, third] = stream.plan([Int32Array.of(8, 0, 4), Int32Array.of(7, 1, 5), Int32Array.of(2, 3)]);
    const check = (batch: Int32Array) => {
      for (const k of batch) expect(patternAt(scan as never, k)).toEqual(pattern(k));
    };
    await stream.load(first);
    check(first);
    const between = Int32Array.of(6, 8);
    await stream.load(between);
    check(between);
    expect(stream.slots[0]).toBe(-1);
    await stream.load(second);
    check(second);
    // The third is on its way already.
    expect(reads).toHaveBeenCalledTimes(3 + 3 + 2 + 2);
    await stream.load(third);
    check(third);
    expect(reads).toHaveBeenCalledTimes(10);
    await expect(stream.load(Int32Array.of(0, 1, 2, 3))).rejects.toThrow('a batch of 4 of at most 3');
    await stream.close();
  });

  it('goes through all patterns in their order, and knows their sums', async () => {
    const { stream, scan } = opened();
    const found: Float32Array[] = [];
    for await (const one of patternsOf(scan as never, 2)) found.push(one.slice());
    expect(found).toEqual(Array.from({ length: 9 }, (_, k) => pattern(k)));
    const good = pattern(2).filter((v) => v >= 0);
    expect(stream.measured.amplitude[2]).toBe(good.reduce((sum, v) => sum + v, 0));
    expect(stream.measured.counts[2]).toBe(good.reduce((sum, v) => sum + v * v, 0));
    await stream.close();
  });

  it('tells of a file that cannot be read where the batch is asked for', async () => {
    const { stream } = opened();
    const [first, second] = stream.plan([Int32Array.of(1), Int32Array.of(2)]);
    const reads = vi.spyOn(ScratchFile.prototype, 'readAsync');
    reads.mockImplementation((at) => (at === 2 * 64 ? Promise.reject(new Error('torn')) : Promise.resolve()));
    await stream.load(first);
    await expect(stream.load(second)).rejects.toThrow('torn');
    await stream.close();
  });

  it('is refused where temporary files have no room', () => {
    vi.spyOn(ScratchFile, 'create').mockReturnValue(undefined);
    expect(() => PatternStream.create({ N: 256, count: 20_000, most: 256 }, 'scan.h5')).toThrow(
      'scan.h5: its patterns need 5.24 GB in the folder for temporary files',
    );
  });
});

describe('memory', () => {
  it('a state that is too large to be copied is handed over at the end', async () => {
    const given = { algorithm: 'rpie', batch_size: 7, epochs: 3 } as const;
    const [copied, handed] = await Promise.all(
      [undefined, 0].map((heldBytes) => runSolver(raw, given, { threads: 1, heldBytes })),
    );
    expect(handed.image.re.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(copied.image.re.buffer).toBeInstanceOf(ArrayBuffer);
    expect(handed.snapshot).toEqual(copied.snapshot);
    expect(Array.from(handed.image.im)).toEqual(Array.from(copied.image.im));
    expect(handed.rFactor).toBe(copied.rFactor);
  });

  const side = 141;
  const large = {
    ...{ source: 'large.h5', count: 20_000, N: 256, probeGuess: undefined },
    xcoords: Float64Array.from({ length: 20_000 }, (_, k) => 12 * (k % side)),
    ycoords: Float64Array.from({ length: 20_000 }, (_, k) => 12 * Math.floor(k / side)),
    patterns: { resident: false },
  };

  it('20,000 patterns of 256² fit into 4 GiB', () => {
    for (const algorithm of ['rpie', 'lsqml'] as const) {
      for (const threads of [1, 2, 8]) {
        const bytes = solverBytes(large, options({ algorithm }), threads, 4 * GIB);
        const total = bytes.patterns + bytes.waves + bytes.object + bytes.batch;
        expect(total, `${algorithm}, ${threads} threads`).toBeLessThan(2 * GIB);
        // The object of 1936 × 1948 pixels, and what belongs to it.
        expect(bytes.object).toBeGreaterThan(4 * 1900 ** 2 * (2 + 3 * threads));
      }
    }
    expect(solverBytes(large, options({ stream: false }), 1, 4 * GIB).patterns).toBe(4 * 20_000 * 256 ** 2);
  });

  it('is spared where patterns would take half of it', () => {
    const bytes = 4 * 20_000 * 256 ** 2;
    expect(streamedBatch(large, options({}), 2 * bytes - 1)).toBe(256);
    expect(streamedBatch(large, options({ batch_size: 1000 }), bytes)).toBe(1501);
    expect(streamedBatch(large, options({}), 2 * bytes)).toBeUndefined();
    expect(streamedBatch(large, options({ stream: false }), bytes)).toBeUndefined();
    expect(streamedBatch(large, options({ stream: true }), 100 * bytes)).toBe(256);
    expect(streamedBatch({ ...large, patterns: { resident: true } }, options({}), bytes)).toBeUndefined();
    expect(streamedBatch(large, options({ algorithm: 'dm' }), bytes)).toBeUndefined();
  });
});
