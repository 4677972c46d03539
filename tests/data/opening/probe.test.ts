import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sizeOf } from '../../../src/core/tensor.js';
import { openDataset } from '../../../src/data/openDataset.js';
import { incoherentModes, readProbe } from '../../../src/data/opening/probe.js';
import { Hdf5Writer } from '../../../src/formats/hdf5/writer.js';
import { encodeNpy } from '../../../src/formats/npyWrite.js';
import { writeNpz } from '../../../src/formats/npz.js';
import { refuses } from '../../support/formatFixtures.js';
import { scanArrays, writeArrays } from '../../support/scanFiles.js';
import { describeShared, sharedFile } from '../../support/shared.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-probe-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);

const N = 8;
/** Each value tells its place: 1, 2, 3 …, the imaginary part negative. */
function counting(shape: number[]) {
  const re = Float32Array.from({ length: sizeOf(shape) }, (_, i) => i + 1);
  return { re, im: re.map((v) => -v), shape };
}

describe('The axes of a probe', () => {
  it.each([
    [[N, N], [N, N], /^$/],
    [[3, N, N], [3, N, N], /^$/],
    [[1, N, N], [N, N], /^$/],
    [[1, 1, N, N], [N, N], /^$/],
    [[1, 3, N, N], [3, N, N], /^$/],
    [[2, 1, N, N], [N, N], /first of 2 coherent \(OPR\) modes of the probe is used, with its 1 incoherent mode\./],
    [[2, 3, N, N], [3, N, N], /first of 2 coherent \(OPR\) modes of the probe is used, with its 3 incoherent modes\./],
    [[1, 1, 2, N, N], [2, N, N], /^$/],
  ])('%j is read as %j', (shape, expected, said) => {
    const notes: string[] = [];
    const probe = incoherentModes(counting(shape), { path: 'p.npz', member: 'probe' }, (note) => notes.push(note));
    expect(probe.shape).toEqual(expected);
    // The modes of the first OPR entry are the first values.
    expect(Array.from(probe.re)).toEqual(Array.from(counting(expected).re));
    expect(probe.im.length).toBe(probe.re.length);
    expect(notes.join()).toMatch(said);
  });

  it('modes behind rows and columns come to the front', () => {
    const notes: string[] = [];
    const note = (sentence: string) => notes.push(sentence);
    const { re, shape } = incoherentModes(counting([N, N, 2]), { path: 'p.npy' }, note);
    expect(shape).toEqual([2, N, N]);
    expect([re[0], re[1], re[N * N], re[N * N + 1]]).toEqual([1, 3, 2, 4]);
    expect(notes.join()).toContain('has its modes last; it is read as (2, 8, 8)');
    const four = incoherentModes(counting([N, N, 2, 3]), { path: 'p.npy' }, note);
    expect(four.shape).toEqual([2, N, N]);
    // Mode m of OPR entry 0 at pixel p: 6p + 3m + 1.
    expect([four.re[0], four.re[1], four.re[N * N], four.re[N * N + 1]]).toEqual([1, 7, 4, 10]);
    expect(notes.at(-1)).toContain('the first of 3 coherent (OPR) modes');
  });

  it('five axes, and one, are refused', async () => {
    await refuses(
      () => incoherentModes(counting([2, 1, 2, N, N]), { path: 'p.npy' }),
      'PROBE_SHAPE',
      /two to four axes/,
    );
    await refuses(() => incoherentModes(counting([N]), { path: 'p.npy' }), 'PROBE_SHAPE', /two to four axes/);
  });
});

describe('A probe of OPR modes is the same probe by every way in', () => {
  const probe = counting([2, 3, N, N]);
  const kept = counting([3, N, N]);

  it.each(['npz', 'h5', 'npy'])('--probe of .%s', async (ending) => {
    const file = at(`opr.${ending}`);
    if (ending === 'npz') await writeNpz(file, { probe });
    else if (ending === 'npy') await writeFile(file, encodeNpy(probe));
    else await writeHdf5(file, { datasets: { '/probe': probe } });
    const notes: string[] = [];
    const read = await readProbe(file, N, (note) => notes.push(note));
    expect(read.shape).toEqual([3, N, N]);
    expect(Array.from(read.re)).toEqual(Array.from(kept.re));
    expect(notes).toEqual([expect.stringContaining('the first of 2 coherent (OPR) modes')]);
  });

  it('the scan itself, and what is said when it is opened', async () => {
    const file = await writeArrays(at('scan.npz'), scanArrays(9, N), { probeGuess: probe });
    const raw = await openDataset(file);
    try {
      expect(raw.probeGuess?.shape).toEqual([3, N, N]);
      expect(raw.notes.join()).toContain('the first of 2 coherent (OPR) modes');
    } finally {
      await raw.close();
    }
  });
});

it('a probe of MATLAB (7.3) has its axes turned round in HDF5', async () => {
  // As MATLAB shows it: (rows, columns, modes, OPR) = (8, 8, 2, 3); HDF5 has (3, 2, 8, 8), columns before rows.
  const [rows, modes, opr] = [N, 2, 3];
  const value = (r: number, c: number, m: number, o: number) => 1000 * o + 100 * m + 10 * r + c + 1;
  const re = new Float32Array(opr * modes * rows * rows);
  for (let o = 0, i = 0; o < opr; o++) {
    for (let m = 0; m < modes; m++) {
      for (let c = 0; c < rows; c++) for (let r = 0; r < rows; r++) re[i++] = value(r, c, m, o);
    }
  }
  const file = await Hdf5Writer.create(at('recon.mat'));
  file.write('/probe', { re, im: new Float32Array(re.length), shape: [opr, modes, rows, rows] });
  file.attributes('/probe', { MATLAB_class: 'double' });
  await file.close();
  const read = await readProbe(at('recon.mat'), N);
  expect(read.shape).toEqual([2, N, N]);
  expect([read.re[1], read.re[N], read.re[N * N]]).toEqual([value(0, 1, 0, 0), value(1, 0, 0, 0), value(0, 0, 1, 0)]);
});

describeShared('cases/opening/09: OPR modes of a product', () => {
  it('are the first mode with --probe and with --product', async () => {
    const file = (name: string) => sharedFile('cases', 'opening', '09-opr-probe-as-incoherent-modes', name);
    const open = [
      openDataset(file('scan.npz'), { probe: file('product.h5') }),
      openDataset(file('diffraction.h5'), { product: file('product.h5') }),
    ];
    for (const raw of await Promise.all(open)) {
      expect(raw.probeGuess?.shape).toEqual([64, 64]);
      expect(raw.notes.join()).toContain('the first of 2 coherent (OPR) modes of the probe is used');
      await raw.close();
    }
  });
});
