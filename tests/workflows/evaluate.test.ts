/** `evaluate`, from files to tables: against a truth, without knowing where the image lies, and half against half. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { cutImage } from '../../src/evaluation/images.js';
import { openNpz, writeNpz } from '../../src/formats/npz.js';
import { writeProductFile } from '../../src/persistence/product/writeProduct.js';
import { gaussianBlur } from '../../src/physics/gaussian.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';
import { cli } from '../cli/capture.js';
import { sampleProduct } from '../persistence/product/sampleProduct.js';
import { writeNetworkBundle } from '../support/networkBundle.js';
import { TINY_RECIPE, writeTinyScan } from '../support/tinyRun.js';

/** 81 patterns over 50 pixels: enough to compare, little to compute. */
const RECIPE = { ...TINY_RECIPE, object_side_px: 116 } as const;

let folder: string;
let scan: string;
let truth: ComplexImage;
const file = (name: string) => path.join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-evaluate-'));
  scan = file('scan.npz');
  await writeTinyScan(file('tiny.npz'), 3, 64);
  await writeSimulatedScan(scan, simulate({ ...RECIPE, seed: 3 }));
  const npz = await openNpz(scan);
  truth = await npz.readComplex64('objectGuess');
  await npz.close();
  const image = blurred(truth, 0.7);
  const part = cutImage(image, 12, 14, 92, 90);
  await writeNpz(file('placed.npz'), {
    reconstructed_object: part,
    frame_origin_yx_px: { data: Float64Array.of(12, 14), shape: [2] },
  });
  await writeNpz(file('lost.npz'), { reconstructed_object: part });
  await writeNpz(file('zero.npz'), {
    reconstructed_object: { re: new Float32Array(92 * 90), im: new Float32Array(92 * 90), shape: [92, 90] },
    frame_origin_yx_px: { data: Float64Array.of(12, 14), shape: [2] },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function blurred(image: ComplexImage, sigma: number): ComplexImage {
  const part = (data: Float32Array) =>
    Float32Array.from(gaussianBlur({ data: Float64Array.from(data), shape: image.shape }, sigma).data);
  return { re: part(image.re), im: part(image.im), shape: image.shape };
}

describe('evaluate', () => {
  it('prints both families with their floors and writes them', async () => {
    const { code, out, err } = await cli('evaluate', '--reconstruction', file('placed.npz'), '--test_data', scan, '--output_dir', file('scores'), '--object_pixel_m', '1e-8', '--quiet'); // biome-ignore format: one call
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toMatch(/coverage 100\.0 %/);
    expect(out).toMatch(/Moved by -?0\.0\d+ down, -?0\.0\d+ to the right/);
    expect(out).toMatch(/reference +amplitude +constant +scan +phase +constant +scan\nmae /);
    expect(out).toMatch(/standard +amplitude +constant +scan +phase +constant +scan\nmae /);
    expect(out).toMatch(
      /R-factor 0\.\d+ on \d+ patterns \(a constant object: 0\.\d+; counting noise alone: about 0\.\d+\)/,
    );
    expect(out).toMatch(/nm\)/);
    const report = JSON.parse(await readFile(file('scores/metrics.json'), 'utf8'));
    expect(report.metrics.standard.complex_error).toBeLessThan(report.floors.constant.standard.complex_error);
    expect(report.rFactor.image).toBeLessThan(report.rFactor.constant);
    // What is no number is told as such.
    expect(report.floors.constant.reference.frc50.phase).toBe('NaN');
    const csv = await readFile(file('scores/metrics.csv'), 'utf8');
    expect(csv).toMatch(
      /^image,family,metric,amplitude,phase,value\nreconstruction,reference,mae,0\.\d{6},0\.\d{6},\n/,
    );
    expect(csv).toMatch(/\nconstant,reference,frc50,[\d.]+,NaN,\n/);
    expect(csv).toMatch(/\nscan,standard,complex_error,,,0\.\d{6}\n/);
    expect((await readFile(file('scores/frc.png'))).subarray(1, 4).toString()).toBe('PNG');
    const page = await readFile(file('scores/index.html'), 'utf8');
    for (const piece of [
      'Scores against the floors',
      'floor: constant object',
      '>Amplitude<',
      'ring correlation',
      'ptychopinn evaluate --',
    ]) {
      expect(page).toContain(piece);
    }
  }, 120_000);

  it('finds an image that does not say where it lies', async () => {
    const { code, out } = await cli('evaluate', '--reconstruction', file('lost.npz'), '--truth', `${scan}:objectGuess`);
    expect(code).toBe(0);
    expect(out).toMatch(/was found at 12, 14 \(y, x\) of the truth/);
    expect(out).not.toMatch(/R-factor/);
  }, 120_000);

  it.each(['product.h5', 'product.npz'])(
    'scores the image of a Ptychodus product, %s',
    async (name) => {
      const part = cutImage(blurred(truth, 0.7), 12, 14, 92, 90);
      const product = sampleProduct();
      const array = { ...part, shape: [1, ...part.shape] };
      await writeProductFile(file(name), {
        ...product,
        object: { ...product.object, array, layer_spacing_m: new Float64Array(0) },
      });
      const home = file(`${name}-scores`);
      const { code, out, err } = await cli('evaluate', '--reconstruction', file(name), '--truth', `${scan}:objectGuess`, '--output_dir', home, '--quiet'); // biome-ignore format: one call
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(/was found at 12, 14 \(y, x\) of the truth/);
      const scored = JSON.parse(await readFile(path.join(home, 'metrics.json'), 'utf8'));
      expect(scored.metrics.standard.complex_error).toBeLessThan(0.1);
      expect(scored.metrics.standard.complex_error).toBeLessThan(scored.floors.constant.standard.complex_error / 2);
      // The truth may be a product, too: of one shape they lie on each other.
      const same = await cli('evaluate', '--reconstruction', file(name), '--truth', file(name));
      expect(same.code, same.err).toBe(0);
      expect(same.out).toMatch(/\nssim +1\.0+ /);
    },
    120_000,
  );

  it('shows NaN for an image without content, and fails', async () => {
    const { code, out } = await cli('evaluate', '--reconstruction', file('zero.npz'), '--test_data', scan);
    expect(code).toBe(1);
    expect(out).toMatch(/Not scored: The reconstruction is zero everywhere/);
    expect(out).toMatch(/\nssim +NaN/);
  }, 120_000);

  it('says what is missing', async () => {
    expect((await cli('evaluate', '--truth', scan)).err).toMatch(/reconstruction/);
    expect((await cli('evaluate', '--reconstruction', file('placed.npz'))).err).toMatch(/truth/);
    expect((await cli('evaluate', '--halves', '--test_data', scan)).err).toMatch(/halves needs the bundle/);
  });
});

describe('evaluate --halves', () => {
  it('correlates what two halves of a scan come to', async () => {
    const bundle = await writeNetworkBundle(file('wts.zip'));
    const { code, out, err } = await cli('evaluate', '--halves', '--model_path', bundle, '--test_data', file('tiny.npz'), '--output_dir', file('halves'), '--threads', '1', '--accelerator', 'cpu', '--quiet'); // biome-ignore format: one call
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toMatch(/Halves of .*tiny\.npz: \d+ and \d+ patterns/);
    expect(out).toMatch(/half bit\namplitude /);
    const { halves } = JSON.parse(await readFile(file('halves/halves.json'), 'utf8'));
    expect(Math.abs(halves.patterns[0] - halves.patterns[1])).toBeLessThanOrEqual(1);
    expect(halves.frc.complex).toHaveLength(Math.floor(halves.frc.side_px / 2) + 1);
    expect(halves.frc.complex.every((v: number) => v >= 0 && v <= 1 + 1e-9)).toBe(true);
    expect(halves.coverage).toBeGreaterThan(0.9);
  }, 120_000);
});

describe('One image has one score', () => {
  it('on the pixels of compare', async () => {
    await cli('evaluate', '--reconstruction', file('placed.npz'), '--test_data', scan, '--output_dir', file('one'), '--quiet'); // biome-ignore format: one call
    await cli('compare', '--arm', `Other=${file('placed.npz')}`, '--test_data', scan, '--output_dir', file('two'), '--quiet'); // biome-ignore format: one call
    const scored = JSON.parse(await readFile(file('one/metrics.json'), 'utf8'));
    const table = await readFile(file('two/comparison_metrics_standard.csv'), 'utf8');
    const error = table.split('\n').find((line) => /^Other,complex_error/.test(line)) ?? '';
    const printed = error.split(',').filter(Boolean).at(-1) as string;
    expect(scored.metrics.standard.complex_error.toFixed(6)).toBe(Number(printed).toFixed(6));
  });

  it('on the same pixels where no shift is found', async () => {
    const rng = new LegacyRng(1);
    const part = () => Float32Array.from({ length: 92 * 90 }, () => rng.uniform() - 0.5);
    await writeNpz(file('noise.npz'), {
      reconstructed_object: { re: part(), im: part(), shape: [92, 90] },
      frame_origin_yx_px: { data: Float64Array.of(12, 14), shape: [2] },
    });
    const words = ['--test_data', scan, '--quiet', '--r_factor_patterns', '0'];
    await cli('evaluate', '--reconstruction', file('noise.npz'), '--output_dir', file('three'), ...words);
    await cli('compare', '--arm', `Other=${file('noise.npz')}`, '--output_dir', file('four'), ...words);
    const { frame, metrics } = JSON.parse(await readFile(file('three/metrics.json'), 'utf8'));
    const { region, models } = JSON.parse(await readFile(file('four/comparison.json'), 'utf8'));
    expect([frame.height, frame.width]).toEqual([region.height, region.width]);
    expect(metrics.standard.complex_error).toBeCloseTo(models[0].standard.complex_error, 6);
  });

  it('as worth nothing, where a constant object explains as much', async () => {
    await writeNpz(file('noisy.npz'), {
      reconstructed_object: { re: truth.im, im: truth.re.map((v, i) => (i % 3 ? v : -v)), shape: truth.shape },
      frame_origin_yx_px: { data: Float64Array.of(0, 0), shape: [2] },
    });
    const words = ['evaluate', scan, '--reconstruction', file('noisy.npz'), '--quiet'];
    const { code, err } = await cli(...words);
    expect(code).toBe(0);
    expect(err).toMatch(/no better than a constant object does \(R-factor .* against .*\): check the orientation/);
    expect((await cli(...words, '--strict')).code).toBe(3);
    expect((await cli('evaluate', scan, '--reconstruction', file('placed.npz'), '--quiet', '--strict')).code).toBe(0);
  });

  it('by the probe that it was made with', async () => {
    const npz = await openNpz(scan);
    const probe = await npz.readComplex64('probeGuess');
    await npz.close();
    const half = { re: probe.re.map((v) => v / 2), im: probe.im.map((v) => v / 2), shape: probe.shape };
    const image = { re: truth.re.map((v) => 2 * v), im: truth.im.map((v) => 2 * v), shape: truth.shape };
    const frame_origin_yx_px = { data: Float64Array.of(0, 0), shape: [2] };
    await writeNpz(file('made.npz'), { reconstructed_object: image, frame_origin_yx_px, reconstructed_probe: half });
    const { out } = await cli('evaluate', '--reconstruction', file('made.npz'), '--test_data', scan, '--quiet');
    expect(out).toMatch(/with the probe of the reconstruction\./);
    expect(out).toMatch(/R was measured with the probe that .*made\.npz holds, not with that of the scan/);
  });
});
