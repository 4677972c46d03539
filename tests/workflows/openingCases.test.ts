/**
 * The scans of `cases/opening` in the shared folder, as new users brought them: what opens gives the image of the repaired scan, what
 * cannot be right stops with a code. The README beside each says what happened before.
 */
import { chmod, cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inferenceConfigSchema } from '../../src/config/schema.js';
import { openHdf5 } from '../../src/formats/hdf5/file.js';
import { openNpz, writeNpz } from '../../src/formats/npz.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { cli } from '../cli/capture.js';
import type { KnownTruth } from '../support/objectError.js';
import { describeShared, sharedFile } from '../support/shared.js';
import { type Solved, solved } from '../support/solved.js';
import { tinyRequest } from '../support/tinyRun.js';

const N = 64;
const AREA = N * N;
const at = (name: string, ...parts: string[]) => sharedFile('cases', 'opening', name, ...parts);
const probe = at('10-only-inspect-looks', 'probe.npz');
/** Energy, distance and detector pixel of which positions in metres need to become object pixels of 20 nm. */
const OPTICS = { energy_eV: 8000, detector_distance_m: 1, detector_pixel_m: 121.0783e-6 };
/** Codes of a scan that was refused for what it is. */
const REFUSALS = [
  'SCAN_WRONG',
  'DATASET_VALUE',
  'DATASET_UNITS',
  'DATASET_SHAPE',
  'DATASET_KEY_MISSING',
  'FILE_FORMAT',
  'FORMAT_UNSUPPORTED',
];

let folder: string;
let truth: KnownTruth;
let counts: Float32Array;

/** What a repaired scan has that the plain one has not. */
interface Repair {
  readonly rows?: readonly number[];
  /** Changes the counts of a pattern. */
  readonly counts?: Float32Array;
  readonly bad?: (row: number, column: number) => boolean;
}
const known = new Map<string, Promise<number>>();

/** The error of the same command on a scan with nothing wrong. */
function repairedError(name: string, { rows = range(49), counts: values = counts, bad }: Repair = {}): Promise<number> {
  const make = async () => {
    const data = new Float32Array(rows.length * AREA);
    rows.forEach((row, i) => {
      data.set(values.subarray(row * AREA, (row + 1) * AREA), i * AREA);
    });
    const line = (from: ArrayLike<number>) => ({
      data: Float64Array.from(rows, (row) => from[row]),
      shape: [rows.length],
    });
    const mask = Uint8Array.from({ length: AREA }, (_, p) => (bad?.(Math.floor(p / N), p % N) ? 1 : 0));
    const file = path.join(folder, `${name}.npz`);
    await writeNpz(file, {
      diffraction: { data, shape: [rows.length, N, N] },
      xcoords: line(truth.x),
      ycoords: line(truth.y),
      bad_pixels: { data: mask, shape: [N, N], dtype: 'bool' },
      measurement_domain: { strings: ['count_intensity'], shape: [] },
    });
    const { error } = await solved(file, truth, { probe });
    return error!;
  };
  if (!known.has(name)) known.set(name, make());
  return known.get(name)!;
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A scan of the shared folder with the probe beside it. */
const solve = (scan: string, data: Record<string, unknown> = {}, over: Record<string, unknown> = {}) =>
  solved(scan, truth, { probe, data, ...over });

async function expectRight(found: Solved, repaired: Promise<number>): Promise<void> {
  expect(found.stopped?.message).toBeUndefined();
  expect(found.error).toBeLessThan(1.1 * (await repaired));
}

/** Stopped for what the scan is; gives back the code of the finding, or else of the error. */
function expectStopped(found: Solved, sentence: RegExp): string {
  expect(found.stopped, `it opened, with object error ${found.error}`).toBeDefined();
  expect(REFUSALS).toContain(found.stopped!.code);
  expect(found.stopped!.message).toMatch(sentence);
  return String(found.stopped!.fields.finding ?? found.stopped!.code);
}

/** Nothing is silently wrong: the right image, or a refusal that names what to do. */
async function expectRightOrStopped(found: Solved, repaired: Promise<number>, sentence: RegExp): Promise<void> {
  if (found.stopped) expectStopped(found, sentence);
  else await expectRight(found, repaired);
}

/** All values of an HDF5 dataset. */
async function values(file: string, dataset: string): Promise<Float32Array> {
  const opened = await openHdf5(file);
  try {
    return Float32Array.from((await opened.readReal(dataset)).data);
  } finally {
    await opened.close();
  }
}

describeShared(
  'cases of opening',
  () => {
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-cases-'));
      const npz = await openNpz(at('21-r-factor-of-another-exposure', 'train.npz'));
      try {
        counts = Float32Array.from((await npz.readReal('diffraction')).data);
        const [x, y] = [(await npz.readReal('xcoords')).data, (await npz.readReal('ycoords')).data];
        const product = await openHdf5(at('09-opr-probe-as-incoherent-modes', 'product.h5'));
        const object = product.read('/object');
        await product.close();
        if (object.kind !== 'complex') throw new Error('the object of case 09 is not complex');
        const { re, im, shape } = object;
        truth = { object: { re: Float32Array.from(re), im: Float32Array.from(im), shape: shape.slice(-2) }, x, y };
      } finally {
        await npz.close();
      }
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('the plain scan is solved as it was when the cases were made', async () => {
      expect(await repairedError('plain')).toBeLessThan(0.045);
    });

    it('01: counts that are no whole numbers are counts', async () => {
      const name = '01-float-counts-as-amplitudes';
      const flat = await values(at(name, 'flat.h5'), '/entry/data/data');
      await expectRight(await solve(at(name, 'flat.h5')), repairedError('flat', { counts: flat }));
    });

    it('03: a gap in the numbers of a series is a missing frame, and dark.tif is none', async () => {
      const name = '03-tiff-missing-frame';
      const positions = at(name, 'pos.npz');
      const without5 = range(49).filter((i) => i !== 5);
      const gap = await solve(at(name, 'series'), { positions });
      await expectRight(gap, repairedError('without5', { rows: without5 }));
      const foreign = await solve(at(name, 'with_dark'), { positions });
      await expectRight(foreign, repairedError('first48', { rows: range(48) }));
    });

    it('04: titles decide axes and units; an array without any is said to be guessed', async () => {
      const name = '04-positions-order';
      const frames = at(name, 'frames.h5');
      for (const table of ['x_y.csv', 'um.csv']) {
        await expectRight(await solve(frames, { positions: at(name, table), ...OPTICS }), repairedError('plain'));
      }
      const bare = { positions: at(name, 'yx.npy'), positions_unit: 'px' };
      const guessed = await solve(frames, bare);
      expect([...guessed.warned, guessed.stopped?.message].join('\n')).toMatch(/x.*y.*swap_xy/);
      const [straight, swapped] = [guessed.error ?? 9, (await solve(frames, { ...bare, swap_xy: true })).error ?? 9];
      expect(Math.min(straight, swapped)).toBeLessThan(1.1 * (await repairedError('plain')));
    });

    it('05: frames that were never written are left out', async () => {
      const found = await solve(at('05-dark-frames-of-an-aborted-scan', 'aborted.h5'));
      await expectRight(found, repairedError('first30', { rows: range(30) }));
      expect([...found.warned, ...found.said].join('\n')).toMatch(/19 /);
    });

    it.each(['u16max_in_u32.h5', 'u32max_in_float.h5'])('07: pixels that never change are masked: %s', async (file) => {
      const bad = (row: number, column: number) => (row >= 40 && row < 43) || (column >= 20 && column < 23);
      await expectRight(await solve(at('07-dead-pixels-in-another-type', file)), repairedError('gaps', { bad }));
    });

    it('08: numbers that no experiment has are refused, or read in the one unit that makes sense, by every command', async () => {
      const name = '08-implausible-units';
      const cxi = at(name, 'energy_in_eV.cxi');
      // 8000 J can only be eV: it is taken so, and said.
      const taken = await solve(cxi);
      expect(taken.warned.join('\n')).toMatch(/8000 J.*taken as eV/);
      await expectRight(taken, repairedError('plain'));
      expectStopped(await solve(at(name, 'um.npz')), /µm|micromet|unit/i);
      const run = path.join(folder, 'energy-run');
      for (const words of [
        ['convert', cxi, '--output_file', path.join(folder, 'energy.npz')],
        ['train', '--train_data_file', cxi, '--nepochs', '1', '--n_filters_scale', '1', '--output_dir', run],
      ]) {
        const { code, err } = await cli(...words);
        expect([code, err], words[0]).toEqual([0, expect.stringMatching(/8000 J.*taken as eV/)]);
      }
      const frames = at('04-positions-order', 'frames.h5');
      const positions = at('04-positions-order', 'x_y.csv');
      expectStopped(await solve(frames, { positions, ...OPTICS, energy_eV: 8 }), /keV|unit|span|pixel/);
      expectStopped(await solve(frames, { positions, ...OPTICS, detector_pixel_m: 75 }), /pixel/);
    });

    it('09: OPR modes are told from incoherent ones, the same way by probe and product', async () => {
      const name = '09-opr-probe-as-incoherent-modes';
      const product = at(name, 'product.h5');
      const byProbe = await solve(at(name, 'scan.npz'), {}, { probe: product });
      const byProduct = await solve(at(name, 'diffraction.h5'), { product }, { probe: null });
      await expectRight(byProbe, repairedError('plain'));
      await expectRight(byProduct, repairedError('plain'));
      for (const { warned } of [byProbe, byProduct]) expect(warned.join('\n')).toMatch(/OPR/);
    });

    it('10: what only inspect saw is put right or stops every command', async () => {
      const name = '10-only-inspect-looks';
      const plain = repairedError('plain');
      await expectRightOrStopped(await solve(at(name, 'corner.npz')), plain, /fftshift/);
      await expectRight(await solve(at(name, 'corner.npz'), { fftshift: 'yes' }), plain);
      await expectRightOrStopped(await solve(at(name, 'off_centre.npz')), plain, /crop_center_px|centre/);
      const hot = (row: number, column: number) => row === 9 && column === 50;
      const withoutHot = repairedError('hot', { bad: hot });
      await expectRightOrStopped(await solve(at(name, 'hot.npz')), withoutHot, /auto_mask|bad_pixels/);
      await expectRight(await solve(at(name, 'hot.npz'), { auto_mask: true }), withoutHot);
      const without24 = repairedError('without24', { rows: range(49).filter((i) => i !== 24) });
      await expectRightOrStopped(await solve(at(name, 'mad_frame.npz')), without24, /24/);
      await expectRight(await solve(at(name, 'mad_frame.npz'), { skip_frames: '24' }), without24);
    });

    it('10: train, infer, convert, label, compare and batch say what solve says', async () => {
      const corner = at('10-only-inspect-looks', 'corner.npz');
      for (const words of [
        ['train', '--train_data_file', corner, '--nepochs', '1', '--output_dir', path.join(folder, 'corner-run')],
        ['convert', corner, '--output_file', path.join(folder, 'corner.npz')],
      ]) {
        const { err } = await cli(...words, '--fftshift', 'no');
        expect(err, words[0]).toMatch(/corner/);
      }
    });

    it('11: (ry, rx, ky, kx) are patterns of a raster', async () => {
      const name = '11-4d-datacube';
      const plain = repairedError('plain');
      await expectRight(await solve(at(name, 'cube.npz')), plain);
      const key = { diffraction_path: '/datacube_root/datacube/data' };
      const positions = { positions: at(name, 'pos.npz'), positions_unit: 'px' };
      await expectRight(await solve(at(name, 'py4dstem.h5'), { ...key, ...positions }), plain);
      await expectRight(await solve(at(name, 'py4dstem.h5'), positions), plain);
      await expectRight(await solve(at(name, 'raster.nxs'), { object_pixel_m: 2e-8 }), plain);
    });

    it('12: a translation of (3, n) in CXI', async () => {
      await expectRight(await solve(at('12-cxi-translation-3-by-n', 'pynx.cxi')), repairedError('plain'));
    });

    it('14: a file that its writer left open is read', async () => {
      await expectRight(await solve(at('14-file-not-closed', 'swmr.h5')), repairedError('plain'));
    });

    it('16: a link to a sibling folder is followed where that is allowed, and named where not', async () => {
      const name = '16-links-to-another-folder';
      // A copy, since the shared folder may have lost the symbolic link.
      const copy = path.join(folder, 'links');
      await cp(at(name), copy, { recursive: true });
      await chmod(path.join(copy, 'mine'), 0o755);
      await rm(path.join(copy, 'mine', 'data.h5'), { force: true });
      await symlink('../raw/data.h5', path.join(copy, 'mine', 'data.h5'));
      const linked = path.join(copy, 'process', 'scan.nxs');
      expectStopped(await solve(linked), /link.*allow_links/s);
      await expectRight(await solve(linked, { allow_links: [path.join(copy, 'raw')] }), repairedError('plain'));
      // The user put the symbolic link there.
      await expectRight(await solve(path.join(copy, 'mine', 'master.h5')), repairedError('plain'));
    });

    it('17: a frame too many and lost positions are refused, and left out on request', async () => {
      const name = '17-extra-frame-and-lost-position';
      expectStopped(await solve(at(name, 'extra.h5')), /50.*49|49.*50/);
      expectStopped(await solve(at(name, 'nan.h5')), /NaN|finite|number/);
      await expectRight(await solve(at(name, 'extra.h5'), { drop_unpaired: true }), repairedError('plain'));
      await expectRight(await solve(at(name, 'extra.h5'), { frames: '0:49' }), repairedError('plain'));
      const rows = range(49).filter((i) => i !== 10 && i !== 30);
      await expectRight(await solve(at(name, 'nan.h5'), { drop_unpaired: true }), repairedError('lost', { rows }));
    });

    it('18: noise below zero is noise, and −1 in every frame is a gap', async () => {
      const name = '18-negative-values';
      const ccd = (await values(at(name, 'ccd.h5'), '/entry/data/data')).map((v) => Math.max(0, v));
      await expectRight(await solve(at(name, 'ccd.h5')), repairedError('ccd', { counts: ccd, rows: range(25) }));
      const bad = (row: number) => row >= 40 && row < 43;
      await expectRight(await solve(at(name, 'pilatus.h5')), repairedError('pilatus', { bad }));
    });

    describe('21: R of another exposure', () => {
      const name = '21-r-factor-of-another-exposure';
      const results = new Map<string, { r: number; constant: number; warned: string }>();
      beforeAll(async () => {
        const model = path.join(folder, 'model');
        await trainWorkflow(tinyRequest(at(name, 'train.npz'), model, { nepochs: 1, n_groups: 8 }));
        for (const file of ['train', 'exposure_1_2', 'exposure_1_20', 'exposure_1_2000']) {
          const warned: string[] = [];
          const logger = { debug() {}, info() {}, warn: (text: string) => warned.push(text), error() {} };
          const config = inferenceConfigSchema.parse({
            model_path: model,
            test_data_file: at(name, `${file}.npz`),
            output_dir: path.join(folder, file),
            execution: { accelerator: 'cpu', threads: 1 },
          });
          const { rFactor } = await inferWorkflow(config, { logger });
          results.set(file, { r: rFactor!.image, constant: rFactor!.constant, warned: warned.join('\n') });
        }
      });

      it('is that of the image, not of the light', () => {
        const same = results.get('train')!;
        for (const [file, { r, constant }] of results) {
          // The noise of fewer photons is in both.
          expect(r / constant, file).toBeLessThan(1.3 * (same.r / same.constant));
        }
      });

      it('and the other light is said where it is more than five-fold', () => {
        const says = /counts|light|exposure|photons/;
        expect(results.get('exposure_1_20')!.warned).toMatch(says);
        expect(results.get('exposure_1_2000')!.warned).toMatch(says);
        expect(results.get('exposure_1_2')!.warned).not.toMatch(/times (less|fewer|more)/);
      });
    });
  },
  'cases',
);
