/** What `inspect`, `convert`, `split` and `orient` print, and how they end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { textBars, textMap } from '../../src/cli/terminal.js';
import { ORIENTATIONS, orientationFlags } from '../../src/data/opening/orientation.js';
import { type OrientationReport, orientWorkflow } from '../../src/workflows/orient.js';
import { scanArrays, writeArrays } from '../support/scanFiles.js';
import { cli } from './capture.js';

vi.mock('../../src/workflows/orient.js', () => ({ orientWorkflow: vi.fn() }));

const [n, N] = [36, 16];
let folder: string;
let scan: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-tools-'));
  scan = await writeArrays(file('scan.npz'), scanArrays(n, N), { objectGuess: undefined });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('inspect', () => {
  it('prints arrays, figures, a map, notes and problems', async () => {
    const { code, out } = await cli('inspect', scan);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^\S+scan\.npz, [\d.]+ kB, npz\n {2}key +shape +type\n {2}diffraction +\(36, 16, 16\) +float32/,
    );
    expect(out).toMatch(/patterns {4}36 of 16 × 16\n/);
    expect(out).toMatch(/counts {6}19,\d{3} on average, .*36 measured\)\n +\S+ ▕[ ▁-█]{24}▏ \S+\n/);
    expect(out).toMatch(/positions \(x to the right, y down\)\n( {2}[\u2800-\u28ff]+\n){10,20}/);
    expect(out).toMatch(/notes\n {2}- /);
    expect(out).toMatch(/no problems found\n$/);
  });

  it('--json holds the same as data, --map writes a picture', async () => {
    const { code, out } = await cli('inspect', scan, '--json', '--map', file('map.png'));
    expect(code).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ problems: [], map: file('map.png'), scan: { count: n, N, format: 'npz' } });
    expect(report.scan.powerHistogram.counts).toHaveLength(24);
  });

  it('takes data options, and fails for what is no scan', async () => {
    const swapped = JSON.parse((await cli('inspect', scan, '--json', '--flip-x', '--swap_xy')).out);
    const plain = JSON.parse((await cli('inspect', scan, '--json')).out);
    expect(swapped.scan.xRange_px).toEqual(plain.scan.yRange_px);
    expect(swapped.scan.yRange_px).toEqual(plain.scan.xRange_px.map((v: number) => -v).reverse());
    const bare = await writeArrays(file('bare.npz'), { diffraction: scanArrays(n, N).diffraction });
    const { code, out } = await cli('inspect', bare);
    expect(code).toBe(1);
    expect(out).toMatch(/problems\n {2}- .*no scan positions/);
  });
});

describe('convert and split', () => {
  it('convert says what was written', async () => {
    const { code, out } = await cli('convert', scan, '--output-file', file('out.npz'));
    expect(code).toBe(0);
    expect(out).toMatch(/^Written \S+out\.npz: 36 patterns of 16 × 16, count_amplitude \(the squares .*\)\.\n$/);
    expect(await cli('convert', scan, '--output_file', scan)).toEqual({
      code: 2,
      out: '',
      err: `ptychopinn: ${scan} is the file that is read; choose another output_file.\n`,
    });
    expect((await cli('convert', scan)).err).toMatch(/output_file is needed/);
  });

  it('split prints both files and what they share', async () => {
    const { code, out } = await cli('split', scan, '--output_dir', file('parts'), '--fraction', '0.5', '--axis', 'x');
    expect(code).toBe(0);
    expect(out).toMatch(/patterns +file\n +18 +\S+scan_train\.npz\n +18 +\S+scan_test\.npz\nCut at x = [\d.]+ px\.\n/);
    expect(out).toMatch(/18 test patterns show places that training patterns show too \(nearest .* --gap_px 11 keeps/);
    const gap = await cli('split', scan, '--output_dir', file('parts'), '--gap_px', '100', '--overwrite');
    expect(gap.code).toBe(2);
    expect(gap.err).toMatch(/leaves no pattern for training; change fraction, gap_px or axis/);
  });
});

describe('orient', () => {
  const report = (changes: Partial<OrientationReport>): OrientationReport => ({
    source: 'scan.npz',
    patterns: 100,
    N: 64,
    verdict: 'clear',
    flags: '--flip_y --swap_xy',
    reasons: [],
    constantRFactor: 0.4,
    ranking: [...ORIENTATIONS].reverse().map((orientation, i) => ({
      orientation,
      flags: orientationFlags(orientation),
      rFactor: 0.1 + i / 100,
      behind: i / 10,
      standardErrors: 5 * i,
    })),
    sample: { count: 96, fields: 3, side: 64, keptPower: 1, step_px: 5, probeDiameter_px: 20 },
    ...changes,
  });
  beforeEach(() => {
    vi.mocked(orientWorkflow).mockReset();
  });

  it('prints the ranking and flags to paste', async () => {
    vi.mocked(orientWorkflow).mockResolvedValue(report({ picture: 'sheet.png' }));
    const { code, out } = await cli('orient', 'scan.npz', '--picture', 'sheet.png', '--transpose');
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^rank +R +behind +std\. errors +flags$/);
    expect(lines[1]).toMatch(/^ +1 +0\.1000 +--flip_x --flip_y --swap_xy$/);
    expect(lines[8]).toMatch(/^ +8 +0\.1700 +\+70\.0 % +35\.0 +\(as in the file\)$/);
    expect(lines.slice(9)).toEqual([
      'R: misfit of a short reconstruction from 96 patterns in 3 places (an empty object: 0.4000); lower is better.',
      'Clear: use --flip_y --swap_xy.',
      'Written sheet.png.',
      '',
    ]);
    const [input, config] = vi.mocked(orientWorkflow).mock.calls[0];
    expect(input).toBe('scan.npz');
    expect(config).toMatchObject({ picture: 'sheet.png', data: { transpose: true, flip_y: false } });
  });

  it('says when nothing is to be done, when it is close, and when it cannot tell', async () => {
    vi.mocked(orientWorkflow).mockResolvedValueOnce(report({ flags: '' }));
    expect((await cli('orient', 'scan.npz')).out).toMatch(/Clear: the positions are right as they are/);
    vi.mocked(orientWorkflow).mockResolvedValueOnce(report({ verdict: 'likely' }));
    expect((await cli('orient', 'scan.npz')).out).toMatch(/Likely, but not by much: use .*--picture FILE/);
    vi.mocked(orientWorkflow).mockResolvedValueOnce(report({ verdict: 'undecided', flags: null, reasons: ['Why.'] }));
    const { code, out } = await cli('orient', 'scan.npz');
    expect(code).toBe(1);
    expect(out).toMatch(/\n- Why\.\nUndecided: this scan does not tell its orientation\.\n$/);
  });

  it('--json is the report, and the flags it looks for are no options', async () => {
    vi.mocked(orientWorkflow).mockResolvedValue(report({}));
    expect(JSON.parse((await cli('orient', 'scan.npz', '--json')).out)).toEqual(report({}));
    expect(await cli('orient', 'scan.npz', '--flip_y')).toMatchObject({ code: 2 });
  });
});

describe('textMap', () => {
  it('draws one dot a place, to the same scale along both axes', () => {
    expect(textMap([0, 1, 0, 1], [0, 0, 3, 3], { columns: 1, rows: 1 })).toEqual(['⣉']);
    expect(textMap([5], [5])).toEqual(['⠁']);
    const wide = textMap([0, 100], [0, 1], { columns: 10, rows: 10 });
    expect(wide).toHaveLength(1);
    expect(wide[0]).toHaveLength(10);
    const tall = textMap([0, 1], [0, 100], { columns: 10, rows: 10 });
    expect(tall).toHaveLength(10);
    // Every position is under some dot, and no dot is without a position.
    const xs = Float64Array.from({ length: 50 }, (_, i) => (i * 37) % 101);
    const ys = Float64Array.from({ length: 50 }, (_, i) => (i * 53) % 97);
    const dots = textMap(xs, ys, { columns: 60, rows: 20 })
      .join('')
      .split('')
      .reduce((sum, c) => sum + (c.codePointAt(0)! - 0x2800).toString(2).replaceAll('0', '').length, 0);
    expect(dots).toBeGreaterThan(40);
    expect(dots).toBeLessThanOrEqual(50);
  });

  it('draws bars', () => {
    expect(textBars([0, 1, 4, 8])).toBe(' ▁▄█');
  });
});
