/** `solve` on several scans at once: what it writes of all and of each, going on from a state, what is refused. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openDataset } from '../../src/data/openDataset.js';
import { writeScan } from '../../src/data/scanWriter.js';
import { openNpz } from '../../src/formats/npz.js';
import { readPlan } from '../../src/jobs/plan.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { hashOf } from '../../src/persistence/runState.js';
import { runSolver } from '../../src/solvers/run.js';
import { joinScans } from '../../src/solvers/together/joinScans.js';
import { runPlannedJob } from '../../src/workflows/jobs.js';
import { solveWorkflow } from '../../src/workflows/solve.js';
import { cli } from '../cli/capture.js';
import { solveRequest, solverScan } from '../support/solverScan.js';

let folder: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const request = (name: string, over: Record<string, unknown> = {}) =>
  solveRequest(at('a.npz'), at(name), { test_data_files: [at('b.npz')], share: 'object', epochs: 2, ...over });
const runOf = async (name: string) => JSON.parse(await readFile(at(name, 'run.json'), 'utf8'));

async function arrayOf(file: string, name: string): Promise<readonly number[]> {
  const npz = await openNpz(file);
  try {
    return [...(await npz.readReal(name)).data];
  } finally {
    await npz.close();
  }
}

/** Hashes of all arrays, but for the time that it took. */
async function arraysOf(file: string): Promise<Record<string, string>> {
  const npz = await openNpz(file);
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

/** Every second pattern of one scan, moved by (2.6, −1.7) px in the second file. */
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-several-'));
  const { diffraction, xcoords, ycoords, probeGuess } = solverScan({
    N: 32,
    probe_diameter_px: 16,
    object_side_px: 84,
  });
  const [count, N] = diffraction.shape;
  for (const [s, name] of ['a.npz', 'b.npz'].entries()) {
    const rows = Array.from({ length: Math.ceil((count - s) / 2) }, (_, i) => s + 2 * i);
    const raw = rawDataFromArrays({
      diffraction: {
        data: Float32Array.from(rows.flatMap((k) => [...diffraction.data.subarray(k * N * N, (k + 1) * N * N)])),
        shape: [rows.length, N, N],
      },
      xcoords: rows.map((k) => xcoords.data[k] - 1.7 * s),
      ycoords: rows.map((k) => ycoords.data[k] + 2.6 * s),
      probeGuess,
      measurement_domain: 'count_amplitude',
    });
    await writeScan(at(name), raw);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('one object', () => {
  it('writes what all have in common, and a folder for each scan', async () => {
    const { files, scans, score } = await solveWorkflow(request('object', { product_file: at('made', 'o.h5') }));
    expect(scans!.map(({ folder: own, patterns }) => [own, patterns > 10])).toEqual([
      ['scan_1', true],
      ['scan_2', true],
    ]);
    const [y, x] = scans![1].offset_yx_px;
    expect(Math.abs(y + 2.6)).toBeLessThan(0.3);
    expect(Math.abs(x - 1.7)).toBeLessThan(0.3);
    expect(score!.image).toBe(Math.max(...scans!.map((scan) => scan.score!.image)));
    for (const name of files.filter((file) => !path.isAbsolute(file)))
      expect(existsSync(at('object', name)), name).toBe(true);
    expect(files).toContain('scan_2/reconstruction.npz');
    expect((await runOf('object')).scans[1]).toMatchObject({ folder: 'scan_2', offset_yx_px: [y, x] });

    // The image of all has the positions of all, each scan its own in its own pixels.
    const joint = at('object', 'reconstruction.npz');
    const index = await arrayOf(joint, 'scan_index');
    const [all, measured] = [await arrayOf(joint, 'ycoords'), await arrayOf(joint, 'ycoords_measured')];
    for (const [k, s] of index.entries()) expect(all[k] - measured[k]).toBeCloseTo(s * y, 6);
    const own = at('object', 'scan_2', 'reconstruction.npz');
    const moved = await arrayOf(own, 'ycoords');
    const before = await arrayOf(own, 'ycoords_measured');
    expect(Math.max(...before.map((v, k) => Math.abs(moved[k] - v)))).toBeLessThan(0.5);
    const origin = async (file: string) => arrayOf(file, 'frame_origin_yx_px');
    expect((await origin(own))[0] - (await origin(joint))[0]).toBe(-Math.round(y));
    // Products, too: the probe of the second is not that of the first.
    const [one, other] = await Promise.all([1, 2].map((s) => readProductFile(at('made', `o-${s}.h5`))));
    expect(one.positions.indexes.length).toBe(scans![0].patterns);
    expect(hashOf(other.probe.array.re)).not.toBe(hashOf(one.probe.array.re));
  });

  it('goes on to the byte, and not as something else', async () => {
    await solveWorkflow(request('object', { epochs: 3, resume: at('object') }));
    const raws = await Promise.all(['a.npz', 'b.npz'].map((name) => openDataset(at(name))));
    const straight = await runSolver(joinScans(raws, { share: 'object' }), { epochs: 3 }, { threads: 1 });
    for (const raw of raws) await raw.close();
    const found = await arraysOf(at('object', 'reconstruction.npz'));
    expect(found.reconstructed_object).toBe(hashOf(straight.image.re, straight.image.im));
    expect(found.xcoords).toBe(hashOf(straight.positions.xs));
    expect((await arraysOf(at('object', 'scan_2', 'reconstruction.npz'))).reconstructed_probe).toBe(
      hashOf(straight.together!.probes[1].re, straight.together!.probes[1].im),
    );
    const other = (over: Record<string, unknown>) =>
      solveWorkflow(request('object', { epochs: 8, resume: at('object'), ...over }));
    await expect(other({ share: 'probe' })).rejects.toThrow(
      /^share is "probe", but the run in .* was begun with "object"/,
    );
    await expect(other({ align_scans: false })).rejects.toThrow(/^align_scans is false/);
    await expect(other({ share: null, test_data_files: [] })).rejects.toThrow(/^share is not given/);
    const turned = { test_data_file: at('b.npz'), test_data_files: [at('a.npz')] };
    await expect(other(turned)).rejects.toThrow(/another scan: its scan 1: patterns differ/);
  });
});

describe('one probe', () => {
  it('writes the objects apart, and removes what an earlier run had of more scans', async () => {
    await mkdir(at('probe', 'scan_3'), { recursive: true });
    await mkdir(at('probe', 'scan_1'));
    await mkdir(at('probe', 'scan_2'));
    await writeFile(at('probe', 'scan_3', 'reconstruction.npz'), 'old');
    const { scans } = await solveWorkflow(request('probe', { share: 'probe', preview_seconds: 1e-6 }));
    expect(scans!.map(({ score }) => score!.image < score!.constant)).toEqual([true, true]);
    expect(existsSync(at('probe', 'scan_3', 'reconstruction.npz'))).toBe(false);
    const sum = (name: string) => arraysOf(at('probe', name, 'reconstruction.npz'));
    const [one, other] = [await sum('scan_1'), await sum('scan_2')];
    expect(one.reconstructed_probe).toBe(other.reconstructed_probe);
    expect(one.reconstructed_object).not.toBe(other.reconstructed_object);
    const raw = await openDataset(at('b.npz'));
    const origin = await arrayOf(at('probe', 'scan_2', 'reconstruction.npz'), 'frame_origin_yx_px');
    expect(origin[1]).toBe(Math.floor(Math.min(...raw.xcoords)) - raw.N / 2);
    await raw.close();
  });
});

describe('on the command line', () => {
  it.each([
    [['b.npz'], [], /There are 2 scans, but nothing says what they have in common/],
    [[], ['--share', 'object'], /for several scans, but there is one/],
    [['b.npz'], ['--share', 'both'], /share/],
    [['a.npz'], ['--share', 'probe'], /is named twice/],
    [['b.npz'], ['--share', 'object', '--init', 'x.npz'], /init does not go together with share object/],
    [['b.npz'], ['--share', 'object', '--skip_frames', '3'], /skip_frames belongs to one scan/],
    [['b.npz'], ['--share', 'object', '--opr_modes', '2'], /opr_modes does not go together with share object/],
  ] as const)('%o %o is refused in one line', async (others, flags, message) => {
    const { code, err } = await cli(
      ...['solve', at('a.npz'), ...others.map((name) => at(name)), ...flags, '--output_dir', at('no')],
    );
    expect(code).not.toBe(0);
    expect(err).toMatch(message);
    expect(existsSync(at('no', 'run.json'))).toBe(false);
  });
});

describe('a plan', () => {
  it('has one job for all, on the command line and from a file, which writes what solve does', async () => {
    const words = ['--verb', 'solve', '--epochs', '1', '--threads', '1', '--passes', 'host'];
    const planned = async (root: string, ...more: string[]) => {
      const { code, err } = await cli('jobs', 'plan', at('a.npz'), at('b.npz'), ...words, '--output_root', at(root), ...more); // biome-ignore format: one call
      expect([code, err]).toEqual([0, '']);
      return readPlan(at(root));
    };
    await writeFile(at('share.yaml'), 'share: object\nalign_scans: false\n');
    const [job, ...others] = await planned('plan', '--config', at('share.yaml'));
    expect(others).toEqual([]);
    expect(job.config).toMatchObject({ share: 'object', test_data_file: at('a.npz'), test_data_files: [at('b.npz')] });
    const flagged = await planned('plan2', '--share', 'object', '--align_scans', 'false');
    expect(flagged.map(({ config }) => config)).toEqual([job.config]);
    expect((await planned('plan3')).map(({ config }) => config.test_data_file)).toEqual([at('a.npz'), at('b.npz')]);

    const { end, record } = await runPlannedJob(at('plan'), '1');
    expect([end, record!.files.includes('scan_2/reconstruction.npz')]).toEqual(['done', true]);
    expect(await arrayOf(path.join(job.output_dir, 'reconstruction.npz'), 'scan_offsets_yx_px')).toEqual([0, 0, 0, 0]);
  });
});
