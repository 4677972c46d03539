/** `solve` on disk: what it writes, going on from a state, being stopped, and what is refused. */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { solverOptionsSchema } from '../../src/config/schemas/solver.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { readText } from '../../src/data/metadata.js';
import { openDataset } from '../../src/data/openDataset.js';
import { writeScan } from '../../src/data/scanWriter.js';
import { relativeObjectError } from '../../src/evaluation/align.js';
import { openNpz } from '../../src/formats/npz.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { hashOf } from '../../src/persistence/runState.js';
import { frameOfObject, moveToFrame } from '../../src/reconstruction/frame.js';
import { readState } from '../../src/solvers/files/state.js';
import { requireSolverMemory, solverBytes } from '../../src/solvers/memory.js';
import { runSolver } from '../../src/solvers/run.js';
import { solveWorkflow } from '../../src/workflows/solve.js';
import { cli } from '../cli/capture.js';
import { solveRequest, solverScan, writeSolverScan } from '../support/solverScan.js';

let folder: string;
let scan: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const request = (name: string, over: Record<string, unknown> = {}) => solveRequest(scan, at(name), over);

/** Runs, and stops within the epoch after `stopAfter`. */
async function solveAndStop(name: string, over: Record<string, unknown>, stopAfter: number) {
  const stop = new AbortController();
  const onProgress = ({ stage, done }: { stage: string; done: number }) => {
    if (stage === 'solving' && done > stopAfter * count) stop.abort();
  };
  return solveWorkflow(request(name, over), { signal: stop.signal, onProgress });
}

/** The arrays of a reconstruction, hashed; all but the time that it took. */
async function arraysOf(name: string): Promise<Record<string, string>> {
  const npz = await openNpz(at(name, 'reconstruction.npz'));
  try {
    const found: Record<string, string> = {};
    for (const key of npz.keys.filter((name) => name !== 'computation_time_seconds')) {
      const array = await npz.read(key);
      const parts = array.kind === 'complex' ? [array.re, array.im] : array.kind === 'real' ? [array.data] : [];
      found[key] = hashOf(...parts);
    }
    return found;
  } finally {
    await npz.close();
  }
}

let count: number;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-solve-'));
  scan = at('scan.npz');
  await writeSolverScan(scan);
  const raw = await openDataset(scan);
  count = raw.count;
  await raw.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('solve', () => {
  it('writes object, probe, pictures, table and run, and finds the object', async () => {
    const config = request('out', { epochs: 25, product_file: at('out', 'product.h5') });
    const summary = await solveWorkflow(config, { provenance: { epochs: { value: 25, source: 'flag' } } });
    expect(summary).toMatchObject({ algorithm: 'rPIE', epochs: 25, patterns: count, cancelled: false });
    expect(summary.rFactor).toBeLessThan(0.35 * summary.rFactorStart);
    expect((await readdir(at('out'))).sort()).toEqual([
      ...['config.json', 'history.csv', 'index.html', 'loss.png', 'product.h5'],
      ...[
        'reconstructed_amplitude.png',
        'reconstructed_complex.png',
        'reconstructed_phase.png',
        'reconstructed_probe.png',
      ],
      ...['reconstruction.npz', 'run.json', 'solver_state.npz'],
    ]);
    const run = JSON.parse(await readFile(at('out', 'run.json'), 'utf8'));
    // The scan starts from a constant object, with another probe power than the best one.
    expect(summary.score!.constant).toBeGreaterThan(summary.score!.image);
    expect(summary.score!.constant).toBeLessThan(1.02 * summary.rFactorStart);
    expect(run).toMatchObject({
      r_factor: summary.rFactor,
      score: { ...summary.score, probe: 'reconstruction' },
      config: { algorithm: 'rpie' },
      epochs: 25,
    });
    expect(run.provenance).toEqual({ epochs: { value: 25, source: 'flag' } });
    expect(run.losses).toHaveLength(25);
    expect((await readFile(at('out', 'history.csv'), 'utf8')).split('\n')[0]).toBe('epoch,loss,r_factor');

    const npz = await openNpz(at('out', 'reconstruction.npz'));
    try {
      expect([...npz.keys].sort()).toEqual(
        ['algorithm', 'computation_time_seconds', 'frame_origin_yx_px', 'overlap_count', 'provenance', 'reconstructed_object', 'reconstructed_probe', 'sample_indices'], // biome-ignore format: one line
      );
      expect(await npz.read('algorithm')).toMatchObject({ strings: ['PtychoPINN rPIE'] });
      const image = await npz.readComplex64('reconstructed_object');
      const [top, left] = (await npz.readReal('frame_origin_yx_px')).data;
      const truth = solverScan().objectGuess;
      const inner = { originYxPx: [34, 34], height: 40, width: 40 } as const;
      const own = { originYxPx: [Number(top), Number(left)] as const, height: image.shape[0], width: image.shape[1] };
      const error = relativeObjectError(
        moveToFrame(image, own, inner),
        moveToFrame(truth, frameOfObject(truth), inner),
      );
      expect(error).toBeLessThan(0.12);
    } finally {
      await npz.close();
    }
    const product = await readProductFile(at('out', 'product.h5'));
    expect(product.losses.values).toHaveLength(25);
    expect(product.probe.array.shape).toEqual([1, 1, 64, 64]);
    expect(product.positions.indexes).toHaveLength(count);
  });

  it('writes the positions that it corrected, and all modes', async () => {
    const raw = await openDataset(scan);
    await solveWorkflow(request('moved', { position_start: 2, probe_modes: 2 }));
    const npz = await openNpz(at('moved', 'reconstruction.npz'));
    try {
      expect((await npz.readComplex64('reconstructed_probe')).shape).toEqual([2, 64, 64]);
      expect((await npz.readReal('xcoords_measured')).data).toEqual(raw.xcoords);
      expect((await npz.readReal('xcoords')).data).not.toEqual(raw.xcoords);
    } finally {
      await npz.close();
      await raw.close();
    }
    // What it corrected can be begun with.
    const positions = await openDataset(scan, { positions: at('moved', 'positions.npz') });
    await positions.close();
    expect((await readFile(at('moved', 'history.csv'), 'utf8')).split('\n')[0]).toContain('position_shift_px');
  });
});

describe('resume', () => {
  it.each([
    ['rpie', { momentum: 0.3, position_start: 2 }],
    ['lsqml', { probe_modes: 2 }],
    ['dm', {}],
  ] as const)('%s: stopped within an epoch and resumed gives the bytes of one run', async (algorithm, over) => {
    const options = { algorithm, ...over };
    await solveWorkflow(request(`${algorithm}_whole`, options));
    const stopped = await solveAndStop(`${algorithm}_cut`, options, 3);
    expect(stopped).toMatchObject({ cancelled: true, epochs: 3 });
    const cut = at(`${algorithm}_cut`);
    expect(JSON.parse(await readFile(path.join(cut, 'run.json'), 'utf8'))).toMatchObject({
      cancelled: true,
      epochs: 3,
    });
    const resumed = await solveWorkflow(request(`${algorithm}_cut`, { ...options, resume: cut }));
    expect(resumed).toMatchObject({ resumedAfter: 3, epochs: 6, cancelled: false });
    expect(await arraysOf(`${algorithm}_cut`)).toEqual(await arraysOf(`${algorithm}_whole`));
    expect(await readFile(path.join(cut, 'history.csv'))).toEqual(
      await readFile(at(`${algorithm}_whole`, 'history.csv')),
    );
  });

  it('dm with more waves than are copied: stopped within an epoch it finishes that', async () => {
    const stop = new AbortController();
    const onProgress = ({ stage, done }: { stage: string; done: number }) => {
      if (stage === 'solving' && done > 2 * count) stop.abort();
    };
    const raw = await openDataset(scan);
    const options = solverOptionsSchema.parse({ algorithm: 'dm', epochs: 6, passes: 'host' });
    const run = (heldBytes: number) =>
      runSolver(raw, options, { heldBytes, threads: 1, signal: stop.signal, onProgress });
    expect(await run(0)).toMatchObject({ cancelled: true, measured: true, epoch: 3, snapshot: { epoch: 3 } });
    await expect(run(0)).rejects.toThrow(/cancelled/);
    await raw.close();
  });

  it('makes a finished run longer, elsewhere too', async () => {
    await solveWorkflow(request('six', { epochs: 6 }));
    await solveWorkflow(request('four', { epochs: 4 }));
    await solveWorkflow(request('longer', { epochs: 6, resume: at('four') }));
    expect(await arraysOf('longer')).toEqual(await arraysOf('six'));
  });

  it('loses the epochs since the last state when it is killed', async () => {
    const killed = new Error('killed');
    const onProgress = ({ stage, done }: { stage: string; done: number }) => {
      if (stage === 'solving' && done > 5 * count) throw killed;
    };
    const options = { epochs: 6, save_every: 2, preview_seconds: 1e-3 };
    await expect(solveWorkflow(request('killed', options), { onProgress })).rejects.toBe(killed);
    // Previews are there, but nothing that looks like a result.
    expect((await readdir(at('killed'))).sort()).toEqual([
      ...['config.json', 'history.csv', 'reconstructed_amplitude.png', 'reconstructed_phase.png', 'solver_state.npz'],
    ]);
    const summary = await solveWorkflow(request('killed', { ...options, resume: at('killed') }));
    expect(summary.resumedAfter).toBe(4);
    expect(await arraysOf('killed')).toEqual(await arraysOf('six'));
  });

  it('from the command line needs the folder alone', async () => {
    await solveAndStop('words', {}, 2);
    const { code, out } = await cli('solve', '--resume', at('words'));
    expect(code).toBe(0);
    expect(out).toMatch(/^rPIE: 4 epochs after 2 before in .* on SIMD on the processor, one thread\./);
    expect(await arraysOf('words')).toEqual(await arraysOf('six'));
  });

  it('the choice of passes is called engine in states, as when they were first written, and in older commands', async () => {
    const words = ['solve', '--test_data', scan, '--output_dir', at('named'), '--epochs', '1'];
    const { code, err } = await cli(...words, '--engine', 'host');
    expect(code).toBe(0);
    expect(err).toContain('warning: engine is the former name of passes; write passes.\n');
    expect((await cli(...words, '--passes', 'abacus')).err).toMatch(
      /^ptychopinn: passes must be auto, host or program/,
    );
    const npz = await openNpz(at('named', 'solver_state.npz'));
    try {
      const head = await readText(npz, 'head');
      const { options } = JSON.parse('text' in head ? head.text : '') as { options: Record<string, unknown> };
      expect(Object.entries(options).at(-1)).toEqual(['engine', 'host']);
      expect(options).not.toHaveProperty('passes');
    } finally {
      await npz.close();
    }
    expect((await readState(at('named')))?.head.options).toMatchObject({ passes: 'host' });
    // A folder of the time when the field was called engine.
    const file = at('named', 'config.json');
    const kept = await readFile(file, 'utf8');
    expect(kept).toContain('"passes": "host"');
    await writeFile(file, kept.replaceAll('"passes"', '"engine"'));
    const longer = await cli('solve', '--resume', at('named'), '--epochs', '2', '--quiet');
    // The user wrote nothing that there is to warn of.
    expect([longer.code, longer.err]).toEqual([0, '']);
  });

  it('refuses other options, another scan, nothing to do, nothing there, and a damaged state', async () => {
    await solveWorkflow(request('done', { epochs: 2 }));
    const refused = async (over: Record<string, unknown>) => {
      const config = request('elsewhere', { resume: at('done'), epochs: 4, ...over });
      return solveWorkflow(config).then(
        () => 'nothing',
        (error: Error) => error.message,
      );
    };
    expect(await refused({ momentum: 0.5 })).toBe(
      `momentum is 0.5, but the run in ${at('done')} was begun with 0; give the same value to resume it, or start again without --resume.`,
    );
    expect(await refused({ init: at('six') })).toMatch(/^init is ".*six", but the run in .* was begun with not given/);
    expect(await refused({ n_subsample: 20 })).toMatch(/begun with another scan: its patterns differ;/);
    expect(await refused({ epochs: 2 })).toMatch(/has 2 epochs already; give more with --epochs/);
    expect(await refused({ resume: at('nowhere') })).toMatch(/^There is nothing to resume in .*nowhere/);
    await truncate(at('done', 'solver_state.npz'), 5000);
    expect(await refused({})).toMatch(/solver_state\.npz is damaged or no state of a solver: .* start again/);
    expect(await readdir(folder)).not.toContain('elsewhere');
  });

  it('writes the results of a run that ended between its last state and them', async () => {
    const whole = await solveWorkflow(request('ended', { epochs: 2 }));
    const image = async (name: string) => {
      const npz = await openNpz(at(name, 'reconstruction.npz'));
      try {
        return (await npz.readComplex64('reconstructed_object')).re;
      } finally {
        await npz.close();
      }
    };
    const expected = await image('ended');
    for (const name of await readdir(at('ended'))) {
      if (name !== 'config.json' && name !== 'solver_state.npz') await rm(at('ended', name), { recursive: true });
    }
    const { code, out, err } = await cli('solve', '--resume', at('ended'));
    expect(err).toContain('All 2 epochs are done; writing the results from ');
    expect(code).toBe(0);
    expect(out).toContain('the results of all 2 epochs were written from the last state.');
    expect(await readdir(at('ended'))).toEqual(
      expect.arrayContaining(['history.csv', 'reconstruction.npz', 'run.json']),
    );
    expect(await image('ended')).toEqual(expected);
    const run = JSON.parse(await readFile(at('ended', 'run.json'), 'utf8'));
    expect([run.epochs, run.r_factor]).toEqual([2, whole.rFactor]);
    const again = await cli('solve', '--resume', at('ended'));
    expect([again.code, again.err]).toEqual([2, expect.stringContaining('has 2 epochs already; give more')]);
  });
});

describe('what cannot be solved', () => {
  it('is one sentence and leaves nothing behind', async () => {
    const words = (file: string, ...more: string[]) =>
      cli(
        'solve',
        '--test_data',
        file,
        '--output_dir',
        at('never'),
        '--passes',
        'host',
        '--epochs',
        '3',
        '--quiet',
        ...more,
      );
    await writeSolverScan(at('wide.npz'), { step_px: 60, object_side_px: 320, probe_diameter_px: 12 });
    const apart = await words(at('wide.npz'));
    expect(apart.code).toBe(1);
    expect(apart.err).toMatch(
      /^(warning: .*overlap by 0 %.*\n)?ptychopinn: .*wide\.npz: \d+ of \d+ patterns share no light with another.*\n$/,
    );
    await writeSolverScan(at('probe128.npz'), { N: 128, object_side_px: 140 });
    const probe = await words(scan, '--probe', `${at('probe128.npz')}:probeGuess`);
    expect(probe.code).toBe(1);
    expect(probe.err).toMatch(/^ptychopinn: .*but the patterns need a probe of 64×64 pixels.*\n$/);
    const { diffraction, xcoords, ycoords } = solverScan();
    const normalised = { data: diffraction.data.map((v) => v / 500), shape: diffraction.shape };
    const places = { xcoords: xcoords.data, ycoords: ycoords.data };
    const raw = rawDataFromArrays({ diffraction: normalised, ...places, measurement_domain: 'normalized_amplitude' });
    await writeScan(at('normalised.npz'), raw);
    const uncounted = await words(at('normalised.npz'), '--noise_model', 'poisson');
    expect(uncounted.err).toMatch(/^ptychopinn: noise_model poisson needs counted photons.*\n$/);
    expect(await readdir(folder)).not.toContain('never');
  });

  it('diverging: a sentence, the last state stays, no image is written', async () => {
    const words = ['--algorithm', 'epie', '--object_step', '60', '--probe_step', '60', '--batch_size', '10'];
    const { code, err } = await cli('solve', '--test_data', scan, '--output_dir', at('wild'), '--passes', 'host', '--epochs', '60', '--quiet', ...words); // biome-ignore format: one command line
    expect(code).toBe(1);
    expect(err).toMatch(/^ptychopinn: epie diverged in epoch \d+: .* take smaller steps .*\n$/);
    expect(await readdir(at('wild'))).not.toContain('reconstruction.npz');
  });

  it('warns of scans that take half of the memory, and refuses those that do not fit', () => {
    const scan = { count: 1000, N: 256, probeGuess: undefined, source: 'big.npz' };
    const told = (available: number, over = {}) => {
      const lines: string[] = [];
      const options = solverOptionsSchema.parse({ epochs: 9, stream: false, ...over });
      const logger = { info() {}, warn: (line: string) => lines.push(line) };
      requireSolverMemory(scan, options, { threads: 1, logger, available });
      return lines;
    };
    expect(told(1e9)).toEqual([]);
    expect(told(0.4e9)).toEqual([
      'The 1000 patterns of big.npz with 1 probe mode need 267 MB of memory of the 400 MB that are free.',
    ]);
    expect(() => told(0.2e9)).toThrow(
      /^The 1000 patterns of big\.npz .* need 267 MB of memory of the 200 MB .*--n_subsample/,
    );
    expect(() => told(0.4e9, { probe_modes: 100 })).toThrow(/with 100 probe modes need 786 MB/);
    expect(told(1e9, { algorithm: 'dm' })[0]).toMatch(/\(524 MB of it for exit waves\)/);
    // Object, its sums and what is kept of a batch belong to every slice.
    const spread = { xcoords: Float64Array.of(200, 2200), ycoords: Float64Array.of(200, 2200) };
    const bytes = (slices: number, algorithm: 'rpie' | 'lsqml' = 'rpie') =>
      solverBytes({ ...scan, ...spread }, solverOptionsSchema.parse({ slices, algorithm, stream: false }), 1);
    expect(bytes(3).object).toBe(3 * bytes(1).object);
    expect(bytes(3, 'lsqml').batch).toBeGreaterThan(2.5 * bytes(1, 'lsqml').batch);
    // Where patterns are streamed, two batches of them are in memory.
    expect(told(0.2e9, { stream: null })[0]).toMatch(/need 139 MB of memory of the 200 MB/);
  });
});
