/** `compare`: everything on the same patterns and the same pixels, and what is written about it. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { openSubset, Subset } from '../../src/evaluation/comparison/subset.js';
import { METRIC_NAMES } from '../../src/evaluation/reference.js';
import { openNpz } from '../../src/formats/npz.js';
import { compareModels } from '../../src/workflows/compare.js';
import { COUNT, ComparisonFixture, text, windowOfTruth } from './comparisonFixture.js';

let fixture: ComparisonFixture;
beforeAll(async () => {
  fixture = await ComparisonFixture.make();
}, 60_000);
afterAll(() => fixture.remove());

const read = (...parts: string[]) => readFile(fixture.inside(...parts), 'utf8');
const rowsOf = async (...parts: string[]) =>
  (await read(...parts))
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
const at = (y: number, x: number) => ({ data: Float64Array.of(y, x), shape: [2] });
const numbers = (...values: number[]) => ({ data: Int32Array.from(values), shape: [values.length] });

/** The files that a comparison of these models leaves. */
const filesOf = (...curves: string[]) =>
  [
    'index.html',
    'comparison.json',
    'comparison_floors.csv',
    'comparison_metrics.csv',
    'comparison_metrics_standard.csv',
    'comparison_plot.png',
    ...curves.map((name) => `${name}_frc_curves.csv`),
    'reconstructions.npz',
    'reconstructions_aligned.npz',
    'reconstructions_aligned_metadata.txt',
    'reconstructions_metadata.txt',
  ].sort();

describe('compareModels', () => {
  it('writes the published tables, curves and arrays, pictures and one page', async () => {
    const exact = await fixture.arm('exact.npz', windowOfTruth(40, 38, 80, 90), {
      frame_origin_yx_px: at(40, 38),
      algorithm: text('pty-chi'),
      computation_time_seconds: { data: Float64Array.of(12.5), shape: [] },
    });
    const summary = await compareModels(
      fixture.config('all', {
        pinn_dir: fixture.inside('gs2.zip'),
        baseline_dir: fixture.inside('baseline.zip'),
        models: [`PINN_gs1=${fixture.inside('gs1.zip')}`],
        tike_recon_path: exact,
        baseline_debug_dir: fixture.inside('dump'),
      }),
    );
    const names = ['PtychoPINN', 'Baseline', 'PINN_gs1', 'PtyChi'];
    expect(summary.models.map(({ name }) => name)).toEqual(names);
    const files = filesOf('pinn', 'baseline', 'pinn_gs1', 'ptychi');
    expect((await readdir(fixture.inside('all'))).sort()).toEqual(files);
    expect([...summary.files].sort()).toEqual(files);

    const [head, ...rows] = await rowsOf('all', 'comparison_metrics.csv');
    expect(head).toEqual(['model', 'metric', 'amplitude', 'phase', 'value']);
    const pairs: readonly string[] = METRIC_NAMES;
    const metrics = [...pairs, 'registration_offset_dy', 'registration_offset_dx', 'computation_time_s'];
    expect(rows.map(([model, metric]) => `${model} ${metric}`)).toEqual(
      names.flatMap((name) => metrics.map((metric) => `${name} ${metric}`)),
    );
    for (const [, metric, ...cells] of rows) {
      const filled = pairs.includes(metric) ? [true, true, false] : [false, false, true];
      expect(cells.map((cell) => cell !== '')).toEqual(filled);
      for (const cell of cells) expect(cell).toMatch(/^$|^NaN$|^inf$|^-?\d+\.\d{6}$/);
    }
    const cell = (name: string, metric: string) => rows.find(([m, of]) => m === name && of === metric)?.slice(2);
    expect(cell('PtyChi', 'computation_time_s')).toEqual(['', '', '12.500000']);
    expect(cell('PtyChi', 'registration_offset_dy')).toEqual(['', '', '0.000000']);
    expect(Number(cell('PtychoPINN', 'computation_time_s')?.[2])).toBeGreaterThan(0);
    expect(Number(cell('PtyChi', 'ssim')?.[1])).toBeGreaterThan(0.999);

    const curves = await rowsOf('all', 'ptychi_frc_curves.csv');
    expect(curves[0]).toEqual(['model', 'frequency_bin', 'amplitude_frc', 'phase_frc']);
    expect(curves[1]).toEqual(['PtyChi', '0', '1.000000', expect.stringMatching(/^\d\.\d{6}$/)]);
    expect(curves.length - 1).toBe(summary.models[3].reference?.frc.amplitude?.length);
    const [floorHead, ...floors] = await rowsOf('all', 'comparison_floors.csv');
    expect(floorHead).toEqual(['family', 'floor', 'metric', 'amplitude', 'phase', 'value']);
    expect(new Set(floors.map(([family, floor]) => `${family} ${floor}`))).toEqual(
      new Set(['reference Constant', 'standard Constant', 'reference ScanImage', 'standard ScanImage']),
    );

    const raw = await openNpz(fixture.inside('all', 'reconstructions.npz'));
    for (const name of ['ptychopinn', 'baseline', 'pinn_gs1', 'ptychi', 'ground_truth']) {
      for (const kind of ['amplitude', 'phase', 'complex']) expect(raw.keys).toContain(`${name}_${kind}`);
    }
    expect((await raw.header('ptychi_complex')).shape).toEqual([80, 90]);
    expect((await raw.readReal('sample_indices')).shape).toEqual([COUNT]);
    await raw.close();
    const { region } = summary;
    const aligned = await openNpz(fixture.inside('all', 'reconstructions_aligned.npz'));
    for (const key of ['ptychopinn_complex', 'baseline_complex', 'ptychi_complex', 'ground_truth_complex']) {
      expect((await aligned.header(key)).shape).toEqual([region.height, region.width]);
    }
    expect(aligned.keys).toEqual(expect.arrayContaining(['pinn_offset_dy', 'pinn_offset_dx', 'baseline_offset_dy']));
    await aligned.close();
    expect(await read('all', 'reconstructions_metadata.txt')).toContain('- ptychi_complex: (80, 90) complex64');

    const record = JSON.parse(await read('all', 'comparison.json'));
    expect(record.models.map((m: { name: string }) => m.name)).toEqual(names);
    expect(record.sample_indices).toHaveLength(COUNT);
    // The members of groups, each once, for the networks of single patterns.
    expect(summary.models.map(({ patterns }) => patterns)).toEqual([4 * COUNT, COUNT, COUNT, undefined]);
    expect(summary.models.slice(0, 3).every(({ rFactor }) => rFactor && rFactor.image > 0)).toBe(true);
    expect((await readdir(fixture.inside('dump'))).sort()).toEqual(['canvases.npz', 'groups.npz', 'patches.npz']);
  }, 120_000);

  it('gives every network the same patterns, whatever its gridsize', async () => {
    const config = fixture.config('subset', {
      pinn_dir: 'x',
      n_test_subsample: 30,
      test_subsample_seed: 5,
      n_test_groups: 6,
    });
    const drawn = Array.from(new LegacyRng(5).choice(COUNT, 30, false)).sort((a, b) => a - b);
    const raw = await openSubset(config);
    try {
      expect(Array.from(raw.sampleIndices)).toEqual(drawn);
      const subset = new Subset(raw, config, [1, 2]);
      const [single, grouped] = [await subset.scan(1), await subset.scan(2)];
      expect(grouped.groups.count).toBe(6);
      expect(Array.from(single.groups.members)).toEqual([...new Set(grouped.groups.members)].sort((a, b) => a - b));
      const indices = Array.from(await subset.sampleIndices());
      expect(indices).toEqual(Array.from(single.groups.members, (k) => drawn[k]));
      expect(() => new Subset(raw, config, [2, 3])).toThrow(/gridsize 2 and 3/);
    } finally {
      await raw.close();
    }
  });

  it('takes a finished reconstruction of the same patterns only', async () => {
    const drawn = Array.from(new LegacyRng(5).choice(COUNT, 30, false)).sort((a, b) => a - b);
    const same = await fixture.arm('same.npz', windowOfTruth(40, 38, 90, 90), {
      frame_origin_yx_px: at(40, 38),
      sample_indices: numbers(...drawn),
    });
    const others = await fixture.arm('others.npz', windowOfTruth(40, 38, 90, 90), {
      frame_origin_yx_px: at(40, 38),
      sample_indices: numbers(...drawn.map((k) => (k + 1) % COUNT)),
    });
    const subset = { n_test_subsample: 30, test_subsample_seed: 5 };
    const { models } = await compareModels(fixture.config('same', { ...subset, arms: [`Tike=${same}`] }));
    expect(models[0]).toMatchObject({ name: 'Tike', patterns: 30, warnings: [] });
    await expect(compareModels(fixture.config('others', { ...subset, arms: [others] }))).rejects.toThrow(
      /others\.npz was made of 30 patterns .* not the 30 compared here; .*seed/,
    );
    expect(existsSync(fixture.inside('others'))).toBe(false);
  });

  it('finds where reconstructions lie, and puts all on the same pixels', async () => {
    // Says a place that is off by (2, −3); says none, and is not centred on the scan.
    const off = await fixture.arm('off.npz', windowOfTruth(32, 33, 92, 88), { frame_origin_yx_px: at(34, 30) });
    const somewhere = await fixture.arm('somewhere.npz', windowOfTruth(30, 40, 100, 90));
    const { models, region } = await compareModels(
      fixture.config('moved', { arms: [`DM=${off}`, `mine=${somewhere}`], save_debug_images: true }),
    );
    const [known, unknown] = models;
    expect(known.registration?.succeeded).toBe(true);
    expect(known.registration?.shiftYxPx[0]).toBeCloseTo(-2, 1);
    expect(known.registration?.shiftYxPx[1]).toBeCloseTo(3, 1);
    expect(unknown.registration?.succeeded).toBe(true);
    expect(unknown.warnings.join()).toMatch(/does not say where .* centred on the scan/);
    for (const { standard, placed } of models) {
      expect(placed.shape).toEqual([region.height, region.width]);
      expect(standard?.complex_error).toBeLessThan(0.01);
    }
    expect((await readdir(fixture.inside('moved', 'debug_images'))).sort()).toEqual(
      ['dm_after.png', 'dm_before.png', 'ground_truth.png', 'mine_after.png', 'mine_before.png'].sort(),
    );
  });

  it('says that a registration failed, and compares the image where it lies', async () => {
    const rng = new LegacyRng(1);
    const noise: ComplexImage = {
      re: Float32Array.from({ length: 80 * 90 }, () => rng.uniform() - 0.5),
      im: Float32Array.from({ length: 80 * 90 }, () => rng.uniform() - 0.5),
      shape: [80, 90],
    };
    const arm = await fixture.arm('noise.npz', noise, { frame_origin_yx_px: at(40, 38) });
    const { models, warnings } = await compareModels(fixture.config('noise', { arms: [`PIE=${arm}`] }));
    const [{ registration, placed, image }] = models;
    expect(registration?.succeeded).toBe(false);
    expect(warnings.join('\n')).toMatch(/registration of PIE failed, so it is compared where it lies/);
    const [, ...rows] = await rowsOf('noise', 'comparison_metrics.csv');
    expect(rows.find(([, metric]) => metric === 'registration_offset_dx')).toEqual(['PIE', 'registration_offset_dx', '', '', 'NaN']); // biome-ignore format: one row
    expect(rows.find(([, metric]) => metric === 'computation_time_s')?.[4]).toBe('NaN');
    // Not a pixel was touched.
    expect(image.re).toContain(placed.re[17]);
    expect(await read('noise', 'index.html')).toContain('failed');

    const still = await compareModels(fixture.config('still', { arms: [arm], skip_registration: true }));
    expect(still.models[0].registration).toBeUndefined();
    // Without registration nothing is cut off at the sides.
    expect(still.region.height).toBe(models[0].placed.shape[0] + 4);
  });

  it('shows NaN where there is nothing to measure against', async () => {
    const arm = await fixture.arm('unseen.npz', windowOfTruth(40, 38, 80, 90), { frame_origin_yx_px: at(40, 38) });
    const { warnings, files } = await compareModels(
      fixture.config('blind', { test_data_file: fixture.inside('blind.npz'), arms: [`ePIE=${arm}`] }),
    );
    expect(warnings.join()).toMatch(/blind\.npz holds no objectGuess.*every metric is NaN/);
    const [, ...rows] = await rowsOf('blind', 'comparison_metrics.csv');
    expect(rows.every(([, , ...cells]) => cells.every((cell) => cell === '' || cell === 'NaN'))).toBe(true);
    expect(rows).toHaveLength(METRIC_NAMES.length + 3);
    expect(files.filter((name) => name.includes('frc'))).toEqual([]);
  });

  it('measures against the image that truth names, where that lies', async () => {
    const arm = await fixture.arm('seen.npz', windowOfTruth(40, 38, 80, 90), { frame_origin_yx_px: at(40, 38) });
    const config = (name: string, truth: string | null, scan: string) =>
      fixture.config(name, { test_data_file: fixture.inside(scan), arms: [`ePIE=${arm}`], truth });
    // The object of a scan without a source is a reference; one that is named is the truth.
    const own = await compareModels(config('own', null, 'scan.npz'));
    expect(own.warnings.join('\n')).toMatch(/is a reference, not a known truth/);
    expect(await read('own', 'index.html')).not.toContain('Ground truth');
    const named = await compareModels(config('named', `${fixture.inside('scan.npz')}:objectGuess`, 'blind.npz'));
    expect(named.warnings.join('\n')).not.toMatch(/reference|objectGuess/);
    expect(await read('named', 'index.html')).toContain('Ground truth');
    expect(named.models[0].standard?.complex_error).toBeCloseTo(own.models[0].standard?.complex_error as number, 6);
    expect(named.region).toEqual(own.region);

    // A part of the truth that says where it lies: only its pixels are compared.
    const part = await fixture.arm('part.npz', windowOfTruth(52, 49, 60, 70), { frame_origin_yx_px: at(52, 49) });
    const within = await compareModels(config('within', part, 'scan.npz'));
    expect(within.region.originYxPx).toEqual([54, 51]);
    expect(within.models[0].standard?.complex_error).toBeLessThan(1e-3);
    const far = await fixture.arm('far.npz', windowOfTruth(52, 49, 60, 70), { frame_origin_yx_px: at(900, 49) });
    await expect(compareModels(config('far', far, 'scan.npz'))).rejects.toThrow(/share no pixels/);
  });

  it('shows a NaN in an image as NaN in its metrics', async () => {
    const image = windowOfTruth(40, 38, 80, 90);
    image.re[3000] = Number.NaN;
    const arm = await fixture.arm('nan.npz', image, { frame_origin_yx_px: at(40, 38) });
    const { warnings } = await compareModels(fixture.config('nan', { arms: [`rPIE=${arm}`] }));
    expect(warnings.join()).toMatch(/1 pixels of the reconstruction are NaN/);
    const [, ...rows] = await rowsOf('nan', 'comparison_metrics.csv');
    expect(rows.find(([, metric]) => metric === 'mae')).toEqual(['rPIE', 'mae', 'NaN', 'NaN', '']);
  });

  it('stops between images, and writes nothing', async () => {
    const arm = await fixture.arm('stop.npz', windowOfTruth(40, 38, 80, 90), { frame_origin_yx_px: at(40, 38) });
    const stop = new AbortController();
    const stages: string[] = [];
    const work = compareModels(fixture.config('stopped', { arms: [arm] }), {
      signal: stop.signal,
      onProgress: ({ stage }) => {
        stages.push(stage);
        if (stage === 'measuring') stop.abort();
      },
    });
    await expect(work).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(stages).toEqual(['registering', 'measuring']);
    expect(await readdir(fixture.inside('stopped'))).toEqual([]);
  });

  it('writes less where less is asked for', async () => {
    const arm = await fixture.arm('few.npz', windowOfTruth(40, 38, 80, 90), { frame_origin_yx_px: at(40, 38) });
    const { files } = await compareModels(
      fixture.config('few', { arms: [`Tike=${arm}`], save_npz: false, save_npz_aligned: false }),
    );
    expect([...files].sort()).toEqual(filesOf('tike').filter((name) => !name.startsWith('reconstructions')));
  });

  it('refuses what is no image, or an image of nothing', async () => {
    const whole = windowOfTruth(40, 38, 80, 90);
    const frame = { frame_origin_yx_px: at(40, 38) };
    const plane = (value: number) => ({
      re: new Float32Array(7200).fill(value),
      im: new Float32Array(7200),
      shape: [80, 90],
    });
    const cases: [string, Promise<string>, RegExp][] = [
      [
        'axes',
        fixture.arm('a.npz', { ...whole, shape: [1, 80, 90] }, frame),
        /shape \(rows, columns\), found \(1, 80, 90\)/,
      ],
      ['real', fixture.arm('b.npz', { data: whole.re, shape: whole.shape }, frame), /must be complex, found float32/],
      ['small', fixture.arm('c.npz', windowOfTruth(70, 70, 20, 20)), /holds 20×20 of the .* pixels that are compared/],
      ['far', fixture.arm('d.npz', whole, { frame_origin_yx_px: at(400, 0) }), /holds 0×/],
      ['half', fixture.arm('e.npz', whole, { frame_origin_yx_px: at(40.5, 38) }), /two whole numbers/],
      ['zero', fixture.arm('f.npz', plane(0), frame), /f\.npz is zero everywhere/],
      ['flat', fixture.arm('g.npz', plane(0.7), frame), /g\.npz is one value everywhere/],
      ['none', fixture.arm('h.npz', plane(Number.NaN), frame), /h\.npz holds no finite number/],
    ];
    for (const [name, arm, message] of cases) {
      await expect(compareModels(fixture.config(name, { arms: [await arm] }))).rejects.toThrow(message);
      expect(existsSync(fixture.inside(name))).toBe(false);
    }
    await expect(compareModels(fixture.config('key', { arms: [fixture.inside('scan.npz')] }))).rejects.toThrow(
      /holds no reconstructed_object \(it has .*diffraction/,
    );
    const twice = { arms: [`Tike=${await fixture.arm('i.npz', whole, frame)}`, `TIKE=${fixture.inside('i.npz')}`] };
    await expect(compareModels(fixture.config('twice', twice))).rejects.toThrow(/Two things .* are called Tike/);
    await expect(
      compareModels(fixture.config('crop', { arms: [fixture.inside('i.npz')], stitch_crop_size: 65 })),
    ).rejects.toThrow(/stitch_crop_size is 65, but patches have 64/);
  });

  it('refuses a network that puts out zeros, or one value', async () => {
    const zeros = (values: Float32Array) => new Float32Array(values.length);
    await fixture.bundle('dark.zip', { gridsize: 1, architecture: 'baseline', model_type: 'supervised' }, zeros);
    await expect(
      compareModels(fixture.config('dark', { baseline_dir: fixture.inside('dark.zip'), n_test_groups: 8 })),
    ).rejects.toThrow(/What Baseline .* predicts is zero everywhere/);
    await fixture.bundle('dull.zip', { gridsize: 1 }, zeros);
    await expect(
      compareModels(fixture.config('dull', { pinn_dir: fixture.inside('dull.zip'), n_test_groups: 8 })),
    ).rejects.toThrow(/What PtychoPINN .* predicts is one value everywhere/);
  }, 60_000);

  it('makes a page that needs nothing from elsewhere', async () => {
    const arm = await fixture.arm('page.npz', windowOfTruth(40, 38, 80, 90), {
      frame_origin_yx_px: at(40, 38),
      algorithm: text('<img src=x onerror=alert(1)> dm'),
    });
    await compareModels(fixture.config('page', { arms: [arm] }));
    const page = await read('page', 'index.html');
    expect(page).toContain('PtyChi');
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt; dm');
    expect(page).not.toContain('<img src=x');
    expect(page).toContain('floor: Constant');
    // Two images in amplitude and phase, two errors, each with its colours.
    expect(page.match(/xlink:href="data:image\/png;base64,/g)).toHaveLength(2 * 6);
    const bare = page
      .replaceAll(/xmlns(:xlink)?="[^"]*"/g, '')
      .replaceAll('xlink:href="data:', '')
      .replace('href="#main"', '');
    expect(bare).not.toMatch(/https?:|<script|<link|<iframe|@import|url\(|src="(?!data:)|href=/);
  });
});
